/* sessions erase, hold, release: what leaves the store on purpose, and what may not. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/resolve.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/buf.h"
#include "recorder/recorder_proto.h"

/* What --why says, which no such order goes without. CMD_YES; CMD_USAGE, said. */
static int
order_why(const struct cmd_ctx *c, const char **ret_why)
{
	const char *why = cmd_opt(c, "--why");

	if (why == NULL || why[0] == '\0')
		return cmd_fail(CMD_USAGE, "say why, it stays in the log: --why \"case 17, per "
					   "request of the data protection officer\"");
	if (strlen(why) > REC_WHY_MAX)
		return cmd_fail(CMD_USAGE, "--why: at most %u bytes", REC_WHY_MAX);
	for (size_t i = 0; why[i] != '\0'; i++)
		if ((unsigned char)why[i] < 0x20 || why[i] == 0x7f)
			return cmd_fail(CMD_USAGE, "--why: one line of text");
	*ret_why = why;
	return CMD_YES;
}

/* hold: -1: erase it; else hold it or let it go. */
static int
order(struct cmd_ctx *c, const char *session, int hold)
{
	struct buf *b = buf_new(4096);
	const char *why = NULL;
	char id[64];
	int code = order_why(c, &why);

	if (code == CMD_YES)
		code = resolve_session(c, session, id, sizeof(id));
	if (code == CMD_YES &&
	    (b == NULL || buf_put_cstr(b, id) != 0 ||
		(hold >= 0 && buf_put_u8(b, (uint8_t)hold) != 0) || buf_put_cstr(b, why) != 0))
		code = cmd_fail(CMD_UNSURE, "out of memory");
	if (code == CMD_YES)
		code = ctl_command(
		    c->broker_fd, hold < 0 ? CTL_ERASE : CTL_HOLD, buf_ptr(b), buf_len(b), NULL);
	buf_free(b);
	return code;
}

static int
sessions_erase_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	return order(c, args[0], -1);
}

static int
sessions_hold_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	return order(c, args[0], 1);
}

static int
sessions_release_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)n_args;
	return order(c, args[0], 0);
}

static const struct cmd_opt order_opts[] = {
	{ "--why", 0, "TEXT", "the reason, which stays in the signed log" },
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_sessions_erase = { "sessions", "erase", "ID",
	"destroy a recording's key and its data; its digests stay", CMD_NOTHING, 1, 1, order_opts,
	sessions_erase_run };
const struct cmd cmd_sessions_hold = { "sessions", "hold", "ID",
	"keep a recording from being erased, by whatever", CMD_NOTHING, 1, 1, order_opts,
	sessions_hold_run };
const struct cmd cmd_sessions_release = { "sessions", "release", "ID",
	"let go of a recording that was held", CMD_NOTHING, 1, 1, order_opts,
	sessions_release_run };
