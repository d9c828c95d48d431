/*
 * bastiond-policy: decides who somebody is and what they may do. Descriptor 3 is the broker's edge; all others arrive on it,
 * and so do the files of the configuration, as descriptors: this program opens nothing once its sandbox is closed, which is
 * before it reads its first message. Nothing that a peer sends is believed but what is signed.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/sshkey.h"
#include "policy/serve.h"
#include "policy/zone.h"

#define EXIT_USAGE 2
#define EXIT_START 3

struct policy {
	struct loop *loop;
	struct zones *zones;
	struct serve *serve;
};

static int
cannot_start(const char *what, int err)
{
	log_err("policy.cannot_start what=\"%s\" reason=\"%s\"", what, err_str(err));
	return EXIT_START;
}

static void
on_signal(void *arg, int signo)
{
	struct policy *p = arg;

	/* An interrupt from the terminal is the broker's to act upon: it ends the others in order. */
	if (signo == SIGTERM)
		loop_stop(p->loop);
}

/* Everything that opens files or loads libraries. 0, or the exit status after a line. */
static int
prepare(struct policy *p)
{
	static const int signos[] = { SIGTERM, SIGINT, SIGHUP };
	uint8_t unused[HASH_SHA1_LEN];
	int r;

	if ((r = sandbox_prepare()) != 0)
		return cannot_start("not dumpable", r);
	if ((r = sshkey_init()) != 0)
		return cannot_start("the cryptographic libraries", r);
	hash_sha1("", 0, unused);
	if ((r = zones_load(ZONE_DIR, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S), &p->zones)) != 0)
		return cannot_start("time zones", r);
	if ((r = loop_new(&p->loop)) != 0 ||
	    (r = loop_signals(p->loop, signos, 3, on_signal, p)) != 0)
		return cannot_start("event loop", r);
	return 0;
}

static int
run(struct policy *p)
{
	int r;

	if ((r = sandbox_enter(SANDBOX_POLICY, NULL, 0)) != 0)
		return cannot_start("the sandbox does not close", r);
	if ((r = serve_new(p->loop, p->zones, PROC_FD_FIRST, &p->serve)) != 0)
		return cannot_start("descriptor 3 is no edge", r);
	if ((r = loop_run(p->loop)) != 0)
		return cannot_start("the loop failed", r);
	return 0;
}

int
main(int argc, char **argv)
{
	static const char usage[] =
	    "usage: bastiond-policy\n"
	    "Started by bastiond, which gives it descriptor 3; it is of no use by hand.\n";
	struct policy p = { 0 };
	int status;

	log_init("bastiond-policy", LOG_LEVEL_INFO);
	if (argc > 1) {
		bool help = strcmp(argv[1], "--help") == 0;

		return fputs(usage, help ? stdout : stderr) < 0 || !help ? EXIT_USAGE : 0;
	}
	if ((status = prepare(&p)) == 0)
		status = run(&p);
	serve_free(p.serve);
	loop_free(p.loop);
	zones_free(p.zones);
	return status;
}
