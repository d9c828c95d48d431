/* The recorder between a front, a back, a broker and policy that the tests play by hand. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <lmdb.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/loop.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/fxp.h"
#include "recorder/mlog.h"
#include "recorder/recorder.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "tests/unit/sftp_rig.h"
#include "tests/unit/store_rig.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define WAIT_NS (10 * CLOCK_NS_PER_S)

enum peer { BROKER, POLICY, FRONT, BACK, PEERS };

struct world {
	struct rig *rig;
	struct loop *loop;
	struct recorder rec;
	int fds[PEERS]; /* our ends; -1: closed */
	uint8_t sid[REC_SID_LEN];
	uint8_t space[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg; /* the last one that want() took */
	uint8_t ask[4];	    /* number of the last POL_ASK */
};

/* What the wrapped commit does. */
static struct {
	unsigned n;		    /* commits made */
	int fail;		    /* give this instead of committing */
	uint64_t takes_ns;	    /* the clock goes on by that much */
	const struct world *silent; /* nobody of this world may have been sent anything yet */
} commits;

static uint64_t clock_skip_ns;

static uint64_t
skipping_boot(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec + clock_skip_ns;
}

static bool
is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) == 1;
}

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
	commits.n++;
	clock_skip_ns += commits.takes_ns;
	if (commits.silent != NULL)
		for (int i = FRONT; i < PEERS; i++)
			assert_false(is_readable(commits.silent->fds[i]));
	if (commits.fail != 0) {
		mdb_txn_abort(txn);
		return commits.fail;
	}
	return __real_mdb_txn_commit(txn);
}

/* Syncs of the recorder's own; LMDB's are not seen here. */
static unsigned n_syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int
__wrap_fdatasync(int fd)
{
	n_syncs++;
	return __real_fdatasync(fd);
}

/* Our end of an edge whose other end goes to the recorder. */
static int
edge(int *ret_theirs)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(ipc_plain_hello(fds[0]), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

static int
setup_with(void **state, enum store_durability durability)
{
	struct world *w = calloc(1, sizeof(*w));
	struct recorder_conf conf;
	void *rig;

	assert_non_null(w);
	memset(&commits, 0, sizeof(commits));
	clock_skip_ns = 0;
	clock_override(NULL, skipping_boot);
	rig_setup(&rig);
	w->rig = rig;
	rig_close(w->rig);
	w->rig->durability = durability;
	rig_open(w->rig);
	for (int i = 0; i < PEERS; i++)
		w->fds[i] = -1;
	assert_int_equal(loop_new(&w->loop), 0);
	conf = (struct recorder_conf){ .loop = w->loop,
		.chain = w->rig->chain,
		.stall_timeout_ns = 30 * CLOCK_NS_PER_S,
		.durability = durability,
		.ready = "" };
	w->fds[BROKER] = edge(&conf.broker_fd);
	assert_int_equal(recorder_init(&w->rec, &conf), 0);
	*state = w;
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, STORE_STRICT);
}

static int
setup_process(void **state)
{
	return setup_with(state, STORE_PROCESS);
}

static int
teardown(void **state)
{
	struct world *w = *state;
	void *rig = w->rig;

	commits.silent = NULL;
	recorder_done(&w->rec);
	loop_free(w->loop);
	for (int i = 0; i < PEERS; i++)
		if (w->fds[i] >= 0)
			close(w->fds[i]);
	rig_teardown(&rig);
	clock_override(NULL, NULL);
	free(w);
	return 0;
}

static void
pass(struct world *w)
{
	assert_int_equal(loop_pass(w->loop, CLOCK_NS_PER_MS), 0);
}

/* Until nothing has moved for a few passes. */
static void
settle(struct world *w)
{
	for (int i = 0; i < 8; i++)
		pass(w);
}

static void
send_to(struct world *w, enum peer peer, uint16_t type, uint32_t id, const void *data, size_t len)
{
	assert_int_equal(ipc_plain_send(w->fds[peer], type, id, data, len, NULL, 0), 0);
}

/* The next message for this peer, which must be of this type; *w->msg then. */
static void
want(struct world *w, enum peer peer, uint16_t type)
{
	struct timespec ts;
	uint64_t until;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	until = (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + WAIT_NS;
	for (;;) {
		int r = ipc_plain_recv(w->fds[peer], w->space, &w->msg, 0);

		if (r == 0)
			break;
		assert_true(r == -ETIMEDOUT || r == -EAGAIN);
		clock_gettime(CLOCK_BOOTTIME, &ts);
		assert_true((uint64_t)ts.tv_sec * CLOCK_NS_PER_S < until);
		pass(w);
	}
	assert_int_equal(w->msg.type, type);
	if (type == POL_ASK && peer == POLICY)
		memcpy(w->ask, w->msg.data, sizeof(w->ask));
}

static void
want_data(struct world *w, enum peer peer, uint16_t type, uint32_t id, const void *data, size_t len)
{
	want(w, peer, type);
	assert_int_equal(w->msg.id, id);
	assert_int_equal(w->msg.len, len);
	if (len > 0)
		assert_memory_equal(w->msg.data, data, len);
}

/* LINK_NOTE_VERDICT about a global request, with this text. */
static void
want_denied_line(struct world *w, const char *text)
{
	size_t len = strlen(text);

	want(w, FRONT, LINK_NOTE);
	assert_int_equal(w->msg.id, 0);
	assert_int_equal(w->msg.data[0], LINK_NOTE_VERDICT);
	assert_int_equal(w->msg.data[5], POL_DENY);
	assert_true(w->msg.len > len);
	assert_memory_equal(w->msg.data + w->msg.len - len, text, len);
}

static void
want_nothing(struct world *w, enum peer peer)
{
	int r;

	settle(w);
	r = ipc_plain_recv(w->fds[peer], w->space, &w->msg, 0);
	assert_true(r == -ETIMEDOUT || r == -EAGAIN);
}

static void
want_closed(struct world *w, enum peer peer)
{
	for (int i = 0; i < 200 && !is_readable(w->fds[peer]); i++)
		pass(w);
	assert_int_equal(ipc_plain_recv(w->fds[peer], w->space, &w->msg, 0), ERR_PEER_GONE);
}

static void
hang_up(struct world *w, enum peer peer)
{
	fd_close(&w->fds[peer]);
}

static void
ask_open_as(struct world *w, uint32_t leg, const uint8_t *meta, size_t meta_len)
{
	uint8_t payload[400];
	int theirs[2];

	w->fds[FRONT] = edge(&theirs[0]);
	w->fds[BACK] = edge(&theirs[1]);
	memset(payload, 0, sizeof(payload));
	payload[3] = 3; /* conn */
	payload[6] = (uint8_t)(meta_len >> 8);
	payload[7] = (uint8_t)meta_len;
	memcpy(payload + 8, meta, meta_len);
	memcpy(payload + 8 + meta_len, "\0\0\0\1\0\0\0\4LC_*", 12);
	assert_int_equal(
	    ipc_plain_send(w->fds[BROKER], REC_OPEN, leg, payload, 8 + meta_len + 12, theirs, 2),
	    0);
	close(theirs[0]);
	close(theirs[1]);
}

static void
ask_open(struct world *w, uint32_t leg)
{
	uint8_t meta[256];
	size_t meta_len = rig_meta(meta);

	ask_open_as(w, leg, meta, meta_len);
}

/* With the default masks. */
static void
open_masked_leg(struct world *w)
{
	static const char masks[] = "\0\0\0\10defaults";
	uint8_t meta[300];
	size_t meta_len = rig_meta(meta);

	meta[meta_len++] = REC_META_MASKS;
	memcpy(meta + meta_len, masks, sizeof(masks) - 1);
	want(w, BROKER, REC_READY);
	ask_open_as(w, 1, meta, meta_len + sizeof(masks) - 1);
	want(w, BROKER, REC_OPENED);
	memcpy(w->sid, w->msg.data, REC_SID_LEN);
}

static void
open_leg(struct world *w)
{
	want(w, BROKER, REC_READY);
	ask_open(w, 1);
	want(w, BROKER, REC_OPENED);
	memcpy(w->sid, w->msg.data, REC_SID_LEN);
}

static void
give_policy(struct world *w)
{
	int theirs;

	w->fds[POLICY] = edge(&theirs);
	assert_int_equal(
	    ipc_plain_send(w->fds[BROKER], REC_POLICY_EDGE, 0, NULL, 0, &theirs, 1), 0);
	close(theirs);
	settle(w);
}

/* Session channel 1, opened by the front. */
static const uint8_t session_open_payload[] = "\0\0\0\7session";
#define SESSION_OPEN session_open_payload, sizeof(session_open_payload) - 1

static void
open_channel(struct world *w)
{
	send_to(w, FRONT, LINK_OPEN, 1, SESSION_OPEN);
	want_data(w, BACK, LINK_OPEN, 1, SESSION_OPEN);
	send_to(w, BACK, LINK_OPEN_OK, 1, NULL, 0);
	want_data(w, FRONT, LINK_OPEN_OK, 1, NULL, 0);
}

/* Request 1: exec of "id", with reply. */
static const uint8_t exec_payload[] = "\0\0\0\1\0\0\0\4exec\1\0\0\0\2id";
#define EXEC exec_payload, sizeof(exec_payload) - 1

static uint8_t
end_code(const struct world *w)
{
	return w->msg.data[0];
}

/* Every event of the session as "way type channel" and payload, in one buffer of events. */
struct seen {
	struct event events[256];
	uint8_t data[1 << 20];
	size_t n;
};

static void
see(struct world *w, struct seen *seen)
{
	struct recording_part part;
	struct store_snap *snap;
	struct recording *rec;
	size_t off = 0;

	seen->n = 0;
	assert_int_equal(store_snap_new(chain_store(w->rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, w->sid, &rec), 0);
	while (recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0) {
			assert_true(seen->n < 256 && off + ev.len <= sizeof(seen->data));
			memcpy(seen->data + off, ev.data, ev.len);
			ev.data = seen->data + off;
			off += ev.len;
			seen->events[seen->n++] = ev;
		}
	}
	recording_close(rec);
	store_snap_free(snap);
}

static const struct event *
find_event(const struct seen *seen, enum event_way way, uint8_t type)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->events[i].way == way && seen->events[i].type == type)
			return &seen->events[i];
	return NULL;
}

static struct seen seen;

static void
get_session(struct world *w, struct sess *s)
{
	struct store_snap *snap;

	assert_int_equal(store_snap_new(chain_store(w->rig->chain), &snap), 0);
	assert_int_equal(sess_get(snap, w->sid, s), 0);
	store_snap_free(snap);
}

/* The newest audit event contains this text. */
static bool
audited(struct world *w, const char *text)
{
	struct store_snap *snap;
	struct chain_stats stats;
	const uint8_t *data;
	bool found = false;
	size_t len;

	chain_stats(w->rig->chain, &stats);
	assert_int_equal(store_snap_new(chain_store(w->rig->chain), &snap), 0);
	for (uint64_t i = stats.log_size; i > 0 && !found; i--)
		found = mlog_audit_get(snap, i - 1, &data, &len) == 0 &&
			memmem(data, len, text, strlen(text)) != NULL;
	store_snap_free(snap);
	return found;
}

static void
test_the_opening_is_durable_before_it_is_told(void **state)
{
	struct world *w = *state;
	struct sess s;

	open_leg(w);
	get_session(w, &s);
	assert_int_equal(s.state, SESS_OPEN);
	assert_int_equal(s.leg, 1);
	assert_int_equal(s.conn, 3);
	assert_int_equal(s.open_leaf, 2);
	sess_done(&s);
}

static void
test_frames_cross_unchanged_and_are_recorded(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	send_to(w, FRONT, LINK_DATA, 1, "ls\n", 3);
	want_data(w, BACK, LINK_DATA, 1, "ls\n", 3);
	send_to(w, BACK, LINK_DATA, 1, "a\0\377b", 4);
	want_data(w, FRONT, LINK_DATA, 1, "a\0\377b", 4);
	send_to(w, BACK, LINK_DATA_EXT, 1, "\0\0\0\1oops", 8);
	want_data(w, FRONT, LINK_DATA_EXT, 1, "\0\0\0\1oops", 8);
	see(w, &seen);
	assert_int_equal(seen.n, 5);
	assert_int_equal(seen.events[2].way, EVENT_FRONT);
	assert_memory_equal(seen.events[2].data, "ls\n", 3);
	assert_int_equal(seen.events[3].way, EVENT_BACK);
	assert_memory_equal(seen.events[3].data, "a\0\377b", 4);
	assert_int_equal(seen.events[4].type, LINK_DATA_EXT);
	assert_int_equal(seen.events[4].seq, 5);
}

static void
test_no_frame_is_sent_before_its_commit(void **state)
{
	struct world *w = *state;
	unsigned before;

	open_leg(w);
	open_channel(w);
	commits.silent = w;
	before = commits.n;
	for (int i = 0; i < 20; i++) {
		send_to(w, FRONT, LINK_DATA, 1, "x", 1);
		send_to(w, BACK, LINK_DATA, 1, "y", 1);
		want_data(w, BACK, LINK_DATA, 1, "x", 1);
		want_data(w, FRONT, LINK_DATA, 1, "y", 1);
	}
	assert_true(commits.n - before >= 20);
}

static void
test_one_commit_serves_everything_that_waits(void **state)
{
	struct world *w = *state;
	unsigned before;

	open_leg(w);
	open_channel(w);
	before = commits.n;
	for (int i = 0; i < 30; i++) {
		send_to(w, FRONT, LINK_DATA, 1, "x", 1);
		send_to(w, BACK, LINK_DATA, 1, "y", 1);
	}
	for (int i = 0; i < 30; i++) {
		want_data(w, BACK, LINK_DATA, 1, "x", 1);
		want_data(w, FRONT, LINK_DATA, 1, "y", 1);
	}
	assert_true(commits.n - before <= 2);
}

static void
test_a_failed_commit_releases_nothing_and_is_not_tried_again(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	commits.fail = EIO;
	commits.n = 0;
	send_to(w, FRONT, LINK_DATA, 1, "x", 1);
	want(w, BACK, LINK_END);
	assert_int_equal(end_code(w), LINK_END_RECORDER);
	want(w, FRONT, LINK_END);
	assert_int_equal(end_code(w), LINK_END_RECORDER);
	want(w, BROKER, REC_HEALTH);
	assert_int_equal(w->msg.data[0], REC_HEALTH_FAILED);
	send_to(w, FRONT, LINK_DATA, 1, "x", 1);
	send_to(w, BACK, LINK_DATA, 1, "y", 1);
	settle(w);
	assert_int_equal(commits.n, 1);
	assert_int_equal(w->rec.exit_code, 1);
	commits.fail = 0;
	assert_int_not_equal(chain_commit(w->rig->chain, true), 0);
}

static void
test_a_second_session_is_refused_while_the_store_has_failed(void **state)
{
	struct world *w = *state;

	open_leg(w);
	recorder_set_health(&w->rec, REC_HEALTH_NO_NEW, "the disk is almost full: make room");
	want(w, BROKER, REC_HEALTH);
	hang_up(w, FRONT);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	ask_open(w, 2);
	want(w, BROKER, REC_REFUSED);
	assert_non_null(memmem(w->msg.data, w->msg.len, "make room", 9));
	want_closed(w, FRONT);
}

static void
test_bad_metadata_is_refused(void **state)
{
	struct world *w = *state;
	static const uint8_t bad[] = "\0\0\0\3\0\0\0\6\1\0\0\0\1\n\0\0\0\0";
	int theirs[2];

	want(w, BROKER, REC_READY);
	w->fds[FRONT] = edge(&theirs[0]);
	w->fds[BACK] = edge(&theirs[1]);
	assert_int_equal(
	    ipc_plain_send(w->fds[BROKER], REC_OPEN, 1, bad, sizeof(bad) - 1, theirs, 2), 0);
	close(theirs[0]);
	close(theirs[1]);
	want(w, BROKER, REC_REFUSED);
	assert_int_equal(chain_failed(w->rig->chain), 0);
}

/* A target can make up as many data types as there are numbers: masks see one stream, and keep no memory for each. */
static void
test_masks_see_all_data_types_as_one(void **state)
{
	struct world *w = *state;
	const struct event *ev;

	open_masked_leg(w);
	open_channel(w);
	send_to(w, BACK, LINK_DATA_EXT, 1, "\0\0\0\1glpat-abcDEF1234", 20);
	want_data(w, FRONT, LINK_DATA_EXT, 1, "\0\0\0\1glpat-abcDEF1234", 20);
	send_to(w, BACK, LINK_DATA_EXT, 1, "\0\0\0\2abcDEF1234\n", 15);
	want_data(w, FRONT, LINK_DATA_EXT, 1, "\0\0\0\2abcDEF1234\n", 15);
	see(w, &seen);
	ev = find_event(&seen, EVENT_BACK, EVENT_MASKED);
	assert_non_null(ev);
	assert_int_equal(ev[1].type, LINK_DATA_EXT);
	assert_int_equal(ev[1].len, 4 + sizeof("[masked gitlab-token]\n") - 1);
	assert_memory_equal(ev[1].data, "\0\0\0\2[masked gitlab-token]\n", ev[1].len);
}

/* What stands at the end of REC_OPEN. */
static void
open_with(struct world *w, uint32_t leg, const struct buf *env)
{
	struct buf *b = buf_new(16384);
	int theirs[2];

	assert_int_equal(buf_put_u32(b, 3) | buf_put_u32(b, 0), 0);
	assert_int_equal(buf_put(b, buf_ptr(env), buf_len(env)), 0);
	w->fds[FRONT] = edge(&theirs[0]);
	w->fds[BACK] = edge(&theirs[1]);
	assert_int_equal(
	    ipc_plain_send(w->fds[BROKER], REC_OPEN, leg, buf_ptr(b), buf_len(b), theirs, 2), 0);
	close(theirs[0]);
	close(theirs[1]);
	buf_free(b);
}

static void
test_lists_of_variables_that_are_not_taken(void **state)
{
	struct world *w = *state;
	struct buf *b = buf_new(16384);
	char name[REC_ENV_LEN + 2] = { 0 };

	want(w, BROKER, REC_READY);
	assert_int_equal(buf_put_u32(b, REC_ENV_MAX + 1), 0);
	for (unsigned i = 0; i <= REC_ENV_MAX; i++)
		assert_int_equal(buf_put_cstr(b, "A"), 0);
	open_with(w, 1, b);
	want(w, BROKER, REC_REFUSED);
	buf_reset(b);
	assert_int_equal(buf_put_u32(b, 2) | buf_put_cstr(b, "A"), 0);
	open_with(w, 1, b);
	want(w, BROKER, REC_REFUSED);
	buf_reset(b);
	memset(name, 'x', REC_ENV_LEN + 1);
	assert_int_equal(buf_put_u32(b, 1) | buf_put_cstr(b, name), 0);
	open_with(w, 1, b);
	want(w, BROKER, REC_REFUSED);
	buf_reset(b);
	assert_int_equal(buf_put_u32(b, 0) | buf_put_u8(b, 0), 0);
	open_with(w, 1, b);
	want(w, BROKER, REC_REFUSED);
	buf_reset(b);
	assert_int_equal(buf_put_u32(b, REC_ENV_MAX), 0);
	name[REC_ENV_LEN] = '\0';
	for (unsigned i = 0; i < REC_ENV_MAX; i++)
		assert_int_equal(buf_put_cstr(b, name), 0);
	open_with(w, 1, b);
	want(w, BROKER, REC_OPENED);
	buf_free(b);
}

/* Verdicts. */

static void
answer_with(struct world *w, uint8_t verdict, const char *text, const void *data, size_t len,
    const void *terms, size_t terms_len)
{
	struct buf *b = buf_new(IPC_MAX);

	/* The ask begins with its number, which the answer repeats. */
	assert_int_equal(buf_put(b, w->ask, sizeof(w->ask)), 0);
	assert_int_equal(buf_put_u8(b, verdict), 0);
	assert_int_equal(buf_put_cstr(b, text), 0);
	if (verdict == POL_REPLACE)
		assert_int_equal(buf_put_str(b, data, len), 0);
	assert_int_equal(buf_put_str(b, terms, terms_len), 0);
	send_to(w, POLICY, POL_VERDICT, 1, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
answer_as(struct world *w, uint8_t verdict, const char *text, const void *data, size_t len)
{
	answer_with(w, verdict, text, data, len, "", 0);
}

static void
test_an_allowed_request_crosses_after_the_answer(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, POLICY, POL_ASK);
	assert_int_equal(w->msg.id, 1);
	assert_int_equal(w->msg.data[7], 1); /* channel */
	assert_int_equal(w->msg.data[8], 0); /* of the front */
	assert_int_equal(w->msg.data[9] << 8 | w->msg.data[10], LINK_REQUEST);
	assert_memory_equal(w->msg.data + 15, exec_payload, sizeof(exec_payload) - 1);
	want_nothing(w, BACK);
	answer_as(w, POL_ALLOW, "", NULL, 0);
	want_data(w, BACK, LINK_REQUEST, 1, EXEC);
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_TO_FRONT, EVENT_VERDICT));
	assert_null(find_event(&seen, EVENT_TO_FRONT, LINK_NOTE));
}

static const uint8_t pty_payload[] =
    "\0\0\0\1\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\120\0\0\0\30\0\0\0\0\0\0\0\0\0\0\0";
#define PTY pty_payload, sizeof(pty_payload)

/* What was typed may be decided when the person's end of the channel is closed already: nothing is kept for it then. */
static void
test_masks_keep_nothing_of_a_closed_channel(void **state)
{
	struct world *w = *state;

	open_masked_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, PTY);
	want(w, POLICY, POL_ASK);
	answer_as(w, POL_ALLOW, "", NULL, 0);
	want_data(w, BACK, LINK_REQUEST, 1, PTY);
	send_to(w, BACK, LINK_REPLY, 1, "\0\0\0\1\1", 5);
	want(w, FRONT, LINK_REPLY);
	send_to(w, BACK, LINK_DATA, 1, "$ ", 2);
	want_data(w, FRONT, LINK_DATA, 1, "$ ", 2);
	send_to(w, FRONT, LINK_DATA, 1, "ls -l", 5);
	want_data(w, BACK, LINK_DATA, 1, "ls -l", 5);
	send_to(w, FRONT, LINK_CLOSE, 1, NULL, 0);
	want(w, BACK, LINK_CLOSE);
	send_to(w, BACK, LINK_DATA, 1, "ls -l", 5);
	want_data(w, FRONT, LINK_DATA, 1, "ls -l", 5);
	send_to(w, BACK, LINK_CLOSE, 1, NULL, 0);
	want(w, FRONT, LINK_CLOSE);
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_FRONT, LINK_DATA));
	assert_true(LIST_EMPTY(&w->rec.legs.tqh_first->masked));
}

/* Request n for a variable, with reply. */
static size_t
put_env(uint8_t dst[64], uint8_t n, const char *name)
{
	size_t len = strlen(name);

	memcpy(dst, "\0\0\0\0\0\0\0\3env\1\0\0\0", 15);
	dst[3] = n;
	dst[15] = (uint8_t)len;
	memcpy(dst + 16, name, len);
	memcpy(dst + 16 + len, "\0\0\0\1v", 5);
	return 16 + len + 5;
}

static void
test_variables_cross_without_being_asked_about_or_not_at_all(void **state)
{
	struct world *w = *state;
	uint8_t one[64], two[64], three[64];
	size_t one_len = put_env(one, 1, "LC_A"), two_len = put_env(two, 2, "EVIL\n"),
	       three_len = put_env(three, 3, "LC_B");

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, one, one_len);
	send_to(w, FRONT, LINK_REQUEST, 1, two, two_len);
	send_to(w, FRONT, LINK_REQUEST, 1, three, three_len);
	want_data(w, BACK, LINK_REQUEST, 1, one, one_len);
	want_data(w, BACK, LINK_REQUEST, 1, three, three_len);
	want_data(w, FRONT, LINK_REPLY, 1, "\0\0\0\2\0", 5);
	/* The target answers the others, in its own time. */
	send_to(w, BACK, LINK_REPLY, 1, "\0\0\0\1\1", 5);
	want_data(w, FRONT, LINK_REPLY, 1, "\0\0\0\1\1", 5);
	/* Nobody waits for an answer to this one. */
	three[3] = 4;
	three[11] = 0;
	three[16] = 'X';
	send_to(w, FRONT, LINK_REQUEST, 1, three, three_len);
	want_nothing(w, FRONT);
	want_nothing(w, BACK);
	want_nothing(w, POLICY);
	assert_true(audited(w, "request.refused"));
	assert_true(audited(w, "env EVIL\\\\"));
	assert_true(audited(w, "env XC_B"));
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_TO_FRONT, EVENT_VERDICT));
	assert_null(find_event(&seen, EVENT_TO_FRONT, LINK_NOTE));
}

/* A command whose request has so many bytes in all, in frames as link_proto.h has them. */
static uint8_t long_payload[LINK_REQUEST_MAX];

static void
make_long(size_t len)
{
	for (size_t i = 0; i < len; i++)
		long_payload[i] = (uint8_t)('a' + i % 23);
	memcpy(long_payload, "\0\0\0\1\0\0\0\4exec\1\0", 14);
	long_payload[14] = (uint8_t)((len - 17) >> 16);
	long_payload[15] = (uint8_t)((len - 17) >> 8);
	long_payload[16] = (uint8_t)(len - 17);
}

static void
send_long(struct world *w, size_t len)
{
	size_t off = 0, n = LINK_REQUEST_PART;

	for (uint16_t type = LINK_REQUEST; n == LINK_REQUEST_PART; type = LINK_MORE, off += n) {
		n = len - off < LINK_REQUEST_PART ? len - off : LINK_REQUEST_PART;
		send_to(w, FRONT, type, 1, long_payload + off, n);
	}
}

static void
want_long(struct world *w, enum peer peer, size_t len)
{
	uint16_t type = peer == POLICY ? POL_ASK : LINK_REQUEST;
	size_t off = 0, n = LINK_REQUEST_PART, head = peer == POLICY ? 15 : 0;

	for (; n == LINK_REQUEST_PART; off += n) {
		want(w, peer, type);
		n = w->msg.len - head;
		assert_true(off + n <= len);
		assert_memory_equal(w->msg.data + head, long_payload + off, n);
		type = peer == POLICY ? POL_ASK_MORE : LINK_MORE;
		head = 0;
	}
	assert_int_equal(off, len);
}

/* What is recorded is what was sent. */
static void
see_long(struct world *w, size_t len)
{
	size_t off = 0;

	see(w, &seen);
	for (size_t i = 0; i < seen.n; i++) {
		const struct event *ev = &seen.events[i];

		if (ev->way != EVENT_FRONT || (ev->type != LINK_REQUEST && ev->type != LINK_MORE))
			continue;
		assert_true(off + ev->len <= len);
		assert_memory_equal(ev->data, long_payload + off, ev->len);
		off += ev->len;
	}
	assert_int_equal(off, len);
}

static void
cross_long(struct world *w, size_t len)
{
	open_leg(w);
	give_policy(w);
	open_channel(w);
	make_long(len);
	send_long(w, len);
	want_long(w, POLICY, len);
	want_nothing(w, POLICY);
	want_nothing(w, BACK);
	answer_as(w, POL_ALLOW, "", NULL, 0);
	want_long(w, BACK, len);
	want_nothing(w, BACK);
	see_long(w, len);
}

static void
test_a_long_request_is_asked_about_and_crosses_whole(void **state)
{
	cross_long(*state, 100000);
}

static void
test_a_request_of_just_one_frame(void **state)
{
	cross_long(*state, LINK_REQUEST_PART);
}

static void
test_the_longest_request(void **state)
{
	cross_long(*state, LINK_REQUEST_MAX);
}

static void
test_nobody_hears_of_a_part_of_a_request(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	make_long(100000);
	send_to(w, FRONT, LINK_REQUEST, 1, long_payload, LINK_REQUEST_PART);
	want_nothing(w, POLICY);
	want_nothing(w, BACK);
	hang_up(w, FRONT);
	want(w, BACK, LINK_END);
	see_long(w, LINK_REQUEST_PART);
}

static void
test_a_long_request_that_is_denied_crosses_nowhere(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	make_long(200000);
	send_long(w, 200000);
	want_long(w, POLICY, 200000);
	answer_as(w, POL_DENY, "no", NULL, 0);
	want(w, FRONT, LINK_NOTE);
	want_nothing(w, BACK);
	see_long(w, 200000);
	/* The sender is read again. */
	send_to(w, FRONT, LINK_EOF, 1, NULL, 0);
	want_data(w, BACK, LINK_EOF, 1, NULL, 0);
}

#define LONG_ENV (24 + 65792) /* bytes of a request with a value of 0x00010100 */

/* Nobody is asked about a variable. */
static void
test_a_long_variable_crosses_whole(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	make_long(LONG_ENV);
	memcpy(long_payload, "\0\0\0\1\0\0\0\3env\1\0\0\0\4EVIL\0\1\1\0", 24);
	send_long(w, LONG_ENV); /* of a name that is not let through */
	want_data(w, FRONT, LINK_REPLY, 1, "\0\0\0\1\0", 5);
	want_nothing(w, BACK);
	memcpy(long_payload, "\0\0\0\2\0\0\0\3env\1\0\0\0\4LC_A\0\1\1\0", 24);
	send_long(w, LONG_ENV);
	want_long(w, BACK, LONG_ENV);
	want_nothing(w, POLICY);
}

static void
test_the_sender_is_held_and_the_other_direction_flows(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, POLICY, POL_ASK);
	send_to(w, FRONT, LINK_DATA, 1, "after", 5);
	send_to(w, BACK, LINK_DATA, 1, "motd", 4);
	want_data(w, FRONT, LINK_DATA, 1, "motd", 4);
	want_nothing(w, BACK);
	answer_as(w, POL_ALLOW, "", NULL, 0);
	want_data(w, BACK, LINK_REQUEST, 1, EXEC);
	want_data(w, BACK, LINK_DATA, 1, "after", 5);
}

static void
test_a_denied_request_does_not_cross_and_the_front_is_told(void **state)
{
	struct world *w = *state;
	static const uint8_t note[] = "\6\0\0\0\1\2\0\0\0\4exec\0\0\0\3no.";

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, POLICY, POL_ASK);
	answer_as(w, POL_DENY, "no.", NULL, 0);
	want_data(w, FRONT, LINK_NOTE, 1, note, sizeof(note) - 1);
	want_nothing(w, BACK);
	/* It goes on: what follows is not held. */
	send_to(w, FRONT, LINK_DATA, 1, "x", 1);
	want_data(w, BACK, LINK_DATA, 1, "x", 1);
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_FRONT, LINK_REQUEST));
	assert_non_null(find_event(&seen, EVENT_TO_FRONT, EVENT_VERDICT));
	assert_non_null(find_event(&seen, EVENT_TO_FRONT, LINK_NOTE));
}

static void
test_a_replaced_request_crosses_in_its_new_form_and_both_are_recorded(void **state)
{
	struct world *w = *state;
	static const uint8_t forced[] = "\0\0\0\1\0\0\0\4exec\1\0\0\0\6whoami";

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, POLICY, POL_ASK);
	answer_as(w, POL_REPLACE, "forced", forced, sizeof(forced) - 1);
	want_data(w, BACK, LINK_REQUEST, 1, forced, sizeof(forced) - 1);
	want(w, FRONT, LINK_NOTE);
	assert_int_equal(w->msg.data[5], POL_REPLACE);
	see(w, &seen);
	assert_memory_equal(find_event(&seen, EVENT_FRONT, LINK_REQUEST)->data, exec_payload,
	    sizeof(exec_payload) - 1);
	assert_memory_equal(
	    find_event(&seen, EVENT_TO_BACK, LINK_REQUEST)->data, forced, sizeof(forced) - 1);
}

static void
test_a_replacement_of_another_number_ends_the_session(void **state)
{
	struct world *w = *state;
	static const uint8_t forced[] = "\0\0\0\2\0\0\0\4exec\1\0\0\0\6whoami";

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, POLICY, POL_ASK);
	answer_as(w, POL_REPLACE, "forced", forced, sizeof(forced) - 1);
	want(w, BACK, LINK_END);
	assert_int_equal(end_code(w), LINK_END_INTERNAL);
}

static void
test_without_policy_everything_that_needs_it_is_denied(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, FRONT, LINK_NOTE);
	assert_int_equal(w->msg.data[0], LINK_NOTE_VERDICT);
	assert_int_equal(w->msg.data[5], POL_DENY);
	want_nothing(w, BACK);
}

static void
test_what_was_asked_is_denied_when_policy_dies(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, EXEC);
	want(w, POLICY, POL_ASK);
	hang_up(w, POLICY);
	want(w, FRONT, LINK_NOTE);
	assert_int_equal(w->msg.data[5], POL_DENY);
}

static void
test_a_denied_channel_is_refused_and_what_follows_on_it_dropped(void **state)
{
	struct world *w = *state;
	static const uint8_t forward[] = "\0\0\0\14direct-tcpip\0\0\0\1h\0\0\0\26";
	static const uint8_t refusal[] = "\0\0\0\1\0\0\0\3no.";

	open_leg(w);
	give_policy(w);
	send_to(w, FRONT, LINK_OPEN, 1, forward, sizeof(forward) - 1);
	want(w, POLICY, POL_ASK);
	answer_as(w, POL_DENY, "no.", NULL, 0);
	want_data(w, FRONT, LINK_OPEN_FAIL, 1, refusal, sizeof(refusal) - 1);
	send_to(w, FRONT, LINK_WINDOW, 1, "\0\1\0\0", 4);
	want_nothing(w, BACK);
	want_nothing(w, FRONT);
}

static void
test_a_denied_global_request_is_answered_by_the_recorder(void **state)
{
	struct world *w = *state;
	static const uint8_t global[] = "\0\0\0\1\0\0\0\15tcpip-forward\1\0\0\0\0\0\0\0\0";
	static const uint8_t silent[] = "\0\0\0\2\0\0\0\15tcpip-forward\0\0\0\0\0\0\0\0\0";

	open_leg(w);
	send_to(w, FRONT, LINK_GLOBAL, 0, global, sizeof(global) - 1);
	/* The failure has no words of its own. */
	want_denied_line(w, LINK_NO_POLICY);
	want_data(w, FRONT, LINK_GLOBAL_REPLY, 0, "\0\0\0\1\0", 5);
	send_to(w, FRONT, LINK_GLOBAL, 0, silent, sizeof(silent) - 1);
	want_denied_line(w, LINK_NO_POLICY);
	want_nothing(w, FRONT);
	want_nothing(w, BACK);
}

static void
test_policy_hears_what_the_target_answered(void **state)
{
	struct world *w = *state;
	static const uint8_t global[] = "\0\0\0\1\0\0\0\15tcpip-forward\1\0\0\0\0\0\0\0\0";
	static const uint8_t reply[] = "\0\0\0\1\1\0\0\234\101";

	open_leg(w);
	give_policy(w);
	send_to(w, FRONT, LINK_GLOBAL, 0, global, sizeof(global) - 1);
	want(w, POLICY, POL_ASK);
	answer_as(w, POL_ALLOW, "", NULL, 0);
	want_data(w, BACK, LINK_GLOBAL, 0, global, sizeof(global) - 1);
	want_nothing(w, POLICY);
	send_to(w, BACK, LINK_GLOBAL_REPLY, 0, reply, sizeof(reply) - 1);
	want_data(w, POLICY, POL_ANSWERED, 1, reply, sizeof(reply) - 1);
	want_data(w, FRONT, LINK_GLOBAL_REPLY, 0, reply, sizeof(reply) - 1);
}

static void
test_an_answer_to_nothing_is_passed_over(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	w->ask[3] = 7;
	answer_as(w, POL_ALLOW, "", NULL, 0);
	w->ask[3] = 0;
	answer_as(w, POL_ALLOW, "", NULL, 0);
	want_nothing(w, BACK);
	send_to(w, FRONT, LINK_DATA, 1, "x", 1);
	want_data(w, BACK, LINK_DATA, 1, "x", 1);
}

static void
test_an_audit_event_of_policy_is_kept(void **state)
{
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	send_to(w, POLICY, POL_AUDIT, 0, "{\"event\":\"login.denied\"}", 24);
	settle(w);
	assert_true(audited(w, "login.denied"));
}

/* Ends. */

static void
test_an_end_is_passed_on_and_the_session_closed(void **state)
{
	struct world *w = *state;
	static const uint8_t end[] = "\1\0\0\0\4bye.";
	struct sess s;

	open_leg(w);
	open_channel(w);
	send_to(w, FRONT, LINK_END, 0, end, sizeof(end) - 1);
	want_data(w, BACK, LINK_END, 0, end, sizeof(end) - 1);
	hang_up(w, FRONT);
	settle(w);
	/* The last words of the target are recorded although nobody is left to hear them. */
	send_to(w, BACK, LINK_DATA, 1, "late", 4);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	assert_memory_equal(w->msg.data, w->sid, REC_SID_LEN);
	get_session(w, &s);
	assert_int_equal(s.state, SESS_CLOSED);
	assert_int_equal(s.end_code, LINK_END_CLIENT);
	assert_string_equal(s.end_text, "bye.");
	assert_int_equal(s.n_channels, 1);
	assert_int_equal(s.channels[0].bytes_out, 4);
	sess_done(&s);
	rig_close(w->rig);
	assert_int_equal(rig_verify(w->rig), 0);
	rig_open(w->rig);
}

static void
test_frames_sent_before_the_end_all_arrive(void **state)
{
	struct world *w = *state;
	uint8_t block[4096];
	static const uint8_t end[] = "\2\0\0\0\0";

	open_leg(w);
	open_channel(w);
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 40; i++)
		send_to(w, BACK, LINK_DATA, 1, block, sizeof(block));
	send_to(w, BACK, LINK_END, 0, end, sizeof(end) - 1);
	send_to(w, FRONT, LINK_WINDOW, 1, "\0\1\0\0", 4);
	hang_up(w, BACK);
	for (int i = 0; i < 40; i++)
		want_data(w, FRONT, LINK_DATA, 1, block, sizeof(block));
	want_data(w, FRONT, LINK_END, 0, end, sizeof(end) - 1);
	hang_up(w, FRONT);
	want(w, BROKER, REC_CLOSED);
}

static void
test_a_front_that_dies_ends_the_leg(void **state)
{
	struct world *w = *state;
	struct sess s;

	open_leg(w);
	open_channel(w);
	hang_up(w, FRONT);
	want(w, BACK, LINK_END);
	assert_int_equal(end_code(w), LINK_END_INTERNAL);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	get_session(w, &s);
	assert_int_equal(s.end_code, LINK_END_INTERNAL);
	sess_done(&s);
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_TO_BACK, LINK_END));
}

static void
test_an_end_that_does_not_close_is_cut_off(void **state)
{
	struct world *w = *state;
	static const uint8_t end[] = "\1\0\0\0\0";

	open_leg(w);
	send_to(w, FRONT, LINK_END, 0, end, sizeof(end) - 1);
	want(w, BACK, LINK_END);
	hang_up(w, FRONT);
	want_nothing(w, BROKER);
	clock_skip_ns += LINK_END_WAIT_NS;
	want(w, BROKER, REC_CLOSED);
	want_closed(w, BACK);
}

static void
test_a_kill_tells_both_ends_and_names_who(void **state)
{
	struct world *w = *state;
	static const uint8_t kill_msg[] = "\0\0\0\4stop\0\0\0\3bob";
	struct sess s;

	open_leg(w);
	send_to(w, BROKER, REC_KILL, 1, kill_msg, sizeof(kill_msg) - 1);
	want(w, FRONT, LINK_END);
	assert_int_equal(end_code(w), LINK_END_KILLED);
	want(w, BACK, LINK_END);
	hang_up(w, FRONT);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	get_session(w, &s);
	assert_int_equal(s.end_code, LINK_END_KILLED);
	assert_string_equal(s.end_text, "stop");
	assert_string_equal(s.end_by, "bob");
	sess_done(&s);
}

/* An order about the world's session. type: REC_ERASE, REC_HOLD; hold: for the latter. */
static void
order(struct world *w, uint16_t type, const char *sid, uint8_t hold)
{
	struct buf *b = buf_new(256);

	assert_non_null(b);
	assert_int_equal(buf_put_cstr(b, sid), 0);
	if (type == REC_HOLD)
		assert_int_equal(buf_put_u8(b, hold), 0);
	assert_int_equal(buf_put_cstr(b, "uid 0 (root)"), 0);
	assert_int_equal(buf_put_cstr(b, "because"), 0);
	send_to(w, BROKER, type, 7, buf_ptr(b), buf_len(b));
	buf_free(b);
}

/* REC_DONE with this code and these words in it. */
static void
want_done(struct world *w, uint8_t code, const char *words)
{
	char text[400];

	want(w, BROKER, REC_DONE);
	assert_int_equal(w->msg.id, 7);
	assert_int_equal(w->msg.data[0], code);
	(void)snprintf(text, sizeof(text), "%.*s", (int)(w->msg.len - 5), w->msg.data + 5);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void
test_orders_are_answered_in_words_and_when_they_are_durable(void **state)
{
	struct world *w = *state;
	char hex[2 * REC_SID_LEN + 1];
	unsigned before;

	open_leg(w);
	str_hex(hex, w->sid, REC_SID_LEN);
	order(w, REC_ERASE, "xyz", 0);
	want_done(w, 1, "not a session id");
	order(w, REC_ERASE, "00000000000000000000000000000000", 0);
	want_done(w, 1, "no such session");
	order(w, REC_ERASE, hex, 0);
	want_done(w, 1, "it runs");
	order(w, REC_HOLD, hex, 0);
	want_done(w, 1, "so already");
	before = commits.n;
	order(w, REC_HOLD, hex, 1);
	want_done(w, 0, "held");
	assert_true(commits.n > before);
	hang_up(w, FRONT);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	order(w, REC_ERASE, hex, 0);
	want_done(w, 1, "it is held");
	order(w, REC_HOLD, hex, 0);
	want_done(w, 0, "released");
	before = commits.n;
	order(w, REC_ERASE, hex, 0);
	want_done(w, 0, "key is destroyed");
	assert_true(commits.n > before);
	order(w, REC_ERASE, hex, 0);
	want_done(w, 1, "erased before");
}

static void
test_an_order_that_cannot_be_written_is_the_end(void **state)
{
	struct world *w = *state;
	char hex[2 * REC_SID_LEN + 1];

	open_leg(w);
	str_hex(hex, w->sid, REC_SID_LEN);
	commits.fail = EIO;
	order(w, REC_HOLD, hex, 1);
	want(w, BROKER, REC_HEALTH);
	assert_int_equal(w->msg.data[0], REC_HEALTH_FAILED);
	want_nothing(w, BROKER);
}

static void
test_half_an_order_breaks_the_edge(void **state)
{
	struct world *w = *state;

	want(w, BROKER, REC_READY);
	send_to(w, BROKER, REC_HOLD, 7, "\0\0\0\1a\1\0\0\0\0\0\0\0", 13);
	want_closed(w, BROKER);
}

static void
test_it_says_that_it_is_there_and_takes_what_is_kept(void **state)
{
	struct world *w = *state;
	static const uint8_t keep[24] = { [6] = 1, [12] = 2, [22] = 3 };

	want(w, BROKER, REC_READY);
	send_to(w, BROKER, REC_PING, 9, NULL, 0);
	want(w, BROKER, REC_PONG);
	assert_int_equal(w->msg.id, 9);
	send_to(w, BROKER, REC_KEEP, 0, keep, sizeof(keep));
	settle(w);
	assert_int_equal(w->rec.keep.retain.conf.age_ns, 256);
	assert_int_equal(w->rec.keep.retain.conf.space, 2u << 24);
	assert_int_equal(w->rec.keep.reader_ns, 768);
}

static void
test_nothing_is_sent_to_an_end_after_its_end(void **state)
{
	struct world *w = *state;
	static const uint8_t kill_msg[] = "\0\0\0\0\0\0\0\0";

	open_leg(w);
	open_channel(w);
	send_to(w, BROKER, REC_KILL, 1, kill_msg, sizeof(kill_msg) - 1);
	want(w, BACK, LINK_END);
	send_to(w, FRONT, LINK_DATA, 1, "x", 1);
	want_nothing(w, BACK);
}

static void
test_a_broken_rule_ends_the_leg_with_an_audit_event(void **state)
{
	struct world *w = *state;
	struct sess s;

	open_leg(w);
	open_channel(w);
	send_to(w, FRONT, LINK_EXIT_STATUS, 1, "\0\0\0\0", 4);
	want(w, BACK, LINK_END);
	assert_int_equal(end_code(w), LINK_END_PROTOCOL);
	want_closed(w, FRONT);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	get_session(w, &s);
	assert_int_equal(s.end_code, LINK_END_PROTOCOL);
	sess_done(&s);
	assert_true(audited(w, "link.violation"));
	see(w, &seen);
	assert_null(find_event(&seen, EVENT_FRONT, LINK_EXIT_STATUS));
}

/* What is no frame at all is a lie as well, not a death. */
static void
test_a_message_that_is_no_frame_is_a_broken_rule(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	send_to(w, BACK, 999, 1, "x", 1);
	want(w, FRONT, LINK_END);
	assert_int_equal(end_code(w), LINK_END_PROTOCOL);
	want_closed(w, BACK);
	assert_true(audited(w, "link.violation"));
}

static void
test_a_refused_request_is_one_audit_event(void **state)
{
	struct world *w = *state;
	static const uint8_t note[] = "\4\0\0\0\3x11\0\0\0\4nope";

	open_leg(w);
	open_channel(w);
	send_to(w, FRONT, LINK_NOTE, 1, note, sizeof(note) - 1);
	want_data(w, BACK, LINK_NOTE, 1, note, sizeof(note) - 1);
	assert_true(audited(w, "request.refused"));
	assert_true(audited(w, "x11"));
}

static void
test_stop_ends_every_session_and_then_the_loop(void **state)
{
	struct world *w = *state;
	struct sess s;

	open_leg(w);
	send_to(w, BROKER, REC_STOP, 0, NULL, 0);
	want(w, FRONT, LINK_END);
	want(w, BACK, LINK_END);
	hang_up(w, FRONT);
	hang_up(w, BACK);
	want(w, BROKER, REC_CLOSED);
	assert_int_equal(w->rec.exit_code, 0);
	assert_int_equal(w->rec.n_legs, 0);
	get_session(w, &s);
	assert_int_equal(s.state, SESS_CLOSED);
	sess_done(&s);
}

static void
test_a_stop_does_not_wait_for_ever(void **state)
{
	struct world *w = *state;

	open_leg(w);
	send_to(w, BROKER, REC_STOP, 0, NULL, 0);
	want(w, FRONT, LINK_END);
	clock_skip_ns += 6 * CLOCK_NS_PER_S;
	want(w, BROKER, REC_CLOSED);
}

static void
test_an_audit_event_is_done_when_it_is_durable(void **state)
{
	struct world *w = *state;
	unsigned before;

	open_leg(w);
	before = commits.n;
	send_to(w, BROKER, REC_AUDIT, 77, "{\"event\":\"view\"}", 16);
	want(w, BROKER, REC_AUDIT_DONE);
	assert_int_equal(w->msg.id, 77);
	assert_true(commits.n > before);
	assert_true(audited(w, "view"));
}

static void
test_status_is_json(void **state)
{
	struct world *w = *state;
	struct json_node *root;

	open_leg(w);
	send_to(w, BROKER, REC_STATUS, 5, NULL, 0);
	want(w, BROKER, REC_STATUS_REPLY);
	assert_int_equal(w->msg.id, 5);
	assert_int_equal(json_parse((const char *)w->msg.data, w->msg.len, &root), 0);
	assert_int_equal(json_u64(json_get(root, "sessions"), 99), 1);
	assert_string_equal(json_str(json_get(root, "health"), ""), "ok");
	assert_true(json_u64(json_get(root, "commit_p50_ns"), 0) > 0);
	json_node_free(root);
}

static void
test_a_stalled_disk_ends_sessions(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	commits.takes_ns = 31 * CLOCK_NS_PER_S;
	send_to(w, FRONT, LINK_DATA, 1, "x", 1);
	want_data(w, BACK, LINK_DATA, 1, "x", 1);
	commits.takes_ns = 0;
	want(w, BACK, LINK_END);
	assert_int_equal(end_code(w), LINK_END_RECORDER);
	want(w, FRONT, LINK_END);
}

/* Back-pressure. */

static void
test_a_slow_destination_stops_its_source_and_loses_nothing(void **state)
{
	struct world *w = *state;
	uint8_t data[1000];
	unsigned sent = 0, got = 0;
	int r = 0;

	open_leg(w);
	open_channel(w);
	memset(data, 'x', sizeof(data));
	while (sent < 3000 && r == 0) {
		struct iovec iov[2];
		uint8_t head[8] = { 0, 0, 0, 1, 0, LINK_DATA, 0, 0 };
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

		(void)snprintf((char *)data, 8, "%u", sent);
		iov[0] = (struct iovec){ head, sizeof(head) };
		iov[1] = (struct iovec){ data, sizeof(data) };
		r = sendmsg(w->fds[BACK], &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
		if (r == 0)
			sent++;
		pass(w);
	}
	/* The front reads nothing, so the back could not go on. */
	assert_int_equal(r, -EAGAIN);
	assert_true(sent < 3000);
	assert_true(w->rec.legs.tqh_first->ends[LEDGER_BACK].full);
	while (got < sent) {
		want(w, FRONT, LINK_DATA);
		assert_int_equal(strtoul((const char *)w->msg.data, NULL, 10), got);
		got++;
	}
	send_to(w, BACK, LINK_DATA, 1, "more", 4);
	want_data(w, FRONT, LINK_DATA, 1, "more", 4);
}

static void
test_a_slow_destination_does_not_stop_the_other_direction(void **state)
{
	struct world *w = *state;
	uint8_t data[1000] = { 0 };

	open_leg(w);
	open_channel(w);
	for (int i = 0; i < 1500; i++) {
		uint8_t head[8] = { 0, 0, 0, 1, 0, LINK_DATA, 0, 0 };
		struct iovec iov[2] = { { head, sizeof(head) }, { data, sizeof(data) } };
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

		if (sendmsg(w->fds[BACK], &mh, MSG_NOSIGNAL) < 0)
			break;
		pass(w);
	}
	assert_true(w->rec.legs.tqh_first->ends[LEDGER_BACK].full);
	send_to(w, FRONT, LINK_DATA, 1, "q", 1);
	want_data(w, BACK, LINK_DATA, 1, "q", 1);
}

static void
test_a_silent_session_gets_its_signed_head(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	settle(w);
	clock_skip_ns += 2 * CLOCK_NS_PER_S;
	for (int i = 0; i < 50 && chain_wants_heads(w->rig->chain); i++)
		pass(w);
	assert_false(chain_wants_heads(w->rig->chain));
}

/* Seconds pass in which nothing is recorded; how often the recorder synced. */
static unsigned
syncs_in_silence(struct world *w)
{
	n_syncs = 0;
	for (int i = 0; i < 4; i++) {
		clock_skip_ns += 2 * CLOCK_NS_PER_S;
		settle(w);
	}
	return n_syncs;
}

static void
test_in_silence_the_last_commit_is_synced_once(void **state)
{
	struct world *w = *state;

	/* The start was synced. */
	assert_int_equal(syncs_in_silence(w), 0);
	open_leg(w);
	open_channel(w);
	settle(w);
	assert_int_equal(syncs_in_silence(w), 1);
	assert_int_equal(syncs_in_silence(w), 0);
}

static void
test_strict_needs_no_sync_in_silence(void **state)
{
	struct world *w = *state;

	open_leg(w);
	open_channel(w);
	settle(w);
	assert_int_equal(syncs_in_silence(w), 0);
}

static void
test_the_end_of_the_broker_is_an_orderly_stop(void **state)
{
	struct world *w = *state;

	open_leg(w);
	hang_up(w, BROKER);
	want(w, FRONT, LINK_END);
	want(w, BACK, LINK_END);
	hang_up(w, FRONT);
	hang_up(w, BACK);
	settle(w);
	assert_int_equal(w->rec.n_legs, 0);
}

/* Streams that are read. */

static const uint8_t sftp_payload[] = "\0\0\0\1\0\0\0\11subsystem\1\0\0\0\4sftp";
static const uint8_t forward_payload[] = "\0\0\0\14direct-tcpip\0\0\0\1h\0\0\0\26\0\0\0\1o\0\0\0\1";

/* Terms as of policy_proto.h, without prefixes. */
static void
answer_terms(struct world *w, uint8_t stream, uint8_t files, uint8_t rights)
{
	const uint8_t terms[11] = { stream, files, rights };

	answer_with(w, POL_ALLOW, "", NULL, 0, terms, sizeof(terms));
}

/* Channel 1 runs sftp, by these terms. */
static void
open_sftp(struct world *w, uint8_t files, uint8_t rights)
{
	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_REQUEST, 1, sftp_payload, sizeof(sftp_payload) - 1);
	want(w, POLICY, POL_ASK);
	answer_terms(w, POL_STREAM_SFTP, files, rights);
	want_data(w, BACK, LINK_REQUEST, 1, sftp_payload, sizeof(sftp_payload) - 1);
}

/* A frame of the stream that crosses as it came. */
static void
carry(struct world *w, enum peer from, const struct stream *s, size_t i)
{
	const uint8_t *p = buf_ptr(s->bytes) + s->steps[i].off;

	send_to(w, from, LINK_DATA, 1, p, s->steps[i].len);
	want_data(w, from == FRONT ? BACK : FRONT, LINK_DATA, 1, p, s->steps[i].len);
}

static struct stream *
put_stream(void)
{
	struct stream *s = stream_new();

	stream_sftp(s, EVENT_FRONT, FXP_INIT, "u", 3u);
	stream_sftp(s, EVENT_BACK, FXP_VERSION_IS, "u", 3u);
	stream_sftp(s, EVENT_FRONT, FXP_OPEN, "usun", 1u, "/f\xff", FXP_F_WRITE | FXP_F_TRUNC);
	stream_sftp(s, EVENT_BACK, FXP_HANDLE, "us", 1u, "h");
	stream_sftp(s, EVENT_FRONT, FXP_WRITE, "usqs", 2u, "h", (uint64_t)0, "secret content");
	stream_sftp(s, EVENT_BACK, FXP_STATUS, "uuss", 2u, 0u, "", "");
	stream_sftp(s, EVENT_FRONT, FXP_CLOSE, "us", 3u, "h");
	stream_sftp(s, EVENT_BACK, FXP_STATUS, "uuss", 3u, 0u, "", "");
	return s;
}

static void
put_a_file(struct world *w)
{
	struct stream *s = put_stream();

	for (size_t i = 0; i < s->n; i++)
		carry(w, s->steps[i].way == EVENT_FRONT ? FRONT : BACK, s, i);
	stream_free(s);
	settle(w);
}

static void
check_file_event(const char *content)
{
	const struct event *ev = find_event(&seen, EVENT_TO_FRONT, EVENT_FILE);
	uint8_t hash[HASH_LEN];
	char hex[2 * HASH_LEN + 1];
	struct json_node *f;

	assert_non_null(ev);
	assert_int_equal(ev->channel, 1);
	assert_memory_equal(ev->data, "\0\0\0\1", 4);
	assert_int_equal(json_parse((const char *)ev->data + 8, ev->len - 8, &f), 0);
	assert_string_equal(json_str(json_get(f, "op"), ""), "put");
	assert_string_equal(json_str(json_get(f, "path"), ""), "/f\xef\xbf\xbd");
	assert_string_equal(json_str(json_get(f, "path_base64"), ""), "L2b/");
	assert_int_equal(json_u64(json_get(f, "bytes"), 0), 14);
	assert_int_equal(json_u64(json_get(f, "size"), 0), 14);
	assert_int_equal(json_u64(json_get(f, "status"), 9), 0);
	assert_int_equal(json_u64(json_get(f, "channel"), 9), 1);
	assert_string_equal(json_str(json_get(f, "content"), ""), content);
	hash_sha256("secret content", 14, hash);
	assert_string_equal(json_str(json_get(f, "sha256"), ""), str_hex(hex, hash, sizeof(hash)));
	json_node_free(f);
}

static void
test_content_crosses_and_its_hash_is_recorded(void **state)
{
	struct world *w = *state;
	const struct event *ev;
	uint8_t hash[HASH_LEN];
	struct sess s;

	open_sftp(w, POL_FILES_HASH, POL_FILES_READ | POL_FILES_WRITE);
	put_a_file(w);
	see(w, &seen);
	check_file_event("hash");
	ev = find_event(&seen, EVENT_FRONT, EVENT_CONTENT);
	assert_non_null(ev);
	assert_int_equal(ev->len, 4 + 8 + 4 + HASH_LEN);
	assert_memory_equal(ev->data, "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\16", 16);
	hash_sha256("secret content", 14, hash);
	assert_memory_equal(ev->data + 16, hash, HASH_LEN);
	for (size_t i = 0; i < seen.n; i++)
		assert_null(memmem(seen.events[i].data, seen.events[i].len, "secret", 6));
	get_session(w, &s);
	assert_int_equal(s.state, SESS_OPEN);
	sess_done(&s);
}

static void
test_content_that_is_kept_is_marked(void **state)
{
	struct world *w = *state;
	const struct event *ev;

	open_sftp(w, POL_FILES_KEEP, POL_FILES_READ | POL_FILES_WRITE);
	put_a_file(w);
	see(w, &seen);
	check_file_event("kept");
	assert_null(find_event(&seen, EVENT_FRONT, EVENT_CONTENT));
	ev = find_event(&seen, EVENT_FRONT, EVENT_KEPT);
	assert_non_null(ev);
	assert_int_equal(ev->len, 12);
	assert_int_equal(ev[1].type, LINK_DATA);
	assert_int_equal(ev[1].len, 14);
	assert_memory_equal(ev[1].data, "secret content", 14);
}

/* Next to nothing of it is written, but all of it is held until a commit. */
static void
test_content_that_waits_makes_a_commit(void **state)
{
	enum { PIECE = 32768, PIECES = COMMIT_BYTES / PIECE };
	/* WRITE 2 to handle "h" at 0: COMMIT_BYTES, which are to follow. */
	static const uint8_t head[] = "\0\x20\0\x16\6\0\0\0\2\0\0\0\1h\0\0\0\0\0\0\0\0\0\x20\0";
	struct stream *s = put_stream();
	struct world *w = *state;
	uint8_t *data = calloc(1, PIECE);
	unsigned before;

	assert_int_equal(COMMIT_BYTES, 0x200000);
	assert_non_null(data);
	open_sftp(w, POL_FILES_HASH, POL_FILES_READ | POL_FILES_WRITE);
	for (size_t i = 0; i < 4; i++)
		carry(w, s->steps[i].way == EVENT_FRONT ? FRONT : BACK, s, i);
	settle(w);
	/* No commit is made for its being time. */
	w->rec.commit = (struct commit){ .at_ns = UINT64_MAX };
	before = commits.n;
	send_to(w, FRONT, LINK_DATA, 1, head, sizeof(head));
	for (size_t i = 0; i < PIECES; i++) {
		assert_int_equal(commits.n, before);
		assert_true(chain_pending(w->rec.chain) < PIECE);
		send_to(w, FRONT, LINK_DATA, 1, data, PIECE);
		pass(w);
	}
	settle(w);
	assert_int_equal(commits.n, before + 1);
	assert_true(release_bytes(w->rec.out) < PIECE);
	want_data(w, BACK, LINK_DATA, 1, head, sizeof(head));
	want_data(w, BACK, LINK_DATA, 1, data, PIECE);
	stream_free(s);
	free(data);
}

/* The back keeps it for the program, so it would be the first that the target reads: requests that no rule was held against. */
static void
test_sftp_behind_data_is_denied(void **state)
{
	static const uint8_t early[] = "\0\0\0\5\1\0\0\0\3";
	struct world *w = *state;

	open_leg(w);
	give_policy(w);
	open_channel(w);
	send_to(w, FRONT, LINK_DATA, 1, early, sizeof(early) - 1);
	want_data(w, BACK, LINK_DATA, 1, early, sizeof(early) - 1);
	send_to(w, FRONT, LINK_REQUEST, 1, sftp_payload, sizeof(sftp_payload) - 1);
	want(w, POLICY, POL_ASK);
	answer_terms(w, POL_STREAM_SFTP, POL_FILES_HASH, POL_FILES_READ);
	want(w, FRONT, LINK_NOTE);
	assert_int_equal(w->msg.data[0], LINK_NOTE_VERDICT);
	assert_int_equal(w->msg.data[5], POL_DENY);
	want_nothing(w, BACK);
}

static void
test_a_file_that_is_open_at_the_end_is_told(void **state)
{
	struct world *w = *state;
	struct stream *s = put_stream();
	const struct event *file, *close;

	open_sftp(w, POL_FILES_HASH, POL_FILES_READ | POL_FILES_WRITE);
	for (size_t i = 0; i < 4; i++)
		carry(w, s->steps[i].way == EVENT_FRONT ? FRONT : BACK, s, i);
	send_to(w, BACK, LINK_CLOSE, 1, NULL, 0);
	want_data(w, FRONT, LINK_CLOSE, 1, NULL, 0);
	settle(w);
	see(w, &seen);
	file = find_event(&seen, EVENT_TO_FRONT, EVENT_FILE);
	close = find_event(&seen, EVENT_BACK, LINK_CLOSE);
	assert_non_null(file);
	assert_true(file->seq < close->seq);
	assert_null(memmem(file->data, file->len, "status", 6));
	stream_free(s);
}

static void
test_a_refused_request_is_rewritten_and_told(void **state)
{
	struct world *w = *state;
	struct stream *s = stream_new();

	stream_sftp(s, EVENT_FRONT, FXP_INIT, "u", 3u);
	stream_sftp(s, EVENT_BACK, FXP_VERSION_IS, "u", 3u);
	stream_sftp(s, EVENT_FRONT, FXP_REMOVE, "us", 7u, "/etc/f");
	stream_sftp(s, EVENT_BACK, FXP_STATUS, "uuss", 7u, 8u, "", "");
	open_sftp(w, POL_FILES_HASH, POL_FILES_READ);
	carry(w, FRONT, s, 0);
	carry(w, BACK, s, 1);
	send_to(w, FRONT, LINK_DATA, 1, buf_ptr(s->bytes) + s->steps[2].off, s->steps[2].len);
	want(w, BACK, LINK_DATA);
	assert_int_equal(w->msg.len, s->steps[2].len);
	assert_int_equal(w->msg.data[4], FXP_EXTENDED);
	assert_memory_equal(w->msg.data + 5, "\0\0\0\7", 4);
	assert_null(memmem(w->msg.data, w->msg.len, "etc", 3));
	send_to(w, BACK, LINK_DATA, 1, buf_ptr(s->bytes) + s->steps[3].off, s->steps[3].len);
	want(w, FRONT, LINK_DATA);
	assert_int_equal(w->msg.data[12], FXP_PERMISSION_DENIED);
	settle(w);
	assert_true(audited(w, "file.refused"));
	assert_true(audited(w, "remove /etc/f: the rule gives no right to write"));
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_TO_FRONT, EVENT_REMARK));
	assert_non_null(memmem(find_event(&seen, EVENT_TO_FRONT, EVENT_FILE)->data,
	    find_event(&seen, EVENT_TO_FRONT, EVENT_FILE)->len, "\"refused\":true", 14));
	/* What was recorded is what crossed. */
	for (size_t i = 0; i < seen.n; i++)
		if (seen.events[i].type == LINK_DATA)
			assert_null(memmem(seen.events[i].data, seen.events[i].len, "etc", 3));
	stream_free(s);
}

/* Half a request waits for the rest of it, and goes on when there is none. */
static void
test_half_a_request_is_held(void **state)
{
	struct world *w = *state;
	struct stream *s = stream_new();
	const uint8_t *p;

	stream_sftp(s, EVENT_FRONT, FXP_INIT, "u", 3u);
	stream_sftp(s, EVENT_FRONT, FXP_OPENDIR, "us", 7u, "/etc/f");
	open_sftp(w, POL_FILES_HASH, POL_FILES_READ);
	carry(w, FRONT, s, 0);
	p = buf_ptr(s->bytes) + s->steps[1].off;
	send_to(w, FRONT, LINK_DATA, 1, p, 12);
	want_nothing(w, BACK);
	send_to(w, FRONT, LINK_DATA, 1, p + 12, s->steps[1].len - 12);
	want_data(w, BACK, LINK_DATA, 1, p, s->steps[1].len);
	send_to(w, FRONT, LINK_DATA, 1, p, 9);
	want_nothing(w, BACK);
	send_to(w, FRONT, LINK_EOF, 1, NULL, 0);
	want_data(w, BACK, LINK_DATA, 1, p, 9);
	want_data(w, BACK, LINK_EOF, 1, NULL, 0);
	stream_free(s);
}

/* Both sides hear that the channel is over; what they still send goes nowhere, and the session lives. */
static void
check_cut(struct world *w, uint32_t channel)
{
	want_data(w, FRONT, LINK_CLOSE, channel, NULL, 0);
	want_data(w, BACK, LINK_CLOSE, channel, NULL, 0);
	send_to(w, FRONT, LINK_DATA, channel, "late", 4);
	send_to(w, BACK, LINK_DATA, channel, "late", 4);
	send_to(w, BACK, LINK_CLOSE, channel, NULL, 0);
	send_to(w, FRONT, LINK_CLOSE, channel, NULL, 0);
	want_nothing(w, FRONT);
	want_nothing(w, BACK);
	send_to(w, FRONT, LINK_OPEN, 9, SESSION_OPEN);
	want_data(w, BACK, LINK_OPEN, 9, SESSION_OPEN);
	see(w, &seen);
	assert_non_null(find_event(&seen, EVENT_TO_BACK, LINK_CLOSE));
	assert_non_null(find_event(&seen, EVENT_TO_FRONT, EVENT_REMARK));
}

static void
test_a_stream_that_cannot_be_judged_is_cut(void **state)
{
	struct world *w = *state;

	open_sftp(w, POL_FILES_HASH, POL_FILES_READ);
	send_to(w, FRONT, LINK_DATA, 1, "GET / HTTP/1.0\r\n", 16);
	want(w, FRONT, LINK_NOTE);
	assert_non_null(memmem(w->msg.data, w->msg.len, "file transfer ended: ", 21));
	check_cut(w, 1);
	assert_true(audited(w, "file.refused"));
}

static void
test_a_stream_that_cannot_be_followed_crosses_without_a_rule(void **state)
{
	struct world *w = *state;

	open_sftp(w, POL_FILES_HASH, POL_FILES_READ | POL_FILES_WRITE);
	send_to(w, FRONT, LINK_DATA, 1, "GET / HTTP/1.0\r\n", 16);
	want_data(w, BACK, LINK_DATA, 1, "GET / HTTP/1.0\r\n", 16);
	settle(w);
	see(w, &seen);
	assert_non_null(
	    memmem(find_event(&seen, EVENT_TO_FRONT, EVENT_REMARK)->data, 14, "unfollowed", 10));
	assert_memory_equal(
	    find_event(&seen, EVENT_FRONT, LINK_DATA)->data, "GET / HTTP/1.0\r\n", 16);
}

static void
open_forward(struct world *w)
{
	open_leg(w);
	give_policy(w);
	send_to(w, FRONT, LINK_OPEN, 1, forward_payload, sizeof(forward_payload) - 1);
	want(w, POLICY, POL_ASK);
	answer_terms(w, POL_STREAM_FORWARD, POL_FILES_HASH, 0);
	want_data(w, BACK, LINK_OPEN, 1, forward_payload, sizeof(forward_payload) - 1);
	send_to(w, BACK, LINK_OPEN_OK, 1, NULL, 0);
	want_data(w, FRONT, LINK_OPEN_OK, 1, NULL, 0);
}

static void
test_a_forward_that_opens_like_ssh_is_cut(void **state)
{
	struct world *w = *state;

	open_forward(w);
	send_to(w, BACK, LINK_DATA, 1, "SSH-2.0-x\r\n", 11);
	want(w, FRONT, LINK_NOTE);
	assert_non_null(memmem(w->msg.data, w->msg.len, "use ssh -J", 10));
	check_cut(w, 1);
	assert_true(audited(w, "forward.cut"));
}

static void
test_one_side_that_has_closed_is_not_told_twice(void **state)
{
	struct world *w = *state;

	open_forward(w);
	send_to(w, FRONT, LINK_CLOSE, 1, NULL, 0);
	want_data(w, BACK, LINK_CLOSE, 1, NULL, 0);
	send_to(w, BACK, LINK_DATA, 1, "SSH-2.0-x\r\n", 11);
	want(w, FRONT, LINK_NOTE);
	want_data(w, FRONT, LINK_CLOSE, 1, NULL, 0);
	send_to(w, BACK, LINK_CLOSE, 1, NULL, 0);
	want_nothing(w, BACK);
	want_nothing(w, FRONT);
}

static void
test_other_forwards_cross_as_they_come(void **state)
{
	struct world *w = *state;

	open_forward(w);
	send_to(w, FRONT, LINK_DATA, 1, "SSH", 3);
	want_data(w, BACK, LINK_DATA, 1, "SSH", 3);
	send_to(w, FRONT, LINK_DATA, 1, "+-", 2);
	want_data(w, BACK, LINK_DATA, 1, "+-", 2);
}

static void
test_terms_that_do_not_parse_end_the_session(void **state)
{
	static const struct {
		const char *terms;
		size_t len;
	} rows[] = { { "\1", 1 }, { "\1\1\3\0\0\0\0\0\0\0\0x", 12 },
		{ "\1\1\3\0\0\0\1\0\0\0\3srv\0\0\0\0", 18 },
		{ "\1\1\3\377\377\377\377\0\0\0\0", 11 } };
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct world *w;

		if (i > 0) {
			teardown(state);
			assert_int_equal(setup(state), 0);
		}
		w = *state;
		open_leg(w);
		give_policy(w);
		open_channel(w);
		send_to(w, FRONT, LINK_REQUEST, 1, sftp_payload, sizeof(sftp_payload) - 1);
		want(w, POLICY, POL_ASK);
		answer_with(w, POL_ALLOW, "", NULL, 0, rows[i].terms, rows[i].len);
		want(w, BACK, LINK_END);
		assert_int_equal(end_code(w), LINK_END_INTERNAL);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_opening_is_durable_before_it_is_told),
		T(test_frames_cross_unchanged_and_are_recorded),
		T(test_no_frame_is_sent_before_its_commit),
		T(test_one_commit_serves_everything_that_waits),
		T(test_a_failed_commit_releases_nothing_and_is_not_tried_again),
		T(test_a_second_session_is_refused_while_the_store_has_failed),
		T(test_bad_metadata_is_refused),
		T(test_masks_see_all_data_types_as_one),
		T(test_masks_keep_nothing_of_a_closed_channel),
		T(test_lists_of_variables_that_are_not_taken),
		T(test_an_allowed_request_crosses_after_the_answer),
		T(test_variables_cross_without_being_asked_about_or_not_at_all),
		T(test_a_long_request_is_asked_about_and_crosses_whole),
		T(test_a_request_of_just_one_frame),
		T(test_the_longest_request),
		T(test_nobody_hears_of_a_part_of_a_request),
		T(test_a_long_request_that_is_denied_crosses_nowhere),
		T(test_a_long_variable_crosses_whole),
		T(test_the_sender_is_held_and_the_other_direction_flows),
		T(test_a_denied_request_does_not_cross_and_the_front_is_told),
		T(test_a_replaced_request_crosses_in_its_new_form_and_both_are_recorded),
		T(test_a_replacement_of_another_number_ends_the_session),
		T(test_without_policy_everything_that_needs_it_is_denied),
		T(test_what_was_asked_is_denied_when_policy_dies),
		T(test_a_denied_channel_is_refused_and_what_follows_on_it_dropped),
		T(test_policy_hears_what_the_target_answered),
		T(test_a_denied_global_request_is_answered_by_the_recorder),
		T(test_an_answer_to_nothing_is_passed_over),
		T(test_an_audit_event_of_policy_is_kept),
		T(test_an_end_is_passed_on_and_the_session_closed),
		T(test_frames_sent_before_the_end_all_arrive),
		T(test_a_front_that_dies_ends_the_leg),
		T(test_an_end_that_does_not_close_is_cut_off),
		T(test_a_kill_tells_both_ends_and_names_who),
		T(test_orders_are_answered_in_words_and_when_they_are_durable),
		T(test_an_order_that_cannot_be_written_is_the_end),
		T(test_half_an_order_breaks_the_edge),
		T(test_it_says_that_it_is_there_and_takes_what_is_kept),
		T(test_nothing_is_sent_to_an_end_after_its_end),
		T(test_a_broken_rule_ends_the_leg_with_an_audit_event),
		T(test_a_message_that_is_no_frame_is_a_broken_rule),
		T(test_a_refused_request_is_one_audit_event),
		T(test_stop_ends_every_session_and_then_the_loop),
		T(test_a_stop_does_not_wait_for_ever),
		T(test_an_audit_event_is_done_when_it_is_durable),
		T(test_status_is_json),
		T(test_a_stalled_disk_ends_sessions),
		T(test_a_slow_destination_stops_its_source_and_loses_nothing),
		T(test_a_slow_destination_does_not_stop_the_other_direction),
		T(test_a_silent_session_gets_its_signed_head),
		T(test_strict_needs_no_sync_in_silence),
		cmocka_unit_test_setup_teardown(
		    test_in_silence_the_last_commit_is_synced_once, setup_process, teardown),
		T(test_the_end_of_the_broker_is_an_orderly_stop),
		T(test_content_crosses_and_its_hash_is_recorded),
		T(test_content_that_is_kept_is_marked),
		T(test_content_that_waits_makes_a_commit),
		T(test_sftp_behind_data_is_denied),
		T(test_a_file_that_is_open_at_the_end_is_told),
		T(test_a_refused_request_is_rewritten_and_told),
		T(test_half_a_request_is_held),
		T(test_a_stream_that_cannot_be_judged_is_cut),
		T(test_a_stream_that_cannot_be_followed_crosses_without_a_rule),
		T(test_a_forward_that_opens_like_ssh_is_cut),
		T(test_one_side_that_has_closed_is_not_told_twice),
		T(test_other_forwards_cross_as_they_come),
		T(test_terms_that_do_not_parse_end_the_session),
	};

	return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
