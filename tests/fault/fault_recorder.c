/*
 * The recorder with no memory, or no socket buffers, at every point of a session: it does not crash or leak, what reached
 * an end is in the store, and the store verifies.
 */
#include "config.h"

#include <errno.h>
#include <unistd.h>

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

struct world {
	struct rig *rig;
	struct loop *loop;
	struct recorder rec;
	int fds[PEERS];
	uint8_t sid[REC_SID_LEN];
	bool opened, closed;
	char got[64]; /* bytes that reached the back */
	size_t n_got;
	uint8_t space[IPC_HEADER + IPC_MAX];
};

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
	if (peer == BROKER && msg->type == REC_OPENED) {
		w->opened = true;
		memcpy(w->sid, msg->data, REC_SID_LEN);
	}
	if (peer == BROKER && msg->type == REC_CLOSED)
		w->closed = true;
	if (peer == BACK && msg->type == LINK_DATA && msg->id == 1 &&
	    w->n_got + msg->len < sizeof(w->got)) {
		memcpy(w->got + w->n_got, msg->data, msg->len);
		w->n_got += msg->len;
	}
	if (peer == POLICY && msg->type == POL_ASK) {
		/* sftp is for reading only and has its content hashed; everything else is plain */
		bool sftp = memmem(msg->data, msg->len, "sftp", 4) != NULL;
		uint8_t allow[24] = { msg->data[0], msg->data[1], msg->data[2], msg->data[3],
			POL_ALLOW, 0, 0, 0, 0, 0, 0, 0, sftp ? 11 : 0, POL_STREAM_SFTP,
			POL_FILES_HASH, POL_FILES_READ };

		say(w->fds[POLICY], POL_VERDICT, 1, allow, sftp ? 24 : 13, NULL, 0);
	}
}

/* Passes of the loop, with faults; in between the peers take what they are sent, without. */
static void
pump(struct world *w)
{
	for (int i = 0; i < 6; i++) {
		int r;

		fault_go();
		r = loop_pass(w->loop, 0);
		fault_hold();
		assert_true(r == 0 || r == -ENOBUFS);
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

/* A file is read, and one is not removed. */
static void
move_files(struct world *w)
{
	send_to(w, FRONT, LINK_OPEN, 2, "\0\0\0\7session", 11);
	send_to(w, BACK, LINK_OPEN_OK, 2, "", 0);
	send_to(w, FRONT, LINK_REQUEST, 2, "\0\0\0\1\0\0\0\11subsystem\0\0\0\0\4sftp", 26);
	send_to(w, FRONT, LINK_DATA, 2, "\0\0\0\5\1\0\0\0\3", 9);
	send_to(w, BACK, LINK_DATA, 2, "\0\0\0\5\2\0\0\0\3", 9);
	send_to(w, FRONT, LINK_DATA, 2,
	    "\0\0\0\22\3\0\0\0\1\0\0\0\1f\0\0\0\1\0\0\0\0"
	    "\0\0\0\12\15\0\0\0\2\0\0\0\1f",
	    36);
	send_to(w, BACK, LINK_DATA, 2,
	    "\0\0\0\12\146\0\0\0\1\0\0\0\1h"
	    "\0\0\0\11\145\0\0\0\2\0\0\0\10",
	    27);
	send_to(w, FRONT, LINK_DATA, 2, "\0\0\0\26\5\0\0\0\3\0\0\0\1h\0\0\0\0\0\0\0\0\0\0\0\7", 26);
	send_to(w, BACK, LINK_DATA, 2, "\0\0\0\20\147\0\0\0\3\0\0\0\7content", 20);
	send_to(w, BACK, LINK_CLOSE, 2, "", 0);
}

static void
talk(struct world *w)
{
	static uint8_t command[LINK_REQUEST_PART];
	uint8_t meta[256], open[300] = { 0 };
	size_t len = rig_meta(meta);
	int theirs[2];

	w->fds[POLICY] = edge(&theirs[0]);
	say(w->fds[BROKER], REC_POLICY_EDGE, 0, NULL, 0, theirs, 1);
	close(theirs[0]);
	pump(w);
	w->fds[FRONT] = edge(&theirs[0]);
	w->fds[BACK] = edge(&theirs[1]);
	open[6] = (uint8_t)(len >> 8);
	open[7] = (uint8_t)len;
	memcpy(open + 8, meta, len);
	memcpy(open + 8 + len, "\0\0\0\1\0\0\0\4LC_*", 12);
	say(w->fds[BROKER], REC_OPEN, 1, open, 8 + len + 12, theirs, 2);
	close(theirs[0]);
	close(theirs[1]);
	pump(w);
	send_to(w, FRONT, LINK_OPEN, 1, "\0\0\0\7session", 11);
	send_to(w, BACK, LINK_OPEN_OK, 1, "", 0);
	send_to(w, FRONT, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\3env\1\0\0\0\4EVIL\0\0\0\1x", 25);
	/* In two frames: 0x00010000 bytes of a command. */
	memcpy(command, "\0\0\0\2\0\0\0\4exec\1\0\1\0\0", 17);
	send_to(w, FRONT, LINK_REQUEST, 1, command, LINK_REQUEST_PART);
	send_to(w, FRONT, LINK_MORE, 1, command, 17 + 65536 - LINK_REQUEST_PART);
	send_to(w, FRONT, LINK_DATA, 1, "ls\n", 3);
	send_to(w, BACK, LINK_DATA, 1, "a b c", 5);
	move_files(w);
	send_to(w, FRONT, LINK_NOTE, 0, "\4\0\0\0\3x11\0\0\0\2no", 14);
	send_to(w, FRONT, LINK_DATA, 1, "exit\n", 5);
	send_to(w, BROKER, REC_AUDIT, 9, "{\"event\":\"x\"}", 13);
	send_to(w, BROKER, REC_STATUS, 9, NULL, 0);
	send_to(w, FRONT, LINK_END, 0, "\1\0\0\0\0", 5);
	fd_close(&w->fds[FRONT]);
	pump(w);
	fd_close(&w->fds[BACK]);
	pump(w);
	pump(w);
}

/* What the back got is what the front's events say, from the first. */
static void
check_prefix(struct world *w)
{
	struct recording_part part;
	struct store_snap *snap;
	struct recording *rec;
	char in[64];
	size_t n = 0;

	if (!w->opened)
		return;
	rig_open(w->rig);
	assert_int_equal(store_snap_new(chain_store(w->rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, w->sid, &rec), 0);
	while (recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0)
			if (ev.way == EVENT_FRONT && ev.type == LINK_DATA && ev.channel == 1) {
				memcpy(in + n, ev.data, ev.len);
				n += ev.len;
			}
	}
	assert_true(n >= w->n_got);
	assert_memory_equal(in, w->got, w->n_got);
	recording_close(rec);
	store_snap_free(snap);
	rig_close(w->rig);
}

static int
run(void *arg)
{
	struct world *w;
	struct recorder_conf conf = {
		.stall_timeout_ns = 30000000000ull, .durability = STORE_STRICT, .ready = ""
	};
	void *rig;
	int r;

	(void)arg;
	fault_hold();
	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	rig_setup(&rig);
	w->rig = rig;
	for (int i = 0; i < PEERS; i++)
		w->fds[i] = -1;
	assert_int_equal(loop_new(&w->loop), 0);
	w->fds[BROKER] = edge(&conf.broker_fd);
	conf.loop = w->loop;
	conf.chain = w->rig->chain;
	fault_go();
	r = recorder_init(&w->rec, &conf);
	fault_hold();
	if (r == 0) {
		talk(w);
		recorder_done(&w->rec);
	} else {
		close(conf.broker_fd);
	}
	loop_free(w->loop);
	for (int i = 0; i < PEERS; i++)
		fd_close(&w->fds[i]);
	rig_close(w->rig);
	check_prefix(w);
	assert_int_equal(rig_verify(w->rig), 0);
	/* Only a fault may leave the session unfinished or shorten it. */
	if (r == 0 && (!w->closed || w->n_got != 8))
		r = -EIO;
	free(w);
	rig_teardown(&rig);
	return r;
}

static void
test_the_recorder_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, NULL) > 50);
}

static void
test_the_recorder_survives_every_failed_socket_call(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_SOCKET, run, NULL) > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_recorder_survives_every_failed_allocation),
		cmocka_unit_test(test_the_recorder_survives_every_failed_socket_call),
	};

	if (secret_init() != 0 || hash_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("fault_recorder", tests, NULL, NULL);
}
