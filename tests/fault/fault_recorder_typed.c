/*
 * The recorder with no memory at every point of a session in which secrets are typed, shown and given as a command: whatever
 * fails, none of them is in the record, what crosses is recorded, and the store verifies.
 */
#include "config.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/loop.h"
#include "policy/policy_proto.h"
#include "recorder/recorder.h"
#include "recorder/recording.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

enum peer { BROKER, POLICY, FRONT, BACK, PEERS };

#define STREAM_MAX 16384u
#define CHANNELS 3u
#define PASTE 5000u /* bytes: more than is remembered of what is undecided */

/* Data of one way of a channel, put together. */
struct stream {
	char bytes[STREAM_MAX];
	size_t n;
};

struct world {
	struct rig *rig;
	struct loop *loop;
	struct recorder rec;
	int fds[PEERS];
	uint8_t sid[REC_SID_LEN];
	bool opened, closed;
	struct stream got[2][CHANNELS]; /* by who sent it */
	struct stream record[2][CHANNELS];
	unsigned n_masked, n_hidden, n_veiled;
	uint32_t n_requests, n_crossed; /* that the front sent, that reached the back */
	uint8_t space[IPC_HEADER + IPC_MAX];
};

static const char *const secrets[] = { "70917", "81828", "31415", "27182", "16180", "57721" };

/* What is no secret crosses only when it is recorded. */
static const struct {
	unsigned way, channel;
	const char *text;
} plain[] = {
	{ EVENT_BACK, 1, "Password: " },
	{ EVENT_BACK, 1, "@host/x\r\n" },
	{ EVENT_BACK, 1, "row\r\n" },
	{ EVENT_FRONT, 2, " given\n" },
	{ EVENT_BACK, 2, " taken\n" },
};

static uint64_t skipped_ns;

static uint64_t
skipping_boot(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &t), 0);
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec + skipped_ns;
}

static void
put(struct stream *s, const void *data, size_t len)
{
	assert_true(s->n + len <= sizeof(s->bytes));
	memcpy(s->bytes + s->n, data, len);
	s->n += len;
}

static bool
has(const struct stream *s, const char *text)
{
	return memmem(s->bytes, s->n, text, strlen(text)) != NULL;
}

static int
edge(int *ret_theirs)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(ipc_plain_hello(fds[0]), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

/* The recorder may have given the edge up: then nobody hears it. */
static void
say(int fd, uint16_t type, uint32_t id, const void *data, size_t len, const int *fds, size_t n_fds)
{
	int r = ipc_plain_send(fd, type, id, data, len, fds, n_fds);

	assert_true(r == 0 || r == ERR_PEER_GONE || r == -EBADF);
}

static void
note(struct world *w, enum peer peer, const struct ipc_msg *msg)
{
	unsigned way = peer == BACK ? EVENT_FRONT : EVENT_BACK;

	if (peer == BROKER && msg->type == REC_OPENED) {
		w->opened = true;
		memcpy(w->sid, msg->data, REC_SID_LEN);
	}
	w->closed = w->closed || (peer == BROKER && msg->type == REC_CLOSED);
	w->n_crossed += peer == BACK && msg->type == LINK_REQUEST;
	if (peer >= FRONT && msg->type == LINK_DATA && msg->id < CHANNELS)
		put(&w->got[way][msg->id], msg->data, msg->len);
	if (peer == POLICY && msg->type == POL_ASK) {
		const uint8_t allow[13] = { msg->data[0], msg->data[1], msg->data[2], msg->data[3],
			POL_ALLOW };

		say(w->fds[POLICY], POL_VERDICT, 1, allow, sizeof(allow), NULL, 0);
	}
}

/* Passes of the loop, with faults; in between the peers take what they are sent, without. */
static void
pump(struct world *w)
{
	for (int i = 0; i < 5; i++) {
		fault_go();
		assert_int_equal(loop_pass(w->loop, 0), 0);
		fault_hold();
		for (int peer = 0; peer < PEERS; peer++) {
			struct ipc_msg msg;

			while (w->fds[peer] >= 0 &&
			       ipc_plain_recv(w->fds[peer], w->space, &msg, 0) == 0)
				note(w, (enum peer)peer, &msg);
		}
	}
}

static void
send_to(struct world *w, enum peer peer, uint16_t type, uint32_t id, const void *data, size_t len)
{
	say(w->fds[peer], type, id, data, len, NULL, 0);
	pump(w);
}

/* What is held back goes on when nothing else comes. */
static void
data_to(struct world *w, enum peer peer, uint32_t id, const char *text)
{
	send_to(w, peer, LINK_DATA, id, text, strlen(text));
	skipped_ns += 2 * MASK_WAIT_NS;
	pump(w);
}

static void
request(struct world *w, uint32_t id, const char *name, const void *rest, size_t len)
{
	struct buf *b = buf_new(1024);

	assert_non_null(b);
	assert_int_equal(buf_put_u32(b, ++w->n_requests), 0);
	assert_int_equal(buf_put_cstr(b, name), 0);
	assert_int_equal(buf_put_u8(b, 0), 0);
	assert_int_equal(buf_put(b, rest, len), 0);
	send_to(w, FRONT, LINK_REQUEST, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
open_leg(struct world *w)
{
	static const char masks[] = "\22\0\0\0\10defaults";
	uint8_t meta[512], open[600] = { 0 };
	size_t len = rig_meta(meta);
	int theirs[2];

	memcpy(meta + len, masks, sizeof(masks) - 1);
	len += sizeof(masks) - 1;
	w->fds[POLICY] = edge(&theirs[0]);
	say(w->fds[BROKER], REC_POLICY_EDGE, 0, NULL, 0, theirs, 1);
	close(theirs[0]);
	pump(w);
	w->fds[FRONT] = edge(&theirs[0]);
	w->fds[BACK] = edge(&theirs[1]);
	open[6] = (uint8_t)(len >> 8);
	open[7] = (uint8_t)len;
	memcpy(open + 8, meta, len);
	say(w->fds[BROKER], REC_OPEN, 1, open, 8 + len + 4, theirs, 2);
	close(theirs[0]);
	close(theirs[1]);
	pump(w);
}

static void
open_channel(struct world *w, uint32_t id)
{
	send_to(w, FRONT, LINK_OPEN, id, "\0\0\0\7session", 11);
	send_to(w, BACK, LINK_OPEN_OK, id, "", 0);
}

/* A command with a password in it, a question for one, and a paste that nothing shows. */
static void
use_terminal(struct world *w)
{
	char paste[PASTE];

	open_channel(w, 1);
	request(w, 1, "pty-req", "\0\0\0\5xterm\0\0\0\120\0\0\0\30\0\0\0\0\0\0\0\0\0\0\0\0", 29);
	request(w, 1, "shell", "", 0);
	/* Without a terminal nobody types there. */
	if (w->n_crossed < 2)
		return;
	data_to(w, BACK, 1, "$ ");
	data_to(w, FRONT, 1, "mysql -u root -p70917 db");
	data_to(w, BACK, 1, "mysql -u root -p70917 db");
	data_to(w, FRONT, 1, "\r");
	data_to(w, BACK, 1, "\r\nPassword: ");
	data_to(w, FRONT, 1, "81828\r");
	send_to(w, BACK, LINK_DATA, 1, "\r\nhttps://bob:31", 16);
	data_to(w, BACK, 1, "415@host/x\r\n");
	for (size_t i = 0; i < sizeof(paste); i++)
		paste[i] = "57721"[i % 5];
	send_to(w, FRONT, LINK_DATA, 1, paste, sizeof(paste));
	data_to(w, BACK, 1, "row\r\n");
	send_to(w, BACK, LINK_CLOSE, 1, "", 0);
}

static void
use_command(struct world *w)
{
	open_channel(w, 2);
	request(w, 2, "exec", "\0\0\0\21mysql -p27182 all", 21);
	data_to(w, FRONT, 2, "password=16180 given\n");
	data_to(w, BACK, 2, "password=16180 taken\n");
	send_to(w, BACK, LINK_DATA_EXT, 2, "\0\0\0\1password=16180 x\n", 21);
	send_to(w, BACK, LINK_CLOSE, 2, "", 0);
}

static void
end_leg(struct world *w)
{
	send_to(w, FRONT, LINK_END, 0, "\1\0\0\0\0", 5);
	fd_close(&w->fds[FRONT]);
	pump(w);
	fd_close(&w->fds[BACK]);
	pump(w);
	pump(w);
}

static void
no_secret(const struct stream *s)
{
	for (size_t i = 0; i < N_OF(secrets); i++)
		if (has(s, secrets[i]))
			fail_msg("in the record: %s", secrets[i]);
}

static void
see_event(struct world *w, const struct event *ev)
{
	struct stream one = { .n = 0 };

	put(&one, ev->data, ev->len < sizeof(one.bytes) ? ev->len : sizeof(one.bytes));
	no_secret(&one);
	w->n_masked += ev->type == EVENT_MASKED;
	w->n_hidden += ev->type == EVENT_HIDDEN;
	w->n_veiled += ev->type == EVENT_VEIL && ev->len > 0;
	if (ev->type == LINK_DATA && ev->way <= EVENT_BACK && ev->channel < CHANNELS)
		put(&w->record[ev->way][ev->channel], ev->data, ev->len);
}

static void
see_record(struct world *w)
{
	struct recording_part part;
	struct store_snap *snap;
	struct recording *rec;

	rig_open(w->rig);
	assert_int_equal(store_snap_new(chain_store(w->rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, w->sid, &rec), 0);
	while (recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0)
			see_event(w, &ev);
	}
	recording_close(rec);
	store_snap_free(snap);
	rig_close(w->rig);
}

/* Returns whether all of it is there. */
static bool
check(struct world *w)
{
	bool whole = w->closed;

	if (!w->opened)
		return false;
	see_record(w);
	for (unsigned way = EVENT_FRONT; way <= EVENT_BACK; way++)
		for (unsigned channel = 0; channel < CHANNELS; channel++)
			no_secret(&w->record[way][channel]);
	for (size_t i = 0; i < N_OF(plain); i++) {
		bool crossed = has(&w->got[plain[i].way][plain[i].channel], plain[i].text);

		if (crossed && !has(&w->record[plain[i].way][plain[i].channel], plain[i].text))
			fail_msg("crossed, and is not in the record: %s", plain[i].text);
		whole = whole && crossed;
	}
	/* Typed and shown commands, the address, the command, what is given to it, and taken twice; the prompt, and the paste. */
	return whole && w->n_masked == 7 && w->n_hidden >= 2 && w->n_veiled > 0;
}

static int
run(void *arg)
{
	struct world *w;
	struct recorder_conf conf = {
		.stall_timeout_ns = 30 * CLOCK_NS_PER_S, .durability = STORE_PROCESS, .ready = ""
	};
	void *rig;
	int r;

	(void)arg;
	fault_hold();
	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	rig_setup(&rig);
	w->rig = rig;
	rig_close(w->rig);
	w->rig->durability = STORE_PROCESS;
	rig_open(w->rig);
	for (int i = 0; i < PEERS; i++)
		w->fds[i] = -1;
	assert_int_equal(loop_new(&w->loop), 0);
	w->fds[BROKER] = edge(&conf.broker_fd);
	conf.loop = w->loop;
	conf.chain = w->rig->chain;
	assert_int_equal(recorder_init(&w->rec, &conf), 0);
	open_leg(w);
	use_terminal(w);
	use_command(w);
	end_leg(w);
	recorder_done(&w->rec);
	loop_free(w->loop);
	for (int i = 0; i < PEERS; i++)
		fd_close(&w->fds[i]);
	rig_close(w->rig);
	/* Only a fault may leave the session unfinished or shorten it. */
	r = check(w) ? 0 : -EIO;
	assert_int_equal(rig_verify(w->rig), 0);
	free(w);
	rig_teardown(&rig);
	return r;
}

static void
test_no_secret_is_recorded_whatever_fails(void **state)
{
	(void)state;
	clock_override(NULL, skipping_boot);
	assert_true(fault_each(FAULT_MEMORY, run, NULL) > 60);
	clock_override(NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_secret_is_recorded_whatever_fails),
	};

	if (secret_init() != 0 || hash_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("fault_recorder_typed", tests, NULL, NULL);
}
