/* Where the server's configuration is, and the two keys of it that a client needs. */
#include "config.h"

#include <stdlib.h>

#include "bastionctl/cmd.h"
#include "lib/conf.h"
#include "lib/file.h"
#include "lib/str.h"

/* The path under key, as seen from the configuration; deflt where the key is missing. */
static int
cmd_conf_path(const struct cmd_ctx *c, const struct conf_node *root, const char *key,
    const char *deflt, char *dst, size_t size)
{
	const struct conf_node *n = conf_get(root, key);
	const char *path = deflt;
	struct conf_err err;

	if (n != NULL && conf_str(n, &path, &err) != 0)
		return cmd_fail(CMD_UNSURE, "%s", err.text);
	if (file_relative(c->conf_file, path, dst, size) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s: the path is too long", c->conf_file, key);
	return CMD_YES;
}

/* vault.unlock: a file's path is relative to the configuration, the other methods are taken as they stand. */
static int
cmd_conf_unlock(struct cmd_ctx *c, const struct conf_node *root)
{
	const struct conf_node *vault = conf_get(root, "vault");
	const struct conf_node *n =
	    vault != NULL && conf_node_type(vault) == CONF_MAP ? conf_get(vault, "unlock") : NULL;
	const char *unlock;
	struct conf_err err;
	char path[PATH_MAX];

	c->unlock[0] = '\0';
	if (n == NULL)
		return CMD_YES;
	if (conf_str(n, &unlock, &err) != 0)
		return cmd_fail(CMD_UNSURE, "%s", err.text);
	if (!str_starts(unlock, "file:")) {
		if (str_copy(c->unlock, sizeof(c->unlock), unlock) != 0)
			return cmd_fail(CMD_UNSURE, "%s: vault.unlock: too long", c->conf_file);
		return CMD_YES;
	}
	if (file_relative(c->conf_file, unlock + 5, path, sizeof(path)) != 0 ||
	    str_format(c->unlock, sizeof(c->unlock), "file:%s", path) != 0)
		return cmd_fail(CMD_UNSURE, "%s: vault.unlock: the path is too long", c->conf_file);
	return CMD_YES;
}

/* login.revoked, as seen from the configuration. */
static int
cmd_conf_revoked(struct cmd_ctx *c, const struct conf_node *root)
{
	const struct conf_node *login = conf_get(root, "login");

	c->revoked[0] = '\0';
	if (login == NULL || conf_node_type(login) != CONF_MAP ||
	    conf_get(login, "revoked") == NULL)
		return CMD_YES;
	return cmd_conf_path(c, login, "revoked", "", c->revoked, sizeof(c->revoked));
}

static int
cmd_read_config(struct cmd_ctx *c, const char *data, size_t len)
{
	struct conf_doc *doc = NULL;
	const struct conf_node *root;
	struct conf_err err;
	int r;

	if ((r = conf_parse(c->conf_file, data, len, &doc, &err)) == ERR_FORMAT)
		return cmd_fail(CMD_UNSURE, "%s", err.text);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", c->conf_file, err_str(r));
	root = conf_root(doc);
	if (root == NULL || conf_node_type(root) != CONF_MAP)
		r = cmd_fail(
		    CMD_UNSURE, "%s: not a map of settings: see bastiond.yaml(5)", c->conf_file);
	else if ((r = cmd_conf_path(c, root, "state", "state", c->state, sizeof(c->state))) ==
		 CMD_YES)
		r = cmd_conf_path(c, root, "policy", "policy.yaml", c->policy, sizeof(c->policy));
	if (r == CMD_YES)
		r = cmd_conf_unlock(c, root);
	if (r == CMD_YES)
		r = cmd_conf_revoked(c, root);
	conf_free(doc);
	return r;
}

int
cmd_load_config(struct cmd_ctx *c)
{
	const char *env = getenv("BASTIOND_CONFIG");
	const char *path = c->file != NULL		   ? c->file
			   : env != NULL && env[0] != '\0' ? env
							   : SYSCONFDIR "/bastiond/bastiond.yaml";
	char *data = NULL;
	size_t len;
	int r;

	if (str_copy(c->conf_file, sizeof(c->conf_file), path) != 0)
		return cmd_fail(CMD_USAGE, "-f: the path is too long");
	if ((r = file_read(path, CONF_FILE_MAX, &data, &len)) != 0)
		return cmd_fail(CMD_UNSURE,
		    "%s: %s: name the configuration with -f, or make one with bastionctl init DIR",
		    path, err_str(r));
	r = cmd_read_config(c, data, len);
	free(data);
	return r;
}
