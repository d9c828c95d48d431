/* Masks without memory at every point: it is said, nothing was taken, and what is given again is masked as if nothing had been. */
#include "config.h"

#include <errno.h>

#include "lib/buf.h"
#include "recorder/mask.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

#define TEXT_MAX 65536u
#define PIECES 3
#define OWN "{\"own\":\"tok-[0-9]{4}\"}"

/* Put together, so that no scanner of repositories takes them for real ones. */
#define A10 "abcDEF1234"
#define A40 A10 A10 A10 A10
#define KEY_BEGIN                                                                                  \
	"-----BEGIN OPENSSH "                                                                      \
	"PRIVATE KEY-----"
#define LINES A40 "\n" A40 "\n" A40 "\n" A40 "\n" A40 "\n" A40 "\n" A40 "\n" A40 "\n"
#define P1 "password=hunter2 tok-0815\n"
#define P5 P1 P1 P1 P1 P1
#define MASKED1 "password=[masked assignment] [masked own]\n"
#define MASKED5 MASKED1 MASKED1 MASKED1 MASKED1 MASKED1

/* Each piece is the end of what comes for a while: nothing of it is held back. */
static const struct stream {
	const char *pieces[PIECES], *record;
} streams[] = {
	{ { "a glp", "at-" A10 A10 " b", "" }, "a glp[masked gitlab-token] b" },
	{ { P5 P5 P5, P5, "x" }, MASKED5 MASKED5 MASKED5 MASKED5 "x" },
	/* The key began further back than is remembered of what is no match. */
	{ { KEY_BEGIN "\n" LINES LINES, LINES "-----END OPENSSH\n" P5 P5 P5 P5, LINES }, KEY_BEGIN
	    "[masked private-key]-----END OPENSSH\n" MASKED5 MASKED5 MASKED5 MASKED5 LINES },
};

struct world {
	const struct stream *stream;
	struct mask_set *set;
	struct buf *record, *piece, *raw;
	bool failed; /* once; no fault is left then */
};

static bool
again(struct world *w, int r)
{
	assert_true(r == 0 || (r == -ENOMEM && !w->failed));
	w->failed = w->failed || r != 0;
	return r != 0;
}

/* What a caller does with a piece, whose buffer starts anew when it could not. */
static int
put_piece(struct world *w, const struct mask_piece *piece)
{
	int r;

	buf_reset(w->piece);
	if ((r = mask_put_mark(w->piece, w->set, piece)) != 0)
		return r;
	buf_reset(w->piece);
	return mask_put(w->piece, w->set, piece);
}

static void
feed(struct world *w, struct mask_stream *s, const char *text, bool all)
{
	struct mask_piece piece = { .len = 0 };
	size_t held = mask_held(s);
	const uint8_t *p = (const uint8_t *)text;

	while (again(w, mask_feed(s, p, strlen(text), all, &piece)))
		assert_int_equal(mask_held(s), held);
	while (again(w, put_piece(w, &piece)))
		;
	fault_hold();
	assert_int_equal(buf_put(w->raw, piece.data, piece.len), 0);
	assert_int_equal(buf_put(w->record, buf_ptr(w->piece), buf_len(w->piece)), 0);
	fault_go();
}

static void
check(const struct world *w)
{
	size_t at = 0, len;

	for (size_t i = 0; i < PIECES; i++, at += len) {
		len = strlen(w->stream->pieces[i]);
		assert_true(at + len <= buf_len(w->raw));
		assert_memory_equal(buf_ptr(w->raw) + at, w->stream->pieces[i], len);
	}
	assert_int_equal(at, buf_len(w->raw));
	if (buf_len(w->record) != strlen(w->stream->record) ||
	    memcmp(buf_ptr(w->record), w->stream->record, buf_len(w->record)) != 0)
		fail_msg("the record is: %.*s", (int)buf_len(w->record),
		    (const char *)buf_ptr(w->record));
}

static int
run(void *arg)
{
	struct world w = { .stream = arg };
	struct mask_stream *s;

	fault_hold();
	w.record = buf_new(TEXT_MAX);
	w.piece = buf_new(TEXT_MAX);
	w.raw = buf_new(TEXT_MAX);
	assert_true(w.record != NULL && w.piece != NULL && w.raw != NULL);
	fault_go();
	while (again(&w, mask_set_new("defaults,own", OWN, &w.set)))
		assert_null(w.set);
	while (again(&w, (s = mask_stream_new(w.set)) == NULL ? -ENOMEM : 0))
		;
	for (size_t i = 0; i < PIECES; i++)
		feed(&w, s, w.stream->pieces[i], true);
	fault_hold();
	check(&w);
	mask_stream_free(s);
	mask_set_free(w.set);
	buf_free(w.record);
	buf_free(w.piece);
	buf_free(w.raw);
	return w.failed ? -ENOMEM : 0;
}

static void
test_what_is_given_again_is_masked_as_ever(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(streams); i++) {
		struct stream s = streams[i];

		assert_true(fault_each(FAULT_MEMORY, run, &s) > 15);
	}
}

static int
prepare(void *arg)
{
	struct mask_set *set = NULL;
	int r = mask_prepare();

	(void)arg;
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	/* With what there is of the shared rules, and again. */
	assert_int_equal(mask_set_new("defaults", "", &set), 0);
	assert_string_equal(mask_rule_name(set, 0), "private-key");
	mask_set_free(set);
	assert_int_equal(mask_prepare(), 0);
	mask_done();
	return r;
}

static void
test_rules_are_prepared_again(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, prepare, NULL) > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_given_again_is_masked_as_ever),
		cmocka_unit_test(test_rules_are_prepared_again),
	};

	return cmocka_run_group_tests_name("fault_mask", tests, NULL, NULL);
}
