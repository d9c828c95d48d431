/* The picker on a channel: hosts from policy, keys from the person, and the leg that is chosen. */
#include "config.h"

#include <string.h>

#include "bastiond/shell/shell.h"
#include "lib/clock.h"
#include "lib/str.h"

#define ESC_NS (100 * CLOCK_NS_PER_MS) /* that a key's sequence may take to arrive */

static void
put(struct shell_chan *c, int (*what)(const struct pick *p, struct buf *out))
{
	struct buf *out = buf_new(PICK_DRAW_MAX);

	if (out != NULL && what(c->pick, out) == 0)
		for (size_t n; (n = buf_len(out)) > 0;) {
			n = n < LINK_DATA_MAX ? n : LINK_DATA_MAX;
			chan_send(c, LINK_DATA, buf_ptr(out), n);
			if (buf_skip(out, n) != 0)
				break;
		}
	buf_free(out);
}

static void
draw(struct shell_chan *c)
{
	/* Whoever does not take what was drawn before gets it later, once. */
	c->stale = buf_len(c->out) > 0;
	if (!c->stale)
		put(c, pick_draw);
}

static void
on_connected(void *arg, uint8_t code, const char *text, size_t len, uint32_t leg)
{
	struct shell_chan *c = arg;
	struct shell *s = c->s;
	char line[512];
	int fd;

	(void)code;
	c->ask = NULL;
	factor_forget(c);
	if (leg == 0) {
		chooser_refused(c, str_plain(line, sizeof(line), text, len));
		return;
	}
	c->leg = leg;
	if (s->early.leg != leg)
		return;
	fd = s->early.fd;
	memcpy(line, s->early.line, sizeof(line));
	s->early = (struct shell_early){ .fd = -1 };
	if (fd >= 0)
		chan_connected(c, fd);
	else
		chan_refused(c, line);
}

static void
connect_chosen(struct shell_chan *c)
{
	char line[PICK_TARGET_SIZE + 32];

	put(c, pick_clear);
	if (str_format(line, sizeof(line), "Connecting to %s, Ctrl-C cancels\r\n",
		pick_target(c->pick)) == 0)
		chan_send(c, LINK_DATA, line, strlen(line));
	c->state = CHAN_CONNECTS;
	c->leg = 0;
	if (ask_new(c->s, ASK_CONNECT, "", pick_target(c->pick), on_connected, c, &c->ask) != 0)
		chooser_refused(c, "out of memory");
}

static void
on_result(struct shell_chan *c, enum pick_result result)
{
	loop_timer_disarm(c->timer);
	switch (result) {
	case PICK_CONNECT:
		connect_chosen(c);
		break;
	case PICK_LEAVE:
		put(c, pick_clear);
		chan_finish(c, 0);
		break;
	case PICK_MORE:
		if (pick_waits(c->pick))
			loop_timer_arm(c->timer, ESC_NS);
		draw(c);
		break;
	}
}

void
chooser_timer(void *arg)
{
	struct shell_chan *c = arg;

	if (c->state == CHAN_PICK)
		on_result(c, pick_alone(c->pick));
}

void
chooser_input(struct shell_chan *c)
{
	enum pick_result result;
	size_t used = 0;

	if (buf_len(c->in) == 0)
		return;
	result = pick_keys(c->pick, buf_ptr(c->in), buf_len(c->in), &used);
	if (buf_skip(c->in, used) == 0)
		chan_took(c, used);
	on_result(c, result);
}

void
chooser_resize(struct shell_chan *c)
{
	if (c->pick == NULL)
		return;
	pick_resize(c->pick, c->cols, c->rows);
	if (c->state == CHAN_PICK)
		draw(c);
}

/*
 * Ctrl-C, wherever it is in what was typed; or Esc or q, when nothing else was: what is typed ahead is the host's. Bytes up to
 * the key; 0: on with it.
 */
static size_t
cancels(const struct shell_chan *c)
{
	const uint8_t *p = buf_ptr(c->in), *key;
	size_t len = buf_len(c->in);

	if (len == 0)
		return 0;
	if ((key = memchr(p, 0x03, len)) != NULL)
		return (size_t)(key - p) + 1;
	return len == 1 && (*p == 0x1b || *p == 'q') &&
	       (c->relay == NULL || relay_unused(c->relay));
}

bool
chooser_cancels(struct shell_chan *c)
{
	size_t n = cancels(c);

	if (n == 0 || buf_skip(c->in, n) != 0)
		return false;
	factor_forget(c);
	ask_forget(c->ask);
	c->ask = NULL;
	c->leg = 0;
	if (c->relay != NULL)
		relay_cancel(c->relay);
	c->relay = NULL;
	chan_took(c, n);
	chooser_refused(c, "cancelled");
	return true;
}

void
chooser_refused(struct shell_chan *c, const char *line)
{
	c->state = CHAN_PICK;
	chan_line(c, line);
	if (c->in_eof) {
		chan_finish(c, 1);
		return;
	}
	draw(c);
	chooser_input(c);
}

static void
on_hosts(void *arg, uint8_t code, const char *text, size_t len, uint32_t leg)
{
	struct shell_chan *c = arg;
	struct json_node *root = NULL;
	char line[512];
	int r = ERR_FORMAT;

	(void)leg;
	c->ask = NULL;
	if (code <= 1 && len > 0 && text[0] == '[')
		r = json_parse(text, len, &root);
	if (r == 0)
		r = pick_new(root, c->s->identity, &c->pick);
	json_node_free(root);
	if (r == ERR_NOT_FOUND) {
		chan_line(c, "no host is open to you at the moment");
		chan_finish(c, 1);
		return;
	}
	if (r != 0) {
		chan_line(c, code > 1 ? str_plain(line, sizeof(line), text, len)
				      : "the hosts cannot be listed");
		chan_finish(c, 3);
		return;
	}
	pick_resize(c->pick, c->cols, c->rows);
	c->state = CHAN_PICK;
	if (c->in_eof) {
		chan_finish(c, 0);
		return;
	}
	draw(c);
	chooser_input(c);
}

/* Who it is, for the login that is proposed; then the hosts. */
static void
on_whoami(void *arg, uint8_t code, const char *text, size_t len, uint32_t leg)
{
	struct shell_chan *c = arg;
	struct json_node *root = NULL;

	(void)leg;
	c->ask = NULL;
	if (code == 0 && json_parse(text, len, &root) == 0 &&
	    str_copy(c->s->identity, sizeof(c->s->identity),
		json_str(json_get(root, "identity"), "")) != 0)
		c->s->identity[0] = '\0';
	json_node_free(root);
	if (ask_new(c->s, ASK_POLICY, "hosts", "", on_hosts, c, &c->ask) != 0) {
		chan_line(c, "out of memory");
		chan_finish(c, 3);
	}
}

void
chooser_start(struct shell_chan *c)
{
	c->state = CHAN_PICK_WAITS;
	if (ask_new(c->s, ASK_POLICY, "whoami", "", on_whoami, c, &c->ask) != 0) {
		chan_line(c, "out of memory");
		chan_finish(c, 3);
	}
}
