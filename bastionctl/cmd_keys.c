/* keys: the vault's keys, by name. Private bytes never leave it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "bastionctl/passphrase.h"
#include "bastionctl/vault.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/secret.h"
#include "lib/str.h"

/* One request, for commands whose answer is just shown. */
static int
keys_show(struct cmd_ctx *c, uint16_t type, const char *a, const char *b, int pass_fd)
{
	char *text = NULL;
	int code = vault_request(c, type, a, b, pass_fd, &text);

	if (code == CMD_YES && text != NULL && text[0] != '\0')
		out_text(stdout, text);
	free(text);
	return code;
}

/* To the second; the rest of it is for programs. */
static const char *
keys_created(const struct json_node *key, char *dst, size_t size)
{
	const char *at = json_str(json_get(key, "created_at"), "-");

	return str_format(dst, size, "%.*sZ", (int)strcspn(at, "."), at) == 0 ? dst : at;
}

static int
keys_table(const char *text)
{
	static const struct out_column columns[] = { { "NAME", false, false },
		{ "TYPE", false, false }, { "FINGERPRINT", false, false },
		{ "CREATED", false, false } };
	struct json_node *root = NULL;
	struct out_table *t = NULL;
	int code = CMD_UNSURE;

	if (json_parse(text, strlen(text), &root) != 0 || !json_is_list(root))
		return cmd_fail(CMD_UNSURE, "vault: an answer that was not understood");
	t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; t != NULL && i < json_n(root); i++) {
		const struct json_node *k = json_at(root, i);
		char created[sizeof("2026-01-02T03:04:05Z")];
		const char *cells[] = { json_str(json_get(k, "name"), "-"),
			json_str(json_get(k, "type"), "-"),
			json_str(json_get(k, "fingerprint"), "-"),
			keys_created(k, created, sizeof(created)) };

		if (out_table_row(t, cells) != 0)
			goto out;
	}
	if (t != NULL) {
		out_table_print(t, stdout, out_width(stdout));
		code = CMD_YES;
	}
out:
	out_table_free(t);
	json_node_free(root);
	return code;
}

static int
keys_list_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	char *text = NULL;
	int code;

	(void)n_args;
	(void)args;
	code = vault_request(c, KEYS_ADM_LIST, NULL, NULL, -1, &text);
	if (code == CMD_YES && c->json)
		puts(text);
	else if (code == CMD_YES)
		code = keys_table(text);
	free(text);
	return code;
}

static int
keys_generate_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *type = cmd_opt(c, "--type");

	(void)n_args;
	return keys_show(c, KEYS_ADM_GENERATE, args[0], type != NULL ? type : "ed25519", -1);
}

static int
keys_with_passphrase(
    struct cmd_ctx *c, uint16_t type, const char *name, const char *prompt, int pass_fd)
{
	struct secret *secret = NULL;
	int code;

	if ((code = passphrase_ask(prompt, &secret)) == CMD_YES) {
		const char *phrase = (const char *)secret_cptr(secret);

		code = name != NULL ? keys_show(c, type, name, phrase, pass_fd)
				    : keys_show(c, type, phrase, NULL, -1);
	}
	secret_free(secret);
	return code;
}

static int
keys_import_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	int fd, code;

	(void)n_args;
	fd = open(args[1], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", args[1], err_str(-errno));
	if (cmd_opt(c, "--passphrase") != NULL)
		code = keys_with_passphrase(
		    c, KEYS_ADM_IMPORT, args[0], "Passphrase of the key file", fd);
	else
		code = keys_show(c, KEYS_ADM_IMPORT, args[0], "", fd);
	fd_close(&fd);
	return code;
}

static int
keys_public_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	return keys_show(c, KEYS_ADM_PUBLIC, args[0], NULL, -1);
}

static int
keys_rotate_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	return keys_show(c, KEYS_ADM_ROTATE, args[0], NULL, -1);
}

static int
keys_remove_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	return keys_show(c, KEYS_ADM_REMOVE, args[0], NULL, -1);
}

static int
keys_unlock_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	(void)args;
	return keys_with_passphrase(c, KEYS_ADM_UNLOCK, NULL, "Passphrase of the vault", -1);
}

static const struct cmd_opt generate_opts[] = {
	{ "--type", 't', "TYPE",
	    "ed25519 (default), ecdsa-256, ecdsa-384, ecdsa-521, rsa-3072, rsa-4096" },
	{ NULL, 0, NULL, NULL }
};
static const struct cmd_opt import_opts[] = {
	{ "--passphrase", 0, NULL, "ask for the file's passphrase" }, { NULL, 0, NULL, NULL }
};

const struct cmd cmd_keys_list = { "keys", "list", "", "the keys of the vault", CMD_CONFIG, 0, 0,
	NULL, keys_list_run };
const struct cmd cmd_keys_generate = { "keys", "generate", "NAME", "make a new key in the vault",
	CMD_CONFIG, 1, 1, generate_opts, keys_generate_run };
const struct cmd cmd_keys_import = { "keys", "import", "NAME FILE",
	"take a private key file into the vault", CMD_CONFIG, 2, 2, import_opts, keys_import_run };
const struct cmd cmd_keys_public = { "keys", "public", "NAME",
	"a key's public half, for authorized_keys", CMD_CONFIG, 1, 1, NULL, keys_public_run };
const struct cmd cmd_keys_rotate = { "keys", "rotate", "NAME",
	"a new key under this name; the old one stays as NAME.old", CMD_CONFIG, 1, 1, NULL,
	keys_rotate_run };
const struct cmd cmd_keys_remove = { "keys", "remove", "NAME", "destroy a key", CMD_CONFIG, 1, 1,
	NULL, keys_remove_run };
const struct cmd cmd_keys_unlock = { "keys", "unlock", "", "open a vault that a passphrase seals",
	CMD_BROKER, 0, 0, NULL, keys_unlock_run };
