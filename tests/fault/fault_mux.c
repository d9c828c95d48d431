/* Every allocation of the channel engine fails once, in turn: it says so, stays whole, and leaks nothing. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/ssh_msg.h"
#include "fault.h"
#include "recorder/link_proto.h"

static int
on_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	(void)arg;
	(void)head;
	(void)head_len;
	(void)body;
	(void)body_len;
	return 0;
}

static size_t
on_backlog(void *arg)
{
	return *(size_t *)arg;
}

static int
on_frame(void *arg, uint16_t type, uint32_t id, const void *data, size_t len)
{
	(void)arg;
	(void)type;
	(void)id;
	(void)data;
	(void)len;
	return 0;
}

static uint32_t
on_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	(void)arg;
	*ret_text = "no";
	return rd_is(open->type, "session") || rd_is(open->type, "direct-tcpip") ? 0
	       : rd_is(open->type, "local")					 ? MUX_OPEN_LOCAL
					    : (uint32_t)SSH_OPEN_PROHIBITED;
}

static enum mux_answer
on_may_request(void *arg, const struct mux_session *s, const struct mux_request *req)
{
	(void)arg;
	(void)s;
	return rd_is(req->name, "odd") ? MUX_REFUSE : MUX_PASS;
}

static const struct mux_ops ops = {
	.send = on_send,
	.backlog = on_backlog,
	.frame = on_frame,
	.may_open = on_may_open,
	.may_request = on_may_request,
};

static int
on_local(void *arg, uint32_t id, struct rd_str data)
{
	struct mux *m = *(struct mux **)arg;
	int r = mux_local_data(m, id, data.p, data.len);

	return r != 0 ? r : mux_local_took(m, id, data.len);
}

static int
on_local_eof(void *arg, uint32_t id)
{
	return mux_local_close(*(struct mux **)arg, id);
}

static void
on_local_event(void *arg, uint32_t id)
{
	(void)arg;
	(void)id;
}

static const struct mux_local_ops local_ops = {
	.data = on_local,
	.eof = on_local_eof,
	.closed = on_local_event,
	.room = on_local_event,
};

struct line {
	bool link;
	uint8_t type;
	const char *bytes;
	size_t len;
};

#define SSH(type, bytes)                                                                           \
	{                                                                                          \
		false, type, bytes, sizeof(bytes) - 1                                              \
	}
#define LINK(type, bytes)                                                                          \
	{                                                                                          \
		true, type, bytes, sizeof(bytes) - 1                                               \
	}
#define ONE "\0\0\0\1"

/* Things that allocate: channels, requests that wait, data that is joined or held, ends. */
static const struct line front_lines[] = {
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\3x11\0\0\0\7\0\0\1\0\0\0\1\0"),
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\7session\0\0\0\7\0\0\0\0\0\0\1\0"),
	LINK(LINK_OPEN_OK, ""),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\3odd\1"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\3env\1\0\0\0\1A\0\0\0\1B"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\5shell\1"),
	SSH(SSH_CHANNEL_DATA, ONE "\0\0\0\2in"),
	LINK(LINK_REPLY, "\0\0\0\1\1"),
	LINK(LINK_DATA, "held"),
	LINK(LINK_DATA_EXT, "\0\0\0\1held"),
	LINK(LINK_REQUEST, "\0\0\0\1\0\0\0\1q\1"),
	LINK(LINK_EXIT_STATUS, "\0\0\0\5"),
	LINK(LINK_EOF, ""),
	LINK(LINK_CLOSE, ""),
	SSH(SSH_CHANNEL_WINDOW_ADJUST, ONE "\0\0\1\0"),
};
static const struct line forward_front_lines[] = {
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\7session\0\0\0\7\0\0\0\0\0\0\1\0"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\7pty-req\0"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\32auth-agent-req@openssh.com\0"),
	LINK(LINK_GLOBAL_REPLY, "\0\0\0\1\1\0\0\20\0"),
	LINK(LINK_OPEN, "\0\0\0\26auth-agent@openssh.com"),
	LINK(LINK_OPEN, "\0\0\0\7session"),
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\14direct-tcpip\0\0\0\1\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\1"
			      "\0\0\0\0\0\0\0\0"),
};
static const struct line forward_back_lines[] = {
	LINK(LINK_GLOBAL, "\0\0\0\1\0\0\0\15tcpip-forward\1\0\0\0\0\0\0\0\120"),
	LINK(LINK_GLOBAL, "\0\0\0\2\0\0\0\37streamlocal-forward@openssh.com\1\0\0\0\1s"),
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\14direct-tcpip\0\0\0\1\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\1"
			      "\0\0\0\0\0\0\0\0"),
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\17forwarded-tcpip\0\0\0\1\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\120"
			      "\0\0\0\0\0\0\0\0"),
};
static const struct line back_lines[] = {
	LINK(LINK_OPEN, "\0\0\0\7session"),
	LINK(LINK_REQUEST, "\0\0\0\1\0\0\0\5shell\1"),
	LINK(LINK_DATA, "held"),
	SSH(SSH_CHANNEL_OPEN_CONFIRMATION, ONE "\0\0\0\7\0\0\0\0\0\0\1\0"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\3odd\1"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\3eow\1"),
	SSH(SSH_CHANNEL_EXTENDED_DATA, ONE "\0\0\0\1\0\0\0\3err"),
	SSH(SSH_CHANNEL_EXTENDED_DATA, ONE "\0\0\0\2\0\0\0\3err"),
	SSH(SSH_CHANNEL_OPEN, "\0\0\0\3x11\0\0\0\7\0\0\1\0\0\0\1\0"),
	SSH(SSH_CHANNEL_REQUEST, ONE "\0\0\0\13exit-status\0\0\0\0\7"),
	SSH(SSH_CHANNEL_CLOSE, ONE),
	LINK(LINK_CLOSE, ""),
};

/* A front's link opens what the target does. */
static uint32_t
line_channel(const struct mux *m, const struct line *l)
{
	if (l->type == LINK_GLOBAL || l->type == LINK_GLOBAL_REPLY)
		return 0;
	return l->type == LINK_OPEN && mux_channels(m) > 0 ? 0x80000001u + mux_channels(m) : 1;
}

static int
play_line(struct mux *m, const struct line *l)
{
	uint8_t msg[64];
	int r;

	if (l->link)
		r = mux_frame(m, l->type, line_channel(m, l), (const uint8_t *)l->bytes, l->len);
	else {
		msg[0] = l->type;
		memcpy(msg + 1, l->bytes, l->len);
		r = mux_message(m, msg, 1 + l->len);
	}
	return r != 0 ? r : mux_pump(m);
}

struct script {
	enum mux_side side;
	const struct line *lines;
	size_t n;
	bool deny;
};

static int
play(void *arg)
{
	static const struct rd_str shell = { (const uint8_t *)"shell", 5 };
	const struct script *s = arg;
	size_t backlog = 0;
	struct mux *m = mux_new(s->side, 5, &ops, &backlog);
	int r = m == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < s->n && r == 0; i++) {
		backlog = i % 3 == 0 ? MUX_BACKLOG : 0;
		r = play_line(m, &s->lines[i]);
	}
	if (r == 0 && s->deny)
		r = mux_deny(m, 1, shell, "denied");
	if (r == 0)
		r = mux_finish(m, 255, "over");
	if (r == 0)
		r = mux_pump(m);
	mux_free(m);
	/* No other answer, whichever allocation it was. */
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

/* A command in several frames: of a client, on its way to the link; and from there, on its way to a target. */
static int
play_long(void *arg)
{
	static const char open[] = "\0\0\0\7session\0\0\0\7\0\0\1\0\0\0\1\0";
	static uint8_t msg[5 + LINK_REQUEST_MAX];
	const enum mux_side *side = arg;
	size_t backlog = MUX_BACKLOG;
	struct mux *m = mux_new(*side, 5, &ops, &backlog);
	struct line first = *side == MUX_FRONT
				? (struct line){ false, SSH_CHANNEL_OPEN, open, sizeof(open) - 1 }
				: (struct line){ true, LINK_OPEN, open, 11 };
	int r = m == NULL ? -ENOMEM : play_line(m, &first);

	memcpy(msg, "\142" ONE "\0\0\0\4exec\1\0\1\1\0", 18);
	if (r == 0 && *side == MUX_FRONT)
		r = mux_message(m, msg, 18 + 65792);
	/* The number stands where the channel was. */
	if (r == 0 && *side == MUX_BACK &&
	    (r = mux_frame(m, LINK_REQUEST, 1, msg + 1, LINK_REQUEST_PART)) == 0)
		r = mux_frame(
		    m, LINK_MORE, 1, msg + 1 + LINK_REQUEST_PART, 17 + 65792 - LINK_REQUEST_PART);
	if (r == 0)
		r = mux_pump(m);
	mux_free(m);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

/* A local channel whose peer takes nothing: what its owner says waits. */
static int
play_local(void *arg)
{
	static const struct line lines[] = {
		SSH(SSH_CHANNEL_OPEN, "\0\0\0\5local\0\0\0\7\0\0\0\1\0\0\1\0"),
		SSH(SSH_CHANNEL_DATA, ONE "\0\0\0\4data"),
		SSH(SSH_CHANNEL_EOF, ONE),
	};
	size_t backlog = 0;
	struct mux *m = mux_new(MUX_FRONT, 5, &ops, &backlog);
	int r = m == NULL ? -ENOMEM : 0;

	(void)arg;
	if (r == 0)
		mux_set_local(m, &local_ops, &m);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && r == 0; i++) {
		r = play_line(m, &lines[i]);
		if (r == 0 && i == 0)
			r = mux_local_confirm(m, 1);
	}
	mux_free(m);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static int
ask_forward(struct mux *m)
{
	static const uint8_t raw[] = "\0\0\0\15tcpip-forward\1\0\0\0\0\0\0\0\0";
	static const struct rd_str name = { raw + 4, 13 };
	int r = mux_global_own(m);

	return r != 0 ? r : mux_global_pass(m, name, true, (struct rd_str){ raw, sizeof(raw) - 1 });
}

static int
play_forwards(void *arg)
{
	static const struct rd_str agent = { (const uint8_t *)"auth-agent-req@openssh.com", 26 };
	static const uint8_t success = SSH_REQUEST_SUCCESS;
	const struct script *s = arg;
	size_t backlog = 0;
	struct mux *m = mux_new(s->side, 5, &ops, &backlog);
	int r = m == NULL ? -ENOMEM : 0;

	if (r == 0 && s->side == MUX_FRONT && (r = ask_forward(m)) == 0)
		r = mux_tell(m, true, "text");
	for (size_t i = 0; i < s->n && r == 0; i++) {
		r = play_line(m, &s->lines[i]);
		if (r == 0 && s->side == MUX_BACK && i < 2)
			r = mux_global_reply(m, &success, 1);
		if (r == 0 && s->deny && i == 2)
			r = mux_deny(m, 1, agent, "denied");
	}
	if (r == 0)
		r = mux_finish(m, 255, "over");
	mux_free(m);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static void
test_forwards_survive_each_failure(void **state)
{
	struct script front = { MUX_FRONT, forward_front_lines,
		sizeof(forward_front_lines) / sizeof(forward_front_lines[0]), false };
	struct script back = { MUX_BACK, forward_back_lines,
		sizeof(forward_back_lines) / sizeof(forward_back_lines[0]), false };
	struct script denied = { MUX_FRONT, forward_front_lines, 4, true };

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play_forwards, &front) >= 12);
	assert_true(fault_each(FAULT_MEMORY, play_forwards, &back) >= 10);
	assert_true(fault_each(FAULT_MEMORY, play_forwards, &denied) >= 8);
}

static void
test_local_survives_each_failure(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play_local, NULL) >= 5);
}

static void
test_front_survives_each_failure(void **state)
{
	struct script s = { MUX_FRONT, front_lines, sizeof(front_lines) / sizeof(front_lines[0]),
		false };

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play, &s) >= 15);
}

static void
test_a_denial_survives_each_failure(void **state)
{
	struct script s = { MUX_FRONT, front_lines, 7, true };

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play, &s) >= 12);
}

static void
test_back_survives_each_failure(void **state)
{
	struct script s = { MUX_BACK, back_lines, sizeof(back_lines) / sizeof(back_lines[0]),
		false };

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play, &s) >= 10);
}

static void
test_long_requests_survive_each_failure(void **state)
{
	enum mux_side front = MUX_FRONT, back = MUX_BACK;

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play_long, &front) >= 5);
	assert_true(fault_each(FAULT_MEMORY, play_long, &back) >= 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_front_survives_each_failure),
		cmocka_unit_test(test_a_denial_survives_each_failure),
		cmocka_unit_test(test_back_survives_each_failure),
		cmocka_unit_test(test_forwards_survive_each_failure),
		cmocka_unit_test(test_local_survives_each_failure),
		cmocka_unit_test(test_long_requests_survive_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
