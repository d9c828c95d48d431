/* search: text, patterns, or sessions by what is known of them. The reader looks; here it is asked for and shown. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/auditor_key.h"
#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "bastionctl/rd.h"
#include "bastionctl/search_sealed.h"
#include "bastionctl/text_cache.h"
#include "bastionctl/utf8.h"
#include "bastionctl/view.h"
#include "bastionctl/vt_safe.h"
#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"

#define SEARCH_ASK_MAX 4096u
#define SEARCH_AROUND 160u /* bytes of a long line on each side of a hit, for people */
#define SEARCH_ID_SHOWN 12
#define SEARCH_MARK "\033[1;7m"
#define SEARCH_PLAIN "\033[m"

/* Members of the query that stand as they were given. */
static const char *const search_texts[][2] = {
	{ "--identity", "identity" },
	{ "--login", "login" },
	{ "--host", "host" },
	{ "--source", "source" },
	{ "--rule", "rule" },
};

static int
search_put_numbers(const struct cmd_ctx *c, struct json *q)
{
	static const struct {
		const char *option, *name;
		uint64_t min, max;
	} numbers[] = {
		{ "--exit", "exit", 0, UINT32_MAX },
		{ "--limit", "limit", 1, 100000 },
		{ "--context", "context", 0, 100 },
	};
	uint64_t v;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *text = cmd_opt(c, numbers[i].option);

		if (text == NULL)
			continue;
		if (num_parse(text, numbers[i].min, numbers[i].max, &v) != 0)
			return cmd_fail(CMD_USAGE,
			    "%s %s: not a number from %" PRIu64 " to %" PRIu64, numbers[i].option,
			    text, numbers[i].min, numbers[i].max);
		json_put_u64(q, numbers[i].name, v);
	}
	return CMD_YES;
}

static int
search_put_times(const struct cmd_ctx *c, struct json *q)
{
	static const char *const times[][2] = { { "--since", "since" }, { "--until", "until" } };
	uint64_t ns;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *text = cmd_opt(c, times[i][0]);

		if (text == NULL)
			continue;
		if (when_parse(text, clock_wall_ns(), &ns) != 0)
			return cmd_fail(CMD_USAGE,
			    "%s %s: not a time: give 2026-01-02, \"2026-01-02 03:04:05\", "
			    "2026-01-02T03:04:05Z or 8h (ago)",
			    times[i][0], text);
		json_put_u64(q, times[i][1], ns);
	}
	return CMD_YES;
}

static int
search_put_kinds(const struct cmd_ctx *c, struct json *q)
{
	static const char *const kinds[] = { "screen", "typed", "command", "file" };
	struct json *list = json_list();
	const char *text;

	for (size_t i = 0; (text = cmd_opt_at(c, "--in", i)) != NULL; i++) {
		size_t k = 0;

		while (k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[k], text) != 0)
			k++;
		if (k == sizeof(kinds) / sizeof(kinds[0])) {
			json_free(list);
			return cmd_fail(CMD_USAGE,
			    "--in %s: not a place: give screen, typed, command or file", text);
		}
		json_put_str(list, NULL, text);
	}
	if (cmd_opt(c, "--in") != NULL)
		json_put(q, "in", list);
	else
		json_free(list);
	return CMD_YES;
}

/* The query as the reader takes it (recorder/search.h); owned by caller, free(). */
static int
search_query(const struct cmd_ctx *c, const char *text, bool sealed, char **ret_query)
{
	struct json *q = json_map();
	size_t len;
	int code, r;

	if (text != NULL)
		json_put_str(q, "text", text);
	if (sealed)
		json_put_bool(q, "sealed", true);
	if (cmd_opt(c, "--regex") != NULL)
		json_put_bool(q, "regex", true);
	if (cmd_opt(c, "--case") != NULL)
		json_put_bool(q, "case", true);
	for (size_t i = 0; i < sizeof(search_texts) / sizeof(search_texts[0]); i++)
		if (cmd_opt(c, search_texts[i][0]) != NULL)
			json_put_str(q, search_texts[i][1], cmd_opt(c, search_texts[i][0]));
	if ((code = search_put_numbers(c, q)) == CMD_YES &&
	    (code = search_put_times(c, q)) == CMD_YES)
		code = search_put_kinds(c, q);
	if (code == CMD_YES && (r = json_text(q, false, SEARCH_ASK_MAX, ret_query, &len)) != 0)
		code = r == ERR_LIMIT ? cmd_fail(CMD_USAGE, "this is too long to search for")
				      : cmd_fail(CMD_UNSURE, "out of memory");
	json_free(q);
	return code;
}

/* Text with nothing in it that acts on a terminal. */
static void
search_put_text(const char *p, size_t len)
{
	struct utf8 u = { 0 };
	uint8_t bytes[UTF8_BYTES_MAX];

	for (size_t i = 0; i < len; i++) {
		uint32_t cp = UTF8_REPLACEMENT;
		enum utf8_step step = utf8_step(&u, (uint8_t)p[i], &cp);

		if (step == UTF8_MORE)
			continue;
		if (step == UTF8_BAD_CUT)
			i--;
		if (step != UTF8_ONE ||
		    (cp >= 0x80 ? !vt_safe_is_shown(cp) : cp < 0x20 || cp == 0x7f))
			cp = UTF8_REPLACEMENT;
		(void)fwrite(bytes, 1, utf8_put(bytes, cp), stdout);
	}
}

/* The line of a hit; of a long one the part around it. */
static void
search_put_line(const struct json_node *hit, bool mark)
{
	const char *line = json_str(json_get(hit, "line"), "");
	size_t len = strlen(line), from = (size_t)json_u64(json_get(hit, "from"), 0),
	       to = (size_t)json_u64(json_get(hit, "to"), 0), begin = 0, end = len;

	if (from > len || to > len || from > to)
		from = to = 0;
	if (from > SEARCH_AROUND)
		begin = from - SEARCH_AROUND;
	if (len - to > SEARCH_AROUND)
		end = to + SEARCH_AROUND;
	while (begin < from && ((uint8_t)line[begin] & 0xc0) == 0x80)
		begin++;
	while (end > to && end < len && ((uint8_t)line[end] & 0xc0) == 0x80)
		end--;
	fputs(begin > 0 ? "    ..." : "    ", stdout);
	search_put_text(line + begin, from - begin);
	if (mark)
		fputs(SEARCH_MARK, stdout);
	search_put_text(line + from, to - from);
	if (mark)
		fputs(SEARCH_PLAIN, stdout);
	search_put_text(line + to, end - to);
	puts(end < len ? "..." : "");
}

static void
search_put_context(const struct json_node *lines)
{
	for (size_t i = 0; i < json_n(lines); i++) {
		const char *line = json_str(json_at(lines, i), "");

		fputs("    ", stdout);
		search_put_text(line, strlen(line));
		puts("");
	}
}

static void
search_print_hit(const struct json_node *hit, bool mark)
{
	char id[SEARCH_ID_SHOWN + 1], who[200], target[400], time[64], span[32];
	const char *login = json_str(json_get(hit, "login"), "");
	uint64_t at_ns = json_u64(json_get(hit, "at_ns"), 0),
		 at_ms = (at_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;

	/* Whatever is in a record is somebody's text. */
	(void)snprintf(id, sizeof(id), "%s", json_str(json_get(hit, "id"), ""));
	str_escape(who, sizeof(who), json_str(json_get(hit, "identity"), "?"),
	    strlen(json_str(json_get(hit, "identity"), "?")));
	(void)snprintf(target, sizeof(target), "%.150s%s%.200s", login, login[0] != '\0' ? "@" : "",
	    json_str(json_get(hit, "host"), "?"));
	(void)str_plain(time, sizeof(time), json_str(json_get(hit, "time"), ""),
	    strlen(json_str(json_get(hit, "time"), "")));
	printf("%s  %s  ", id, who);
	search_put_text(target, strlen(target));
	printf("  %s  +%s  %s, channel %" PRIu64 "\n", time, view_span(span, sizeof(span), at_ns),
	    json_str(json_get(hit, "kind"), "?"), json_u64(json_get(hit, "channel"), 0));
	search_put_context(json_get(hit, "before"));
	search_put_line(hit, mark);
	search_put_context(json_get(hit, "after"));
	printf("    bastionctl play %s --at %" PRIu64 ".%03" PRIu64 "\n", id, at_ms / 1000,
	    at_ms % 1000);
}

static void
search_print_session(const struct json_node *s)
{
	const struct json_node *channels = json_get(s, "channels"), *first = json_at(channels, 0);
	char id[SEARCH_ID_SHOWN + 1], text[1200];

	(void)snprintf(id, sizeof(id), "%s", json_str(json_get(s, "id"), ""));
	(void)snprintf(text, sizeof(text), "%s  %.150s  %.150s@%.200s  %.40s  %.40s  %.20s%s%.300s",
	    id, json_str(json_get(s, "identity"), "?"), json_str(json_get(s, "login"), "?"),
	    json_str(json_get(s, "host"), "?"), json_str(json_get(s, "started_at"), ""),
	    json_str(json_get(s, "state"), ""), json_str(json_get(first, "kind"), ""),
	    json_str(json_get(first, "command"), "")[0] != '\0' ? ": " : "",
	    json_str(json_get(first, "command"), ""));
	search_put_text(text, strlen(text));
	puts("");
}

/* What was not seen, or only slowly, and how to see more. */
static void
search_note(const struct json_node *sum)
{
	static const struct {
		const char *name, *text;
	} notes[] = {
		{ "sealed", "sealed sessions were not searched: only the key of one of their "
			    "auditors opens them (--auditor-key FILE)" },
		{ "damaged", "recordings are damaged, and what lies behind the damage was not "
			     "searched: see bastionctl verify" },
		{ "not_indexed", "sessions were rendered for this, because the index does not have "
				 "them (yet): see bastionctl index status" },
	};

	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		uint64_t n = json_u64(json_get(sum, notes[i].name), 0);

		if (n > 0)
			cmd_note("%" PRIu64 " %s", n, notes[i].text);
	}
	if (json_bool(json_get(sum, "more"), false))
		cmd_note("there is more: narrow it down, or give a larger --limit");
}

static int
search_print_item(struct cmd_ctx *c, const struct json_node *item, bool about_text, size_t *n)
{
	int r = 0;

	if (c->json)
		r = view_json_item(stdout, item, *n == 0);
	else if (about_text)
		search_print_hit(item, isatty(STDOUT_FILENO) == 1);
	else
		search_print_session(item);
	++*n;
	return r;
}

/* The hits of one sealed session. */
static int
search_print_sealed(struct cmd_ctx *c, struct rd *rd, struct search_sealed *sealed, size_t *n)
{
	uint32_t limit = search_sealed_limit(sealed);
	struct json_node *hit;
	int r = search_sealed_session(sealed, rd, *n < limit ? limit - (uint32_t)*n : 0);

	while (r == 0 && (r = search_sealed_take(sealed, &hit)) == 0 && hit != NULL) {
		r = search_print_item(c, hit, true, n);
		json_node_free(hit);
	}
	return r;
}

/* The last item. *ret_sum: owned by caller. */
static int
search_take_summary(
    struct cmd_ctx *c, const struct json_node *item, size_t n, struct json_node **ret_sum)
{
	char *text;
	size_t len;
	int r = json_node_text(json_get(item, "summary"), false, &text, &len);

	if (r != 0)
		return r;
	if (c->json)
		printf("%s], \"summary\": %s}\n", n > 0 ? "\n" : "", text);
	json_node_free(*ret_sum);
	*ret_sum = NULL;
	r = json_parse(text, len, ret_sum);
	free(text);
	return r;
}

/* sealed: NULL: what is sealed is not searched. */
static int
search_print(struct cmd_ctx *c, struct rd *rd, struct search_sealed *sealed, bool about_text)
{
	struct json_node *sum = NULL;
	struct rd_msg m;
	size_t n = 0;
	int r;

	if (c->json)
		fputs(about_text ? "{\"hits\": [" : "{\"sessions\": [", stdout);
	while ((r = rd_next(rd, &m)) == 0) {
		if (m.type != RD_ITEM)
			continue;
		if (json_get(m.json, "summary") != NULL)
			r = search_take_summary(c, m.json, n, &sum);
		else if (sealed != NULL && json_get(m.json, "sealed") != NULL)
			r = search_print_sealed(c, rd, sealed, &n);
		else
			r = search_print_item(c, m.json, about_text, &n);
		if (r != 0)
			break;
	}
	if (!c->json && sum != NULL)
		search_note(sum);
	json_node_free(sum);
	if (r == ERR_LIMIT)
		return cmd_fail(CMD_UNSURE, "the pattern takes too much work: make it simpler, or "
					    "search for plain text");
	return rd_end(rd, r);
}

/* The auditor's file of rendered text, when there is one. CMD_YES; CMD_UNSURE after a line. */
static int
search_cache(struct cmd_ctx *c, struct text_cache **ret_cache)
{
	const char *file = cmd_opt(c, "--cache");
	int r;

	if (file == NULL)
		file = getenv(TEXT_CACHE_ENV);
	if (file == NULL || file[0] == '\0')
		return CMD_YES;
	r = text_cache_open(file, ret_cache);
	return r == 0 ? CMD_YES
		      : cmd_fail(CMD_UNSURE, "%s: %s", file,
			    r == ERR_FORMAT ? "not a file that --cache made" : err_str(r));
}

static int
search_prepare_sealed(struct cmd_ctx *c, const char *query, struct text_cache **ret_cache,
    struct search_sealed **ret_sealed)
{
	char why[SEARCH_WHY_MAX] = "";
	int code, r;

	if ((code = search_cache(c, ret_cache)) != CMD_YES)
		return code;
	r = search_sealed_new(query, *ret_cache, ret_sealed, why);
	if (r == ERR_FORMAT)
		return cmd_fail(CMD_USAGE, "%s", why);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "%s", err_str(r));
}

static int
search_with(struct cmd_ctx *c, const char *text, bool with_key)
{
	const char *ask[] = { "search", NULL, NULL };
	struct search_sealed *sealed = NULL;
	struct text_cache *cache = NULL;
	struct rd_place place;
	struct rd *rd = NULL;
	char *query = NULL;
	int code;

	with_key = with_key && text != NULL;
	if ((code = search_query(c, text, with_key, &query)) != CMD_YES)
		return code;
	ask[1] = query;
	if (with_key)
		code = search_prepare_sealed(c, query, &cache, &sealed);
	if (code == CMD_YES && (code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES)
		code = search_print(c, rd, sealed, text != NULL);
	rd_close(rd);
	search_sealed_free(sealed);
	text_cache_close(cache);
	free(query);
	return code;
}

static int
search_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const struct secret *auditor = NULL;
	int code;

	if (n_args == 0 && (cmd_opt(c, "--regex") != NULL || cmd_opt(c, "--in") != NULL))
		return cmd_fail(
		    CMD_USAGE, "search what? give a TEXT, or only what sessions are known by");
	if (n_args == 1 && args[0][0] == '\0')
		return cmd_fail(
		    CMD_USAGE, "an empty text is everywhere: leave it away to list sessions");
	if (secret_init() != 0)
		return cmd_fail(CMD_UNSURE, "the cryptographic library does not start");
	if ((code = auditor_key_given(c, &auditor)) != CMD_YES)
		return code;
	return search_with(c, n_args > 0 ? args[0] : NULL, auditor != NULL);
}

static const struct cmd_opt search_opts[] = {
	{ "--regex", 0, NULL, "TEXT is a pattern (PCRE2)" },
	{ "--case", 0, NULL, "upper and lower case differ" },
	{ "--in", 0, "PLACE", "only screen, typed, command or file; may be repeated" },
	{ "--identity", 0, "NAME", "only of this person (* and ? match)" },
	{ "--login", 0, "NAME", "only as this login (* and ? match)" },
	{ "--host", 0, "NAME", "only on this host (* and ? match)" },
	{ "--source", 0, "ADDRESS", "only from this address (* and ? match)" },
	{ "--rule", 0, "NAME", "only what this rule allowed (* and ? match)" },
	{ "--exit", 0, "STATUS", "only sessions in which something ended with STATUS" },
	{ "--since", 0, "TIME", "only at or after TIME (or 8h, 2d ago)" },
	{ "--until", 0, "TIME", "only at or before TIME" },
	{ "--limit", 0, "N", "at most N hits, the newest (100)" },
	{ "--context", 'C', "N", "with N lines around each hit" },
	{ "--cache", 0, "FILE",
	    "with --auditor-key: keep the text of sealed sessions here, each under its own key" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_search = { "search", NULL, "[TEXT]", "what was on screens, typed, run, moved",
	CMD_NOTHING, 0, 1, search_opts, search_run };
