/* Veiled runs: what a reader gets of them, and when nothing. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/secret.h"
#include "recorder/veil.h"

static const uint8_t key1[VEIL_KEY_LEN] = { 1, 2, 3 }, key2[VEIL_KEY_LEN] = { 4 };

struct rig {
	struct veil_reader *v;
	struct buf *b;
	uint64_t seq;
};

static int
set_up(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->v = veil_reader_new();
	g->b = buf_new(EVENT_DATA_MAX);
	assert_true(g->v != NULL && g->b != NULL);
	*state = g;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *g = *state;

	veil_reader_free(g->v);
	buf_free(g->b);
	free(g);
	return 0;
}

static void
add(struct rig *g, uint8_t type, uint32_t channel)
{
	const struct event ev = { .seq = ++g->seq,
		.at_ns = g->seq * 10,
		.way = EVENT_FRONT,
		.type = type,
		.channel = channel,
		.data = buf_ptr(g->b),
		.len = buf_len(g->b) };

	assert_int_equal(veil_reader_add(g->v, &ev), 0);
}

static void
add_veil(struct rig *g, uint32_t channel, uint32_t run, uint32_t piece, const uint8_t *key,
    const char *text)
{
	buf_reset(g->b);
	assert_int_equal(veil_put(g->b, key, run, piece, (const uint8_t *)text, strlen(text)), 0);
	add(g, EVENT_VEIL, channel);
}

static void
add_shown(struct rig *g, uint32_t channel, uint32_t run, const uint8_t *key)
{
	buf_reset(g->b);
	assert_int_equal(veil_put_shown(g->b, key, run, 3), 0);
	assert_int_equal(buf_len(g->b), 4 + VEIL_KEY_LEN + 4);
	add(g, EVENT_SHOWN, channel);
}

static void
add_hidden(struct rig *g, uint32_t channel, uint32_t run)
{
	buf_reset(g->b);
	assert_int_equal(veil_put_hidden(g->b, run, VEIL_SILENT), 0);
	add(g, EVENT_HIDDEN, channel);
}

static void
want_data(struct rig *g, uint32_t channel, const char *text)
{
	struct event ev;

	assert_int_equal(veil_reader_next(g->v, &ev), 0);
	assert_int_equal(ev.type, LINK_DATA);
	assert_int_equal(ev.way, EVENT_FRONT);
	assert_int_equal(ev.channel, channel);
	assert_int_equal(ev.seq, g->seq);
	assert_int_equal(ev.at_ns, g->seq * 10);
	assert_int_equal(ev.len, strlen(text));
	assert_memory_equal(ev.data, text, ev.len);
}

static void
want_nothing(struct rig *g)
{
	struct event ev;

	assert_int_equal(veil_reader_next(g->v, &ev), ERR_NOT_FOUND);
}

static void
want_plain(struct rig *g, uint8_t type)
{
	struct event ev;

	assert_int_equal(veil_reader_next(g->v, &ev), 0);
	assert_int_equal(ev.type, type);
	assert_int_equal(ev.seq, g->seq);
}

static void
test_a_shown_run_reads_as_data(void **state)
{
	struct rig *g = *state;

	add_veil(g, 1, 7, 0, key1, "ab");
	want_nothing(g);
	add_veil(g, 1, 7, 1, key1, "c");
	want_nothing(g);
	add_shown(g, 1, 7, key1);
	want_data(g, 1, "ab");
	want_data(g, 1, "c");
	want_nothing(g);
	/* Once. */
	add_shown(g, 1, 7, key1);
	want_nothing(g);
}

static void
test_a_hidden_run_stays_closed(void **state)
{
	struct rig *g = *state;

	add_veil(g, 1, 1, 0, key1, "a");
	add_veil(g, 1, 2, 0, key1, "b");
	add_veil(g, 1, 3, 0, key2, "c");
	add_hidden(g, 1, 2);
	want_plain(g, EVENT_HIDDEN);
	want_nothing(g);
	add_shown(g, 1, 1, key1);
	want_nothing(g);
	add_shown(g, 1, 3, key2);
	want_data(g, 1, "c");
	want_nothing(g);
}

static void
test_channels_are_apart(void **state)
{
	struct rig *g = *state;

	add_veil(g, 1, 1, 0, key1, "one");
	add_veil(g, 2, 1, 0, key2, "two");
	add_hidden(g, 1, 1);
	want_plain(g, EVENT_HIDDEN);
	add_shown(g, 2, 1, key2);
	want_data(g, 2, "two");
	want_nothing(g);
}

/* That something was typed is an event like others. */
static void
test_a_mark_goes_by(void **state)
{
	struct rig *g = *state;

	buf_reset(g->b);
	add(g, EVENT_VEIL, 1);
	want_plain(g, EVENT_VEIL);
	want_nothing(g);
	add_shown(g, 1, 1, key1);
	want_nothing(g);
}

/* What another key makes of it is no piece, or no text of it. */
static void
test_another_key_opens_nothing(void **state)
{
	struct rig *g = *state;
	struct event ev;

	add_veil(g, 1, 1, 0, key1, "hunter2");
	add_shown(g, 1, 1, key2);
	while (veil_reader_next(g->v, &ev) == 0)
		assert_null(memmem(ev.data, ev.len, "hunter2", 7));
}

static void
test_length_does_not_show(void **state)
{
	struct rig *g = *state;
	size_t len;

	add_veil(g, 1, 1, 0, key1, "a");
	len = buf_len(g->b);
	add_veil(g, 1, 2, 0, key1, "a much longer secret, really");
	assert_int_equal(buf_len(g->b), len);
	assert_null(memmem(buf_ptr(g->b), buf_len(g->b), "secret", 6));
}

static void
test_a_seek_forgets(void **state)
{
	struct rig *g = *state;

	add_veil(g, 1, 1, 0, key1, "a");
	veil_reader_reset(g->v);
	add_shown(g, 1, 1, key1);
	want_nothing(g);
}

/* What is no event of ours goes by: cut at every byte. */
static void
test_cut_events_open_nothing(void **state)
{
	struct rig *g = *state;
	uint8_t whole[64];
	size_t len;

	add_veil(g, 1, 1, 0, key1, "a");
	buf_reset(g->b);
	assert_int_equal(veil_put_shown(g->b, key1, 1, 1), 0);
	len = buf_len(g->b) - 4;
	memcpy(whole, buf_ptr(g->b), len);
	for (size_t n = 0; n < len; n++) {
		buf_reset(g->b);
		assert_int_equal(buf_put(g->b, whole, n), 0);
		add(g, EVENT_SHOWN, 1);
		want_plain(g, EVENT_SHOWN);
		want_nothing(g);
	}
}

static void
test_slots_come_back_empty(void **state)
{
	struct veil_pool *pool = veil_pool_new();
	struct veil_slot *slots[40];

	(void)state;
	assert_non_null(pool);
	assert_int_equal(secret_init(), 0);
	for (size_t i = 0; i < 40; i++) {
		slots[i] = veil_pool_get(pool);
		assert_non_null(slots[i]);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(slots[i], slots[k]);
		memset(slots[i], 0x5a, sizeof(*slots[i]));
	}
	veil_pool_put(pool, slots[3]);
	slots[3] = veil_pool_get(pool);
	for (size_t i = 0; i < sizeof(*slots[3]); i++)
		assert_int_equal(((uint8_t *)slots[3])[i], 0);
	veil_pool_put(pool, NULL);
	veil_pool_free(pool);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_shown_run_reads_as_data),
		T(test_a_hidden_run_stays_closed),
		T(test_channels_are_apart),
		T(test_a_mark_goes_by),
		T(test_another_key_opens_nothing),
		T(test_length_does_not_show),
		T(test_a_seek_forgets),
		T(test_cut_events_open_nothing),
		cmocka_unit_test(test_slots_come_back_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
