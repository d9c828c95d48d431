/* One table of requests with what each takes; one function a class. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/fxp.h"
#include "recorder/gate.h"

#define BACK_HEAD_MAX (FXP_HEAD + 4 + 4 + 4 + GATE_PATH_MAX) /* of an answer that is read */
#define WAITING_MAX 4096u  /* requests whose answers are looked at, and handles, at once */
#define KNOWN_MAX 8u	   /* real paths that are remembered besides the home */
#define STATUS_TEXT_AT 17u /* offset of a STATUS packet's text */

/* Of a request whose answer matters. */
enum waiting_for { FOR_NOTHING, FOR_REFUSAL, FOR_HOME, FOR_REAL_PATH, FOR_HANDLE };

struct waiting {
	STAILQ_ENTRY(waiting) link;
	uint32_t id;
	enum waiting_for what;
	size_t len; /* of the handle that it closes; 0: none */
	uint8_t handle[];
};
STAILQ_HEAD(waiting_list, waiting);

/* A handle that was opened for writing. */
struct writable {
	LIST_ENTRY(writable) link;
	size_t len;
	uint8_t handle[];
};
LIST_HEAD(writable_list, writable);

struct front {
	uint8_t head[GATE_HELD_MAX];
	size_t have, need;
	uint32_t len;  /* of the packet, behind its length field */
	uint64_t left; /* bytes of it that are to come */
	bool fill;     /* they are overwritten */
	size_t at;     /* how many bytes behind the id were overwritten */
	bool greeted;
};

struct back {
	uint8_t head[BACK_HEAD_MAX];
	size_t have, need;
	uint32_t len;
	uint64_t left; /* bytes behind the head that are to come */
	bool greeted;
	size_t at;	   /* offset in the packet of the next byte */
	bool rewrite;	   /* it answers what was refused */
	uint32_t text_len; /* of a STATUS that is rewritten */
};

struct gate {
	struct gate_rule rule;
	int (*refused)(void *arg, const struct gate_refusal *r);
	void *arg;
	struct front front;
	struct back back;
	struct waiting_list waiting;
	struct writable_list writables;
	size_t n_waiting, n_writables;
	char *home;		/* owned; NULL: the server has not said */
	char *known[KNOWN_MAX]; /* owned; real paths that the server named last */
	size_t next_known;
	const char *why;
};

/* A request under judgement. */
struct judged {
	struct gate *g;
	const struct request_class *class;
	uint32_t id, flags;
	const uint8_t *path, *path2, *handle;
	size_t path_len, path2_len, handle_len;
	char real[2][2 * GATE_PATH_MAX + 2]; /* the paths, absolute and normalised */
	const char *why;		     /* it is refused */
};

static const char no_right_read[] = "the rule gives no right to read";
static const char no_right_write[] = "the rule gives no right to write";
static const char outside[] = "the path is outside of what the rule names";

/* Lists. */

/* handle, len: what the request closes; 0 nothing. */
static int
wait_for(struct gate *g, uint32_t id, enum waiting_for what, const uint8_t *handle, size_t len)
{
	struct waiting *q;

	if (g->n_waiting == WAITING_MAX) {
		g->why = "more requests without an answer than can be judged";
		return ERR_DENIED;
	}
	if ((q = malloc(sizeof(*q) + len)) == NULL)
		return -ENOMEM;
	q->id = id;
	q->what = what;
	q->len = len;
	if (len > 0)
		memcpy(q->handle, handle, len);
	STAILQ_INSERT_TAIL(&g->waiting, q, link);
	g->n_waiting++;
	return 0;
}

/* The oldest request of this id; NULL: its answer does not matter. */
static struct waiting *
find_waiting(struct gate *g, uint32_t id)
{
	struct waiting *q;

	STAILQ_FOREACH (q, &g->waiting, link)
		if (q->id == id)
			return q;
	return NULL;
}

/* A handle that q's answer brings was closed unseen: whatever has it by now, q did not open. */
static bool
is_closed_behind(const struct waiting *q, const uint8_t *handle, size_t len)
{
	while ((q = STAILQ_NEXT(q, link)) != NULL)
		if (len > 0 && q->len == len && memcmp(q->handle, handle, len) == 0)
			return true;
	return false;
}

static void
drop_waiting(struct gate *g, struct waiting *q)
{
	STAILQ_REMOVE(&g->waiting, q, waiting, link);
	g->n_waiting--;
	free(q);
}

static struct writable *
find_writable(struct gate *g, const uint8_t *handle, size_t len)
{
	struct writable *h;

	LIST_FOREACH (h, &g->writables, link)
		if (h->len == len && memcmp(h->handle, handle, len) == 0)
			return h;
	return NULL;
}

static void
drop_writable(struct gate *g, struct writable *h)
{
	if (h == NULL)
		return;
	LIST_REMOVE(h, link);
	g->n_writables--;
	free(h);
}

/* Handles above the limit are not remembered, so what takes one is refused. */
static int
add_writable(struct gate *g, const uint8_t *handle, size_t len)
{
	struct writable *h;

	if (len > FXP_HANDLE_MAX || g->n_writables == WAITING_MAX)
		return 0;
	if ((h = malloc(sizeof(*h) + len)) == NULL)
		return -ENOMEM;
	h->len = len;
	memcpy(h->handle, handle, len);
	LIST_INSERT_HEAD(&g->writables, h, link);
	g->n_writables++;
	return 0;
}

/* Paths. */

/* path is root, or lies below it. */
static bool
is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return true;
	return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool
is_within(const char *path, const struct gate_prefixes *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (is_below(path, p->list[i]))
			return true;
	return p->n == 0;
}

/* A prefix lies below path: it is one of the folders on the way to it. */
static bool
is_above(const char *path, const struct gate_prefixes *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (is_below(p->list[i], path))
			return true;
	return false;
}

/* The server has said that no component of path is a symlink: it is on the way to a real path. */
static bool
is_real(const struct gate *g, const char *path)
{
	if (g->home != NULL && is_below(g->home, path))
		return true;
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (g->known[i] != NULL && is_below(g->known[i], path))
			return true;
	return strcmp(path, "/") == 0;
}

/* One component more at the end of real; ".." takes one away, if it is known what is above. */
static const char *
add_component(const struct gate *g, char *real, size_t *len, const char *p, size_t n)
{
	if (n == 0 || (n == 1 && p[0] == '.'))
		return NULL;
	if (n == 2 && p[0] == '.' && p[1] == '.') {
		if (!is_real(g, *len == 0 ? "/" : real))
			return "a path with .. behind a name is not judged";
		while (*len > 0 && real[--*len] != '/')
			continue;
		real[*len] = '\0';
		return NULL;
	}
	real[(*len)++] = '/';
	memcpy(real + *len, p, n);
	*len += n;
	real[*len] = '\0';
	return NULL;
}

/* The path as the server will take it, absolute and normalised. NULL, or why it cannot be judged. */
static const char *
real_path(const struct gate *g, const uint8_t *path, size_t path_len, char *real)
{
	const char *p = (const char *)path, *end = p + path_len, *why = NULL;
	size_t len = 0;

	if (path_len > GATE_PATH_MAX)
		return "the path is too long to be judged";
	if (memchr(path, 0, path_len) != NULL)
		return "the path has a NUL in it";
	real[0] = '\0';
	if (path_len == 0 || p[0] != '/') {
		if (g->home == NULL)
			return "a relative path, and the server was not asked yet what it is "
			       "relative to";
		if (strcmp(g->home, "/") != 0) {
			len = strlen(g->home);
			memcpy(real, g->home, len + 1);
		}
	}
	while (why == NULL && p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash != NULL ? slash : end) - p);

		why = add_component(g, real, &len, p, n);
		p += slash != NULL ? n + 1 : n;
	}
	if (len == 0)
		memcpy(real, "/", 2);
	return why;
}

static const char *
may_read(const struct judged *j, int i)
{
	const struct gate_rule *rule = &j->g->rule;

	if (!rule->read)
		return no_right_read;
	return is_within(j->real[i], &rule->reads) ? NULL : outside;
}

static const char *
may_write(const struct judged *j, int i)
{
	const struct gate_rule *rule = &j->g->rule;

	if (!rule->write)
		return no_right_write;
	return is_within(j->real[i], &rule->writes) ? NULL : outside;
}

/* Names, sizes and times may be looked at wherever one of the rights reaches. */
static const char *
may_look(const struct judged *j, int i)
{
	return may_read(j, i) == NULL || may_write(j, i) == NULL ? NULL : outside;
}

/* Classes of requests: each sets j->why or not. */

static void
judge_stat(struct judged *j)
{
	const struct gate_rule *rule = &j->g->rule;

	j->why = may_look(j, 0);
	if ((rule->read && is_above(j->real[0], &rule->reads)) ||
	    (rule->write && is_above(j->real[0], &rule->writes)))
		j->why = NULL;
}

static void
judge_look(struct judged *j)
{
	j->why = may_look(j, 0);
}

static void
judge_write(struct judged *j)
{
	j->why = may_write(j, 0);
}

/* OpenSSH opens for reading what does not say WRITE (draft section 6.3). */
static void
judge_open(struct judged *j)
{
	const uint32_t writes = FXP_F_WRITE | FXP_F_APPEND | FXP_F_CREAT | FXP_F_TRUNC;

	if ((j->flags & writes) != 0)
		j->why = may_write(j, 0);
	if (j->why == NULL && ((j->flags & FXP_F_READ) != 0 || (j->flags & FXP_F_WRITE) == 0))
		j->why = may_read(j, 0);
}

/* Both names are written; and nothing becomes readable under its new name that was not under the old one. */
static void
judge_rename(struct judged *j)
{
	const struct gate_rule *rule = &j->g->rule;

	if ((j->why = may_write(j, 0)) != NULL || (j->why = may_write(j, 1)) != NULL ||
	    may_read(j, 0) == NULL)
		return;
	/* Also not what lies in a folder that comes to stand above a prefix. */
	if (may_read(j, 1) == NULL || (rule->read && is_above(j->real[1], &rule->reads)))
		j->why = outside;
}

static void
judge_symlink(struct judged *j)
{
	const struct gate_rule *rule = &j->g->rule;

	if (!rule->write)
		j->why = no_right_write;
	else if (rule->reads.n > 0 || rule->writes.n > 0)
		j->why = "a symlink could lead out of what the rule names";
}

static void
judge_fsetstat(struct judged *j)
{
	const struct gate_rule *rule = &j->g->rule;

	if (!rule->write)
		j->why = no_right_write;
	else if (rule->writes.n > 0 && find_writable(j->g, j->handle, j->handle_len) == NULL)
		j->why = "the file was not opened for writing";
}

static void
judge_copy(struct judged *j)
{
	if (!j->g->rule.read)
		j->why = no_right_read;
	else if (!j->g->rule.write)
		j->why = no_right_write;
}

static void
judge_unknown(struct judged *j)
{
	j->why = "the rule says nothing of this request";
}

/* Which fields a request has, as far as they are looked at. */
enum shape { NOTHING, HANDLE, PATH, PATH_FLAGS, TWO_PATHS };

static const struct request_class {
	uint8_t type;
	const char *name; /* of an EXTENDED also what it calls itself */
	enum shape shape;
	enum watch_op op;
	void (*judge)(struct judged *j); /* NULL: allowed */
} classes[] = {
	{ FXP_READ, "read", NOTHING, 0, NULL },
	{ FXP_WRITE, "write", NOTHING, 0, NULL },
	{ FXP_CLOSE, "close", HANDLE, 0, NULL },
	{ FXP_FSTAT, "fstat", NOTHING, 0, NULL },
	{ FXP_READDIR, "readdir", NOTHING, 0, NULL },
	{ FXP_REALPATH, "realpath", PATH, 0, NULL },
	{ FXP_STAT, "stat", PATH, 0, judge_stat },
	{ FXP_LSTAT, "lstat", PATH, 0, judge_stat },
	{ FXP_OPENDIR, "opendir", PATH, WATCH_LIST, judge_look },
	{ FXP_READLINK, "readlink", PATH, 0, judge_look },
	{ FXP_OPEN, "open", PATH_FLAGS, WATCH_GET, judge_open },
	{ FXP_SETSTAT, "setstat", PATH, WATCH_SETSTAT, judge_write },
	{ FXP_FSETSTAT, "fsetstat", HANDLE, WATCH_SETSTAT, judge_fsetstat },
	{ FXP_REMOVE, "remove", PATH, WATCH_REMOVE, judge_write },
	{ FXP_MKDIR, "mkdir", PATH, WATCH_MKDIR, judge_write },
	{ FXP_RMDIR, "rmdir", PATH, WATCH_RMDIR, judge_write },
	{ FXP_RENAME, "rename", TWO_PATHS, WATCH_RENAME, judge_rename },
	{ FXP_SYMLINK, "symlink", TWO_PATHS, WATCH_SYMLINK, judge_symlink },
	{ FXP_EXTENDED, "posix-rename@openssh.com", TWO_PATHS, WATCH_RENAME, judge_rename },
	{ FXP_EXTENDED, "hardlink@openssh.com", TWO_PATHS, WATCH_LINK, judge_rename },
	{ FXP_EXTENDED, "lsetstat@openssh.com", PATH, WATCH_SETSTAT, judge_write },
	{ FXP_EXTENDED, "statvfs@openssh.com", PATH, 0, judge_stat },
	{ FXP_EXTENDED, "fstatvfs@openssh.com", NOTHING, 0, NULL },
	{ FXP_EXTENDED, "fsync@openssh.com", NOTHING, 0, NULL },
	{ FXP_EXTENDED, "limits@openssh.com", NOTHING, 0, NULL },
	{ FXP_EXTENDED, "expand-path@openssh.com", NOTHING, 0, NULL },
	{ FXP_EXTENDED, "home-directory", NOTHING, 0, NULL },
	{ FXP_EXTENDED, "users-groups-by-id@openssh.com", NOTHING, 0, NULL },
	{ FXP_EXTENDED, "copy-data", NOTHING, WATCH_COPY, judge_copy },
};
static const struct request_class unknown_class = { 0, "an unknown request", NOTHING, 0,
	judge_unknown };

static const struct request_class *
find_class(uint8_t type, const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].type == type &&
		    (type != FXP_EXTENDED || fxp_is(name, len, classes[i].name)))
			return &classes[i];
	return &unknown_class;
}

/* Paths are judged, and so every answer must belong to one request only. */
static bool
is_strict(const struct gate *g)
{
	return g->rule.reads.n > 0 || g->rule.writes.n > 0;
}

/* Take the fields out, and the paths as the server will. */
static void
read_fields(struct judged *j, struct fxp_cursor *c)
{
	enum shape shape = j->class->shape;

	j->path = j->path2 = (const uint8_t *)"";
	if (shape == HANDLE)
		j->handle = fxp_get_str(c, &j->handle_len);
	if (shape >= PATH)
		j->path = fxp_get_str(c, &j->path_len);
	if (shape == PATH_FLAGS)
		j->flags = fxp_get_u32(c);
	if (shape == TWO_PATHS)
		j->path2 = fxp_get_str(c, &j->path2_len);
	/* Flags behind what is held are not known, whatever the rule says of paths. */
	if (shape == PATH_FLAGS && c->cut)
		j->why = "the path is too long to be judged";
	if (shape < PATH || !is_strict(j->g) || j->class->judge == NULL ||
	    j->class->judge == judge_symlink)
		return;
	if (c->cut)
		j->why = "the path is too long to be judged";
	else
		j->why = real_path(j->g, j->path, j->path_len, j->real[0]);
	if (j->why == NULL && shape == TWO_PATHS)
		j->why = real_path(j->g, j->path2, j->path2_len, j->real[1]);
}

/* What the answer to an allowed request is looked at for. */
static int
follow(struct judged *j)
{
	struct gate *g = j->g;
	enum waiting_for what = FOR_NOTHING;
	size_t closes = 0;

	if (!is_strict(g))
		return 0;
	if (j->class->type == FXP_REALPATH)
		what = j->path_len == 0 || fxp_is(j->path, j->path_len, ".") ? FOR_HOME
									     : FOR_REAL_PATH;
	else if (j->class->type == FXP_OPEN && (j->flags & FXP_F_WRITE) != 0)
		what = FOR_HANDLE;
	else if (j->class->type == FXP_CLOSE) {
		drop_writable(g, find_writable(g, j->handle, j->handle_len));
		if (j->handle_len <= FXP_HANDLE_MAX)
			closes = j->handle_len;
	}
	return wait_for(g, j->id, what, j->handle, closes);
}

static int
refuse(struct judged *j)
{
	struct gate_refusal r = { .name = j->class->name,
		.op = j->class->op,
		.path = j->path,
		.path_len = j->path_len,
		.path2 = j->path2,
		.path2_len = j->path2_len,
		.why = j->why };
	const uint32_t writes = FXP_F_WRITE | FXP_F_APPEND | FXP_F_CREAT | FXP_F_TRUNC;
	struct front *f = &j->g->front;
	int e;

	if (j->class->type == FXP_OPEN && (j->flags & writes) != 0)
		r.op = WATCH_PUT;
	/* What takes its place begins with a string's length. */
	if (f->len < 1 + 4 + 4) {
		j->g->why = "a request that is too short";
		return ERR_DENIED;
	}
	if ((e = wait_for(j->g, j->id, FOR_REFUSAL, NULL, 0)) != 0)
		return e;
	return j->g->refused(j->g->arg, &r);
}

/* Overwrite n bytes: a string that fills the packet behind its id. */
static void
fill(struct front *f, uint8_t *p, size_t n)
{
	static const char name[] = "refused@bastiond.";
	uint32_t len = f->len - 1 - 4 - 4;

	for (size_t i = 0; i < n; i++, f->at++) {
		if (f->at < 4)
			p[i] = (uint8_t)(len >> (24 - 8 * f->at));
		else
			p[i] = (uint8_t)name[(f->at - 4) % (sizeof(name) - 1)];
	}
}

/* The head of a request is there: let it pass, or not. */
static int
judge(struct gate *g, struct buf *out)
{
	struct front *f = &g->front;
	struct judged j = { .g = g };
	const uint8_t *name = NULL;
	struct fxp_cursor c;
	size_t name_len = 0;
	int r;

	fxp_cursor_init(&c, f->head + FXP_HEAD, f->have - FXP_HEAD, f->len - 1);
	j.id = fxp_get_u32(&c);
	if (f->head[4] == FXP_EXTENDED)
		name = fxp_get_str(&c, &name_len);
	j.class = find_class(f->head[4], name, name_len);
	read_fields(&j, &c);
	if (c.bad) {
		g->why = "a request whose fields do not fit it";
		return ERR_DENIED;
	}
	if (is_strict(g) && find_waiting(g, j.id) != NULL) {
		g->why = "a request with the number of one that waits for its answer";
		return ERR_DENIED;
	}
	if (j.why == NULL && j.class->judge != NULL)
		j.class->judge(&j);
	r = j.why != NULL ? refuse(&j) : follow(&j);
	if (r != 0)
		return r;
	f->left = 4 + (uint64_t)f->len - f->have;
	f->fill = j.why != NULL;
	f->at = 0;
	if (f->fill) {
		f->head[4] = FXP_EXTENDED;
		fill(f, f->head + FXP_HEAD + 4, f->have - FXP_HEAD - 4);
	}
	r = buf_put(out, f->head, f->have);
	f->have = 0;
	f->need = 4;
	return r;
}

/* INIT: whatever the client speaks besides, version 3 is what it says. */
static int
greet(struct gate *g, struct buf *out)
{
	struct front *f = &g->front;
	int r;

	if (f->head[4] != FXP_INIT || f->len < 5) {
		g->why = "it does not begin like SFTP";
		return ERR_DENIED;
	}
	f->greeted = true;
	if (f->head[5] != 0 || f->head[6] != 0 || f->head[7] != 0 || f->head[8] > FXP_VERSION)
		memcpy(f->head + FXP_HEAD, "\0\0\0\3", 4);
	f->left = 4 + (uint64_t)f->len - f->have;
	f->fill = false;
	r = buf_put(out, f->head, f->have);
	f->have = 0;
	f->need = 4;
	return r;
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Bytes of a request that are held before it is judged. */
static size_t
front_need(const struct front *f)
{
	size_t all = 4 + (size_t)f->len, need = GATE_HELD_MAX;

	if (!f->greeted || f->head[4] == FXP_READ || f->head[4] == FXP_WRITE)
		need = FXP_HEAD + 4;
	return all < need ? all : need;
}

static int
front_head(struct gate *g, struct buf *out)
{
	struct front *f = &g->front;

	if (f->have == 4) {
		f->len = u32_at(f->head);
		if (f->len < 5 || f->len > FXP_PACKET_MAX) {
			g->why = "a length that no packet has";
			return ERR_DENIED;
		}
		f->need = FXP_HEAD;
		return 0;
	}
	f->need = front_need(f);
	if (f->have < f->need)
		return 0;
	return f->greeted ? judge(g, out) : greet(g, out);
}

static size_t
min_of(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

static int
front_data(struct gate *g, const uint8_t *p, size_t len, struct buf *out)
{
	struct front *f = &g->front;
	int r = 0;

	while (r == 0 && len > 0) {
		size_t n = min_of(f->left > 0 ? f->left : f->need - f->have, len);

		if (f->left > 0) {
			uint8_t *to;

			if ((r = buf_reserve(out, n, &to)) != 0)
				return r;
			memcpy(to, p, n);
			if (f->fill)
				fill(f, to, n);
			f->left -= n;
		} else {
			memcpy(f->head + f->have, p, n);
			f->have += n;
			if (f->have == f->need)
				r = front_head(g, out);
		}
		p += n;
		len -= n;
	}
	return r;
}

/* Answers. */

/* Remember a real path of the server's; it is absolute and normalised, or it is not believed. */
static int
learn(struct gate *g, enum waiting_for what, struct fxp_cursor *c)
{
	uint32_t n = fxp_get_u32(c);
	size_t len;
	const uint8_t *p = fxp_get_str(c, &len);
	char *copy, **to;

	if (n != 1 || c->bad || c->cut || len == 0 || len > GATE_PATH_MAX || p[0] != '/' ||
	    memchr(p, 0, len) != NULL)
		return 0;
	if ((copy = strndup((const char *)p, len)) == NULL)
		return -ENOMEM;
	if (strstr(copy, "//") != NULL || strstr(copy, "/../") != NULL ||
	    strstr(copy, "/./") != NULL || (len > 1 && p[len - 1] == '/')) {
		free(copy);
		return 0;
	}
	to = what == FOR_HOME ? &g->home : &g->known[g->next_known++ % KNOWN_MAX];
	free(*to);
	*to = copy;
	return 0;
}

/* The head of an answer that matters is there. */
static int
answered(struct gate *g, struct waiting *q)
{
	struct back *b = &g->back;
	struct fxp_cursor c;
	const uint8_t *p;
	size_t len;
	int r = 0;

	fxp_cursor_init(&c, b->head + FXP_HEAD + 4, b->have - FXP_HEAD - 4, b->len - 1 - 4);
	switch (q->what) {
	case FOR_NOTHING:
		break;
	case FOR_REFUSAL:
		b->rewrite = b->head[4] == FXP_STATUS;
		break;
	case FOR_HANDLE:
		if (b->head[4] != FXP_HANDLE)
			break;
		p = fxp_get_str(&c, &len);
		if (!c.bad && !c.cut && !is_closed_behind(q, p, len))
			r = add_writable(g, p, len);
		break;
	case FOR_HOME:
	case FOR_REAL_PATH:
	default:
		if (b->head[4] == FXP_NAME)
			r = learn(g, q->what, &c);
		break;
	}
	drop_waiting(g, q);
	return r;
}

/* Head bytes of an answer are there: more of them, or the rest is no matter. */
static int
back_head(struct gate *g)
{
	struct back *b = &g->back;
	size_t all = 4 + (size_t)b->len;
	struct waiting *q;
	int r = 0;

	if (b->have == 4) {
		b->len = u32_at(b->head);
		b->need = FXP_HEAD + 4;
		if (b->len >= 5 && b->len <= FXP_PACKET_MAX)
			return 0;
		g->why = "an answer of a length that no packet has";
		return ERR_DENIED;
	}
	if (!b->greeted) {
		b->greeted = true;
		if (b->head[4] != FXP_VERSION_IS || u32_at(b->head + FXP_HEAD) != FXP_VERSION)
			g->why = "the target does not speak SFTP version 3";
		r = g->why != NULL ? ERR_DENIED : 0;
	} else if ((q = find_waiting(g, u32_at(b->head + FXP_HEAD))) != NULL) {
		if (q->what > FOR_REFUSAL && b->have == FXP_HEAD + 4) {
			b->need = all < BACK_HEAD_MAX ? all : BACK_HEAD_MAX;
			if (b->have < b->need)
				return 0;
		}
		r = answered(g, q);
	}
	b->left = all - b->have;
	b->have = 0;
	b->need = 4;
	return r;
}

/* Byte by byte through a STATUS that is rewritten: 8 becomes 3, and the text what belongs to it. */
static void
rewrite(struct back *b, uint8_t *p, size_t n)
{
	static const char text[] = "Permission denied";

	for (size_t i = 0; i < n; i++, b->at++) {
		if (b->at >= 9 && b->at < 12 && p[i] != 0)
			b->rewrite = false;
		else if (b->at == 12 && p[i] != FXP_OP_UNSUPPORTED)
			b->rewrite = false;
		else if (b->at == 12)
			p[i] = FXP_PERMISSION_DENIED;
		else if (b->at >= 13 && b->at < STATUS_TEXT_AT)
			b->text_len = b->text_len << 8 | p[i];
		else if (b->at >= STATUS_TEXT_AT && b->at - STATUS_TEXT_AT < b->text_len &&
			 b->text_len >= sizeof(text) - 1)
			p[i] = b->at - STATUS_TEXT_AT < sizeof(text) - 1
				   ? (uint8_t)text[b->at - STATUS_TEXT_AT]
				   : ' ';
		if (!b->rewrite)
			return;
	}
}

static int
back_data(struct gate *g, const uint8_t *p, size_t len, struct buf *out)
{
	struct back *b = &g->back;
	int r = 0;

	while (r == 0 && len > 0) {
		size_t n = min_of(b->left > 0 ? b->left : b->need - b->have, len);
		uint8_t *to;

		if ((r = buf_reserve(out, n, &to)) != 0)
			return r;
		memcpy(to, p, n);
		if (b->left > 0) {
			if (b->rewrite)
				rewrite(b, to, n);
			b->left -= n;
			b->rewrite = b->rewrite && b->left > 0;
		} else {
			memcpy(b->head + b->have, p, n);
			b->have += n;
			if (b->have == b->need) {
				b->at = FXP_HEAD + 4;
				b->text_len = 0;
				r = back_head(g);
			}
		}
		p += n;
		len -= n;
	}
	return r;
}

/* The gate itself. */

struct gate *
gate_new(const struct gate_rule *rule, int (*refused)(void *arg, const struct gate_refusal *r),
    void *arg)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->rule = *rule;
	g->refused = refused;
	g->arg = arg;
	g->front.need = g->back.need = 4;
	STAILQ_INIT(&g->waiting);
	LIST_INIT(&g->writables);
	return g;
}

void
gate_free(struct gate *g)
{
	struct writable *h, *next_writable;
	struct waiting *q, *next_waiting;

	if (g == NULL)
		return;
	for (q = STAILQ_FIRST(&g->waiting); q != NULL; q = next_waiting) {
		next_waiting = STAILQ_NEXT(q, link);
		free(q);
	}
	for (h = LIST_FIRST(&g->writables); h != NULL; h = next_writable) {
		next_writable = LIST_NEXT(h, link);
		free(h);
	}
	for (size_t i = 0; i < KNOWN_MAX; i++)
		free(g->known[i]);
	free(g->home);
	free(g);
}

int
gate_data(struct gate *g, enum event_way way, const uint8_t *data, size_t len, struct buf *out)
{
	if (g->why != NULL)
		return ERR_DENIED;
	return way == EVENT_FRONT ? front_data(g, data, len, out) : back_data(g, data, len, out);
}

int
gate_flush(struct gate *g, struct buf *out)
{
	size_t n = g->front.have;

	g->front.have = 0;
	return g->why != NULL ? 0 : buf_put(out, g->front.head, n);
}

const char *
gate_why(const struct gate *g)
{
	return g->why != NULL ? g->why : "";
}
