/*
 * SFTP as it crosses. Each way is cut into packets as they come: of a packet that carries content only the head is put
 * aside and the rest is content in place; of others as much as paths can need. Requests wait in a list for their answers,
 * open files know what crossed of them, and a file is told when the target has answered its CLOSE.
 */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/fxp.h"
#include "recorder/watch_priv.h"

#define HEAD_MAX 12288u	    /* bytes of a packet that are looked at: two paths and more */
#define HELD_MAX (1u << 20) /* bytes of paths and handles that one channel may have us keep */
#define ID_LEN 4u	    /* bytes of a request's number */
#define WRITE_FIELDS (ID_LEN + 4 + 8 + 4) /* bytes of WRITE's fields without its handle */

static const char malformed[] = "a packet whose fields do not fit it";

/* One direction of a file: what its operation is called and what crossed. */
struct way_op {
	uint32_t number;	   /* 0: nothing crossed */
	struct watch_track *track; /* NULL: likewise */
};

struct file {
	TAILQ_ENTRY(file) link;
	bool open, dir, closed; /* open: has a handle */
	unsigned n_waiting;	/* requests that name it */
	uint32_t flags;
	uint8_t *path, *handle; /* owned */
	size_t path_len, handle_len;
	bool path_cut;
	struct fxp_attrs attrs; /* as announced or reported */
	bool resized;		/* what is in it is not only what crossed */
	struct way_op get, put;
	bool answered;
	uint32_t status; /* the first failure, or how the CLOSE ended */
	char text[WATCH_TEXT_MAX];
};
TAILQ_HEAD(file_list, file);

struct request {
	TAILQ_ENTRY(request) link;
	uint32_t id;
	const struct request_rule *rule;
	struct file *file, *to; /* counted in n_waiting */
	uint64_t offset, size;
	uint8_t *path, *path2; /* owned */
	size_t path_len, path2_len;
	bool cut;
	struct fxp_attrs attrs;
};
TAILQ_HEAD(request_list, request);

/* One way of the stream. */
struct flow {
	uint8_t head[HEAD_MAX];
	size_t have, need; /* bytes of head; how many it takes to go on */
	uint32_t len;	   /* of the packet, behind its length field */
	uint64_t plain, content;
	struct file *file; /* whose content it is; NULL: of none that we know */
	struct way_op *op;
	uint64_t offset;
	bool greeted; /* INIT or VERSION has crossed */
};

struct sftp {
	struct flow flows[2];
	struct file_list files;
	struct request_list requests; /* oldest first */
	size_t n_files, n_requests, held;
	const char *lost; /* why it cannot go on */
};

struct request_rule {
	const char *extension; /* NULL: a request of the protocol itself */
	/* Fields behind the id. 0: wait for the answer; ERR_NOT_FOUND: it is about nothing we know; -ENOMEM. */
	int (*ask)(struct sftp *s, struct request *q, struct fxp_cursor *c);
	/* type: of the answer; c: behind its id. 0; ERR_FORMAT not an answer to this; what telling answered. */
	int (*answer)(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c);
	enum watch_op op;
	uint8_t type;
};

/* Memory. */

static uint8_t *
keep(struct sftp *s, const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, p, len);
	s->held += len;
	if (s->held > HELD_MAX)
		s->lost = "more names at once than are followed";
	return copy;
}

static void
forget(struct sftp *s, uint8_t *p, size_t len)
{
	if (p == NULL)
		return;
	s->held -= len;
	free(p);
}

static void
file_free(struct sftp *s, struct file *f)
{
	TAILQ_REMOVE(&s->files, f, link);
	s->n_files--;
	forget(s, f->path, f->path_len);
	forget(s, f->handle, f->handle_len);
	watch_track_free(f->get.track);
	watch_track_free(f->put.track);
	free(f);
}

static void
request_free(struct sftp *s, struct request *q)
{
	if (q->file != NULL)
		q->file->n_waiting--;
	if (q->to != NULL)
		q->to->n_waiting--;
	forget(s, q->path, q->path_len);
	forget(s, q->path2, q->path2_len);
	free(q);
}

static void
request_drop(struct sftp *s, struct request *q)
{
	TAILQ_REMOVE(&s->requests, q, link);
	s->n_requests--;
	request_free(s, q);
}

/* Telling. */

/* The hash of nothing, for a file that is known to be empty. */
static void
show_empty(struct watch_file *t)
{
	t->has_hash = true;
	hash_sha256("", 0, t->sha256);
}

static void
show_result(struct watch_file *t, bool answered, uint32_t status, const char *text)
{
	t->answered = answered;
	t->status = answered ? status : 0;
	if (answered && status != FXP_OK)
		memcpy(t->text, text, sizeof(t->text));
}

static int
tell_file(struct watch *w, struct file *f, enum watch_op op, struct way_op *way)
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

	show_result(&t, f->answered, f->status, f->text);
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
static int
file_tell(struct watch *w, struct file *f)
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

static int
request_tell(
    struct watch *w, const struct request *q, bool answered, uint32_t status, const char *text)
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

	show_result(&t, answered, status, text);
	return watch_tell(w, &t);
}

/* Over, and nothing that was asked about it is still to be answered: tell it. */
static int
file_settle(struct watch *w, struct file *f)
{
	int r;

	if (!f->closed || f->n_waiting > 0)
		return 0;
	r = file_tell(w, f);
	file_free(w->state, f);
	return r;
}

/* Handles. */

static struct file *
find_file(struct sftp *s, const uint8_t *handle, size_t len)
{
	struct file *f;

	TAILQ_FOREACH (f, &s->files, link)
		if (f->open && f->handle_len == len && memcmp(f->handle, handle, len) == 0)
			return f;
	return NULL;
}

static struct file *
get_handle(struct sftp *s, struct fxp_cursor *c)
{
	size_t len;
	const uint8_t *p = fxp_get_str(c, &len);
	struct file *f = c->bad || c->cut ? NULL : find_file(s, p, len);

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
	return keep(s, p, len);
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

static void
file_result(struct file *f, const struct ending *e)
{
	if (f->answered && f->status != FXP_OK)
		return;
	f->answered = true;
	f->status = e->code;
	memcpy(f->text, e->text, sizeof(f->text));
}

/* Requests and their answers. */

static struct file *
file_new(struct sftp *s)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	if (s->n_files == WATCH_PENDING_MAX)
		s->lost = "more open files than are followed";
	TAILQ_INSERT_TAIL(&s->files, f, link);
	s->n_files++;
	f->n_waiting = 1;
	return f;
}

static int
ask_open(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	struct file *f = file_new(s);

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
answer_open(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	struct file *f = q->file;
	const uint8_t *p;

	if (type == FXP_STATUS) {
		struct ending e = get_ending(c);

		file_result(f, &e);
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
	if ((f->handle = keep(s, p, f->handle_len)) == NULL) {
		f->handle_len = 0;
		return -ENOMEM;
	}
	f->open = true;
	return 0;
}

static int
ask_handle(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	q->file = get_handle(s, c);
	return q->file != NULL ? 0 : ERR_NOT_FOUND;
}

static int
answer_close(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	struct ending e;

	(void)w;
	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	file_result(q->file, &e);
	q->file->closed = true;
	q->file->open = false;
	return 0;
}

static int
ask_read(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	q->file = get_handle(s, c);
	q->offset = fxp_get_u64(c);
	(void)fxp_get_u32(c);
	return q->file != NULL ? 0 : ERR_NOT_FOUND;
}

/* DATA is taken where it crosses; here a READ ends without it. */
static int
answer_read(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	struct file *f = q->file;
	struct ending e;

	(void)w;
	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	if (e.code != FXP_EOF) {
		file_result(f, &e);
	} else if (q->offset == (f->get.track != NULL ? watch_track_end(f->get.track) : 0)) {
		/* The file ends where the content that came does. */
		f->attrs.has_size = true;
		f->attrs.size = q->offset;
	}
	return 0;
}

static int
answer_write(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	struct ending e;

	(void)w;
	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	if (e.code != FXP_OK)
		file_result(q->file, &e);
	return 0;
}

static int
answer_fstat(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
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
ask_path(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	q->path = get_path(s, c, &q->path_len, &q->cut);
	return q->path != NULL ? 0 : -ENOMEM;
}

static int
ask_path_attrs(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	int r = ask_path(s, q, c);

	if (r == 0)
		q->attrs = fxp_get_attrs(c);
	return r;
}

static int
ask_two_paths(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	int r = ask_path(s, q, c);

	if (r != 0)
		return r;
	q->path2 = get_path(s, c, &q->path2_len, &q->cut);
	return q->path2 != NULL ? 0 : -ENOMEM;
}

/* The path that a handle was opened with. */
static int
take_path(struct sftp *s, const struct file *f, uint8_t **path, size_t *len, bool *cut)
{
	*len = f->path_len;
	*cut = *cut || f->path_cut;
	return (*path = keep(s, f->path, f->path_len)) != NULL ? 0 : -ENOMEM;
}

static int
ask_fsetstat(struct sftp *s, struct request *q, struct fxp_cursor *c)
{
	int r = ask_handle(s, q, c);

	if (r != 0)
		return r;
	q->attrs = fxp_get_attrs(c);
	return take_path(s, q->file, &q->path, &q->path_len, &q->cut);
}

/* draft-ietf-secsh-filexfer-extensions-00 section 7, as OpenSSH has it. */
static int
ask_copy(struct sftp *s, struct request *q, struct fxp_cursor *c)
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
answer_status(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	struct ending e;

	if (type != FXP_STATUS)
		return ERR_FORMAT;
	e = get_ending(c);
	return request_tell(w, q, true, e.code, e.text);
}

static int
answer_fsetstat(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	struct file *f = q->file;

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
answer_copy(struct watch *w, struct request *q, uint8_t type, struct fxp_cursor *c)
{
	q->to->resized = true;
	q->to->attrs.has_size = false;
	return answer_status(w, q, type, c);
}

static const struct request_rule rules[] = {
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

/* c: behind the id, and behind the name of an extension afterwards. NULL: no such request. */
static const struct request_rule *
find_rule(uint8_t type, struct fxp_cursor *c)
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
request_undo(struct sftp *s, struct request *q)
{
	if (q->rule->ask == ask_open && q->file != NULL) {
		file_free(s, q->file);
		q->file = NULL;
	}
	request_free(s, q);
}

/* A request that waits for its answer now. *ret_q: untouched where there is nothing to wait for. */
static int
request_add(struct sftp *s, uint32_t id, const struct request_rule *rule, struct fxp_cursor *c,
    struct request **ret_q)
{
	struct request *q = calloc(1, sizeof(*q));
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

static struct request *
find_request(struct sftp *s, uint32_t id)
{
	struct request *q;

	TAILQ_FOREACH (q, &s->requests, link)
		if (q->id == id)
			return q;
	return NULL;
}

/* Packets. Each of these sets s->lost when the packet does not fit the protocol. */

/* The next n bytes of the packet are content of f, at offset; f is kept until they have come. */
static int
content_begin(struct watch *w, struct flow *fl, struct file *f, struct way_op *op, uint64_t offset,
    uint32_t n)
{
	if (n > fl->plain) {
		((struct sftp *)w->state)->lost = malformed;
		return 0;
	}
	if (n == 0)
		return 0;
	if (op->track == NULL && (op->track = watch_track_new()) == NULL)
		return -ENOMEM;
	if (op->number == 0)
		op->number = watch_number(w);
	fl->plain -= n;
	fl->content = n;
	fl->file = f;
	fl->op = op;
	fl->offset = offset;
	f->n_waiting++;
	return 0;
}

static int
on_write(struct watch *w, struct flow *fl, uint32_t id, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	struct request *q = NULL;
	uint64_t offset;
	uint32_t n;
	int r;

	if ((r = request_add(s, id, find_rule(FXP_WRITE, c), c, &q)) != 0)
		return r;
	offset = fxp_get_u64(c);
	n = fxp_get_u32(c);
	if (q == NULL) {
		/* Not to a file that we know of: the target will not take it either. */
		if (n > fl->plain)
			s->lost = malformed;
		return 0;
	}
	if ((r = content_begin(w, fl, q->file, &q->file->put, offset, n)) != 0 || fl->content == 0)
		return r;
	q->file->attrs.has_size = false;
	/* Where it lands is not where it says. */
	if ((q->file->flags & FXP_F_APPEND) != 0)
		watch_track_spoil(q->file->put.track);
	return 0;
}

static int
on_request(struct watch *w, struct flow *fl, uint8_t type, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	uint32_t id = fxp_get_u32(c);
	const struct request_rule *rule;
	struct request *q;

	if (type == FXP_WRITE)
		return on_write(w, fl, id, c);
	rule = find_rule(type, c);
	if (rule == NULL)
		s->lost = "a request that version 3 does not have";
	return rule == NULL || rule->ask == NULL ? 0 : request_add(s, id, rule, c, &q);
}

/* Over with q, whose answer has been seen. */
static int
request_done(struct watch *w, struct request *q)
{
	struct sftp *s = w->state;
	struct file *file = q->file, *to = q->to;
	int r = 0;

	request_drop(s, q);
	if (file != NULL)
		r = file_settle(w, file);
	if (r == 0 && to != NULL && to != file)
		r = file_settle(w, to);
	return r;
}

static int
on_content(struct watch *w, struct flow *fl, uint32_t id, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	struct request *q = find_request(s, id);
	uint32_t n = fxp_get_u32(c);
	int r;

	if (q == NULL || q->rule->type != FXP_READ) {
		s->lost = "content that was not asked for";
		return 0;
	}
	if ((r = content_begin(w, fl, q->file, &q->file->get, q->offset, n)) != 0)
		return r;
	return request_done(w, q);
}

static int
on_answer(struct watch *w, struct flow *fl, uint8_t type, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	uint32_t id = fxp_get_u32(c);
	struct request *q;
	int r;

	if (type == FXP_DATA)
		return on_content(w, fl, id, c);
	if ((type < FXP_STATUS || type > FXP_ATTRS) && type != FXP_EXTENDED_REPLY)
		s->lost = "an answer that version 3 does not have";
	else if (type == FXP_STATUS && c->left < 4)
		s->lost = malformed;
	if (s->lost != NULL || (q = find_request(s, id)) == NULL)
		return 0;
	if ((r = q->rule->answer(w, q, type, c)) == ERR_FORMAT) {
		s->lost = "an answer to something else";
		return 0;
	}
	return r != 0 ? r : request_done(w, q);
}

/* The first packet of a way: INIT or VERSION. */
static void
on_greeting(struct sftp *s, struct flow *fl, bool front, uint8_t type, struct fxp_cursor *c)
{
	uint32_t version = fxp_get_u32(c);

	fl->greeted = true;
	if (type != (front ? FXP_INIT : FXP_VERSION_IS))
		s->lost = "it does not begin like SFTP";
	else if (!front && version != FXP_VERSION)
		s->lost = "a version of SFTP other than 3";
}

/* The head of a packet is there. */
static int
on_packet(struct watch *w, struct flow *fl, bool front)
{
	struct sftp *s = w->state;
	uint8_t type = fl->head[4];
	struct fxp_cursor c;
	int r = 0;

	fxp_cursor_init(&c, fl->head + FXP_HEAD, fl->have - FXP_HEAD, fl->len - 1);
	fl->plain = 4 + (uint64_t)fl->len - fl->have;
	fl->have = 0;
	fl->need = 4;
	if (fl->len < 1 + ID_LEN)
		s->lost = malformed;
	else if (!fl->greeted)
		on_greeting(s, fl, front, type, &c);
	else if (front)
		r = on_request(w, fl, type, &c);
	else
		r = on_answer(w, fl, type, &c);
	if (r == 0 && c.bad)
		s->lost = malformed;
	return r;
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Bytes of head that it takes to go on; no more than there are now: it is complete. */
static size_t
head_need(struct sftp *s, struct flow *fl, bool front)
{
	size_t all;

	if (fl->have == 4) {
		fl->len = u32_at(fl->head);
		if (fl->len == 0 || fl->len > FXP_PACKET_MAX)
			s->lost = "a length that no packet has";
		return FXP_HEAD;
	}
	all = 4 + (size_t)fl->len;
	if (front && fl->head[4] == FXP_WRITE && fl->greeted) {
		size_t n = FXP_HEAD + ID_LEN + 4;

		if (fl->have >= n)
			n = FXP_HEAD + WRITE_FIELDS + u32_at(fl->head + n - 4);
		if (n > FXP_HEAD + WRITE_FIELDS + FXP_HANDLE_MAX)
			s->lost = malformed;
		return n < all ? n : all;
	}
	if (!front && fl->head[4] == FXP_DATA && fl->greeted)
		all = all < FXP_HEAD + ID_LEN + 4 ? all : FXP_HEAD + ID_LEN + 4;
	return all < HEAD_MAX ? all : HEAD_MAX;
}

static size_t
min_of(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

/* Bytes for the head. *off: moves past those that were taken. */
static int
take_head(struct watch *w, struct flow *fl, bool front, const uint8_t *p, size_t len, size_t *off)
{
	struct sftp *s = w->state;
	size_t n = min_of(fl->need - fl->have, len - *off);

	memcpy(fl->head + fl->have, p + *off, n);
	fl->have += n;
	*off += n;
	if (fl->have < fl->need)
		return 0;
	fl->need = head_need(s, fl, front);
	if (s->lost != NULL || fl->have < fl->need)
		return 0;
	return on_packet(w, fl, front);
}

static int
take_content(
    struct watch *w, struct flow *fl, enum event_way way, const uint8_t *p, size_t len, size_t *off)
{
	size_t n = min_of(fl->content, len - *off);
	struct file *f = fl->file;
	int r;

	if ((r = watch_content(w, way, p + *off, n, fl->op->number, fl->offset)) != 0)
		return r;
	watch_track_add(fl->op->track, fl->offset, p + *off, n);
	*off += n;
	fl->content -= n;
	fl->offset += n;
	if (fl->content > 0)
		return 0;
	fl->file = NULL;
	f->n_waiting--;
	return file_settle(w, f);
}

static int
on_data(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	struct sftp *s = w->state;
	struct flow *fl = &s->flows[way == EVENT_BACK];
	size_t off = 0, told = 0;
	int r = 0;

	while (r == 0 && s->lost == NULL && off < len) {
		if (fl->content > 0) {
			if ((r = watch_plain(w, way, p + told, off - told)) == 0)
				r = take_content(w, fl, way, p, len, &off);
			told = off;
		} else if (fl->plain > 0) {
			size_t n = min_of(fl->plain, len - off);

			fl->plain -= n;
			off += n;
		} else {
			r = take_head(w, fl, way == EVENT_FRONT, p, len, &off);
		}
	}
	if (r != 0)
		return r;
	if (s->lost != NULL)
		return watch_lost(w, way, p + told, len - told, s->lost);
	return watch_plain(w, way, p + told, len - told);
}

static int
on_end(struct watch *w)
{
	struct sftp *s = w->state;
	struct request *q;
	struct file *f;
	int r = 0;

	/* Those with a path of their own are operations; the others belong to a file. */
	TAILQ_FOREACH (q, &s->requests, link)
		if (q->path != NULL && (r = request_tell(w, q, false, 0, "")) != 0)
			return r;
	TAILQ_FOREACH (f, &s->files, link)
		if ((r = file_tell(w, f)) != 0)
			return r;
	return 0;
}

static int
on_start(struct watch *w, const char *command)
{
	struct sftp *s = calloc(1, sizeof(*s));

	(void)command;
	if (s == NULL)
		return -ENOMEM;
	TAILQ_INIT(&s->files);
	TAILQ_INIT(&s->requests);
	s->flows[0].need = s->flows[1].need = 4;
	w->state = s;
	return 0;
}

static void
on_stop(struct watch *w)
{
	struct sftp *s = w->state;
	struct request *q, *next_request;
	struct file *f, *next_file;

	if (s == NULL)
		return;
	for (q = TAILQ_FIRST(&s->requests); q != NULL; q = next_request) {
		next_request = TAILQ_NEXT(q, link);
		request_drop(s, q);
	}
	for (f = TAILQ_FIRST(&s->files); f != NULL; f = next_file) {
		next_file = TAILQ_NEXT(f, link);
		file_free(s, f);
	}
	free(s);
}

const struct watch_kind watch_sftp = { POL_STREAM_SFTP, on_start, on_stop, on_data, on_end, NULL };
