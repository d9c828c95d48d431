/* policy.yaml, explanations and verdicts while memory runs out: whole or not at all, and nothing is left. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "policy/ask.h"
#include "policy/model.h"
#include "policy/policy.h"
#include "recorder/link_proto.h"
#include "tests/lib/test.h"

static const char text[] =
    "users: {alice: {groups: [sre]}}\n"
    "hosts: {web1: {address: 10.0.0.1, key: fleet, host_keys: [\"ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}}\n"
    "rules:\n"
    "  - {name: a, who: {groups: [sre]}, where: {hosts: [web1]}, as: [root], may: [shell, {exec: "
    "[id]}, {sftp-read: [/srv/, /srv/a]}, {sftp-write: [/in]}, {forward: [\"db:22\"]}, "
    "{remote_forward: [8080]}, agent]}\n"
    "  - {name: n, deny: true, may: [{forward: [\"*:25\"]}]}\n";

static int
load(void *arg)
{
	struct conf_err err = { "" };
	struct model *m = NULL;
	int r = model_load("p", text, sizeof(text) - 1, NULL, &m, &err);

	(void)arg;
	assert_true((r == 0) == (m != NULL));
	/* Short of memory is never a mistake in the file. */
	if (r != 0 && r != -ENOMEM)
		fail_msg("%s", err.text);
	model_free(m);
	return r;
}

static void
test_a_policy_is_loaded_whole_or_not(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, load, NULL) > 20);
}

static int
explain(void *arg)
{
	const struct policy_question q = { .identity = "alice", .host = "web1", .at_ns = 1 };
	struct policy_answer a;
	int r = policy_explain(arg, &q, &a);

	assert_true(r == 0 || r == -ENOMEM);
	assert_true(r != 0 || (a.allowed && a.n_rights == 7));
	if (r == 0)
		policy_answer_done(&a);
	return r;
}

static void
test_an_explanation(void **state)
{
	struct conf_err err = { "" };
	struct policy *p = NULL;

	(void)state;
	assert_int_equal(policy_parse("p", text, sizeof(text) - 1, &p, &err), 0);
	assert_true(fault_each(FAULT_MEMORY, explain, p) > 4);
	policy_free(p);
}

/* Frames one after another on one leg; what was allowed stays noted or is not. */
static int
judge(void *arg)
{
	static const struct {
		uint16_t type;
		bool from_back;
		const char *data;
		size_t len;
	} frames[] = {
#define FRAME(type, back, bytes) { (type), (back), (bytes), sizeof(bytes) - 1 }
		FRAME(LINK_REQUEST, false, "\0\0\0\1\0\0\0\11subsystem\1\0\0\0\4sftp"),
		FRAME(LINK_OPEN, false, "\0\0\0\14direct-tcpip\0\0\0\2db\0\0\0\26\0\0\0\0\0\0\0\0"),
		FRAME(LINK_GLOBAL, false,
		    "\0\0\0\1\0\0\0\15tcpip-forward\1\0\0\0\11localhost\0\0\37\220"),
		FRAME(LINK_OPEN, true,
		    "\0\0\0\17forwarded-tcpip\0\0\0\11localhost\0\0\37\220\0\0\0\0\0\0\0\0"),
	};
	struct leg leg = { .id = 1, .identity = "alice", .login = "root", .host = "web1" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct buf *replacement = buf_new(1024), *terms = buf_new(POL_TERMS_MAX);
		struct ask a = { .from_back = frames[i].from_back,
			.type = frames[i].type,
			.data = (const uint8_t *)frames[i].data,
			.len = frames[i].len,
			.now_ns = 1 };
		struct ask_verdict v;

		r = replacement != NULL && terms != NULL
			? ask_judge(&leg, arg, &a, replacement, terms, &v)
			: -ENOMEM;
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0 && v.verdict != POL_ALLOW)
			fail_msg("frame %zu: %s", i, v.text);
		if (r == 0 && i != 2)
			assert_true(buf_len(terms) > 0);
		buf_free(terms);
		buf_free(replacement);
	}
	listens_done(&leg.listens);
	return r;
}

static void
test_verdicts(void **state)
{
	char err[SET_ERR_SIZE] = "";
	struct set *s = set_new();

	(void)state;
	assert_non_null(s);
	assert_int_equal(
	    set_add_file(s, POL_FILE_POLICY, "p", text, sizeof(text) - 1, NULL, err), 0);
	assert_true(fault_each(FAULT_MEMORY, judge, s) > 10);
	set_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_policy_is_loaded_whole_or_not),
		cmocka_unit_test(test_an_explanation),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
