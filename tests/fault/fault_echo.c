/*
 * The echo machine when its sink fails at every point: that is its result, and whatever comes later, nothing that was typed
 * unseen is kept or shown, and what is decided is not in memory any more.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>

#include "lib/clock.h"
#include "recorder/echo.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

#define STEPS_MAX 16

struct step {
	char
	    what; /* k: key by key, i: at once, o: output, e: each key, and its echo, a: the shell asks (1) or not (0) */
	const char *text;
};

/* Only what is typed unseen has digits. */
static const struct conversation {
	const char *record; /* what is readable of what was typed, when nothing fails */
	struct step steps[STEPS_MAX];
} conversations[] = {
	{ "sudo id\rls\r",
	    { { 'o', "$ " }, { 'e', "sudo id" }, { 'i', "\r" },
		{ 'o', "\r\n[sudo] password for bob: " }, { 'k', "70917\r" },
		{ 'o', "\r\nSorry, try again.\r\n[sudo] password for bob: " }, { 'k', "81828\r" },
		{ 'o', "\r\nroot\r\n$ " }, { 'e', "ls" }, { 'i', "\r" }, { 'o', "\r\nx\r\n$ " } } },
	/* Typed ahead, all at once; and a question that is none of those known. */
	{ "su\rid\r", { { 'o', "$ " }, { 'i', "su\r70917\rid\r" }, { 'o', "su\r\nPassword: " },
			  { 'o', "\r\n# " }, { 'o', "id\r\nroot\r\n# " }, { 'k', "828\r" },
			  { 'o', "\r\n# " } } },
	/* Asterisks; the bastion's own shell. */
	{ "go\r", { { 'o', "Tell me: " }, { 'i', "7" }, { 'o', "*" }, { 'i', "0" }, { 'o', "*" },
		      { 'i', "\r" }, { 'o', "\r\n> " }, { 'a', "1" }, { 'k', "3141\r" },
		      { 'o', "\r\n> " }, { 'a', "0" }, { 'e', "go" }, { 'i', "\r" },
		      { 'o', "\r\n> " } } },
};

struct rig {
	struct echo *e;
	uint8_t memory[ECHO_MEMORY];
	char record[256];
	size_t n;
	uint64_t now_ns;
	bool failed;
};

/* What is recorded takes memory. */
static int
append(struct rig *g, const uint8_t *p, size_t n)
{
	void *memory = malloc(n + 1);

	if (memory == NULL)
		return -ENOMEM;
	free(memory);
	for (size_t i = 0; i < n; i++)
		if (isdigit(p[i]))
			fail_msg("in the record: %.*s", (int)n, (const char *)p);
	assert_true(g->n + n < sizeof(g->record));
	memcpy(g->record + g->n, p, n);
	g->n += n;
	g->record[g->n] = '\0';
	return 0;
}

static int
on_keep(void *arg, const uint8_t *p, size_t n)
{
	return append(arg, p, n);
}

static int
on_veil(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	(void)run;
	(void)p;
	assert_int_equal(n, 0);
	return append(arg, p, 0);
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	(void)run;
	assert_int_equal(n, all);
	return append(arg, p, n);
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	(void)run;
	(void)why;
	return append(arg, (const uint8_t *)"", 0);
}

static const struct echo_sink sink = { on_keep, on_veil, on_shown, on_hidden };

static void
look(struct rig *g, int r)
{
	assert_true(r == 0 || (r == -ENOMEM && !g->failed));
	g->failed = g->failed || r != 0;
	if (echo_is_idle(g->e))
		assert_true(sodium_is_zero(g->memory, sizeof(g->memory)));
}

static void
output(struct rig *g, const char *text, size_t n)
{
	size_t feedback;

	g->now_ns += 20 * CLOCK_NS_PER_MS;
	look(g, echo_output(g->e, g->now_ns, (const uint8_t *)text, n, &feedback));
	assert_true(feedback <= n);
}

static void
input(struct rig *g, const char *text, size_t n)
{
	g->now_ns += 100 * CLOCK_NS_PER_MS;
	echo_lend(g->e, g->memory);
	look(g, echo_input(g->e, g->now_ns, (const uint8_t *)text, n));
}

static void
take_step(struct rig *g, const struct step *s)
{
	size_t len = strlen(s->text);

	if (s->what == 'o')
		output(g, s->text, len);
	if (s->what == 'i')
		input(g, s->text, len);
	if (s->what == 'a')
		look(g, echo_ask(g->e, s->text[0] == '1'));
	for (size_t i = 0; (s->what == 'k' || s->what == 'e') && i < len; i++) {
		input(g, s->text + i, 1);
		if (s->what == 'e')
			output(g, s->text + i, 1);
	}
}

static int
run(void *arg)
{
	const struct conversation *c = arg;
	struct rig g = { .now_ns = CLOCK_NS_PER_S };

	if ((g.e = echo_new(&sink, &g, 80, 24)) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < STEPS_MAX && c->steps[i].what != 0; i++)
		take_step(&g, &c->steps[i]);
	look(&g, echo_end(g.e));
	assert_true(echo_is_idle(g.e));
	echo_free(g.e);
	if (!g.failed)
		assert_string_equal(g.record, c->record);
	return g.failed ? -ENOMEM : 0;
}

static void
test_nothing_unseen_is_kept_after_a_failure(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(conversations); i++) {
		struct conversation c = conversations[i];

		assert_true(fault_each(FAULT_MEMORY, run, &c) > 5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_unseen_is_kept_after_a_failure),
	};

	return cmocka_run_group_tests_name("fault_echo", tests, NULL, NULL);
}
