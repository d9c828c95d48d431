/* Questions of the stack on their way to the person, and answers back. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastiond/auth/auth.h"
#include "bastiond/auth/stack.h"
#include "lib/log.h"
#include "policy/policy_proto.h"

#define PROMPT_FEW 4u	  /* so many prompts may be long */
#define PROMPT_LONG 1024u /* bytes of a prompt, cleaned */
#define PROMPT_SHORT                                                                               \
	256u /* likewise where there are more; AUTH_PROMPTS_MAX of them leave room for texts */

/* A question as it is put together. */
struct ask {
	char prompt[AUTH_PROMPTS_MAX][PROMPT_LONG + 1];
	bool echo[AUTH_PROMPTS_MAX];
	uint32_t n_prompts;
	size_t prompts_len;
	char texts[STACK_TEXTS_MAX + 64]; /* those without an answer, a line each, as they came */
	size_t texts_len;
};

static int
ask_add(struct ask *q, uint8_t style, const uint8_t *text, size_t len)
{
	if (style < STACK_HIDDEN || style > STACK_INFO)
		return ERR_FORMAT;
	if (style == STACK_HIDDEN || style == STACK_ECHOED) {
		if (q->n_prompts >= AUTH_PROMPTS_MAX)
			return ERR_LIMIT;
		q->echo[q->n_prompts] = style == STACK_ECHOED;
		q->prompts_len += auth_text(q->prompt[q->n_prompts++], PROMPT_LONG + 1, text, len);
		return 0;
	}
	if (len + 1 > sizeof(q->texts) - q->texts_len)
		return ERR_LIMIT;
	if (q->texts_len > 0 && q->texts[q->texts_len - 1] != '\n')
		q->texts[q->texts_len++] = '\n';
	memcpy(q->texts + q->texts_len, text, len);
	q->texts_len += len;
	return 0;
}

/* Many prompts are short ones, so that all of them and some text have room. */
static void
ask_shorten(struct ask *q)
{
	char text[PROMPT_SHORT + 1];

	if (q->n_prompts <= PROMPT_FEW)
		return;
	q->prompts_len = 0;
	for (uint32_t i = 0; i < q->n_prompts; i++) {
		size_t len = auth_text(text, sizeof(text), q->prompt[i], strlen(q->prompt[i]));

		memcpy(q->prompt[i], text, len + 1);
		q->prompts_len += len;
	}
}

static int
ask_parse(struct ask *q, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t n = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = buf_get_u32(b, &n);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const uint8_t *text;
		uint8_t style;
		size_t len;

		if ((r = buf_get_u8(b, &style)) == 0 && (r = buf_get_str(b, &text, &len)) == 0)
			r = ask_add(q, style, text, len);
	}
	if (r == 0)
		r = buf_end(b);
	buf_free(b);
	return r;
}

static int
ask_send(struct auth *a, const struct ask *q)
{
	static char text[AUTH_TEXT_MAX + 1];
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	(void)auth_text(text, sizeof(text) - q->prompts_len, q->texts, q->texts_len);
	if ((r = buf_put_cstr(b, text)) == 0)
		r = buf_put_u32(b, q->n_prompts);
	for (uint32_t i = 0; r == 0 && i < q->n_prompts; i++)
		if ((r = buf_put_cstr(b, q->prompt[i])) == 0)
			r = buf_put_u8(b, q->echo[i] ? 1 : 0);
	if (r == 0)
		r = ipc_send_buf(a->talk, AUTH_ASK, 0, b);
	buf_free(b);
	return r;
}

int
auth_on_ask(void *arg, struct ipc_msg *msg)
{
	static struct ask q;
	struct auth *a = arg;
	int r;

	if (a->asked || a->told)
		return ERR_ORDER;
	memset(&q, 0, sizeof(q));
	if ((r = ask_parse(&q, msg)) != 0)
		return r;
	ask_shorten(&q);
	if (++a->n_rounds > AUTH_ROUNDS_MAX) {
		auth_finish(a, POL_PAM_ABANDONED, "too many questions");
		return 0;
	}
	a->asked = true;
	a->n_prompts = q.n_prompts;
	if (a->talk == NULL || ask_send(a, &q) != 0)
		auth_finish(a, POL_PAM_ABANDONED, "the person left");
	return 0;
}

/* u32 n, n strings of at most AUTH_ANSWER_MAX bytes, none with a NUL: nothing else goes to a module. */
static int
answer_check(const struct auth *a, const struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t n = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u32(b, &n)) == 0 && n != a->n_prompts)
		r = ERR_FORMAT;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const uint8_t *p;
		size_t len;

		if ((r = buf_get_str(b, &p, &len)) == 0 &&
		    (len > AUTH_ANSWER_MAX || memchr(p, '\0', len) != NULL))
			r = ERR_FORMAT;
	}
	if (r == 0)
		r = buf_end(b);
	buf_free(b);
	return r;
}

int
auth_on_answer(void *arg, struct ipc_msg *msg)
{
	struct auth *a = arg;
	int r = ERR_ORDER;

	if (a->asked && (r = answer_check(a, msg)) == 0) {
		a->asked = false;
		/* It waits for this, so nothing of it stays here in a queue. One that has ended says so itself. */
		if (a->stack != NULL &&
		    ipc_send(a->stack, STACK_ANSWER, 0, msg->data, msg->len) != 0)
			log_debug("auth.answer_unheard");
	}
	ipc_msg_wipe(msg);
	return r;
}
