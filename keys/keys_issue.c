/* Writing user certificates. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_issue.h"
#include "lib/net.h"
#include "lib/str.h"

#define CERT_TYPE_USER 1u /* SSH_CERT_TYPE_USER */
#define NONCE_LEN 32u
#define BODY_MAX 65536u
#define OPTIONS_MAX 16384u
#define CERT_MAX 30000u /* bytes; a login request has room for it (RFC 4253 section 6.1) */

static const char *const cert_types[SSHKEY_N_TYPES] = {
	[SSHKEY_ED25519] = "ssh-ed25519-cert-v01@openssh.com",
	[SSHKEY_ECDSA_256] = "ecdsa-sha2-nistp256-cert-v01@openssh.com",
	[SSHKEY_ECDSA_384] = "ecdsa-sha2-nistp384-cert-v01@openssh.com",
	[SSHKEY_ECDSA_521] = "ecdsa-sha2-nistp521-cert-v01@openssh.com",
	[SSHKEY_RSA] = "ssh-rsa-cert-v01@openssh.com",
	[SSHKEY_SK_ED25519] = "sk-ssh-ed25519-cert-v01@openssh.com",
	[SSHKEY_SK_ECDSA] = "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
};

/* What ssh-keygen gives by default and the bastion has a use for, in the order that it wants. */
static const char *const extensions[] = { "permit-X11-forwarding", "permit-agent-forwarding",
	"permit-port-forwarding", "permit-pty" };

bool
keys_key_is_user_ca(const char *name)
{
	return str_starts(name, KEYS_USER_CA_PREFIX);
}

static int
wrong(const char **ret_why, int err, const char *why)
{
	*ret_why = why;
	return err;
}

/* Printable ASCII without blanks at its ends: what cannot be mistaken for something else. */
static bool
is_text(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return len > 0 && s[0] != ' ' && s[len - 1] != ' ';
}

static bool
is_principal(const char *s)
{
	return is_text(s) && strpbrk(s, " ,*?!") == NULL;
}

/* Networks with commas between, as sshd and policy read them. */
static bool
are_sources(const char *list)
{
	char copy[KEYS_ISSUE_TEXT_MAX + 1], *next = copy, *one;
	struct net_prefix prefix;
	size_t n = 0;

	if (str_copy(copy, sizeof(copy), list) != 0)
		return false;
	while ((one = strsep(&next, ",")) != NULL)
		if (++n > KEYS_ISSUE_SOURCES_MAX || net_prefix_parse(one, &prefix) != 0)
			return false;
	return true;
}

static int
read_key(struct buf *b, struct keys_issue *q, const char **ret_why)
{
	struct sshkey *key = NULL;
	int r = buf_get_str(b, &q->key_blob, &q->key_blob_len);

	if (r != 0)
		return r;
	r = sshkey_parse(q->key_blob, q->key_blob_len, &key);
	if (r == 0)
		q->type = sshkey_type(key);
	sshkey_free(key);
	return r == 0 || r == -ENOMEM
		   ? r
		   : wrong(ret_why, ERR_FORMAT, "that is no public key that can be certified");
}

static int
read_principals(struct buf *b, struct keys_issue *q, const char **ret_why)
{
	uint32_t n;
	int r = buf_get_u32(b, &n);

	if (r != 0)
		return r;
	if (n == 0 || n > KEYS_ISSUE_PRINCIPALS_MAX)
		return wrong(ret_why, ERR_LIMIT, "a certificate has 1 to 64 principals");
	for (q->n_principals = 0; q->n_principals < n; q->n_principals++) {
		char *p = q->principals[q->n_principals];

		if ((r = buf_get_cstr(b, p, sizeof(q->principals[0]))) != 0)
			return r;
		if (!is_principal(p))
			return wrong(ret_why, ERR_FORMAT,
			    "a principal is 1 to 255 printable characters, without blanks and none "
			    "of , * ? !");
	}
	return 0;
}

static int
check(const struct keys_issue *q, const char **ret_why)
{
	if (q->serial == 0)
		return wrong(ret_why, ERR_FORMAT, "a serial number begins at 1");
	if (!is_text(q->key_id))
		return wrong(ret_why, ERR_FORMAT, "a key id is 1 to 255 printable characters");
	if (q->after_s >= q->before_s)
		return wrong(ret_why, ERR_FORMAT, "it would end before it begins");
	if (q->command[0] != '\0' && !is_text(q->command))
		return wrong(ret_why, ERR_FORMAT, "a forced command is one line of printable text");
	if (q->sources[0] != '\0' && !are_sources(q->sources))
		return wrong(ret_why, ERR_FORMAT,
		    "source addresses are networks as 10.0.0.0/8 with commas between, no bits set "
		    "behind the prefix");
	return 0;
}

int
keys_issue_read(struct buf *b, struct keys_issue *ret_q, const char **ret_why)
{
	uint8_t clear;
	int r;

	*ret_why = NULL;
	if ((r = read_key(b, ret_q, ret_why)) != 0 || (r = buf_get_u64(b, &ret_q->serial)) != 0 ||
	    (r = buf_get_cstr(b, ret_q->key_id, sizeof(ret_q->key_id))) != 0 ||
	    (r = read_principals(b, ret_q, ret_why)) != 0 ||
	    (r = buf_get_u64(b, &ret_q->after_s)) != 0 ||
	    (r = buf_get_u64(b, &ret_q->before_s)) != 0 ||
	    (r = buf_get_cstr(b, ret_q->command, sizeof(ret_q->command))) != 0 ||
	    (r = buf_get_cstr(b, ret_q->sources, sizeof(ret_q->sources))) != 0 ||
	    (r = buf_get_u8(b, &clear)) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (clear > 1)
		return ERR_FORMAT;
	ret_q->clear = clear == 1;
	return check(ret_q, ret_why);
}

/* string name, string (string value): an option with a value. */
static int
put_option(struct buf *list, const char *name, const char *value)
{
	uint32_t len = (uint32_t)strlen(value); /* at most KEYS_ISSUE_TEXT_MAX */
	int r;

	if (value[0] == '\0')
		return 0;
	if ((r = buf_put_cstr(list, name)) != 0 || (r = buf_put_u32(list, len + 4)) != 0)
		return r;
	return buf_put_cstr(list, value);
}

static int
put_critical(const struct keys_issue *q, struct buf *list)
{
	int r = put_option(list, "force-command", q->command);

	return r != 0 ? r : put_option(list, "source-address", q->sources);
}

static int
put_extensions(const struct keys_issue *q, struct buf *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && !q->clear && i < sizeof(extensions) / sizeof(extensions[0]);
	     i++)
		if ((r = buf_put_cstr(list, extensions[i])) == 0)
			r = buf_put_cstr(list, "");
	return r;
}

static int
put_principals(const struct keys_issue *q, struct buf *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->n_principals; i++)
		r = buf_put_cstr(list, q->principals[i]);
	return r;
}

/* A string that holds what put writes. */
static int
put_list(struct buf *b, const struct keys_issue *q,
    int (*put)(const struct keys_issue *q, struct buf *list))
{
	struct buf *list = buf_new(OPTIONS_MAX + KEYS_ISSUE_PRINCIPALS_MAX * KEYS_ISSUE_NAME_MAX);
	int r = list == NULL ? -ENOMEM : put(q, list);

	if (r == 0)
		r = buf_put_str(b, buf_ptr(list), buf_len(list));
	buf_free(list);
	return r;
}

/* Everything that is signed. The key's fields are those of its blob, behind the type name. */
static int
put_body(const struct keys_key *ca, const struct keys_issue *q, struct buf *b)
{
	size_t name_len = 4 + strlen(sshkey_type_name(q->type));
	uint8_t nonce[NONCE_LEN];
	int r;

	randombytes_buf(nonce, sizeof(nonce));
	if ((r = buf_put_cstr(b, cert_types[q->type])) != 0 ||
	    (r = buf_put_str(b, nonce, sizeof(nonce))) != 0 ||
	    (r = buf_put(b, q->key_blob + name_len, q->key_blob_len - name_len)) != 0 ||
	    (r = buf_put_u64(b, q->serial)) != 0 || (r = buf_put_u32(b, CERT_TYPE_USER)) != 0 ||
	    (r = buf_put_cstr(b, q->key_id)) != 0 || (r = put_list(b, q, put_principals)) != 0 ||
	    (r = buf_put_u64(b, q->after_s)) != 0 || (r = buf_put_u64(b, q->before_s)) != 0 ||
	    (r = put_list(b, q, put_critical)) != 0 || (r = put_list(b, q, put_extensions)) != 0 ||
	    (r = buf_put_cstr(b, "")) != 0)
		return r;
	return buf_put_str(b, ca->blob, ca->blob_len);
}

int
keys_issue_cert(const struct keys_key *ca, const struct keys_issue *q, struct buf *ret_cert)
{
	const char *alg = ca->type == SSHKEY_RSA ? "rsa-sha2-512" : sshkey_type_name(ca->type);
	struct buf *b = buf_new(BODY_MAX), *sig = buf_new(SSHKEY_SIG_MAX);
	int r = -ENOMEM;

	if (b == NULL || sig == NULL)
		goto out;
	if ((r = put_body(ca, q, b)) != 0 ||
	    (r = keys_key_sign(ca, alg, buf_ptr(b), buf_len(b), sig)) != 0 ||
	    (r = buf_put_str(b, buf_ptr(sig), buf_len(sig))) != 0)
		goto out;
	r = buf_len(b) > CERT_MAX ? ERR_LIMIT : buf_put(ret_cert, buf_ptr(b), buf_len(b));
out:
	buf_free(b);
	buf_free(sig);
	return r;
}

char *
keys_issue_line(const struct keys_issue *q, const struct buf *cert)
{
	char *base64 = str_base64(buf_ptr(cert), buf_len(cert)), *line = NULL;

	if (base64 != NULL &&
	    asprintf(&line, "%s %s %s", cert_types[q->type], base64, q->key_id) < 0)
		line = NULL;
	free(base64);
	return line;
}
