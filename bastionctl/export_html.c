/*
 * html: one page that holds a recording and the player for it, and needs nothing else: to be kept, sent, and opened in a
 * browser with no network. Its policy (Content-Security-Policy) lets exactly two scripts and two styles run, each named by
 * its hash, and no request of any kind. The recording stands in an element that is no script, as asciicast v3 without '<'.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/export_page.h"
#include "bastionctl/vt_safe.h"
#include "lib/hash.h"
#include "lib/str.h"

static void
page_cp(FILE *f, uint32_t cp)
{
	static const char *const named[128] = { ['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['"'] = "&quot;",
		['\''] = "&#39;",
		['\n'] = "\n" };
	uint8_t bytes[UTF8_BYTES_MAX];

	if (cp < 128 && named[cp] != NULL)
		fputs(named[cp], f);
	else if (cp < 0x20 || cp == 0x7f || (cp >= 0x80 && !vt_safe_is_shown(cp)))
		fprintf(f, "\\u{%x}", cp);
	else
		(void)fwrite(bytes, 1, utf8_put(bytes, cp), f);
}

/* Text for people between tags or in an attribute: no markup, nothing unseen, nothing that turns text around. */
static void
page_text(FILE *f, const char *text)
{
	struct utf8 u = { 0 };

	while (*text != '\0') {
		uint32_t cp = UTF8_REPLACEMENT;
		enum utf8_step step = utf8_step(&u, (uint8_t)*text, &cp);

		text += step != UTF8_BAD_CUT;
		if (step != UTF8_MORE)
			page_cp(f, cp);
	}
	if (utf8_is_partial(&u))
		page_cp(f, UTF8_REPLACEMENT);
}

/* " 'sha256-...'" of a script or style as it stands between its tags. */
static int
page_put_hash(FILE *f, const char *text, size_t len)
{
	uint8_t hash[HASH_LEN];
	char *base64;

	hash_sha256(text, len, hash);
	base64 = str_base64(hash, sizeof(hash));
	if (base64 == NULL)
		return -ENOMEM;
	fprintf(f, " 'sha256-%s'", base64);
	free(base64);
	return 0;
}

/* wasm-unsafe-eval: the player's terminal is WebAssembly inside its script; it allows no text to become a script. */
static int
page_policy(FILE *f, const struct page_player *p)
{
	int r;

	fputs("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "script-src 'wasm-unsafe-eval'",
	    f);
	if ((r = page_put_hash(f, p->text[PAGE_PLAYER_SCRIPT], p->len[PAGE_PLAYER_SCRIPT])) != 0 ||
	    (r = page_put_hash(f, page_script, sizeof(page_script) - 1)) != 0)
		return r;
	fputs("; style-src", f);
	if ((r = page_put_hash(f, p->text[PAGE_PLAYER_STYLE], p->len[PAGE_PLAYER_STYLE])) != 0 ||
	    (r = page_put_hash(f, page_style, sizeof(page_style) - 1)) != 0)
		return r;
	fputs("; img-src data:; font-src data:; base-uri 'none'; form-action 'none'\">\n", f);
	return 0;
}

static void
page_title(FILE *f, const struct json_node *s)
{
	page_text(f, json_str(json_get(s, "identity"), ""));
	fputs(" as ", f);
	page_text(f, json_str(json_get(s, "login"), ""));
	fputs(" on ", f);
	page_text(f, json_str(json_get(s, "host"), ""));
}

static void
page_row(FILE *f, const char *mark, const char *title, const char *value)
{
	if (value[0] == '\0')
		return;
	fprintf(f, "<tr%s><th scope=\"row\">%s</th><td>", mark, title);
	page_text(f, value);
	fputs("</td></tr>\n", f);
}

/* The channel's own facts. */
static void
page_channel(FILE *f, const struct json_node *c)
{
	uint64_t status = json_u64(json_get(c, "exit_status"), UINT64_MAX);
	char text[64];

	page_row(f, "", "Channel", json_str(json_get(c, "kind"), ""));
	page_row(f, "", "Command", json_str(json_get(c, "command"), ""));
	page_row(f, "", "Terminal", json_str(json_get(c, "term"), ""));
	page_row(f, "", "Ended by signal", json_str(json_get(c, "exit_signal"), ""));
	if (status == UINT64_MAX)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64, status);
	page_row(f, "", "Exit status", text);
}

static void
page_facts(const struct export *x)
{
	static const struct {
		const char *title, *key;
	} rows[] = { { "Session", "id" }, { "Person", "identity" }, { "Login", "login" },
		{ "Host", "host" }, { "Address", "address" }, { "Came from", "source" },
		{ "Began", "started_at" }, { "Ended", "ended_at" }, { "State", "state" },
		{ "Reason of the end", "end_reason" }, { "Rule", "rule" } };
	static const struct {
		const char *title, *key;
	} proven[] = { { "Credential", "type" }, { "Fingerprint", "fingerprint" },
		{ "Key id", "key_id" }, { "Methods", "methods" } };
	const struct json_node *s = x->view.session, *c = json_get(s, "credential");

	fputs("<h2>The session</h2>\n<table id=\"facts\">\n", x->out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		page_row(x->out, "", rows[i].title, json_str(json_get(s, rows[i].key), ""));
	for (size_t i = 0; i < sizeof(proven) / sizeof(proven[0]); i++)
		page_row(x->out, "", proven[i].title, json_str(json_get(c, proven[i].key), ""));
	page_channel(x->out, export_channel(s, x->view.channel));
	page_row(x->out, x->view.page->proven ? " class=\"good\"" : " class=\"bad\"", "Record",
	    x->view.page->proof);
	fputs("</table>\n", x->out);
}

static int
html_begin(struct export *x)
{
	const struct page_player *p = x->view.page->player;
	FILE *f = x->out;
	int r;

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", f);
	if ((r = page_policy(f, p)) != 0)
		return r;
	fputs("<meta name=\"referrer\" content=\"no-referrer\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
	    f);
	page_title(f, x->view.session);
	fprintf(f, "</title>\n<style>%s</style>\n<style>%s</style>\n</head>\n<body>\n<h1>",
	    p->text[PAGE_PLAYER_STYLE], page_style);
	page_title(f, x->view.session);
	fputs(
	    "</h1>\n<main>\n<div id=\"player\"></div>\n"
	    "<noscript><p>Playing needs JavaScript; everything it runs is in this page.</p>"
	    "</noscript>\n<p class=\"quiet keys\">Keys, when the player has the focus: space plays "
	    "and pauses, arrows seek, [ and ] go to the marker before and after, ? shows "
	    "all.</p>\n<section id=\"index\" hidden>\n<h2>Chapters</h2>\n"
	    "<ol id=\"chapters\"></ol>\n</section>\n",
	    f);
	page_facts(x);
	fputs("</main>\n<script type=\"application/x-asciicast\" id=\"cast\">\n", f);
	return export_asciicast_v3.begin(x);
}

static int
html_event(struct export *x, const struct event *ev)
{
	return export_asciicast_v3.event(x, ev);
}

static int
html_end(struct export *x)
{
	const struct page_player *p = x->view.page->player;
	int r = export_asciicast_v3.end(x);

	if (r != 0)
		return r;
	fputs("</script>\n<footer><details><summary>The player in this page is asciinema-player, "
	      "under "
	      "this licence</summary><pre>",
	    x->out);
	page_text(x->out, p->text[PAGE_PLAYER_LICENCE]);
	fprintf(x->out,
	    "</pre></details></footer>\n<script>%s</script>\n<script>%s</script>\n</body>\n"
	    "</html>\n",
	    p->text[PAGE_PLAYER_SCRIPT], page_script);
	return 0;
}

const struct export_format export_html = { "html", true, false, true, html_begin, html_event,
	html_end };
