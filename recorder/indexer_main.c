/*
 * bastiond-indexer: renders sessions as they end, at idle priority, into derived data (derived.h). Started by the broker like the
 * recorder, or by bastionctl for a copy of a store. Nobody waits for it, and nothing is lost with it.
 */
#include "config.h"

#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/derived.h"
#include "recorder/indexer.h"
#include "recorder/indexer_proto.h"

#define LOOK_NS (2 * CLOCK_NS_PER_S)  /* between looks for sessions that have ended */
#define FULL_NS (60 * CLOCK_NS_PER_S) /* after a disk that was full */
#define EXIT_USAGE 2
#define EXIT_START 3

struct main {
	struct indexer *ix;
	struct loop *loop;
	struct loop_timer *timer;
	struct ipc *edge;
	uint64_t told; /* sessions of the last IDX_DONE */
	int code;
};

static void
main_done(struct main *m)
{
	const struct derived_counts *c = indexer_counted(m->ix);
	struct buf *b;

	if (c->sessions == m->told)
		return;
	m->told = c->sessions;
	log_info(
	    "indexer.done sessions=%" PRIu64 " text_bytes=%" PRIu64, c->sessions, c->text_bytes);
	/* A broker that does not hear is going, and closes the edge. */
	if ((b = buf_new(8)) == NULL || buf_put_u64(b, c->sessions) != 0 ||
	    ipc_send_buf(m->edge, IDX_DONE, 0, b) != 0)
		log_debug("indexer.unheard");
	buf_free(b);
}

static void
on_timer(void *arg)
{
	struct main *m = arg;
	bool more = false;
	int r = indexer_step(m->ix, clock_boot_ns(), &more);

	if (r != 0) {
		log_warn("indexer.failed reason=\"%s\" next=\"tried again in %d s; searches "
			 "render what is not indexed\"",
		    err_str(r), (int)(FULL_NS / CLOCK_NS_PER_S));
		loop_timer_arm(m->timer, FULL_NS);
		return;
	}
	if (!more)
		main_done(m);
	loop_timer_arm(m->timer, more ? 0 : LOOK_NS);
}

static int
on_rebuild(void *arg, struct ipc_msg *msg)
{
	struct main *m = arg;
	int r = indexer_forget(m->ix);

	(void)msg;
	if (r != 0)
		log_warn("indexer.forget_failed reason=\"%s\"", err_str(r));
	loop_timer_arm(m->timer, 0);
	return 0;
}

static const struct ipc_rule rules[] = {
	{ IDX_REBUILD, "rebuild", 0, 0, 0, IPC_ANY_STATE, on_rebuild },
};

static void
on_gone(void *arg, int err)
{
	struct main *m = arg;

	ipc_free(m->edge);
	m->edge = NULL;
	m->code = err == ERR_PEER_GONE ? 0 : 1;
	loop_stop(m->loop);
}

/*
 * Before a store is touched: a copy may be somebody's who wants to break LMDB. What may be written is derived data, in a folder of
 * its own and no link to another, and LMDB's table of readers.
 */
static int
enter_sandbox(const char *dir)
{
	char derived[PATH_MAX], lock[PATH_MAX];
	struct sandbox_path paths[3] = { { .path = dir } };
	size_t n = 1;
	int fd, r;

	if ((r = str_format(derived, sizeof(derived), "%s/" DERIVED_DIR, dir)) != 0 ||
	    (r = str_format(lock, sizeof(lock), "%s/lock.mdb", dir)) != 0 ||
	    (r = file_mkdir(derived, 0700)) != 0)
		return r;
	if (!file_is_dir(derived))
		return -ENOTDIR;
	paths[n++] = (struct sandbox_path){ .path = derived, .write = true };
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd >= 0)
		paths[n++] = (struct sandbox_path){ .path = lock, .write = true };
	fd_close(&fd);
	return sandbox_enter(SANDBOX_INDEXER, paths, n);
}

static int
serve(struct main *m)
{
	const struct ipc_conf conf = { .name = "broker",
		.rules = rules,
		.n_rules = sizeof(rules) / sizeof(rules[0]),
		.arg = m,
		.gone = on_gone };
	int r;

	if ((r = loop_new(&m->loop)) != 0 ||
	    (r = loop_timer_new(m->loop, on_timer, m, &m->timer)) != 0 ||
	    (r = ipc_new(m->loop, PROC_FD_FIRST, &conf, &m->edge)) != 0 ||
	    (r = ipc_send(m->edge, IDX_READY, 0, NULL, 0)) != 0)
		log_err("indexer.start_failed reason=\"%s\"", err_str(r));
	if (r == 0) {
		loop_timer_arm(m->timer, 0);
		r = loop_run(m->loop);
	}
	loop_timer_free(m->timer);
	ipc_free(m->edge);
	loop_free(m->loop);
	return r != 0 ? EXIT_START : m->code;
}

static int
run_once(struct main *m, bool rebuild)
{
	static char out[1024];
	const struct derived_counts *c = indexer_counted(m->ix);
	bool more = true;
	int r = rebuild ? indexer_forget(m->ix) : 0;

	/* What it is need not be asked then, which the sandbox would not let it: of a device that would be an ioctl. */
	(void)setvbuf(stdout, out, _IOFBF, sizeof(out));
	while (r == 0 && more)
		r = indexer_step(m->ix, clock_boot_ns(), &more);
	if (r != 0) {
		fprintf(stderr, "bastiond-indexer: %s\n", err_str(r));
		return EXIT_START;
	}
	printf("{\"sessions\":%" PRIu64 ",\"events\":%" PRIu64 ",\"raw_bytes\":%" PRIu64
	       ",\"text_bytes\":%" PRIu64 ",\"chunks\":%" PRIu64 ",\"pictures\":%" PRIu64 "}\n",
	    c->sessions, c->events, c->raw_bytes, c->text_bytes, c->chunks, c->shots);
	return 0;
}

/* Whoever has something to do goes first. A kernel that says no leaves us as polite as it lets us be. */
static void
be_idle(void)
{
	const struct sched_param none = { 0 };

	if (sched_setscheduler(0, SCHED_IDLE, &none) != 0 || setpriority(PRIO_PROCESS, 0, 19) != 0)
		log_debug("indexer.not_idle");
}

int
main(int argc, char **argv)
{
	bool once = argc >= 4 && strcmp(argv[3], "--once") == 0,
	     rebuild = argc == 5 && strcmp(argv[4], "--rebuild") == 0;
	struct main m = { 0 };
	int code, r;

	log_init("bastiond-indexer", LOG_LEVEL_INFO);
	if (argc < 3 || strcmp(argv[1], "--store") != 0 || (argc > 3 && !once) ||
	    argc > 4 + rebuild) {
		fputs("usage: bastiond-indexer --store DIR [--once [--rebuild]]\n"
		      "It is started by bastiond or bastionctl, never by hand.\n",
		    stderr);
		return EXIT_USAGE;
	}
	if (sandbox_prepare() != 0 || secret_init() != 0 || hash_init() != 0) {
		log_err("indexer.start_failed");
		return EXIT_START;
	}
	be_idle();
	if ((r = enter_sandbox(argv[2])) != 0 || (r = indexer_new(argv[2], &m.ix)) != 0) {
		log_err("indexer.start_failed what=\"%s\" reason=\"%s\"", argv[2], err_str(r));
		return EXIT_START;
	}
	code = once ? run_once(&m, rebuild) : serve(&m);
	indexer_free(m.ix);
	return code;
}
