/* sessions: what was recorded and what runs. */
#include "config.h"

#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/buf.h"

static int
sessions_kill_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct buf *b = buf_new(256);
	int code;

	(void)n_args;
	if (b == NULL || buf_put_cstr(b, args[0]) != 0)
		code = cmd_fail(
		    CMD_USAGE, "%.40s: not a session: see bastionctl sessions list", args[0]);
	else
		code = ctl_command(c->broker_fd, CTL_KILL, buf_ptr(b), buf_len(b), NULL);
	buf_free(b);
	return code;
}

const struct cmd cmd_sessions_kill = { "sessions", "kill", "ID", "end a running session",
	CMD_BROKER, 1, 1, NULL, sessions_kill_run };
