/* One table of frames, one function per frame that has more rules than the table can say. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/event.h"
#include "recorder/ledger.h"

#define REFUSED_KEPT 64u /* channels that were refused and whose opener may not have heard yet */
#define FRONT (1u << LEDGER_FRONT)
#define BACK (1u << LEDGER_BACK)
#define BOTH (FRONT | BACK)

struct channel {
	uint32_t number;
	enum ledger_side opener;
	bool confirmed;
	bool refused, cut;
	bool program; /* the front has asked for one: there is never a second on a channel */
	bool early;   /* it sent data before it did */
	uint32_t n_env;
	bool eof[2], closed[2]; /* by side: what it has sent */
	int64_t credit[2];	/* bytes of data that the side may still send */
	uint32_t requested[2];	/* number of the side's last request */
	uint32_t answered[2];	/* number of the last request that the side answered */
};

struct ledger {
	struct channel *channels; /* in the order of their opening */
	size_t n, size, n_refused;
	size_t last;			    /* index where the search starts */
	uint32_t highest[2];		    /* number that the side opened last */
	uint32_t requested[2], answered[2]; /* global requests */
	bool ended[2];
	bool asking; /* the back may say that it asks */
	char **env;  /* owned, and each of them: names and patterns of what crosses */
	size_t n_env;
	bool more[2];	     /* the side is in the middle of a request, */
	uint32_t more_of[2]; /* on this channel, */
	size_t more_len[2];  /* of which so many bytes came */
	size_t more_all[2];  /* and so many there will be, 0: any number */
};

/* A frame under judgement. */
struct frame {
	struct ledger *l;
	enum ledger_side side, other;
	uint16_t type;
	uint32_t number; /* of the channel */
	struct channel *ch;
	const uint8_t *data;
	size_t len;
	const char *why;
};

struct ledger *
ledger_new(void)
{
	return calloc(1, sizeof(struct ledger));
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n_env; i++)
		free(l->env[i]);
	free(l->env);
	free(l->channels);
	free(l);
}

int
ledger_let_env(struct ledger *l, const char *pattern)
{
	char **env = reallocarray(l->env, l->n_env + 1, sizeof(*env));

	if (env == NULL)
		return -ENOMEM;
	l->env = env;
	if ((env[l->n_env] = strdup(pattern)) == NULL)
		return -ENOMEM;
	l->n_env++;
	return 0;
}

void
ledger_let_asking(struct ledger *l)
{
	l->asking = true;
}

static struct channel *
find(struct ledger *l, uint32_t number)
{
	if (l->last < l->n && l->channels[l->last].number == number)
		return &l->channels[l->last];
	for (size_t i = l->n; i > 0; i--)
		if (l->channels[i - 1].number == number) {
			l->last = i - 1;
			return &l->channels[i - 1];
		}
	return NULL;
}

static void
drop(struct ledger *l, struct channel *ch)
{
	size_t i = (size_t)(ch - l->channels);

	l->n_refused -= ch->refused;
	memmove(ch, ch + 1, (l->n - i - 1) * sizeof(*ch));
	l->n--;
}

static void
refuse(struct ledger *l, struct channel *ch)
{
	if (ch->refused)
		return;
	if (l->n_refused == REFUSED_KEPT)
		for (size_t i = 0; i < l->n; i++)
			if (l->channels[i].refused) {
				uint32_t number = ch->number;

				drop(l, &l->channels[i]);
				ch = find(l, number);
				break;
			}
	ch->refused = true;
	l->n_refused++;
}

void
ledger_refuse(struct ledger *l, uint32_t channel)
{
	struct channel *ch = find(l, channel);

	if (ch != NULL)
		refuse(l, ch);
}

void
ledger_cut(struct ledger *l, uint32_t channel, bool ret_tell[2])
{
	struct channel *ch = find(l, channel);

	for (int side = 0; side < 2; side++)
		ret_tell[side] = ch != NULL && !ch->cut && !ch->closed[!side];
	if (ch != NULL)
		ch->cut = true;
}

bool
ledger_is_cut(struct ledger *l, uint32_t channel)
{
	const struct channel *ch = find(l, channel);

	return ch != NULL && ch->cut;
}

bool
ledger_is_early(struct ledger *l, uint32_t channel)
{
	const struct channel *ch = find(l, channel);

	return ch != NULL && ch->early;
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum ledger_answer
broken(struct frame *f, const char *why)
{
	f->why = why;
	return LEDGER_BROKEN;
}

/* The string at off. False when it is not all there. */
static bool
string_at(const uint8_t *data, size_t len, size_t off, const uint8_t **ret_p, size_t *ret_len)
{
	size_t n;

	if (len < off + 4)
		return false;
	n = u32_at(data + off);
	if (n > len - off - 4)
		return false;
	*ret_p = data + off + 4;
	*ret_len = n;
	return true;
}

/* A name is printable and not long, so that it can be shown and compared everywhere. */
static bool
name_at(const struct frame *f, size_t off, const uint8_t **ret_p, size_t *ret_len)
{
	if (!string_at(f->data, f->len, off, ret_p, ret_len) || *ret_len == 0 || *ret_len > 255)
		return false;
	for (size_t i = 0; i < *ret_len; i++)
		if ((*ret_p)[i] <= ' ' || (*ret_p)[i] > '~')
			return false;
	return true;
}

static bool
name_is(const uint8_t *p, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(p, name, len) == 0;
}

bool
ledger_is_program(const uint8_t *name, size_t len)
{
	return name_is(name, len, "shell") || name_is(name, len, "exec") ||
	       name_is(name, len, "subsystem");
}

int
ledger_asked(
    uint16_t type, const uint8_t *data, size_t len, const uint8_t **ret_name, size_t *ret_len)
{
	return string_at(data, len, type == LINK_OPEN ? 0 : 4, ret_name, ret_len) ? 0 : ERR_FORMAT;
}

static enum ledger_answer
on_open(struct frame *f)
{
	struct ledger *l = f->l;
	const uint8_t *name;
	size_t name_len;

	if (!name_at(f, 0, &name, &name_len))
		return broken(f, "the channel type is not a name");
	if ((f->number >= LINK_FROM_BACK) != (f->side == LEDGER_BACK) ||
	    f->number <= l->highest[f->side] || f->number == 0)
		return broken(f, "the channel number is not one that it may use");
	if (l->n - l->n_refused >= LEDGER_CHANNELS_MAX)
		return broken(f, "too many channels are open");
	if (l->n == l->size) {
		size_t size = l->size == 0 ? 4 : l->size * 2;
		struct channel *channels = reallocarray(l->channels, size, sizeof(*channels));

		if (channels == NULL)
			return broken(f, "out of memory");
		l->channels = channels;
		l->size = size;
	}
	l->highest[f->side] = f->number;
	l->last = l->n;
	l->channels[l->n++] = (struct channel){
		.number = f->number, .opener = f->side, .credit = { LINK_CREDIT, LINK_CREDIT }
	};
	if (f->side == LEDGER_FRONT && name_is(name, name_len, "session"))
		return LEDGER_PASS;
	return LEDGER_ASK;
}

static enum ledger_answer
on_open_ok(struct frame *f)
{
	if (f->ch->opener == f->side || f->ch->confirmed)
		return broken(f, "it confirmed a channel that it was not asked for");
	f->ch->confirmed = true;
	return LEDGER_PASS;
}

static enum ledger_answer
on_open_fail(struct frame *f)
{
	const uint8_t *text;
	size_t text_len;

	if (f->ch->opener == f->side || f->ch->confirmed)
		return broken(f, "it refused a channel that it was not asked for");
	if (!string_at(f->data, f->len, 4, &text, &text_len))
		return broken(f, "malformed open-fail");
	refuse(f->l, f->ch);
	return LEDGER_PASS;
}

static enum ledger_answer
take_credit(struct frame *f, size_t n)
{
	if (f->ch->eof[f->side])
		return broken(f, "data after EOF");
	if (n > LINK_DATA_MAX)
		return broken(f, "more data in a frame than a frame may have");
	f->ch->early = f->ch->early || (f->side == LEDGER_FRONT && !f->ch->program);
	f->ch->credit[f->side] -= (int64_t)n;
	if (f->ch->credit[f->side] < -(int64_t)LEDGER_SLACK)
		return broken(f, "more data than the other end gave credit for");
	return LEDGER_PASS;
}

static enum ledger_answer
on_data(struct frame *f)
{
	return take_credit(f, f->len);
}

static enum ledger_answer
on_data_ext(struct frame *f)
{
	return take_credit(f, f->len - 4);
}

static enum ledger_answer
on_window(struct frame *f)
{
	int64_t *credit = &f->ch->credit[f->other];

	*credit += u32_at(f->data);
	if (*credit > (int64_t)UINT32_MAX)
		return broken(f, "credit beyond 2^32 - 1");
	return LEDGER_PASS;
}

static enum ledger_answer
on_eof(struct frame *f)
{
	if (f->ch->eof[f->side])
		return broken(f, "a second EOF");
	f->ch->eof[f->side] = true;
	return LEDGER_PASS;
}

static enum ledger_answer
on_close(struct frame *f)
{
	f->ch->closed[f->side] = true;
	if (f->ch->closed[f->other])
		drop(f->l, f->ch);
	return LEDGER_PASS;
}

/*
 * Requests that may cross without being asked about: they prepare or steer what was allowed, and
 * grant nothing.
 */
static const char *const free_requests[] = { "window-change", "signal", "break", "eow@openssh.com",
	"xon-xoff", "keepalive@openssh.com" };
static const char *const free_globals[] = { "keepalive@openssh.com" };

/* Number, name, want_reply: the head that channel and global requests share. */
static enum ledger_answer
take_request(struct frame *f, uint32_t *last, const char *const *free_names, size_t n_names)
{
	const uint8_t *name;
	size_t name_len;

	if (!name_at(f, 4, &name, &name_len) || f->len < 4 + 4 + name_len + 1)
		return broken(f, "malformed request");
	if (u32_at(f->data) <= *last)
		return broken(f, "a request number out of order");
	*last = u32_at(f->data);
	for (size_t i = 0; i < n_names; i++)
		if (name_is(name, name_len, free_names[i]))
			return LEDGER_PASS;
	return LEDGER_ASK;
}

/* A second program would have the first one's bytes read, and held, by its own terms. */
static bool
takes_program(struct frame *f)
{
	const uint8_t *name;
	size_t name_len;
	bool had = f->ch->program;

	if (f->side != LEDGER_FRONT || !name_at(f, 4, &name, &name_len) ||
	    !ledger_is_program(name, name_len))
		return true;
	f->ch->program = true;
	return !had;
}

/* One of those that cross, and without surprises: programs at the target would read the name as it is. */
static bool
env_is_let(const struct ledger *l, const uint8_t *name, size_t len)
{
	char text[128];

	if (len == 0 || len >= sizeof(text) || memchr(name, '\0', len) != NULL ||
	    memchr(name, '=', len) != NULL)
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	for (size_t i = 0; i < l->n_env; i++)
		if (str_match(l->env[i], text))
			return true;
	return false;
}

/* A string at off that is the rest of the request, which may go on in other frames. */
static bool
value_at(struct frame *f, size_t off)
{
	size_t all;

	if (f->len < off + 4)
		return false;
	all = off + 4 + u32_at(f->data + off);
	f->l->more_all[f->side] = all;
	return f->len == LINK_REQUEST_PART ? all >= f->len : all == f->len;
}

/*
 * RFC 4254 section 6.4: string name, string value. Clients ask for several before each program, so they are judged here and not by
 * policy, a round trip each; what is let through is the same for everybody.
 */
static enum ledger_answer
judge_env(struct frame *f)
{
	const uint8_t *name;
	size_t name_len, off = 4 + 4 + strlen("env") + 1;

	if (!string_at(f->data, f->len, off, &name, &name_len) || !value_at(f, off + 4 + name_len))
		return broken(f, "malformed env request");
	f->why = f->ch->n_env == LEDGER_ENV_MAX ? "too many variables" : "not an allowed variable";
	if (f->ch->n_env == LEDGER_ENV_MAX || !env_is_let(f->l, name, name_len))
		return LEDGER_DENY;
	f->ch->n_env++;
	return LEDGER_PASS;
}

static enum ledger_answer
on_request(struct frame *f)
{
	enum ledger_answer answer;
	const uint8_t *name;
	size_t len;

	if (!takes_program(f))
		return broken(f, "a second program on a channel");
	answer = take_request(f, &f->ch->requested[f->side], free_requests,
	    sizeof(free_requests) / sizeof(free_requests[0]));
	if (answer == LEDGER_ASK && f->side == LEDGER_FRONT && name_at(f, 4, &name, &len) &&
	    name_is(name, len, "env"))
		return judge_env(f);
	return answer;
}

static enum ledger_answer
on_global(struct frame *f)
{
	return take_request(f, &f->l->requested[f->side], free_globals,
	    sizeof(free_globals) / sizeof(free_globals[0]));
}

static enum ledger_answer
take_reply(struct frame *f, uint32_t asked, uint32_t *answered)
{
	uint32_t number = u32_at(f->data);

	if (number > asked || number <= *answered)
		return broken(f, "a reply to nothing that was asked");
	*answered = number;
	return LEDGER_PASS;
}

static enum ledger_answer
on_reply(struct frame *f)
{
	return take_reply(f, f->ch->requested[f->other], &f->ch->answered[f->side]);
}

static enum ledger_answer
on_global_reply(struct frame *f)
{
	return take_reply(f, f->l->requested[f->other], &f->l->answered[f->side]);
}

static enum ledger_answer
on_note(struct frame *f)
{
	static const unsigned senders[] = {
		[LINK_NOTE_CLIENT] = FRONT,
		[LINK_NOTE_CONNECTED] = BACK,
		[LINK_NOTE_READY] = BACK,
		[LINK_NOTE_REFUSED] = BOTH,
		[LINK_NOTE_BANNER] = BACK,
		[LINK_NOTE_VERDICT] = 0,
		[LINK_NOTE_UNCLOSED] = BOTH,
		[LINK_NOTE_ASKING] = BACK,
	};

	if (f->data[0] >= sizeof(senders) / sizeof(senders[0]) ||
	    (senders[f->data[0]] & 1u << f->side) == 0)
		return broken(f, "a note that it may not make");
	if (f->data[0] == LINK_NOTE_ASKING &&
	    (!f->l->asking || f->len != 2 || find(f->l, f->number) == NULL))
		return broken(f, "a note that only the bastion's own shell makes");
	return LEDGER_PASS;
}

static enum ledger_answer
on_end(struct frame *f)
{
	const uint8_t *text;
	size_t text_len;

	if (f->data[0] < LINK_END_CLIENT || f->data[0] > LINK_END_INTERNAL ||
	    !string_at(f->data, f->len, 1, &text, &text_len))
		return broken(f, "malformed end");
	f->l->ended[f->side] = true;
	return LEDGER_PASS;
}

/* What a frame is about. */
enum about {
	ABOUT_LEG,     /* channel 0 */
	ABOUT_NEW,     /* a channel that begins with it */
	ABOUT_CHANNEL, /* one that is there and that its sender has not closed */
	ABOUT_OPEN,    /* the same, and it was confirmed if the other side opened it */
	ABOUT_ANY
};

static const struct rule {
	uint16_t type;
	uint32_t min_len, max_len;
	unsigned senders;
	enum about about;
	enum ledger_answer (*judge)(struct frame *f);
} rules[] = {
	{ LINK_DATA, 1, LINK_DATA_MAX, BOTH, ABOUT_OPEN, on_data },
	{ LINK_DATA_EXT, 5, LINK_DATA_MAX + 4, BOTH, ABOUT_OPEN, on_data_ext },
	{ LINK_WINDOW, 4, 4, BOTH, ABOUT_CHANNEL, on_window },
	{ LINK_OPEN, 5, EVENT_DATA_MAX, BOTH, ABOUT_NEW, on_open },
	{ LINK_OPEN_OK, 0, EVENT_DATA_MAX, BOTH, ABOUT_CHANNEL, on_open_ok },
	{ LINK_OPEN_FAIL, 8, EVENT_DATA_MAX, BOTH, ABOUT_CHANNEL, on_open_fail },
	{ LINK_EOF, 0, 0, BOTH, ABOUT_OPEN, on_eof },
	{ LINK_CLOSE, 0, 0, BOTH, ABOUT_CHANNEL, on_close },
	{ LINK_REQUEST, 10, LINK_REQUEST_PART, BOTH, ABOUT_OPEN, on_request },
	{ LINK_MORE, 0, LINK_REQUEST_PART, FRONT, ABOUT_CHANNEL, NULL },
	{ LINK_REPLY, 5, 5, BOTH, ABOUT_CHANNEL, on_reply },
	{ LINK_EXIT_STATUS, 4, 4, BACK, ABOUT_OPEN, NULL },
	{ LINK_EXIT_SIGNAL, 13, EVENT_DATA_MAX, BACK, ABOUT_OPEN, NULL },
	{ LINK_GLOBAL, 10, EVENT_DATA_MAX, BOTH, ABOUT_LEG, on_global },
	{ LINK_GLOBAL_REPLY, 5, EVENT_DATA_MAX, BOTH, ABOUT_LEG, on_global_reply },
	{ LINK_NOTE, 1, EVENT_DATA_MAX, BOTH, ABOUT_ANY, on_note },
	{ LINK_END, 5, EVENT_DATA_MAX, BOTH, ABOUT_LEG, on_end },
};

static const struct rule *
find_rule(uint16_t type)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

/* The channel of the frame. LEDGER_PASS: go on; anything else is the answer. */
static enum ledger_answer
judge_channel(struct frame *f, enum about about)
{
	if (about == ABOUT_ANY || about == ABOUT_NEW)
		return LEDGER_PASS;
	if (about == ABOUT_LEG)
		return f->number == 0 ? LEDGER_PASS : broken(f, "not a frame of a channel");
	f->ch = find(f->l, f->number);
	if (f->ch == NULL)
		return broken(f, "there is no such channel");
	if (f->ch->closed[f->side])
		return broken(f, "a frame after CLOSE");
	if (f->ch->cut) {
		f->ch->closed[f->side] = f->type == LINK_CLOSE;
		if (f->ch->closed[f->side] && f->ch->closed[f->other])
			drop(f->l, f->ch);
		return LEDGER_DROP;
	}
	if (f->ch->refused) {
		if (f->ch->opener != f->side)
			return broken(f, "a frame of a channel that was refused");
		f->ch->closed[f->side] = f->type == LINK_CLOSE;
		return LEDGER_DROP;
	}
	if (about == ABOUT_OPEN && f->ch->opener != f->side && !f->ch->confirmed)
		return broken(f, "a frame of a channel that it has not confirmed");
	return LEDGER_PASS;
}

static bool
is_piece(const struct frame *f)
{
	return f->type == LINK_REQUEST || f->type == LINK_MORE;
}

/* Bytes of the request that this frame is of, with it. */
static size_t
more_len(const struct frame *f)
{
	return f->len + (f->type == LINK_MORE ? f->l->more_len[f->side] : 0);
}

/* Requests in several frames: whether this one may come now. */
static enum ledger_answer
judge_more(struct frame *f)
{
	struct ledger *l = f->l;
	bool more = l->more[f->side];

	if (more != (f->type == LINK_MORE) || (more && l->more_of[f->side] != f->number))
		return broken(f, "a frame inside a request, or a piece of none");
	if (!is_piece(f))
		return LEDGER_PASS;
	if (f->side == LEDGER_BACK && f->len == LINK_REQUEST_PART)
		return broken(f, "a request of the back in several frames");
	if (f->type == LINK_REQUEST)
		l->more_all[f->side] = 0;
	else if (l->more_all[f->side] != 0 && f->len < LINK_REQUEST_PART &&
		 more_len(f) != l->more_all[f->side])
		return broken(f, "a request of another length than it said");
	if (more_len(f) > LINK_REQUEST_MAX)
		return broken(f, "a longer request than there may be");
	return LEDGER_PASS;
}

static void
note_more(const struct frame *f)
{
	struct ledger *l = f->l;

	if (!is_piece(f))
		return;
	l->more_len[f->side] = more_len(f);
	l->more[f->side] = f->len == LINK_REQUEST_PART;
	l->more_of[f->side] = f->number;
}

enum ledger_answer
ledger_judge(struct ledger *l, enum ledger_side side, uint16_t type, uint32_t channel,
    const uint8_t *data, size_t len, const char **ret_why)
{
	const struct rule *rule = find_rule(type);
	struct frame f = { .l = l,
		.side = side,
		.other = side == LEDGER_FRONT ? LEDGER_BACK : LEDGER_FRONT,
		.type = type,
		.number = channel,
		.data = data,
		.len = len };
	enum ledger_answer answer;

	if (rule == NULL)
		answer = broken(&f, "a frame of unknown type");
	else if (l->ended[side])
		answer = broken(&f, "a frame after END");
	else if (len < rule->min_len || len > rule->max_len)
		answer = broken(&f, "a frame of a length that its type cannot have");
	else if ((rule->senders & 1u << side) == 0)
		answer = broken(&f, "a frame that this side may not send");
	else if ((answer = judge_more(&f)) == LEDGER_PASS)
		answer = judge_channel(&f, rule->about);
	if (answer == LEDGER_PASS && rule->judge != NULL)
		answer = rule->judge(&f);
	if (answer == LEDGER_BROKEN || answer == LEDGER_DENY)
		*ret_why = f.why;
	if (answer != LEDGER_BROKEN)
		note_more(&f);
	return answer;
}
