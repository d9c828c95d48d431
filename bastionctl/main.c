/* bastionctl: find the command, acquire exactly what its row asks for, run it. */
#include "config.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/secret.h"

static int
main_acquire(struct cmd_ctx *c)
{
	int r;

	if (c->cmd->needs >= CMD_CONFIG && (r = cmd_load_config(c)) != CMD_YES)
		return r;
	if (c->cmd->needs >= CMD_BROKER && (r = ctl_connect_or_say(c)) != CMD_YES)
		return r;
	return CMD_YES;
}

static int
main_run(struct cmd_ctx *c)
{
	int r;

	if (c->version) {
		puts("bastionctl " PACKAGE_VERSION);
		return CMD_YES;
	}
	if (c->cmd == NULL && c->n_words == 0) {
		if (c->help) {
			cmd_help_all(cmd_table);
			return CMD_YES;
		}
		return cmd_fail(CMD_USAGE, "no command: see bastionctl help");
	}
	if (c->cmd == NULL) {
		cmd_help_noun(cmd_table, c->words[0]);
		return CMD_YES;
	}
	if (c->help) {
		cmd_help_one(c->cmd);
		return CMD_YES;
	}
	if ((r = main_acquire(c)) == CMD_YES)
		r = c->cmd->run(
		    c, (int)(c->n_words - c->n_command_words), c->words + c->n_command_words);
	fd_close(&c->broker_fd);
	secret_free(c->auditor_key);
	c->auditor_key = NULL;
	return r;
}

/* A reader of our output that has seen enough makes writing fail, and ends nothing else. */
static void
main_ignore_sigpipe(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
}

int
main(int argc, char **argv)
{
	struct cmd_ctx c;
	int r;

	log_init("bastionctl", LOG_LEVEL_WARN);
	(void)setlocale(LC_TIME, "");
	main_ignore_sigpipe();
	r = cmd_parse(&c, cmd_table, argc, (const char *const *)argv);
	if (r == CMD_YES)
		r = main_run(&c);
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == CMD_YES)
		r = cmd_fail(
		    CMD_UNSURE, "standard output: cannot write: the result is not complete");
	return r;
}
