/* SFTP held to a rule: what crosses, what is rewritten, and every way round it that could be thought of. */
#include "config.h"

#include "lib/buf.h"
#include "recorder/fxp.h"
#include "recorder/gate.h"
#include "tests/lib/test.h"
#include "tests/unit/sftp_rig.h"

#define F EVENT_FRONT
#define B EVENT_BACK
#define U(v) ((uint32_t)(v))
#define Q(v) ((uint64_t)(v))
#define CUTS 40u /* step sizes that streams are fed with */

struct gated {
	struct gate *g;
	struct gate_rule rule;
	struct buf *out[2];
	unsigned n_refused;
	char name[64], path[64], why[128]; /* of the last refusal */
	enum watch_op op;
};

static int
on_refused(void *arg, const struct gate_refusal *r)
{
	struct gated *t = arg;

	t->n_refused++;
	t->op = r->op;
	(void)snprintf(t->name, sizeof(t->name), "%s", r->name);
	(void)snprintf(t->path, sizeof(t->path), "%.*s", (int)(r->path_len < 60 ? r->path_len : 60),
	    (const char *)r->path);
	(void)snprintf(t->why, sizeof(t->why), "%s", r->why);
	return 0;
}

/* A rule; prefixes separated by spaces, NULL: any path. */
static struct gated *
held_to(bool read, bool write, const char *reads, const char *writes)
{
	static char texts[2][256];
	static char *lists[2][8];
	const char *from[2] = { reads, writes };
	struct gated *t = calloc(1, sizeof(*t));
	struct gate_prefixes *to[2];

	assert_non_null(t);
	to[0] = &t->rule.reads;
	to[1] = &t->rule.writes;
	t->rule.read = read;
	t->rule.write = write;
	for (int i = 0; i < 2; i++) {
		if (from[i] == NULL)
			continue;
		(void)snprintf(texts[i], sizeof(texts[i]), "%s", from[i]);
		to[i]->list = lists[i];
		for (char *p = strtok(texts[i], " "); p != NULL; p = strtok(NULL, " "))
			lists[i][to[i]->n++] = p;
	}
	for (int i = 0; i < 2; i++)
		assert_non_null(t->out[i] = buf_new(64u << 20));
	assert_non_null(t->g = gate_new(&t->rule, on_refused, t));
	return t;
}

static void
ungate(struct gated *t)
{
	gate_free(t->g);
	buf_free(t->out[0]);
	buf_free(t->out[1]);
	free(t);
}

static int
feed(struct gated *t, const struct stream *s, size_t step)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t at = 0, n; at < s->steps[i].len; at += n) {
			const uint8_t *p = buf_ptr(s->bytes) + s->steps[i].off + at;
			int r;

			n = s->steps[i].len - at < step ? s->steps[i].len - at : step;
			r = gate_data(t->g, s->steps[i].way, p, n, t->out[s->steps[i].way == B]);
			if (r != 0)
				return r;
		}
	return 0;
}

/* A server that only tidies the text of a path up when it is asked for the real one. */
static struct stream *
hello_text(void)
{
	struct stream *s = stream_new();

	stream_sftp(s, F, FXP_INIT, "u", U(3));
	stream_sftp(s, B, FXP_VERSION_IS, "uss", U(3), "posix-rename@openssh.com", "1");
	return s;
}

static struct stream *
hello(void)
{
	struct stream *s = stream_new();

	stream_sftp(s, F, FXP_INIT, "u", U(3));
	stream_sftp(s, B, FXP_VERSION_IS, "ussssss", U(3), "posix-rename@openssh.com", "1",
	    "fstatvfs@openssh.com", "2", "lsetstat@openssh.com", "1");
	return s;
}

/* The client asks for a path and the server says what it really is. */
static void
ask_real(struct stream *s, const char *path, const char *real)
{
	stream_sftp(s, F, FXP_REALPATH, "us", U(901), path);
	stream_sftp(s, B, FXP_NAME, "uussn", U(901), U(1), real, "drwx");
}

/* The server says where relative paths begin. */
static void
go_home(struct stream *s, const char *home)
{
	stream_sftp(s, F, FXP_REALPATH, "us", U(900), ".");
	stream_sftp(s, B, FXP_NAME, "uussn", U(900), U(1), home, "drwx");
}

static void
append_way(struct buf *b, const struct stream *s, enum event_way way)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->steps[i].way == way)
			assert_int_equal(
			    buf_put(b, buf_ptr(s->bytes) + s->steps[i].off, s->steps[i].len), 0);
}

/* Whatever crossed is what came. */
static void
check_unchanged(const struct gated *t, const struct stream *s)
{
	for (int way = 0; way < 2; way++) {
		struct buf *want = buf_new(64u << 20);

		append_way(want, s, way == 0 ? F : B);
		assert_int_equal(buf_len(t->out[way]), buf_len(want));
		assert_memory_equal(buf_ptr(t->out[way]), buf_ptr(want), buf_len(want));
		buf_free(want);
	}
	assert_int_equal(t->n_refused, 0);
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The last packet to the target is len bytes long and something that no server knows, with this id. */
static void
check_rewritten(const struct gated *t, size_t len, uint32_t id)
{
	const uint8_t *p = buf_ptr(t->out[0]) + buf_len(t->out[0]) - len;

	assert_int_equal(u32_at(p), len - 4);
	assert_int_equal(p[4], FXP_EXTENDED);
	assert_int_equal(u32_at(p + 5), id);
	assert_int_equal(u32_at(p + 9), len - 13);
	for (size_t i = 13; i < len; i++)
		assert_true(p[i] >= '-' && p[i] <= 'z');
	assert_null(memmem(p + 13, len - 13, "openssh", 7));
}

/* One request under a rule, cut in many ways: whether it crosses. */
static bool
crosses(struct gated *(*make)(void), const struct stream *before, uint8_t type, const char *fmt,
    const char *a, const char *b, uint32_t flags)
{
	bool crossed = false;

	for (size_t step = 1; step <= CUTS; step++) {
		struct gated *t = make();
		struct stream *s = stream_new();
		size_t len;

		if (strcmp(fmt, "us") == 0)
			stream_sftp(s, F, type, fmt, U(7), a);
		else if (strcmp(fmt, "usun") == 0)
			stream_sftp(s, F, type, fmt, U(7), a, flags);
		else if (strcmp(fmt, "usn") == 0)
			stream_sftp(s, F, type, fmt, U(7), a);
		else
			stream_sftp(s, F, type, fmt, U(7), a, b, "c");
		len = buf_len(s->bytes);
		assert_int_equal(feed(t, before, SIZE_MAX), 0);
		assert_int_equal(feed(t, s, step), 0);
		if (step > 1)
			assert_true(crossed == (t->n_refused == 0));
		crossed = t->n_refused == 0;
		if (crossed)
			assert_memory_equal(
			    buf_ptr(t->out[0]) + buf_len(t->out[0]) - len, buf_ptr(s->bytes), len);
		else
			check_rewritten(t, len, 7);
		stream_free(s);
		ungate(t);
	}
	return crossed;
}

static struct gated *
read_only(void)
{
	return held_to(true, false, NULL, NULL);
}

static struct gated *
write_only(void)
{
	return held_to(false, true, NULL, NULL);
}

static struct gated *
nothing(void)
{
	return held_to(false, false, NULL, NULL);
}

#define RENAME "posix-rename@openssh.com"
#define HARDLINK "hardlink@openssh.com"
#define LSETSTAT "lsetstat@openssh.com"

static void
test_rights_without_paths(void **state)
{
	static const struct {
		uint8_t type;
		const char *fmt, *a;
		uint32_t flags;
		bool read, write; /* crosses with that right alone */
	} rows[] = {
		{ FXP_OPEN, "usun", "f", FXP_F_READ, true, false },
		{ FXP_OPEN, "usun", "f", 0, true, false },
		{ FXP_OPEN, "usun", "f", FXP_F_WRITE, false, true },
		{ FXP_OPEN, "usun", "f", FXP_F_WRITE | FXP_F_CREAT | FXP_F_TRUNC, false, true },
		{ FXP_OPEN, "usun", "f", FXP_F_READ | FXP_F_WRITE, false, false },
		{ FXP_OPEN, "usun", "f", FXP_F_READ | FXP_F_CREAT, false, false },
		{ FXP_OPEN, "usun", "f", FXP_F_CREAT, false, false },
		{ FXP_OPEN, "usun", "f", FXP_F_TRUNC, false, false },
		{ FXP_OPEN, "usun", "f", FXP_F_APPEND, false, false },
		{ FXP_SETSTAT, "usn", "f", 0, false, true },
		{ FXP_FSETSTAT, "usn", "h", 0, false, true },
		{ FXP_REMOVE, "us", "f", 0, false, true },
		{ FXP_MKDIR, "usn", "f", 0, false, true },
		{ FXP_RMDIR, "us", "f", 0, false, true },
		{ FXP_RENAME, "uss", "f", 0, false, true },
		{ FXP_SYMLINK, "uss", "f", 0, false, true },
		{ FXP_EXTENDED, "usss", RENAME, 0, false, true },
		{ FXP_EXTENDED, "usss", HARDLINK, 0, false, true },
		{ FXP_EXTENDED, "usss", LSETSTAT, 0, false, true },
		{ FXP_EXTENDED, "usss", "copy-data", 0, false, false },
		{ FXP_EXTENDED, "usss", "copy-file", 0, false, false },
		{ FXP_EXTENDED, "us", "md5-hash", 0, false, false },
		{ 21, "uss", "f", 0, false, false },
		{ FXP_STAT, "us", "f", 0, true, true },
		{ FXP_LSTAT, "us", "f", 0, true, true },
		{ FXP_FSTAT, "us", "h", 0, true, true },
		{ FXP_OPENDIR, "us", "f", 0, true, true },
		{ FXP_READDIR, "us", "h", 0, true, true },
		{ FXP_READLINK, "us", "f", 0, true, true },
		{ FXP_REALPATH, "us", "f", 0, true, true },
		{ FXP_CLOSE, "us", "h", 0, true, true },
		{ FXP_EXTENDED, "usss", "statvfs@openssh.com", 0, true, true },
		{ FXP_EXTENDED, "us", "limits@openssh.com", 0, true, true },
		{ FXP_EXTENDED, "usss", "fsync@openssh.com", 0, true, true },
		{ FXP_EXTENDED, "usss", "expand-path@openssh.com", 0, true, true },
	};
	struct stream *s = hello();

	(void)state;
	go_home(s, "/home/u");
	for (size_t i = 0; i < N_OF(rows); i++) {
		bool r =
		    crosses(read_only, s, rows[i].type, rows[i].fmt, rows[i].a, "b", rows[i].flags);
		bool w = crosses(
		    write_only, s, rows[i].type, rows[i].fmt, rows[i].a, "b", rows[i].flags);

		if (r != rows[i].read || w != rows[i].write)
			fail_msg("row %zu: read %d write %d", i, r, w);
		if (!rows[i].read && !rows[i].write)
			assert_false(crosses(
			    nothing, s, rows[i].type, rows[i].fmt, rows[i].a, "b", rows[i].flags));
	}
	stream_free(s);
}

static struct gated *
prefixed(void)
{
	return held_to(true, true, "/srv /home/u/pub", "/srv/in");
}

static struct gated *
rooted(void)
{
	return held_to(true, false, "/", NULL);
}

static void
test_paths_are_held_to_their_prefixes(void **state)
{
	static const struct {
		uint8_t type;
		const char *fmt, *a, *b;
		uint32_t flags;
		bool crosses;
	} rows[] = {
		{ FXP_OPEN, "usun", "/srv/f", "", FXP_F_READ, true },
		{ FXP_OPEN, "usun", "/srv", "", FXP_F_READ, true },
		{ FXP_OPEN, "usun", "/srvx/f", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "/sr", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "/etc/passwd", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "//srv///f/.", "", FXP_F_READ, true },
		{ FXP_OPEN, "usun", "/srv/./in/f", "", FXP_F_WRITE, true },
		{ FXP_OPEN, "usun", "/srv/f", "", FXP_F_WRITE, false },
		{ FXP_OPEN, "usun", "/srv/in/f", "", FXP_F_READ | FXP_F_WRITE, true },
		{ FXP_OPEN, "usun", "/srv/inx", "", FXP_F_WRITE, false },
		{ FXP_OPEN, "usun", "/home/u/pub/f", "", FXP_F_WRITE, false },
		{ FXP_OPEN, "usun", "pub/f", "", FXP_F_READ, true },
		{ FXP_OPEN, "usun", "f", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "", "", FXP_F_READ, false },
		/* .. of names that nobody vouches for, and of those that are on the way to the home */
		{ FXP_OPEN, "usun", "/srv/in/a/../f", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "/srv/../etc/passwd", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "/srv/..", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "../../srv/f", "", FXP_F_READ, true },
		{ FXP_OPEN, "usun", "../../../../srv/f", "", FXP_F_READ, true },
		{ FXP_OPEN, "usun", "../../etc/f", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "pub/../x", "", FXP_F_READ, false },
		{ FXP_OPEN, "usun", "/../srv/f", "", FXP_F_READ, true },
		{ FXP_REMOVE, "us", "/srv/in/f", "", 0, true },
		{ FXP_REMOVE, "us", "/srv/f", "", 0, false },
		{ FXP_SETSTAT, "usn", "/srv/f", "", 0, false },
		{ FXP_OPENDIR, "us", "/srv", "", 0, true },
		{ FXP_OPENDIR, "us", "/", "", 0, false },
		{ FXP_OPENDIR, "us", "/home/u", "", 0, false },
		{ FXP_READLINK, "us", "/etc/f", "", 0, false },
		/* what is on the way to a prefix may be looked at */
		{ FXP_STAT, "us", "/", "", 0, true },
		{ FXP_LSTAT, "us", "/home", "", 0, true },
		{ FXP_STAT, "us", "/hom", "", 0, false },
		{ FXP_STAT, "us", "/etc", "", 0, false },
		{ FXP_RENAME, "uss", "/srv/in/a", "/srv/in/b", 0, true },
		{ FXP_RENAME, "uss", "/srv/in/a", "/srv/b", 0, false },
		{ FXP_RENAME, "uss", "/srv/a", "/srv/in/b", 0, false },
		{ FXP_SYMLINK, "uss", "/srv/in/a", "/srv/in/b", 0, false },
		{ FXP_EXTENDED, "us", "users-groups-by-id@openssh.com", "", 0, true },
	};
	struct stream *s = hello();

	(void)state;
	go_home(s, "/home/u");
	for (size_t i = 0; i < N_OF(rows); i++)
		if (crosses(prefixed, s, rows[i].type, rows[i].fmt, rows[i].a, rows[i].b,
			rows[i].flags) != rows[i].crosses)
			fail_msg("row %zu: %s %s", i, rows[i].a, rows[i].b);
	assert_true(crosses(rooted, s, FXP_OPEN, "usun", "/anything", "", FXP_F_READ));
	stream_free(s);
}

/* What became readable only by being renamed would be a way round the right to read. */
static struct gated *
drop_box(void)
{
	return held_to(true, true, "/srv/out", "/srv");
}

static struct gated *
deep_drop_box(void)
{
	return held_to(true, true, "/srv/a/out", "/srv");
}

static void
test_a_rename_makes_nothing_readable(void **state)
{
	struct stream *s = hello();

	(void)state;
	assert_false(crosses(drop_box, s, FXP_RENAME, "uss", "/srv/in/a", "/srv/out/a", 0));
	assert_true(crosses(drop_box, s, FXP_RENAME, "uss", "/srv/in/a", "/srv/in/b", 0));
	go_home(s, "/home/u");
	assert_true(crosses(drop_box, s, FXP_RENAME, "uss", "/srv/out/a", "/srv/in/b", 0));
	/* A folder that comes to stand above the prefix brings what lies in it. */
	assert_false(crosses(deep_drop_box, s, FXP_RENAME, "uss", "/srv/in", "/srv/a", 0));
	assert_true(crosses(deep_drop_box, s, FXP_RENAME, "uss", "/srv/in", "/srv/b", 0));
	stream_free(s);
}

static void
test_relative_paths_wait_for_the_servers_word(void **state)
{
	struct stream *s = hello();

	(void)state;
	assert_false(crosses(prefixed, s, FXP_OPEN, "usun", "pub/f", "", FXP_F_READ));
	/* An answer that is no path, and one that is. */
	go_home(s, "home/u");
	assert_false(crosses(prefixed, s, FXP_OPEN, "usun", "pub/f", "", FXP_F_READ));
	go_home(s, "/home/u/../v");
	assert_false(crosses(prefixed, s, FXP_OPEN, "usun", "pub/f", "", FXP_F_READ));
	go_home(s, "/");
	assert_true(crosses(prefixed, s, FXP_OPEN, "usun", "srv/f", "", FXP_F_READ));
	go_home(s, "/home/u");
	assert_true(crosses(prefixed, s, FXP_OPEN, "usun", "pub/f", "", FXP_F_READ));
	stream_free(s);
}

/* A rule with paths to read, and none to write in. */
static struct gated *
shelf(void)
{
	return held_to(true, false, "/srv", NULL);
}

static struct gated *
writable_shelf(void)
{
	return held_to(true, true, "/srv", "/srv/in");
}

static struct gated *
two_writable_shelves(void)
{
	return held_to(true, true, "/srv", "/srv/in /srv/other");
}

static struct gated *
writable_anywhere(void)
{
	return held_to(true, true, "/srv", NULL);
}

static bool
opens(struct gated *(*make)(void), const struct stream *before, const char *path)
{
	return crosses(make, before, FXP_OPEN, "usun", path, "", FXP_F_READ);
}

static void
test_dots_are_taken_off_real_paths_only(void **state)
{
	struct stream *s = hello();

	(void)state;
	assert_false(opens(shelf, s, "/srv/in/a/../f"));
	ask_real(s, "/srv/in/a/", "/srv/in/a");
	assert_true(opens(shelf, s, "/srv/in/a/../f"));
	assert_true(opens(shelf, s, "/srv/in/a/.././../f"));
	assert_false(opens(shelf, s, "/srv/in/b/../f"));
	assert_false(opens(shelf, s, "/srv/in/a/../../../etc/f"));
	stream_free(s);
}

static void
test_a_path_with_dots_in_it_is_no_real_one(void **state)
{
	static const char *const answers[] = { "/srv/link/..", "/srv/link/.", "/srv/link/../b",
		"/srv/link/./b", "/srv//link/b", "/srv/link/", "srv/link", "", "//srv/link",
		"/srv/link//" };

	(void)state;
	for (size_t i = 0; i < N_OF(answers); i++) {
		struct stream *s = hello();

		ask_real(s, "/srv/link/x", answers[i]);
		if (opens(shelf, s, "/srv/link/../f"))
			fail_msg("%s", answers[i]);
		stream_free(s);
	}
}

/* Behind another server's answer there may be a link: /srv/link -> /data/pub, and then /srv/link/../f is /data/f. */
static void
test_dots_need_a_server_that_follows_links(void **state)
{
	static const char *const names[][2] = { { "lsetstat@openssh.com", "x" },
		{ "x", "fstatvfs@openssh.com" },
		{ "lsetstat@openssh.co", "fstatvfs@openssh.com" } };
	struct stream *s = hello_text();

	(void)state;
	ask_real(s, "/srv/link", "/srv/link");
	assert_false(opens(shelf, s, "/srv/link/../f"));
	assert_true(opens(shelf, s, "/srv/link/f"));
	assert_true(opens(shelf, s, "/../srv/f"));
	stream_free(s);
	for (size_t i = 0; i < N_OF(names); i++) {
		s = stream_new();
		stream_sftp(s, F, FXP_INIT, "u", U(3));
		stream_sftp(
		    s, B, FXP_VERSION_IS, "ussss", U(3), names[i][0], "1", names[i][1], "1");
		ask_real(s, "/srv/link", "/srv/link");
		assert_false(opens(shelf, s, "/srv/link/../f"));
		stream_free(s);
	}
}

/*
 * A link that is on the host, /srv/in/link -> /data/pub, can be renamed to a name that was a folder's when the server was asked, on
 * this channel or on another one.
 */
static void
test_dots_are_not_taken_off_where_names_can_change(void **state)
{
	struct stream *s = hello();

	(void)state;
	ask_real(s, "/srv/in/a", "/srv/in/a");
	ask_real(s, "/srv/out/a", "/srv/out/a");
	assert_true(opens(shelf, s, "/srv/in/a/../f"));
	assert_false(opens(writable_shelf, s, "/srv/in/a/../f"));
	assert_true(opens(writable_shelf, s, "/srv/in/../f"));
	assert_false(opens(two_writable_shelves, s, "/srv/in/../f"));
	assert_false(opens(writable_anywhere, s, "/srv/in/../f"));
	assert_true(opens(writable_shelf, s, "/srv/out/a/../f"));
	stream_free(s);
}

/* The answer to REALPATH says whether something is there. */
static void
test_real_paths_are_told_like_names(void **state)
{
	static const struct {
		const char *path;
		bool crosses;
	} rows[] = {
		{ "", true },
		{ ".", true },
		{ "././", true },
		{ "/home/u", true },
		{ "/home/u/..", true },
		{ "..", true },
		{ "/", true },
		{ "/srv", true },
		{ "/srv/in/../out", true },
		{ "pub/x", true },
		{ "pub/..", true },
		{ "x", false },
		{ "/root/.ssh/id_rsa", false },
		{ "/srv/../root", false },
		{ "../../root", false },
		{ "...", false },
	};
	struct stream *s = hello();

	(void)state;
	go_home(s, "/home/u");
	for (size_t i = 0; i < N_OF(rows); i++) {
		const char *path = rows[i].path;

		if (crosses(prefixed, s, FXP_REALPATH, "us", path, "", 0) != rows[i].crosses)
			fail_msg("%s", path);
		if (crosses(prefixed, s, FXP_EXTENDED, "usss", "expand-path@openssh.com", path,
			0) != rows[i].crosses)
			fail_msg("expand-path: %s", path);
	}
	assert_true(crosses(read_only, s, FXP_REALPATH, "us", "/root", "", 0));
	assert_true(
	    crosses(read_only, s, FXP_EXTENDED, "usss", "expand-path@openssh.com", "~root/x", 0));
	assert_false(
	    crosses(prefixed, s, FXP_EXTENDED, "usss", "expand-path@openssh.com", "~root/x", 0));
	assert_false(crosses(prefixed, s, FXP_EXTENDED, "usss", "expand-path@openssh.com", "~", 0));
	stream_free(s);
}

/* /home/u can be read, and relative paths are judged as below it: it stays there. */
static struct gated *
movable_home(void)
{
	return held_to(true, true, "/home", "/home /drop");
}

static void
test_the_folder_of_relative_paths_stays_readable(void **state)
{
	struct stream *s = hello();

	(void)state;
	assert_false(crosses(movable_home, s, FXP_RENAME, "uss", "/home/u", "/drop/z", 0));
	go_home(s, "/home/u");
	assert_false(crosses(movable_home, s, FXP_RENAME, "uss", "/home/u", "/drop/z", 0));
	assert_true(crosses(movable_home, s, FXP_RENAME, "uss", "/home/u", "/home/v", 0));
	assert_true(crosses(movable_home, s, FXP_RENAME, "uss", "/home/u/f", "/drop/z", 0));
	stream_free(s);
}

/* READLINK is answered with a NAME too, whose text its owner chose. */
static void
test_no_other_answer_names_the_home(void **state)
{
	struct gated *t = prefixed();
	struct stream *s = hello();

	(void)state;
	stream_sftp(s, F, FXP_READLINK, "us", U(5), "/srv/in/evil");
	stream_sftp(s, F, FXP_REALPATH, "us", U(5), ".");
	assert_int_equal(feed(t, s, 9), ERR_DENIED);
	assert_non_null(strstr(gate_why(t->g), "number"));
	ungate(t);
	stream_free(s);
}

static void
test_attributes_are_set_through_handles_for_writing_only(void **state)
{
	struct gated *t = held_to(true, true, NULL, "/srv/in");
	struct stream *s = hello();

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "/etc/f", U(FXP_F_READ));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "r");
	stream_sftp(s, F, FXP_OPEN, "usun", U(2), "/srv/in/f", U(FXP_F_WRITE));
	stream_sftp(s, B, FXP_HANDLE, "us", U(2), "w");
	stream_sftp(s, F, FXP_FSETSTAT, "usa", U(3), "w", U(0600));
	assert_int_equal(feed(t, s, 3), 0);
	assert_int_equal(t->n_refused, 0);
	stream_free(s);
	s = stream_new();
	stream_sftp(s, F, FXP_FSETSTAT, "usa", U(4), "r", U(0777));
	assert_int_equal(feed(t, s, 3), 0);
	assert_int_equal(t->n_refused, 1);
	assert_int_equal(t->op, WATCH_SETSTAT);
	stream_free(s);
	/* Its handle may be another file's after CLOSE. */
	s = stream_new();
	stream_sftp(s, F, FXP_CLOSE, "us", U(5), "w");
	stream_sftp(s, F, FXP_FSETSTAT, "usa", U(6), "w", U(0777));
	assert_int_equal(feed(t, s, 3), 0);
	assert_int_equal(t->n_refused, 2);
	stream_free(s);
	ungate(t);
}

/* OPEN and CLOSE at once: when the handle is told, the server has used it again. */
static void
test_a_handle_that_is_closed_before_it_is_told_is_not_for_writing(void **state)
{
	struct gated *t = held_to(true, true, NULL, "/srv/in");
	struct stream *s = hello();

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "/srv/in/f", U(FXP_F_WRITE));
	stream_sftp(s, F, FXP_CLOSE, "us", U(2), "0");
	stream_sftp(s, F, FXP_OPEN, "usun", U(3), "/etc/f", U(FXP_F_READ));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "0");
	assert_int_equal(feed(t, s, 3), 0);
	assert_int_equal(t->n_refused, 0);
	stream_free(s);
	s = stream_new();
	stream_sftp(s, F, FXP_FSETSTAT, "usa", U(4), "0", U(0777));
	assert_int_equal(feed(t, s, 3), 0);
	assert_int_equal(t->n_refused, 1);
	stream_free(s);
	ungate(t);
}

/* What it is opened for stands behind the path, so it was not read. */
static void
test_a_file_whose_flags_were_not_read_is_not_opened(void **state)
{
	struct gated *t = read_only();
	struct stream *s = hello();
	char *path = calloc(1, GATE_HELD_MAX + 1);

	(void)state;
	assert_non_null(path);
	for (size_t i = 0; i < GATE_HELD_MAX; i++)
		path[i] = i % 2 == 0 ? '.' : '/';
	stream_sftp(s, F, FXP_OPEN, "usun", U(7), path, U(FXP_F_WRITE | FXP_F_CREAT));
	assert_int_equal(feed(t, s, 1000), 0);
	assert_int_equal(t->n_refused, 1);
	check_rewritten(t, s->steps[s->n - 1].len, 7);
	free(path);
	stream_free(s);
	ungate(t);
}

static void
test_what_is_allowed_crosses_as_it_came(void **state)
{
	(void)state;
	for (size_t step = 1; step < 60; step++) {
		struct gated *t = prefixed();
		struct stream *s = hello();

		go_home(s, "/home/u");
		stream_sftp(s, F, FXP_OPEN, "usua", U(1), "/srv/in/f", U(FXP_F_WRITE), U(0644));
		stream_sftp(s, B, FXP_HANDLE, "us", U(1), "w");
		stream_sftp(s, F, FXP_WRITE, "usqs", U(2), "w", Q(0), "some content of a file");
		stream_sftp(s, B, FXP_STATUS, "uuss", U(2), U(8), "Operation unsupported", "en");
		stream_sftp(s, F, FXP_READ, "usqu", U(3), "w", Q(0), U(10));
		stream_sftp(s, B, FXP_DATA, "us", U(3), "0123456789");
		stream_sftp(s, F, FXP_CLOSE, "us", U(4), "w");
		stream_sftp(s, B, FXP_STATUS, "uuss", U(4), U(0), "Success", "");
		assert_int_equal(feed(t, s, step), 0);
		check_unchanged(t, s);
		stream_free(s);
		ungate(t);
	}
}

/* The answer to what was refused says so, whatever its cut; other answers stay as they are. */
static void
test_the_answer_is_permission_denied(void **state)
{
	static const struct {
		uint32_t code;
		const char *text, *want;
		uint32_t want_code;
	} rows[] = {
		{ 8, "Operation unsupported", "Permission denied    ", 3 },
		{ 8, "Permission denied", "Permission denied", 3 },
		{ 8, "unsupported", "unsupported", 3 },
		{ 8, "", "", 3 },
		{ 4, "Operation unsupported", "Operation unsupported", 4 },
		{ 0x01000008, "Operation unsupported", "Operation unsupported", 0x01000008 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		for (size_t step = 1; step <= CUTS; step++) {
			struct gated *t = read_only();
			struct stream *s = hello(), *want = hello();

			stream_sftp(s, F, FXP_REMOVE, "us", U(5), "/f");
			stream_sftp(
			    s, B, FXP_STATUS, "uuss", U(4), U(8), "Operation unsupported", "");
			stream_sftp(
			    want, B, FXP_STATUS, "uuss", U(4), U(8), "Operation unsupported", "");
			stream_sftp(
			    s, B, FXP_STATUS, "uuss", U(5), rows[i].code, rows[i].text, "en");
			stream_sftp(want, B, FXP_STATUS, "uuss", U(5), rows[i].want_code,
			    rows[i].want, "en");
			stream_sftp(
			    s, B, FXP_STATUS, "uuss", U(5), U(8), "Operation unsupported", "");
			stream_sftp(
			    want, B, FXP_STATUS, "uuss", U(5), U(8), "Operation unsupported", "");
			assert_int_equal(feed(t, s, step), 0);
			buf_reset(t->out[0]);
			append_way(t->out[0], want, B);
			assert_int_equal(buf_len(t->out[0]), buf_len(t->out[1]));
			assert_memory_equal(
			    buf_ptr(t->out[0]), buf_ptr(t->out[1]), buf_len(t->out[1]));
			assert_int_equal(t->n_refused, 1);
			assert_string_equal(t->name, "remove");
			assert_string_equal(t->path, "/f");
			stream_free(s);
			stream_free(want);
			ungate(t);
		}
}

static void
test_a_long_request_is_refused_and_filled_to_its_end(void **state)
{
	static const size_t lens[] = { GATE_PATH_MAX, GATE_PATH_MAX + 1, GATE_HELD_MAX, 200000 };

	(void)state;
	for (size_t i = 0; i < N_OF(lens); i++) {
		struct gated *t = held_to(true, true, "/srv", NULL);
		struct stream *s = hello();
		char *path = calloc(1, lens[i] + 1);
		size_t len;

		memset(path, 'p', lens[i]);
		memcpy(path, "/srv/", 5);
		stream_sftp(s, F, FXP_OPEN, "usun", U(7), path, U(FXP_F_READ));
		len = s->steps[s->n - 1].len;
		assert_int_equal(feed(t, s, 1000), 0);
		assert_int_equal(t->n_refused, lens[i] > GATE_PATH_MAX);
		if (t->n_refused > 0)
			check_rewritten(t, len, 7);
		else
			check_unchanged(t, s);
		free(path);
		stream_free(s);
		ungate(t);
	}
}

static void
test_a_nul_in_a_path_is_refused(void **state)
{
	struct gated *t = prefixed();
	struct stream *s = hello();

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "ubun", U(7), "/srv/f\0/../../etc", (size_t)17, U(FXP_F_READ));
	assert_int_equal(feed(t, s, SIZE_MAX), 0);
	assert_int_equal(t->n_refused, 1);
	assert_non_null(strstr(t->why, "NUL"));
	stream_free(s);
	ungate(t);
}

/* No version but 3 comes into being, and what is no SFTP does not cross. */
static void
test_what_cannot_be_judged_does_not_cross(void **state)
{
	static const struct {
		enum event_way way;
		const char *bytes;
		size_t len;
	} rows[] = {
#define ROW(way, bytes) { way, bytes, sizeof(bytes) - 1 }
		ROW(F, "GET / HTTP/1.0\r\n"),
		ROW(F, "\0\0\0\0\3"),
		ROW(F, "\0\0\0\4\3\0\0\0"),
		ROW(F, "\377\377\377\377\3"),
		ROW(F, "\0\0\0\12\21\0\0\0\1\0\0\0\2x"),
		ROW(F, "\0\0\0\12\21\0\0\0\1\377\377\377\377x"),
		ROW(F, "\0\0\0\5\21\0\0\0\1"),
		ROW(F, "\0\0\0\5\25\0\0\0\1"),
		ROW(B, "motd of the day"),
		ROW(B, "\0\0\0\3\145\0\0"),
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		for (size_t step = 1; step <= 16; step *= 4) {
			struct gated *t = prefixed();
			struct stream *s = hello();
			size_t before;

			assert_int_equal(feed(t, s, step), 0);
			before = buf_len(t->out[0]);
			stream_free(s);
			s = stream_new();
			stream_put(s, rows[i].way, rows[i].bytes, rows[i].len);
			if (feed(t, s, step) != ERR_DENIED)
				fail_msg("row %zu", i);
			assert_true(strlen(gate_why(t->g)) > 10);
			assert_int_equal(buf_len(t->out[0]), before);
			stream_free(s);
			s = hello();
			assert_int_equal(feed(t, s, step), ERR_DENIED);
			assert_int_equal(buf_len(t->out[0]), before);
			stream_free(s);
			ungate(t);
		}
}

static void
test_the_version_is_3(void **state)
{
	struct gated *t = read_only();
	struct stream *s = stream_new(), *want = stream_new();

	(void)state;
	stream_sftp(s, F, FXP_INIT, "u", U(6));
	stream_sftp(want, F, FXP_INIT, "u", U(3));
	assert_int_equal(feed(t, s, 2), 0);
	assert_int_equal(buf_len(t->out[0]), buf_len(want->bytes));
	assert_memory_equal(buf_ptr(t->out[0]), buf_ptr(want->bytes), buf_len(want->bytes));
	stream_free(s);
	s = stream_new();
	stream_sftp(s, B, FXP_VERSION_IS, "u", U(4));
	assert_int_equal(feed(t, s, 2), ERR_DENIED);
	stream_free(s);
	stream_free(want);
	ungate(t);
}

static void
test_what_is_held_goes_on_at_the_end(void **state)
{
	struct gated *t = prefixed();
	struct stream *s = hello();
	size_t before;

	(void)state;
	assert_int_equal(feed(t, s, SIZE_MAX), 0);
	before = buf_len(t->out[0]);
	assert_int_equal(gate_data(t->g, F, (const uint8_t *)"\0\0\0\30\3\0\0", 7, t->out[0]), 0);
	assert_int_equal(buf_len(t->out[0]), before);
	assert_int_equal(gate_flush(t->g, t->out[0]), 0);
	assert_int_equal(buf_len(t->out[0]), before + 7);
	stream_free(s);
	ungate(t);
}

static void
test_what_waits_is_bounded(void **state)
{
	struct gated *t = prefixed();
	struct stream *s = hello();
	int r = 0;

	(void)state;
	for (uint32_t i = 0; i < 4097; i++)
		stream_sftp(s, F, FXP_STAT, "us", U(i), "/srv");
	r = feed(t, s, SIZE_MAX);
	assert_int_equal(r, ERR_DENIED);
	assert_non_null(strstr(gate_why(t->g), "more requests"));
	stream_free(s);
	ungate(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights_without_paths),
		cmocka_unit_test(test_paths_are_held_to_their_prefixes),
		cmocka_unit_test(test_a_rename_makes_nothing_readable),
		cmocka_unit_test(test_relative_paths_wait_for_the_servers_word),
		cmocka_unit_test(test_dots_are_taken_off_real_paths_only),
		cmocka_unit_test(test_a_path_with_dots_in_it_is_no_real_one),
		cmocka_unit_test(test_dots_need_a_server_that_follows_links),
		cmocka_unit_test(test_dots_are_not_taken_off_where_names_can_change),
		cmocka_unit_test(test_real_paths_are_told_like_names),
		cmocka_unit_test(test_the_folder_of_relative_paths_stays_readable),
		cmocka_unit_test(test_no_other_answer_names_the_home),
		cmocka_unit_test(test_attributes_are_set_through_handles_for_writing_only),
		cmocka_unit_test(test_a_handle_that_is_closed_before_it_is_told_is_not_for_writing),
		cmocka_unit_test(test_a_file_whose_flags_were_not_read_is_not_opened),
		cmocka_unit_test(test_what_is_allowed_crosses_as_it_came),
		cmocka_unit_test(test_the_answer_is_permission_denied),
		cmocka_unit_test(test_a_long_request_is_refused_and_filled_to_its_end),
		cmocka_unit_test(test_a_nul_in_a_path_is_refused),
		cmocka_unit_test(test_what_cannot_be_judged_does_not_cross),
		cmocka_unit_test(test_the_version_is_3),
		cmocka_unit_test(test_what_is_held_goes_on_at_the_end),
		cmocka_unit_test(test_what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
