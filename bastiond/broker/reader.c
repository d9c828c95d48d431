/* Readers: one process per request of an auditor, with one edge to bastionctl and none to us. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/wiring_priv.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/recorder_proto.h"

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

/* Whether text names this session, as reader_find() would take it. */
static bool
reader_means(const struct leg *l, const char *text)
{
	char hex[2 * REC_SID_LEN + 1];

	return strlen(text) >= 4 && str_starts(str_hex(hex, l->sid, REC_SID_LEN), text);
}

/* The session that runs and that a request is about; NULL: none, or one that has ended. */
static struct leg *
reader_about(struct wiring *w, const char *const *args)
{
	struct leg *l, *found = NULL;

	for (size_t a = 1; args[0] != NULL && args[a] != NULL; a++)
		for (size_t i = 0; i < WIRING_BUCKETS; i++)
			LIST_FOREACH (l, &w->legs[i], by_id) {
				if (!l->has_sid || !l->recorded)
					continue;
				if (reader_means(l, args[a]) ||
				    (strcmp(args[a], "last") == 0 &&
					(found == NULL || l->id > found->id)))
					found = l;
			}
	return found;
}

/*
 * A sealed session that runs has its key in the recorder alone. Who may ask us may watch it: the recorder gives the key to
 * the reader, past us. *ret_fd: the reader's end; -1: there is nothing to give.
 */
static void
reader_ask_key(struct wiring *w, const char *const *args, int *ret_fd)
{
	const struct leg *l = w->settings->auditors.n > 0 && service_is_up(&w->recorder)
				  ? reader_about(w, args)
				  : NULL;
	char hex[2 * REC_SID_LEN + 1];
	struct buf *b;
	int pair[2];

	if (l == NULL || ipc_pair(pair) != 0)
		return;
	if ((b = buf_new(64)) == NULL || buf_put_cstr(b, str_hex(hex, l->sid, REC_SID_LEN)) != 0 ||
	    ipc_send_fds(w->recorder.edge, REC_WATCH, 0, buf_ptr(b), buf_len(b), &pair[1], 1) != 0)
		log_warn("reader.no_key session=%s", hex);
	else {
		*ret_fd = pair[0];
		pair[0] = -1;
	}
	buf_free(b);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static int
reader_start(struct reader *rd, const char *const *args, int edge, int key_fd)
{
	const char *argv[READER_ARGS + 5] = { "--store", "recorder" };
	const int fds[] = { edge, key_fd };
	struct proc_spec spec = { .argv = argv, .fds = fds, .n_fds = key_fd >= 0 ? 2 : 1 };
	size_t i;

	for (i = 0; args[i] != NULL; i++) {
		if (i >= READER_ARGS)
			return ERR_LIMIT;
		argv[i + 2] = args[i];
	}
	if (key_fd >= 0) {
		argv[i + 2] = "--key-of";
		argv[i + 3] = "live";
	}
	programs_spec(rd->w->conf.programs, PROGRAM_READER, &spec);
	return process_start(
	    rd->w->conf.loop, rd->w->conf.ops, &spec, reader_on_exit, rd, &rd->process);
}

static int
reader_new(struct wiring *w, uint32_t leg, const char *const *args, int *ret_fd)
{
	struct reader *rd;
	int pair[2], key_fd = -1, r;

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
	/* A shell shows people what they did themselves, and of that the outlines. */
	if (leg == 0)
		reader_ask_key(w, args, &key_fd);
	if ((r = reader_start(rd, args, pair[1], key_fd)) != 0) {
		free(rd);
		goto out;
	}
	LIST_INSERT_HEAD(&w->readers, rd, link);
	w->n_readers++;
	*ret_fd = pair[0];
	pair[0] = -1;
out:
	fd_close(&key_fd);
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
