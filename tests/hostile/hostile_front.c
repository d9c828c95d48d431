/* bastiond-front after somebody broke into it; for everybody else the real one. Takes its place in tests alone. */
#include "config.h"

#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "tests/hostile/puppet.h"

int
main(int argc, char **argv)
{
	static const int all[] = { BRK_FD_BROKER, BRK_FD_CLIENT, BRK_FD_POLICY, BRK_FD_KEYS };
	const struct front_fds fds = { all[0], all[1], all[2], all[3] };
	struct front f = { .client_fd = -1, .keys_fd = -1 };
	int r;

	log_init("front", LOG_LEVEL_NOTICE);
	if (argc == 2 && strcmp(argv[1], WIRE_SELFTEST_ARG) == 0)
		return wire_selftest_main("bastiond-front");
	if (puppet_offer(PUPPET_FRONT, all, 4))
		return 0;
	if ((r = sandbox_prepare()) != 0 || (r = wire_init()) != 0 ||
	    (r = sandbox_enter(SANDBOX_FRONT, NULL, 0)) != 0 || (r = front_init(&f, &fds)) != 0 ||
	    (r = loop_run(f.loop)) != 0)
		log_err("front.failed reason=\"%s\"", err_str(r));
	front_done(&f);
	return r == 0 ? 0 : 1;
}
