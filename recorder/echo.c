/*
 * Undecided bytes and what decides about them. Input is consumed by the target in order, so what was typed is compared in
 * order: when a later line is shown, an earlier one that was not never will be.
 */
#include "config.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/echo.h"
#include "recorder/echo_part.h"

#define SKIP_FROM                                                                                  \
	4096u /* bytes of output of which only the end is read, while nothing is undecided */
#define SKIP_KEEP 1024u	   /* bytes of that end */
#define COMPARE_MAX 128u   /* cells before the cursor that are compared */
#define COMPARE_BYTES 256u /* typed bytes of a line that are looked at in one comparison */
#define PROMPT_MAX 200u	   /* cells before the cursor in which a prompt is looked for */
#define PAGE_MIN 16u	   /* characters of a page */
#define TRIES_MAX 16u	   /* comparisons in vain in one chunk of output */
#define ANSWER_ROWS 2u	   /* rows of text that are more than a program says about a password, */
#define ANSWER_TEXT 240u   /* and characters in whatever rows */
#define FEEDBACK_KEY 64u   /* bytes of output that may stand for one hidden key, */
#define FEEDBACK_MAX 4096u /* and for all of them */

struct run {
	uint32_t number;
	size_t from, len; /* in memory */
	size_t all;	  /* bytes of it, with those that are not in memory */
	bool behind;	  /* output came before it that showed nothing of what was typed before */
	bool ends;	  /* has the end of a line as its last byte */
	bool worked;	  /* and output as of a command came behind it */
	uint64_t at_ns;	  /* of its last byte */
};

struct echo {
	const struct echo_sink *sink;
	void *arg;
	struct screen screen;

	uint8_t *memory; /* lent; NULL: none */
	size_t used;	 /* bytes of it */
	size_t shown;	 /* of these, so many from the first on have been seen */
	struct run runs[ECHO_RUNS];
	uint32_t n_runs, next_run;
	bool foreign;  /* output came since the last typed byte and showed nothing of it */
	bool answered; /* a line feed came after the end of the first line */

	bool hiding;	 /* what is typed is hidden until the line ends */
	bool marked;	 /* and the record says so */
	bool asked;	 /* the same, until the bastion's shell says otherwise */
	bool armed;	 /* the cursor stands behind a question for a secret */
	bool wary;	 /* it did, and other output came: only an echo shows */
	bool again;	 /* the last line was hidden */
	bool bullets;	 /* keys of a hidden line may still come back as asterisks */
	size_t feedback; /* bytes of output that may still be left out for hidden keys */
	bool trust;	 /* all that was typed in this line was echoed */
	uint32_t kept;	 /* a character that was kept and not echoed yet; 0: none */
	uint64_t typed_ns, noise_ns; /* of the last typed byte; until when output is noise */
	uint64_t now_ns;
	bool unseen;	     /* a line was hidden, and nothing was typed behind it */
	uint32_t rows, text; /* rows with text, and characters, since a line was typed */
	bool row_text;	     /* the cursor's row has text since then */
	bool plainly;	     /* read token by token, for comparisons */
};

/* What one chunk of output was. */
struct chunk {
	size_t n_print, n_bullets;
	size_t n_since; /* characters since the last one that was typed */
	unsigned tries;
	bool line_feed, matched;
	struct token first, second; /* tokens */
	uint32_t row, col, n_modes;
	size_t feedback; /* bytes at its start */
	bool in_feedback, has_feedback;
	bool counts; /* what its first tokens are is looked at */
};

struct echo *
echo_new(const struct echo_sink *sink, void *arg, uint32_t cols, uint32_t rows)
{
	struct echo *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->sink = sink;
	e->arg = arg;
	screen_init(&e->screen, cols, rows);
	return e;
}

void
echo_free(struct echo *e)
{
	if (e == NULL)
		return;
	if (e->memory != NULL)
		sodium_memzero(e->memory, ECHO_MEMORY);
	free(e);
}

void
echo_read_plainly(struct echo *e)
{
	e->plainly = true;
}

void
echo_lend(struct echo *e, uint8_t *memory)
{
	e->memory = memory;
}

bool
echo_is_idle(const struct echo *e)
{
	return e->n_runs == 0;
}

void
echo_resize(struct echo *e, uint32_t cols, uint32_t rows)
{
	screen_set_size(&e->screen, cols, rows);
}

/* What was typed. */

static bool
is_end(uint32_t cp)
{
	return cp == '\r' || cp == '\n' || cp == 3 || cp == 4 || cp == 26 || cp == 28;
}

/* The next key of n > 0 bytes: what it prints, a control character, or 0 for an escape sequence. Returns its bytes. */
static size_t
next_key(const uint8_t *p, size_t n, uint32_t *ret_cp)
{
	size_t i = 2;

	if (p[0] != 0x1b)
		return echo_utf8(p, n, ret_cp);
	*ret_cp = 0;
	if (n == 1 || is_end(p[1]))
		return 1;
	if (p[1] != '[' && p[1] != 'O')
		return 2;
	while (i < n && p[i] >= 0x20 && p[i] < 0x40)
		i++;
	return i < n ? i + 1 : n;
}

static bool
is_printed(uint32_t cp)
{
	return cp >= 0x20 && cp != 0x7f;
}

static bool
has_printed(const uint8_t *p, size_t n)
{
	uint32_t cp;

	for (size_t i = 0; i < n;) {
		i += next_key(p + i, n - i, &cp);
		if (is_printed(cp))
			return true;
	}
	return false;
}

/* Bytes up to the first end of a line, with it; n when there is none. */
static size_t
line_len(const uint8_t *p, size_t n)
{
	uint32_t cp;

	for (size_t i = 0; i < n;) {
		i += next_key(p + i, n - i, &cp);
		if (is_end(cp))
			return i;
	}
	return n;
}

/* Undecided. */

/* The first n runs are decided. */
static void
forget(struct echo *e, uint32_t n)
{
	size_t len = n < e->n_runs ? e->runs[n].from : e->used;

	if (e->memory != NULL) {
		memmove(e->memory, e->memory + len, e->used - len);
		sodium_memzero(e->memory + e->used - len, len);
	}
	e->used -= len;
	e->shown = e->shown > len ? e->shown - len : 0;
	e->n_runs -= n;
	memmove(e->runs, e->runs + n, e->n_runs * sizeof(e->runs[0]));
	for (uint32_t i = 0; i < e->n_runs; i++)
		e->runs[i].from -= len;
	e->answered = false;
}

static int
show_runs(struct echo *e, uint32_t n)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const struct run *run = &e->runs[i];

		r = e->sink->shown(e->arg, run->number, e->memory + run->from, run->len, run->all);
	}
	forget(e, n);
	return r;
}

/* What comes back for keys is left out, but not pictures that are drawn with asterisks and colours. */
static void
let_feedback(struct echo *e, size_t keys)
{
	size_t more = keys < FEEDBACK_MAX / FEEDBACK_KEY ? keys * FEEDBACK_KEY : FEEDBACK_MAX;

	e->bullets = true;
	e->feedback = more < FEEDBACK_MAX - e->feedback ? e->feedback + more : FEEDBACK_MAX;
}

/* Typed bytes of the first n runs. */
static size_t
runs_bytes(const struct echo *e, uint32_t n)
{
	size_t all = 0;

	for (uint32_t i = 0; i < n; i++)
		all += e->runs[i].all;
	return all;
}

/* What came up to now is no answer. */
static void
count_anew(struct echo *e)
{
	e->rows = e->text = 0;
	e->row_text = false;
}

/* A mark for each line; what is typed of the last one from here on needs no second mark. */
static int
mark_lines(struct echo *e, uint32_t n, enum veil_why why)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const struct run *run = &e->runs[i];

		if (run->ends || i + 1 == n)
			r = e->sink->hidden(e->arg, run->number, why);
		if (r == 0 && run->worked)
			r = e->sink->hidden(e->arg, 0, VEIL_ANSWERED);
	}
	return r;
}

static int
hide_runs(struct echo *e, uint32_t n, enum veil_why why)
{
	size_t typed = runs_bytes(e, n);
	bool ends;
	int r;

	if (n == 0)
		return 0;
	ends = e->runs[n - 1].ends;
	e->unseen = n == e->n_runs && ends && !e->runs[n - 1].worked;
	r = mark_lines(e, n, why);
	forget(e, n);
	e->wary = e->wary && !ends;
	if (why == VEIL_SILENT)
		return r;
	count_anew(e);
	e->again = true;
	let_feedback(e, typed);
	if (!ends && e->n_runs == 0)
		e->hiding = e->marked = true;
	return r;
}

/* Runs up to the end of the first line; all when it has not ended. */
static uint32_t
first_line(const struct echo *e)
{
	for (uint32_t i = 0; i < e->n_runs; i++)
		if (e->runs[i].ends)
			return i + 1;
	return e->n_runs;
}

static bool
first_ends(const struct echo *e)
{
	uint32_t n = first_line(e);

	return n > 0 && e->runs[n - 1].ends;
}

/* Characters of the first line that were not seen yet. */
static size_t
first_printed(const struct echo *e)
{
	uint32_t runs = first_line(e), cp;
	size_t n = 0, end = runs == 0 ? 0 : e->runs[runs - 1].from + e->runs[runs - 1].len;

	for (size_t i = e->shown; i < end;) {
		i += next_key(e->memory + i, end - i, &cp);
		n += is_printed(cp);
	}
	return n;
}

static int
veil(struct echo *e, const uint8_t *p, size_t n)
{
	struct run *run = e->n_runs > 0 ? &e->runs[e->n_runs - 1] : NULL;
	size_t fits;

	if (e->n_runs < ECHO_RUNS) {
		run = &e->runs[e->n_runs++];
		*run = (struct run){ .from = e->used, .behind = e->foreign };
		if (++e->next_run == 0)
			e->next_run = 1;
		run->number = e->next_run;
	}
	fits = n < ECHO_MEMORY - e->used ? n : ECHO_MEMORY - e->used;
	/* What is not whole in memory cannot be compared from there on. */
	if (run->len != run->all)
		fits = 0;
	memcpy(e->memory + e->used, p, fits);
	e->used += fits;
	run->len += fits;
	run->all += n;
	run->at_ns = e->now_ns;
	run->ends = is_end(p[n - 1]);
	e->foreign = false;
	e->trust = false;
	return e->sink->veil(e->arg, run->number, p + fits, n - fits);
}

static int
hide_typed(struct echo *e, const uint8_t *p, size_t n, enum veil_why why)
{
	int r = 0;

	if (!e->marked) {
		e->marked = true;
		r = e->sink->hidden(e->arg, 0, why);
	}
	e->hiding = true;
	let_feedback(e, n);
	e->trust = false;
	if (is_end(p[n - 1])) {
		e->hiding = false;
		e->marked = false;
		e->armed = false;
		e->wary = false;
		e->again = true;
		e->unseen = true;
	}
	return r;
}

static int
keep(struct echo *e, const uint8_t *p, size_t n)
{
	if (is_end(p[n - 1])) {
		e->trust = false;
		e->wary = false;
		e->again = false;
		e->kept = 0;
	}
	return e->sink->keep(e->arg, p, n);
}

/* One character while the line is being echoed: should the echo stop with it, it is the only one that is kept. */
static bool
may_trust(const struct echo *e, const uint8_t *p, size_t n)
{
	uint32_t cp;

	return e->trust && e->kept == 0 && e->n_runs == 0 && next_key(p, n, &cp) == n &&
	       is_printed(cp);
}

/* At most up to the end of a line. */
static int
input_piece(struct echo *e, const uint8_t *p, size_t n)
{
	uint32_t cp;

	if (is_end(p[n - 1]) || has_printed(p, n)) {
		e->unseen = false;
		count_anew(e);
	}
	if (e->asked)
		return hide_typed(e, p, n, VEIL_ASKED);
	if (e->hiding || e->armed)
		return hide_typed(e, p, n, VEIL_PROMPT);
	if (e->n_runs == 0 && !has_printed(p, n))
		return keep(e, p, n);
	if (may_trust(e, p, n)) {
		(void)next_key(p, n, &cp);
		e->kept = cp;
		e->trust = false;
		return keep(e, p, n);
	}
	if (e->memory == NULL)
		return hide_typed(e, p, n, VEIL_MEMORY);
	return veil(e, p, n);
}

/* An ended line that the target answered without having shown it: nothing will. */
static int
hide_old(struct echo *e)
{
	uint32_t n = first_line(e);

	if (n == 0 || !e->answered || !first_ends(e) || e->runs[n - 1].at_ns > e->now_ns ||
	    e->now_ns - e->runs[n - 1].at_ns < ECHO_HIDE_NS)
		return 0;
	return hide_runs(e, n, VEIL_SILENT);
}

int
echo_input(struct echo *e, uint64_t now_ns, const uint8_t *p, size_t n)
{
	int r;

	e->now_ns = now_ns;
	if ((r = hide_old(e)) != 0)
		return r;
	e->typed_ns = now_ns;
	while (r == 0 && n > 0) {
		size_t len = line_len(p, n);

		r = input_piece(e, p, len);
		p += len;
		n -= len;
	}
	return r;
}

int
echo_ask(struct echo *e, bool hide)
{
	int r = 0;

	if (hide && e->n_runs > 0)
		r = hide_runs(e, e->n_runs, VEIL_ASKED);
	e->asked = hide;
	e->hiding = hide;
	if (!hide)
		e->marked = e->armed = e->again = false;
	e->trust = false;
	return r;
}

int
echo_end(struct echo *e)
{
	return hide_runs(e, e->n_runs, VEIL_SILENT);
}

/* Comparing. */

/* The cells before the cursor end in these n, which are not more than COMPARE_MAX. */
static bool
stands_before(const struct echo *e, const uint8_t *cells, size_t n)
{
	uint8_t left[COMPARE_MAX];

	return n <= COMPARE_MAX && screen_left(&e->screen, left, n) == n &&
	       memcmp(left, cells, n) == 0;
}

/* Text as it looks after the keys that edit it. */
struct edited {
	uint8_t cells[COMPARE_MAX]; /* the last ones */
	size_t n;
};

static void
edit_key(struct edited *t, uint32_t cp)
{
	if (is_printed(cp)) {
		if (t->n + 2 > COMPARE_MAX) {
			memmove(t->cells, t->cells + COMPARE_MAX / 2, COMPARE_MAX / 2);
			t->n -= COMPARE_MAX / 2;
		}
		t->cells[t->n++] = screen_fold(cp);
		if (screen_is_wide(cp))
			t->cells[t->n++] = CELL_WIDE;
	} else if (cp == 0x7f || cp == 8) {
		while (t->n > 0 && t->cells[--t->n] == CELL_WIDE)
			;
	} else if (cp == 0x15)
		t->n = 0;
}

/*
 * The longest piece from an offset on, up to the end of its line, that stands before the cursor; its end, or 0. ended: only
 * the whole line will do.
 */
static size_t
compare_from(const struct echo *e, size_t from, bool ended)
{
	struct edited t = { .n = 0 };
	size_t best = 0;
	uint32_t cp;

	for (size_t i = from; i < e->used && i - from < COMPARE_BYTES;) {
		i += next_key(e->memory + i, e->used - i, &cp);
		if (is_end(cp)) {
			if (t.n > 0 && stands_before(e, t.cells, t.n))
				best = i;
			break;
		}
		edit_key(&t, cp);
		if (!ended && t.n > 0 && stands_before(e, t.cells, t.n))
			best = i;
	}
	sodium_memzero(&t, sizeof(t));
	return best;
}

/* Whether a run can be where the target took up again: behind the end of a line, or behind an answer. */
static bool
is_restart(const struct echo *e, uint32_t i)
{
	return i > 0 && (e->runs[i].behind || e->runs[i - 1].ends);
}

/* Runs that end at or before this offset. */
static uint32_t
runs_before(const struct echo *e, size_t offset)
{
	uint32_t n = 0;

	while (n < e->n_runs && e->runs[n].from + e->runs[n].len <= offset &&
	       e->runs[n].len == e->runs[n].all)
		n++;
	return n;
}

static int
take_match(struct echo *e, size_t end, struct chunk *c)
{
	uint32_t n;

	c->matched = true;
	c->n_since = 0;
	c->tries = 0;
	e->kept = 0;
	e->shown = end;
	count_anew(e);
	n = runs_before(e, end);
	if (n > 0 && e->runs[n - 1].ends) {
		e->wary = false;
		e->again = false;
	}
	e->trust = n == e->n_runs && n > 0 && !e->runs[n - 1].ends;
	return show_runs(e, n);
}

/* The one character that was kept before it was echoed. */
static void
match_kept(struct echo *e, struct chunk *c)
{
	struct edited t = { .n = 0 };

	if (e->kept == 0)
		return;
	edit_key(&t, e->kept);
	if (!stands_before(e, t.cells, t.n))
		return;
	e->kept = 0;
	e->trust = true;
	c->matched = true;
	c->n_since = 0;
}

/* Is something of what is undecided before the cursor now? ended: which ends its line. */
static int
try_match(struct echo *e, struct chunk *c, bool ended)
{
	size_t end, from;
	int r;

	if (c->n_since == 0 || c->tries == TRIES_MAX)
		return 0;
	if (e->n_runs == 0) {
		match_kept(e, c);
		return 0;
	}
	if ((end = compare_from(e, e->shown, ended)) != 0)
		return take_match(e, end, c);
	for (uint32_t i = 1; i < e->n_runs; i++) {
		from = e->runs[i].from;
		if (!is_restart(e, i) || from <= e->shown ||
		    (end = compare_from(e, from, ended)) == 0)
			continue;
		if ((r = hide_runs(e, i, VEIL_SILENT)) != 0)
			return r;
		return take_match(e, end - from, c);
	}
	c->tries++;
	return 0;
}

/* Output. */

/* Tokens that asterisks for keys are made of. */
static bool
is_feedback(const struct token *t)
{
	switch (t->kind) {
	case TOKEN_PRINT:
		return screen_is_bullet(t->cp) || t->cp == ' ';
	case TOKEN_CONTROL:
		return t->cp == '\b' || t->cp == 7;
	case TOKEN_CSI:
		return strchr("CDGHKPXdm@", (int)t->cp) != NULL;
	case TOKEN_NONE:
	case TOKEN_ESCAPE:
	case TOKEN_STRING:
		return false;
	}
	return false;
}

static void
count_token(struct chunk *c, const struct token *t)
{
	if (c->first.kind == TOKEN_NONE)
		c->first = *t;
	else if (c->second.kind == TOKEN_NONE)
		c->second = *t;
	if (t->kind == TOKEN_PRINT) {
		c->n_print++;
		c->n_since++;
		c->n_bullets += screen_is_bullet(t->cp);
	}
	c->line_feed = c->line_feed || (t->kind == TOKEN_CONTROL && t->cp == '\n');
}

/* Whether the cursor goes to another row. */
static bool
is_vertical(const struct token *t)
{
	switch (t->kind) {
	case TOKEN_CONTROL:
		return t->cp >= '\n' && t->cp <= '\f';
	case TOKEN_ESCAPE:
		return t->cp == 'D' || t->cp == 'E' || t->cp == 'M';
	case TOKEN_CSI:
		return strchr("ABEFHefd", (int)t->cp) != NULL;
	case TOKEN_NONE:
	case TOKEN_PRINT:
	case TOKEN_STRING:
		return false;
	}
	return false;
}

/* Output behind a line that was not shown: much of it is what a command says, and not what a program says about a secret. */
static int
count_answer(struct echo *e, size_t text, bool leaves)
{
	e->text += text < ANSWER_TEXT ? (uint32_t)text : ANSWER_TEXT;
	e->row_text = e->row_text || text > 0;
	if (leaves) {
		e->rows += e->row_text;
		e->row_text = false;
	}
	if (e->rows < ANSWER_ROWS && e->text < ANSWER_TEXT)
		return 0;
	count_anew(e);
	if (e->n_runs > 0)
		e->runs[e->n_runs - 1].worked = e->runs[e->n_runs - 1].ends;
	if (!e->unseen)
		return 0;
	e->unseen = false;
	return e->sink->hidden(e->arg, 0, VEIL_ANSWERED);
}

static int
output_token(struct echo *e, const struct token *t, size_t len, struct chunk *c)
{
	int r = 0;

	if ((e->n_runs > 0 || e->kept != 0) && screen_leaves(&e->screen, t))
		r = try_match(e, c, t->kind == TOKEN_CONTROL);
	count_token(c, t);
	c->in_feedback = c->in_feedback && is_feedback(t);
	if (c->in_feedback) {
		c->feedback += len;
		c->has_feedback = c->has_feedback || (t->kind == TOKEN_PRINT && t->cp != ' ') ||
				  (t->kind == TOKEN_CONTROL && t->cp == '\b');
	}
	screen_apply(&e->screen, t);
	if (r == 0 && (e->unseen || e->n_runs > 0))
		r = count_answer(e, t->kind == TOKEN_PRINT, is_vertical(t));
	return r;
}

/* Text in which no character needs a look of its own. *ret_len: bytes taken. 0; what the sink answered. */
static int
output_text(struct echo *e, const uint8_t *p, size_t n, struct chunk *c, size_t *ret_len)
{
	size_t bullets, len;

	*ret_len = 0;
	if (e->plainly || c->in_feedback || (c->counts && c->second.kind == TOKEN_NONE))
		return 0;
	len = screen_text(&e->screen, p, n, &bullets);
	c->n_print += len;
	c->n_since += len;
	c->n_bullets += bullets;
	*ret_len = len;
	return len > 0 && (e->unseen || e->n_runs > 0) ? count_answer(e, len, false) : 0;
}

/* Keys came back as asterisks: as many as there are keys, or fewer. */
static int
judge_bullets(struct echo *e, const struct chunk *c)
{
	if (c->matched || c->n_bullets == 0 || c->n_bullets != c->n_print ||
	    c->n_bullets > first_printed(e))
		return 0;
	return hide_runs(e, first_line(e), VEIL_FEEDBACK);
}

/* Where the cursor stands is looked at when something was written, or when it went elsewhere in a full-screen program. */
static int
judge_prompt(struct echo *e, const struct chunk *c)
{
	const struct screen *s = &e->screen;
	bool was = e->armed;
	uint8_t left[PROMPT_MAX];
	size_t n;

	if (c->n_since == 0 && !c->matched &&
	    !(s->alternate && (c->row != s->row || c->col != s->col)))
		return 0;
	n = screen_left(s, left, sizeof(left));
	e->armed = (c->n_since > 0 || !c->matched) && prompt_is_secret(left, n, e->again);
	if (!e->armed) {
		e->wary = e->wary || (was && !c->matched);
		return 0;
	}
	/* What was typed ahead is the answer. */
	return hide_runs(e, first_line(e), VEIL_PROMPT);
}

/* A program that reads keys by itself has done something about one: at the cursor, or it changed what kind it is. */
static bool
is_reaction(const struct echo *e, const struct chunk *c)
{
	const struct screen *s = &e->screen;

	if (c->n_modes != s->n_modes)
		return true;
	if (s->alternate || s->keypad || s->paste)
		return screen_is_touched(s) || c->row != s->row || c->col != s->col;
	/* Pagers of old overwrite their row, and then a page comes; for one key, and nothing else going on. */
	if (e->n_runs != 1 || first_printed(e) > 1 || e->now_ns < e->noise_ns ||
	    c->n_print < PAGE_MIN || !c->line_feed)
		return false;
	return c->first.kind == TOKEN_CSI ||
	       (c->first.kind == TOKEN_CONTROL &&
		   (c->first.cp == '\b' ||
		       (c->first.cp == '\r' && c->second.kind != TOKEN_NONE &&
			   !(c->second.kind == TOKEN_CONTROL && c->second.cp == '\n'))));
}

static int
judge_reaction(struct echo *e, const struct chunk *c)
{
	if (e->n_runs == 0 || c->matched || e->wary || e->armed || e->hiding || !is_reaction(e, c))
		return 0;
	/* Several keys without any answer, and then one for the end of the line: so secrets are typed in full-screen programs. */
	if (first_ends(e) && first_printed(e) > 1)
		return hide_runs(e, first_line(e), VEIL_SILENT);
	return show_runs(e, first_line(e));
}

/* In a full-screen program a secret is typed in one row. */
static void
judge_leaving(struct echo *e, const struct chunk *c)
{
	if (!e->hiding || e->asked || !e->screen.alternate || c->row == e->screen.row)
		return;
	e->hiding = e->marked = false;
	e->wary = true;
}

static void
settle_chunk(struct echo *e, const struct chunk *c)
{
	if (e->n_runs > 0 && c->line_feed && first_ends(e))
		e->answered = true;
	if (c->n_since > 0 || (c->line_feed && !c->matched)) {
		e->foreign = true;
		e->trust = e->trust && e->screen.alternate;
		e->kept = 0;
	}
	if (e->typed_ns != 0 && e->now_ns > e->typed_ns + ECHO_ANSWER_NS && c->n_print > 0)
		e->noise_ns = e->now_ns + ECHO_NOISE_NS;
	if (c->line_feed || c->n_print > c->n_bullets + (size_t)(c->n_print > 0))
		e->bullets = e->hiding;
}

/* Of much output only the end is read: the rows before it have gone. Starts behind a line feed or at an escape sequence. */
static size_t
skip(struct echo *e, const uint8_t *p, size_t n)
{
	size_t i = n - SKIP_KEEP;

	if (n < SKIP_FROM || e->n_runs > 0 || e->kept != 0 || e->hiding || e->bullets)
		return 0;
	while (i < n && p[i] != 0x1b && p[i - 1] != '\n')
		i++;
	screen_skip(&e->screen, p, i);
	return i;
}

int
echo_output(struct echo *e, uint64_t now_ns, const uint8_t *p, size_t n, size_t *ret_feedback)
{
	struct chunk c = { .row = e->screen.row,
		.col = e->screen.col,
		.n_modes = e->screen.n_modes,
		.counts = e->n_runs > 0 };
	bool could = e->hiding || e->bullets;
	uint32_t hidden = e->n_runs;
	struct token t;
	int r;

	*ret_feedback = 0;
	e->now_ns = now_ns;
	if ((r = hide_old(e)) != 0)
		return r;
	e->screen.touched = 0;
	c.in_feedback = could || c.counts;
	for (size_t i = skip(e, p, n), len; r == 0 && i < n; i += len) {
		if ((r = output_text(e, p + i, n - i, &c, &len)) != 0 || len > 0)
			continue;
		len = screen_token(&e->screen, p + i, n - i, &t);
		if (t.kind != TOKEN_NONE)
			r = output_token(e, &t, len, &c);
	}
	if (r != 0 || (r = try_match(e, &c, false)) != 0 || (r = judge_bullets(e, &c)) != 0)
		return r;
	could = could || (e->bullets && e->n_runs < hidden);
	if ((r = judge_prompt(e, &c)) != 0 || (r = judge_reaction(e, &c)) != 0)
		return r;
	if (could && c.has_feedback && c.feedback <= e->feedback) {
		e->feedback -= c.feedback;
		*ret_feedback = c.feedback;
	}
	judge_leaving(e, &c);
	settle_chunk(e, &c);
	return 0;
}
