/* auditor: the keys of people who can open sealed recordings. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/auditor_file.h"
#include "bastionctl/auditor_key.h"
#include "bastionctl/cmd.h"
#include "bastionctl/passphrase.h"
#include "bastionctl/rd.h"
#include "lib/file.h"
#include "lib/str.h"

static int
auditor_ask(const char *file, const char *text, struct secret **ret_phrase)
{
	char prompt[200];
	bool protected;
	int r = auditor_key_is_protected(text, &protected);

	*ret_phrase = NULL;
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", file,
		    r == ERR_VERSION ? "an auditor's key of another version"
				     : "not an auditor's secret key (bastionctl auditor new)");
	if (!protected)
		return CMD_YES;
	(void)snprintf(prompt, sizeof(prompt), "Passphrase of %.150s", file);
	return passphrase_ask(prompt, ret_phrase);
}

/* The text of a key file; *ret_mode: its permissions. */
static int
auditor_load(const char *file, char **ret_text, size_t *ret_len, mode_t *ret_mode)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else if ((r = file_read_fd(fd, AUDITOR_FILE_MAX, ret_text, ret_len)) == 0)
		*ret_mode = st.st_mode;
	fd_close(&fd);
	return r;
}

int
auditor_key_read(const char *file, struct secret **ret_key, struct auditor *ret_auditor)
{
	struct secret *phrase = NULL;
	mode_t mode = 0;
	char *text = NULL;
	size_t len = 0;
	int code, r;

	if (secret_init() != 0)
		return cmd_fail(CMD_UNSURE, "the cryptographic library does not start");
	if ((r = auditor_load(file, &text, &len, &mode)) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", file,
		    r == ERR_FORMAT || r == ERR_LIMIT
			? "not an auditor's secret key (bastionctl auditor new)"
			: err_str(r));
	code = auditor_ask(file, text, &phrase);
	if (code == CMD_YES && phrase == NULL && (mode & (S_IRWXG | S_IRWXO)) != 0)
		code = cmd_fail(CMD_UNSURE,
		    "%s: it has no passphrase, and others than its owner have access: chmod 600 it",
		    file);
	if (code == CMD_YES && (r = auditor_key_parse(text, phrase, ret_key, ret_auditor)) != 0)
		code = cmd_fail(CMD_UNSURE, "%s: %s", file,
		    r == ERR_DENIED ? "the passphrase is not the right one" : err_str(r));
	secret_free(phrase);
	sodium_memzero(text, len);
	free(text);
	return code;
}

int
auditor_key_given(struct cmd_ctx *c, const struct secret **ret_key)
{
	const char *file = cmd_opt(c, "--auditor-key");
	struct auditor a;
	int code = CMD_YES;

	if (file == NULL)
		file = getenv(RD_ENV_AUDITOR_KEY);
	if (c->auditor_key == NULL && file != NULL && file[0] != '\0')
		code = auditor_key_read(file, &c->auditor_key, &a);
	*ret_key = c->auditor_key;
	return code;
}

/* The secret key into a file that is not there yet. */
static int
auditor_write(
    const char *file, const struct secret *key, const char *name, const struct secret *phrase)
{
	struct secret *text = NULL;
	int r = auditor_key_text(key, name, phrase, &text);

	if (r == 0)
		r = file_create(
		    file, 0600, secret_cptr(text), strlen((const char *)secret_cptr(text)));
	secret_free(text);
	if (r == ERR_EXISTS)
		return cmd_fail(CMD_UNSURE, "%s: it is there already and is not overwritten", file);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "%s: %s", file, err_str(r));
}

static int
auditor_new_phrase(struct cmd_ctx *c, struct secret **ret_phrase)
{
	int code;

	if (cmd_opt(c, "--no-passphrase") != NULL)
		return CMD_YES;
	if ((code = passphrase_ask_new("New passphrase", ret_phrase)) != CMD_YES)
		return code;
	if (strlen((const char *)secret_cptr(*ret_phrase)) < AUDITOR_PASSPHRASE_MIN)
		return cmd_fail(CMD_USAGE,
		    "a passphrase has at least %u bytes; nothing was written",
		    AUDITOR_PASSPHRASE_MIN);
	return CMD_YES;
}

static int
auditor_new_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct secret *key = NULL, *phrase = NULL;
	char file[PATH_MAX], line[AUDITOR_LINE_SIZE];
	const char *given = cmd_opt(c, "--output");
	struct auditor a;
	int code, r;

	(void)n_args;
	if (auditor_check_name(args[0]) != 0)
		return cmd_fail(CMD_USAGE, "an auditor's name has 1 to %u letters, digits and ._@-",
		    AUDITOR_NAME_MAX);
	if (str_format(file, sizeof(file), given != NULL ? "%s" : "%s.auditor",
		given != NULL ? given : args[0]) != 0)
		return cmd_fail(CMD_USAGE, "the path is too long");
	if (secret_init() != 0)
		return cmd_fail(CMD_UNSURE, "the cryptographic library does not start");
	if ((code = auditor_new_phrase(c, &phrase)) != CMD_YES)
		goto out;
	if ((r = auditor_key_new(args[0], &key, &a)) != 0)
		code = cmd_fail(CMD_UNSURE, "%s", err_str(r));
	else
		code = auditor_write(file, key, args[0], phrase);
	if (code == CMD_YES) {
		puts(auditor_text(line, &a));
		cmd_note("%s: the secret key; keep it away from the bastion. The line above goes "
			 "into recording.auditors",
		    file);
	}
out:
	secret_free(key);
	secret_free(phrase);
	return code;
}

static int
auditor_public_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	char line[AUDITOR_LINE_SIZE];
	struct secret *key = NULL;
	struct auditor a;
	int code;

	(void)c;
	(void)n_args;
	if ((code = auditor_key_read(args[0], &key, &a)) == CMD_YES)
		puts(auditor_text(line, &a));
	secret_free(key);
	return code;
}

static const struct cmd_opt new_opts[] = {
	{ "--output", 'o', "FILE", "where the secret key goes; without it NAME.auditor" },
	{ "--no-passphrase", 0, NULL,
	    "do not protect the file, for programs that open recordings" },
	{ NULL, 0, NULL, NULL }
};

const struct cmd cmd_auditor_new = { "auditor", "new", "NAME",
	"make the key of somebody who can open sealed recordings", CMD_NOTHING, 1, 1, new_opts,
	auditor_new_run };
const struct cmd cmd_auditor_public = { "auditor", "public", "FILE",
	"the public line of an auditor's secret key", CMD_NOTHING, 1, 1, NULL, auditor_public_run };
