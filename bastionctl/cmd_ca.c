/* ca list, ca revoke, ca public, ca show: what was issued, what of it holds, and what is handed out. */
#include "config.h"

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/ca.h"
#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/num.h"
#include "lib/str.h"
#include "policy/policy.h"

#define KRL_MAX (64u << 20)
#define JSON_MAX (64u << 20)

/* The list in force; *ret_krl NULL: there is none. */
static int
open_krl(const struct cmd_ctx *c, struct policy_krl **ret_krl)
{
	const char *why = "";
	char *data = NULL;
	size_t len = 0;
	int r;

	*ret_krl = NULL;
	if (c->revoked[0] == '\0')
		return CMD_YES;
	if ((r = file_read(c->revoked, KRL_MAX, &data, &len)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", c->revoked, err_str(r));
	r = policy_krl_parse((const uint8_t *)data, len, ret_krl, &why);
	free(data);
	return r == 0 ? CMD_YES
		      : cmd_fail(CMD_UNSURE, "%s: not a list of revoked keys: %s", c->revoked, why);
}

/* list */

static const char *
state_of(const struct ca_issued *e, const struct policy_krl *krl, uint64_t now_s)
{
	if (krl != NULL && policy_krl_asks(krl, e->blob, e->len) != NULL)
		return "revoked";
	return now_s >= e->before_s ? "expired" : now_s < e->after_s ? "not-yet" : "good";
}

/* As of ca show, with who it was for. */
static int
list_json(struct json *list, const struct ca *ca, const struct ca_issued *e, const char *state)
{
	struct json *j = NULL;
	const char *why = "";
	int r = policy_cert_json(e->blob, e->len, &j, &why);

	if (r != 0)
		return r;
	json_put_str(j, "ca_name", ca->name);
	json_put_str(j, "person", e->person);
	json_put_str(j, "issued_at", e->issued_at);
	json_put_str(j, "state", state);
	json_put(list, NULL, j);
	return 0;
}

static int
list_row(struct out_table *t, const struct ca *ca, const struct ca_issued *e, const char *state)
{
	char serial[24], from[OUT_TIME_SIZE], until[OUT_TIME_SIZE];
	const char *cells[] = { ca->name, serial, e->person, e->key_id,
		out_time(from, sizeof(from), e->after_s * CLOCK_NS_PER_S),
		out_time(until, sizeof(until), e->before_s * CLOCK_NS_PER_S), state };

	(void)snprintf(serial, sizeof(serial), "%llu", (unsigned long long)e->serial);
	return out_table_row(t, cells);
}

static int
list_ca(const struct ca *ca, const struct policy_krl *krl, struct json *list, struct out_table *t)
{
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S;
	struct ca_ledger l;
	int code = ca_ledger_read(ca, &l);

	for (size_t i = 0; code == CMD_YES && i < l.n; i++) {
		const char *state = state_of(&l.v[i], krl, now_s);
		int r = list_json(list, ca, &l.v[i], state);

		if (r != 0 || (r = list_row(t, ca, &l.v[i], state)) != 0)
			code = cmd_fail(CMD_UNSURE, "%s: %s", ca->ledger, err_str(r));
	}
	ca_ledger_done(&l);
	return code;
}

static int
ca_list_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	static const struct out_column columns[] = { { "CA", false, false },
		{ "SERIAL", true, false }, { "PERSON", false, false }, { "KEY ID", false, true },
		{ "FROM", false, false }, { "UNTIL", false, false }, { "STATE", false, false } };
	struct out_table *t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct json *list = json_list();
	struct policy_krl *krl = NULL;
	struct ca *v = NULL;
	size_t n = 0;
	int code = t == NULL ? cmd_fail(CMD_UNSURE, "out of memory") : open_krl(c, &krl);

	(void)n_args;
	(void)args;
	if (code == CMD_YES)
		code = ca_all(c, &v, &n);
	for (size_t i = 0; code == CMD_YES && i < n; i++)
		code = list_ca(&v[i], krl, list, t);
	if (code == CMD_YES && c->json) {
		code = cmd_print_json(list, JSON_MAX);
		list = NULL;
	} else if (code == CMD_YES) {
		out_table_print(t, stdout, out_width(stdout));
	}
	json_free(list);
	out_table_free(t);
	policy_krl_free(krl);
	free(v);
	return code;
}

/* revoke */

/* What is to be revoked: blobs of certificates, or of a plain key. */
struct victims {
	uint8_t **blobs; /* each owned */
	size_t *lens;
	size_t n;
};

static void
victims_done(struct victims *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->blobs[i]);
	free(v->blobs);
	free(v->lens);
}

static int
victims_add(struct victims *v, const uint8_t *blob, size_t len)
{
	uint8_t **blobs = reallocarray(v->blobs, v->n + 1, sizeof(*blobs)), *copy = malloc(len);
	size_t *lens = reallocarray(v->lens, v->n + 1, sizeof(*lens));

	if (blobs != NULL)
		v->blobs = blobs;
	if (lens != NULL)
		v->lens = lens;
	if (blobs == NULL || lens == NULL || copy == NULL) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, blob, len);
	v->blobs[v->n] = copy;
	v->lens[v->n++] = len;
	return 0;
}

/* A number is a serial; anything else a key id, or a person, who loses all that were not expired. */
static bool
is_meant(const struct ca_issued *e, const char *what, uint64_t now_s)
{
	uint64_t serial;

	if (num_parse(what, 1, UINT64_MAX, &serial) == 0)
		return e->serial == serial;
	return strcmp(e->key_id, what) == 0 ||
	       (strcmp(e->person, what) == 0 && now_s < e->before_s);
}

static int
find_issued(const struct cmd_ctx *c, const char *what, struct victims *v)
{
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S;
	struct ca_ledger l = { 0 };
	struct ca ca;
	int code, r = 0;

	if ((code = ca_chosen(c, &ca)) != CMD_YES || (code = ca_ledger_read(&ca, &l)) != CMD_YES)
		goto out;
	for (size_t i = 0; r == 0 && i < l.n; i++)
		if (is_meant(&l.v[i], what, now_s))
			r = victims_add(v, l.v[i].blob, l.v[i].len);
	if (r != 0)
		code = cmd_fail(CMD_UNSURE, "%s", err_str(r));
	else if (v->n == 0)
		code = cmd_fail(CMD_NO,
		    "%s: the CA %s has issued nothing of this serial, key id or person that is "
		    "still good: bastionctl ca list shows what it has (a file's name ends in .pub, "
		    "or begins with / or .)",
		    what, ca.name);
out:
	ca_ledger_done(&l);
	return code;
}

/* By its name alone: what lies in the folder where somebody happens to be must not change who loses a certificate. */
static bool
names_file(const char *what)
{
	size_t len = strlen(what);

	return what[0] == '/' || what[0] == '.' || (len > 4 && strcmp(what + len - 4, ".pub") == 0);
}

static int
find_victims(const struct cmd_ctx *c, const char *what, struct victims *v)
{
	uint8_t *blob = NULL;
	size_t len = 0;
	int code, r;

	if (!names_file(what))
		return find_issued(c, what, v);
	if ((code = ca_read_key(what, &blob, &len)) != CMD_YES)
		return code;
	r = victims_add(v, blob, len);
	free(blob);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "%s", err_str(r));
}

/* *list: the whole list before and after; owned by caller. */
static int
extend(struct buf **list, const uint8_t *blob, size_t len)
{
	struct buf *more = buf_new(KRL_MAX);
	int r = more == NULL ? -ENOMEM
			     : policy_krl_revoke(*list != NULL ? buf_ptr(*list) : NULL,
				   *list != NULL ? buf_len(*list) : 0,
				   clock_wall_ns() / CLOCK_NS_PER_S, blob, len, more);

	if (r != 0) {
		buf_free(more);
		return r;
	}
	buf_free(*list);
	*list = more;
	return 0;
}

static int
read_list(const char *path, struct buf **ret_list)
{
	char *data = NULL;
	size_t len = 0;
	int r = file_read(path, KRL_MAX, &data, &len);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && (*ret_list = buf_new(KRL_MAX)) == NULL)
		r = -ENOMEM;
	if (r == 0)
		r = buf_put(*ret_list, data, len);
	free(data);
	return r;
}

/* One after the other: what was read is what is replaced. The list is another file each time, and anybody's to open, so beside it. */
static int
lock_list(const char *path, int *ret_fd)
{
	char lock[PATH_MAX];
	int r = str_format(lock, sizeof(lock), "%s.lock", path);

	if (r != 0)
		return r;
	*ret_fd = open(lock, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret_fd < 0)
		return -errno;
	while (flock(*ret_fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int
revoke(const struct cmd_ctx *c, const char *path, const struct victims *v)
{
	struct buf *list = NULL;
	int fd = -1, code = CMD_YES, r;

	if ((r = lock_list(path, &fd)) == 0)
		r = read_list(path, &list);
	for (size_t i = 0; r == 0 && i < v->n; i++)
		r = extend(&list, v->blobs[i], v->lens[i]);
	if (r == 0)
		r = file_replace(path, 0644, buf_ptr(list), buf_len(list));
	fd_close(&fd);
	buf_free(list);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s; nothing was changed", path, err_str(r));
	if (c->revoked[0] == '\0')
		code = cmd_fail(CMD_NO,
		    "%s was written, but no configuration reads it: add \"revoked: revoked.krl\" "
		    "to "
		    "login: in %s and start bastiond anew",
		    path, c->conf_file);
	else
		code = ca_reload(c, path);
	printf("revoked %zu\n", v->n);
	return code;
}

static int
ca_revoke_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	char path[PATH_MAX];
	struct victims v = { 0 };
	int code, r;

	(void)n_args;
	r = c->revoked[0] != '\0' ? str_copy(path, sizeof(path), c->revoked)
				  : file_relative(c->conf_file, "revoked.krl", path, sizeof(path));
	if (r != 0)
		return cmd_fail(CMD_USAGE, "%s: the path is too long", c->conf_file);
	if ((code = find_victims(c, args[0], &v)) == CMD_YES)
		code = revoke(c, path, &v);
	victims_done(&v);
	return code;
}

/* public */

static int
ca_public_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	char *text = NULL;
	struct ca ca;
	size_t len;
	int code, r;

	code = n_args > 0 ? ca_named(c, args[0], &ca) : ca_chosen(c, &ca);
	if (code != CMD_YES)
		return code;
	if ((r = file_read(ca.pub, 65536, &text, &len)) != 0)
		return cmd_fail(r == -ENOENT ? CMD_NO : CMD_UNSURE, "%s: %s", ca.pub, err_str(r));
	printf("# For this bastion, in %s:  login: {user_ca: [%s.pub], revoked: revoked.krl}\n"
	       "# For an sshd:  TrustedUserCAKeys with this file, and RevokedKeys with a copy of "
	       "the list\n"
	       "# For a person: put the certificate beside the private key as KEY-cert.pub; ssh "
	       "offers it\n",
	    c->conf_file, ca.key);
	out_text(stdout, text);
	free(text);
	return CMD_YES;
}

/* show */

static void
show_list(const char *title, const struct json_node *list)
{
	char shown[1024];

	printf("%-18s%s\n", title, json_n(list) == 0 ? "(none)" : "");
	for (size_t i = 0; i < json_n(list); i++) {
		const char *s = json_str(json_at(list, i), "");

		printf("  %s\n", str_escape(shown, sizeof(shown), s, strlen(s)));
	}
}

static void
show_text(const char *title, const char *s)
{
	char shown[4096];

	printf("%-18s%s\n", title, str_escape(shown, sizeof(shown), s, strlen(s)));
}

static void
show(const struct json_node *n)
{
	const struct json_node *critical = json_get(n, "critical_options");
	char serial[24];

	(void)snprintf(
	    serial, sizeof(serial), "%llu", (unsigned long long)json_u64(json_get(n, "serial"), 0));
	show_text("type", json_str(json_get(n, "type"), "-"));
	show_text("kind", json_str(json_get(n, "kind"), "-"));
	show_text("public key", json_str(json_get(n, "public_key"), "-"));
	show_text("signed by", json_str(json_get(n, "ca"), "-"));
	show_text("key id", json_str(json_get(n, "key_id"), "-"));
	show_text("serial", serial);
	show_text("valid after", json_str(json_get(n, "valid_after"), "always"));
	show_text("valid before", json_str(json_get(n, "valid_before"), "for ever"));
	show_list("principals", json_get(n, "principals"));
	if (json_get(critical, "force-command") != NULL)
		show_text("forced command", json_str(json_get(critical, "force-command"), ""));
	if (json_get(critical, "source-address") != NULL)
		show_list("source addresses", json_get(critical, "source-address"));
	if (json_get(critical, "verify-required") != NULL)
		show_text("verify", "required");
	show_list("permits", json_get(n, "extensions"));
}

static int
ca_show_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct json_node *node = NULL;
	const char *why = "";
	struct json *j = NULL;
	uint8_t *blob = NULL;
	char *text = NULL;
	size_t len = 0;
	int code, r;

	(void)n_args;
	if ((code = ca_read_key(args[0], &blob, &len)) != CMD_YES)
		return code;
	r = policy_cert_json(blob, len, &j, &why);
	free(blob);
	if (r == ERR_FORMAT)
		return cmd_fail(
		    CMD_NO, "%s: no certificate that a login would read: %s", args[0], why);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", args[0], err_str(r));
	if (c->json)
		return cmd_print_json(j, JSON_MAX);
	if ((r = json_text(j, false, JSON_MAX, &text, &len)) == 0 &&
	    (r = json_parse(text, len, &node)) == 0)
		show(node);
	json_node_free(node);
	json_free(j);
	free(text);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "%s: %s", args[0], err_str(r));
}

static const struct cmd_opt ca_opts[] = {
	{ "--ca", 0, "NAME", "which CA, where there are several" }, { NULL, 0, NULL, NULL }
};

const struct cmd cmd_ca_list = { "ca", "list", "",
	"certificates that were issued, and whether they hold", CMD_CONFIG, 0, 0, NULL,
	ca_list_run };
const struct cmd cmd_ca_revoke = { "ca", "revoke", "SERIAL|KEYID|PERSON|FILE",
	"revoke certificates, or the key in a file", CMD_CONFIG, 1, 1, ca_opts, ca_revoke_run };
const struct cmd cmd_ca_public = { "ca", "public", "[NAME]", "a CA's public key and where it goes",
	CMD_CONFIG, 0, 1, NULL, ca_public_run };
const struct cmd cmd_ca_show = { "ca", "show", "FILE", "a certificate, as a login would read it",
	CMD_NOTHING, 1, 1, NULL, ca_show_run };
