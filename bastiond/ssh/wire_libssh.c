/*
 * libssh, held: makes its sessions, feeds them, and stands before the functions of it that decide what is sent,
 * what is signed and what is believed. The only file that calls libssh; wire_socket.c is what libssh calls.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/wire_libssh.h"
#include "bastiond/ssh/wire_priv.h"
#include "lib/buf.h"
#include "lib/str.h"

#define MSG_UNIMPLEMENTED 3
#define MSG_EXT_INFO 7
#define MSG_INFO_REQUEST 60
#define MSG_GLOBAL_REQUEST 80 /* the first of RFC 4254 */
#define DIRECTION_OUT 2	      /* enum ssh_crypto_direction_e */
#define RSA_BITS_MIN 2048
#define PACKET_HEAD 5 /* u32 length, u8 padding; RFC 4253 section 6 */

/*
 * One thread, and libssh's functions do not say for which session they were called: the wire that entered libssh
 * last. Owners may touch another wire from a callback, so it is put back on the way out.
 */
static struct wire *current;

struct wire *
wire_current(void)
{
	return current;
}

static struct wire *
enter(struct wire *w)
{
	struct wire *before = current;

	current = w;
	return before;
}

static void
leave(struct wire *before)
{
	current = before;
}

/*
 * What libssh packs next is the armed message instead. The packet's head goes in front of it later: room that was
 * passed over saves libssh from moving the whole message.
 */
static int
pack_raw(ssh_buffer buffer, struct wire_raw *raw)
{
	static const uint8_t room[PACKET_HEAD];

	raw->armed = false;
	if (ssh_buffer_add_data(buffer, room, sizeof(room)) != 0 ||
	    ssh_buffer_add_data(buffer, raw->head, (uint32_t)raw->head_len) != 0)
		return SSH_ERROR;
	if (raw->body_len > 0 &&
	    ssh_buffer_add_data(buffer, raw->body, (uint32_t)raw->body_len) != 0)
		return SSH_ERROR;
	return ssh_buffer_pass_bytes(buffer, sizeof(room)) == sizeof(room) ? SSH_OK : SSH_ERROR;
}

/* EXT_INFO with our own list: libssh's leaves out every name that it does not verify itself (RFC 8308). */
static int
pack_ext_info(ssh_buffer buffer, const char *algs)
{
	struct buf *b = buf_new(WIRE_MESSAGE_MAX);
	int r = SSH_ERROR;

	if (b == NULL)
		return r;
	if (buf_put_u8(b, MSG_EXT_INFO) == 0 && buf_put_u32(b, 1) == 0 &&
	    buf_put_cstr(b, "server-sig-algs") == 0 && buf_put_cstr(b, algs) == 0 &&
	    ssh_buffer_add_data(buffer, buf_ptr(b), (uint32_t)buf_len(b)) == 0)
		r = SSH_OK;
	buf_free(b);
	return r;
}

int
__wrap__ssh_buffer_pack(ssh_buffer buffer, const char *format, size_t argc, ...)
{
	va_list ap;
	int r;

	if (current != NULL && current->raw.armed)
		return pack_raw(buffer, &current->raw);
	/* "bdss" is EXT_INFO and nothing else on a server (ssh_server_send_extensions). */
	if (current != NULL && current->role == WIRE_SERVER && strcmp(format, "bdss") == 0)
		return pack_ext_info(buffer, current->user_algs);
	va_start(ap, argc);
	r = ssh_buffer_pack_va(buffer, format, argc, ap);
	va_end(ap);
	return r;
}

/* Every packet passes here in plain text. Without memory libssh would send it so: then nothing leaves any more. */
unsigned char *
__wrap_ssh_packet_encrypt(ssh_session session, void *data, size_t len)
{
	bool encrypted = ssh_packet_get_current_crypto(session, DIRECTION_OUT) != NULL;
	const uint8_t *p = data;
	size_t payload = len > PACKET_HEAD + (size_t)p[4] ? len - PACKET_HEAD - p[4] : 0;
	bool ours = payload > 0 && p[PACKET_HEAD] >= MSG_GLOBAL_REQUEST;
	unsigned char *mac = __real_ssh_packet_encrypt(session, data, len);

	if (current == NULL)
		return mac;
	if (ours)
		current->pending -= payload < current->pending ? payload : current->pending;
	if (encrypted && mac == NULL) {
		current->mute = true;
		wire_fail(current, -ENOMEM, "cannot encrypt");
	}
	return mac;
}

/* The blob of an ed25519 signature: string "ssh-ed25519", string signature (RFC 8709 section 6). */
static ssh_signature
make_signature(const ssh_key key, const uint8_t *raw, size_t len)
{
	struct buf *b = buf_new(WIRE_MESSAGE_MAX);
	ssh_string blob = NULL;
	ssh_signature sig = NULL;

	if (b == NULL || buf_put_cstr(b, "ssh-ed25519") != 0 || buf_put_str(b, raw, len) != 0)
		goto out;
	blob = ssh_string_new(buf_len(b));
	if (blob == NULL || ssh_string_fill(blob, buf_ptr(b), buf_len(b)) != 0)
		goto out;
	if (ssh_pki_import_signature_blob(blob, key, &sig) != SSH_OK)
		sig = NULL;
out:
	ssh_string_free(blob);
	buf_free(b);
	return sig;
}

/* The host key's signature over the exchange hash comes from the owner; libssh holds no private key. */
ssh_signature
__wrap_pki_sign_data(const ssh_key key, int digest, const unsigned char *in, size_t len)
{
	struct wire *w = current;
	uint8_t sig[1024];
	size_t sig_len = 0;
	int r;

	(void)digest;
	if (w == NULL || w->role != WIRE_SERVER || w->over || len > sizeof(w->session_id))
		return NULL;
	if (w->session_id_len == 0) {
		memcpy(w->session_id, in, len);
		w->session_id_len = len;
	}
	w->signing = true;
	r = w->ops->sign_kex(w->arg, in, len, sig, sizeof(sig), &sig_len);
	w->signing = false;
	if (r != 0 || sig_len != 64) {
		wire_fail(w, r != 0 ? r : ERR_SIGNATURE, "no signature by the host key");
		return NULL;
	}
	return make_signature(key, sig, sig_len);
}

/* Called in a client only: a server's user signatures are the owner's matter. */
int
__wrap_ssh_pki_signature_verify(
    ssh_session session, ssh_signature sig, const ssh_key key, const unsigned char *in, size_t len)
{
	struct wire *w = current;

	if (w == NULL || w->role != WIRE_CLIENT || w->over || len > sizeof(w->session_id))
		return SSH_ERROR;
	if (__real_ssh_pki_signature_verify(session, sig, key, in, len) != SSH_OK) {
		wire_fail(w, ERR_SIGNATURE, "the host key's signature does not verify");
		return SSH_ERROR;
	}
	if (w->session_id_len == 0) {
		memcpy(w->session_id, in, len);
		w->session_id_len = len;
	}
	return wire_host_verify(w, in, len) == 0 ? SSH_OK : SSH_ERROR;
}

/*
 * In a key exchange this makes the list of host key algorithms, and would drop all certificates. A server's own list is
 * the one plain name, or what was made of it here.
 */
char *
__wrap_ssh_find_all_matching(const char *available, const char *preferred)
{
	if (current != NULL && current->offering)
		return strdup(current->host_algs);
	if (current != NULL && current->host_cert.len > 0 &&
	    (strcmp(preferred, wire_host_plain_only) == 0 ||
		strcmp(preferred, wire_host_with_cert) == 0))
		return strdup(wire_host_with_cert);
	return __real_ssh_find_all_matching(available, preferred);
}

/* A server with a certificate was asked to show it: its key is the plain one all the same. */
enum ssh_keytypes_e
__wrap_ssh_key_type_from_signature_name(const char *name)
{
	struct wire *w = current;

	if (w == NULL || w->role != WIRE_SERVER)
		return __real_ssh_key_type_from_signature_name(name);
	w->shows_cert =
	    w->host_cert.len > 0 && strcmp(name, "ssh-ed25519-cert-v01@openssh.com") == 0;
	return w->shows_cert ? SSH_KEYTYPE_ED25519 : __real_ssh_key_type_from_signature_name(name);
}

/* What is sent as the host key and goes into the exchange hash: RFC 4253 section 8, K_S. */
int
__wrap_ssh_dh_import_next_pubkey_blob(ssh_session session, ssh_string blob)
{
	const struct wire *w = current;
	ssh_string cert;
	int r = SSH_ERROR;

	if (w == NULL || w->role != WIRE_SERVER || !w->shows_cert)
		return __real_ssh_dh_import_next_pubkey_blob(session, blob);
	cert = ssh_string_new(w->host_cert.len);
	if (cert != NULL && ssh_string_fill(cert, w->host_cert.p, w->host_cert.len) == 0)
		r = __real_ssh_dh_import_next_pubkey_blob(session, cert);
	ssh_string_free(cert);
	return r;
}

/* The first to be asked about every packet that libssh's filter lets through. */
static int
on_packet(ssh_session session, uint8_t type, ssh_buffer packet, void *user)
{
	struct wire *w = user;
	const uint8_t *msg = ssh_buffer_get(packet);
	size_t len = ssh_buffer_get_len(packet);

	(void)session;
	/* The type was read from the buffer just now, so it lies before what is left. */
	if (msg == NULL || msg[-1] != type) {
		wire_fail(w, ERR_VERSION, "this libssh keeps its packets differently");
		return SSH_PACKET_USED;
	}
	return wire_message(w, type, msg - 1, len + 1, packet) ? SSH_PACKET_USED
							       : SSH_PACKET_NOT_USED;
}

#define N_TYPES 127 /* message types 1 to 127 */
static ssh_packet_callback packet_table[N_TYPES];

static int
watch_packets(struct wire *w)
{
	ssh_packet_callbacks cb = calloc(1, sizeof(*cb));
	size_t i;

	if (cb == NULL)
		return -ENOMEM;
	for (i = 0; i < N_TYPES; i++)
		packet_table[i] = on_packet;
	cb->start = 1;
	cb->n_callbacks = N_TYPES;
	cb->callbacks = packet_table;
	cb->user = w;
	w->packet_callbacks = cb;
	/* Before libssh puts its own into the list: it asks in order. */
	ssh_packet_set_callbacks(w->session, cb);
	return 0;
}

/*
 * libssh serves with a private key only. It gets the true public half and no secret: what would be the seed is
 * zero, and the function that would use it is __wrap_pki_sign_data().
 */
static ssh_key
public_host_key(const uint8_t pub[32])
{
	static const uint8_t no_seed[32];
	static const char magic[] = "openssh-key-v1";
	struct buf *b = buf_new(1024), *half = buf_new(1024), *priv = buf_new(1024);
	char *text = NULL, pem[2048];
	ssh_key key = NULL;
	uint8_t pad = 0;
	int r = -1;

	if (b == NULL || half == NULL || priv == NULL)
		goto out;
	r = buf_put_cstr(half, "ssh-ed25519") | buf_put_str(half, pub, 32) | buf_put_u64(priv, 0) |
	    buf_put(priv, buf_ptr(half), buf_len(half)) | buf_put_u32(priv, 64) |
	    buf_put(priv, no_seed, 32) | buf_put(priv, pub, 32) | buf_put_cstr(priv, "");
	while (buf_len(priv) % 8 != 0)
		r |= buf_put_u8(priv, ++pad);
	r |= buf_put(b, magic, sizeof(magic)) | buf_put_cstr(b, "none") | buf_put_cstr(b, "none") |
	     buf_put_cstr(b, "") | buf_put_u32(b, 1) |
	     buf_put_str(b, buf_ptr(half), buf_len(half)) |
	     buf_put_str(b, buf_ptr(priv), buf_len(priv));
	if (r != 0)
		goto out;
	text = str_base64(buf_ptr(b), buf_len(b));
	if (text == NULL ||
	    str_format(pem, sizeof(pem),
		"-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n",
		text) != 0 ||
	    ssh_pki_import_privkey_base64(pem, NULL, NULL, NULL, &key) != SSH_OK)
		key = NULL;
out:
	free(text);
	buf_free(b);
	buf_free(half);
	buf_free(priv);
	return key;
}

static int
server_options(const struct wire *w, const struct wire_lists *l, ssh_bind bind, ssh_key key)
{
	const bool no = false;

	(void)w;
	if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BANNER, WIRE_SERVER_VERSION) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, wire_host_plain_only) !=
		0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_KEY_EXCHANGE, l->kex) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_CIPHERS_C_S, l->ciphers) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_CIPHERS_S_C, l->ciphers) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HMAC_C_S, l->macs) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HMAC_S_C, l->macs) != 0)
		return ERR_ORDER;
	/* Takes the key over when it succeeds. */
	return ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) == 0 ? 0 : ERR_ORDER;
}

static int
common_options(struct wire *w, uint64_t rekey_bytes)
{
	ssh_set_blocking(w->session, 0);
	if (ssh_options_set(w->session, SSH_OPTIONS_COMPRESSION, "none") != 0)
		return ERR_ORDER;
	if (rekey_bytes > 0 &&
	    ssh_options_set(w->session, SSH_OPTIONS_REKEY_DATA, &rekey_bytes) != 0)
		return ERR_ORDER;
	return 0;
}

static int
open_server(struct wire *w, const struct wire_lists *l, uint64_t rekey_bytes)
{
	ssh_bind bind = ssh_bind_new();
	ssh_key key = public_host_key(w->host_pub);
	int r = -ENOMEM;

	if (bind == NULL || key == NULL)
		goto out;
	r = server_options(w, l, bind, key);
	if (r != 0)
		goto out;
	key = NULL;
	if (ssh_bind_accept_fd(bind, w->session, 0) != SSH_OK) {
		r = -ENOMEM;
		goto out;
	}
	r = common_options(w, rekey_bytes);
	if (r == 0 && ssh_handle_key_exchange(w->session) != SSH_AGAIN)
		r = ERR_ORDER;
out:
	ssh_key_free(key);
	if (bind != NULL)
		ssh_bind_free(bind);
	return r;
}

static int
client_options(struct wire *w, const struct wire_lists *l)
{
	ssh_session s = w->session;
	const bool no = false;
	const int fd = 0, rsa_min = RSA_BITS_MIN;
	char *plain = wire_host_plain(w->host_algs);
	int r;

	if (plain == NULL)
		return ERR_ORDER;
	/* Names and paths are set so that libssh never looks up the user or the home directory. */
	r = ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &no) |
	    ssh_options_set(s, SSH_OPTIONS_FD, &fd) |
	    ssh_options_set(s, SSH_OPTIONS_SSH_DIR, "/nonexistent") |
	    ssh_options_set(s, SSH_OPTIONS_USER, "nobody") |
	    ssh_options_set(s, SSH_OPTIONS_KNOWNHOSTS, "/nonexistent") |
	    ssh_options_set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/nonexistent") |
	    ssh_options_set(s, SSH_OPTIONS_RSA_MIN_SIZE, &rsa_min) |
	    ssh_options_set(s, SSH_OPTIONS_HOSTKEYS, plain) |
	    ssh_options_set(s, SSH_OPTIONS_KEY_EXCHANGE, l->kex) |
	    ssh_options_set(s, SSH_OPTIONS_CIPHERS_C_S, l->ciphers) |
	    ssh_options_set(s, SSH_OPTIONS_CIPHERS_S_C, l->ciphers) |
	    ssh_options_set(s, SSH_OPTIONS_HMAC_C_S, l->macs) |
	    ssh_options_set(s, SSH_OPTIONS_HMAC_S_C, l->macs);
	free(plain);
	return r == 0 ? 0 : ERR_ORDER;
}

static int
open_client(struct wire *w, const struct wire_lists *l, uint64_t rekey_bytes)
{
	int r = client_options(w, l);

	if (r == 0)
		r = common_options(w, rekey_bytes);
	if (r != 0)
		return r;
	w->offering = true; /* all options are read */
	if (ssh_connect(w->session) != SSH_AGAIN)
		return ERR_ORDER;
	wire_socket_connected(w);
	return 0;
}

int
wire_libssh_open(struct wire *w, const struct wire_lists *l, uint64_t rekey_bytes)
{
	struct wire *before = enter(w);
	int r = -ENOMEM;

	w->session = ssh_new();
	if (w->session == NULL)
		goto out;
	r = watch_packets(w);
	if (r != 0)
		goto out;
	r = w->role == WIRE_SERVER ? open_server(w, l, rekey_bytes)
				   : open_client(w, l, rekey_bytes);
out:
	leave(before);
	return r;
}

void
wire_libssh_close(struct wire *w)
{
	struct wire *before = enter(w);

	if (w->session != NULL)
		ssh_free(w->session);
	w->session = NULL;
	free(w->packet_callbacks);
	w->packet_callbacks = NULL;
	leave(before);
}

size_t
wire_libssh_feed(struct wire *w, uint8_t *p, size_t len)
{
	struct wire *before = enter(w);
	size_t n = wire_socket_feed(w, p, len);

	leave(before);
	return n;
}

bool
wire_libssh_encrypted(const struct wire *w)
{
	return ssh_get_cipher_in(w->session) != NULL;
}

const char *
wire_libssh_error(const struct wire *w)
{
	const char *text;

	if (wire_socket_is_open(w) &&
	    (ssh_get_status(w->session) & (SSH_CLOSED | SSH_CLOSED_ERROR)) == 0)
		return NULL;
	text = ssh_get_error(w->session);
	return text == NULL || text[0] == '\0' ? "the key exchange failed" : text;
}

int
wire_libssh_send(struct wire *w)
{
	struct wire *before = enter(w);
	int r;

	/* Packs three values into the session's out buffer and sends it: the way to send any message. */
	r = ssh_packet_send_unimplemented(w->session, 0);
	leave(before);
	return r == SSH_OK && !w->raw.armed ? 0 : -ENOMEM;
}

int
wire_libssh_ready(struct wire *w)
{
	static const uint8_t info[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
		0 };
	struct wire *before;
	ssh_buffer b;

	if (w->role == WIRE_CLIENT)
		return 0;
	/*
	 * libssh lets an INFO_RESPONSE through only after a request of its own. The requests are the owner's, so
	 * it is told, with the handler that a client has for it, that one (with one empty prompt) is outstanding.
	 */
	b = ssh_buffer_new();
	if (b == NULL || ssh_buffer_add_data(b, info, sizeof(info)) != 0) {
		ssh_buffer_free(b);
		return -ENOMEM;
	}
	before = enter(w);
	ssh_packet_userauth_info_request(w->session, MSG_INFO_REQUEST, b, NULL);
	leave(before);
	ssh_buffer_free(b);
	return 0;
}

int
wire_libssh_accept(struct wire *w)
{
	struct wire *before = enter(w);
	int r = ssh_auth_reply_success(w->session, 0);

	leave(before);
	return r == SSH_OK ? 0 : -ENOMEM;
}

int
wire_libssh_service(struct wire *w)
{
	struct wire *before = enter(w);
	/* libssh wants to have said itself that the connection stands. */
	int r = ssh_connect(w->session);

	/* Asks for the service, and would send a request "none" when the service is there: it is not yet. */
	if (r == SSH_OK)
		r = ssh_userauth_none(w->session, NULL);
	leave(before);
	return r == SSH_AUTH_AGAIN ? 0 : ERR_ORDER;
}

int
wire_libssh_request(struct wire *w)
{
	struct wire *before = enter(w);
	/* The same again; what is packed now is w->raw, and libssh waits for the answer to a request. */
	int r = ssh_userauth_none(w->session, NULL);

	leave(before);
	return r == SSH_AUTH_AGAIN && !w->raw.armed ? 0 : ERR_ORDER;
}

void
wire_libssh_logged_in(struct wire *w, uint8_t type, void *packet)
{
	ssh_packet_userauth_success(w->session, type, packet, NULL);
}

int
wire_libssh_rekey(struct wire *w)
{
	struct wire *before = enter(w);
	int r = ssh_send_rekex(w->session);

	leave(before);
	return r == SSH_OK ? 0 : ERR_ORDER;
}

/* One name, or both directions when they differ. */
static int
put_pair(char *ret, size_t max, const char *in, const char *out)
{
	in = in == NULL ? "" : in;
	out = out == NULL ? "" : out;
	if (strcmp(in, out) == 0)
		return str_format(ret, max, "%s", in);
	return str_format(ret, max, "%s/%s", in, out);
}

int
wire_libssh_names(const struct wire *w, char *ret, size_t max)
{
	ssh_session s = w->session;
	const char *kex = ssh_get_kex_algo(s);
	char cipher[96], mac[96];
	int r;

	r = put_pair(cipher, sizeof(cipher), ssh_get_cipher_in(s), ssh_get_cipher_out(s));
	if (r == 0)
		r = put_pair(mac, sizeof(mac), ssh_get_hmac_in(s), ssh_get_hmac_out(s));
	if (r == 0)
		r = str_format(ret, max, "%s %s %s", kex == NULL ? "" : kex, cipher, mac);
	return r;
}

const char *
wire_libssh_peer_version(const struct wire *w)
{
	return w->role == WIRE_SERVER ? ssh_get_clientbanner(w->session)
				      : ssh_get_serverbanner(w->session);
}

int
wire_libssh_init(void)
{
	return ssh_init() == SSH_OK ? 0 : ERR_CRYPTO;
}
