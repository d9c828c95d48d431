/* User CAs: their files. */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/ca.h"
#include "bastionctl/ctl_client.h"
#include "bastiond/broker/broker_proto.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/sshkey.h"
#include "lib/str.h"
#include "policy/policy.h"

#define LINE_MAX_BYTES 65536u /* bytes of a public key file */
#define SUFFIX ".pub"

int
ca_named(const struct cmd_ctx *c, const char *name, struct ca *ret_ca)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	char file[CA_NAME_MAX + 32];

	if (*name == '\0' || strlen(name) > CA_NAME_MAX || strspn(name, ok) != strlen(name) ||
	    name[0] == '-')
		return cmd_fail(
		    CMD_USAGE, "%s: a CA's name is 1 to %u of A-Z a-z 0-9 _ -", name, CA_NAME_MAX);
	if (str_copy(ret_ca->name, sizeof(ret_ca->name), name) != 0 ||
	    str_format(ret_ca->key, sizeof(ret_ca->key), "%s%s", KEYS_USER_CA_PREFIX, name) != 0 ||
	    str_format(file, sizeof(file), "%s%s", ret_ca->key, SUFFIX) != 0 ||
	    file_relative(c->conf_file, file, ret_ca->pub, sizeof(ret_ca->pub)) != 0 ||
	    str_format(file, sizeof(file), "%s.issued", ret_ca->key) != 0 ||
	    file_relative(c->conf_file, file, ret_ca->ledger, sizeof(ret_ca->ledger)) != 0)
		return cmd_fail(CMD_USAGE, "%s: the path is too long", c->conf_file);
	return CMD_YES;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct ca *)a)->name, ((const struct ca *)b)->name);
}

/* "user-ca.NAME.pub" and nothing else. */
static bool
name_of_file(const char *file, char name[CA_NAME_MAX + 1])
{
	size_t prefix = strlen(KEYS_USER_CA_PREFIX), suffix = strlen(SUFFIX), len = strlen(file);

	if (!str_starts(file, KEYS_USER_CA_PREFIX) || len <= prefix + suffix ||
	    strcmp(file + len - suffix, SUFFIX) != 0 || len - prefix - suffix > CA_NAME_MAX)
		return false;
	memcpy(name, file + prefix, len - prefix - suffix);
	name[len - prefix - suffix] = '\0';
	return strchr(name, '.') == NULL;
}

static int
add(const struct cmd_ctx *c, const char *name, struct ca **v, size_t *n)
{
	struct ca *more = reallocarray(*v, *n + 1, sizeof(**v));

	if (more == NULL)
		return cmd_fail(CMD_UNSURE, "out of memory");
	*v = more;
	if (ca_named(c, name, &more[*n]) != CMD_YES)
		return CMD_UNSURE;
	(*n)++;
	return CMD_YES;
}

int
ca_all(const struct cmd_ctx *c, struct ca **ret_v, size_t *ret_n)
{
	char dir[PATH_MAX], name[CA_NAME_MAX + 1];
	const struct dirent *e;
	struct ca *v = NULL;
	int code = CMD_YES;
	size_t n = 0;
	DIR *d;

	if (file_relative(c->conf_file, ".", dir, sizeof(dir)) != 0)
		return cmd_fail(CMD_USAGE, "%s: the path is too long", c->conf_file);
	if ((d = opendir(dir)) == NULL)
		return cmd_fail(CMD_UNSURE, "%s: %s", dir, err_str(-errno));
	while (code == CMD_YES && (e = readdir(d)) != NULL)
		if (name_of_file(e->d_name, name))
			code = add(c, name, &v, &n);
	(void)closedir(d); /* only read */
	if (code != CMD_YES) {
		free(v);
		return code;
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), by_name);
	*ret_v = v;
	*ret_n = n;
	return CMD_YES;
}

int
ca_chosen(const struct cmd_ctx *c, struct ca *ret_ca)
{
	const char *name = cmd_opt(c, "--ca");
	struct ca *v = NULL;
	struct stat st;
	size_t n = 0;
	int code;

	if (name != NULL) {
		if ((code = ca_named(c, name, ret_ca)) != CMD_YES)
			return code;
		return stat(ret_ca->pub, &st) == 0
			   ? CMD_YES
			   : cmd_fail(CMD_NO, "%s: no such CA: bastionctl ca new makes one", name);
	}
	if ((code = ca_all(c, &v, &n)) != CMD_YES)
		return code;
	if (n == 1)
		*ret_ca = v[0];
	free(v);
	if (n == 0)
		return cmd_fail(
		    CMD_NO, "there is no user CA here: bastionctl ca new NAME makes one");
	return n == 1 ? CMD_YES : cmd_fail(CMD_USAGE, "there are several CAs: name one with --ca");
}

/* The ledger. */

void
ca_ledger_done(struct ca_ledger *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].person);
		free(l->v[i].issued_at);
		free(l->v[i].line);
		free(l->v[i].blob);
		free(l->v[i].key_id);
	}
	free(l->v);
	*l = (struct ca_ledger){ 0 };
}

/* What the certificate itself says. */
static int
fill_from_blob(struct ca_issued *e)
{
	const char *why = "", *text = NULL;
	struct json_node *node = NULL;
	struct json *j = NULL;
	char *out = NULL;
	size_t len = 0;
	int r;

	if ((r = policy_cert_json(e->blob, e->len, &j, &why)) != 0)
		return r;
	if ((r = json_text(j, false, CA_LEDGER_MAX, &out, &len)) == 0 &&
	    (r = json_parse(out, len, &node)) == 0) {
		e->serial = json_u64(json_get(node, "serial"), 0);
		e->after_s = json_u64(json_get(node, "valid_after_s"), 0);
		e->before_s = json_u64(json_get(node, "valid_before_s"), 0);
		text = json_str(json_get(node, "key_id"), "");
		if ((e->key_id = strdup(text)) == NULL)
			r = -ENOMEM;
	}
	json_node_free(node);
	json_free(j);
	free(out);
	return r;
}

static int
read_entry(const char *text, size_t len, struct ca_issued *e)
{
	struct json_node *node = NULL;
	int r = json_parse(text, len, &node);

	if (r != 0)
		return r;
	e->person = strdup(json_str(json_get(node, "person"), ""));
	e->issued_at = strdup(json_str(json_get(node, "issued_at"), ""));
	e->line = strdup(json_str(json_get(node, "certificate"), ""));
	json_node_free(node);
	if (e->person == NULL || e->issued_at == NULL || e->line == NULL)
		return -ENOMEM;
	if ((r = sshkey_line(e->line, &e->blob, &e->len, NULL)) != 0)
		return r;
	return fill_from_blob(e);
}

static int
read_entries(const char *data, size_t len, struct ca_ledger *l, size_t *ret_line)
{
	int r = 0;

	*ret_line = 0;
	for (size_t at = 0; r == 0 && at < len;) {
		const char *end = memchr(data + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - data) - at : len - at;
		struct ca_issued *more = reallocarray(l->v, l->n + 1, sizeof(*l->v));

		if (more == NULL)
			return -ENOMEM;
		l->v = more;
		l->v[l->n] = (struct ca_issued){ 0 };
		(*ret_line)++;
		r = read_entry(data + at, n, &l->v[l->n++]);
		at += n + 1;
	}
	return r;
}

int
ca_ledger_read(const struct ca *ca, struct ca_ledger *ret_ledger)
{
	char *data = NULL;
	size_t len = 0, line = 0;
	int r;

	*ret_ledger = (struct ca_ledger){ 0 };
	if ((r = file_read(ca->ledger, CA_LEDGER_MAX, &data, &len)) == -ENOENT)
		return CMD_YES;
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", ca->ledger, err_str(r));
	r = read_entries(data, len, ret_ledger, &line);
	free(data);
	return r == 0 ? CMD_YES
		      : cmd_fail(CMD_UNSURE, "%s:%zu: %s: put back a copy of this file", ca->ledger,
			    line, err_str(r));
}

int
ca_ledger_lock(const struct ca *ca, int *ret_fd)
{
	int fd = open(ca->ledger, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) != 0) {
		int r = -errno;

		fd_close(&fd);
		return cmd_fail(CMD_UNSURE, "%s: %s", ca->ledger, err_str(r));
	}
	*ret_fd = fd;
	return CMD_YES;
}

int
ca_ledger_add(int fd, const struct ca *ca, const char *person, const char *line)
{
	struct json *j = json_map();
	char *text = NULL;
	size_t len = 0;
	int r;

	json_put_time(j, "issued_at", clock_wall_ns());
	json_put_u64(j, "by_uid", getuid());
	json_put_str(j, "person", person);
	json_put_str(j, "certificate", line);
	if ((r = json_text(j, false, LINE_MAX_BYTES, &text, &len)) == 0) {
		text[len] = '\n'; /* in place of the NUL */
		r = file_write_all(fd, text, len + 1);
	}
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	json_free(j);
	free(text);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "%s: %s", ca->ledger, err_str(r));
}

/* Keys and the running bastion. */

/* One line of stdin. */
static int
read_stdin(char **ret_text)
{
	size_t size = 0;

	*ret_text = NULL;
	return getline(ret_text, &size, stdin) > 0 ? 0 : ERR_FORMAT;
}

int
ca_read_key(const char *path, uint8_t **ret_blob, size_t *ret_len)
{
	char *text = NULL, *end;
	size_t len = 0;
	int r = strcmp(path, "-") == 0 ? read_stdin(&text)
				       : file_read(path, LINE_MAX_BYTES, &text, &len);

	if (r != 0) {
		free(text);
		return cmd_fail(CMD_UNSURE, "%s: %s", path, err_str(r));
	}
	if ((end = strchr(text, '\n')) != NULL)
		*end = '\0';
	r = sshkey_line(text, ret_blob, ret_len, NULL);
	free(text);
	if (r == 0)
		return CMD_YES;
	return r == -ENOMEM ? cmd_fail(CMD_UNSURE, "%s: %s", path, err_str(r))
			    : cmd_fail(CMD_UNSURE,
				  "%s: expected an OpenSSH public key, \"ssh-ed25519 AAAA...\", "
				  "found something else",
				  path);
}

int
ca_reload(const struct cmd_ctx *c, const char *what)
{
	int fd = -1, code;

	if (ctl_connect(c->state, &fd) != 0) {
		cmd_note("%s was changed; bastiond does not run and reads it when it starts", what);
		return CMD_YES;
	}
	code = ctl_command(fd, CTL_RELOAD, NULL, 0, NULL);
	fd_close(&fd);
	if (code != CMD_YES)
		(void)cmd_fail(
		    code, "%s was changed, but the running bastiond did not take it", what);
	return code;
}
