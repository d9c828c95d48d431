/* Veiled bytes without memory at every point: none are kept open, none are left in memory, and it works again afterwards. */
#include "config.h"

#include <errno.h>
#include <sodium.h>

#include "lib/buf.h"
#include "lib/secret.h"
#include "recorder/veil.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

#define SLOTS 20u /* more than one piece of secret memory has */
#define SECRET "a secret of many letters"

static int
pool(void *arg)
{
	struct veil_pool *p = veil_pool_new();
	struct veil_slot *slots[SLOTS] = { NULL };
	int r = p == NULL ? -ENOMEM : 0;

	(void)arg;
	for (size_t i = 0; p != NULL && i < SLOTS; i++) {
		if ((slots[i] = veil_pool_get(p)) == NULL) {
			r = -ENOMEM;
			slots[i] = veil_pool_get(p);
		}
		assert_non_null(slots[i]);
		assert_true(sodium_is_zero((const uint8_t *)slots[i], sizeof(*slots[i])));
		memset(slots[i], 1, sizeof(*slots[i]));
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(slots[i], slots[k]);
	}
	for (size_t i = 0; p != NULL && i < SLOTS; i += 2) {
		veil_pool_put(p, slots[i]);
		assert_true(sodium_is_zero((const uint8_t *)slots[i], sizeof(*slots[i])));
	}
	veil_pool_free(p);
	return r;
}

static void
test_slots_are_had_again(void **state)
{
	(void)state;
	assert_int_equal(fault_each(FAULT_MEMORY, pool, NULL), 1 + 2 * 3);
}

/* Whatever could be put, the bytes are not to be read from it. */
static int
writing(void *arg)
{
	static const uint8_t key[VEIL_KEY_LEN] = { 7 };
	static uint8_t typed[LINK_DATA_MAX];
	struct buf *b;
	int r = 0, e;

	(void)arg;
	fault_hold();
	b = buf_new(EVENT_DATA_MAX);
	assert_non_null(b);
	memset(typed, 'x', sizeof(typed));
	memcpy(typed, SECRET, sizeof(SECRET) - 1);
	fault_go();
	for (size_t n = sizeof(SECRET) - 1; n < sizeof(typed); n *= 5) {
		while ((e = veil_put(b, key, 3, (uint32_t)n, typed, n)) != 0) {
			assert_int_equal(e, -ENOMEM);
			assert_null(memmem(buf_ptr(b), buf_len(b), SECRET, sizeof(SECRET) - 1));
			buf_reset(b);
			r = e;
		}
		assert_true(buf_len(b) > 8 + n);
		assert_null(memmem(buf_ptr(b), buf_len(b), SECRET, sizeof(SECRET) - 1));
		buf_reset(b);
	}
	fault_hold();
	buf_free(b);
	return r;
}

static void
test_what_cannot_be_veiled_is_not_put(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, writing, NULL) > 3);
}

/* Three runs: shown, hidden, shown. What was added in vain is added again. */
struct script {
	struct buf *payloads[6];
	size_t n;
	struct event events[6];
};

static void
add(struct script *s, uint8_t type, uint32_t run, const char *text)
{
	const uint8_t key[VEIL_KEY_LEN] = { (uint8_t)run };
	struct buf *b = buf_new(EVENT_DATA_MAX);

	assert_non_null(b);
	if (type == EVENT_VEIL)
		assert_int_equal(veil_put(b, key, run, 0, (const uint8_t *)text, strlen(text)), 0);
	if (type == EVENT_SHOWN)
		assert_int_equal(veil_put_shown(b, key, run, strlen(text)), 0);
	if (type == EVENT_HIDDEN)
		assert_int_equal(veil_put_hidden(b, run, VEIL_SILENT), 0);
	s->payloads[s->n] = b;
	s->events[s->n] = (struct event){ .seq = s->n + 1,
		.way = EVENT_FRONT,
		.type = type,
		.channel = 1,
		.data = buf_ptr(b),
		.len = buf_len(b) };
	s->n++;
}

static void
take(struct veil_reader *v, char *dst, size_t size)
{
	struct event ev;
	size_t n = strlen(dst);

	while (veil_reader_next(v, &ev) == 0) {
		if (ev.type != LINK_DATA)
			continue;
		assert_true(n + ev.len < size);
		memcpy(dst + n, ev.data, ev.len);
		n += ev.len;
		dst[n] = '\0';
	}
}

static int
reading(void *arg)
{
	const struct script *s = arg;
	struct veil_reader *v = veil_reader_new();
	char text[256] = "";
	int r = 0, e;

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		while ((e = veil_reader_add(v, &s->events[i])) != 0) {
			assert_int_equal(e, -ENOMEM);
			take(v, text, sizeof(text));
			r = e;
		}
		take(v, text, sizeof(text));
	}
	veil_reader_free(v);
	assert_string_equal(text, "one three");
	return r;
}

static void
test_what_was_shown_is_read_again(void **state)
{
	struct script s = { .n = 0 };

	(void)state;
	add(&s, EVENT_VEIL, 1, "one ");
	add(&s, EVENT_VEIL, 2, SECRET);
	add(&s, EVENT_VEIL, 3, "three");
	add(&s, EVENT_SHOWN, 1, "one ");
	add(&s, EVENT_HIDDEN, 2, "");
	add(&s, EVENT_SHOWN, 3, "three");
	assert_int_equal(fault_each(FAULT_MEMORY, reading, &s), 1 + 3);
	for (size_t i = 0; i < s.n; i++)
		buf_free(s.payloads[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_are_had_again),
		cmocka_unit_test(test_what_cannot_be_veiled_is_not_put),
		cmocka_unit_test(test_what_was_shown_is_read_again),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("fault_veil", tests, NULL, NULL);
}
