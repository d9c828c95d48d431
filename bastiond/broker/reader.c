/* Readers: one process per request of an auditor, with one edge to bastionctl and none to us. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "bastiond/broker/wiring_priv.h"
#include "lib/file.h"
#include "lib/log.h"

#define READER_ARGS 14

struct reader {
	LIST_ENTRY(reader) link;
	struct wiring *w;
	struct process *process;
	uint32_t leg; /* whose shell asked; 0: an auditor */
};

static void
reader_on_exit(void *arg, int status)
{
	struct reader *rd = arg;
	char how[64];

	log_debug("reader.ended what=\"%s\"", proc_status_text(how, sizeof(how), status));
	LIST_REMOVE(rd, link);
	rd->w->n_readers--;
	free(rd);
}

static int
reader_start(struct reader *rd, const char *const *args, int edge)
{
	const char *argv[READER_ARGS + 3] = { "--store", "recorder" };
	struct proc_spec spec = { .argv = argv, .fds = &edge, .n_fds = 1 };

	for (size_t i = 0; args[i] != NULL; i++) {
		if (i >= READER_ARGS)
			return ERR_LIMIT;
		argv[i + 2] = args[i];
	}
	programs_spec(rd->w->conf.programs, PROGRAM_READER, &spec);
	return process_start(
	    rd->w->conf.loop, rd->w->conf.ops, &spec, reader_on_exit, rd, &rd->process);
}

static int
reader_new(struct wiring *w, uint32_t leg, const char *const *args, int *ret_fd)
{
	struct reader *rd;
	int pair[2], r;

	if (w->n_readers >= WIRING_READERS_MAX)
		return ERR_LIMIT;
	if ((r = ipc_pair(pair)) != 0)
		return r;
	if ((rd = calloc(1, sizeof(*rd))) == NULL) {
		r = -ENOMEM;
		goto out;
	}
	rd->w = w;
	rd->leg = leg;
	if ((r = reader_start(rd, args, pair[1])) != 0) {
		free(rd);
		goto out;
	}
	LIST_INSERT_HEAD(&w->readers, rd, link);
	w->n_readers++;
	*ret_fd = pair[0];
	pair[0] = -1;
out:
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return r;
}

int
wiring_reader(struct wiring *w, const char *const *args, int *ret_fd)
{
	return reader_new(w, 0, args, ret_fd);
}

int
wiring_reader_for_leg(struct wiring *w, uint32_t leg, const char *const *args, int *ret_fd)
{
	const struct reader *rd;
	size_t n = 0;

	LIST_FOREACH (rd, &w->readers, link) {
		if (rd->leg == leg)
			return ERR_LIMIT;
		n += rd->leg != 0;
	}
	return n >= WIRING_SHELL_READERS_MAX ? ERR_LIMIT : reader_new(w, leg, args, ret_fd);
}

void
reader_is_slow(struct wiring *w, pid_t pid, uint64_t held_ns)
{
	struct reader *rd;
	struct json *e;

	LIST_FOREACH (rd, &w->readers, link)
		if (process_pid(rd->process) == pid)
			break;
	if (rd == NULL) {
		log_warn("reader.pins pid=%d for_s=%llu do=\"end it: the store grows meanwhile\"",
		    (int)pid, (unsigned long long)(held_ns / CLOCK_NS_PER_S));
		return;
	}
	log_warn("reader.ended pid=%d for_s=%llu reason=\"it pinned the store\"", (int)pid,
	    (unsigned long long)(held_ns / CLOCK_NS_PER_S));
	e = json_event("reader.ended");
	json_put_u64(e, "pid", (uint64_t)pid);
	json_put_u64(e, "held_ms", held_ns / CLOCK_NS_PER_MS);
	json_put_str(e, "why", "it held a snapshot for longer than recording.reader_timeout");
	wiring_audit(w, e);
	process_kill(rd->process, SIGKILL);
}

void
reader_kill_all(struct wiring *w)
{
	struct reader *rd;

	LIST_FOREACH (rd, &w->readers, link)
		process_kill(rd->process, SIGKILL);
}

void
reader_free(struct wiring *w)
{
	struct reader *rd;

	while ((rd = LIST_FIRST(&w->readers)) != NULL) {
		LIST_REMOVE(rd, link);
		process_free(rd->process);
		free(rd);
	}
}
