/* Explanations as bastionctl and the bastion's shell give them: rights, what each is held to, what becomes of files. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#define HEAD                                                                                       \
	"users: {alice: {}, bob: {}}\n"                                                            \
	"hosts: {web1: {address: 10.0.0.1, key: fleet, host_keys: [\"ssh-ed25519 "                 \
	"AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}}\nrules:\n"
#define RULE(name, may)                                                                            \
	"  - {name: " name                                                                         \
	", who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [" may "]}\n"

/* "sftp[/srv] forward[db:80 !*:25] hash" */
static void
expect(const char *rules, const char *want)
{
	struct policy_question q = { .identity = "alice", .host = "web1", .at_ns = 1 };
	char file[4096], got[1024] = "";
	struct conf_err err = { "" };
	struct policy_answer a;
	struct policy *p = NULL;

	(void)snprintf(file, sizeof(file), HEAD "%s", rules);
	if (policy_parse("p", file, strlen(file), &p, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(policy_explain(p, &q, &a), 0);
	for (size_t i = 0; i < a.n_rights; i++) {
		const struct policy_right *r = &a.rights[i];
		bool limited = r->n_only + r->n_never > 0;

		strcat(strcat(got, r->name), limited ? "[" : " ");
		for (size_t k = 0; k < r->n_only; k++)
			strcat(strcat(got, k > 0 ? " " : ""), r->only[k]);
		for (size_t k = 0; k < r->n_never; k++)
			strcat(strcat(got, k + r->n_only > 0 ? " !" : "!"), r->never[k]);
		strcat(got, limited ? "] " : "");
		assert_false(r->more);
	}
	strcat(got, a.files != NULL ? a.files : "-");
	assert_string_equal(got, want);
	policy_answer_done(&a);
	policy_answer_done(&a);
	policy_free(p);
}

static void
test_rights(void **state)
{
	(void)state;
	expect(RULE("r", "shell"), "shell -");
	expect(RULE("r", "shell, exec, sftp, scp, rsync"), "shell exec sftp scp rsync hash");
	expect(RULE("r", "agent, x11, sftp-read"), "sftp-read agent x11 hash");
	expect(RULE("r", "sftp-write, x11"), "sftp-write x11 hash");
	expect(RULE("r", "{exec: [id, \"echo *\"]}"), "exec[id echo *] -");
	expect(RULE("r", "{sftp: [/srv/, /var]}, scp"), "sftp[/srv /var] scp hash");
	expect(RULE("r", "{sftp-read: [/srv]}, sftp-write, x11"),
	    "sftp-read[/srv] sftp-write x11 hash");
	expect(RULE("r", "{sftp-read: [/a]}, {sftp-write: [/b]}"),
	    "sftp-read[/a] sftp-write[/b] hash");
	expect(RULE("r", "{forward: [\"db:80\", \"unix:/x\"]}, {remote_forward: [8080]}"),
	    "forward[db:80 unix:/x] remote_forward[8080] -");
}

static void
test_several_rules(void **state)
{
	(void)state;
	expect(RULE("a", "{sftp-read: [/a]}") RULE("b", "{sftp: [/b]}"),
	    "sftp-read[/a /b] sftp-write[/b] hash");
	expect(RULE("a", "{sftp: [/a]}") RULE("b", "sftp"), "sftp hash");
	expect(RULE("a", "{forward: [\"*:*\"]}") "  - {name: n, deny: true, may: [{forward: "
						 "[\"*:25\"]}]}\n",
	    "forward[*:* !*:25] -");
	expect(RULE("a", "{exec: [id]}, sftp") "  - {name: n, deny: true, may: [sftp-write]}\n",
	    "exec[id] sftp-read hash");
	expect(RULE("a", "sftp") "  - {name: k, who: {users: [alice]}, where: {hosts: [web1]}, as: "
				 "[root], may: [scp], how: {files: keep}}\n",
	    "sftp scp keep");
	expect(RULE("a", "sftp") "  - {name: k, who: {users: [bob]}, where: {hosts: [web1]}, as: "
				 "[root], may: [sftp], how: {files: keep}}\n",
	    "sftp hash");
}

static void
test_nothing(void **state)
{
	(void)state;
	expect("  []\n", "-");
	expect(RULE("a", "sftp") "  - {name: n, deny: true}\n", "-");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_several_rules),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
