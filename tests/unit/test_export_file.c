/* The content of one file out of a recording: whole, in pieces, replaced, damaged, not there. */
#include "config.h"

#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/export_file.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/str.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/test.h"

struct rig {
	struct rd *rd;
	int fd; /* the reader's end */
	struct buf *events;
	FILE *out;
};

static int
setup(void **state)
{
	static struct rig g;
	int fds[2];

	assert_int_equal(hash_init(), 0);
	assert_int_equal(ipc_pair(fds), 0);
	g.fd = fds[1];
	assert_int_equal(ipc_plain_hello(g.fd), 0);
	assert_int_equal(rd_attach(fds[0], &g.rd), 0);
	assert_non_null(g.events = buf_new(65000));
	assert_int_equal(buf_put_u64(g.events, 1) | buf_put_u64(g.events, 0), 0);
	assert_non_null(g.out = tmpfile());
	*state = &g;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *g = *state;

	rd_close(g->rd);
	fd_close(&g->fd);
	buf_free(g->events);
	(void)fclose(g->out);
	return 0;
}

static void
put(struct rig *g, enum event_way way, uint8_t type, const void *data, size_t len)
{
	struct event ev = { .way = way, .type = type, .channel = 1, .data = data, .len = len };

	assert_int_equal(event_put(g->events, 1, &ev), 0);
}

/* Content that is kept, and as it stands between other data. */
static void
put_kept(struct rig *g, enum event_way way, uint32_t number, uint64_t offset, const char *text)
{
	struct buf *b = buf_new(64);

	assert_int_equal(buf_put_u32(b, number) | buf_put_u64(b, offset), 0);
	put(g, way, LINK_DATA, "head", 4);
	put(g, way, EVENT_KEPT, buf_ptr(b), buf_len(b));
	/* The other way's data is in between. */
	put(g, way == EVENT_FRONT ? EVENT_BACK : EVENT_FRONT, LINK_DATA, "other", 5);
	put(g, way, LINK_DATA, text, strlen(text));
	buf_free(b);
}

static void
put_replaced(struct rig *g, uint32_t number, uint32_t len)
{
	struct buf *b = buf_new(64);
	uint8_t hash[HASH_LEN] = { 0 };

	assert_int_equal(buf_put_u32(b, number) | buf_put_u64(b, 0) | buf_put_u32(b, len) |
			     buf_put(b, hash, sizeof(hash)),
	    0);
	put(g, EVENT_FRONT, EVENT_CONTENT, buf_ptr(b), buf_len(b));
	buf_free(b);
}

/* content: what the hash is of; NULL: none is told. */
static void
put_file(struct rig *g, uint32_t number, const char *content)
{
	struct buf *b = buf_new(4096);
	uint8_t hash[HASH_LEN];
	char hex[2 * HASH_LEN + 1], json[512];

	if (content != NULL)
		hash_sha256(content, strlen(content), hash);
	(void)snprintf(json, sizeof(json),
	    "{\"number\":%u,\"op\":\"put\",\"path\":\"/f\",\"status\":0%s%s%s}", number,
	    content != NULL ? ",\"sha256\":\"" : "",
	    content != NULL ? str_hex(hex, hash, sizeof(hash)) : "", content != NULL ? "\"" : "");
	assert_int_equal(buf_put_u32(b, number) | buf_put_cstr(b, json), 0);
	put(g, EVENT_TO_FRONT, EVENT_FILE, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static int export(struct rig *g, uint32_t number)
{
	assert_int_equal(
	    ipc_plain_send(g->fd, RD_EVENTS, 0, buf_ptr(g->events), buf_len(g->events), NULL, 0),
	    0);
	assert_int_equal(ipc_plain_send(g->fd, RD_END, 0, "\0\0\0\0\0", 5, NULL, 0), 0);
	return export_file(g->rd, number, g->out);
}

static void
check_out(struct rig *g, const void *want, size_t len)
{
	char got[256];

	assert_int_equal(fseek(g->out, 0, SEEK_SET), 0);
	assert_int_equal(fread(got, 1, sizeof(got), g->out), len);
	assert_memory_equal(got, want, len);
}

static void
test_kept_content_is_written_and_compared(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_FRONT, 4, 0, "not this");
	put_kept(g, EVENT_FRONT, 5, 0, "hello ");
	put_kept(g, EVENT_FRONT, 5, 6, "world");
	put_file(g, 4, "not this");
	put_file(g, 5, "hello world");
	assert_int_equal(export(g, 5), CMD_YES);
	check_out(g, "hello world", 11);
}

static void
test_what_left_the_target_likewise(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_BACK, 5, 0, "hello");
	put_file(g, 5, "hello");
	assert_int_equal(export(g, 5), CMD_YES);
	check_out(g, "hello", 5);
}

static void
test_an_empty_file_is_empty(void **state)
{
	struct rig *g = *state;

	put_file(g, 5, "");
	assert_int_equal(export(g, 5), CMD_YES);
	check_out(g, "", 0);
}

static void
test_pieces_lie_where_they_belong(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_FRONT, 5, 6, "world");
	put_kept(g, EVENT_FRONT, 5, 0, "he");
	put_file(g, 5, NULL);
	assert_int_equal(export(g, 5), CMD_YES);
	check_out(g, "he\0\0\0\0world", 11);
}

static void
test_another_hash_is_never_a_yes(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_FRONT, 5, 0, "hello");
	put_file(g, 5, "jello");
	assert_int_equal(export(g, 5), CMD_UNSURE);
}

static void
test_a_hash_of_content_out_of_order_is_no_yes(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_FRONT, 5, 2, "hello");
	put_file(g, 5, "hello");
	assert_int_equal(export(g, 5), CMD_UNSURE);
}

static void
test_replaced_content_is_a_no(void **state)
{
	struct rig *g = *state;

	put_replaced(g, 5, 1000);
	put_file(g, 5, "hello");
	assert_int_equal(export(g, 5), CMD_NO);
	check_out(g, "", 0);
}

static void
test_a_file_that_is_not_there_is_a_no(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_FRONT, 4, 0, "hello");
	put_file(g, 4, "hello");
	assert_int_equal(export(g, 5), CMD_NO);
	check_out(g, "", 0);
}

static void
test_a_file_without_its_end_is_unsure(void **state)
{
	struct rig *g = *state;

	put_kept(g, EVENT_FRONT, 5, 0, "hello");
	assert_int_equal(export(g, 5), CMD_UNSURE);
	check_out(g, "hello", 5);
}

static void
test_pieces_do_not_fit_a_pipe(void **state)
{
	struct rig *g = *state;
	FILE *file = g->out;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_non_null(g->out = fdopen(fds[1], "w"));
	put_kept(g, EVENT_FRONT, 5, 6, "world");
	put_file(g, 5, NULL);
	assert_int_equal(export(g, 5), CMD_UNSURE);
	(void)fclose(g->out);
	close(fds[0]);
	g->out = file;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_kept_content_is_written_and_compared),
		T(test_what_left_the_target_likewise),
		T(test_an_empty_file_is_empty),
		T(test_pieces_lie_where_they_belong),
		T(test_another_hash_is_never_a_yes),
		T(test_a_hash_of_content_out_of_order_is_no_yes),
		T(test_replaced_content_is_a_no),
		T(test_a_file_that_is_not_there_is_a_no),
		T(test_a_file_without_its_end_is_unsure),
		T(test_pieces_do_not_fit_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
