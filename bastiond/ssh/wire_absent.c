/*
 * The parts of libssh that must not exist here. Defining the names that the rest of libssh refers to keeps the linker
 * from taking those members out of libssh.a: no GSSAPI, no compression, no configuration or known_hosts files, no
 * agent, no packet capture, no channels, no messages, no DH group exchange. None of them is reached; one that is
 * answers "no", and wire_selftest() fails.
 */
#include "config.h"

#include <stddef.h>

#include "bastiond/ssh/wire_priv.h"

static unsigned calls; /* of what must not be called */

unsigned
wire_absent_calls(void)
{
	return calls;
}

/* The arguments do not matter: a function that ignores them may be called with any. */
#define ABSENT(name, answer)                                                                       \
	int name(void);                                                                            \
	int name(void)                                                                             \
	{                                                                                          \
		calls++;                                                                           \
		return answer;                                                                     \
	}
#define ABSENT_PTR(name)                                                                           \
	void *name(void);                                                                          \
	void *name(void)                                                                           \
	{                                                                                          \
		calls++;                                                                           \
		return NULL;                                                                       \
	}

#define NOT_USED 2 /* SSH_PACKET_NOT_USED: libssh answers UNIMPLEMENTED */

/* messages.o, channels.o: wire_message() takes these packets before libssh's table is asked. */
ABSENT(ssh_packet_service_request, NOT_USED)
ABSENT(ssh_packet_userauth_request, NOT_USED)
ABSENT(ssh_packet_userauth_info_response, NOT_USED)
ABSENT(ssh_packet_global_request, NOT_USED)
ABSENT(ssh_request_success, NOT_USED)
ABSENT(ssh_request_denied, NOT_USED)
ABSENT(ssh_packet_channel_open, NOT_USED)
ABSENT(ssh_packet_channel_open_conf, NOT_USED)
ABSENT(ssh_packet_channel_open_fail, NOT_USED)
ABSENT(ssh_packet_channel_success, NOT_USED)
ABSENT(ssh_packet_channel_failure, NOT_USED)
ABSENT(channel_rcv_change_window, NOT_USED)
ABSENT(channel_rcv_data, NOT_USED)
ABSENT(channel_rcv_eof, NOT_USED)
ABSENT(channel_rcv_close, NOT_USED)
ABSENT(channel_rcv_request, NOT_USED)
ABSENT(ssh_channel_do_free, -1)
ABSENT(ssh_global_request, -1)
ABSENT(ssh_message_free, -1)
ABSENT_PTR(ssh_message_pop_head)

/* gssapi.o */
ABSENT(ssh_packet_userauth_gssapi_mic, NOT_USED)
ABSENT(ssh_packet_userauth_gssapi_response, NOT_USED)
ABSENT(ssh_gssapi_auth_mic, -1)

/* gzip.o */
ABSENT(compress_buffer, -1)
ABSENT(decompress_buffer, -1)

/* config.o, config_parser.o, bind_config.o, knownhosts.o */
ABSENT(ssh_config_parse_file, -1)
ABSENT(ssh_config_parse_uri, -1)
ABSENT(ssh_bind_config_parse_file, -1)

/* agent.o: wire_login.c speaks to the agent. */
ABSENT(ssh_agent_is_running, 0)
ABSENT_PTR(ssh_agent_get_first_ident)
ABSENT_PTR(ssh_agent_get_next_ident)
ABSENT_PTR(ssh_agent_sign_data)

/* pcap.o */
ABSENT(ssh_pcap_context_write, -1)
ABSENT(ssh_pcap_context_free, -1)

/* poll.o: what wire_socket.c leaves out, because every socket has its context from the start */
ABSENT(ssh_poll_ctx_add, -1)
ABSENT(ssh_poll_ctx_free, -1)
ABSENT_PTR(ssh_poll_get_default_ctx)
ABSENT_PTR(ssh_poll_new)

/* dh-gex.o */
ABSENT(ssh_client_dhgex_init, -1)
ABSENT(ssh_client_dhgex_remove_callbacks, -1)
ABSENT(ssh_server_dhgex_init, -1)

/* bcrypt_pbkdf.o: no passphrase ever */
ABSENT(bcrypt_pbkdf, -1)

/* zlib, as long as gzip.o is away */
ABSENT(deflateEnd, -1)
ABSENT(inflateEnd, -1)

/* These two are called in every session and answer that there is nothing. */
void *ssh_agent_new(void *session);
void ssh_agent_free(void *agent);
char *ssh_known_hosts_get_algorithms_names(void *session);

/* libssh wants something for every session, and only gives it back. */
void *
ssh_agent_new(void *session)
{
	return session;
}

void
ssh_agent_free(void *agent)
{
	(void)agent;
}

char *
ssh_known_hosts_get_algorithms_names(void *session)
{
	(void)session;
	return NULL;
}
