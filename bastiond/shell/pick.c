/* The picker as a state machine. Everything that is drawn is printable ASCII but for the few sequences here. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bastiond/shell/pick.h"
#include "lib/str.h"

#define LOGINS_MAX 64u	 /* of one host */
#define NAME_SIZE 256u	 /* bytes of a host's name or login, with NUL */
#define SEQUENCE_MAX 16u /* bytes of a key's sequence; longer ones are no keys */

struct host {
	char *name, *labels; /* owned */
	char **logins;	     /* owned */
	size_t n_logins;
	bool any_login, pattern;
};

enum mode { MODE_HOSTS, MODE_LOGINS };
enum escape { ESC_NONE, ESC_SEEN, ESC_CSI, ESC_SS3 };

struct pick {
	struct host *hosts;
	size_t n;
	const struct host **shown; /* those that fit what is typed */
	size_t n_shown;
	const char *fit[LOGINS_MAX]; /* MODE_LOGINS: those of the chosen host that fit */
	size_t n_fit;
	char me[NAME_SIZE];
	enum mode mode;
	const struct host *host; /* MODE_LOGINS: the chosen one */
	char host_name[NAME_SIZE];
	char kept[PICK_TYPED_SIZE]; /* MODE_LOGINS: what was typed before */
	char typed[PICK_TYPED_SIZE];
	size_t n_typed, at, top; /* at: the marked row; top: the first that is seen */
	uint32_t cols, rows;
	enum escape escape;
	char sequence[SEQUENCE_MAX];
	size_t n_sequence;
	char target[PICK_TARGET_SIZE];
	char line[PICK_LINE_MAX + 1];
};

/* The hosts. */

static void
host_done(struct host *h)
{
	free(h->name);
	free(h->labels);
	for (size_t i = 0; i < h->n_logins; i++)
		free(h->logins[i]);
	free(h->logins);
}

void
pick_free(struct pick *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		host_done(&p->hosts[i]);
	free(p->hosts);
	free(p->shown);
	free(p);
}

/* A text of the answer as it may be drawn. */
static char *
plain_copy(const char *text)
{
	char shown[NAME_SIZE];

	return strdup(str_plain(shown, sizeof(shown), text, strlen(text)));
}

static int
host_logins(struct host *h, const struct json_node *list)
{
	size_t n = json_n(list);

	h->logins = calloc(n + 1, sizeof(char *));
	if (h->logins == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n && h->n_logins < LOGINS_MAX; i++) {
		const char *name = json_str(json_get(json_at(list, i), "login"), "");

		if (strcmp(name, "*") == 0) {
			h->any_login = true;
			continue;
		}
		if ((h->logins[h->n_logins] = plain_copy(name)) == NULL)
			return -ENOMEM;
		h->n_logins++;
	}
	return 0;
}

static int
host_init(struct host *h, const struct json_node *j)
{
	const char *name = json_str(json_get(j, "host"), "");

	if (name[0] == '\0')
		return ERR_FORMAT;
	h->pattern = strpbrk(name, "*?") != NULL;
	h->name = plain_copy(name);
	h->labels = plain_copy(json_str(json_get(j, "labels_text"), ""));
	if (h->name == NULL || h->labels == NULL)
		return -ENOMEM;
	return host_logins(h, json_get(j, "logins"));
}

/* What is typed. */

/* "root@web1", "root+web1", "web1": the part behind the login. */
static const char *
typed_host(const struct pick *p)
{
	const char *sep = strpbrk(p->typed, "@+");

	return sep != NULL ? sep + 1 : p->typed;
}

/* The part before it; false: none. dst: NAME_SIZE bytes. */
static bool
typed_login(const struct pick *p, char *dst)
{
	size_t n = strcspn(p->typed, "@+");

	if (p->typed[n] == '\0' || n == 0)
		return false;
	memcpy(dst, p->typed, n);
	dst[n] = '\0';
	return true;
}

static bool
has(const char *text, const char *word, size_t len)
{
	for (; *text != '\0'; text++)
		if (strncasecmp(text, word, len) == 0)
			return true;
	return false;
}

static void
lower(char *dst, const char *src, size_t size)
{
	size_t n = 0;

	for (; src[n] != '\0' && n + 1 < size; n++)
		dst[n] = (char)tolower((unsigned char)src[n]);
	dst[n] = '\0';
}

/* A name that could be a host of this pattern. */
static bool
is_of_pattern(const struct host *h, const char *typed)
{
	char name[PICK_TYPED_SIZE];

	lower(name, typed, sizeof(name));
	return h->pattern && name[0] != '\0' && strpbrk(name, "*? ") == NULL &&
	       str_match(h->name, name);
}

/* Every word that is typed is in the host's name or labels. */
static bool
fits(const struct host *h, const char *typed)
{
	if (is_of_pattern(h, typed))
		return true;
	for (const char *w = typed + strspn(typed, " "); *w != '\0'; w += strspn(w, " ")) {
		size_t len = strcspn(w, " ");

		if (!has(h->name, w, len) && !has(h->labels, w, len))
			return false;
		w += len;
	}
	return true;
}

/* The host that is marked first: the one of that name, else the first that begins so, else the first. */
static size_t
best(const struct pick *p, const char *typed)
{
	size_t len = strlen(typed), found = 0;
	bool begins = false;

	for (size_t i = 0; i < p->n_shown; i++) {
		if (strcasecmp(p->shown[i]->name, typed) == 0)
			return i;
		if (!begins && len > 0 && strncasecmp(p->shown[i]->name, typed, len) == 0) {
			begins = true;
			found = i;
		}
	}
	return found;
}

static void
filter_hosts(struct pick *p)
{
	const char *typed = typed_host(p);

	p->n_shown = 0;
	for (size_t i = 0; i < p->n; i++)
		if (fits(&p->hosts[i], typed))
			p->shown[p->n_shown++] = &p->hosts[i];
	p->at = best(p, typed);
	p->top = 0;
}

static void
filter_logins(struct pick *p)
{
	p->n_fit = 0;
	p->at = p->top = 0;
	for (size_t i = 0; i < p->host->n_logins; i++)
		if (has(p->host->logins[i], p->typed, p->n_typed)) {
			if (strcmp(p->host->logins[i], p->n_typed > 0 ? p->typed : p->me) == 0)
				p->at = p->n_fit;
			p->fit[p->n_fit++] = p->host->logins[i];
		}
}

static void
filter(struct pick *p)
{
	if (p->mode == MODE_HOSTS)
		filter_hosts(p);
	else
		filter_logins(p);
}

static size_t
n_rows(const struct pick *p)
{
	return p->mode == MODE_HOSTS ? p->n_shown : p->n_fit;
}

/* Sizes. */

/* Rows of the list that are seen at once, and whether the line below it is. */
static size_t
page(const struct pick *p)
{
	size_t rows = p->rows > 2 ? p->rows - 2 : 1;

	return rows < p->n ? rows : p->n;
}

static void
scroll(struct pick *p)
{
	size_t n = page(p), rows = n_rows(p);

	if (rows > 0 && p->at >= rows)
		p->at = rows - 1;
	if (p->at < p->top)
		p->top = p->at;
	if (p->at >= p->top + n)
		p->top = p->at - n + 1;
}

void
pick_resize(struct pick *p, uint32_t cols, uint32_t rows)
{
	p->cols = cols != 0 ? cols : 80;
	p->rows = rows != 0 ? rows : 24;
	if (p->cols > PICK_LINE_MAX)
		p->cols = PICK_LINE_MAX;
	if (p->rows > 200)
		p->rows = 200;
	scroll(p);
}

int
pick_new(const struct json_node *hosts, const char *me, struct pick **ret_pick)
{
	struct pick *p;
	size_t n = json_n(hosts);
	int r = -ENOMEM;

	if (!json_is_list(hosts))
		return ERR_FORMAT;
	if (n == 0)
		return ERR_NOT_FOUND;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return r;
	p->hosts = calloc(n, sizeof(*p->hosts));
	p->shown = calloc(n, sizeof(const struct host *));
	if (p->hosts == NULL || p->shown == NULL)
		goto out;
	str_plain(p->me, sizeof(p->me), me, strlen(me));
	for (; p->n < n; p->n++)
		if ((r = host_init(&p->hosts[p->n], json_at(hosts, p->n))) != 0) {
			host_done(&p->hosts[p->n]);
			goto out;
		}
	pick_resize(p, 0, 0);
	filter(p);
	*ret_pick = p;
	p = NULL;
	r = 0;
out:
	pick_free(p);
	return r;
}

const char *
pick_target(const struct pick *p)
{
	return p->target;
}

void
pick_say(struct pick *p, const char *line)
{
	str_plain(p->line, sizeof(p->line), line, strlen(line));
}

/* Choosing. */

static enum pick_result
connect_to(struct pick *p, const char *login, const char *host)
{
	int r = login != NULL ? str_format(p->target, sizeof(p->target), "%s+%s", login, host)
			      : str_copy(p->target, sizeof(p->target), host);

	if (r != 0) {
		pick_say(p, "that name is too long");
		return PICK_MORE;
	}
	return PICK_CONNECT;
}

static void
ask_login(struct pick *p, const struct host *h, const char *name)
{
	memcpy(p->kept, p->typed, sizeof(p->kept));
	(void)snprintf(p->host_name, sizeof(p->host_name), "%s", name); /* it fits */
	p->host = h;
	p->mode = MODE_LOGINS;
	p->n_typed = 0;
	p->typed[0] = '\0';
	filter(p);
	scroll(p);
}

/* The host's own name, or what was typed for a pattern; NULL: nothing was. dst: NAME_SIZE bytes. */
static const char *
name_of(const struct pick *p, const struct host *h, char *dst)
{
	if (!h->pattern)
		return h->name;
	if (!is_of_pattern(h, typed_host(p)))
		return NULL;
	lower(dst, typed_host(p), NAME_SIZE);
	return dst;
}

static enum pick_result
enter_host(struct pick *p)
{
	char login[NAME_SIZE], space[NAME_SIZE];
	bool has_login = typed_login(p, login);
	const struct host *h;
	const char *name;

	if (p->n_shown == 0) {
		pick_say(p, "no host of yours fits that");
		return PICK_MORE;
	}
	h = p->shown[p->at];
	if ((name = name_of(p, h, space)) == NULL) {
		pick_say(p, "type the whole name of a host that fits this pattern");
		return PICK_MORE;
	}
	if (has_login)
		return connect_to(p, login, name);
	if (h->n_logins == 1 && !h->any_login)
		return connect_to(p, h->logins[0], name);
	ask_login(p, h, name);
	return PICK_MORE;
}

static enum pick_result
enter_login(struct pick *p)
{
	if (p->n_fit > 0)
		return connect_to(p, p->fit[p->at], p->host_name);
	if (p->host->any_login && p->n_typed > 0)
		return connect_to(p, p->typed, p->host_name);
	pick_say(p, p->n_typed > 0 ? "that is not a login of yours there" : "type a login");
	return PICK_MORE;
}

static enum pick_result
enter(struct pick *p)
{
	return p->mode == MODE_HOSTS ? enter_host(p) : enter_login(p);
}

/* Back from the logins to the hosts; from the hosts: away. */
static enum pick_result
leave(struct pick *p)
{
	if (p->mode == MODE_HOSTS)
		return PICK_LEAVE;
	p->mode = MODE_HOSTS;
	memcpy(p->typed, p->kept, sizeof(p->typed));
	p->n_typed = strlen(p->typed);
	filter(p);
	scroll(p);
	return PICK_MORE;
}

/* Keys. */

enum key { KEY_UP, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_FIRST, KEY_LAST };

static void
move(struct pick *p, enum key key)
{
	size_t rows = n_rows(p), step = key == KEY_UP || key == KEY_DOWN ? 1 : page(p);

	if (rows == 0)
		return;
	switch (key) {
	case KEY_UP:
	case KEY_PAGE_UP:
		p->at -= step < p->at ? step : p->at;
		break;
	case KEY_DOWN:
	case KEY_PAGE_DOWN:
		p->at = step < rows - p->at ? p->at + step : rows - 1;
		break;
	case KEY_FIRST:
		p->at = 0;
		break;
	case KEY_LAST:
		p->at = rows - 1;
		break;
	}
	scroll(p);
}

/* Behind ESC [ or ESC O, as terminals send them (xterm, VT220, the Linux console). */
static const struct {
	const char *sequence;
	enum key key;
} sequences[] = {
	{ "A", KEY_UP },
	{ "B", KEY_DOWN },
	{ "5~", KEY_PAGE_UP },
	{ "6~", KEY_PAGE_DOWN },
	{ "H", KEY_FIRST },
	{ "F", KEY_LAST },
	{ "1~", KEY_FIRST },
	{ "4~", KEY_LAST },
	{ "7~", KEY_FIRST },
	{ "8~", KEY_LAST },
};

static void
end_sequence(struct pick *p)
{
	p->escape = ESC_NONE;
	if (p->n_sequence >= SEQUENCE_MAX)
		return;
	p->sequence[p->n_sequence] = '\0';
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++)
		if (strcmp(sequences[i].sequence, p->sequence) == 0)
			move(p, sequences[i].key);
}

/* A byte of a sequence (ECMA-48 section 5.4): parameters, then one that ends it. */
static void
in_sequence(struct pick *p, uint8_t c)
{
	if (p->n_sequence < SEQUENCE_MAX - 1)
		p->sequence[p->n_sequence++] = (char)c;
	else
		p->n_sequence = SEQUENCE_MAX;
	if (c < 0x20 || c >= 0x7f)
		p->escape = ESC_NONE;
	else if (p->escape == ESC_SS3 || c >= 0x40)
		end_sequence(p);
}

static void
erase(struct pick *p, bool word)
{
	if (word) {
		while (p->n_typed > 0 && p->typed[p->n_typed - 1] == ' ')
			p->n_typed--;
		while (p->n_typed > 0 && p->typed[p->n_typed - 1] != ' ')
			p->n_typed--;
	} else if (p->n_typed > 0) {
		p->n_typed--;
	}
	p->typed[p->n_typed] = '\0';
	filter(p);
	scroll(p);
}

static void
type(struct pick *p, uint8_t c)
{
	if (c < 0x20 || c >= 0x7f || p->n_typed + 1 >= sizeof(p->typed))
		return;
	p->typed[p->n_typed++] = (char)c;
	p->typed[p->n_typed] = '\0';
	filter(p);
	scroll(p);
}

static enum pick_result
take_key(struct pick *p, uint8_t c)
{
	switch (c) {
	case 0x03: /* ^C */
	case 0x04: /* ^D */
		return PICK_LEAVE;
	case 0x07: /* ^G */
		return leave(p);
	case '\r':
	case '\n':
		return enter(p);
	case 0x0e: /* ^N */
		move(p, KEY_DOWN);
		break;
	case 0x10: /* ^P */
		move(p, KEY_UP);
		break;
	case 0x08:
	case 0x7f:
		erase(p, false);
		break;
	case 0x17: /* ^W */
		erase(p, true);
		break;
	case 0x15: /* ^U */
		p->n_typed = 0;
		erase(p, false);
		break;
	case 0x1b:
		p->escape = ESC_SEEN;
		break;
	default:
		type(p, c);
		break;
	}
	return PICK_MORE;
}

/* Behind an ESC: a sequence, another ESC, or a key with Alt, which means nothing here. */
static enum pick_result
after_escape(struct pick *p, uint8_t c)
{
	p->escape = ESC_NONE;
	p->n_sequence = 0;
	if (c == '[')
		p->escape = ESC_CSI;
	else if (c == 'O')
		p->escape = ESC_SS3;
	else if (c == 0x1b)
		return leave(p);
	else if (c < 0x20)
		return take_key(p, c);
	return PICK_MORE;
}

enum pick_result
pick_keys(struct pick *p, const uint8_t *data, size_t len, size_t *ret_used)
{
	enum pick_result result = PICK_MORE;
	size_t i = 0;

	if (len > 0)
		p->line[0] = '\0';
	for (; i < len && result == PICK_MORE; i++) {
		if (p->escape == ESC_NONE)
			result = take_key(p, data[i]);
		else if (p->escape == ESC_SEEN)
			result = after_escape(p, data[i]);
		else
			in_sequence(p, data[i]);
	}
	*ret_used = i;
	return result;
}

bool
pick_waits(const struct pick *p)
{
	return p->escape == ESC_SEEN;
}

enum pick_result
pick_alone(struct pick *p)
{
	if (p->escape != ESC_SEEN)
		return PICK_MORE;
	p->escape = ESC_NONE;
	return leave(p);
}

/* Drawing. The cursor rests in the first line, behind what is typed: what is below it is always ours to clear. */

static int
put_text(struct buf *out, const char *text)
{
	return buf_put(out, text, strlen(text));
}

/* A line that never reaches the last column, so that no terminal wraps it. */
static int
put_line(const struct pick *p, struct buf *out, const char *text)
{
	size_t len = strlen(text), room = p->cols - 1;

	return buf_put(out, text, len < room ? len : room);
}

/* Append to a text that is cut where it is full. */
static void
add(char *dst, size_t size, const char *text)
{
	size_t at = strlen(dst);

	(void)snprintf(dst + at, size - at, "%s", text);
}

static void
row_text(const struct pick *p, size_t i, char *dst, size_t size)
{
	const struct host *h;

	if (p->mode == MODE_LOGINS) {
		(void)snprintf(dst, size, "%s %s", i == p->at ? ">" : " ", p->fit[i]);
		return;
	}
	h = p->shown[i];
	(void)snprintf(dst, size, "%s %-24s ", i == p->at ? ">" : " ", h->name);
	for (size_t l = 0; l < h->n_logins; l++) {
		add(dst, size, l > 0 ? "," : "");
		add(dst, size, h->logins[l]);
	}
	if (h->any_login)
		add(dst, size, h->n_logins > 0 ? ",*" : "*");
	add(dst, size, "  ");
	add(dst, size, h->labels);
}

static int
draw_rows(const struct pick *p, struct buf *out)
{
	char text[1024];
	int r = 0;

	for (size_t i = 0; r == 0 && i < page(p); i++) {
		size_t row = p->top + i;

		if (row >= n_rows(p)) {
			r = put_text(out, "\r\n");
			continue;
		}
		row_text(p, row, text, sizeof(text));
		if ((r = put_text(out, row == p->at ? "\r\n\x1b[7m" : "\r\n")) == 0 &&
		    (r = put_line(p, out, text)) == 0 && row == p->at)
			r = put_text(out, "\x1b[0m");
	}
	return r;
}

static int
draw_foot(const struct pick *p, struct buf *out)
{
	char text[PICK_LINE_MAX + 80];
	int r;

	if (p->line[0] != '\0')
		(void)snprintf(text, sizeof(text), "%s", p->line);
	else if (p->mode == MODE_LOGINS)
		(void)snprintf(text, sizeof(text), "%zu logins; Enter connects, Esc goes back",
		    p->host->n_logins);
	else
		(void)snprintf(text, sizeof(text),
		    "%zu of %zu hosts; type to find, Enter connects, Esc leaves", p->n_shown, p->n);
	if ((r = put_text(out, "\r\n")) != 0)
		return r;
	return put_line(p, out, text);
}

/* The first line: its end is seen when there is no room for all of it. */
static void
prompt_text(const struct pick *p, char *dst, size_t size)
{
	char text[NAME_SIZE + PICK_TYPED_SIZE + 32];
	size_t len;

	if (p->mode == MODE_LOGINS)
		(void)snprintf(text, sizeof(text), "Login on %s: %s", p->host_name, p->typed);
	else
		(void)snprintf(text, sizeof(text), "Host: %s", p->typed);
	len = strlen(text);
	if (len > p->cols - 1)
		(void)snprintf(dst, size, "%s", text + (len - (p->cols - 1)));
	else
		(void)snprintf(dst, size, "%s", text);
}

int
pick_draw(const struct pick *p, struct buf *out)
{
	char prompt[NAME_SIZE + PICK_TYPED_SIZE + 32], back[48];
	size_t below = 0;
	int r;

	prompt_text(p, prompt, sizeof(prompt));
	if ((r = pick_clear(p, out)) != 0 || (r = put_text(out, prompt)) != 0)
		return r;
	if (p->rows >= 2) {
		if ((r = draw_rows(p, out)) != 0)
			return r;
		below += page(p);
	}
	if (p->rows >= 3) {
		if ((r = draw_foot(p, out)) != 0)
			return r;
		below++;
	}
	if (below == 0)
		return 0;
	(void)snprintf(back, sizeof(back), "\x1b[%zuA\r", below);
	if ((r = put_text(out, back)) != 0 || prompt[0] == '\0')
		return r;
	(void)snprintf(back, sizeof(back), "\x1b[%zuC", strlen(prompt));
	return put_text(out, back);
}

int
pick_clear(const struct pick *p, struct buf *out)
{
	(void)p;
	return put_text(out, "\r\x1b[J");
}
