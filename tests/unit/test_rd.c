/* The client's side of a reader: parts put together, old events dropped, credit given, nonsense refused. */
#include "config.h"

#include <errno.h>

#include <fcntl.h>
#include <unistd.h>

#include "bastionctl/rd.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "tests/lib/test.h"

struct rig {
	struct rd *rd;
	int fd; /* the reader's end */
};

static int
rig_setup(void **state)
{
	static struct rig g;
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	g.fd = fds[1];
	assert_int_equal(ipc_plain_hello(g.fd), 0);
	assert_int_equal(rd_attach(fds[0], &g.rd), 0);
	*state = &g;
	return 0;
}

static int
rig_teardown(void **state)
{
	struct rig *g = *state;

	rd_close(g->rd);
	fd_close(&g->fd);
	return 0;
}

static void
rig_send(struct rig *g, uint16_t type, uint32_t id, const void *data, size_t len)
{
	assert_int_equal(ipc_plain_send(g->fd, type, id, data, len, NULL, 0), 0);
}

static void
rig_send_text(struct rig *g, uint16_t type, uint32_t id, const char *text)
{
	rig_send(g, type, id, text, strlen(text));
}

static void
rig_send_end(struct rig *g, uint32_t id, uint8_t code, const char *text)
{
	struct buf *b = buf_new(256);

	assert_non_null(b);
	assert_int_equal(buf_put_u8(b, code) | buf_put_cstr(b, text), 0);
	rig_send(g, RD_END, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

/* One event of one byte, number seq, a second after base_ns. */
static void
rig_send_event(struct rig *g, uint32_t id, uint64_t seq, uint64_t base_ns, char byte)
{
	struct event ev = { 0, 0, EVENT_BACK, LINK_DATA, 1, (const uint8_t *)&byte, 1 };
	struct buf *b = buf_new(256);

	assert_non_null(b);
	assert_int_equal(
	    buf_put_u64(b, seq) | buf_put_u64(b, base_ns) | event_put(b, 1000000000, &ev), 0);
	rig_send(g, RD_EVENTS, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

/* What the client sent: the next message that is not its hello. False: nothing. */
static bool
rig_receive(struct rig *g, struct ipc_msg *m)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];

	return ipc_plain_recv(g->fd, space, m, 0) == 0;
}

static void
test_a_json_text_in_parts_is_one(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;

	rig_send_text(g, RD_ITEM, 1, "{\"a\":");
	rig_send_text(g, RD_ITEM, 1, "[1,");
	rig_send_text(g, RD_ITEM, 0, "2]}");
	rig_send_text(g, RD_BEGIN, 0, "{\"b\":3}");
	assert_int_equal(rd_next(g->rd, &m), 0);
	assert_int_equal(m.type, RD_ITEM);
	assert_int_equal(json_n(json_get(m.json, "a")), 2);
	assert_int_equal(rd_next(g->rd, &m), 0);
	assert_int_equal(m.type, RD_BEGIN);
	assert_int_equal(json_u64(json_get(m.json, "b"), 0), 3);
}

static void
test_what_is_no_json_ends_it(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;

	rig_send_text(g, RD_ITEM, 0, "{\"a\":");
	assert_int_equal(rd_next(g->rd, &m), ERR_FORMAT);
}

static void
test_messages_of_other_types_end_it(void **state)
{
	static const uint16_t types[] = { RD_SEEK, RD_MORE, 99 };
	struct rig *g = *state;
	struct rd_msg m;

	for (size_t i = 0; i < N_OF(types); i++) {
		rig_send(g, types[i], 0, "\0\0\0\1\0\0\0\1", 8);
		assert_int_equal(rd_next(g->rd, &m), ERR_FORMAT);
	}
}

static void
test_a_descriptor_ends_it(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int before, after;

	assert_true(null_fd >= 0);
	assert_int_equal(ipc_plain_send(g->fd, RD_ITEM, 0, "{}", 2, &null_fd, 1), 0);
	before = dup(0);
	close(before);
	assert_int_equal(rd_next(g->rd, &m), ERR_FORMAT);
	after = dup(0);
	close(after);
	assert_int_equal(before, after); /* and is not kept */
	fd_close(&null_fd);
}

static void
test_events_of_before_a_seek_are_dropped(void **state)
{
	struct rig *g = *state;
	struct event ev;
	struct ipc_msg m;

	rig_send_event(g, 0, 1, 0, 'a');
	rig_send_event(g, 0, 2, 1, 'b');
	assert_int_equal(rd_next_event(g->rd, &ev), 0);
	assert_int_equal(ev.data[0], 'a');
	assert_int_equal(rd_seek(g->rd, 5, 7), 0);
	rig_send_end(g, 0, 0, "the old end");
	rig_send_event(g, 1, 1, 4, 'c');
	rig_send_end(g, 1, 0, "");
	assert_int_equal(rd_next_event(g->rd, &ev), 0);
	assert_int_equal(ev.data[0], 'c');
	assert_int_equal(ev.seq, 1);
	assert_int_equal(ev.at_ns, 1000000004);
	assert_int_equal(rd_next_event(g->rd, &ev), ERR_NOT_FOUND);
	assert_int_equal(rd_end(g->rd, ERR_NOT_FOUND), CMD_YES);
	assert_true(rig_receive(g, &m));
	assert_int_equal(m.type, RD_SEEK);
	assert_int_equal(m.id, 1);
	assert_int_equal(m.len, 12);
	assert_memory_equal(m.data, "\0\0\0\0\0\0\0\5\0\0\0\7", 12);
}

static void
test_a_picture_comes_in_parts_between_events(void **state)
{
	static const char part[] =
	    "\1\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\11\0\0\0\1\0\0\0\120\0\0\0\30pic";
	struct rig *g = *state;
	char last[sizeof(part)];
	struct event ev;
	struct rd_msg m;

	memcpy(last, part, sizeof(part));
	last[0] = 0;
	assert_int_equal(rd_next_step(g->rd, false, &ev, &m), -EAGAIN);
	assert_int_equal(rd_seek(g->rd, 5, 1), 0);
	rig_send(g, RD_SCREEN, 0, part, sizeof(part) - 1); /* of before the seek */
	rig_send(g, RD_SCREEN, 1, part, sizeof(part) - 1);
	rig_send(g, RD_SCREEN, 1, last, sizeof(last) - 1);
	rig_send_event(g, 1, 8, 4, 'c');
	assert_int_equal(rd_next_step(g->rd, false, &ev, &m), 0);
	assert_int_equal(m.type, RD_SCREEN);
	assert_int_equal(m.first_seq, 7);
	assert_int_equal(m.at_ns, 9);
	assert_int_equal(m.channel, 1);
	assert_int_equal(m.cols, 80);
	assert_int_equal(m.rows, 24);
	assert_int_equal(m.len, 6);
	assert_memory_equal(m.data, "picpic", 6);
	assert_int_equal(rd_next_step(g->rd, false, &ev, &m), 0);
	assert_int_equal(m.type, RD_EVENTS);
	assert_int_equal(ev.data[0], 'c');
	rig_send(g, RD_SCREEN, 1, part, 28);
	assert_int_equal(rd_next_step(g->rd, false, &ev, &m), ERR_FORMAT);
}

static void
test_events_that_are_cut_end_it(void **state)
{
	struct rig *g = *state;
	struct event ev;

	rig_send(g, RD_EVENTS, 0, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\1\1\2\5abc", 23);
	assert_int_equal(rd_next_event(g->rd, &ev), ERR_FORMAT);
	rig_send(g, RD_EVENTS, 0, "\0\0\0", 3);
	assert_int_equal(rd_next_event(g->rd, &ev), ERR_FORMAT);
}

static void
test_credit_is_given_back_as_it_is_used(void **state)
{
	struct rig *g = *state;
	struct rd_msg msg;
	struct ipc_msg m;
	uint32_t given = 0;

	for (unsigned i = 0; i < 100; i++) {
		rig_send_text(g, RD_ITEM, 0, "{}");
		assert_int_equal(rd_next(g->rd, &msg), 0);
		while (rig_receive(g, &m)) {
			assert_int_equal(m.type, RD_MORE);
			assert_int_equal(m.len, 4);
			given += m.data[3];
		}
		assert_true(given <= i + 1 && i + 1 - given < RD_WINDOW);
	}
}

static void
test_the_end_has_a_code_and_a_text(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;

	rig_send_end(g, 0, 1, "no such session");
	assert_int_equal(rd_next(g->rd, &m), ERR_NOT_FOUND);
	assert_int_equal(rd_end(g->rd, ERR_NOT_FOUND), CMD_NO);
}

static void
test_an_end_of_another_kind_ends_it_too(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;

	rig_send(g, RD_END, 0, "\7\0\0\0\0", 5);
	assert_int_equal(rd_next(g->rd, &m), ERR_FORMAT);
	rig_send(g, RD_END, 0, "\0\0\0\0\0x", 6);
	assert_int_equal(rd_next(g->rd, &m), ERR_FORMAT);
	rig_send(g, RD_END, 0, "", 0);
	assert_int_equal(rd_next(g->rd, &m), ERR_FORMAT);
	assert_int_equal(rd_end(g->rd, ERR_FORMAT), CMD_UNSURE);
}

static void
test_a_reader_that_is_gone_is_no_end(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;

	rig_send_text(g, RD_ITEM, 0, "{}");
	fd_close(&g->fd);
	assert_int_equal(rd_next(g->rd, &m), 0);
	assert_int_equal(rd_next(g->rd, &m), ERR_PEER_GONE);
	assert_int_equal(rd_end(g->rd, ERR_PEER_GONE), CMD_UNSURE);
}

/* It may have said all and ended before we say hello. */
static void
test_the_last_words_of_a_reader_are_heard(void **state)
{
	struct rig g = { NULL, -1 };
	struct rd_msg m;
	int fds[2];

	(void)state;
	assert_int_equal(ipc_pair(fds), 0);
	g.fd = fds[1];
	assert_int_equal(ipc_plain_hello(g.fd), 0);
	rig_send_text(&g, RD_ITEM, 0, "{}");
	rig_send_end(&g, 0, 0, "");
	fd_close(&g.fd);
	assert_int_equal(rd_attach(fds[0], &g.rd), 0);
	assert_int_equal(rd_next(g.rd, &m), 0);
	assert_int_equal(rd_next(g.rd, &m), ERR_NOT_FOUND);
	assert_int_equal(rd_end(g.rd, ERR_NOT_FOUND), CMD_YES);
	rd_close(g.rd);
}

static void
test_another_version_is_refused(void **state)
{
	struct rig *g = *state;
	struct rd_msg m;

	rig_send_text(g, IPC_HELLO, 0, "0.0.0 of long ago");
	assert_int_equal(rd_next(g->rd, &m), ERR_VERSION);
	assert_int_equal(rd_end(g->rd, ERR_VERSION), CMD_UNSURE);
}

#define ON_EDGE(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EDGE(test_a_json_text_in_parts_is_one),
		ON_EDGE(test_what_is_no_json_ends_it),
		ON_EDGE(test_messages_of_other_types_end_it),
		ON_EDGE(test_a_descriptor_ends_it),
		ON_EDGE(test_events_of_before_a_seek_are_dropped),
		ON_EDGE(test_a_picture_comes_in_parts_between_events),
		ON_EDGE(test_events_that_are_cut_end_it),
		ON_EDGE(test_credit_is_given_back_as_it_is_used),
		ON_EDGE(test_the_end_has_a_code_and_a_text),
		ON_EDGE(test_an_end_of_another_kind_ends_it_too),
		ON_EDGE(test_a_reader_that_is_gone_is_no_end),
		cmocka_unit_test(test_the_last_words_of_a_reader_are_heard),
		ON_EDGE(test_another_version_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
