/* Small edits of a YAML text by lines. Whoever calls checks the whole result with the loader before it is used. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "bastionctl/inventory.h"

struct inventory_line {
	const char *p; /* its first byte */
	size_t len;    /* without the line end */
	size_t indent; /* spaces in front */
	bool blank;    /* nothing but spaces and a comment */
};

/* The line at offset *at, which moves behind it. false at the end. */
static bool
inventory_next(const char *text, size_t len, size_t *at, struct inventory_line *ret_line)
{
	struct inventory_line l = { .p = text + *at };
	const char *nl;

	if (*at >= len)
		return false;
	nl = memchr(l.p, '\n', len - *at);
	l.len = nl != NULL ? (size_t)(nl - l.p) : len - *at;
	*at += l.len + (nl != NULL ? 1 : 0);
	while (l.indent < l.len && l.p[l.indent] == ' ')
		l.indent++;
	l.blank = l.indent == l.len || l.p[l.indent] == '#' || l.p[l.indent] == '\r';
	*ret_line = l;
	return true;
}

static bool
inventory_is_key(const struct inventory_line *l, const char *key)
{
	size_t n = strlen(key);
	const char *p = l->p + l->indent;
	size_t len = l->len - l->indent;

	if (len > n + 2 && (p[0] == '"' || p[0] == '\'') && p[n + 1] == p[0] && p[n + 2] == ':')
		return strncmp(p + 1, key, n) == 0;
	return len > n && strncmp(p, key, n) == 0 && p[n] == ':';
}

/* Where the section stands: behind its head line, and behind the last line that belongs to it. */
struct inventory_section {
	bool found;
	size_t head;	   /* offset of "hosts:" */
	size_t body;	   /* offset behind its line */
	size_t end;	   /* offset behind its last line that is not blank */
	size_t indent;	   /* of its entries; 0: none yet */
	bool inline_empty; /* "hosts: {}" */
	bool inline_full;  /* "hosts: {..." on the head's line */
};

static void
inventory_head(struct inventory_section *s, const struct inventory_line *l)
{
	const char *p = l->p + 6;
	size_t n = l->len - 6;

	while (n > 0 && *p == ' ') {
		p++;
		n--;
	}
	s->inline_empty = n >= 2 && strncmp(p, "{}", 2) == 0;
	s->inline_full = !s->inline_empty && n > 0 && *p != '#' && *p != '\r';
}

static struct inventory_section
inventory_find(const char *text, size_t len)
{
	struct inventory_section s = { .found = false };
	struct inventory_line l;
	size_t at = 0, start = 0;

	for (; inventory_next(text, len, &at, &l); start = at) {
		if (!s.found && l.indent == 0 && inventory_is_key(&l, "hosts")) {
			s.found = true;
			s.head = start;
			s.body = s.end = at;
			inventory_head(&s, &l);
			continue;
		}
		if (!s.found || l.blank)
			continue;
		if (l.indent == 0)
			break;
		if (s.indent == 0)
			s.indent = l.indent;
		s.end = at;
	}
	return s;
}

static int
inventory_put_line(struct buf *b, size_t indent, const char *line)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < indent; i++)
		r = buf_put_u8(b, ' ');
	if (r == 0)
		r = buf_put(b, line, strlen(line));
	return r == 0 ? buf_put_u8(b, '\n') : r;
}

/* Copy, and see to it that a new line can begin behind. */
static int
inventory_copy(struct buf *b, const char *p, size_t len)
{
	int r = buf_put(b, p, len);

	if (r == 0 && len > 0 && p[len - 1] != '\n')
		r = buf_put_u8(b, '\n');
	return r;
}

int
inventory_add(const char *text, size_t len, const char *line, struct buf *ret_text)
{
	struct inventory_section s = inventory_find(text, len);
	size_t indent = s.indent != 0 ? s.indent : 2;
	size_t from;
	int r;

	if (s.inline_full)
		return ERR_FORMAT;
	if (!s.found)
		s.head = s.end = len;
	from = s.end;
	if ((r = inventory_copy(ret_text, text, s.inline_empty || !s.found ? s.head : s.end)) != 0)
		return r;
	if ((s.inline_empty || !s.found) && (r = buf_put(ret_text, "hosts:\n", 7)) != 0)
		return r;
	if ((r = inventory_put_line(ret_text, indent, line)) != 0)
		return r;
	return buf_put(ret_text, text + from, len - from);
}

/* The bracketed value behind key in len bytes at p: offsets of '[' and of what follows ']'. */
static bool
inventory_list(const char *p, size_t len, const char *key, size_t *ret_from, size_t *ret_to)
{
	const char *k = memmem(p, len, key, strlen(key));
	const char *open, *close;

	if (k == NULL)
		return false;
	open = memchr(k, '[', len - (size_t)(k - p));
	if (open == NULL)
		return false;
	close = memchr(open, ']', len - (size_t)(open - p));
	if (close == NULL)
		return false;
	*ret_from = (size_t)(open - p);
	*ret_to = (size_t)(close - p) + 1;
	return true;
}

static int
inventory_splice(
    struct buf *b, const char *text, size_t len, size_t from, size_t to, const char *mid)
{
	int r;

	if ((r = buf_put(b, text, from)) != 0 || (r = buf_put(b, mid, strlen(mid))) != 0)
		return r;
	return buf_put(b, text + to, len - to);
}

static int
inventory_pin_flow(const char *text, size_t len, size_t start, const struct inventory_line *l,
    const char *list, struct buf *ret_text)
{
	const char *end = memrchr(l->p, '}', l->len);
	size_t from, to;
	int r;

	if (inventory_list(l->p, l->len, "host_keys:", &from, &to))
		return inventory_splice(ret_text, text, len, start + from, start + to, list);
	if (end == NULL)
		return ERR_FORMAT;
	from = start + (size_t)(end - l->p);
	if ((r = buf_put(ret_text, text, from)) != 0 ||
	    (r = buf_put(ret_text, ", host_keys: ", 13)) != 0)
		return r;
	return inventory_splice(ret_text, text + from, len - from, 0, 0, list);
}

/* The host's settings stand on deeper lines behind its name, which ends at body. */
static int
inventory_pin_block(const char *text, size_t len, size_t body, size_t indent, const char *list,
    struct buf *ret_text)
{
	size_t at = body, start = body, deep = 0;
	struct inventory_line l;
	char line[16384];
	size_t from, to, n;

	for (; inventory_next(text, len, &at, &l); start = at) {
		if (l.blank)
			continue;
		if (l.indent <= indent)
			break;
		if (deep == 0)
			deep = l.indent;
		if (l.indent != deep || !inventory_is_key(&l, "host_keys"))
			continue;
		if (!inventory_list(l.p, l.len, "host_keys:", &from, &to))
			return ERR_FORMAT;
		return inventory_splice(ret_text, text, len, start + from, start + to, list);
	}
	n = strlen(list);
	if (deep == 0 || n + 16 > sizeof(line))
		return ERR_FORMAT;
	memcpy(line, "host_keys: ", 11);
	memcpy(line + 11, list, n + 1);
	if (buf_put(ret_text, text, body) != 0 || inventory_put_line(ret_text, deep, line) != 0)
		return ERR_LIMIT;
	return buf_put(ret_text, text + body, len - body);
}

int
inventory_pin(
    const char *text, size_t len, const char *host, const char *list, struct buf *ret_text)
{
	struct inventory_section s = inventory_find(text, len);
	size_t at = s.body, start = s.body;
	struct inventory_line l;

	if (!s.found)
		return ERR_NOT_FOUND;
	for (; at < s.end && inventory_next(text, len, &at, &l); start = at) {
		if (l.blank || l.indent != s.indent || !inventory_is_key(&l, host))
			continue;
		if (memchr(l.p, '{', l.len) != NULL)
			return inventory_pin_flow(text, len, start, &l, list, ret_text);
		return inventory_pin_block(text, len, at, l.indent, list, ret_text);
	}
	return ERR_NOT_FOUND;
}
