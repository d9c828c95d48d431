/* Exports and replays with no memory at every point, and a reader's edge whose calls fail. */
#include "config.h"

#include <errno.h>

#include "bastionctl/export.h"
#include "bastionctl/play.h"
#include "bastionctl/player.h"
#include "bastionctl/rd.h"
#include "fault.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "tests/lib/test.h"

static const struct event events[] = {
	{ 1, 10, EVENT_FRONT, LINK_REQUEST, 1, (const uint8_t *)"\0\0\0\1\0\0\0\5shell\1", 14 },
	{ 2, 20, EVENT_BACK, LINK_DATA, 1, (const uint8_t *)"a\033[31mb\r\n\303", 10 },
	{ 3, 30, EVENT_BACK, LINK_DATA_EXT, 1, (const uint8_t *)"\0\0\0\1err\377", 8 },
	{ 4, 40, EVENT_FRONT, LINK_DATA, 1, (const uint8_t *)"x\r", 2 },
	{ 5, 50, EVENT_BACK, LINK_EXIT_STATUS, 1, (const uint8_t *)"\0\0\0\3", 4 },
};
static const char session[] =
    "{\"id\":\"00\",\"channels\":[{\"n\":1,\"pty\":true,\"term\":\"xterm\"}]}";

static char script[] = "var a;", style[] = "a{}", licence[] = "text";

struct job {
	const char *format;
	char *golden; /* what comes out when nothing fails; owned */
};

static int
export_all(const struct job *job, FILE *out)
{
	static struct page_player player = { { script, style, licence }, { 6, 3, 4 } };
	static const struct export_page page = { &player, "verified", true };
	const struct export_format *format = export_find(job->format);
	struct export_view view = { .channel = 1, .page = format->page ? &page : NULL };
	struct json_node *root = NULL;
	struct export x;
	int r;

	if ((r = json_parse(session, strlen(session), &root)) != 0)
		return r;
	view.session = root;
	if ((r = export_begin(&x, format, out, &view)) != 0)
		goto out;
	for (size_t i = 0; r == 0 && i < N_OF(events); i++)
		r = export_event(&x, &events[i]);
	if (r == 0)
		r = export_end(&x);
	export_free(&x);
out:
	json_node_free(root);
	return r;
}

/* Whole, or an error: never a part for the whole. */
static int
run_export(void *arg)
{
	struct job *job = arg;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	assert_non_null(out);
	r = export_all(job, out);
	assert_int_equal(fclose(out), 0);
	if (job->golden == NULL)
		job->golden = text;
	else {
		if (r == 0)
			assert_string_equal(text, job->golden);
		free(text);
	}
	return r;
}

static void
test_every_export_is_whole_or_an_error(void **state)
{
	static const char *const formats[] = { "asciicast-v2", "asciicast-v3", "html", "json",
		"text", "raw" };

	(void)state;
	for (size_t i = 0; i < N_OF(formats); i++) {
		struct job job = { formats[i], NULL };

		assert_int_equal(run_export(&job), 0);
		assert_true(fault_each(FAULT_MEMORY, run_export, &job) >= 1);
		free(job.golden);
	}
}

static int
next_event(void *arg, struct event *ret_ev)
{
	size_t *at = arg;

	if (*at == N_OF(events))
		return ERR_NOT_FOUND;
	*ret_ev = events[(*at)++];
	return 0;
}

static int
emit(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

static bool
no_wait(void *arg, uint64_t ns)
{
	(void)arg;
	(void)ns;
	return true;
}

static int
run_play(void *arg)
{
	static const struct play_ops ops = { next_event, emit, no_wait };
	const struct play_conf conf = { .channel = 1, .speed = 1 };
	size_t at = 0;

	(void)arg;
	return play_run(&conf, &ops, &at);
}

static void
test_a_replay_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_play, NULL) >= 2);
}

/* A player whose keys are pressed one after the other. */
struct keys {
	size_t event, key;
	uint64_t now_ns;
};

static int
keys_next(void *arg, struct event *ret_ev, struct rd_msg *ret_msg)
{
	struct keys *k = arg;

	memset(ret_msg, 0, sizeof(*ret_msg));
	ret_msg->type = RD_EVENTS;
	return next_event(&k->event, ret_ev);
}

static int
keys_seek(void *arg, uint64_t at_ns, uint32_t channel)
{
	struct keys *k = arg;

	(void)at_ns;
	(void)channel;
	k->event = 0;
	return 0;
}

static int
keys_emit(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

static int
keys_wait(void *arg, uint64_t max_ns, bool for_events)
{
	static const int pressed[] = { '.', '/', 'a', '\r', 'm', 'l', 27, '?', 'x', PLAYER_KEY_HOME,
		PLAYER_KEY_RESIZED, PLAYER_KEY_END, 'c', 'q' };
	struct keys *k = arg;

	(void)max_ns;
	(void)for_events;
	k->now_ns += 1000000000;
	return pressed[k->key++ % N_OF(pressed)];
}

static void
keys_size(void *arg, uint32_t *ret_cols, uint32_t *ret_rows)
{
	(void)arg;
	*ret_cols = 40;
	*ret_rows = 6;
}

static uint64_t
keys_now(void *arg)
{
	const struct keys *k = arg;

	return k->now_ns;
}

static int
run_player(void *arg)
{
	static const struct player_ops ops = { keys_next, keys_seek, keys_emit, keys_wait,
		keys_size, keys_now, NULL };
	const struct player_conf conf = { .session = arg, .speed = 1 };
	struct player_end end;
	struct keys k = { 0, 0, 0 };

	return player_run(&conf, &ops, &k, &end);
}

static void
test_a_player_survives_every_failed_allocation(void **state)
{
	static const char text[] = "{\"duration_ns\":1000000000,\"files\":[],\"channels\":["
				   "{\"n\":1,\"pty\":true,\"cols\":20,\"rows\":4},{\"n\":2}]}";
	struct json_node *described;

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &described), 0);
	assert_true(fault_each(FAULT_MEMORY, run_player, described) >= 10);
	json_node_free(described);
}

/* A reader that said all it had to say. */
static int
reader_fd(void)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(ipc_plain_hello(fds[1]), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ipc_plain_send(fds[1], RD_ITEM, i < 4, "1", 1, NULL, 0), 0);
	assert_int_equal(ipc_plain_send(fds[1], RD_END, 0, "\0\0\0\0\0", 5, NULL, 0), 0);
	fd_close(&fds[1]);
	return fds[0];
}

static int
run_rd(void *arg)
{
	struct rd *rd = NULL;
	struct rd_msg m;
	int fd, r;

	(void)arg;
	fault_hold();
	fd = reader_fd();
	fault_go();
	r = rd_attach(fd, &rd);
	if (r != 0)
		fd_close(&fd);
	if (r == 0 && (r = rd_next(rd, &m)) == 0)
		r = rd_next(rd, &m) == ERR_NOT_FOUND ? rd_end(rd, ERR_NOT_FOUND) : -EIO;
	rd_close(rd);
	return r;
}

static void
test_an_answer_is_whole_or_an_error(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_rd, NULL) >= 4);
	assert_true(fault_each(FAULT_SOCKET, run_rd, NULL) >= 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_export_is_whole_or_an_error),
		cmocka_unit_test(test_a_replay_survives_every_failed_allocation),
		cmocka_unit_test(test_a_player_survives_every_failed_allocation),
		cmocka_unit_test(test_an_answer_is_whole_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
