/* The certificate reader: one function per part of PROTOCOL.certkeys, tables for its options. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/str.h"
#include "policy/algs.h"
#include "policy/cert.h"

#define TYPE_SIZE 64	     /* bytes of the longest type name, with its NUL */
#define OPTION_NAME_SIZE 256 /* bytes of an option name, with its NUL */
#define COMMAND_MAX 32768u   /* bytes of a forced command */
#define HOST_SIZE 256

/* A reader's errors all end here, with the words for the audit event. */
static int
bad(const char **why, int err, const char *text)
{
	*why = text;
	return err;
}

/* A string without NUL inside, as a C string of its own. */
static int
get_text(struct buf *b, size_t max, char **ret_s)
{
	const uint8_t *p;
	size_t len;
	char *s;
	int r = buf_get_str(b, &p, &len);

	if (r != 0)
		return r;
	if (len > max || memchr(p, '\0', len) != NULL)
		return ERR_FORMAT;
	if ((s = malloc(len + 1)) == NULL)
		return -ENOMEM;
	memcpy(s, p, len);
	s[len] = '\0';
	*ret_s = s;
	return 0;
}

static int
get_bytes(struct buf *b, uint8_t **ret_p, size_t *ret_len)
{
	const uint8_t *p;
	uint8_t *copy;
	size_t len;
	int r = buf_get_str(b, &p, &len);

	if (r != 0)
		return r;
	if ((copy = malloc(len > 0 ? len : 1)) == NULL)
		return -ENOMEM;
	memcpy(copy, p, len);
	*ret_p = copy;
	*ret_len = len;
	return 0;
}

/* Type name, nonce, and the subject's key fields, from which its plain blob is put together. */
static int
get_subject(struct buf *b, struct cert *c, const char **why)
{
	const struct algs_alg *alg;
	const uint8_t *skip, *fields;
	struct buf *plain = NULL;
	char type[TYPE_SIZE];
	size_t skip_len, before;
	int r;

	if (buf_get_cstr(b, type, sizeof(type)) != 0)
		return bad(why, ERR_FORMAT, "no type name");
	if ((alg = algs_find_cert_type(type)) == NULL)
		return bad(why, ERR_NOT_FOUND, "not a known certificate type");
	c->blob_type = alg->blob_type;
	if (buf_get_str(b, &skip, &skip_len) != 0)
		return bad(why, ERR_FORMAT, "no nonce");
	fields = buf_ptr(b);
	before = buf_len(b);
	if ((r = sshkey_get(b, alg->type, &c->key)) != 0)
		return bad(why, r,
		    r == ERR_LIMIT ? "key size not accepted" : "malformed key in the certificate");
	if ((plain = buf_new(SSHKEY_BLOB_MAX)) == NULL)
		return -ENOMEM;
	r = buf_put_cstr(plain, sshkey_type_name(alg->type));
	if (r == 0)
		r = buf_put(plain, fields, before - buf_len(b));
	if (r == ERR_LIMIT)
		r = bad(why, r, "key size not accepted");
	if (r == 0) {
		c->key_blob_len = buf_len(plain);
		if ((c->key_blob = malloc(c->key_blob_len)) == NULL)
			r = -ENOMEM;
		else
			memcpy(c->key_blob, buf_ptr(plain), c->key_blob_len);
	}
	buf_free(plain);
	return r;
}

static int
get_principals(struct buf *b, struct cert *c, const char **why)
{
	const uint8_t *p;
	size_t len;
	struct buf *list;
	int r = 0;

	if (buf_get_str(b, &p, &len) != 0)
		return bad(why, ERR_FORMAT, "no principals field");
	if ((list = buf_view(p, len)) == NULL)
		return -ENOMEM;
	c->principals = calloc(CERT_PRINCIPALS_MAX, sizeof(char *));
	if (c->principals == NULL)
		r = -ENOMEM;
	while (r == 0 && buf_len(list) > 0) {
		if (c->n_principals == CERT_PRINCIPALS_MAX) {
			r = bad(why, ERR_LIMIT, "too many principals");
			break;
		}
		r = get_text(list, CERT_BLOB_MAX, &c->principals[c->n_principals]);
		if (r == 0)
			c->n_principals++;
		else if (r == ERR_FORMAT)
			*why = "malformed principal";
	}
	buf_free(list);
	return r;
}

static int
option_force_command(struct cert *c, struct buf *data, const char **why)
{
	int r;

	if (c->force_command != NULL)
		return bad(why, ERR_DENIED, "force-command is there twice");
	if ((r = get_text(data, COMMAND_MAX, &c->force_command)) != 0)
		return r == ERR_FORMAT ? bad(why, r, "malformed force-command") : r;
	/* Targets take an empty command for a wish for a shell. */
	return c->force_command[0] != '\0' ? 0 : bad(why, ERR_DENIED, "empty force-command");
}

/* Networks with commas between; a list that is empty, or one wrong entry, spoils the certificate. */
static int
parse_sources(struct cert *c, char *text, const char **why)
{
	char *next = text, *one;

	c->sources = calloc(CERT_SOURCES_MAX, sizeof(*c->sources));
	if (c->sources == NULL)
		return -ENOMEM;
	while ((one = strsep(&next, ",")) != NULL) {
		if (c->n_sources == CERT_SOURCES_MAX)
			return bad(why, ERR_LIMIT, "too many networks in source-address");
		if (net_prefix_parse(one, &c->sources[c->n_sources]) != 0)
			return bad(why, ERR_FORMAT, "malformed source-address");
		c->n_sources++;
	}
	return 0;
}

static int
option_source_address(struct cert *c, struct buf *data, const char **why)
{
	char *text = NULL;
	int r;

	if (c->has_sources)
		return bad(why, ERR_DENIED, "source-address is there twice");
	c->has_sources = true;
	if ((r = get_text(data, CERT_BLOB_MAX, &text)) != 0)
		return r == ERR_FORMAT ? bad(why, r, "malformed source-address") : r;
	r = parse_sources(c, text, why);
	free(text);
	return r;
}

static int
option_verify_required(struct cert *c, struct buf *data, const char **why)
{
	(void)data;
	(void)why;
	c->verify_required = true;
	return 0;
}

/* Critical options: one that is not here makes the certificate useless (PROTOCOL.certkeys). */
static const struct {
	const char *name;
	int (*read)(struct cert *c, struct buf *data, const char **why);
} criticals[] = {
	{ "force-command", option_force_command },
	{ "source-address", option_source_address },
	{ "verify-required", option_verify_required },
};

/* Extensions: one that is not here has no effect. */
static const struct {
	const char *name;
	enum cert_permit permit;
} extensions[] = {
	{ "permit-pty", CERT_PERMIT_PTY },
	{ "permit-port-forwarding", CERT_PERMIT_PORT_FORWARDING },
	{ "permit-agent-forwarding", CERT_PERMIT_AGENT_FORWARDING },
	{ "permit-X11-forwarding", CERT_PERMIT_X11_FORWARDING },
	{ "permit-user-rc", CERT_PERMIT_USER_RC },
	{ "no-touch-required", CERT_NO_TOUCH_REQUIRED },
};

/* ret_known: whether the option means something here, so that bytes which it leaves are a fault. */
static int
read_critical(struct cert *c, const char *name, struct buf *data, bool *ret_known, const char **why)
{
	for (size_t i = 0; i < sizeof(criticals) / sizeof(criticals[0]); i++)
		if (strcmp(criticals[i].name, name) == 0) {
			*ret_known = true;
			return criticals[i].read(c, data, why);
		}
	return bad(why, ERR_DENIED, "unknown critical option");
}

static int
read_extension(
    struct cert *c, const char *name, struct buf *data, bool *ret_known, const char **why)
{
	(void)data;
	(void)why;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (strcmp(extensions[i].name, name) == 0) {
			*ret_known = true;
			c->permits |= extensions[i].permit;
		}
	return 0;
}

typedef int (*option_fn)(
    struct cert *c, const char *name, struct buf *data, bool *ret_known, const char **why);

static int
get_option(struct buf *list, struct cert *c, option_fn read, const char **why)
{
	char name[OPTION_NAME_SIZE];
	const uint8_t *p;
	struct buf *data;
	bool known = false;
	size_t len;
	int r;

	if (buf_get_cstr(list, name, sizeof(name)) != 0 || buf_get_str(list, &p, &len) != 0)
		return bad(why, ERR_FORMAT, "malformed option");
	if ((data = buf_view(p, len)) == NULL)
		return -ENOMEM;
	r = read(c, name, data, &known, why);
	if (r == 0 && known && buf_end(data) != 0)
		r = bad(why, ERR_FORMAT, "trailing bytes in an option");
	buf_free(data);
	return r;
}

static int
get_options(struct buf *b, struct cert *c, option_fn read, const char **why)
{
	struct buf *list;
	const uint8_t *p;
	size_t len;
	int r = 0;

	if (buf_get_str(b, &p, &len) != 0)
		return bad(why, ERR_FORMAT, "no options field");
	if ((list = buf_view(p, len)) == NULL)
		return -ENOMEM;
	while (r == 0 && buf_len(list) > 0)
		r = get_option(list, c, read, why);
	buf_free(list);
	return r;
}

/* A CA is a plain key: one that is itself a certificate would let anybody with a certificate be a CA. */
static int
check_ca_type(const struct cert *c, const char **why)
{
	struct buf *b = buf_view(c->ca_blob, c->ca_blob_len);
	enum sshkey_type type;
	char name[TYPE_SIZE];
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	if (buf_get_cstr(b, name, sizeof(name)) != 0)
		r = bad(why, ERR_FORMAT, "malformed CA key");
	else if (algs_find_cert_type(name) != NULL)
		r = bad(why, ERR_DENIED, "signed by a certificate, not by a CA key");
	else if (sshkey_type_find(name, strlen(name), &type) != 0)
		r = bad(why, ERR_DENIED, "the CA key's type is not accepted");
	buf_free(b);
	return r;
}

static int
get_signer(struct buf *b, struct cert *c, size_t len, const char **why)
{
	const uint8_t *skip;
	size_t skip_len;
	int r;

	if (buf_get_str(b, &skip, &skip_len) != 0)
		return bad(why, ERR_FORMAT, "no reserved field");
	if ((r = get_bytes(b, &c->ca_blob, &c->ca_blob_len)) != 0)
		return r == ERR_FORMAT ? bad(why, r, "no CA key") : r;
	if ((r = check_ca_type(c, why)) != 0)
		return r;
	c->signed_len = len - buf_len(b);
	if ((r = get_bytes(b, &c->sig, &c->sig_len)) != 0)
		return r == ERR_FORMAT ? bad(why, r, "no signature") : r;
	return buf_end(b) == 0 ? 0 : bad(why, ERR_FORMAT, "trailing bytes");
}

static int
get_body(struct buf *b, struct cert *c, size_t len, const char **why)
{
	uint32_t type;
	int r;

	if ((r = get_subject(b, c, why)) != 0)
		return r;
	if (buf_get_u64(b, &c->serial) != 0 || buf_get_u32(b, &type) != 0)
		return bad(why, ERR_FORMAT, "no serial or type");
	if (type != CERT_USER && type != CERT_HOST)
		return bad(why, ERR_DENIED, "neither a user nor a host certificate");
	c->type = (enum cert_type)type;
	if ((r = get_text(b, CERT_KEY_ID_MAX, &c->key_id)) != 0)
		return r == ERR_FORMAT ? bad(why, r, "malformed key id") : r;
	if ((r = get_principals(b, c, why)) != 0)
		return r;
	if (buf_get_u64(b, &c->valid_after) != 0 || buf_get_u64(b, &c->valid_before) != 0)
		return bad(why, ERR_FORMAT, "no validity");
	if ((r = get_options(b, c, read_critical, why)) != 0 ||
	    (r = get_options(b, c, read_extension, why)) != 0)
		return r;
	return get_signer(b, c, len, why);
}

int
cert_parse(const uint8_t *blob, size_t len, struct cert **ret_cert, const char **ret_why)
{
	const char *why = NULL;
	struct buf *b;
	struct cert *c;
	int r = -ENOMEM;

	if (len > CERT_BLOB_MAX) {
		if (ret_why != NULL)
			*ret_why = "too long";
		return ERR_LIMIT;
	}
	b = buf_view(blob, len);
	c = calloc(1, sizeof(*c));
	if (b == NULL || c == NULL)
		goto out;
	if ((r = get_body(b, c, len, &why)) != 0) {
		if (ret_why != NULL && why != NULL)
			*ret_why = why;
		goto out;
	}
	*ret_cert = c;
	c = NULL;
out:
	cert_free(c);
	buf_free(b);
	return r;
}

void
cert_free(struct cert *c)
{
	if (c == NULL)
		return;
	sshkey_free(c->key);
	free(c->key_blob);
	free(c->key_id);
	for (size_t i = 0; i < c->n_principals; i++)
		free(c->principals[i]);
	free(c->principals);
	free(c->force_command);
	free(c->sources);
	free(c->ca_blob);
	free(c->sig);
	free(c);
}

int
cert_verify(const struct cert *c, const uint8_t *blob, const struct sshkey *ca, unsigned rsa_bits)
{
	if (sshkey_type(ca) == SSHKEY_RSA && sshkey_bits(ca) < rsa_bits)
		return ERR_LIMIT;
	return sshkey_verify(ca, NULL, 0, c->sig, c->sig_len, blob, c->signed_len, NULL);
}

const char *
cert_check_time(const struct cert *c, uint64_t now_s)
{
	if (now_s < c->valid_after)
		return "not yet valid";
	return now_s < c->valid_before ? NULL : "expired";
}

bool
cert_source_allowed(const struct cert *c, const struct net_addr *addr)
{
	if (!c->has_sources)
		return true;
	for (size_t i = 0; i < c->n_sources; i++)
		if (net_prefix_has(&c->sources[i], addr))
			return true;
	return false;
}

bool
cert_has_principal(const struct cert *c, const char *name)
{
	for (size_t i = 0; i < c->n_principals; i++)
		if (strcmp(c->principals[i], name) == 0)
			return true;
	return false;
}

static int
lower_copy(char *dst, size_t size, const char *src)
{
	int r = str_copy(dst, size, src);

	for (char *p = dst; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return r;
}

bool
cert_names_host(const struct cert *c, const char *host)
{
	char want[HOST_SIZE], have[HOST_SIZE];

	if (lower_copy(want, sizeof(want), host) != 0 || want[0] == '\0')
		return false;
	for (size_t i = 0; i < c->n_principals; i++)
		if (lower_copy(have, sizeof(have), c->principals[i]) == 0 && str_match(have, want))
			return true;
	return false;
}
