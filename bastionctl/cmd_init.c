/* init: a complete working state in a new folder: configuration, policy, vault with two keys. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "bastionctl/passphrase.h"
#include "bastionctl/vault.h"
#include "keys/keys_proto.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/sshkey.h"
#include "lib/str.h"

#define INIT_FILE_MAX 65536 /* bytes of a file that is made, or of a public key file */

static const char init_conf_head[] =
    "# bastiond.yaml: the server. See bastiond.yaml(5); check with: bastiond -t -f FILE\n"
    "# Paths are relative to this file.\n";
static const char init_conf_tail[] =
    "state: state                     # vault, recordings, control socket\n"
    "policy: policy.yaml              # who reaches what\n"
    "login:\n"
    "  # user_ca: [user_ca.pub]       # CAs of user certificates, OpenSSH public keys\n"
    "  # revoked: revoked.krl         # made with ssh-keygen -k\n"
    "  methods: [publickey]\n"
    "  grace: 120s\n"
    "recording:\n"
    "  durability: strict             # or process: survives a crash of bastiond, not of the "
    "machine\n"
    "  stall_timeout: 30s\n"
    "limits: {connections: 2000, per_source: 64, channels: 10, auth_tries: 6}\n";

static const char init_conf_sealed[] =
    "vault: {unlock: passphrase}      # after each start: bastionctl keys unlock\n";
static const char init_conf_keyed[] = "# vault: {unlock: passphrase}    # or file:PATH, "
				      "credential:NAME; now: state/keys/unlock.key\n";

static const char init_policy_head[] =
    "# policy.yaml: who reaches what, how. See policy.yaml(5); check with: bastiond -t\n"
    "users:\n";
static const char init_policy_tail[] =
    "hosts:\n"
    "  # bastionctl hosts add web1 --address 10.0.0.11, then bastionctl hosts pin web1\n"
    "# Without a rule nobody reaches anything. For example:\n"
    "# rules:\n"
    "#   - name: alice-web\n"
    "#     who: {users: [alice]}\n"
    "#     where: {hosts: [web1]}\n"
    "#     as: [root]\n"
    "#     may: [shell, exec, sftp, scp, rsync]\n";

static int
init_conf(const struct cmd_ctx *c, struct buf *b)
{
	const char *listen;
	int r;

	if ((r = buf_put(b, init_conf_head, strlen(init_conf_head))) != 0 ||
	    (r = buf_put(b, "listen: [", 9)) != 0)
		return r;
	for (size_t i = 0; (listen = cmd_opt_at(c, "--listen", i)) != NULL || i == 0; i++) {
		char item[256];

		if (listen == NULL)
			listen = "127.0.0.1:2222";
		if ((r = str_format(item, sizeof(item), "%s\"%s\"", i > 0 ? ", " : "", listen)) !=
			0 ||
		    (r = buf_put(b, item, strlen(item))) != 0)
			return r;
	}
	if ((r = buf_put(b, "]\n", 2)) != 0)
		return r;
	if ((r = buf_put(b, init_conf_tail, strlen(init_conf_tail))) != 0)
		return r;
	/* credential:NAME is what systemd's LoadCredential= gives; a passphrase is asked for after each start. */
	return strcmp(c->unlock, "passphrase") == 0
		   ? buf_put(b, init_conf_sealed, strlen(init_conf_sealed))
		   : buf_put(b, init_conf_keyed, strlen(init_conf_keyed));
}

/* The first line of a public key file, as "type base64", checked. */
static int
init_public_key(const char *path, char *dst, size_t size)
{
	char *data = NULL, *space;
	uint8_t *blob = NULL;
	const char *comment;
	size_t len;
	int code = CMD_YES, r;

	if ((r = file_read(path, INIT_FILE_MAX, &data, &len)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", path, err_str(r));
	data[strcspn(data, "\r\n")] = '\0';
	if ((r = sshkey_line(data, &blob, &len, &comment)) != 0)
		code = cmd_fail(CMD_USAGE, "%s: not an OpenSSH public key: %s", path, err_str(r));
	free(blob);
	if (code == CMD_YES) {
		space = strchr(data, ' ');
		if (space != NULL && (space = strchr(space + 1, ' ')) != NULL)
			*space = '\0';
		if (str_copy(dst, size, data) != 0)
			code = cmd_fail(CMD_USAGE, "%s: the key is too long", path);
	}
	free(data);
	return code;
}

static int
init_user(const struct cmd_ctx *c, struct buf *b)
{
	const char *user = cmd_opt(c, "--user"), *path;
	char key[8192], text[8192 + 64];
	int code;

	if (user == NULL)
		return cmd_opt(c, "--key") != NULL
			   ? cmd_fail(CMD_USAGE, "--key needs --user NAME: whose key is it?")
			   : CMD_YES;
	if (user[strspn(user, "abcdefghijklmnopqrstuvwxyz0123456789._-")] != '\0' ||
	    user[0] == '-' || user[0] == '\0')
		return cmd_fail(CMD_USAGE, "--user: expected a name of a-z 0-9 . _ -");
	if (cmd_opt(c, "--key") == NULL)
		return cmd_fail(
		    CMD_USAGE, "--user needs --key FILE.pub: how does this person log in?");
	if (str_format(text, sizeof(text), "  %s: {principals: [%s], keys: [", user, user) != 0 ||
	    buf_put(b, text, strlen(text)) != 0)
		return cmd_fail(CMD_USAGE, "--user: too long");
	for (size_t i = 0; (path = cmd_opt_at(c, "--key", i)) != NULL; i++) {
		if ((code = init_public_key(path, key, sizeof(key))) != CMD_YES)
			return code;
		if (str_format(text, sizeof(text), "%s\"%s\"", i > 0 ? ", " : "", key) != 0 ||
		    buf_put(b, text, strlen(text)) != 0)
			return cmd_fail(CMD_USAGE, "--key: too many");
	}
	return buf_put(b, "]}\n", 3) == 0 ? CMD_YES : cmd_fail(CMD_USAGE, "--key: too many");
}

static int
init_policy(const struct cmd_ctx *c, struct buf *b)
{
	int code;

	if (buf_put(b, init_policy_head, strlen(init_policy_head)) != 0)
		return cmd_fail(CMD_UNSURE, "out of memory");
	if ((code = init_user(c, b)) != CMD_YES)
		return code;
	return buf_put(b, init_policy_tail, strlen(init_policy_tail)) == 0
		   ? CMD_YES
		   : cmd_fail(CMD_UNSURE, "out of memory");
}

/* Make the vault; its answer is the line of the fleet key. *ret_fleet: owned by caller. */
static int
init_vault(struct cmd_ctx *c, char **ret_fleet)
{
	struct buf *request = buf_new(2 * PASSPHRASE_MAX);
	struct secret *phrase = NULL;
	int fd = -1, code = CMD_YES;

	if (strcmp(c->unlock, "passphrase") == 0)
		code = passphrase_ask_new("New passphrase of the vault", &phrase);
	if (code != CMD_YES)
		goto out;
	if (request == NULL ||
	    buf_put_cstr(request, phrase == NULL ? "" : (const char *)secret_cptr(phrase)) != 0)
		code = cmd_fail(CMD_UNSURE, "out of memory");
	else if ((code = vault_open(c, true, &fd)) == CMD_YES)
		code = vault_ask(fd, KEYS_ADM_CREATE, request, -1, ret_fleet);
out:
	fd_close(&fd);
	secret_free(phrase);
	buf_free(request);
	return code;
}

static int
init_folders(const struct cmd_ctx *c, const char *dir)
{
	char keys[PATH_MAX];
	int r;

	if ((r = file_mkdir(dir, 0755)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", dir, err_str(r));
	if ((r = file_mkdir(c->state, 0711)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", c->state, err_str(r));
	if ((r = str_format(keys, sizeof(keys), "%s/keys", c->state)) != 0 ||
	    (r = file_mkdir(keys, 0700)) != 0)
		return cmd_fail(CMD_UNSURE, "%s/keys: %s", c->state, err_str(r));
	return CMD_YES;
}

static int
init_write(const char *path, const struct buf *b)
{
	int r = file_create(path, 0644, buf_ptr(b), buf_len(b));

	return r == 0 ? CMD_YES
		      : cmd_fail(r == ERR_EXISTS ? CMD_NO : CMD_UNSURE, "%s: %s", path, err_str(r));
}

/* The caller's own public key, only to be shown: nobody gets in without being put there on purpose. */
static bool
init_own_key(char *dst, size_t size)
{
	static const char *const names[] = { "id_ed25519", "id_ecdsa", "id_rsa" };
	const struct passwd *pw = getpwuid(getuid());
	char path[PATH_MAX];

	for (size_t i = 0; pw != NULL && i < sizeof(names) / sizeof(names[0]); i++)
		if (str_format(path, sizeof(path), "%s/.ssh/%s.pub", pw->pw_dir, names[i]) == 0 &&
		    access(path, R_OK) == 0 && init_public_key(path, dst, size) == CMD_YES)
			return true;
	return false;
}

static void
init_who(const struct cmd_ctx *c)
{
	char key[8192];

	printf("3. Say who reaches it, in %s", c->policy);
	if (cmd_opt(c, "--user") != NULL || !init_own_key(key, sizeof(key)))
		printf(" (an example is in there)");
	else
		printf(": under users: for example\n     you: {principals: [you], keys: [\"%s\"]}\n"
		       "   and under rules: as the example there shows",
		    key);
	printf("; then check:\n     bastiond -t -f %s\n", c->conf_file);
}

static void
init_next_steps(const struct cmd_ctx *c, const char *fleet)
{
	const char *listen = cmd_opt(c, "--listen"), *port;
	bool sealed = strcmp(c->unlock, "passphrase") == 0;
	char line[8192];

	out_line(line, sizeof(line), fleet, strcspn(fleet, "\n"));
	printf("made %s\n\n"
	       "Next:\n"
	       "1. Let the bastion in on a host: append this line to ~LOGIN/.ssh/authorized_keys "
	       "there:\n"
	       "     %s\n"
	       "2. Put the host in the inventory and pin its key:\n"
	       "     bastionctl -f %s hosts add web1 --address ADDRESS\n"
	       "     bastionctl -f %s hosts pin web1\n",
	    c->conf_file, line, c->conf_file, c->conf_file);
	init_who(c);
	printf("4. Start it%s:\n     bastiond -D -f %s\n", sealed ? ", and unlock its vault" : "",
	    c->conf_file);
	if (sealed)
		printf("     bastionctl -f %s keys unlock\n", c->conf_file);
	port = listen != NULL ? strrchr(listen, ':') : NULL;
	port = port != NULL ? port + 1 : "2222";
	printf("5. Log in:\n     ssh -p %s LOGIN+web1@BASTION%s\n",
	    strcmp(port, "0") == 0 ? "PORT" : port,
	    strcmp(port, "0") == 0 ? "     (bastiond's ready line names the port)" : "");
}

/* bastiond.yaml comes last: where it stands, everything stands. */
static int
init_make(struct cmd_ctx *c, const char *dir, const struct buf *conf, const struct buf *policy)
{
	char *fleet = NULL;
	int code;

	if ((code = init_folders(c, dir)) == CMD_YES && (code = init_vault(c, &fleet)) == CMD_YES &&
	    (code = init_write(c->policy, policy)) == CMD_YES &&
	    (code = init_write(c->conf_file, conf)) == CMD_YES)
		init_next_steps(c, fleet);
	free(fleet);
	return code;
}

static int
init_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct buf *conf = buf_new(INIT_FILE_MAX), *policy = buf_new(INIT_FILE_MAX);
	int code;

	(void)n_args;
	c->unlock[0] = '\0';
	if (cmd_opt(c, "--passphrase") != NULL)
		memcpy(c->unlock, "passphrase", sizeof("passphrase"));
	if (conf == NULL || policy == NULL)
		code = cmd_fail(CMD_UNSURE, "out of memory");
	else if (str_format(c->conf_file, sizeof(c->conf_file), "%s/bastiond.yaml", args[0]) != 0 ||
		 str_format(c->policy, sizeof(c->policy), "%s/policy.yaml", args[0]) != 0 ||
		 str_format(c->state, sizeof(c->state), "%s/state", args[0]) != 0)
		code = cmd_fail(CMD_USAGE, "the path is too long");
	else if (access(c->conf_file, F_OK) == 0 || access(c->policy, F_OK) == 0)
		code = cmd_fail(
		    CMD_NO, "%s: there is a bastion in it already; nothing was changed", args[0]);
	else if (init_conf(c, conf) != 0)
		code = cmd_fail(CMD_USAGE, "--listen: too long");
	else if ((code = init_policy(c, policy)) == CMD_YES)
		code = init_make(c, args[0], conf, policy);
	buf_free(conf);
	buf_free(policy);
	return code;
}

static const struct cmd_opt init_opts[] = {
	{ "--passphrase", 0, NULL, "seal the vault with a passphrase, not with a key file" },
	{ "--listen", 0, "ADDRESS:PORT",
	    "where it listens (default 127.0.0.1:2222); may be repeated" },
	{ "--user", 0, "NAME", "the first engineer" },
	{ "--key", 0, "FILE", "her public key file; may be repeated" }, { NULL, 0, NULL, NULL }
};

const struct cmd cmd_init = { "init", NULL, "DIR",
	"make a complete working state; never overwrites", CMD_NOTHING, 1, 1, init_opts, init_run };
