/*
 * The functions of libssh (0.10.6) that its public headers do not name and that this folder calls, stands before
 * (the linker's --wrap) or stands in for (its archive members socket.o, poll.o, ... are not linked at all).
 * wire_selftest() notices a libssh in which they mean something else. Included by this folder's files only.
 */
#ifndef BASTION_WIRE_LIBSSH_H
#define BASTION_WIRE_LIBSSH_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

/* Called. */
void ssh_packet_set_callbacks(ssh_session session, ssh_packet_callbacks callbacks);
int ssh_packet_send_unimplemented(ssh_session session, uint32_t seqnum);
int ssh_packet_userauth_info_request(
    ssh_session session, uint8_t type, ssh_buffer packet, void *user);
int ssh_packet_userauth_success(ssh_session session, uint8_t type, ssh_buffer packet, void *user);
int ssh_auth_reply_success(ssh_session session, int partial);
int ssh_send_rekex(ssh_session session);
void *ssh_packet_get_current_crypto(ssh_session session, int direction);
uint32_t ssh_buffer_pass_bytes(ssh_buffer buffer, uint32_t len);
int ssh_buffer_pack_va(ssh_buffer buffer, const char *format, size_t argc, va_list ap);
typedef struct ssh_signature_struct *ssh_signature;
int ssh_pki_import_signature_blob(
    const ssh_string blob, const ssh_key pubkey, ssh_signature *ret_sig);

/* Stood before: libssh calls __wrap_x, which may call __real_x. The list is in Makefile.inc too. */
int __wrap__ssh_buffer_pack(ssh_buffer buffer, const char *format, size_t argc, ...);
unsigned char *__wrap_ssh_packet_encrypt(ssh_session session, void *data, size_t len);
unsigned char *__real_ssh_packet_encrypt(ssh_session session, void *data, size_t len);
ssh_signature __wrap_pki_sign_data(
    const ssh_key key, int digest, const unsigned char *in, size_t len);
int __wrap_ssh_pki_signature_verify(
    ssh_session session, ssh_signature sig, const ssh_key key, const unsigned char *in, size_t len);
int __real_ssh_pki_signature_verify(
    ssh_session session, ssh_signature sig, const ssh_key key, const unsigned char *in, size_t len);
char *__wrap_ssh_find_all_matching(const char *available, const char *preferred);
char *__real_ssh_find_all_matching(const char *available, const char *preferred);
enum ssh_keytypes_e __wrap_ssh_key_type_from_signature_name(const char *name);
enum ssh_keytypes_e __real_ssh_key_type_from_signature_name(const char *name);
int __wrap_ssh_dh_import_next_pubkey_blob(ssh_session session, ssh_string blob);
int __real_ssh_dh_import_next_pubkey_blob(ssh_session session, ssh_string blob);

/* Stood in for, in wire_socket.c. */
typedef struct ssh_socket_struct *ssh_socket;
typedef struct ssh_poll_handle_struct *ssh_poll_handle;
typedef struct ssh_poll_ctx_struct *ssh_poll_ctx;
int ssh_socket_init(void);
void ssh_socket_cleanup(void);
ssh_socket ssh_socket_new(ssh_session session);
void ssh_socket_free(ssh_socket s);
void ssh_socket_reset(ssh_socket s);
void ssh_socket_set_callbacks(ssh_socket s, ssh_socket_callbacks callbacks);
void ssh_socket_set_fd(ssh_socket s, int fd);
int ssh_socket_get_fd(ssh_socket s);
int ssh_socket_is_open(ssh_socket s);
void ssh_socket_close(ssh_socket s);
int ssh_socket_write(ssh_socket s, const void *buffer, uint32_t len);
int ssh_socket_buffered_write_bytes(ssh_socket s);
int ssh_socket_get_status(ssh_socket s);
int ssh_socket_get_poll_flags(ssh_socket s);
void ssh_socket_set_connected(ssh_socket s, ssh_poll_handle p);
void ssh_socket_set_except(ssh_socket s);
void ssh_socket_set_read_wontblock(ssh_socket s);
void ssh_socket_set_write_wontblock(ssh_socket s);
int ssh_socket_connect(ssh_socket s, const char *host, uint16_t port, const char *bind_addr);
int ssh_socket_connect_proxycommand(ssh_socket s, const char *command);
ssh_poll_handle ssh_socket_get_poll_handle(ssh_socket s);
ssh_poll_ctx ssh_poll_get_ctx(ssh_poll_handle p);
void ssh_poll_add_events(ssh_poll_handle p, short events);
int ssh_poll_ctx_dopoll(ssh_poll_ctx ctx, int timeout);

#endif
