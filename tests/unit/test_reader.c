/* The reader on its edge: credit, parts, seeks, what bastionctl may not send; and each verb on a small store. */
#include "config.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/str.h"
#include "recorder/event.h"
#include "recorder/reader.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

struct edge {
	struct rig *rig;
	struct reader rd;
	int fd; /* bastionctl's end */
	uint8_t space[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg; /* the last one received */
};

static const char *const no_args[] = { NULL };

static int
edge_setup(void **state)
{
	struct edge *e = calloc(1, sizeof(*e));
	int fds[2];

	assert_non_null(e);
	rig_setup((void **)&e->rig);
	assert_int_equal(ipc_pair(fds), 0);
	e->rd.fd = fds[0];
	e->fd = fds[1];
	e->rd.credit = RD_WINDOW;
	e->rd.args = no_args;
	e->rd.space = malloc(IPC_HEADER + IPC_MAX);
	assert_non_null(e->rd.space);
	*state = e;
	return 0;
}

static int
edge_teardown(void **state)
{
	struct edge *e = *state;

	store_snap_free(e->rd.snap);
	store_close(e->rd.store);
	free(e->rd.space);
	fd_close(&e->rd.fd);
	fd_close(&e->fd);
	rig_teardown((void **)&e->rig);
	free(e);
	return 0;
}

/* The store as it is now, for the reader. */
static void
edge_open(struct edge *e, const char *const *args)
{
	rig_close(e->rig);
	assert_int_equal(store_open_read(e->rig->dir, &e->rd.store), 0);
	assert_int_equal(store_snap_new(e->rd.store, &e->rd.snap), 0);
	e->rd.args = args;
}

static void
edge_more(struct edge *e, uint32_t n)
{
	const uint8_t data[4] = { 0, 0, (uint8_t)(n >> 8), (uint8_t)n };

	assert_int_equal(ipc_plain_send(e->fd, RD_MORE, 0, data, sizeof(data), NULL, 0), 0);
}

static bool
edge_receive(struct edge *e)
{
	return ipc_plain_recv(e->fd, e->space, &e->msg, 0) == 0;
}

static void
test_no_more_is_sent_than_is_taken(void **state)
{
	struct edge *e = *state;

	for (unsigned i = 0; i < RD_WINDOW; i++)
		assert_int_equal(reader_send(&e->rd, RD_ITEM, 0, "{}", 2), 0);
	assert_int_equal(e->rd.credit, 0);
	edge_more(e, 2);
	assert_int_equal(reader_send(&e->rd, RD_ITEM, 0, "{}", 2), 0);
	assert_int_equal(reader_send(&e->rd, RD_ITEM, 0, "{}", 2), 0);
	assert_int_equal(e->rd.credit, 0);
	fd_close(&e->fd); /* nobody will ever take more */
	assert_int_equal(reader_send(&e->rd, RD_ITEM, 0, "{}", 2), ERR_PEER_GONE);
}

static void
test_what_bastionctl_may_not_say_ends_the_reader(void **state)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t len;
	} bad[] = { { RD_MORE, "\0\0\0", 3 }, { RD_MORE, "\0\0\0\1x", 5 },
		{ RD_SEEK, "\0\0\0\1", 4 }, { RD_SEEK, "12345678", 8 },
		{ RD_SEEK, "1234567890123", 13 }, { RD_ITEM, "{}", 2 }, { RD_EVENTS, "", 0 },
		{ RD_FIND, "\0\0\0\1\0", 5 }, { RD_FIND, "\0\0\0\1\0\0\0\0\0", 9 },
		{ RD_FIND, "\0\0\0\1\0\0\0\0\1\n", 10 }, { RD_FIND, "\0\0\0\1\0\0\0\0\1xx", 11 },
		{ RD_FIND, "\0\0\0\1\0\0\0\0\2x\0", 11 }, { 77, "", 0 } };
	struct edge *e = *state;

	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(
		    ipc_plain_send(e->fd, bad[i].type, 0, bad[i].data, bad[i].len, NULL, 0), 0);
		assert_int_equal(reader_peek(&e->rd), ERR_FORMAT);
	}
	assert_int_equal(e->rd.credit, RD_WINDOW);
	assert_false(e->rd.seek);
}

static void
test_credit_does_not_wrap(void **state)
{
	struct edge *e = *state;

	e->rd.credit = UINT32_MAX - 1;
	edge_more(e, 2);
	assert_int_equal(reader_peek(&e->rd), ERR_LIMIT);
}

static void
test_a_descriptor_is_refused_and_closed(void **state)
{
	struct edge *e = *state;
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC), before, after;

	assert_true(null_fd >= 0);
	assert_int_equal(ipc_plain_send(e->fd, RD_MORE, 0, "\0\0\0\1", 4, &null_fd, 1), 0);
	before = dup(0);
	close(before);
	assert_int_equal(reader_peek(&e->rd), ERR_FORMAT);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	fd_close(&null_fd);
}

static void
test_a_long_text_goes_in_parts(void **state)
{
	struct edge *e = *state;
	size_t len = IPC_MAX * 2 + 10, got = 0;
	char *text = malloc(len);

	assert_non_null(text);
	memset(text, 'x', len);
	assert_int_equal(reader_send_text(&e->rd, RD_ITEM, text, len), 0);
	for (unsigned part = 0; part < 3; part++) {
		assert_true(edge_receive(e));
		assert_int_equal(e->msg.id, part < 2);
		got += e->msg.len;
	}
	assert_false(edge_receive(e));
	assert_int_equal(got, len);
	free(text);
}

/* Run a verb and give all the credit it wants beforehand. Returns bastionctl's exit code; what it sent waits on e->fd. */
static uint8_t
edge_run(struct edge *e, reader_fn run, const char *const *args)
{
	uint8_t code = 9;

	edge_open(e, args);
	e->rd.credit = 1000;
	assert_int_equal(run(&e->rd, &code), 0);
	return code;
}

static void
test_sessions_are_found_by_prefix_and_last(void **state)
{
	struct edge *e = *state;
	uint8_t sid[2][REC_SID_LEN], found[REC_SID_LEN];
	char hex[2 * REC_SID_LEN + 1];

	rig_closed(e->rig, 1, 8, sid[0]);
	rig_closed(e->rig, 1, 8, sid[1]);
	edge_open(e, no_args);
	for (size_t len = 8; len <= 2 * REC_SID_LEN; len++) {
		str_hex(hex, sid[0], REC_SID_LEN);
		hex[len] = '\0';
		assert_int_equal(reader_find(&e->rd, hex, found), 0);
		assert_memory_equal(found, sid[0], REC_SID_LEN);
	}
	assert_int_equal(reader_find(&e->rd, "last", found), 0);
	assert_memory_equal(found, sid[1], REC_SID_LEN);
}

static void
test_what_names_no_session_is_refused(void **state)
{
	static const char *const bad[] = { "", "abc", "xyzw", "LAST", "../..", "ABCD",
		"00112233445566778899aabbccddeeff0", "ffffffff", "\033[2J" };
	struct edge *e = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(e->rig, 1, 8, sid);
	edge_open(e, no_args);
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(reader_find(&e->rd, bad[i], sid), ERR_NOT_FOUND);
		assert_true(e->rd.text[0] != '\0');
		assert_null(strchr(e->rd.text, '\033'));
	}
}

static void
test_an_empty_store_has_no_last_session(void **state)
{
	struct edge *e = *state;
	uint8_t sid[REC_SID_LEN];

	edge_open(e, no_args);
	assert_int_equal(reader_find(&e->rd, "last", sid), ERR_NOT_FOUND);
}

static void
test_list_and_show_of_what_is_there(void **state)
{
	struct edge *e = *state;
	static const char *const gone[] = { "00112233445566778899aabbccddeeff", NULL };
	uint8_t sid[REC_SID_LEN];
	struct json_node *root;
	char hex[2 * REC_SID_LEN + 1];

	rig_closed(e->rig, 3, 100, sid);
	assert_int_equal(edge_run(e, reader_list, no_args), 0);
	assert_true(edge_receive(e));
	assert_int_equal(json_parse((const char *)e->msg.data, e->msg.len, &root), 0);
	assert_string_equal(json_str(json_get(root, "id"), ""), str_hex(hex, sid, sizeof(sid)));
	json_node_free(root);
	assert_false(edge_receive(e));
	e->rd.args = gone;
	assert_int_equal(reader_show(&e->rd, (uint8_t[1]){ 0 }), 0);
	assert_string_equal(e->rd.text, "no such session: see bastionctl sessions list");
}

/* Lists have the first operations on files, show has all of them. */
static void
test_show_has_every_file(void **state)
{
	struct edge *e = *state;
	static const char *const last[] = { "last", NULL };
	struct session *s = rig_session(e->rig);
	struct json_node *root;

	for (unsigned i = 1; i <= SESS_FILES_MAX + 10; i++) {
		uint8_t data[64] = { 0, 0, 0, (uint8_t)i, 0, 0, 0 };
		int n = snprintf((char *)data + 8, sizeof(data) - 8, "{\"number\":%u}", i);

		data[7] = (uint8_t)n;
		assert_int_equal(
		    session_append(s, EVENT_TO_FRONT, EVENT_FILE, 1, data, 8 + (size_t)n), 0);
	}
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(e->rig);
	assert_int_equal(edge_run(e, reader_list, no_args), 0);
	assert_true(edge_receive(e));
	assert_int_equal(json_parse((const char *)e->msg.data, e->msg.len, &root), 0);
	assert_int_equal(json_n(json_get(root, "files")), SESS_FILES_MAX);
	assert_int_equal(json_u64(json_get(root, "files_total"), 0), SESS_FILES_MAX + 10);
	assert_int_equal(json_u64(json_get(json_at(json_get(root, "files"), 63), "number"), 0), 64);
	json_node_free(root);
	assert_false(edge_receive(e));
	e->rd.args = last;
	assert_int_equal(reader_show(&e->rd, (uint8_t[1]){ 0 }), 0);
	assert_true(edge_receive(e));
	assert_int_equal(json_parse((const char *)e->msg.data, e->msg.len, &root), 0);
	assert_int_equal(json_n(json_get(root, "files")), SESS_FILES_MAX + 10);
	assert_int_equal(json_u64(json_get(json_at(json_get(root, "files"), 73), "number"), 0), 74);
	json_node_free(root);
}

/* Count the events of one RD_EVENTS message; *next_seq: the number that its first one must have. */
static void
count_events(const struct ipc_msg *m, uint64_t *next_seq)
{
	struct buf *b = buf_view(m->data, m->len);
	struct event_reader r;
	struct event ev;
	uint64_t seq, base;
	int end;

	assert_non_null(b);
	assert_int_equal(buf_get_u64(b, &seq) | buf_get_u64(b, &base), 0);
	assert_int_equal(seq, *next_seq);
	event_reader_init(&r, buf_ptr(b), buf_len(b), seq, base);
	while ((end = event_next(&r, &ev)) == 0)
		++*next_seq;
	assert_int_equal(end, ERR_NOT_FOUND);
	buf_free(b);
}

/* The verb waits for a seek after the end: a second process plays bastionctl, and leaves in the end. */
static void
test_events_come_whole_and_again_after_a_seek(void **state)
{
	struct edge *e = *state;
	uint8_t sid[REC_SID_LEN];
	char hex[2 * REC_SID_LEN + 1];
	const char *args[] = { hex, NULL };
	uint8_t code;
	int status;
	pid_t pid;

	rig_closed(e->rig, 300, 3000, sid);
	str_hex(hex, sid, sizeof(sid));
	edge_open(e, args);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		uint64_t next = 1;
		unsigned ends = 0;

		close(e->rd.fd);
		while (ends < 2 && ipc_plain_recv(e->fd, e->space, &e->msg, 10000) == 0) {
			if (e->msg.type == RD_EVENTS)
				count_events(&e->msg, &next);
			if (e->msg.type != RD_END) {
				edge_more(e, 1);
				continue;
			}
			if (next != 301 || e->msg.id != ends)
				_exit(1);
			next = 1;
			if (ends++ == 0 && ipc_plain_send(e->fd, RD_SEEK, 1,
					       "\0\0\0\0\0\0\0\0\0\0\0", 12, NULL, 0) != 0)
				_exit(2);
		}
		_exit(ends == 2 ? 0 : 3);
	}
	fd_close(&e->fd);
	assert_int_equal(reader_events(&e->rd, &code), ERR_PEER_GONE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The next message that is wanted; credit is given back for each. False: there was none in time. */
static bool
watch_until(struct edge *e, uint16_t type, uint64_t *next_seq, uint64_t seq)
{
	while (ipc_plain_recv(e->fd, e->space, &e->msg, 10000) == 0) {
		if (e->msg.type == RD_EVENTS)
			count_events(&e->msg, next_seq);
		if (e->msg.type != RD_END)
			edge_more(e, 1);
		if (e->msg.type == type && *next_seq == seq)
			return true;
	}
	return false;
}

/* The recorder and bastionctl in one: events that are committed come, also while the watcher waits for them; so does the end. */
static int
watch_child(struct edge *e, int tell)
{
	struct session *s;
	uint64_t next = 1;
	uint32_t first;

	rig_open(e->rig);
	s = rig_session(e->rig);
	rig_data(s, 3, 100);
	rig_commit(e->rig);
	if (write(tell, session_sid(s), REC_SID_LEN) != REC_SID_LEN)
		return 1;
	if (!watch_until(e, RD_EVENTS, &next, 4))
		return 2;
	rig_data(s, 2, 100);
	rig_commit(e->rig);
	if (!watch_until(e, RD_EVENTS, &next, 6))
		return 3;
	if (ipc_plain_send(e->fd, RD_SEEK, 1, "\0\0\0\0\0\0\0\0\0\0\0\1", 12, NULL, 0) != 0)
		return 4;
	next = 1;
	if (!watch_until(e, RD_EVENTS, &next, 6))
		return 5;
	if (session_close(s, LINK_END_CLIENT, "bye", "") != 0)
		return 6;
	rig_commit(e->rig);
	first = (uint32_t)next;
	while (ipc_plain_recv(e->fd, e->space, &e->msg, 10000) == 0 && e->msg.type != RD_ITEM)
		edge_more(e, 1);
	if (e->msg.type != RD_ITEM || first != 6)
		return 7;
	edge_more(e, 1);
	return ipc_plain_recv(e->fd, e->space, &e->msg, 10000) == 0 && e->msg.type == RD_END ? 0
											     : 8;
}

static void
test_a_session_that_runs_is_watched_to_its_end(void **state)
{
	struct edge *e = *state;
	uint8_t sid[REC_SID_LEN];
	char hex[2 * REC_SID_LEN + 1];
	const char *args[] = { hex, NULL };
	int tell[2], status;
	uint8_t code;
	pid_t pid;

	rig_close(e->rig);
	assert_int_equal(pipe(tell), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(e->rd.fd);
		_exit(watch_child(e, tell[1]));
	}
	fd_close(&e->fd);
	assert_int_equal(read(tell[0], sid, sizeof(sid)), sizeof(sid));
	str_hex(hex, sid, sizeof(sid));
	assert_int_equal(store_open_read(e->rig->dir, &e->rd.store), 0);
	assert_int_equal(store_snap_new(e->rd.store, &e->rd.snap), 0);
	e->rd.args = args;
	assert_int_equal(reader_watch(&e->rd, &code), ERR_PEER_GONE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(tell[0]);
	close(tell[1]);
}

static void
test_damage_ends_the_events_and_says_so(void **state)
{
	struct edge *e = *state;
	uint8_t sid[REC_SID_LEN], key[REC_SID_LEN + 6];
	char hex[2 * REC_SID_LEN + 1];
	const char *args[] = { hex, NULL };
	unsigned n_events = 0;
	uint8_t code;
	int status;
	pid_t pid;

	rig_closed(e->rig, 300, 3000, sid);
	rig_close(e->rig);
	memcpy(key, sid, sizeof(sid));
	memcpy(key + REC_SID_LEN, "\0\0\0\1\0\0", 6); /* block 1, piece 0 */
	rig_flip(e->rig, STORE_BLK, key, sizeof(key), 200);
	str_hex(hex, sid, sizeof(sid));
	edge_open(e, args);
	e->rd.credit = 1000;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) { /* bastionctl: leaves at the end */
		close(e->rd.fd);
		do {
			if (ipc_plain_recv(e->fd, e->space, &e->msg, 10000) != 0)
				_exit(1);
			n_events += e->msg.type == RD_EVENTS;
		} while (e->msg.type != RD_END);
		_exit(e->msg.data[0] == 1 && n_events > 0 ? 0 : 2); /* no; block 0 came */
	}
	fd_close(&e->fd);
	assert_int_equal(reader_events(&e->rd, &code), ERR_PEER_GONE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_log_keeps_a_time_of_its_own_and_stays_json(void **state)
{
	static const char *const texts[] = { "{\"event\":\"a\"}", "{}",
		"{\"event\":\"b\",\"time\":\"then\",\"leaf\":\"oak\"}", "not json", "[1]", "{ }" };
	struct edge *e = *state;
	struct json_node *root;
	unsigned n = 0;

	for (size_t i = 0; i < N_OF(texts); i++)
		assert_int_equal(chain_audit(e->rig->chain, texts[i], strlen(texts[i])), 0);
	rig_commit(e->rig);
	assert_int_equal(edge_run(e, reader_log, no_args), 0);
	for (; edge_receive(e); n++) {
		assert_int_equal(json_parse((const char *)e->msg.data, e->msg.len, &root), 0);
		assert_non_null(json_get(root, "time"));
		assert_non_null(json_get(root, "leaf"));
		if (n == 2) {
			assert_string_equal(json_str(json_get(root, "time"), ""), "then");
			assert_string_equal(json_str(json_get(root, "leaf"), ""), "oak");
		}
		if (n == 3 || n == 4)
			assert_string_equal(json_str(json_get(root, "event"), ""), "unreadable");
		json_node_free(root);
	}
	assert_int_equal(n, N_OF(texts));
}

static void
test_verify_needs_a_key_and_says_no(void **state)
{
	static const char *const bad[][4] = { { NULL }, { "--key", NULL }, { "--key", "x", NULL },
		{ "--key", "name+00000000+AAAA", NULL } };
	struct edge *e = *state;
	uint8_t code;

	edge_open(e, no_args);
	for (size_t i = 0; i < N_OF(bad); i++) {
		e->rd.args = bad[i];
		assert_int_equal(reader_verify(&e->rd, &code), ERR_FORMAT);
	}
}

static void
test_verify_tells_of_every_session(void **state)
{
	struct edge *e = *state;
	char vkey[NOTE_VKEY_SIZE];
	const char *args[] = { "--key", vkey, NULL };
	uint8_t sid[2][REC_SID_LEN], key[REC_SID_LEN + 6];
	unsigned sessions = 0, findings = 0, results = 0;
	struct json_node *root;

	rig_closed(e->rig, 10, 100, sid[0]);
	rig_closed(e->rig, 10, 100, sid[1]);
	rig_close(e->rig);
	note_key_text(vkey, &e->rig->signer.key);
	memcpy(key, sid[1], REC_SID_LEN);
	memset(key + REC_SID_LEN, 0, 6);
	rig_flip(e->rig, STORE_BLK, key, sizeof(key), -1);
	assert_int_equal(edge_run(e, reader_verify, args), 1);
	while (edge_receive(e)) {
		const struct json_node *s;
		char hex[2 * REC_SID_LEN + 1];

		assert_int_equal(json_parse((const char *)e->msg.data, e->msg.len, &root), 0);
		findings += json_get(root, "finding") != NULL;
		results += json_get(root, "result") != NULL;
		if ((s = json_get(root, "session")) != NULL) {
			bool second = strcmp(json_str(json_get(s, "id"), ""),
					  str_hex(hex, sid[1], REC_SID_LEN)) == 0;

			assert_int_equal(json_bool(json_get(s, "ok"), second), !second);
			sessions++;
		}
		json_node_free(root);
	}
	assert_int_equal(sessions, 2);
	assert_true(findings >= 1);
	assert_int_equal(results, 1);
}

#define ON_EDGE(test) cmocka_unit_test_setup_teardown(test, edge_setup, edge_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EDGE(test_no_more_is_sent_than_is_taken),
		ON_EDGE(test_what_bastionctl_may_not_say_ends_the_reader),
		ON_EDGE(test_credit_does_not_wrap),
		ON_EDGE(test_a_descriptor_is_refused_and_closed),
		ON_EDGE(test_a_long_text_goes_in_parts),
		ON_EDGE(test_sessions_are_found_by_prefix_and_last),
		ON_EDGE(test_what_names_no_session_is_refused),
		ON_EDGE(test_an_empty_store_has_no_last_session),
		ON_EDGE(test_list_and_show_of_what_is_there),
		ON_EDGE(test_show_has_every_file),
		ON_EDGE(test_events_come_whole_and_again_after_a_seek),
		ON_EDGE(test_a_session_that_runs_is_watched_to_its_end),
		ON_EDGE(test_damage_ends_the_events_and_says_so),
		ON_EDGE(test_log_keeps_a_time_of_its_own_and_stays_json),
		ON_EDGE(test_verify_needs_a_key_and_says_no),
		ON_EDGE(test_verify_tells_of_every_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
