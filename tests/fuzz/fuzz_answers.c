/*
 * SSH_MSG_USERAUTH_INFO_RESPONSE as the front reads it. Input: one byte, how many prompts the question had, then what follows the
 * message's type. Whoever asked gets exactly so many answers, byte for byte, or none at all and the end of the conversation.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/auth_proto.h"
#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/file.h"

#define MESSAGE_MAX 35000u /* RFC 4253 section 6.1 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static uint8_t in[IPC_HEADER + IPC_MAX], message[1 + MESSAGE_MAX];

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

/* Our end. */
static int
start(struct front *f, uint8_t prompts)
{
	const struct ipc_conf conf = { .name = "fuzz", .gone = on_gone };
	int pair[2];

	*f = (struct front){ .loop = loop,
		.n_prompts = prompts % (AUTH_PROMPTS_MAX + 1),
		.owes_answers = true,
		.answers_wanted = true };
	must(ipc_pair(pair) == 0 && ipc_new(loop, pair[0], &conf, &f->talk) == 0);
	return pair[1];
}

/* What went on is what came: the wire's form and the edge's are the same. */
static void
check(const struct front *f, int far, const uint8_t *data, size_t size)
{
	struct ipc_msg msg;
	struct buf *b;
	const uint8_t *p;
	uint32_t n;
	size_t len;

	must(!f->owes_answers && !f->answers_wanted);
	if (f->talk == NULL) {
		must(ipc_plain_recv(far, in, &msg, 0) == ERR_PEER_GONE);
		return;
	}
	must(ipc_plain_recv(far, in, &msg, 0) == 0 && msg.type == AUTH_ANSWER);
	must(msg.len == size && memcmp(msg.data, data, size) == 0);
	must((b = buf_view(msg.data, msg.len)) != NULL);
	must(buf_get_u32(b, &n) == 0 && n == f->n_prompts && n <= AUTH_PROMPTS_MAX);
	for (uint32_t i = 0; i < n; i++)
		must(buf_get_str(b, &p, &len) == 0 && len <= AUTH_ANSWER_MAX);
	must(buf_end(b) == 0);
	buf_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct front f;
	int far;

	if (loop == NULL)
		must(loop_new(&loop) == 0);
	if (size < 1 || size - 1 > MESSAGE_MAX)
		return 0;
	far = start(&f, data[0]);
	message[0] = SSH_USERAUTH_INFO_RESPONSE;
	memcpy(message + 1, data + 1, size - 1);
	front_talk_answers(&f, message, size);
	check(&f, far, data + 1, size - 1);
	front_talk_end(&f);
	fd_close(&far);
	return 0;
}
