/* Starting a reader and taking its messages. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/auditor_key.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/rd.h"
#include "bastionctl/unseal.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/proc.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/screen.h"
#include "recorder/veil.h"

#define RD_WAIT_MS 60000	  /* between looks whether the reader is still there */
#define RD_TEXT_MAX (64u << 20)	  /* bytes of one JSON text in parts */
#define RD_REFILL (RD_WINDOW / 2) /* messages after which more are asked for */
#define RD_ARGS_MAX 16		  /* arguments of a reader */
#define RD_ID_SIZE (2 * REC_SID_LEN + 1)

struct rd {
	int fd;
	uint8_t *space;	    /* of one message */
	struct buf *text;   /* of a JSON text in parts */
	struct buf *screen; /* a picture in parts */
	bool screen_goes_on;
	struct json_node *json;
	struct json_node *begin; /* RD_BEGIN */
	uint32_t taken;		 /* messages since more were asked for */
	uint32_t seek_id;
	bool reading; /* events is set up */
	struct event_reader events;
	struct veil_reader *veil; /* opens what was typed and shown */
	struct unseal *unseal;	  /* what is sealed goes through it */
	enum cmd_exit end_code;
	char *end_text; /* NULL: no end yet */
};

/* 0; ERR_NOT_FOUND there is none; -errno it cannot be told. */
static int
rd_look_for_store(const char *dir)
{
	char path[PATH_MAX];
	int r = str_format(path, sizeof(path), "%s/data.mdb", dir);

	if (r != 0 || access(path, F_OK) == 0)
		return r;
	return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : -errno;
}

static bool
rd_is_store(const char *dir)
{
	return rd_look_for_store(dir) == 0;
}

/* recorder.pub of the state directory, or the recorder's own copy of it in the store. */
static int
rd_find_key(const char *state, struct rd_place *p)
{
	int r = str_format(p->key_file, sizeof(p->key_file), "%s/recorder.pub", state);

	if (r == 0 && access(p->key_file, F_OK) != 0)
		r = str_format(p->key_file, sizeof(p->key_file), "%s/recorder.pub", p->store);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "%s: the path is too long", state);
}

/* dir: as given with --store. */
static int
rd_find_copy(const char *dir, struct rd_place *p)
{
	static const char *const below[] = { "", "/recorder", "/state/recorder" };
	char state[PATH_MAX];

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++)
		if (str_format(p->store, sizeof(p->store), "%s%s", dir, below[i]) == 0 &&
		    rd_is_store(p->store) &&
		    str_format(state, sizeof(state), "%s/..", p->store) == 0) {
			p->copy = true;
			return rd_find_key(state, p);
		}
	return cmd_fail(CMD_UNSURE,
	    "%s: no store is here: name the folder with data.mdb, or its state directory", dir);
}

/* file: as given with --bundle. */
static int
rd_find_bundle(const char *file, struct rd_place *p)
{
	p->bundle = true;
	if (str_copy(p->store, sizeof(p->store), file) != 0 ||
	    file_relative(file, "recorder.pub", p->key_file, sizeof(p->key_file)) != 0)
		return cmd_fail(CMD_USAGE, "--bundle: the path is too long");
	if (access(file, R_OK) != 0)
		return cmd_fail(CMD_UNSURE,
		    "%s: %s: name a file that bastionctl export --format "
		    "bundle wrote",
		    file, strerror(errno));
	return CMD_YES;
}

const char *
rd_session(const struct cmd_ctx *c, int n_args, const char *const *args)
{
	if (n_args > 0)
		return args[0];
	if (cmd_opt(c, "--bundle") != NULL)
		return "last";
	(void)cmd_fail(CMD_USAGE, "which session? an ID as of bastionctl sessions list is needed");
	return NULL;
}

int
rd_find(struct cmd_ctx *c, struct rd_place *ret_place)
{
	const char *dir = cmd_opt(c, "--store"), *bundle = cmd_opt(c, "--bundle");
	int r;

	memset(ret_place, 0, sizeof(*ret_place));
	if (dir != NULL && bundle != NULL)
		return cmd_fail(CMD_USAGE, "either --store or --bundle");
	if (bundle != NULL)
		return rd_find_bundle(bundle, ret_place);
	if (dir != NULL)
		return rd_find_copy(dir, ret_place);
	if ((r = cmd_load_config(c)) != CMD_YES)
		return r;
	if (str_format(ret_place->store, sizeof(ret_place->store), "%s/recorder", c->state) != 0)
		return cmd_fail(CMD_UNSURE, "%s: the path is too long", c->state);
	if (rd_look_for_store(ret_place->store) == ERR_NOT_FOUND)
		return cmd_fail(CMD_UNSURE,
		    "%s: no store is here: this bastion has never been started, so there is "
		    "nothing to read: start it with bastiond -f %s",
		    ret_place->store, c->conf_file);
	return rd_find_key(c->state, ret_place);
}

static int
rd_spawn_with(
    const struct rd_place *place, const char *const *args, int exec_fd, int edge, int key_fd)
{
	const int fds[] = { edge, key_fd };
	const char *argv[RD_ARGS_MAX + 5] = { place->bundle ? "--bundle" : "--store",
		place->store };
	const struct proc_spec spec = { .exec_fd = exec_fd,
		.name = "bastiond-reader",
		.argv = argv,
		.fds = fds,
		.n_fds = key_fd >= 0 ? 2 : 1 };
	int pidfd = -1, r;
	pid_t pid;

	for (size_t i = 0; args[i] != NULL; i++) {
		if (i == RD_ARGS_MAX)
			return ERR_LIMIT;
		argv[i + 2] = args[i];
		argv[i + 3] = key_fd >= 0 ? "--key-of" : NULL;
		argv[i + 4] = key_fd >= 0 ? "auditor" : NULL;
	}
	r = proc_spawn(&spec, &pid, &pidfd); /* it ends when we do */
	fd_close(&pidfd);
	return r;
}

/* The socket from which a reader of our own takes the auditor's key; -1: there is none. */
static int
rd_key_fd(const struct secret *auditor, int *ret_fd)
{
	int pair[2], r;

	*ret_fd = -1;
	if (auditor == NULL)
		return 0;
	if ((r = ipc_pair(pair)) != 0)
		return r;
	if (send(pair[1], secret_cptr(auditor), secret_len(auditor), MSG_NOSIGNAL) < 0) {
		r = -errno;
		fd_close(&pair[0]);
	} else {
		*ret_fd = pair[0];
	}
	fd_close(&pair[1]);
	return r;
}

/* A reader of our own. auditor: a key that it shall open with, or NULL. */
static int
rd_spawn(const struct rd_place *place, const char *const *args, const struct secret *auditor,
    int *ret_fd)
{
	int fds[2] = { -1, -1 }, exec_fd = -1, key_fd = -1, r;
	char dir[PATH_MAX];

	if ((r = proc_libexec_dir(dir, sizeof(dir))) != 0 ||
	    (r = proc_open(dir, "bastiond-reader", &exec_fd)) != 0) {
		r = cmd_fail(CMD_UNSURE, "%s/bastiond-reader: %s: is bastiond installed whole?",
		    dir, err_str(r));
		goto out;
	}
	if ((r = ipc_pair(fds)) != 0 || (r = rd_key_fd(auditor, &key_fd)) != 0 ||
	    (r = rd_spawn_with(place, args, exec_fd, fds[1], key_fd)) != 0) {
		r = cmd_fail(CMD_UNSURE, "cannot start bastiond-reader: %s", err_str(r));
		goto out;
	}
	*ret_fd = fds[0];
	fds[0] = -1;
	r = CMD_YES;
out:
	fd_close(&exec_fd);
	fd_close(&key_fd);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return r;
}

/* A copy is read by ourselves; what a bastiond keeps is not a copy. */
static int
rd_edge_copy(const struct rd_place *place, enum rd_view view, const char *const *args,
    const struct secret *auditor, int *ret_fd)
{
	char state[PATH_MAX];
	int fd = -1;

	if (view == RD_CONTENT && str_format(state, sizeof(state), "%s/..", place->store) == 0 &&
	    ctl_connect(state, &fd) == 0) {
		fd_close(&fd);
		return cmd_fail(CMD_UNSURE,
		    "%s: a running bastiond keeps this store and notes every look at it: leave "
		    "--store away",
		    place->store);
	}
	return rd_spawn(place, args, auditor, ret_fd);
}

/* The answer to "find": a whole id and nothing else. */
static int
rd_take_id(struct rd *rd, char dst[RD_ID_SIZE])
{
	uint8_t sid[REC_SID_LEN];
	struct rd_msg m;
	int r = rd_next(rd, &m);

	if (r != 0)
		return r;
	if (m.type != RD_TEXT || m.len != RD_ID_SIZE - 1)
		return ERR_FORMAT;
	memcpy(dst, m.data, m.len);
	dst[m.len] = '\0';
	return str_unhex(dst, sid, sizeof(sid));
}

/*
 * A running bastion is asked about sessions by their ids, so that its log says which one was looked at: what the word last
 * or the first digits of one mean is asked first. *arg: its id in dst then. CMD_YES; other codes after a line on stderr.
 */
static int
rd_which(struct cmd_ctx *c, const char **arg, char dst[RD_ID_SIZE])
{
	const char *const ask[] = { "find", *arg, NULL };
	struct rd *rd = NULL;
	int fd = -1, code, r;

	if ((code = ctl_read(c->broker_fd, ask, &fd)) != CMD_YES)
		return code;
	if ((r = rd_attach(fd, &rd)) != 0) {
		fd_close(&fd);
		return cmd_fail(CMD_UNSURE, "bastiond-reader: %s", err_str(r));
	}
	r = rd_take_id(rd, dst);
	code = rd_end(rd, r);
	rd_close(rd);
	if (code == CMD_YES)
		*arg = dst;
	return code;
}

/* Of a verb that is about sessions: what is not the value of an option, but for the one whose value is a session. */
static bool
rd_is_word(const char *const *args, size_t n)
{
	const char *s = args[n];
	size_t len = strlen(s);

	if (str_starts(args[n - 1], "--") && strcmp(args[n - 1], "--proof") != 0)
		return false;
	if (strcmp(s, "last") == 0)
		return true;
	/* The log is asked about other things, too. */
	return strcmp(args[0], "log") != 0 && len >= REC_SID_SHORT && len < 2 * REC_SID_LEN &&
	       s[strspn(s, "0123456789abcdef")] == '\0';
}

/* The reader that a running bastion starts. args[1] and on may be the word last, or the first digits of an id. */
static int
rd_edge_running(struct cmd_ctx *c, const char *const *args, int *ret_fd)
{
	const char *ask[RD_ARGS_MAX + 1];
	char id[RD_ID_SIZE];
	size_t n;
	int code;

	for (n = 0; args[n] != NULL; n++) {
		if (n == RD_ARGS_MAX)
			return cmd_fail(CMD_UNSURE, "too many arguments for a reader");
		ask[n] = args[n];
		if (n > 0 && rd_is_word(args, n) && (code = rd_which(c, &ask[n], id)) != CMD_YES)
			return code;
	}
	ask[n] = NULL;
	return ctl_read(c->broker_fd, ask, ret_fd);
}

static int
rd_edge_bastion(struct cmd_ctx *c, const struct rd_place *place, enum rd_view view,
    const char *const *args, const struct secret *auditor, int *ret_fd)
{
	int r;

	if (view == RD_PROOF) {
		r = ctl_connect(c->state, &c->broker_fd);
		if (r == -ENOENT || r == -ECONNREFUSED)
			return rd_spawn(place, args, auditor, ret_fd);
		if (r == 0 && auditor != NULL)
			cmd_note("the key stays here: through a running bastion what is sealed is "
				 "checked as it is stored; with --store or --bundle all of it is");
		if (r == 0)
			return rd_edge_running(c, args, ret_fd);
	}
	if ((r = ctl_connect_or_say(c)) != CMD_YES) {
		if (rd_is_store(place->store))
			cmd_note(
			    "its recordings can be read all the same, unnoted, with --store %s",
			    place->store);
		return r;
	}
	return rd_edge_running(c, args, ret_fd);
}

/* auditor: a secret key to open with, or NULL; borrowed. */
static struct rd *
rd_new(const struct secret *auditor)
{
	struct rd *rd = calloc(1, sizeof(*rd));

	if (rd == NULL)
		return NULL;
	rd->fd = -1;
	rd->space = malloc(IPC_HEADER + IPC_MAX);
	rd->text = buf_new(RD_TEXT_MAX);
	rd->screen = buf_new(SCREEN_PAINT_MAX);
	rd->veil = veil_reader_new();
	rd->unseal = unseal_new(auditor);
	if (rd->space != NULL && rd->text != NULL && rd->screen != NULL && rd->veil != NULL &&
	    rd->unseal != NULL)
		return rd;
	rd_close(rd);
	return NULL;
}

static int
rd_attach_with(int fd, const struct secret *auditor, struct rd **ret_rd)
{
	struct rd *rd = rd_new(auditor);
	int r = rd == NULL ? -ENOMEM : ipc_plain_hello(fd);

	if (r == ERR_PEER_GONE) /* it has said all it had to say, and that can still be read */
		r = 0;
	if (r != 0) {
		rd_close(rd);
		return r;
	}
	rd->fd = fd;
	*ret_rd = rd;
	return 0;
}

int
rd_attach(int fd, struct rd **ret_rd)
{
	return rd_attach_with(fd, NULL, ret_rd);
}

/* The verbs that tell more to who has an auditor's key: dst becomes args with --blocks 1. 0; ERR_LIMIT. */
static int
rd_ask_blocks(const char *const *args, const char *dst[RD_ARGS_MAX + 1])
{
	static const char *const verbs[] = { "list", "show", "events", "watch" };
	bool more = false;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		more = more || strcmp(args[0], verbs[i]) == 0;
	while (args[n] != NULL)
		n++;
	if (n + 2 > RD_ARGS_MAX)
		return ERR_LIMIT;
	dst[0] = args[0];
	memcpy(dst + 1 + (more ? 2 : 0), args + 1, n * sizeof(args[0]));
	if (more) {
		dst[1] = "--blocks";
		dst[2] = "1";
	}
	return 0;
}

int
rd_open(struct cmd_ctx *c, const struct rd_place *place, enum rd_view view, const char *const *args,
    struct rd **ret_rd)
{
	const struct secret *auditor = NULL, *own = NULL;
	const char *ask[RD_ARGS_MAX + 1];
	int fd = -1, r;

	/* Before a sandbox: what is sealed may have to be opened inside it. */
	if (secret_init() != 0 || hash_init() != 0)
		return cmd_fail(CMD_UNSURE, "the cryptographic library does not start");
	/* Whether it is whole can be told without a key, which nobody is asked for unless they say so. */
	if ((view == RD_CONTENT || cmd_opt(c, "--auditor-key") != NULL) &&
	    (r = auditor_key_given(c, &auditor)) != CMD_YES)
		return r;
	if (view == RD_PROOF)
		own = auditor;
	if (view == RD_CONTENT && auditor != NULL) {
		if (rd_ask_blocks(args, ask) != 0)
			return cmd_fail(CMD_UNSURE, "too many arguments for a reader");
		args = ask;
	}
	if (place->bundle)
		r = rd_spawn(place, args, own, &fd);
	else
		r = place->copy ? rd_edge_copy(place, view, args, own, &fd)
				: rd_edge_bastion(c, place, view, args, own, &fd);
	if (r != CMD_YES)
		return r;
	if ((r = rd_attach_with(fd, auditor, ret_rd)) == 0)
		return CMD_YES;
	fd_close(&fd);
	return cmd_fail(CMD_UNSURE, "bastiond-reader: %s", err_str(r));
}

void
rd_close(struct rd *rd)
{
	if (rd == NULL)
		return;
	fd_close(&rd->fd);
	free(rd->space);
	buf_free(rd->text);
	veil_reader_free(rd->veil);
	buf_free(rd->screen);
	json_node_free(rd->json);
	unseal_free(rd->unseal);
	json_node_free(rd->begin);
	free(rd->end_text);
	free(rd);
}

static int
rd_send_u32(struct rd *rd, uint16_t type, uint32_t v)
{
	const uint8_t data[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
		(uint8_t)v };

	return ipc_plain_send(rd->fd, type, 0, data, sizeof(data), NULL, 0);
}

int
rd_send_notes(struct rd *rd, const char *text, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		size_t n = len - at < IPC_MAX ? len - at : IPC_MAX;

		r = ipc_plain_send(rd->fd, RD_NOTES, 0, text + at, n, NULL, 0);
		at += n;
	}
	/* It may have had enough; what it said about that is still to be read. */
	return r == ERR_PEER_GONE || r == -EPIPE ? 0 : r;
}

int
rd_sealed(const struct rd *rd, const struct sess **ret_s, const uint8_t **ret_key)
{
	return unseal_session(rd->unseal, ret_s, ret_key);
}

int
rd_send_taken(struct rd *rd, const struct rd_taken *taken)
{
	const uint8_t data[6] = { (uint8_t)taken->what, taken->more, (uint8_t)(taken->hits >> 24),
		(uint8_t)(taken->hits >> 16), (uint8_t)(taken->hits >> 8), (uint8_t)taken->hits };

	return ipc_plain_send(rd->fd, RD_TAKE, 0, data, sizeof(data), NULL, 0);
}

/* One message off the wire, of whatever seek. */
static int
rd_receive(struct rd *rd, bool wait, struct ipc_msg *m)
{
	int r;

	do
		r = ipc_plain_recv(rd->fd, rd->space, m, wait ? RD_WAIT_MS : 0);
	while (wait && r == -ETIMEDOUT);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	if (r != 0)
		return r;
	if (m->n_fds != 0) {
		ipc_msg_close(m);
		return ERR_FORMAT;
	}
	if (m->type == RD_END || ++rd->taken < RD_REFILL)
		return 0;
	r = rd_send_u32(rd, RD_MORE, rd->taken);
	rd->taken = 0;
	return r == ERR_PEER_GONE || r == -EPIPE ? 0 : r; /* its last words may still be there */
}

static int
rd_take_end(struct rd *rd, const struct ipc_msg *m)
{
	char *text;
	int r = ctl_get_reply(m, &rd->end_code, &text);

	if (r != 0)
		return r;
	free(rd->end_text);
	rd->end_text = text;
	return ERR_NOT_FOUND;
}

/* A part of a JSON text; *ret_whole: it was the last one and the text is parsed. */
static int
rd_take_json(struct rd *rd, const struct ipc_msg *m, bool *ret_whole)
{
	int r = buf_put(rd->text, m->data, m->len);

	*ret_whole = m->id == 0;
	if (r != 0 || !*ret_whole)
		return r;
	json_node_free(rd->json);
	rd->json = NULL;
	r = json_parse((const char *)buf_ptr(rd->text), buf_len(rd->text), &rd->json);
	buf_reset(rd->text);
	return r != 0 ? r : unseal_json(rd->unseal, &rd->json);
}

static int
rd_take_events(const struct ipc_msg *m, struct rd_msg *ret)
{
	struct buf *b = buf_view(m->data, m->len);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u64(b, &ret->first_seq)) == 0 &&
	    (r = buf_get_u64(b, &ret->base_ns)) == 0) {
		ret->data = buf_ptr(b);
		ret->len = buf_len(b);
	}
	buf_free(b);
	return r;
}

/* Part of a sealed block; *ret_done: the block is whole, and its events are ret's. */
static int
rd_take_sealed(struct rd *rd, const struct ipc_msg *m, struct rd_msg *ret, bool *ret_done)
{
	struct unseal_events ev;
	int r;

	if (m->len < 1)
		return ERR_FORMAT;
	r = unseal_block(rd->unseal, m->data + 1, m->len - 1, m->data[0] != 0, &ev);
	if (r != 0 || m->data[0] != 0 || ev.len == 0)
		return r;
	*ret_done = true;
	ret->type = RD_EVENTS;
	ret->first_seq = ev.first_seq;
	ret->base_ns = ev.base_ns;
	ret->data = ev.data;
	ret->len = ev.len;
	return 0;
}

/* A part of a picture; *ret_whole: it was the last one. */
static int
rd_take_screen(struct rd *rd, const struct ipc_msg *m, struct rd_msg *ret, bool *ret_whole)
{
	struct buf *b = buf_view(m->data, m->len);
	uint8_t more = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if (!rd->screen_goes_on)
		buf_reset(rd->screen);
	if ((r = buf_get_u8(b, &more)) == 0 && (r = buf_get_u64(b, &ret->first_seq)) == 0 &&
	    (r = buf_get_u64(b, &ret->at_ns)) == 0 && (r = buf_get_u32(b, &ret->channel)) == 0 &&
	    (r = buf_get_u32(b, &ret->cols)) == 0 && (r = buf_get_u32(b, &ret->rows)) == 0 &&
	    (r = buf_put(rd->screen, buf_ptr(b), buf_len(b))) == 0) {
		ret->data = buf_ptr(rd->screen);
		ret->len = buf_len(rd->screen);
	}
	rd->screen_goes_on = more != 0;
	*ret_whole = !rd->screen_goes_on;
	buf_free(b);
	return r;
}

static int
rd_take_hits(const struct ipc_msg *m, struct rd_msg *ret)
{
	struct buf *b = buf_view(m->data, m->len);
	uint8_t hits = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &hits)) == 0 && (r = buf_get_u32(b, &ret->done)) == 0 &&
	    (r = buf_get_u32(b, &ret->total)) == 0) {
		ret->hits = (enum rd_hits)hits;
		ret->data = buf_ptr(b);
		ret->len = buf_len(b);
		if (hits < RD_HITS_SOME || hits > RD_HITS_NONE)
			r = ERR_FORMAT;
	}
	buf_free(b);
	return r;
}

/* What follows is described for as long as it goes on. */
static void
rd_keep_begin(struct rd *rd)
{
	json_node_free(rd->begin);
	rd->begin = rd->json;
	rd->json = NULL;
}

/* *ret_done: ret is filled; else the next message is wanted. */
static int
rd_take(struct rd *rd, const struct ipc_msg *m, struct rd_msg *ret, bool *ret_done)
{
	int r;

	*ret_done = true;
	memset(ret, 0, sizeof(*ret));
	ret->type = (enum rd_type)m->type;
	switch (m->type) {
	case RD_BEGIN:
	case RD_ITEM:
		r = rd_take_json(rd, m, ret_done);
		if (r == 0 && *ret_done && m->type == RD_BEGIN)
			rd_keep_begin(rd);
		ret->json = m->type == RD_BEGIN ? rd->begin : rd->json;
		return r;
	case RD_EVENTS:
		*ret_done = m->id == rd->seek_id;
		return rd_take_events(m, ret);
	case RD_RECORD:
		*ret_done = false;
		return unseal_record(rd->unseal, m->data, m->len, m->id != 0);
	case RD_BLOCKS:
		*ret_done = false;
		return m->len < 1
			   ? ERR_FORMAT
			   : unseal_inside(rd->unseal, m->data + 1, m->len - 1, m->data[0] != 0);
	case RD_SEALED:
		*ret_done = false;
		return m->id == rd->seek_id ? rd_take_sealed(rd, m, ret, ret_done) : 0;
	case RD_SCREEN:
		*ret_done = m->id == rd->seek_id;
		return *ret_done ? rd_take_screen(rd, m, ret, ret_done) : 0;
	case RD_HITS:
		*ret_done = m->id == rd->seek_id;
		return rd_take_hits(m, ret);
	case RD_TEXT:
	case RD_ENTRY:
		ret->more = m->id != 0;
		ret->data = m->data;
		ret->len = m->len;
		return 0;
	case RD_END:
		*ret_done = m->id == rd->seek_id;
		return *ret_done ? rd_take_end(rd, m) : 0;
	default:
		return ERR_FORMAT;
	}
}

static int
rd_take_next(struct rd *rd, bool wait, struct rd_msg *ret_msg)
{
	bool done = false;
	struct ipc_msg m;
	int r;

	do {
		if ((r = rd_receive(rd, wait, &m)) != 0)
			return r;
		r = rd_take(rd, &m, ret_msg, &done);
	} while (r == 0 && !done);
	return r;
}

int
rd_next(struct rd *rd, struct rd_msg *ret_msg)
{
	return rd_take_next(rd, true, ret_msg);
}

/* As rd_next_step(), of events as they are recorded. */
static int
rd_next_recorded(struct rd *rd, bool wait, struct event *ret_ev, struct rd_msg *ret_msg)
{
	int r;

	for (;;) {
		if (rd->reading) {
			ret_msg->type = RD_EVENTS;
			r = event_next(&rd->events, ret_ev);
			if (r != ERR_NOT_FOUND)
				return r;
			rd->reading = false;
		}
		if ((r = rd_take_next(rd, wait, ret_msg)) != 0)
			return r;
		if (ret_msg->type == RD_SCREEN || ret_msg->type == RD_ITEM ||
		    ret_msg->type == RD_HITS)
			return 0;
		if (ret_msg->type != RD_EVENTS)
			return ERR_FORMAT;
		event_reader_init(
		    &rd->events, ret_msg->data, ret_msg->len, ret_msg->first_seq, ret_msg->base_ns);
		rd->reading = true;
	}
}

int
rd_next_step(struct rd *rd, bool wait, struct event *ret_ev, struct rd_msg *ret_msg)
{
	struct event ev;
	int r;

	while ((r = veil_reader_next(rd->veil, ret_ev)) == ERR_NOT_FOUND)
		if ((r = rd_next_recorded(rd, wait, &ev, ret_msg)) != 0 ||
		    ret_msg->type != RD_EVENTS || (r = veil_reader_add(rd->veil, &ev)) != 0)
			return r;
	ret_msg->type = RD_EVENTS;
	return r;
}

int
rd_next_event(struct rd *rd, struct event *ret_ev)
{
	struct rd_msg m;
	int r = rd_next_step(rd, true, ret_ev, &m);

	return r == 0 && m.type != RD_EVENTS ? ERR_FORMAT : r;
}

/* What was on its way is not wanted. */
static void
rd_drop(struct rd *rd)
{
	rd->reading = rd->screen_goes_on = false;
	veil_reader_reset(rd->veil);
	unseal_seek(rd->unseal);
}

int
rd_look(struct rd *rd, uint32_t channel, bool with_case, const char *text)
{
	struct buf *b = buf_new(RD_FIND_MAX + 16);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	rd_drop(rd);
	if ((r = buf_put_u32(b, channel)) == 0 && (r = buf_put_u8(b, with_case)) == 0 &&
	    (r = buf_put_cstr(b, text)) == 0)
		r = ipc_plain_send(rd->fd, RD_FIND, ++rd->seek_id, buf_ptr(b), buf_len(b), NULL, 0);
	buf_free(b);
	return r;
}

int
rd_seek(struct rd *rd, uint64_t at_ns, uint32_t channel)
{
	uint8_t data[12];

	for (size_t i = 0; i < 8; i++)
		data[i] = (uint8_t)(at_ns >> (56 - 8 * i));
	for (size_t i = 0; i < 4; i++)
		data[8 + i] = (uint8_t)(channel >> (24 - 8 * i));
	rd_drop(rd);
	return ipc_plain_send(rd->fd, RD_SEEK, ++rd->seek_id, data, sizeof(data), NULL, 0);
}

int
rd_fd(const struct rd *rd)
{
	return rd->fd;
}

int
rd_end(struct rd *rd, int r)
{
	if (r == 0)
		return CMD_YES;
	if (r == ERR_NOT_FOUND && rd->end_text != NULL) {
		if (rd->end_text[0] != '\0')
			cmd_note("%s", rd->end_text);
		return (int)rd->end_code;
	}
	if (r == ERR_PEER_GONE)
		return cmd_fail(CMD_UNSURE, "the reader ended too early: the store may be cut or "
					    "damaged, see bastiond's log");
	if (r == ERR_SEALED)
		return cmd_fail(CMD_UNSURE, "%s", unseal_why(rd->unseal));
	if (r == ERR_CHAIN)
		return cmd_fail(
		    CMD_UNSURE, "the recording is damaged from here on: see bastionctl verify");
	if (r == ERR_VERSION)
		return cmd_fail(CMD_UNSURE,
		    "the reader is of another version: use the bastionctl of this bastiond");
	return cmd_fail(CMD_UNSURE, "reading failed: %s", err_str(r));
}
