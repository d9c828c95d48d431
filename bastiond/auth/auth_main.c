/*
 * bastiond-auth: one PAM conversation for one attempt to log in. It is started by the broker (bastiond/broker/broker_proto.h),
 * told by policy for whom, and tells policy how it came out; who speaks with the person carries the words between.
 */
#include "config.h"

#include "bastiond/auth/auth.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/log.h"
#include "lib/sandbox.h"

/* Its children are looked for in /proc. */
static int
close_sandbox(void)
{
	const struct sandbox_path proc = { .path = "/proc" };

	return sandbox_enter(SANDBOX_AUTH, &proc, 1);
}

int
main(void)
{
	const struct auth_fds fds = {
		.broker = BRK_FD_BROKER, .policy = BRK_FD_AUTH_POLICY, .talk = BRK_FD_AUTH_TALK
	};
	static struct auth a;
	int r;

	log_init("auth", LOG_LEVEL_NOTICE);
	if ((r = sandbox_prepare()) != 0 || (r = auth_init(&a, &fds, close_sandbox)) != 0 ||
	    (r = loop_run(a.loop)) != 0)
		log_err("auth.failed reason=\"%s\"", err_str(r));
	auth_done(&a);
	return r == 0 ? 0 : 1;
}
