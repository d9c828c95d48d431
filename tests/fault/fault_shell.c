/*
 * The bastion's own shell with memory failing at every point: it goes on, or it ends its leg in order; it never waits for an answer that
 * nobody will give, and leaks nothing (the sanitizers look).
 */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/shell/shell.h"
#include "bastiond/shell/text.h"
#include "fault.h"
#include "lib/file.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/test.h"

static int
close_nothing(void)
{
	return 0;
}

struct peers {
	struct shell sh;
	int broker, front, policy, host;
};

static int
join_pair(int *ret_other)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	assert_int_equal(ipc_plain_hello(pair[0]), 0);
	*ret_other = pair[1];
	return pair[0];
}

/* A peer that is gone hears nothing. */
static void
say(struct peers *p, int fd, uint16_t type, uint32_t id, const void *data, size_t len, int *give)
{
	fault_hold();
	(void)!ipc_plain_send(fd, type, id, data, len, give, give != NULL ? 1 : 0);
	fault_go();
	for (int i = 0; i < 4; i++)
		(void)!loop_pass(p->sh.loop, 0);
}

#define SAY(p, fd, type, id, text) say(p, fd, type, id, text, sizeof(text) - 1, NULL)

static void
answer(struct peers *p, const char *text)
{
	struct buf *b;

	fault_hold();
	b = buf_new(4096);
	assert_int_equal(buf_put_u8(b, 0), 0);
	assert_int_equal(buf_put_cstr(b, text), 0);
	say(p, p->policy, POL_SHELL_ANSWER, 0, buf_ptr(b), buf_len(b), NULL);
	fault_hold();
	buf_free(b);
	fault_go();
}

/* Commands, the picker, a host's session. */
static void
live(struct peers *p)
{
	int theirs;

	SAY(p, p->broker, BRK_SHELL_START, 1, "\0\0\0\0");
	SAY(p, p->front, LINK_OPEN, 1, "\0\0\0\7session");
	SAY(p, p->front, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\4exec\1\0\0\0\5hosts");
	answer(p, "[{\"host\":\"web1\",\"logins\":[{\"login\":\"root\",\"rights\":[\"shell\"]}]}]");
	SAY(p, p->front, LINK_CLOSE, 1, "");
	SAY(p, p->front, LINK_OPEN, 2, "\0\0\0\7session");
	SAY(p, p->front, LINK_REQUEST, 2, "\0\0\0\1\0\0\0\4exec\1\0\0\0\10sessions");
	SAY(p, p->broker, BRK_SHELL_NO_EDGE, 0, "\0\0\0\1x");
	SAY(p, p->front, LINK_OPEN, 3, "\0\0\0\7session");
	SAY(p, p->front, LINK_REQUEST, 3,
	    "\0\0\0\1\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\120\0\0\0\30\0\0\0\0\0\0\0\0\0\0\0\0");
	SAY(p, p->front, LINK_REQUEST, 3, "\0\0\0\2\0\0\0\3env\0\0\0\0\4LANG\0\0\0\1C");
	SAY(p, p->front, LINK_REQUEST, 3, "\0\0\0\3\0\0\0\5shell\1");
	answer(p, "{\"identity\":\"alice\"}");
	answer(p, "[{\"host\":\"web1\",\"logins\":[{\"login\":\"root\"}]}]");
	SAY(p, p->front, LINK_DATA, 3, "we\rls\n");
	SAY(p, p->policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	fault_hold();
	p->host = join_pair(&theirs);
	say(p, p->broker, BRK_SHELL_LINK, 2, NULL, 0, &theirs);
	close(theirs);
	SAY(p, p->host, LINK_DATA, 1, "out");
	SAY(p, p->front, LINK_REQUEST, 3, "\0\0\0\4\0\0\0\6signal\1\0\0\0\3INT");
	SAY(p, p->host, LINK_EXIT_STATUS, 1, "\0\0\0\0");
	SAY(p, p->host, LINK_CLOSE, 1, "");
	/* Back in the picker, if there was no leg. */
	SAY(p, p->front, LINK_DATA, 3, "\3");
}

static int
run(void *arg)
{
	struct peers p = { .host = -1 };
	const struct shell_chan *c;
	int theirs[3], r;
	bool ended;

	(void)arg;
	fault_hold();
	p.broker = join_pair(&theirs[0]);
	p.front = join_pair(&theirs[1]);
	p.policy = join_pair(&theirs[2]);
	fault_go();
	r = shell_init(
	    &p.sh, &(struct shell_fds){ theirs[0], theirs[1], theirs[2] }, close_nothing);
	if (r == 0) {
		live(&p);
		ended = p.sh.ended;
		/* Every channel came to an end, or the shell did. */
		LIST_FOREACH (c, &p.sh.chans, link)
			assert_true(c->closed);
		r = ended ? -ENOMEM : 0;
	} else {
		theirs[0] = p.sh.broker == NULL ? theirs[0] : -1;
		fd_close(&theirs[0]);
	}
	shell_done(&p.sh);
	fault_hold();
	fd_close(&p.broker);
	fd_close(&p.front);
	fd_close(&p.policy);
	fd_close(&p.host);
	fault_go();
	return r;
}

static void
test_it_survives_or_ends(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, NULL) > 60);
}

static int
show(void *arg)
{
	static const char text[] = "[{\"id\":\"0123456789\",\"host\":\"web1\",\"login\":\"root\"}]";
	struct buf *out = buf_new(TEXT_MAX);
	struct json_node *root = NULL;
	int r = -ENOMEM;

	(void)arg;
	if (out != NULL && (r = json_parse(text, sizeof(text) - 1, &root)) == 0)
		r = text_put(COMMAND_SESSIONS, root, out);
	json_node_free(root);
	buf_free(out);
	return r;
}

static void
test_a_table_survives_each_failure(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, show, NULL) >= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_survives_or_ends),
		cmocka_unit_test(test_a_table_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
