/*
 * keyboard-interactive (RFC 4256): questions of a bastiond-auth become SSH's, answers go back. Nothing is decided here, and nothing
 * is known of who is asked. One question at a time: what comes meanwhile waits.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastiond/auth/auth_proto.h"
#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/log.h"
#include "policy/policy_proto.h"

#define REQUEST_MAX (AUTH_TEXT_MAX + 5u * AUTH_PROMPTS_MAX + 64u)
#define ANSWERS_MAX ((AUTH_ANSWER_MAX + 4u) * AUTH_PROMPTS_MAX + 16u)

void
front_talk_end(struct front *f)
{
	ipc_free(f->talk);
	f->talk = NULL;
	buf_free(f->question);
	f->question = NULL;
	f->answers_wanted = false;
}

/* This client shows the text with nothing behind it. */
static bool
wants_newline(const struct front *f, struct rd_str text)
{
	return text.len > 0 && text.p[text.len - 1] != '\n' &&
	       strstr(wire_peer_version(f->end.wire), "dropbear") != NULL;
}

static int
put_instruction(const struct front *f, struct buf *b, struct rd_str text)
{
	size_t more = wants_newline(f, text) ? 1 : 0;
	int r;

	if ((r = buf_put_u32(b, (uint32_t)(text.len + more))) != 0 ||
	    (r = buf_put(b, text.p, text.len)) != 0)
		return r;
	return buf_put(b, "\n", more);
}

/* string name, string instruction, string language, u32 n, then n times: string prompt, boolean echo (RFC 4256 section 3.2). */
static int
put_question(const struct front *f, struct buf *b, struct rd *in, uint32_t *ret_n)
{
	struct rd_str instruction, prompt;
	uint8_t echo;
	int r;

	if (!rd_str(in, &instruction) || !rd_u32(in, ret_n) || *ret_n > AUTH_PROMPTS_MAX)
		return ERR_FORMAT;
	if ((r = buf_put_u8(b, SSH_USERAUTH_INFO_REQUEST)) != 0 || (r = buf_put_cstr(b, "")) != 0 ||
	    (r = put_instruction(f, b, instruction)) != 0 || (r = buf_put_cstr(b, "")) != 0 ||
	    (r = buf_put_u32(b, *ret_n)) != 0)
		return r;
	for (uint32_t i = 0; i < *ret_n; i++)
		if (!rd_str(in, &prompt) || !rd_u8(in, &echo) || echo > 1)
			return ERR_FORMAT;
		else if ((r = buf_put_str(b, prompt.p, prompt.len)) != 0 ||
			 (r = buf_put_u8(b, echo)) != 0)
			return r;
	return rd_end(in) ? 0 : ERR_FORMAT;
}

/* The client has no other question to answer. */
static void
ask_client(struct front *f)
{
	if (wire_send(f->end.wire, buf_ptr(f->question), buf_len(f->question)) != 0)
		log_debug("front.unsent type=%u", SSH_USERAUTH_INFO_REQUEST);
	buf_free(f->question);
	f->question = NULL;
	f->owes_answers = true;
	f->answers_wanted = true;
}

static int
on_ask(void *arg, struct ipc_msg *msg)
{
	struct rd in = rd_over(msg->data, msg->len);
	struct front *f = arg;
	int r;

	if (f->end.peer_gone)
		return 0;
	if (f->question != NULL || f->answers_wanted)
		return ERR_ORDER;
	if ((f->question = buf_new(REQUEST_MAX)) == NULL)
		return -ENOMEM;
	if ((r = put_question(f, f->question, &in, &f->n_prompts)) != 0)
		return r;
	/* The one before it may have been of an attempt that is over, and is yet to be answered. */
	if (!f->owes_answers)
		ask_client(f);
	return 0;
}

static const struct ipc_rule talk_rules[] = {
	{ AUTH_ASK, "AUTH_ASK", 8, IPC_MAX, 0, IPC_ANY_STATE, on_ask },
};

/* How it came out is policy's to say. */
static void
on_talk_gone(void *arg, int err)
{
	if (err != ERR_PEER_GONE)
		log_warn("front.talk_broken reason=\"%s\"", err_str(err));
	front_talk_end(arg);
}

int
front_on_auth(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;
	const struct ipc_conf conf = { .name = "front-auth",
		.rules = talk_rules,
		.n_rules = sizeof(talk_rules) / sizeof(talk_rules[0]),
		.arg = f,
		.gone = on_talk_gone };
	int r;

	front_talk_end(f);
	/* For an attempt that is over already. */
	if (!front_auth_asks_keyboard(f))
		return 0;
	if ((r = ipc_new(f->loop, msg->fds[0], &conf, &f->talk)) == 0)
		msg->fds[0] = -1;
	return r;
}

/* u32 n, n strings. ERR_FORMAT: not of this form; ERR_LIMIT: of it, but not an answer to what was asked. */
static int
put_answers(struct buf *b, struct rd *in, uint32_t want)
{
	struct rd_str answer;
	bool fits = true;
	uint32_t n;
	int r;

	if (!rd_u32(in, &n))
		return ERR_FORMAT;
	fits = n == want;
	if ((r = buf_put_u32(b, want)) != 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		if (!rd_str(in, &answer))
			return ERR_FORMAT;
		fits = fits && answer.len <= AUTH_ANSWER_MAX;
		if (fits && (r = buf_put_str(b, answer.p, answer.len)) != 0)
			return r;
	}
	if (!rd_end(in))
		return ERR_FORMAT;
	return fits ? 0 : ERR_LIMIT;
}

static int
pass_answers(struct front *f, struct rd *in)
{
	struct buf *b = buf_new(ANSWERS_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = put_answers(b, in, f->n_prompts)) == 0)
		r = ipc_send_buf(f->talk, AUTH_ANSWER, 0, b);
	buf_free(b);
	return r;
}

void
front_talk_answers(struct front *f, const uint8_t *msg, size_t len)
{
	struct rd in = rd_over(msg + 1, len - 1);
	int r;

	if (!f->owes_answers) {
		end_disconnect(
		    &f->end, SSH_DISCONNECT_PROTOCOL_ERROR, "unexpected message during login");
		return;
	}
	f->owes_answers = false;
	/* It was for an attempt that is over: the client could not know. */
	if (!f->answers_wanted) {
		if (f->question != NULL)
			ask_client(f);
		return;
	}
	f->answers_wanted = false;
	if ((r = pass_answers(f, &in)) == 0)
		return;
	if (r == ERR_FORMAT)
		end_disconnect(&f->end, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed answers");
	/* Without its other end the conversation fails, and policy answers the request. */
	front_talk_end(f);
}
