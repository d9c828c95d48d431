/*
 * Writes certificates that ssh can show, right and wrong, for 44-cert-sshd.sh: cert_tool DIR LOGIN makes DIR/key (private),
 * DIR/ca.pub and DIR/NAME-cert.pub for each vector.
 */
#include "config.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/str.h"
#include "tests/lib/ssh_make.h"

#define NAMES_MAX 256u

/* What differs from a good certificate. */
struct vector {
	const char *name;
	uint32_t type;		    /* 0: user */
	const char *principal;	    /* NULL: the login; "-": none at all */
	size_t n_names;		    /* so many, of which the second is the login */
	int64_t after, before;	    /* seconds from now, when not 0 */
	uint64_t after_s, before_s; /* or these */
	const char *critical[3][2]; /* name, value; value NULL: none */
	const char *raw_name;	    /* a critical option, its string verbatim: */
	const void *raw;
	size_t raw_len;
	const char *extension;
	const char *key_id;
	size_t key_id_len;
	uint64_t serial;
	int signer; /* 1: by its own key, 2: by a CA that nobody trusts */
};

#define FORCE "force-command"
#define SOURCE "source-address"

static const struct vector vectors[] = {
	{ .name = "good" },
	{ .name = "host", .type = 2 },
	{ .name = "second-of-256", .n_names = 256 },
	{ .name = "no-principal", .principal = "-" },
	{ .name = "empty-principal", .principal = "" },
	{ .name = "list-in-one", .n_names = 1 },
	{ .name = "star", .principal = "*" },
	{ .name = "other", .principal = "nobody-here" },
	{ .name = "expired", .after = -7200, .before = -3600 },
	{ .name = "early", .after = 3600, .before = 7200 },
	{ .name = "before-0", .after_s = 0, .before_s = 1 },
	{ .name = "for-ever", .before_s = UINT64_MAX },
	{ .name = "unsigned", .before_s = (1ull << 63) + 5 },
	{ .name = "after-unsigned", .after_s = 1ull << 63, .before_s = UINT64_MAX },
	{ .name = "unknown-critical", .critical = { { "unheard@of", "1" } } },
	{ .name = "unknown-extension", .extension = "unheard@of" },
	{ .name = "force", .critical = { { FORCE, "true" } } },
	{ .name = "force-twice", .critical = { { FORCE, "true" }, { FORCE, "true" } } },
	{ .name = "force-empty", .critical = { { FORCE, "" } } },
	{ .name = "force-tail", .raw_name = FORCE, .raw = "\0\0\0\4true!", .raw_len = 9 },
	{ .name = "force-nul", .raw_name = FORCE, .raw = "\0\0\0\5tr\0ue", .raw_len = 9 },
	{ .name = "order", .critical = { { SOURCE, "127.0.0.1" }, { FORCE, "true" } } },
	{ .name = "verify-required", .raw_name = "verify-required", .raw = "", .raw_len = 0 },
	{ .name = "source-here", .critical = { { SOURCE, "127.0.0.0/8" } } },
	{ .name = "source-twice",
	    .critical = { { SOURCE, "127.0.0.1" }, { SOURCE, "127.0.0.1" } } },
	{ .name = "source-other", .critical = { { SOURCE, "10.0.0.0/8" } } },
	{ .name = "source-list", .critical = { { SOURCE, "10.0.0.0/8,127.0.0.1" } } },
	{ .name = "source-six", .critical = { { SOURCE, "::1/128" } } },
	{ .name = "source-mapped", .critical = { { SOURCE, "::ffff:127.0.0.1" } } },
	{ .name = "source-any-six", .critical = { { SOURCE, "::/0" } } },
	{ .name = "source-33", .critical = { { SOURCE, "127.0.0.1/33" } } },
	{ .name = "source-host-bits", .critical = { { SOURCE, "127.0.0.1/8" } } },
	{ .name = "source-empty", .critical = { { SOURCE, "" } } },
	{ .name = "source-name", .critical = { { SOURCE, "localhost" } } },
	{ .name = "source-short", .critical = { { SOURCE, "127.1" } } },
	{ .name = "source-blank", .critical = { { SOURCE, "10.0.0.1, 127.0.0.1" } } },
	{ .name = "source-spoiled", .critical = { { SOURCE, "127.0.0.1,nonsense" } } },
	{ .name = "self-signed", .signer = 1 },
	{ .name = "unknown-ca", .signer = 2 },
	{ .name = "revoked-serial", .serial = 99 },
	{ .name = "revoked-id", .key_id = "revoked" },
	{ .name = "odd-id", .key_id = "a\nb\x1b[31m\xff\"" },
	{ .name = "long-id", .key_id_len = 1100 },
};

static struct make_key *subject, *ca, *stranger;

static void
write_text(const char *dir, const char *name, const char *type, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert(f != NULL);
	assert(fprintf(f, "%s%s%s\n", type, *type != '\0' ? " " : "", text) > 0);
	assert(fclose(f) == 0);
}

static struct buf *
critical_of(const struct vector *v)
{
	struct buf *b = buf_new(4096);

	assert(b != NULL);
	for (size_t i = 0; i < 3 && v->critical[i][0] != NULL; i++)
		make_option(b, v->critical[i][0], v->critical[i][1]);
	if (v->raw_name != NULL)
		make_option_raw(b, v->raw_name, v->raw, v->raw_len);
	return b;
}

static void
fill(struct make_cert *c, const struct vector *v, const char *login, const char **names)
{
	static char joined[128];
	uint64_t now_s = (uint64_t)time(NULL);

	names[0] = v->principal != NULL ? v->principal : login;
	c->n_principals = v->principal != NULL && strcmp(v->principal, "-") == 0 ? 0 : 1;
	if (v->n_names == 1) {
		(void)snprintf(joined, sizeof(joined), "%s,other", login);
		names[0] = joined;
	} else if (v->n_names > 1) {
		for (size_t i = 0; i < v->n_names; i++)
			names[i] = i == 1 ? login : "nobody-here";
		c->n_principals = v->n_names;
	}
	c->principals = names;
	c->after = v->after != 0			 ? now_s + (uint64_t)v->after
		   : v->after_s != 0 || v->before_s != 0 ? v->after_s
							 : now_s - 60;
	c->before = v->before != 0     ? now_s + (uint64_t)v->before
		    : v->before_s != 0 ? v->before_s
				       : now_s + 3600;
}

static void
write_vector(const char *dir, const char *login, const struct vector *v)
{
	static char long_id[2048];
	const char *names[NAMES_MAX];
	struct buf *critical = critical_of(v), *extensions = buf_new(256);
	struct make_cert c = { .key = subject,
		.ca = v->signer == 1   ? subject
		      : v->signer == 2 ? stranger
				       : ca,
		.type = v->type != 0 ? v->type : 1,
		.serial = v->serial != 0 ? v->serial : 7,
		.key_id = v->key_id != NULL ? v->key_id : v->name,
		.critical = critical,
		.extensions = extensions };
	char name[64], *b64;
	uint8_t *blob;
	size_t len;

	assert(extensions != NULL);
	if (v->extension != NULL)
		make_option(extensions, v->extension, "1");
	if (v->key_id_len > 0) {
		memset(long_id, 'x', v->key_id_len);
		c.key_id = long_id;
	}
	fill(&c, v, login, names);
	blob = make_cert(&c, &len);
	b64 = str_base64(blob, len);
	(void)snprintf(name, sizeof(name), "%s-cert.pub", v->name);
	write_text(dir, name, "ecdsa-sha2-nistp256-cert-v01@openssh.com", b64);
	free(b64);
	free(blob);
	buf_free(critical);
	buf_free(extensions);
}

int
main(int argc, char **argv)
{
	char path[512], *line;

	if (argc != 3)
		return 2;
	subject = make_key_new(SSHKEY_ECDSA_256, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	stranger = make_key_new(SSHKEY_ED25519, 0);
	(void)snprintf(path, sizeof(path), "%s/key", argv[1]);
	make_key_write(subject, path);
	line = make_key_line(ca, "ca");
	write_text(argv[1], "ca.pub", "", line);
	free(line);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		write_vector(argv[1], argv[2], &vectors[i]);
	make_key_free(subject);
	make_key_free(ca);
	make_key_free(stranger);
	return 0;
}
