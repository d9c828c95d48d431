/* hosts: the inventory in policy.yaml, and the host keys that are pinned in it. */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/hosts.h"
#include "bastionctl/inventory.h"
#include "bastionctl/out.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/conf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/num.h"
#include "lib/sshkey.h"
#include "lib/str.h"
#include "policy/policy.h"

#define HOSTS_SCAN_MAX 65536	/* bytes that a scan may say */
#define HOSTS_SCAN_TIMEOUT "10" /* seconds */
#define HOSTS_LINE_MAX 16384	/* bytes of a host's line in policy.yaml */

void
hosts_done(struct hosts_file *f)
{
	conf_free(f->doc);
	free(f->text);
}

int
hosts_read(const struct cmd_ctx *c, struct hosts_file *f)
{
	struct conf_err err;
	int r;

	*f = (struct hosts_file){ NULL, 0, NULL };
	if ((r = file_read(c->policy, INVENTORY_MAX, &f->text, &f->len)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", c->policy, err_str(r));
	if ((r = conf_parse(c->policy, f->text, f->len, &f->doc, &err)) != 0)
		return cmd_fail(CMD_UNSURE, "%s", r == ERR_FORMAT ? err.text : err_str(r));
	return CMD_YES;
}

const struct conf_node *
hosts_map(const struct hosts_file *f)
{
	const struct conf_node *root = conf_root(f->doc);
	const struct conf_node *n = NULL;

	if (root != NULL && conf_node_type(root) == CONF_MAP)
		n = conf_get(root, "hosts");
	return n != NULL && conf_node_type(n) == CONF_MAP ? n : NULL;
}

const struct conf_node *
hosts_find(const struct hosts_file *f, const char *name)
{
	const struct conf_node *map = hosts_map(f);
	const struct conf_node *n = map != NULL ? conf_get(map, name) : NULL;

	return n != NULL && conf_node_type(n) == CONF_MAP ? n : NULL;
}

const char *
hosts_setting(const struct conf_node *host, const char *key, const char *fallback)
{
	const struct conf_node *n = conf_get(host, key);
	const char *s = fallback;
	struct conf_err err;

	if (n != NULL && conf_str(n, &s, &err) != 0)
		return fallback;
	return s;
}

static void
hosts_reload(const struct cmd_ctx *c)
{
	int fd = -1;

	if (ctl_connect(c->state, &fd) != 0) {
		cmd_note(
		    "%s was changed; bastiond does not run and reads it when it starts", c->policy);
		return;
	}
	if (ctl_command(fd, CTL_RELOAD, NULL, 0, NULL) != CMD_YES)
		cmd_note("%s was changed, but the running bastiond did not take it", c->policy);
	fd_close(&fd);
}

/* Put the new text in the place of the file that c->policy leads to; mode and owner stay as they are. */
static int
hosts_replace(const struct cmd_ctx *c, const struct buf *text)
{
	char *path = realpath(c->policy, NULL);
	struct stat st;
	int r;

	if (path == NULL || stat(path, &st) != 0)
		r = -errno;
	else if ((r = file_replace(path, st.st_mode & 07777, buf_ptr(text), buf_len(text))) == 0 &&
		 geteuid() == 0 && st.st_uid != 0 && chown(path, st.st_uid, st.st_gid) != 0)
		r = -errno;
	free(path);
	return r;
}

/* The whole result is read as bastiond-policy would read it before it replaces the old one. */
static int
hosts_write(const struct cmd_ctx *c, const struct buf *text)
{
	struct policy *policy = NULL;
	struct conf_err err;
	int r;

	r = policy_parse(c->policy, (const char *)buf_ptr(text), buf_len(text), &policy, &err);
	policy_free(policy);
	if (r == ERR_FORMAT)
		return cmd_fail(CMD_NO, "nothing was changed: %s", err.text);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "nothing was changed: %s", err_str(r));
	if ((r = hosts_replace(c, text)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", c->policy, err_str(r));
	hosts_reload(c);
	return CMD_YES;
}

/* Names, addresses and labels: what stands in YAML flow text without quotes or escapes. */
static bool
hosts_plain(const char *s)
{
	return s[0] != '\0' && s[0] != '-' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")] ==
		   '\0';
}

static int
hosts_labels(const struct cmd_ctx *c, char *dst, size_t size)
{
	const char *label;
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; (label = cmd_opt_at(c, "--label", i)) != NULL; i++) {
		const char *eq = strchr(label, '=');
		char name[128];

		if (eq == NULL ||
		    str_format(name, sizeof(name), "%.*s", (int)(eq - label), label) != 0 ||
		    !hosts_plain(name) || !hosts_plain(eq + 1))
			return cmd_fail(
			    CMD_USAGE, "--label: expected NAME=VALUE, found %.60s", label);
		if (str_format(dst + at, size - at, "%s%s: \"%s\"", i == 0 ? ", labels: {" : ", ",
			name, eq + 1) != 0)
			return cmd_fail(CMD_USAGE, "--label: too many");
		at += strlen(dst + at);
	}
	if (at > 0 && str_format(dst + at, size - at, "}") != 0)
		return cmd_fail(CMD_USAGE, "--label: too many");
	return CMD_YES;
}

static int
hosts_line(const struct cmd_ctx *c, const char *name, char *dst, size_t size)
{
	const char *address = cmd_opt(c, "--address"), *port = cmd_opt(c, "--port"),
		   *key = cmd_opt(c, "--key");
	char labels[4096];
	uint64_t n;
	int code;

	if (!hosts_plain(name) || strchr(name, ':') != NULL ||
	    name[strspn(name, "0123456789")] == '\0')
		return cmd_fail(CMD_USAGE,
		    "%.60s: expected a host name of letters, digits, . _ - (not all digits)", name);
	if (address == NULL || !hosts_plain(address))
		return cmd_fail(CMD_USAGE, "--address ADDRESS is needed: where is %s?", name);
	if (key == NULL)
		key = "fleet";
	if (port == NULL)
		port = "22";
	if (num_parse(port, 1, 65535, &n) != 0)
		return cmd_fail(CMD_USAGE, "--port: expected 1 to 65535, found %.20s", port);
	if (!hosts_plain(key))
		return cmd_fail(
		    CMD_USAGE, "--key: expected the name of a key: see bastionctl keys list");
	if ((code = hosts_labels(c, labels, sizeof(labels))) != CMD_YES)
		return code;
	if (str_format(dst, size, "%s: {address: \"%s\", port: %s%s, key: %s}", name, address, port,
		labels, key) != 0)
		return cmd_fail(CMD_USAGE, "%s: too long", name);
	return CMD_YES;
}

static int
hosts_add_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct buf *text = buf_new(INVENTORY_MAX);
	char line[HOSTS_LINE_MAX];
	struct hosts_file f;
	int code, r;

	(void)n_args;
	if ((code = hosts_read(c, &f)) != CMD_YES ||
	    (code = hosts_line(c, args[0], line, sizeof(line))) != CMD_YES)
		goto out;
	if (hosts_map(&f) != NULL && conf_get(hosts_map(&f), args[0]) != NULL)
		code = cmd_fail(
		    CMD_NO, "%s: is in the inventory already; nothing was changed", args[0]);
	else if (text == NULL)
		code = cmd_fail(CMD_UNSURE, "out of memory");
	else if ((r = inventory_add(f.text, f.len, line, text)) != 0)
		code = cmd_fail(CMD_UNSURE,
		    "%s: hosts cannot be extended as text (%s); add this line by hand: %s",
		    c->policy, err_str(r), line);
	else if ((code = hosts_write(c, text)) == CMD_YES)
		printf(
		    "added %s; now pin its host key: bastionctl hosts pin %s\n", args[0], args[0]);
out:
	hosts_done(&f);
	buf_free(text);
	return code;
}

/* "SHA256:... type" of every pinned key, for people. */
static void
hosts_pins(const struct conf_node *host, struct json *list, char *dst, size_t size)
{
	const struct conf_node *keys = conf_get(host, "host_keys");
	char fingerprint[HASH_FINGERPRINT_SIZE];
	struct conf_err err;
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; keys != NULL && conf_node_type(keys) == CONF_LIST && i < conf_n(keys);
	     i++) {
		const char *line, *comment;
		uint8_t *blob;
		size_t len;

		if (conf_str(conf_at(keys, i), &line, &err) != 0 ||
		    sshkey_line(line, &blob, &len, &comment) != 0)
			continue;
		hash_fingerprint(fingerprint, blob, len);
		free(blob);
		json_put_str(list, NULL, fingerprint);
		if (str_format(dst + at, size - at, "%s%s", at > 0 ? " " : "", fingerprint) == 0)
			at += strlen(dst + at);
	}
}

static struct json *
hosts_labels_json(const struct conf_node *host, char *dst, size_t size)
{
	const struct conf_node *labels = conf_get(host, "labels");
	struct json *map = json_map();
	struct conf_err err;
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0;
	     labels != NULL && conf_node_type(labels) == CONF_MAP && i < conf_n(labels); i++) {
		const char *value;

		if (conf_str(conf_at(labels, i), &value, &err) != 0)
			continue;
		json_put_str(map, conf_key_at(labels, i), value);
		if (str_format(dst + at, size - at, "%s%s=%s", at > 0 ? "," : "",
			conf_key_at(labels, i), value) == 0)
			at += strlen(dst + at);
	}
	return map;
}

static int
hosts_row(const struct conf_node *map, size_t i, struct out_table *t, struct json *list)
{
	const struct conf_node *host = conf_at(map, i);
	struct json *item = json_map(), *pins = json_list();
	char labels[512], keys[512];
	const char *name = conf_key_at(map, i);
	const char *address, *port, *key;
	uint64_t n = 22;

	if (conf_node_type(host) != CONF_MAP) {
		json_free(item);
		json_free(pins);
		return cmd_fail(
		    CMD_UNSURE, "%.60s: not a map of settings: see policy.yaml(5)", name);
	}
	address = hosts_setting(
	    host, "address", hosts_setting(host, "resolve", "")[0] != '\0' ? "(resolved)" : "-");
	port = hosts_setting(host, "port", "22");
	key = hosts_setting(host, "key", "-");
	if (num_parse(port, 1, 65535, &n) != 0)
		n = 0;
	json_put_str(item, "name", name);
	json_put_str(item, "address", address);
	json_put_u64(item, "port", n);
	json_put_str(item, "key", key);
	json_put(item, "labels", hosts_labels_json(host, labels, sizeof(labels)));
	hosts_pins(host, pins, keys, sizeof(keys));
	json_put(item, "host_keys", pins);
	json_put(list, NULL, item);
	{
		const char *cells[] = { name, address, port, key, labels,
			keys[0] != '\0' ? keys : "not pinned" };

		return out_table_row(t, cells) == 0 ? CMD_YES
						    : cmd_fail(CMD_UNSURE, "out of memory");
	}
}

static int
hosts_list_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	static const struct out_column columns[] = { { "NAME", false, false },
		{ "ADDRESS", false, false }, { "PORT", true, false }, { "KEY", false, false },
		{ "LABELS", false, true }, { "HOST KEYS", false, true } };
	struct out_table *t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct json *list = json_list();
	const struct conf_node *map;
	char *text = NULL;
	struct hosts_file f;
	size_t len;
	int code;

	(void)n_args;
	(void)args;
	if ((code = hosts_read(c, &f)) != CMD_YES)
		goto out;
	map = hosts_map(&f);
	for (size_t i = 0; code == CMD_YES && map != NULL && i < conf_n(map); i++)
		code = hosts_row(map, i, t, list);
	if (code != CMD_YES)
		goto out;
	if (!c->json)
		out_table_print(t, stdout, out_width(stdout));
	else if (json_text(list, true, INVENTORY_MAX, &text, &len) == 0)
		puts(text);
	else
		code = cmd_fail(CMD_UNSURE, "out of memory");
out:
	free(text);
	json_free(list);
	out_table_free(t);
	hosts_done(&f);
	return code;
}

/* Run ssh-keyscan and take its lines. *ret_text: owned by caller. */
static int
hosts_keyscan(const char *address, const char *port, char **ret_text)
{
	char *argv[] = { (char *)(uintptr_t) "ssh-keyscan", (char *)(uintptr_t) "-T",
		(char *)(uintptr_t)HOSTS_SCAN_TIMEOUT, (char *)(uintptr_t) "-p",
		(char *)(uintptr_t)port, (char *)(uintptr_t) "--", (char *)(uintptr_t)address,
		NULL };
	char *envp[] = { (char *)(uintptr_t) "PATH=/usr/bin:/bin", (char *)(uintptr_t) "LANG=C",
		NULL };
	posix_spawn_file_actions_t actions;
	char *text = calloc(1, HOSTS_SCAN_MAX);
	size_t at = 0;
	int out[2] = { -1, -1 }, status;
	pid_t pid;
	ssize_t n;

	if (text == NULL || pipe2(out, O_CLOEXEC) != 0 ||
	    posix_spawn_file_actions_init(&actions) != 0) {
		free(text);
		return cmd_fail(CMD_UNSURE, "out of memory");
	}
	status = posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	if (status == 0)
		status = posix_spawn_file_actions_addopen(
		    &actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (status == 0)
		status = posix_spawn(&pid, "/usr/bin/ssh-keyscan", &actions, NULL, argv, envp);
	(void)posix_spawn_file_actions_destroy(&actions);
	fd_close(&out[1]);
	if (status != 0) {
		fd_close(&out[0]);
		free(text);
		return cmd_fail(CMD_UNSURE,
		    "ssh-keyscan cannot be started: %s: install openssh-client", err_str(-status));
	}
	while (
	    at < HOSTS_SCAN_MAX - 1 && (n = read(out[0], text + at, HOSTS_SCAN_MAX - 1 - at)) > 0)
		at += (size_t)n;
	fd_close(&out[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	*ret_text = text;
	return CMD_YES;
}

struct hosts_key {
	char line[4096]; /* "type base64" */
	char type[64];
	char fingerprint[HASH_FINGERPRINT_SIZE];
};

#define HOSTS_KEYS_MAX 8

/* "address type base64" of one line of the scan. */
static bool
hosts_scanned(char *line, struct hosts_key *ret_key)
{
	char *space = strchr(line, ' ');
	const char *comment;
	uint8_t *blob;
	size_t len;

	if (line[0] == '#' || space == NULL || sshkey_line(space + 1, &blob, &len, &comment) != 0)
		return false;
	hash_fingerprint(ret_key->fingerprint, blob, len);
	free(blob);
	if (str_copy(ret_key->line, sizeof(ret_key->line), space + 1) != 0)
		return false;
	return str_format(ret_key->type, sizeof(ret_key->type), "%.*s",
		   (int)strcspn(space + 1, " "), space + 1) == 0;
}

static int
hosts_scan(const struct conf_node *host, const char *name, struct hosts_key *keys, size_t *ret_n)
{
	const char *address = hosts_setting(host, "address", name),
		   *port = hosts_setting(host, "port", "22");
	char *text = NULL, *save = NULL, *line;
	size_t n = 0;
	int code;

	if ((code = hosts_keyscan(address, port, &text)) != CMD_YES)
		return code;
	for (line = strtok_r(text, "\n", &save); line != NULL && n < HOSTS_KEYS_MAX;
	     line = strtok_r(NULL, "\n", &save))
		if (hosts_scanned(line, &keys[n]))
			n++;
	free(text);
	*ret_n = n;
	return n > 0 ? CMD_YES
		     : cmd_fail(CMD_UNSURE, "%s: no SSH server answers at %s port %s", name,
			   address, port);
}

static int
hosts_scan_named(struct cmd_ctx *c, const char *name, struct hosts_file *f, struct hosts_key *keys,
    size_t *ret_n)
{
	const struct conf_node *host;
	int code;

	if ((code = hosts_read(c, f)) != CMD_YES)
		return code;
	if ((host = hosts_find(f, name)) == NULL)
		return cmd_fail(
		    CMD_NO, "%.60s: not in the inventory: see bastionctl hosts list", name);
	return hosts_scan(host, name, keys, ret_n);
}

static int
hosts_scan_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct hosts_key keys[HOSTS_KEYS_MAX];
	struct json *list = json_list();
	struct hosts_file f;
	char *text = NULL;
	size_t n = 0, len;
	int code;

	(void)n_args;
	code = hosts_scan_named(c, args[0], &f, keys, &n);
	for (size_t i = 0; code == CMD_YES && i < n; i++) {
		struct json *item = json_map();

		json_put_str(item, "type", keys[i].type);
		json_put_str(item, "fingerprint", keys[i].fingerprint);
		json_put_str(item, "key", keys[i].line);
		json_put(list, NULL, item);
		if (!c->json)
			printf("%s  %s\n", keys[i].fingerprint, keys[i].type);
	}
	if (code == CMD_YES && c->json && json_text(list, true, HOSTS_SCAN_MAX, &text, &len) == 0)
		puts(text);
	free(text);
	json_free(list);
	hosts_done(&f);
	return code;
}

/* Which of the scanned keys to pin: the one of --fingerprint, else what the operator confirms. */
static int
hosts_choose(const struct cmd_ctx *c, const char *name, const struct hosts_key *keys, size_t n,
    size_t *ret_i)
{
	const char *wanted = cmd_opt(c, "--fingerprint");
	char answer[16];
	size_t best = 0;

	for (size_t i = 0; i < n; i++) {
		if (wanted != NULL && strcmp(keys[i].fingerprint, wanted) == 0) {
			*ret_i = i;
			return CMD_YES;
		}
		if (strcmp(keys[i].type, "ssh-ed25519") == 0)
			best = i;
	}
	if (wanted != NULL)
		return cmd_fail(CMD_NO, "%s: shows no key %.60s (but %s %s); nothing was pinned",
		    name, wanted, keys[best].type, keys[best].fingerprint);
	*ret_i = best;
	printf("%s shows %s %s\n", name, keys[best].type, keys[best].fingerprint);
	if (cmd_opt(c, "--yes") != NULL)
		return CMD_YES;
	if (!isatty(STDIN_FILENO))
		return cmd_fail(CMD_USAGE,
		    "confirm with --fingerprint %s (compare it with the host's own) or --yes",
		    keys[best].fingerprint);
	printf("Is this what `ssh-keygen -lf` says on the host itself? [yes/no] ");
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) == NULL || strcmp(answer, "yes\n") != 0)
		return cmd_fail(CMD_NO, "nothing was pinned");
	return CMD_YES;
}

static int
hosts_pin_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct hosts_key keys[HOSTS_KEYS_MAX];
	struct buf *text = buf_new(INVENTORY_MAX);
	char list[sizeof(keys[0].line) + 8];
	struct hosts_file f;
	size_t n = 0, i = 0;
	int code, r;

	(void)n_args;
	if ((code = hosts_scan_named(c, args[0], &f, keys, &n)) != CMD_YES ||
	    (code = hosts_choose(c, args[0], keys, n, &i)) != CMD_YES)
		goto out;
	if (text == NULL || str_format(list, sizeof(list), "[\"%s\"]", keys[i].line) != 0)
		code = cmd_fail(CMD_UNSURE, "out of memory");
	else if ((r = inventory_pin(f.text, f.len, args[0], list, text)) != 0)
		code = cmd_fail(CMD_UNSURE,
		    "%s: %s cannot be changed as text (%s); set by hand: host_keys: %s", c->policy,
		    args[0], err_str(r), list);
	else if ((code = hosts_write(c, text)) == CMD_YES)
		printf("pinned %s %s\n", keys[i].type, keys[i].fingerprint);
out:
	hosts_done(&f);
	buf_free(text);
	return code;
}

static const struct cmd_opt add_opts[] = {
	{ "--address", 0, "ADDRESS", "its IP address (or its name in the DNS, with resolve)" },
	{ "--port", 'p', "PORT", "22 unless given" },
	{ "--key", 0, "NAME", "the vault's key for it; fleet unless given" },
	{ "--label", 0, "NAME=VALUE", "for rules; may be repeated" }, { NULL, 0, NULL, NULL }
};
static const struct cmd_opt pin_opts[] = { { "--fingerprint", 0, "SHA256:...",
					       "pin this key and no other" },
	{ "--yes", 0, NULL, "pin what the host shows, unseen" }, { NULL, 0, NULL, NULL } };

const struct cmd cmd_hosts_list = { "hosts", "list", "", "the inventory", CMD_CONFIG, 0, 0, NULL,
	hosts_list_run };
const struct cmd cmd_hosts_add = { "hosts", "add", "NAME", "put a host into the inventory",
	CMD_CONFIG, 1, 1, add_opts, hosts_add_run };
const struct cmd cmd_hosts_scan = { "hosts", "scan", "NAME", "show the host keys that it presents",
	CMD_CONFIG, 1, 1, NULL, hosts_scan_run };
const struct cmd cmd_hosts_pin = { "hosts", "pin", "NAME", "pin the host key that it presents",
	CMD_CONFIG, 1, 1, pin_opts, hosts_pin_run };
