/* ca new, ca issue: a CA of user certificates in the vault, and what it signs. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/ca.h"
#include "bastionctl/cmd.h"
#include "bastionctl/vault.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/num.h"
#include "lib/sshkey.h"
#include "lib/str.h"
#include "policy/policy.h"

#define REQUEST_MAX 32768u
#define PRINCIPALS_MAX 64u
#define KEY_ID_SIZE 256u
#define DEFAULT_SPAN "8h"
#define EARLY_S 60u    /* a certificate begins a little in the past: clocks differ */
#define RSA_BITS 3072u /* that policy asks for */

/* bastiond does not start without the list that it is told to read: an empty one, where none is configured yet. */
static int
make_list(const struct cmd_ctx *c)
{
	char path[PATH_MAX];
	struct buf *list = buf_new(256);
	int r = list == NULL ? -ENOMEM : 0;

	if (r == 0 && c->revoked[0] == '\0' &&
	    (r = file_relative(c->conf_file, "revoked.krl", path, sizeof(path))) == 0 &&
	    (r = policy_krl_revoke(NULL, 0, clock_wall_ns() / CLOCK_NS_PER_S, NULL, 0, list)) == 0)
		r = file_create(path, 0644, buf_ptr(list), buf_len(list));
	buf_free(list);
	return r == 0 || r == ERR_EXISTS ? CMD_YES
					 : cmd_fail(CMD_UNSURE, "revoked.krl: %s", err_str(r));
}

static int
ca_new_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *type = cmd_opt(c, "--type");
	char *line = NULL, *text = NULL;
	struct ca ca;
	int code, r;

	(void)n_args;
	if ((code = ca_named(c, args[0], &ca)) != CMD_YES ||
	    (code = vault_request(c, KEYS_ADM_GENERATE, ca.key, type != NULL ? type : "ed25519", -1,
		 &line)) != CMD_YES)
		return code;
	if (asprintf(&text, "%s\n", line) < 0)
		text = NULL;
	r = text == NULL ? -ENOMEM : file_create(ca.pub, 0644, text, strlen(text));
	free(text);
	if (r != 0) {
		code = cmd_fail(CMD_UNSURE, "%s: %s: bastionctl keys public %s shows the key",
		    ca.pub, err_str(r), ca.key);
	} else if ((code = make_list(c)) == CMD_YES) {
		printf("made %s\n\nNext:\n1. Let the bastion believe it, in %s:\n"
		       "     login:\n       user_ca: [%s.pub]\n       revoked: revoked.krl\n"
		       "   and have it read that: kill -HUP, or a new start\n"
		       "2. Issue certificates: bastionctl ca issue PERSON --key FILE.pub\n",
		    ca.pub, c->conf_file, ca.key);
	}
	free(line);
	return code;
}

/* What is asked of the vault. */
struct order {
	const char *person;
	uint8_t *blob; /* owned */
	size_t len;
	uint64_t serial, after_s, before_s;
	char key_id[KEY_ID_SIZE];
};

static int
check_key(const struct order *o, const char *path)
{
	struct sshkey *key = NULL;
	int code = CMD_YES, r = sshkey_parse(o->blob, o->len, &key);

	if (r != 0)
		code = cmd_fail(CMD_USAGE, "%s: expected a plain public key: %s", path, err_str(r));
	else if (sshkey_type(key) == SSHKEY_RSA && sshkey_bits(key) < RSA_BITS)
		code = cmd_fail(CMD_USAGE,
		    "%s: expected an RSA key of at least %u bits, this one has %u", path, RSA_BITS,
		    sshkey_bits(key));
	sshkey_free(key);
	return code;
}

static int
read_validity(const struct cmd_ctx *c, struct order *o)
{
	const char *text = cmd_opt(c, "--validity");
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S, span_ns;

	if (num_parse_span(text != NULL ? text : DEFAULT_SPAN, &span_ns) != 0 ||
	    span_ns < CLOCK_NS_PER_S)
		return cmd_fail(CMD_USAGE,
		    "--validity: expected a span of time as 8h or 30d, found \"%s\"",
		    text != NULL ? text : "");
	o->after_s = now_s - EARLY_S;
	o->before_s = now_s + span_ns / CLOCK_NS_PER_S;
	return CMD_YES;
}

/* --principals, commas between; without: the person. */
static int
put_principals(const struct cmd_ctx *c, const char *person, struct buf *b)
{
	const char *list = cmd_opt(c, "--principals"), *p = list != NULL ? list : person;
	uint32_t n = 1;
	int r;

	for (const char *q = p; *q != '\0'; q++)
		n += *q == ',';
	if (n > PRINCIPALS_MAX)
		return ERR_LIMIT;
	r = buf_put_u32(b, n);
	for (; r == 0 && n > 0; n--) {
		size_t len = strcspn(p, ",");

		r = buf_put_str(b, p, len);
		p += len + 1;
	}
	return r;
}

static int
put_order(const struct cmd_ctx *c, const struct ca *ca, const struct order *o, struct buf *b)
{
	const char *command = cmd_opt(c, "--force-command"), *sources = cmd_opt(c, "--source");
	int r;

	if ((r = buf_put_cstr(b, ca->key)) != 0 || (r = buf_put_str(b, o->blob, o->len)) != 0 ||
	    (r = buf_put_u64(b, o->serial)) != 0 || (r = buf_put_cstr(b, o->key_id)) != 0 ||
	    (r = put_principals(c, o->person, b)) != 0 || (r = buf_put_u64(b, o->after_s)) != 0 ||
	    (r = buf_put_u64(b, o->before_s)) != 0 ||
	    (r = buf_put_cstr(b, command != NULL ? command : "")) != 0 ||
	    (r = buf_put_cstr(b, sources != NULL ? sources : "")) != 0)
		return r;
	return buf_put_u8(b, cmd_opt(c, "--clear") != NULL ? 1 : 0);
}

static int
ask_vault(struct cmd_ctx *c, const struct ca *ca, const struct order *o, char **ret_line)
{
	struct buf *b = buf_new(REQUEST_MAX);
	int fd = -1, code, r = b == NULL ? -ENOMEM : put_order(c, ca, o, b);

	if (r != 0)
		code = cmd_fail(CMD_USAGE, "ca issue: %s", err_str(r));
	else if ((code = vault_open(c, false, &fd)) == CMD_YES)
		code = vault_ask(fd, KEYS_ADM_ISSUE, b, -1, ret_line);
	fd_close(&fd);
	buf_free(b);
	return code;
}

/* The next number. Serial and key id say the same, so that each finds the certificate. */
static int
number(const struct cmd_ctx *c, const struct ca *ca, struct order *o)
{
	const char *id = cmd_opt(c, "--key-id");
	struct ca_ledger l;
	int code = ca_ledger_read(ca, &l), r;

	o->serial = 1;
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].serial >= o->serial)
			o->serial = l.v[i].serial + 1;
	ca_ledger_done(&l);
	if (code != CMD_YES)
		return code;
	r = id != NULL ? str_copy(o->key_id, sizeof(o->key_id), id)
		       : str_format(o->key_id, sizeof(o->key_id), "%s/%llu", o->person,
			     (unsigned long long)o->serial);
	return r == 0 ? CMD_YES : cmd_fail(CMD_USAGE, "the key id is too long");
}

/* FILE.pub becomes FILE-cert.pub, as with ssh-keygen; what was read from stdin goes to stdout. */
static int
hand_out(const struct cmd_ctx *c, const char *key_file, const char *line)
{
	const char *to = cmd_opt(c, "--output");
	char path[PATH_MAX], *text = NULL;
	size_t len = strlen(key_file);
	int r = 0;

	if (to == NULL && strcmp(key_file, "-") != 0) {
		if (len > 4 && strcmp(key_file + len - 4, ".pub") == 0)
			len -= 4;
		r = str_format(path, sizeof(path), "%.*s-cert.pub", (int)len, key_file);
		to = path;
	}
	if (r == 0 && (to == NULL || strcmp(to, "-") == 0)) {
		puts(line);
		return CMD_YES;
	}
	if (r == 0 && asprintf(&text, "%s\n", line) < 0) {
		text = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = file_replace(to, 0644, text, strlen(text));
	free(text);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", to != NULL ? to : key_file, err_str(r));
	cmd_note("made %s: it belongs beside the private key", to);
	return CMD_YES;
}

/* Nobody gets a certificate that is not in the ledger. */
static int
issue(struct cmd_ctx *c, const struct ca *ca, struct order *o, char **ret_line)
{
	int fd = -1, code;

	if ((code = ca_ledger_lock(ca, &fd)) == CMD_YES && (code = number(c, ca, o)) == CMD_YES &&
	    (code = ask_vault(c, ca, o, ret_line)) == CMD_YES)
		code = ca_ledger_add(fd, ca, o->person, *ret_line);
	fd_close(&fd);
	return code;
}

static int
ca_issue_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *file = cmd_opt(c, "--key");
	struct order o = { .person = args[0] };
	char *line = NULL;
	struct ca ca;
	int code;

	(void)n_args;
	if (file == NULL)
		file = "-";
	if ((code = ca_chosen(c, &ca)) == CMD_YES &&
	    (code = ca_read_key(file, &o.blob, &o.len)) == CMD_YES &&
	    (code = check_key(&o, file)) == CMD_YES && (code = read_validity(c, &o)) == CMD_YES &&
	    (code = issue(c, &ca, &o, &line)) == CMD_YES)
		code = hand_out(c, file, line);
	free(line);
	free(o.blob);
	return code;
}

static const struct cmd_opt new_opts[] = {
	{ "--type", 't', "TYPE",
	    "ed25519 (default), ecdsa-256, ecdsa-384, ecdsa-521, rsa-3072, rsa-4096" },
	{ NULL, 0, NULL, NULL }
};
static const struct cmd_opt issue_opts[] = {
	{ "--key", 'k', "FILE", "the person's public key (default: the first line of stdin)" },
	{ "--principals", 'n', "LIST", "principals with commas between (default: PERSON)" },
	{ "--validity", 'V', "SPAN", "how long it is good, as 8h (default) or 30d" },
	{ "--source", 0, "LIST", "networks that it is good from, with commas between" },
	{ "--force-command", 0, "COMMAND", "all that may run with it" },
	{ "--clear", 0, NULL, "no terminal, no forwards, no agent, no X11" },
	{ "--key-id", 'I', "TEXT", "what records name it by (default: PERSON/SERIAL)" },
	{ "--ca", 0, "NAME", "which CA signs, where there are several" },
	{ "--output", 'o', "FILE", "where it goes; - for stdout (default: FILE-cert.pub)" },
	{ NULL, 0, NULL, NULL }
};

const struct cmd cmd_ca_new = { "ca", "new", "NAME", "make a CA of user certificates in the vault",
	CMD_CONFIG, 1, 1, new_opts, ca_new_run };
const struct cmd cmd_ca_issue = { "ca", "issue", "PERSON", "certify a person's public key",
	CMD_CONFIG, 1, 1, issue_opts, ca_issue_run };
