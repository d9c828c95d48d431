/*
 * bastiond-front: one client connection. It holds hostile bytes and nothing else: no file, no way to connect, no key. It is
 * started by the broker with its sockets in place (bastiond/broker/broker_proto.h), closes its sandbox, and only then
 * reads the first byte of the client.
 */
#include "config.h"

#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "lib/log.h"
#include "lib/sandbox.h"

int
main(int argc, char **argv)
{
	const struct front_fds fds = {
		.broker = BRK_FD_BROKER,
		.client = BRK_FD_CLIENT,
		.policy = BRK_FD_POLICY,
		.keys = BRK_FD_KEYS,
	};
	struct front f = { .client_fd = -1, .keys_fd = -1, .early_link = -1 };
	int r;

	log_init("front", LOG_LEVEL_NOTICE);
	if (argc == 2 && strcmp(argv[1], WIRE_SELFTEST_ARG) == 0)
		return wire_selftest_main("bastiond-front");
	if ((r = sandbox_prepare()) != 0 || (r = wire_init()) != 0 ||
	    (r = sandbox_enter(SANDBOX_FRONT, NULL, 0)) != 0 || (r = front_init(&f, &fds)) != 0 ||
	    (r = loop_run(f.loop)) != 0)
		log_err("front.failed reason=\"%s\"", err_str(r));
	front_done(&f);
	return r == 0 ? 0 : 1;
}
