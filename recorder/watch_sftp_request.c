/* Requests of an SFTP channel, one row a kind, and what their answers say. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/watch_sftp_part.h"

static void
request_free(struct sftp *s, struct sf_request *q)
{
	if (q->file != NULL)
		q->file->n_waiting--;
	if (q->to != NULL)
		q->to->n_waiting--;
	sf_forget(s, q->path, q->path_len);
	sf_forget(s, q->path2, q->path2_len);
	free(q);
}

void
sf_request_drop(struct sftp *s, struct sf_request *q)
{
	TAILQ_REMOVE(&s->requests, q, link);
	s->n_requests--;
	request_free(s, q);
}

int
sf_request_tell(
    struct watch *w, const struct sf_request *q, bool answered, uint32_t status, const char *text)
{
	struct watch_file t = { .number = watch_number(w),
		.op = q->rule->op,
		.path = q->path,
		.path_len = q->path_len,
		.path2 = q->path2,
		.path2_len = q->path2_len,
		.cut = q->cut,
		.has_size = q->attrs.has_size,
		.size = q->attrs.size,
		.has_mode = q->attrs.has_mode,
		.mode = q->attrs.mode };

	sf_show_result(&t, answered, status, text);
	return watch_tell(w, &t);
}

/* Fields. */

static struct sf_file *
get_handle(struct sftp *s, struct fxp_cursor *c)
{
	size_t len;
	const uint8_t *p = fxp_get_str(c, &len);
	struct sf_file *f = c->bad || c->cut ? NULL : sf_find_file(s, p, len);

	if (f != NULL)
		f->n_waiting++;
	return f;
}

static uint8_t *
get_path(struct sftp *s, struct fxp_cursor *c, size_t *ret_len, bool *ret_cut)
{
	size_t len;
	const uint8_t *p = fxp_get_str(c, &len);

	*ret_cut = *ret_cut || c->cut || len > WATCH_PATH_MAX;
	if (len > WATCH_PATH_MAX)
		len = WATCH_PATH_MAX;
	*ret_len = len;
	return sf_keep(s, p, len);
}

/* A STATUS: what ended a request. */
struct ending {
	uint32_t code;
	char text[WATCH_TEXT_MAX];
};

static struct ending
get_ending(struct fxp_cursor *c)
{
	struct ending e = { .code = fxp_get_u32(c) };
	bool bad = c->bad;
	size_t len;
	const uint8_t *p = fxp_get_str(c, &len);

	/* The text came with version 3 and may be missing. */
	c->bad = bad;
	(void)str_escape(e.text, sizeof(e.text), len > 0 ? (const void *)p : "", len);
	return e;
}

/* Asking and answering. */

static int
ask_open(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	struct sf_file *f = sf_file_new(s);

	if (f == NULL)
		return -ENOMEM;
	q->file = f;
	if ((f->path = get_path(s, c, &f->path_len, &f->path_cut)) == NULL)
		return -ENOMEM;
	f->dir = q->rule->op == WATCH_LIST;
	if (!f->dir) {
		f->flags = fxp_get_u32(c);
		f->attrs = fxp_get_attrs(c);
		/* They are for a file that is made; clients send anything else with others. */
		if ((f->flags & FXP_F_CREAT) == 0)
			f->attrs = (struct fxp_attrs){ 0 };
	}
	return 0;
}

static int
answer_open(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	struct sf_file *f = q->file;
	const uint8_t *p;

	if (type == FXP_STATUS) {
		struct ending e = get_ending(c);

		sf_file_result(f, e.code, e.text);
		f->closed = true;
		return 0;
	}
	if (type != FXP_HANDLE)
		return ERR_FORMAT;
	p = fxp_get_str(c, &f->handle_len);
	if (c->bad || c->cut || f->handle_len > FXP_HANDLE_MAX) {
		f->handle_len = 0;
		return ERR_FORMAT;
	}
	if ((f->handle = sf_keep(s, p, f->handle_len)) == NULL) {
		f->handle_len = 0;
		return -ENOMEM;
	}
	f->open = true;
	return 0;
}

static int
ask_handle(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	q->file = get_handle(s, c);
	return q->file != NULL ? 0 : ERR_NOT_FOUND;
}

static int
answer_close(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct ending e;

	(void)w;
	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	sf_file_result(q->file, e.code, e.text);
	q->file->closed = true;
	q->file->open = false;
	return 0;
}

static int
ask_read(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	q->file = get_handle(s, c);
	q->offset = fxp_get_u64(c);
	(void)fxp_get_u32(c);
	return q->file != NULL ? 0 : ERR_NOT_FOUND;
}

/* DATA is taken where it crosses; here a READ ends without it. */
static int
answer_read(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct sf_file *f = q->file;
	struct ending e;

	(void)w;
	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	if (e.code != FXP_EOF) {
		sf_file_result(f, e.code, e.text);
	} else if (q->offset == (f->get.track != NULL ? watch_track_end(f->get.track) : 0)) {
		/* The file ends where the content that came does. */
		f->attrs.has_size = true;
		f->attrs.size = q->offset;
	}
	return 0;
}

static int
answer_write(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct ending e;

	(void)w;
	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	if (e.code != FXP_OK)
		sf_file_result(q->file, e.code, e.text);
	return 0;
}

static int
answer_fstat(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct fxp_attrs a;

	(void)w;
	if (type != FXP_ATTRS)
		return 0;
	a = fxp_get_attrs(c);
	if (a.has_size)
		q->file->attrs.size = a.size;
	if (a.has_mode)
		q->file->attrs.mode = a.mode;
	q->file->attrs.has_size = q->file->attrs.has_size || a.has_size;
	q->file->attrs.has_mode = q->file->attrs.has_mode || a.has_mode;
	return 0;
}

static int
ask_path(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	q->path = get_path(s, c, &q->path_len, &q->cut);
	return q->path != NULL ? 0 : -ENOMEM;
}

static int
ask_path_attrs(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	int r = ask_path(s, q, c);

	if (r == 0)
		q->attrs = fxp_get_attrs(c);
	return r;
}

static int
ask_two_paths(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	int r = ask_path(s, q, c);

	if (r != 0)
		return r;
	q->path2 = get_path(s, c, &q->path2_len, &q->cut);
	return q->path2 != NULL ? 0 : -ENOMEM;
}

/* The path that a handle was opened with. */
static int
take_path(struct sftp *s, const struct sf_file *f, uint8_t **path, size_t *len, bool *cut)
{
	*len = f->path_len;
	*cut = *cut || f->path_cut;
	return (*path = sf_keep(s, f->path, f->path_len)) != NULL ? 0 : -ENOMEM;
}

static int
ask_fsetstat(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	int r = ask_handle(s, q, c);

	if (r != 0)
		return r;
	q->attrs = fxp_get_attrs(c);
	return take_path(s, q->file, &q->path, &q->path_len, &q->cut);
}

/* draft-ietf-secsh-filexfer-extensions-00 section 7, as OpenSSH has it. */
static int
ask_copy(struct sftp *s, struct sf_request *q, struct fxp_cursor *c)
{
	uint64_t len;
	int r;

	q->file = get_handle(s, c);
	(void)fxp_get_u64(c);
	len = fxp_get_u64(c);
	q->to = get_handle(s, c);
	(void)fxp_get_u64(c);
	if (q->file == NULL || q->to == NULL)
		return ERR_NOT_FOUND;
	/* 0: up to the end, wherever that is. */
	q->attrs = (struct fxp_attrs){ .has_size = len > 0, .size = len };
	if ((r = take_path(s, q->file, &q->path, &q->path_len, &q->cut)) != 0)
		return r;
	return take_path(s, q->to, &q->path2, &q->path2_len, &q->cut);
}

static int
answer_status(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct ending e;

	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	return sf_request_tell(w, q, true, e.code, e.text);
}

static int
answer_fsetstat(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	struct sf_file *f = q->file;

	if (q->attrs.has_mode)
		f->attrs.mode = q->attrs.mode;
	f->attrs.has_mode = f->attrs.has_mode || q->attrs.has_mode;
	if (q->attrs.has_size) {
		f->resized = true;
		f->attrs.has_size = true;
		f->attrs.size = q->attrs.size;
	}
	return answer_status(w, q, type, c);
}

static int
answer_copy(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c)
{
	q->to->resized = true;
	q->to->attrs.has_size = false;
	return answer_status(w, q, type, c);
}

static const struct sf_rule rules[] = {
	{ NULL, ask_read, answer_read, WATCH_GET, FXP_READ },
	{ NULL, ask_handle, answer_write, WATCH_PUT, FXP_WRITE },
	{ NULL, ask_open, answer_open, WATCH_GET, FXP_OPEN },
	{ NULL, ask_handle, answer_close, WATCH_GET, FXP_CLOSE },
	{ NULL, ask_handle, answer_fstat, WATCH_GET, FXP_FSTAT },
	{ NULL, ask_open, answer_open, WATCH_LIST, FXP_OPENDIR },
	{ NULL, ask_path_attrs, answer_status, WATCH_SETSTAT, FXP_SETSTAT },
	{ NULL, ask_fsetstat, answer_fsetstat, WATCH_SETSTAT, FXP_FSETSTAT },
	{ NULL, ask_path, answer_status, WATCH_REMOVE, FXP_REMOVE },
	{ NULL, ask_path_attrs, answer_status, WATCH_MKDIR, FXP_MKDIR },
	{ NULL, ask_path, answer_status, WATCH_RMDIR, FXP_RMDIR },
	{ NULL, ask_two_paths, answer_status, WATCH_RENAME, FXP_RENAME },
	{ NULL, ask_two_paths, answer_status, WATCH_SYMLINK, FXP_SYMLINK },
	{ NULL, NULL, NULL, 0, FXP_LSTAT }, { NULL, NULL, NULL, 0, FXP_STAT },
	{ NULL, NULL, NULL, 0, FXP_READDIR }, { NULL, NULL, NULL, 0, FXP_REALPATH },
	{ NULL, NULL, NULL, 0, FXP_READLINK },
	{ "posix-rename@openssh.com", ask_two_paths, answer_status, WATCH_RENAME, FXP_EXTENDED },
	{ "hardlink@openssh.com", ask_two_paths, answer_status, WATCH_LINK, FXP_EXTENDED },
	{ "lsetstat@openssh.com", ask_path_attrs, answer_status, WATCH_SETSTAT, FXP_EXTENDED },
	{ "copy-data", ask_copy, answer_copy, WATCH_COPY, FXP_EXTENDED },
	{ NULL, NULL, NULL, 0, FXP_EXTENDED }, /* all others change nothing that is told */
};

const struct sf_rule *
sf_find_rule(uint8_t type, struct fxp_cursor *c)
{
	const uint8_t *name = NULL;
	size_t len = 0;

	if (type == FXP_EXTENDED)
		name = fxp_get_str(c, &len);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == type &&
		    (rules[i].extension == NULL || fxp_is(name, len, rules[i].extension)))
			return &rules[i];
	return NULL;
}

/* Take back what was asked badly. */
static void
request_undo(struct sftp *s, struct sf_request *q)
{
	if (q->rule->ask == ask_open && q->file != NULL) {
		sf_file_free(s, q->file);
		q->file = NULL;
	}
	request_free(s, q);
}

int
sf_request_add(struct sftp *s, uint32_t id, const struct sf_rule *rule, struct fxp_cursor *c,
    struct sf_request **ret_q)
{
	struct sf_request *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return -ENOMEM;
	q->id = id;
	q->rule = rule;
	if ((r = rule->ask(s, q, c)) != 0 || c->bad) {
		request_undo(s, q);
		return r == ERR_NOT_FOUND ? 0 : r;
	}
	TAILQ_INSERT_TAIL(&s->requests, q, link);
	if (++s->n_requests > WATCH_PENDING_MAX)
		s->lost = "more requests without an answer than are followed";
	*ret_q = q;
	return 0;
}

struct sf_request *
sf_find_request(struct sftp *s, uint32_t id)
{
	struct sf_request *q;

	TAILQ_FOREACH (q, &s->requests, link)
		if (q->id == id)
			return q;
	return NULL;
}
