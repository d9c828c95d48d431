/* Frames that an end of a link must not send: of the other direction, of channels that are not open, of no form. */
#include "config.h"

#include <poll.h>
#include <string.h>

#include "recorder/link_proto.h"
#include "tests/hostile/hostile.h"

#define STEPS_MAX 4
#define SESSION "\0\0\0\7session", 11
#define FLOOD 400 /* frames of LINK_DATA_MAX: three times the credit */

/* Who sends what; the last one is the lie, and those before it arrive first. */
struct step {
	char who; /* f, b; 0: no more */
	uint16_t type;
	uint32_t channel;
	const char *data;
	size_t len;
	int n_fds;
};

static uint8_t bytes[IPC_MAX + 1024];

static int
link_of(const struct hostile *h, char who)
{
	return who == 'f' ? h->front.link : h->back.fd[H_LINK];
}

static int
leg(struct hostile *h)
{
	if (h_leg(h, &h->front, "h1", &h->back) != 0)
		return -1;
	return ipc_plain_hello(h->front.link) == 0 && ipc_plain_hello(h->back.fd[H_LINK]) == 0
		   ? 0
		   : h_fail(h, "the link does not take a hello");
}

/* The liar is cut off, and the other end hears why. */
static int
want_broken(struct hostile *h, char liar)
{
	struct ipc_msg msg;

	if (h_want(h, link_of(h, liar == 'f' ? 'b' : 'f'), LINK_END, &msg) != 0)
		return -1;
	if (msg.len < 1 || msg.data[0] != LINK_END_PROTOCOL)
		return h_fail(h, "the session ended as %u", msg.len > 0 ? msg.data[0] : 0);
	return h_want_cut(h, link_of(h, liar), 0xffff);
}

static int
steps(struct hostile *h, const struct h_mode *m)
{
	const struct step *s = m->arg;
	struct ipc_msg msg;

	if (leg(h) != 0)
		return -1;
	for (; s[1].who != 0; s++) {
		h_say(link_of(h, s->who), s->type, s->channel, s->data, s->len);
		if (h_want(h, link_of(h, s->who == 'f' ? 'b' : 'f'), s->type, &msg) != 0)
			return -1;
	}
	if (s->n_fds > 0 || s->data == NULL)
		h_raw(link_of(h, s->who), s->type, (uint16_t)s->n_fds, bytes, s->len, s->n_fds);
	else
		h_say(link_of(h, s->who), s->type, s->channel, s->data, s->len);
	return want_broken(h, s->who);
}

/* Without its hello. */
static int
ungreeted(struct hostile *h, const struct h_mode *m)
{
	const char *who = m->arg;

	if (h_leg(h, &h->front, "h1", &h->back) != 0 ||
	    ipc_plain_hello(link_of(h, *who == 'f' ? 'b' : 'f')) != 0)
		return -1;
	h_say(link_of(h, *who), LINK_NOTE, 0, *who == 'f' ? "\1" : "\3", 1);
	return want_broken(h, *who);
}

/* More than the other end gives credit for, which takes everything. */
static int
flood(struct hostile *h, const struct h_mode *m)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];
	struct pollfd to = { .fd = -1, .events = POLLOUT };
	struct ipc_msg msg;
	int from;

	(void)m;
	if (leg(h) != 0)
		return -1;
	to.fd = h->front.link;
	from = h->back.fd[H_LINK];
	h_say(to.fd, LINK_OPEN, 1, SESSION);
	for (int i = 0; i < FLOOD; i++) {
		while (poll(&to, 1, 0) != 1 && ipc_plain_recv(from, space, &msg, 1000) == 0)
			if (msg.type == LINK_END)
				return h_want_cut(h, to.fd, 0xffff);
		h_say(to.fd, LINK_DATA, 1, bytes, LINK_DATA_MAX);
	}
	return want_broken(h, 'f');
}

/* Both at once, each as the other. */
static int
swapped(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (leg(h) != 0)
		return -1;
	h_say(h->front.link, LINK_NOTE, 0, "\3", 1);
	h_say(h->back.fd[H_LINK], LINK_NOTE, 0, "\1\0\0\0\1x\0\0\0\1y", 11);
	if (h_want_cut(h, h->front.link, LINK_NOTE) != 0)
		return -1;
	return h_want_cut(h, h->back.fd[H_LINK], LINK_NOTE);
}

#define STEPS(...) ((const struct step[STEPS_MAX]){ __VA_ARGS__ })
#define LIE "link.violation"
#define FRAME(who, type, channel, ...)                                                             \
	{                                                                                          \
		who, type, channel, __VA_ARGS__, 0                                                 \
	}

/* clang-format off */
const struct h_mode h_link_modes[] = {
	{ "front-as-the-back", LIE, "note that it may not make", false, steps,
	    STEPS(FRAME('f', LINK_NOTE, 0, "\3", 1)) },
	{ "front-as-the-recorder", LIE, "note that it may not make", false, steps,
	    STEPS(FRAME('f', LINK_NOTE, 0, "\6\0\0\0\1\1\0\0\0\1x\0\0\0\1y", 16)) },
	{ "front-unopened-data", LIE, "no such channel", false, steps,
	    STEPS(FRAME('f', LINK_DATA, 7, "x", 1)) },
	{ "front-exit-status", LIE, "", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('f', LINK_EXIT_STATUS, 1, "\0\0\0\0", 4)) },
	{ "front-confirms-itself", LIE, "not asked for", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('f', LINK_OPEN_OK, 1, "", 0)) },
	{ "front-answers-nothing", LIE, "reply to nothing", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('f', LINK_REPLY, 1, "\0\0\0\1\1", 5)) },
	{ "front-number-of-the-back", LIE, "number", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, LINK_FROM_BACK + 1, SESSION)) },
	{ "front-number-twice", LIE, "number", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('f', LINK_OPEN, 1, SESSION)) },
	{ "front-after-close", LIE, "after CLOSE", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('f', LINK_CLOSE, 1, "", 0),
		FRAME('f', LINK_DATA, 1, "x", 1)) },
	{ "front-unknown", LIE, "", false, steps, STEPS(FRAME('f', 999, 0, "x", 1)) },
	{ "front-oversized", LIE, "", false, steps, STEPS({ 'f', LINK_DATA, 0, NULL, sizeof(bytes), 0 }) },
	{ "front-long-frame", LIE, "", false, steps, STEPS({ 'f', LINK_DATA, 0, NULL, 40000, 0 }) },
	{ "front-descriptors", LIE, "", false, steps, STEPS({ 'f', LINK_NOTE, 0, "", 1, 1 }) },
	{ "front-without-hello", LIE, "", false, ungreeted, "f" },
	{ "front-flood", LIE, "credit", false, flood, NULL },
	{ "back-as-the-front", LIE, "note that it may not make", false, steps,
	    STEPS(FRAME('b', LINK_NOTE, 0, "\1\0\0\0\1x\0\0\0\1y", 11)) },
	{ "back-data-before-open", LIE, "no such channel", false, steps,
	    STEPS(FRAME('b', LINK_DATA, 1, "x", 1)) },
	{ "back-data-before-ok", LIE, "not confirmed", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('b', LINK_DATA, 1, "x", 1)) },
	{ "back-status-before-open", LIE, "no such channel", false, steps,
	    STEPS(FRAME('b', LINK_EXIT_STATUS, 1, "\0\0\0\0", 4)) },
	{ "back-status-before-ok", LIE, "not confirmed", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('b', LINK_EXIT_STATUS, 1, "\0\0\0\0", 4)) },
	{ "back-ok-for-nothing", LIE, "no such channel", false, steps,
	    STEPS(FRAME('b', LINK_OPEN_OK, 1, "", 0)) },
	{ "back-ok-twice", LIE, "not asked for", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('b', LINK_OPEN_OK, 1, "", 0),
		FRAME('b', LINK_OPEN_OK, 1, "", 0)) },
	{ "back-answers-nothing", LIE, "reply to nothing", false, steps,
	    STEPS(FRAME('f', LINK_OPEN, 1, SESSION), FRAME('b', LINK_REPLY, 1, "\0\0\0\1\1", 5)) },
	{ "back-number-of-the-front", LIE, "number", false, steps,
	    STEPS(FRAME('b', LINK_OPEN, 1, SESSION)) },
	{ "back-unknown", LIE, "", false, steps, STEPS(FRAME('b', 999, 0, "x", 1)) },
	{ "back-oversized", LIE, "", false, steps, STEPS({ 'b', LINK_DATA, 0, NULL, sizeof(bytes), 0 }) },
	{ "back-long-frame", LIE, "", false, steps, STEPS({ 'b', LINK_DATA, 0, NULL, 40000, 0 }) },
	{ "back-descriptors", LIE, "", false, steps, STEPS({ 'b', LINK_NOTE, 0, "", 1, 1 }) },
	{ "back-without-hello", LIE, "", false, ungreeted, "b" },
	{ "each-as-the-other", LIE, "note that it may not make", false, swapped, NULL },
	{ NULL, NULL, NULL, false, NULL, NULL },
};
/* clang-format on */
