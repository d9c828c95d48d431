/*
 * bastiond-back: one leg to one target. It is started by the broker for one grant (bastiond/broker/broker_proto.h),
 * connects, closes its sandbox, and only then reads the first byte of the target. It can reach nothing else, and the
 * client only through the recorder.
 */
#include "config.h"

#include <string.h>

#include "bastiond/back/back.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/log.h"
#include "lib/sandbox.h"

static int
close_sandbox(void)
{
	return sandbox_enter(SANDBOX_BACK, NULL, 0);
}

int
main(int argc, char **argv)
{
	const struct back_fds fds = {
		.broker = BRK_FD_BROKER, .link = BRK_FD_LINK, .agent = BRK_FD_AGENT
	};
	struct back b = { .link_fd = -1, .agent_fd = -1 };
	int r;

	log_init("back", LOG_LEVEL_NOTICE);
	if (argc == 2 && strcmp(argv[1], WIRE_SELFTEST_ARG) == 0)
		return wire_selftest_main("bastiond-back");
	if ((r = sandbox_prepare()) != 0 || (r = hash_init()) != 0 || (r = wire_init()) != 0 ||
	    (r = back_init(&b, &fds, close_sandbox)) != 0 || (r = loop_run(b.loop)) != 0)
		log_err("back.failed reason=\"%s\"", err_str(r));
	back_done(&b);
	return r == 0 ? 0 : 1;
}
