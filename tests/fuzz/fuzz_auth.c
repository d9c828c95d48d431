/*
 * What crosses the half of bastiond-auth that has the edges. Input: one byte (0 the stack asks, 1 the person answers, 2 the stack's
 * outcome), for an answer one byte how many prompts there were, the message. Whatever the stack sends, what goes on has the
 * form of auth_proto.h and policy_proto.h; only answers of that form go to it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/auth.h"
#include "bastiond/auth/stack.h"
#include "lib/file.h"
#include "policy/policy_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static uint8_t in[IPC_HEADER + IPC_MAX], message[IPC_MAX];
static char text[AUTH_TEXT_MAX + 1], again[AUTH_TEXT_MAX + 1];

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
on_gone(void *arg, int err)
{
	(void)arg;
	(void)err;
}

static void
on_timer(void *arg)
{
	(void)arg;
}

/* *ret_far: the other end. */
static struct ipc *
make_edge(int *ret_far)
{
	const struct ipc_conf conf = { .name = "fuzz", .gone = on_gone };
	struct ipc *edge;
	int pair[2];

	must(ipc_pair(pair) == 0 && ipc_new(loop, pair[0], &conf, &edge) == 0);
	*ret_far = pair[1];
	return edge;
}

/* The only message of this type that waits there; false: none does. Then b reads it. */
static bool
take(int fd, uint16_t type, struct buf **ret_b)
{
	struct ipc_msg msg;

	if (ipc_plain_recv(fd, in, &msg, 0) != 0)
		return false;
	must(msg.type == type);
	*ret_b = buf_view(msg.data, msg.len);
	must(*ret_b != NULL);
	return true;
}

/* A text, and that it is clean: cleaning leaves it as it is. Its length. */
static size_t
take_text(struct buf *b)
{
	size_t len;

	must(buf_get_cstr(b, text, sizeof(text)) == 0);
	len = strlen(text);
	must(auth_text(again, sizeof(again), text, len) == len && strcmp(again, text) == 0);
	return len;
}

static void
check_question(const struct auth *a, int far)
{
	struct buf *b;
	uint32_t n;
	uint8_t echo;
	size_t all;

	if (!take(far, AUTH_ASK, &b))
		return;
	must(a->asked && !a->told);
	all = take_text(b);
	must(buf_get_u32(b, &n) == 0 && n == a->n_prompts && n <= AUTH_PROMPTS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		all += take_text(b);
		must(buf_get_u8(b, &echo) == 0 && echo <= 1);
	}
	must(buf_end(b) == 0 && all <= AUTH_TEXT_MAX);
	buf_free(b);
}

static void
check_answer(const struct auth *a, int far)
{
	const uint8_t *p;
	struct buf *b;
	uint32_t n;
	size_t len;

	if (!take(far, STACK_ANSWER, &b))
		return;
	must(!a->asked && buf_get_u32(b, &n) == 0 && n == a->n_prompts);
	for (uint32_t i = 0; i < n; i++) {
		must(buf_get_str(b, &p, &len) == 0 && len <= AUTH_ANSWER_MAX);
		must(memchr(p, '\0', len) == NULL);
	}
	must(buf_end(b) == 0);
	buf_free(b);
}

static void
check_result(const struct auth *a, int far)
{
	const uint8_t *p;
	struct buf *b;
	uint8_t kind;
	uint32_t n;
	size_t len;

	if (!take(far, POL_PAM_RESULT, &b))
		return;
	must(a->told && buf_get_u8(b, &kind) == 0 && kind >= POL_PAM_OK &&
	     kind <= POL_PAM_ABANDONED);
	for (int i = 0; i < 3; i++)
		must(buf_get_str(b, &p, &len) == 0 && len <= STACK_NAME_MAX);
	must(buf_get_u32(b, &n) == 0 && n <= POL_PAM_GROUPS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		must(buf_get_str(b, &p, &len) == 0 && len > 0 && len <= 255);
		must(memchr(p, ',', len) == NULL);
	}
	must(buf_get_str(b, &p, &len) == 0 && len <= STACK_NAME_MAX && buf_end(b) == 0);
	must(!take(far, POL_PAM_RESULT, &b)); /* once */
	buf_free(b);
}

/* The message as the edge would give it: only of a length that its row allows. */
static int
hand_over(struct auth *a, uint8_t which, const uint8_t *data, size_t len)
{
	static const struct {
		int (*handle)(void *arg, struct ipc_msg *msg);
		size_t min, max;
	} rows[] = { { auth_on_ask, 4, IPC_MAX },
		{ auth_on_answer, 4, 4 + AUTH_PROMPTS_MAX * (4 + AUTH_ANSWER_MAX) },
		{ auth_on_result, 17, IPC_MAX } };
	struct ipc_msg msg = { .data = message, .len = len };

	if (len < rows[which].min || len > rows[which].max)
		return -1;
	memcpy(message, data, len);
	return rows[which].handle(a, &msg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth a = { .stage = STACK_AUTHENTICATES };
	int talk, policy, stack;
	bool answers;

	if (loop == NULL)
		must(loop_new(&loop) == 0);
	if (size < 2 || data[0] > 2)
		return 0;
	answers = data[0] == 1;
	a.loop = loop;
	must(loop_timer_new(loop, on_timer, NULL, &a.timer) == 0);
	a.talk = make_edge(&talk);
	a.policy = make_edge(&policy);
	a.stack = make_edge(&stack);
	a.asked = answers;
	a.n_prompts = answers ? data[1] % (AUTH_PROMPTS_MAX + 1) : 0;
	(void)hand_over(&a, data[0], data + 1 + answers, size - 1 - answers);
	check_question(&a, talk);
	check_answer(&a, stack);
	check_result(&a, policy);
	ipc_free(a.talk);
	ipc_free(a.policy);
	ipc_free(a.stack);
	fd_close(&talk);
	fd_close(&policy);
	fd_close(&stack);
	loop_timer_free(a.timer);
	return 0;
}
