/*
 * The broker's edge to the indexer, which renders what was recorded so that it is found fast. Nothing waits for it: it starts when
 * the recorder has its store open, and whether it lives is nobody's reason to let somebody in or not.
 */
#include "config.h"

#include "bastiond/broker/wiring_priv.h"
#include "lib/log.h"
#include "recorder/indexer_proto.h"

static int
indexer_on_ready(void *arg, struct ipc_msg *msg)
{
	(void)msg;
	service_ready(arg);
	return 0;
}

static int
indexer_on_done(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;

	(void)msg;
	log_debug("indexer.done role=%s", s->conf.name);
	return 0;
}

static const struct ipc_rule indexer_rules[] = {
	{ IDX_READY, "ready", 0, 0, 0, IPC_ANY_STATE, indexer_on_ready },
	{ IDX_DONE, "done", 8, 8, 0, IPC_ANY_STATE, indexer_on_done },
};

static int
indexer_prepare(void *arg, struct proc_spec *spec, const char **argv, int *fds)
{
	struct wiring *w = arg;

	(void)fds;
	programs_spec(w->conf.programs, PROGRAM_INDEXER, spec);
	argv[0] = "--store";
	argv[1] = "recorder";
	argv[2] = NULL;
	return 0;
}

static void
indexer_up(void *arg)
{
	(void)arg;
}

static void
indexer_down(void *arg, const char *what)
{
	struct wiring *w = arg;

	(void)what;
	/* A stop waits for it; nothing else does. */
	wiring_changed(w);
}

int
edge_indexer_init(struct wiring *w)
{
	const struct service_conf conf = { .name = "indexer",
		.loop = w->conf.loop,
		.ops = w->conf.ops,
		.rules = indexer_rules,
		.n_rules = sizeof(indexer_rules) / sizeof(indexer_rules[0]),
		.ready_within_ns = 0,
		.arg = w,
		.prepare = indexer_prepare,
		.up = indexer_up,
		.down = indexer_down };

	return service_init(&w->indexer, &conf);
}

void
indexer_begin(struct wiring *w)
{
	if (w->phase == WIRING_RUNS && !w->indexer.wanted &&
	    w->conf.programs->fd[PROGRAM_INDEXER] >= 0)
		service_start(&w->indexer);
}

void
indexer_end(struct wiring *w)
{
	service_stop(&w->indexer, WIRING_KILL_NS);
}

int
wiring_index_rebuild(struct wiring *w)
{
	if (!service_is_ready(&w->indexer))
		return ERR_ORDER;
	return ipc_send(w->indexer.edge, IDX_REBUILD, 0, NULL, 0);
}
