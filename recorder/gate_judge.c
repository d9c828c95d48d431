/* One table of requests with what each takes; one function a class. */
#include "config.h"

#include <string.h>

#include "recorder/fxp.h"
#include "recorder/gate_part.h"

/* A request under judgement. */
struct judged {
	struct gate *g;
	const struct request_class *class;
	uint32_t id, flags;
	const uint8_t *path, *path2, *handle;
	size_t path_len, path2_len, handle_len;
	char real[2][GATE_REAL_MAX]; /* the paths, absolute and normalised */
	const char *why;	     /* it is refused */
};

static const char no_right_read[] = "the rule gives no right to read";
static const char no_right_write[] = "the rule gives no right to write";
static const char outside[] = "the path is outside of what the rule names";

static const char *
may_read(const struct judged *j, int i)
{
	const struct gate_rule *rule = &j->g->rule;

	if (!rule->read)
		return no_right_read;
	return gate_is_within(j->real[i], &rule->reads) ? NULL : outside;
}

static const char *
may_write(const struct judged *j, int i)
{
	const struct gate_rule *rule = &j->g->rule;

	if (!rule->write)
		return no_right_write;
	return gate_is_within(j->real[i], &rule->writes) ? NULL : outside;
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
	if ((rule->read && gate_is_above(j->real[0], &rule->reads)) ||
	    (rule->write && gate_is_above(j->real[0], &rule->writes)))
		j->why = NULL;
}

/* Paths are judged, and so every answer must belong to one request only. */
static bool
is_strict(const struct gate *g)
{
	return g->rule.reads.n > 0 || g->rule.writes.n > 0;
}

/* The answer says whether the path is there and where its links lead: no more of that than of the names of files. */
static void
judge_real_path(struct judged *j)
{
	if (!is_strict(j->g) || gate_is_home(j->path, j->path_len) ||
	    gate_is_told(j->g, j->real[0]))
		return;
	judge_stat(j);
}

/* "~" is a folder that only the server knows; the rest is REALPATH. */
static void
judge_expand(struct judged *j)
{
	if (is_strict(j->g) && j->path_len > 0 && j->path[0] == '~')
		j->why = "a path that begins with ~ is not judged";
	else
		judge_real_path(j);
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

/*
 * Both names are written; and nothing becomes readable under its new name that was not under the old one. Nor under its old one:
 * relative paths are judged by the name that their folder had, so that one is not moved to where it could not be read.
 */
static void
judge_rename(struct judged *j)
{
	const struct gate_rule *rule = &j->g->rule;

	if ((j->why = may_write(j, 0)) != NULL || (j->why = may_write(j, 1)) != NULL)
		return;
	if (may_read(j, 0) == NULL) {
		if (may_read(j, 1) != NULL && gate_holds_home(j->g, j->real[0]))
			j->why = "the folder that relative paths begin in stays readable";
		return;
	}
	/* Also not what lies in a folder that comes to stand above a prefix. */
	if (may_read(j, 1) == NULL || (rule->read && gate_is_above(j->real[1], &rule->reads)))
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
	else if (rule->writes.n > 0 && gate_find_writable(j->g, j->handle, j->handle_len) == NULL)
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
	{ FXP_REALPATH, "realpath", PATH, 0, judge_real_path },
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
	{ FXP_EXTENDED, "expand-path@openssh.com", PATH, 0, judge_expand },
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

/* NULL, or why the path cannot be judged. */
static const char *
place(const struct judged *j, const uint8_t *path, size_t path_len, char *real)
{
	bool by_text = j->class->judge == judge_real_path || j->class->judge == judge_expand;

	if (by_text && gate_is_home(path, path_len))
		return NULL;
	return gate_real_path(j->g, path, path_len, by_text, real);
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
	if (shape < PATH || !is_strict(j->g) || j->class->judge == judge_symlink)
		return;
	j->why = c->cut ? "the path is too long to be judged"
			: place(j, j->path, j->path_len, j->real[0]);
	if (j->why == NULL && shape == TWO_PATHS)
		j->why = place(j, j->path2, j->path2_len, j->real[1]);
}

/* What the answer to an allowed request is looked at for. */
static int
follow(struct judged *j)
{
	struct gate *g = j->g;
	enum gate_reason what = GATE_NOTHING;
	size_t closes = 0;

	if (!is_strict(g))
		return 0;
	if (j->class->type == FXP_REALPATH)
		what = gate_is_home(j->path, j->path_len) ? GATE_HOME : GATE_REAL_PATH;
	else if (j->class->type == FXP_OPEN && (j->flags & FXP_F_WRITE) != 0)
		what = GATE_HANDLE;
	else if (j->class->type == FXP_CLOSE) {
		gate_drop_writable(g, gate_find_writable(g, j->handle, j->handle_len));
		if (j->handle_len <= FXP_HANDLE_MAX)
			closes = j->handle_len;
	}
	return gate_wait_for(g, j->id, what, j->handle, closes);
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
	struct gate_front *f = &j->g->front;
	int e;

	if (j->class->type == FXP_OPEN && (j->flags & writes) != 0)
		r.op = WATCH_PUT;
	/* What takes its place begins with a string's length. */
	if (f->len < 1 + 4 + 4) {
		j->g->why = "a request that is too short";
		return ERR_DENIED;
	}
	if ((e = gate_wait_for(j->g, j->id, GATE_REFUSAL, NULL, 0)) != 0)
		return e;
	return j->g->refused(j->g->arg, &r);
}

int
gate_judge(struct gate *g, bool *ret_refused)
{
	struct gate_front *f = &g->front;
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
	if (is_strict(g) && gate_find_waiting(g, j.id) != NULL) {
		g->why = "a request with the number of one that waits for its answer";
		return ERR_DENIED;
	}
	if (j.why == NULL && j.class->judge != NULL)
		j.class->judge(&j);
	r = j.why != NULL ? refuse(&j) : follow(&j);
	if (r == 0)
		*ret_refused = j.why != NULL;
	return r;
}
