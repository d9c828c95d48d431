/*
 * bastiond-shell: the bastion's own shell for one login without a host. It is started by the broker for one grant
 * (bastiond/broker/broker_proto.h), closes its sandbox before it reads a byte, and has nothing but its three edges.
 */
#include "config.h"

#include "bastiond/broker/broker_proto.h"
#include "bastiond/shell/shell.h"
#include "lib/log.h"
#include "lib/sandbox.h"

static int
close_sandbox(void)
{
	return sandbox_enter(SANDBOX_SHELL, NULL, 0);
}

int
main(void)
{
	const struct shell_fds fds = {
		.broker = BRK_FD_BROKER, .link = BRK_FD_LINK, .policy = BRK_FD_SHELL_POLICY
	};
	static struct shell s;
	int r;

	log_init("shell", LOG_LEVEL_NOTICE);
	if ((r = sandbox_prepare()) != 0 || (r = shell_init(&s, &fds, close_sandbox)) != 0 ||
	    (r = loop_run(s.loop)) != 0)
		log_err("shell.failed reason=\"%s\"", err_str(r));
	shell_done(&s);
	return r == 0 ? 0 : 1;
}
