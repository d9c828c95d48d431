/* Lies of a front that carries a conversation of keyboard-interactive: answers to what was not asked, and too much of anything. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/auth_proto.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/file.h"
#include "policy/policy_proto.h"
#include "tests/hostile/hostile.h"

static const char request[] = "\62\0\0\0\3eve\0\0\0\16ssh-connection\0\0\0\24keyboard-interactive"
			      "\0\0\0\0\0\0\0\0";

static void
ask(struct hostile *h)
{
	h_say(h->front.fd[H_POLICY], POL_AUTH_REQUEST, 0, request, sizeof(request) - 1);
}

/* The edge to the conversation, from the request on. */
static int
talk(struct hostile *h)
{
	struct ipc_msg msg;

	if (h_known(h, &h->front) != 0)
		return -1;
	ask(h);
	if (h_want(h, h->front.fd[H_BROKER], BRK_FRONT_AUTH, &msg) != 0 || msg.n_fds != 1)
		return -1;
	h->front.link = msg.fds[0];
	return ipc_plain_hello(h->front.link) == 0 ? 0 : h_fail(h, "no hello to the conversation");
}

static int
want_failure(struct hostile *h)
{
	struct ipc_msg msg;

	if (h_want(h, h->front.fd[H_POLICY], POL_AUTH_REPLY, &msg) != 0)
		return -1;
	if (msg.data[0] != POL_AUTH_FAILURE)
		return h_fail(h, "the lie was answered %u", msg.data[0]);
	return h_want_quiet(h, h->front.fd[H_BROKER], BRK_FRONT_LINK);
}

struct word {
	uint16_t type;
	const char *data;
	size_t len;
	bool asked; /* wait for the question first */
};

static int
says(struct hostile *h, const struct h_mode *m)
{
	static const uint8_t zeros[40000];
	const struct word *w = m->arg;
	struct ipc_msg msg;

	if (talk(h) != 0 || (w->asked && h_want(h, h->front.link, AUTH_ASK, &msg) != 0))
		return -1;
	h_say(h->front.link, w->type, 0, w->data != NULL ? (const void *)w->data : zeros, w->len);
	return want_failure(h);
}

static int
answers_twice(struct hostile *h, const struct h_mode *m)
{
	struct ipc_msg msg;

	(void)m;
	if (talk(h) != 0 || h_want(h, h->front.link, AUTH_ASK, &msg) != 0)
		return -1;
	for (int i = 0; i < 2; i++)
		h_say(h->front.link, AUTH_ANSWER, 0, "\0\0\0\1\0\0\0\1x", 9);
	return want_failure(h);
}

/* arg: how often it gives up what it asked for once. */
static int
gives_up(struct hostile *h, const struct h_mode *m)
{
	const int *times = m->arg;

	if (talk(h) != 0)
		return -1;
	for (int i = 0; i < *times; i++)
		h_say(h->front.fd[H_POLICY], POL_AUTH_ABANDON, 0, NULL, 0);
	return h_want_ended(h, &h->front);
}

static int
asks_again(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (talk(h) != 0)
		return -1;
	ask(h);
	return h_want_ended(h, &h->front);
}

/* It says itself how the conversation came out. */
static int
concludes(struct hostile *h, const struct h_mode *m)
{
	static const char result[] = "\1\0\0\0\7account\0\0\0\0\0\0\0\3eve\0\0\0\0\0\0\0";

	(void)m;
	if (talk(h) != 0)
		return -1;
	h_say(h->front.fd[H_POLICY], POL_PAM_RESULT, 0, result, sizeof(result));
	return h_want_ended(h, &h->front);
}

static const int two = 2, many = 3000;

#define DENIED "auth.denied", "", false
#define LIE "front.alarm", "rules-broken", true
#define WORD(...) (&(const struct word){ __VA_ARGS__ })

const struct h_mode h_talk_modes[] = {
	{ "answers-before-the-question", DENIED, says,
	    WORD(.type = AUTH_ANSWER, .data = "\0\0\0\0", .len = 4) },
	{ "answers-twice", DENIED, answers_twice, NULL },
	{ "answers-too-little", DENIED, says,
	    WORD(.type = AUTH_ANSWER, .data = "\0\0\0\0", .len = 4, .asked = true) },
	{ "answers-too-much", DENIED, says,
	    WORD(.type = AUTH_ANSWER, .data = "\0\0\0\2\0\0\0\1x\0\0\0\1y", .len = 14,
		.asked = true) },
	{ "answers-with-a-tail", DENIED, says,
	    WORD(.type = AUTH_ANSWER, .data = "\0\0\0\1\0\0\0\1xy", .len = 10, .asked = true) },
	{ "answers-with-nul", DENIED, says,
	    WORD(.type = AUTH_ANSWER, .data = "\0\0\0\1\0\0\0\2x\0", .len = 10, .asked = true) },
	{ "answers-without-end", DENIED, says,
	    WORD(.type = AUTH_ANSWER, .len = 40000, .asked = true) },
	{ "asks-itself", DENIED, says, WORD(.type = AUTH_ASK, .len = 8) },
	{ "gives-up-twice", LIE, gives_up, &two },
	{ "gives-up-without-end", LIE, gives_up, &many },
	{ "asks-for-another-conversation", LIE, asks_again, NULL },
	{ "concludes-itself", LIE, concludes, NULL },
	{ NULL, NULL, NULL, false, NULL, NULL },
};
