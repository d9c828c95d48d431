/*
 * bastiond-reader --store DIR|--bundle FILE VERB [ARGUMENT ...]: serves one request of one auditor from the store, read-only.
 * Descriptor 3: the edge to bastionctl. What may be asked is fixed by the arguments.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/crypt.h"
#include "recorder/reader.h"

#define READER_KEY_WAIT_NS (10 * CLOCK_NS_PER_S)

static const struct {
	const char *name;
	reader_fn run;
} reader_verbs[] = {
	{ "list", reader_list },
	{ "show", reader_show },
	{ "events", reader_events },
	{ "watch", reader_watch },
	{ "verify", reader_verify },
	{ "log", reader_log },
	{ "checkpoint", reader_checkpoint },
	{ "search", reader_search },
	{ "find", reader_which },
	{ "space", reader_space },
	{ "index", reader_index },
	{ "bundle", reader_bundle },
};

static reader_fn
reader_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(reader_verbs) / sizeof(reader_verbs[0]); i++)
		if (strcmp(reader_verbs[i].name, name) == 0)
			return reader_verbs[i].run;
	return NULL;
}

/* Last words; bastionctl may be gone already. */
static void
reader_end(struct reader *rd, uint8_t code)
{
	struct buf *b = buf_new(1024);

	if (b == NULL || buf_put_u8(b, code) != 0 || buf_put_cstr(b, rd->text) != 0 ||
	    ipc_plain_send(rd->fd, RD_END, rd->n_seeks, buf_ptr(b), buf_len(b), NULL, 0) != 0)
		log_debug("reader.end_not_told");
	buf_free(b);
}

/*
 * The store to read, and of it and of its derived data one file to write: LMDB's table of readers, which is made here when a copy
 * came without.
 * On a medium that cannot be written there is none, and LMDB does without.
 */
static int
reader_close_sandbox(const char *dir)
{
	static const char *const below[] = { "", "/" DERIVED_DIR };
	char lock[2][PATH_MAX], folder[PATH_MAX];
	struct sandbox_path paths[3] = { { .path = dir } };
	size_t n = 1;
	int fd, r;

	for (size_t i = 0; i < 2; i++) {
		if ((r = str_format(folder, sizeof(folder), "%s%s", dir, below[i])) != 0 ||
		    (r = str_format(lock[i], sizeof(lock[i]), "%s/lock.mdb", folder)) != 0)
			return r;
		/* A copy may have a link in place of derived data, to anywhere. */
		if (i > 0 && !file_is_dir(folder))
			continue;
		fd = open(lock[i], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd >= 0)
			paths[n++] = (struct sandbox_path){ .path = lock[i], .write = true };
		fd_close(&fd);
	}
	return sandbox_enter(SANDBOX_READER, paths, n);
}

/* A bundle is one file, which stays as it is. */
static int
reader_open_bundle(struct reader *rd, const char *file)
{
	const struct sandbox_path path = { .path = file };
	int r;

	if ((r = sandbox_enter(SANDBOX_READER, &path, 1)) == 0)
		r = store_open_bundle(file, &rd->store);
	if (r != 0)
		reader_say(rd, "%s: %s", file,
		    r == ERR_FORMAT    ? "not a bundle, or not a whole one"
		    : r == ERR_VERSION ? "the bundle is of another version"
				       : err_str(r));
	return r;
}

static int
reader_open_store(struct reader *rd, const char *dir)
{
	int r;

	/* Before the store is touched: what lies in it may be somebody's who wants to break LMDB. */
	if ((r = reader_close_sandbox(dir)) != 0) {
		reader_say(rd, "the sandbox cannot be closed: %s", err_str(r));
		return r;
	}
	if ((r = store_open_read(dir, &rd->store)) != 0) {
		reader_say(rd, "%s: the store cannot be opened: %s", dir, err_str(r));
		return r;
	}
	/* What it is good for goes without it, only slower. */
	if (derived_open_read(dir, &rd->derived) != 0)
		rd->derived = NULL;
	return 0;
}

static int
reader_open(struct reader *rd, const char *path)
{
	int r = rd->bundle ? reader_open_bundle(rd, path) : reader_open_store(rd, path);

	if (r == 0 && (r = store_snap_new(rd->store, &rd->snap)) != 0)
		reader_say(rd, "%s: the store cannot be read: %s", path, err_str(r));
	return r;
}

/*
 * The key that comes on the descriptor behind the edge: "live": of a session that runs, from the recorder; "auditor": the
 * secret one of an auditor, from a bastionctl that started us itself. None may come, and then nothing is opened with it.
 */
static int
reader_take_key(struct reader *rd, const char *whose)
{
	int fd = PROC_FD_FIRST + 1, r;
	struct secret *key;

	if (whose == NULL || strlen(whose) > sizeof("auditor"))
		return 0;
	if ((key = secret_new(CRYPT_KEY_LEN)) == NULL)
		return -ENOMEM;
	r = fd_wait(fd, POLLIN, clock_boot_ns() + READER_KEY_WAIT_NS);
	if (r == 0 && recv(fd, secret_ptr(key), CRYPT_KEY_LEN, 0) == CRYPT_KEY_LEN)
		r = (strcmp(whose, "live") == 0 ? store_set_live : store_set_auditor)(
		    rd->store, secret_cptr(key));
	secret_free(key);
	fd_close(&fd);
	return r == -ENOMEM ? r : 0;
}

static int
reader_serve(struct reader *rd, const char *path, reader_fn run)
{
	uint8_t code = 3;
	int r;

	if ((r = ipc_plain_hello(rd->fd)) == 0 && (r = reader_open(rd, path)) == 0 &&
	    (r = reader_take_key(rd, reader_option(rd, "--key-of"))) == 0)
		r = run(rd, &code);
	if (r != 0) {
		code = 3;
		if (rd->text[0] == '\0')
			reader_say(rd, "reading the store failed: %s", err_str(r));
	}
	if (r != ERR_PEER_GONE)
		reader_end(rd, code);
	derived_close(rd->derived);
	store_snap_free(rd->snap);
	store_close(rd->store);
	return code;
}

int
main(int argc, char **argv)
{
	struct reader rd = { .fd = PROC_FD_FIRST, .credit = RD_WINDOW };
	reader_fn run;
	int code;

	log_init("bastiond-reader", LOG_LEVEL_INFO);
	rd.bundle = argc >= 4 && strcmp(argv[1], "--bundle") == 0;
	if (argc < 4 || (!rd.bundle && strcmp(argv[1], "--store") != 0) ||
	    (run = reader_verb(argv[3])) == NULL) {
		fputs("usage: bastiond-reader --store DIR|--bundle FILE VERB [ARGUMENT ...]\n"
		      "It is started by bastiond or bastionctl, never by hand.\n",
		    stderr);
		return 2;
	}
	rd.args = (const char *const *)(argv + 4);
	rd.space = malloc(IPC_HEADER + IPC_MAX);
	if (rd.space == NULL || sandbox_prepare() != 0 || secret_init() != 0 || hash_init() != 0) {
		log_err("reader.start_failed");
		free(rd.space);
		return 3;
	}
	code = reader_serve(&rd, argv[2], run);
	buf_free(rd.notes);
	free(rd.space);
	return code;
}
