/*
 * bastiond-auth: one PAM conversation for one attempt to log in. It is started by the broker (bastiond/broker/broker_proto.h),
 * told by policy for whom, and tells policy how it came out; who speaks with the person carries the words between.
 */
#include "config.h"

#include <limits.h>
#include <string.h>

#include "bastiond/auth/auth.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define PATHS_MAX 40u

/* What modules may reach: the folder where this program lies, and what the broker names. */
struct reach {
	struct sandbox_path path[PATHS_MAX];
	size_t n;
	char own[PATH_MAX];
};

/* --read=PATH, --write=PATH, --run=PATH. 0; ERR_FORMAT, ERR_LIMIT. */
static int
take_argument(struct reach *to, const char *arg)
{
	static const struct {
		const char *name;
		bool write, run;
	} names[] = { { "--read=", false, false }, { "--write=", true, false },
		{ "--run=", false, true } };

	if (to->n >= PATHS_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_starts(arg, names[i].name)) {
			to->path[to->n++] =
			    (struct sandbox_path){ .path = arg + strlen(names[i].name),
				    .write = names[i].write,
				    .exec = names[i].run };
			return 0;
		}
	return ERR_FORMAT;
}

static int
take_arguments(struct reach *to, int argc, char **argv)
{
	int r = proc_libexec_dir(to->own, sizeof(to->own));

	if (r == 0)
		to->path[to->n++] = (struct sandbox_path){ .path = to->own };
	for (int i = 1; r == 0 && i < argc; i++)
		r = take_argument(to, argv[i]);
	return r;
}

/* Its children are looked for in /proc. */
static int
close_sandbox(void)
{
	const struct sandbox_path proc = { .path = "/proc" };

	return sandbox_enter(SANDBOX_AUTH, &proc, 1);
}

int
main(int argc, char **argv)
{
	const struct auth_fds fds = {
		.broker = BRK_FD_BROKER, .policy = BRK_FD_AUTH_POLICY, .talk = BRK_FD_AUTH_TALK
	};
	static struct reach reach;
	static struct auth a;
	int r;

	log_init("auth", LOG_LEVEL_NOTICE);
	if ((r = sandbox_prepare()) != 0 || (r = take_arguments(&reach, argc, argv)) != 0 ||
	    (r = auth_init(&a, &fds, reach.path, reach.n, close_sandbox)) != 0 ||
	    (r = loop_run(a.loop)) != 0)
		log_err("auth.failed reason=\"%s\"", err_str(r));
	auth_done(&a);
	return r == 0 ? 0 : 1;
}
