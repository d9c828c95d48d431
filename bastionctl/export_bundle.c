/*
 * The bundle is written by a child in the sandbox, which has only the edge to the reader and the open
 * file; we wait, and give the file its name when it is whole.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/auditor_file.h"
#include "bastionctl/auditor_key.h"
#include "bastionctl/export_bundle.h"
#include "bastionctl/rd.h"
#include "bastionctl/view.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/str.h"
#include "recorder/seskey.h"
#include "recorder/store_bundle.h"

#define ENTRY_MAX (1u + 4u + STORE_KEY_MAX + BUNDLE_VALUE_MAX) /* bytes of one entry */

/* To whom the session is handed on, and by whom. */
struct hand {
	bool on;
	struct auditor to;
	const struct secret *from; /* borrowed */
	int err;		   /* why it is not */
};

/* --for: a line as of bastionctl auditor new, or a file with one. */
static int
hand_wish(struct cmd_ctx *c, struct hand *h)
{
	const char *given = cmd_opt(c, "--for");
	char *text = NULL;
	size_t len;
	int code, r;

	if (given == NULL)
		return CMD_YES;
	r = auditor_parse(given, &h->to);
	if (r != 0 && (r = file_read(given, AUDITOR_LINE_SIZE, &text, &len)) == 0)
		r = auditor_parse(text, &h->to);
	free(text);
	if (r != 0)
		return cmd_fail(CMD_USAGE,
		    "--for: a line as of bastionctl auditor new, or a file with one, is needed: %s",
		    err_str(r));
	if (secret_init() != 0)
		return cmd_fail(CMD_UNSURE, "the cryptographic library does not start");
	if ((code = auditor_key_given(c, &h->from)) != CMD_YES)
		return code;
	if (h->from == NULL)
		return cmd_fail(CMD_USAGE,
		    "--for needs the key of an auditor who can open the session: --auditor-key "
		    "FILE");
	h->on = true;
	return CMD_YES;
}

static int
hand_fail(const struct hand *h)
{
	static const struct {
		int err;
		const char *why;
	} whys[] = {
		{ ERR_ORDER, "the session is not sealed: whoever has its bundle can read it, so "
			     "--for has nothing to do" },
		{ ERR_SEALED, "the session is not sealed to this auditor's key: only who can open "
			      "it can hand it on" },
		{ ERR_EXISTS, "they can open it already, or somebody else has this name there" },
		{ ERR_LIMIT, "it was handed on to as many as can be" },
		{ ERR_ERASED, "the session was erased: nobody can open it any more" },
		{ ERR_CHAIN, "its key record is damaged: see bastionctl verify" },
	};

	for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++)
		if (whys[i].err == h->err)
			return cmd_fail(h->err == ERR_CHAIN ? CMD_UNSURE : CMD_NO,
			    "%s; no bundle was written", whys[i].why);
	return cmd_fail(CMD_UNSURE, "the bundle is not written: %s", err_str(h->err));
}

/* Options of other formats. */
static int
bundle_wish(const struct cmd_ctx *c, const char **ret_file)
{
	static const char *const others[] = { "--channel", "--stream", "--file" };
	const char *file = cmd_opt(c, "--output");

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (cmd_opt(c, others[i]) != NULL)
			return cmd_fail(
			    CMD_USAGE, "a bundle holds the whole session: leave out %s", others[i]);
	if (cmd_opt(c, "--bundle") != NULL && cmd_opt(c, "--for") == NULL)
		return cmd_fail(CMD_USAGE, "it is a bundle already: copy the file");
	if (file == NULL || file[0] == '\0' || strcmp(file, "-") == 0)
		return cmd_fail(CMD_USAGE, "--format bundle needs a file: -o FILE");
	if (access(file, F_OK) == 0)
		return cmd_fail(CMD_UNSURE, "%s: it is there already and is not overwritten", file);
	*ret_file = file;
	return CMD_YES;
}

/* The key record, for one more. out: emptied first. */
static int
hand_on(struct hand *h, const struct bundle_entry *e, struct buf *out)
{
	struct seskey k;
	int r;

	buf_reset(out);
	if (e->key_len != REC_SID_LEN)
		return ERR_FORMAT;
	if ((r = seskey_parse(e->data, e->len, &k)) != 0)
		return r;
	h->err = seskey_hand_on(&k, e->key, secret_cptr(h->from), &h->to);
	r = h->err != 0 ? h->err : seskey_put(out, &k);
	seskey_done(&k);
	return r;
}

/* One entry as it came, but for the key record of a session that is handed on. */
static int
bundle_add_entry(struct bundle_writer *w, struct bundle_entry *e, struct hand *h)
{
	struct buf *record;
	int r;

	if (!h->on || e->db != STORE_KEY)
		return bundle_writer_add(w, e);
	if ((record = buf_new(SESKEY_RECORD_MAX)) == NULL)
		return -ENOMEM;
	if ((r = hand_on(h, e, record)) == 0) {
		e->data = buf_ptr(record);
		e->len = buf_len(record);
		r = bundle_writer_add(w, e);
	}
	buf_free(record);
	return r;
}

static int
bundle_add(struct bundle_writer *w, const struct buf *b, struct hand *h)
{
	struct buf *view = buf_view(buf_ptr(b), buf_len(b));
	struct bundle_entry e = { .db = 0 };
	uint8_t db;
	int r = -ENOMEM;

	if (view == NULL)
		return r;
	if ((r = buf_get_u8(view, &db)) == 0 && (r = buf_get_str(view, &e.key, &e.key_len)) == 0) {
		e.db = db;
		e.data = buf_ptr(view);
		e.len = buf_len(view);
		r = bundle_add_entry(w, &e, h);
	}
	buf_free(view);
	return r;
}

/* Entries until the end. Returns as rd_next(); *ret_write: what writing failed with. */
static int
bundle_copy(struct rd *rd, struct bundle_writer *w, struct buf *b, struct hand *h, int *ret_write)
{
	struct rd_msg m;
	int r;

	while ((r = rd_next(rd, &m)) == 0) {
		if (m.type != RD_ENTRY)
			return ERR_FORMAT;
		if ((*ret_write = buf_put(b, m.data, m.len)) != 0)
			return r;
		if (m.more)
			continue;
		if ((*ret_write = bundle_add(w, b, h)) != 0)
			return r;
		buf_reset(b);
	}
	return buf_len(b) == 0 ? r : ERR_FORMAT; /* the end came within an entry */
}

static int
bundle_take(struct rd *rd, int fd, struct hand *h)
{
	struct buf *b = buf_new(ENTRY_MAX);
	struct bundle_writer *w = NULL;
	int code = CMD_YES, r = 0, e = b == NULL ? -ENOMEM : bundle_writer_new(fd, &w);

	if (e == 0)
		r = bundle_copy(rd, w, b, h, &e);
	if (e == 0 && (code = rd_end(rd, r)) == CMD_YES)
		e = bundle_writer_end(w);
	if (h->err != 0)
		code = hand_fail(h);
	else if (e != 0)
		code = cmd_fail(CMD_UNSURE, "the bundle is not written: %s", err_str(e));
	bundle_writer_free(w);
	buf_free(b);
	return code;
}

/* A key that ends the export ends the child; we live to remove what it wrote. */
static void
ignore_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &sa, NULL);
}

static int
bundle_in_child(struct rd *rd, int fd, struct hand *h)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return cmd_fail(CMD_UNSURE, "cannot start: %s", strerror(errno));
	if (pid == 0) {
		int code = view_close_sandbox();

		_exit(code == CMD_YES ? bundle_take(rd, fd, h) : code);
	}
	ignore_signals();
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cmd_fail(CMD_UNSURE, "cannot wait: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) <= CMD_UNSURE)
		return WEXITSTATUS(status);
	return cmd_fail(CMD_UNSURE, "the export was ended before the bundle was whole");
}

static int
bundle_write(struct rd *rd, const char *file, struct hand *h)
{
	char tmp[PATH_MAX];
	int code, fd, r;

	if (str_format(tmp, sizeof(tmp), "%s.new.%d", file, (int)getpid()) != 0)
		return cmd_fail(CMD_USAGE, "-o: the path is too long");
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return cmd_fail(
		    CMD_UNSURE, "%s: %s: the bundle is not written", file, strerror(errno));
	code = bundle_in_child(rd, fd, h);
	if (code == CMD_YES && fsync(fd) != 0)
		code = cmd_fail(
		    CMD_UNSURE, "%s: %s: the bundle is not written", file, strerror(errno));
	fd_close(&fd);
	if (code != CMD_YES) {
		(void)unlink(tmp); /* what went wrong was said */
		return code;
	}
	r = file_publish(tmp, file);
	if (r == 0)
		return CMD_YES;
	return cmd_fail(CMD_UNSURE, "%s: %s: the bundle is not written", file, err_str(r));
}

int
export_bundle(struct cmd_ctx *c, const char *id)
{
	const char *plain[] = { "bundle", id, NULL }, *file = NULL;
	struct hand h = { .on = false };
	const char *handed[] = { "bundle", "--for", h.to.name, id, NULL };
	struct rd_place place;
	struct rd *rd = NULL;
	int code;

	if ((code = bundle_wish(c, &file)) != CMD_YES || (code = hand_wish(c, &h)) != CMD_YES)
		return code;
	if (hash_init() != 0) /* the sandbox would keep it out later */
		return cmd_fail(CMD_UNSURE, "SHA-256 is not there: check the OpenSSL installation");
	if ((code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, h.on ? handed : plain, &rd)) == CMD_YES)
		code = bundle_write(rd, file, &h);
	rd_close(rd);
	return code;
}
