/* Files of an SFTP channel: what crossed of them, how it ended, and telling it. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "recorder/watch_sftp_part.h"

/* Memory. */

uint8_t *
sf_keep(struct sftp *s, const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, p, len);
	s->held += len;
	if (s->held > SF_HELD_MAX)
		s->lost = "more names at once than are followed";
	return copy;
}

void
sf_forget(struct sftp *s, uint8_t *p, size_t len)
{
	if (p == NULL)
		return;
	s->held -= len;
	free(p);
}

struct sf_file *
sf_file_new(struct sftp *s)
{
	struct sf_file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	if (s->n_files == WATCH_PENDING_MAX)
		s->lost = "more open files than are followed";
	TAILQ_INSERT_TAIL(&s->files, f, link);
	s->n_files++;
	f->n_waiting = 1;
	return f;
}

void
sf_file_free(struct sftp *s, struct sf_file *f)
{
	TAILQ_REMOVE(&s->files, f, link);
	s->n_files--;
	sf_forget(s, f->path, f->path_len);
	sf_forget(s, f->handle, f->handle_len);
	watch_track_free(f->get.track);
	watch_track_free(f->put.track);
	free(f);
}

struct sf_file *
sf_find_file(struct sftp *s, const uint8_t *handle, size_t len)
{
	struct sf_file *f;

	TAILQ_FOREACH (f, &s->files, link)
		if (f->open && f->handle_len == len && memcmp(f->handle, handle, len) == 0)
			return f;
	return NULL;
}

/* Telling. */

/* The hash of nothing, for a file that is known to be empty. */
static void
show_empty(struct watch_file *t)
{
	t->has_hash = true;
	hash_sha256("", 0, t->sha256);
}

void
sf_show_result(struct watch_file *t, bool answered, uint32_t status, const char *text)
{
	t->answered = answered;
	t->status = answered ? status : 0;
	if (answered && status != FXP_OK)
		memcpy(t->text, text, sizeof(t->text));
}

static int
tell_file(struct watch *w, struct sf_file *f, enum watch_op op, struct sf_way *way)
{
	struct watch_file t = { .op = op,
		.path = f->path,
		.path_len = f->path_len,
		.cut = f->path_cut,
		.has_mode = f->attrs.has_mode,
		.mode = f->attrs.mode,
		.has_size = f->attrs.has_size,
		.size = f->attrs.size };
	bool ok = f->answered && f->status == FXP_OK && !f->resized;

	sf_show_result(&t, f->answered, f->status, f->text);
	if (way->track != NULL)
		watch_track_show(way->track, &t);
	/* What was made empty holds what crossed since. */
	if (op == WATCH_PUT && ok && (f->flags & FXP_F_TRUNC) != 0) {
		t.has_size = true;
		t.size = way->track != NULL ? watch_track_end(way->track) : 0;
	}
	if (op != WATCH_LIST && ok && t.bytes == 0 && t.has_size && t.size == 0)
		show_empty(&t);
	t.number = way->number != 0 ? way->number : watch_number(w);
	return watch_tell(w, &t);
}

/* A file that was opened both ways is two operations when content crossed both ways. */
int
sf_file_tell(struct watch *w, struct sf_file *f)
{
	const uint32_t writes = FXP_F_WRITE | FXP_F_APPEND | FXP_F_CREAT | FXP_F_TRUNC;
	bool put = f->put.number != 0 || (f->get.number == 0 && (f->flags & writes) != 0) ||
		   (f->flags & FXP_F_TRUNC) != 0;
	int r = 0;

	if (f->dir)
		return tell_file(w, f, WATCH_LIST, &f->get);
	if (put)
		r = tell_file(w, f, WATCH_PUT, &f->put);
	if (r == 0 && (f->get.number != 0 || !put))
		r = tell_file(w, f, WATCH_GET, &f->get);
	return r;
}

int
sf_file_settle(struct watch *w, struct sf_file *f)
{
	int r;

	if (!f->closed || f->n_waiting > 0)
		return 0;
	r = sf_file_tell(w, f);
	sf_file_free(w->state, f);
	return r;
}

void
sf_file_result(struct sf_file *f, uint32_t status, const char *text)
{
	if (f->answered && f->status != FXP_OK)
		return;
	f->answered = true;
	f->status = status;
	memcpy(f->text, text, sizeof(f->text));
}
