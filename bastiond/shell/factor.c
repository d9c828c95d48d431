/*
 * A second factor that a rule asks for, on the terminal of who wants to connect: questions of a bastiond-auth are shown, what is typed
 * goes back to it. How it comes out is between it and policy.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastiond/shell/shell.h"
#include "lib/log.h"

#define KEY_CTRL_C 0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U 0x15
#define KEY_DELETE 0x7f
#define ANSWERS_MAX ((AUTH_ANSWER_MAX + 4u) * AUTH_PROMPTS_MAX + 16u)

/* The recorder keeps nothing of an answer that is not shown. */
static void
tell_asking(struct shell *s, bool asking)
{
	const uint8_t note[2] = { LINK_NOTE_ASKING, asking };
	struct factor *f = &s->factor;

	if (f->asking == asking || f->c == NULL || f->c->closed || s->link == NULL)
		return;
	f->asking = asking;
	if (ipc_send(s->link, LINK_NOTE, f->c->id, note, sizeof(note)) != 0)
		log_debug("shell.note_unsent"); /* the link ends by itself */
}

void
factor_end(struct shell *s)
{
	struct factor *f = &s->factor;

	tell_asking(s, false);
	ipc_free(f->talk);
	buf_free(f->prompts);
	buf_free(f->answers);
	memset(f->line, 0, sizeof(f->line));
	*f = (struct factor){ .talk = NULL };
}

bool
factor_asks(const struct shell_chan *c)
{
	return c->s->factor.c == c && c->s->factor.prompts != NULL;
}

void
factor_forget(const struct shell_chan *c)
{
	if (c->s->factor.c == c)
		factor_end(c->s);
}

static void
say(struct shell_chan *c, const char *text, size_t len)
{
	if (len > 0)
		chan_text(c, false, text, len);
}

/* The next prompt is shown; with none left, the answers go. */
static int
go_on(struct shell *s)
{
	struct factor *f = &s->factor;
	const uint8_t *prompt;
	uint8_t echo;
	size_t len;
	int r;

	if (f->left == 0) {
		tell_asking(s, false);
		r = ipc_send_buf(f->talk, AUTH_ANSWER, 0, f->answers);
		buf_free(f->answers);
		buf_free(f->prompts);
		f->answers = f->prompts = NULL;
		return r;
	}
	if ((r = buf_get_str(f->prompts, &prompt, &len)) != 0 ||
	    (r = buf_get_u8(f->prompts, &echo)) != 0)
		return r;
	f->left--;
	f->echo = echo != 0;
	f->len = 0;
	tell_asking(s, !f->echo);
	say(f->c, (const char *)prompt, len);
	return 0;
}

/* The texts are whole before any of them is shown. */
static int
check_prompts(struct buf *b, uint32_t n)
{
	const uint8_t *p;
	uint8_t echo;
	size_t len;
	int r;

	for (; n > 0; n--)
		if ((r = buf_get_str(b, &p, &len)) != 0 || (r = buf_get_u8(b, &echo)) != 0)
			return r;
	return buf_end(b);
}

static int
take_question(struct factor *f, struct buf *b)
{
	const uint8_t *text;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &text, &len)) != 0 || (r = buf_get_u32(b, &f->left)) != 0)
		return r;
	if (f->left > AUTH_PROMPTS_MAX)
		return ERR_FORMAT;
	f->prompts = buf_new(buf_len(b));
	f->answers = buf_new(ANSWERS_MAX);
	if (f->prompts == NULL || f->answers == NULL ||
	    buf_put(f->prompts, buf_ptr(b), buf_len(b)) != 0)
		return -ENOMEM;
	if ((r = check_prompts(b, f->left)) != 0 || (r = buf_put_u32(f->answers, f->left)) != 0)
		return r;
	say(f->c, (const char *)text, len);
	if (len > 0 && text[len - 1] != '\n')
		say(f->c, "\n", 1);
	return 0;
}

/* What was typed before the question is no answer to it. */
static void
drop_input(struct shell_chan *c)
{
	chan_took(c, buf_len(c->in));
	buf_reset(c->in);
}

static int
on_ask(void *arg, struct ipc_msg *msg)
{
	struct shell *s = arg;
	struct buf *b;
	int r;

	if (s->factor.prompts != NULL)
		return ERR_ORDER;
	if ((b = buf_view(msg->data, msg->len)) == NULL)
		return -ENOMEM;
	if ((r = take_question(&s->factor, b)) == 0) {
		if (s->factor.left > 0)
			drop_input(s->factor.c);
		r = go_on(s);
	}
	buf_free(b);
	return r == ERR_PEER_GONE ? 0 : r;
}

static const struct ipc_rule talk_rules[] = {
	{ AUTH_ASK, "ask", 8, IPC_MAX, 0, IPC_ANY_STATE, on_ask },
};

static void
on_talk_gone(void *arg, int err)
{
	if (err != ERR_PEER_GONE)
		log_warn("shell.talk_broken reason=\"%s\"", err_str(err));
	factor_end(arg);
}

int
factor_on_auth(void *arg, struct ipc_msg *msg)
{
	struct shell *s = arg;
	const struct ipc_conf conf = { .name = "shell-auth",
		.rules = talk_rules,
		.n_rules = sizeof(talk_rules) / sizeof(talk_rules[0]),
		.arg = s,
		.gone = on_talk_gone };
	const struct ask *a = TAILQ_FIRST(&s->asks);
	int r;

	factor_end(s);
	/* Who wanted it has left meanwhile: without its other end it is over. */
	if (a == NULL || a->kind != ASK_CONNECT || a->done == NULL)
		return 0;
	if ((r = ipc_new(s->loop, msg->fds[0], &conf, &s->factor.talk)) != 0)
		return r;
	msg->fds[0] = -1;
	s->factor.c = a->arg;
	return 0;
}

/* What was typed. */

static void
erase(struct factor *f)
{
	if (f->len == 0)
		return;
	/* A character of several bytes goes whole. */
	while (f->len > 1 && ((unsigned char)f->line[f->len - 1] & 0xc0) == 0x80)
		f->len--;
	f->len--;
	if (f->echo)
		say(f->c, "\b \b", 3);
}

static int
end_line(struct shell *s)
{
	struct factor *f = &s->factor;
	int r = buf_put_str(f->answers, f->line, f->len);

	memset(f->line, 0, sizeof(f->line));
	say(f->c, "\n", 1);
	return r != 0 ? r : go_on(s);
}

static int
key(struct shell *s, uint8_t byte)
{
	struct factor *f = &s->factor;

	switch (byte) {
	case '\r':
	case '\n':
		return end_line(s);
	case KEY_BACKSPACE:
	case KEY_DELETE:
		erase(f);
		return 0;
	case KEY_CTRL_U:
		while (f->len > 0)
			erase(f);
		return 0;
	default:
		break;
	}
	if (byte < ' ' || f->len == sizeof(f->line))
		return 0;
	f->line[f->len++] = (char)byte;
	if (f->echo)
		say(f->c, &f->line[f->len - 1], 1);
	return 0;
}

void
factor_input(struct shell_chan *c)
{
	struct shell *s = c->s;
	int r = 0;

	while (r == 0 && factor_asks(c) && buf_len(c->in) > 0) {
		uint8_t byte = *buf_ptr(c->in);

		if (byte == KEY_CTRL_C) {
			(void)chooser_cancels(c);
			return;
		}
		if (buf_skip(c->in, 1) != 0)
			break;
		chan_took(c, 1);
		r = key(s, byte);
	}
	/* Policy hears of it from the other end, and says what becomes of the connection. */
	if (r != 0)
		factor_end(s);
}
