/* One table: event type to the function that knows what it says about its channel. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "policy/policy_proto.h"
#include "recorder/summary.h"
#include "recorder/veil.h"

#define KIND_MAX 128u /* bytes of a channel's kind, terminal name, address */

void
summary_init(struct summary *s)
{
	*s = (struct summary){ .files_max = SESS_FILES_MAX, .files_text_max = SESS_FILES_TEXT_MAX };
}

void
summary_done(struct summary *s)
{
	for (uint32_t i = 0; i < s->n_channels; i++)
		sess_channel_done(&s->channels[i]);
	free(s->channels);
	sess_files_free(s->files, s->n_files);
	unseen_done(&s->unseen);
	free(s->address);
	summary_init(s);
}

void
summary_give(struct summary *s, struct sess *sess)
{
	for (uint32_t i = 0; i < sess->n_channels; i++)
		sess_channel_done(&sess->channels[i]);
	free(sess->channels);
	sess->channels = s->channels;
	sess->n_channels = s->n_channels;
	sess_files_free(sess->files, sess->n_files);
	sess->files = s->files;
	sess->n_files = s->n_files;
	sess->files_total = s->files_total;
	unseen_done(&sess->unseen);
	sess->unseen = s->unseen;
	if (s->address != NULL) {
		free(sess->address);
		sess->address = s->address;
	}
	summary_init(s);
}

static struct sess_channel *
find_channel(struct summary *s, uint32_t number)
{
	if (s->last < s->n_channels && s->channels[s->last].number == number)
		return &s->channels[s->last];
	for (uint32_t i = s->n_channels; i > 0; i--)
		if (s->channels[i - 1].number == number) {
			s->last = i - 1;
			return &s->channels[i - 1];
		}
	return NULL;
}

/* Put a copy of at most max bytes in place of *dst; a NUL inside ends it. */
static int
set_text(char **dst, const void *data, size_t len, size_t max)
{
	char *copy = strndup(data, len < max ? len : max);

	if (copy == NULL)
		return -ENOMEM;
	free(*dst);
	*dst = copy;
	return 0;
}

/* The next string of a payload as text; *dst stays as it is when there is none. */
static int
take_text(struct buf *b, char **dst, size_t max)
{
	const uint8_t *p;
	size_t len;

	if (buf_get_str(b, &p, &len) != 0)
		return 0;
	return set_text(dst, p, len, max);
}

/* The same of a request of which this is the first frame: what there is of it is more than is kept. */
static int
take_long(struct buf *b, char **dst, size_t max)
{
	uint32_t len;

	return buf_get_u32(b, &len) != 0 ? 0 : set_text(dst, buf_ptr(b), buf_len(b), max);
}

static int
add_channel(struct summary *s, uint32_t number, struct sess_channel **ret_ch)
{
	struct sess_channel *ch;

	if (s->n_channels == s->size) {
		uint32_t size = s->size == 0 ? 4 : s->size * 2;

		if ((ch = reallocarray(s->channels, size, sizeof(*ch))) == NULL)
			return -ENOMEM;
		s->channels = ch;
		s->size = size;
	}
	ch = &s->channels[s->n_channels];
	*ch = (struct sess_channel){
		.number = number, .kind = strdup(""), .command = strdup(""), .term = strdup("")
	};
	if (ch->kind == NULL || ch->command == NULL || ch->term == NULL) {
		sess_channel_done(ch);
		return -ENOMEM;
	}
	s->last = s->n_channels++;
	*ret_ch = ch;
	return 0;
}

/*
 * RFC 4254 section 7.2: both kinds of TCP channel begin with the address and port that they are
 * about.
 */
static int
take_forward(struct sess_channel *ch, struct buf *b)
{
	char *host = NULL, *text;
	uint32_t port;
	size_t size;
	int r;

	if ((r = take_text(b, &host, SESS_COMMAND_MAX - 16)) != 0 || host == NULL ||
	    buf_get_u32(b, &port) != 0) {
		free(host);
		return r;
	}
	size = strlen(host) + 16;
	if ((text = malloc(size)) != NULL) {
		(void)snprintf(text, size, "%s %u", host, port);
		free(ch->command);
		ch->command = text;
	}
	free(host);
	return text != NULL ? 0 : -ENOMEM;
}

static int
on_open(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	int r;

	if (ch != NULL || s->n_channels == SESS_CHANNELS_MAX)
		return 0;
	if ((r = add_channel(s, ev->channel, &ch)) != 0)
		return r;
	ch->opened_ns = ev->at_ns;
	if ((r = take_text(b, &ch->kind, KIND_MAX)) != 0)
		return r;
	if (strcmp(ch->kind, "direct-tcpip") == 0 || strcmp(ch->kind, "forwarded-tcpip") == 0)
		return take_forward(ch, b);
	return 0;
}

static int
on_open_fail(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	(void)s;
	(void)b;
	ch->denied = true;
	ch->closed_ns = ev->at_ns;
	return 0;
}

static int
on_data(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	(void)b;
	if (ev->way == EVENT_FRONT)
		ch->bytes_in += ev->len;
	else if (ev->way == EVENT_BACK)
		ch->bytes_out += ev->len;
	return ev->way == EVENT_FRONT ? unseen_add(&s->unseen, &ch->row, ev) : 0;
}

static int
on_data_ext(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	uint64_t len = ev->len > 4 ? ev->len - 4 : 0;

	(void)s;
	(void)b;
	if (ev->way == EVENT_FRONT)
		ch->bytes_in += len;
	else if (ev->way == EVENT_BACK)
		ch->bytes_err += len;
	return 0;
}

static int
take_pty(struct sess_channel *ch, struct buf *b)
{
	int r;

	if (ch->pty)
		return 0;
	if ((r = take_text(b, &ch->term, KIND_MAX)) != 0)
		return r;
	ch->pty = buf_get_u32(b, &ch->cols) == 0 && buf_get_u32(b, &ch->rows) == 0;
	return 0;
}

static int
on_request(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	static const char *const programs[] = { "shell", "exec", "subsystem" };
	char name[KIND_MAX];
	uint32_t number;
	uint8_t want;
	int r;

	(void)s;
	if (ev->way == EVENT_BACK || ev->way == EVENT_TO_FRONT || buf_get_u32(b, &number) != 0 ||
	    buf_get_cstr(b, name, sizeof(name)) != 0 || buf_get_u8(b, &want) != 0)
		return 0;
	if (strcmp(name, "pty-req") == 0)
		return take_pty(ch, b);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (strcmp(name, programs[i]) != 0)
			continue;
		if ((r = set_text(&ch->kind, name, strlen(name), KIND_MAX)) != 0)
			return r;
		return ev->len == LINK_REQUEST_PART ? take_long(b, &ch->command, SESS_COMMAND_MAX)
						    : take_text(b, &ch->command, SESS_COMMAND_MAX);
	}
	return 0;
}

static int
on_exit_status(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	(void)s;
	if (ev->way == EVENT_BACK && buf_get_u32(b, &ch->exit_status) == 0)
		ch->exit = SESS_EXIT_STATUS;
	return 0;
}

static int
on_exit_signal(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	(void)s;
	if (ev->way == EVENT_BACK && buf_get_cstr(b, ch->exit_signal, sizeof(ch->exit_signal)) == 0)
		ch->exit = SESS_EXIT_SIGNAL;
	return 0;
}

static int
on_close(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	(void)s;
	(void)b;
	ch->closed_ns = ev->at_ns;
	return 0;
}

/* A denied program or channel was asked for, and did not run. */
static int
on_verdict(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	static const char *const programs[] = { "shell", "exec", "subsystem" };
	uint8_t way, type, verdict;
	char asked[KIND_MAX];

	(void)s;
	(void)ev;
	if (buf_get_u8(b, &way) != 0 || buf_get_u8(b, &type) != 0 || buf_get_u8(b, &verdict) != 0 ||
	    buf_get_cstr(b, asked, sizeof(asked)) != 0 || verdict != POL_DENY)
		return 0;
	ch->denied = ch->denied || type == LINK_OPEN;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (type == LINK_REQUEST && strcmp(asked, programs[i]) == 0)
			ch->denied = true;
	return 0;
}

/* LINK_NOTE_CONNECTED of the back names where it is connected to. */
static int
on_note(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	uint8_t note;

	(void)ch;
	if (ev->way != EVENT_BACK || buf_get_u8(b, &note) != 0 || note != LINK_NOTE_CONNECTED)
		return 0;
	return take_text(b, &s->address, KIND_MAX);
}

/* File content whose hash stands in its place: it crossed like any other data. */
static int
on_content(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	uint32_t number, len;
	uint64_t offset;

	(void)s;
	if (buf_get_u32(b, &number) != 0 || buf_get_u64(b, &offset) != 0 ||
	    buf_get_u32(b, &len) != 0)
		return 0;
	if (ev->way == EVENT_FRONT)
		ch->bytes_in += len;
	else if (ev->way == EVENT_BACK)
		ch->bytes_out += len;
	return 0;
}

/* Typed bytes that were veiled count when they are shown: what is hidden has no length. */
static int
on_shown(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	uint32_t run, len;

	if (buf_get_u32(b, &run) == 0 && buf_skip(b, VEIL_KEY_LEN) == 0 &&
	    buf_get_u32(b, &len) == 0)
		ch->bytes_in += len;
	return unseen_add(&s->unseen, &ch->row, ev);
}

static int
on_unseen(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	(void)b;
	return unseen_add(&s->unseen, &ch->row, ev);
}

static int
keep_file(struct summary *s, const uint8_t *text, size_t len)
{
	char *copy;

	if (s->n_files == s->files_size) {
		uint32_t size = s->files_size == 0 ? 16 : s->files_size * 2;
		char **more = reallocarray(s->files, size, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		s->files = more;
		s->files_size = size;
	}
	if ((copy = strndup((const char *)text, len)) == NULL)
		return -ENOMEM;
	s->files[s->n_files++] = copy;
	s->files_len += len;
	return 0;
}

static int
on_file(struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b)
{
	const uint8_t *text;
	uint32_t number;
	size_t len;

	(void)ch;
	(void)ev;
	if (buf_get_u32(b, &number) != 0 || buf_get_str(b, &text, &len) != 0)
		return 0;
	s->files_total++;
	/* The first ones without gap. */
	if (s->files_total != s->n_files + 1 || s->n_files == s->files_max ||
	    len > s->files_text_max - s->files_len)
		return 0;
	return keep_file(s, text, len);
}

static const struct summary_rule {
	uint8_t type;
	bool needs_channel;
	int (*add)(
	    struct summary *s, struct sess_channel *ch, const struct event *ev, struct buf *b);
} rules[] = {
	{ LINK_DATA, true, on_data },
	{ LINK_DATA_EXT, true, on_data_ext },
	{ LINK_OPEN, false, on_open },
	{ LINK_OPEN_FAIL, true, on_open_fail },
	{ LINK_REQUEST, true, on_request },
	{ LINK_EXIT_STATUS, true, on_exit_status },
	{ LINK_EXIT_SIGNAL, true, on_exit_signal },
	{ LINK_CLOSE, true, on_close },
	{ LINK_NOTE, false, on_note },
	{ EVENT_CONTENT, true, on_content },
	{ EVENT_SHOWN, true, on_shown },
	{ EVENT_HIDDEN, true, on_unseen },
	{ EVENT_MASKED, true, on_unseen },
	{ EVENT_FILE, false, on_file },
	{ EVENT_VERDICT, true, on_verdict },
};

int
summary_add(struct summary *s, const struct event *ev)
{
	struct sess_channel *ch;
	struct buf *b;
	int r;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct summary_rule *rule = &rules[i];

		if (rule->type != ev->type)
			continue;
		ch = find_channel(s, ev->channel);
		if (ch == NULL && rule->needs_channel)
			return 0;
		/* Data is counted, not read: no view of it. */
		if (i < 2)
			return rule->add(s, ch, ev, NULL);
		if ((b = buf_view(ev->data, ev->len)) == NULL)
			return -ENOMEM;
		r = rule->add(s, ch, ev, b);
		buf_free(b);
		return r;
	}
	return 0;
}
