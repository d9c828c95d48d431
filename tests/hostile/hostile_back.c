/* bastiond-back after its target broke into it; for everybody else the real one. Takes its place in tests alone. */
#include "config.h"

#include <string.h>

#include "bastiond/back/back.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "tests/hostile/puppet.h"

static int
close_sandbox(void)
{
	return sandbox_enter(SANDBOX_BACK, NULL, 0);
}

int
main(int argc, char **argv)
{
	static const int all[] = { BRK_FD_BROKER, BRK_FD_LINK, BRK_FD_AGENT };
	const struct back_fds fds = { all[0], all[1], all[2] };
	struct back b = { .link_fd = -1, .agent_fd = -1 };
	int r;

	log_init("back", LOG_LEVEL_NOTICE);
	if (argc == 2 && strcmp(argv[1], WIRE_SELFTEST_ARG) == 0)
		return wire_selftest_main("bastiond-back");
	if (puppet_offer(PUPPET_BACK, all, 3))
		return 0;
	if ((r = sandbox_prepare()) != 0 || (r = hash_init()) != 0 || (r = wire_init()) != 0 ||
	    (r = back_init(&b, &fds, close_sandbox)) != 0 || (r = loop_run(b.loop)) != 0)
		log_err("back.failed reason=\"%s\"", err_str(r));
	back_done(&b);
	return r == 0 ? 0 : 1;
}
