/*
 * verify: is every recording whole, and is every session still there. The reader does the reading and the arithmetic; here are the
 * key and the checkpoint that it is done with, and the answer in words.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "bastionctl/rd.h"
#include "bastionctl/view.h"
#include "lib/file.h"
#include "lib/str.h"

#define VERIFY_KEY_MAX 4096u	     /* bytes of the file with the public key */
#define VERIFY_NOTES_MAX (64u << 20) /* bytes of checkpoints in one file */

/* What the reader is asked with; strings owned. */
struct verify_ask {
	char *key, *checkpoint; /* NULL: none */
	const char *key_file;
};

/* The answer as it comes, for --json. */
struct verify_doc {
	struct json *sessions, *findings, *erased; /* owned until verify_json() */
	const struct json_node *result;		   /* borrowed from the last message */
	struct json *about;			   /* the session of a bundle; NULL: a store */
	bool damaged;				   /* something was found */
};

static int
verify_read(const char *file, size_t max, const char *what, char **ret_text)
{
	char *text = NULL;
	size_t len = 0;
	int r = file_read(file, max, &text, &len);

	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s: name the %s", file, err_str(r), what);
	if (text == NULL || len == 0 || strlen(text) != len) {
		free(text);
		return cmd_fail(CMD_UNSURE, "%s: not a %s", file, what);
	}
	*ret_text = text;
	return CMD_YES;
}

static int
verify_ask_init(const struct cmd_ctx *c, const struct rd_place *place, struct verify_ask *a)
{
	const char *key = cmd_opt(c, "--public-key"), *checkpoint = cmd_opt(c, "--checkpoint");
	int r;

	memset(a, 0, sizeof(*a));
	a->key_file = key != NULL ? key : place->key_file;
	if ((r = verify_read(
		 a->key_file, VERIFY_KEY_MAX, "public key with --public-key", &a->key)) != CMD_YES)
		return r;
	a->key[strcspn(a->key, "\r\n")] = '\0';
	if (checkpoint == NULL)
		return CMD_YES;
	return verify_read(
	    checkpoint, VERIFY_NOTES_MAX, "file of checkpoints with --checkpoint", &a->checkpoint);
}

static void
verify_ask_done(struct verify_ask *a)
{
	free(a->key);
	free(a->checkpoint);
}

/* Everything from a recording goes through here. */
PRINTF_LIKE(1, 2)
static void
verify_line(const char *fmt, ...)
{
	char line[1024], safe[1536];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	puts(out_line(safe, sizeof(safe), line, strlen(line)));
}

static void
verify_say_finding(const struct json_node *f)
{
	const char *session = json_str(json_get(f, "session"), "");

	verify_line("DAMAGED %s %s: %s: %s", session[0] != '\0' ? session : "log",
	    json_str(json_get(f, "place"), "?"), json_str(json_get(f, "kind"), "?"),
	    json_str(json_get(f, "text"), ""));
	if (json_get(f, "from") != NULL)
		verify_line("  when  %s to %s", json_str(json_get(f, "from"), "?"),
		    json_str(json_get(f, "to"), "?"));
	verify_line("  do    %s", json_str(json_get(f, "do"), "?"));
}

static void
verify_say_session(const struct json_node *s)
{
	if (json_bool(json_get(s, "ok"), false))
		verify_line("whole   %s", json_str(json_get(s, "id"), "?"));
}

static uint64_t
verify_number(const struct json_node *result, const char *key)
{
	return json_u64(json_get(result, key), 0);
}

static void
verify_say_result(const struct json_node *r, const struct verify_ask *a)
{
	char size[32];

	verify_line("log     %" PRIu64 " leaves, root %s", verify_number(r, "log_size"),
	    json_str(json_get(r, "log_root"), "?"));
	verify_line("key     %s", a->key);
	if (verify_number(r, "keys") > 1)
		verify_line("note    signing keys, each signed by the one before it: %" PRIu64,
		    verify_number(r, "keys"));
	if (verify_number(r, "open") > 0)
		verify_line("note    running, whole up to the last signed second: %" PRIu64,
		    verify_number(r, "open"));
	if (verify_number(r, "truncated") > 0)
		verify_line("note    cut off when the recorder ended, whole up to there: %" PRIu64,
		    verify_number(r, "truncated"));
	if (verify_number(r, "erased") > 0)
		verify_line("note    erased on purpose, what stays of them is whole: %" PRIu64,
		    verify_number(r, "erased"));
	if (verify_number(r, "erased_damaged") > 0)
		verify_line("note    damaged, never closed, and then erased on purpose: %" PRIu64,
		    verify_number(r, "erased_damaged"));
	if (verify_number(r, "checkpoints") > 0 && verify_number(r, "findings") == 0)
		verify_line("note    checkpoints from elsewhere that it extends: %" PRIu64,
		    verify_number(r, "checkpoints"));
	if (verify_number(r, "findings") > 0)
		verify_line("NO: findings: %" PRIu64 "; whole sessions: %" PRIu64 " of %" PRIu64,
		    verify_number(r, "findings"), verify_number(r, "good"),
		    verify_number(r, "sessions"));
	else
		verify_line("yes: nothing was edited, cut, reordered or removed (sessions: %" PRIu64
			    ", events: %" PRIu64 ", %s)",
		    verify_number(r, "sessions"), verify_number(r, "events"),
		    view_size(size, sizeof(size), verify_number(r, "raw_bytes")));
}

static void
verify_take_erased(struct cmd_ctx *c, struct verify_doc *d, const struct json_node *list)
{
	for (size_t i = 0; i < json_n(list); i++) {
		const struct json_node *e = json_at(list, i);

		json_put_node(d->erased, NULL, e);
		if (!c->json)
			verify_line("erased  %s%s on purpose at %s by %s (%s): %s",
			    json_str(json_get(e, "session"), "?"),
			    json_bool(json_get(e, "damaged"), false)
				? " was damaged and never closed, and then erased"
				: "",
			    json_str(json_get(e, "time"), "?"), json_str(json_get(e, "by"), "?"),
			    json_str(json_get(e, "how"), "?"), json_str(json_get(e, "why"), ""));
	}
}

/* Whose session and when, of a bundle: worth as much as the answer below it. */
static void
verify_say_about(const struct json_node *s)
{
	verify_line("session %s", json_str(json_get(s, "id"), "?"));
	verify_line("who     %s from %s", json_str(json_get(s, "identity"), "?"),
	    json_str(json_get(s, "source"), "?"));
	verify_line("where   %s@%s %s", json_str(json_get(s, "login"), "?"),
	    json_str(json_get(s, "host"), "?"), json_str(json_get(s, "address"), ""));
	verify_line("when    %s to %s (%s)", json_str(json_get(s, "started_at"), "?"),
	    json_str(json_get(s, "ended_at"), "?"), json_str(json_get(s, "state"), "?"));
}

/* One message of the answer. */
static void
verify_take(
    struct cmd_ctx *c, const struct verify_ask *a, struct verify_doc *d, const struct json_node *m)
{
	const struct json_node *finding = json_get(m, "finding"), *session = json_get(m, "session");
	const struct json_node *result = json_get(m, "result"), *erased = json_get(m, "erased");
	const struct json_node *about = json_get(m, "about");

	if (about != NULL) {
		json_free(d->about);
		d->about = json_map();
		json_put_node(d->about, "session", about);
		if (!c->json)
			verify_say_about(about);
	}

	if (finding != NULL) {
		d->damaged = true;
		json_put_node(d->findings, NULL, finding);
		if (!c->json)
			verify_say_finding(finding);
	}
	if (erased != NULL)
		verify_take_erased(c, d, erased);
	if (session != NULL) {
		json_put_node(d->sessions, NULL, session);
		if (!c->json)
			verify_say_session(session);
	}
	if (result != NULL) {
		d->result = result;
		if (!c->json)
			verify_say_result(result, a);
	}
}

static int
verify_json(const struct verify_ask *a, struct verify_doc *d, int code)
{
	struct json *j = json_map();
	int printed;

	json_put_bool(j, "ok", code == CMD_YES);
	json_put_str(j, "public_key", a->key);
	json_put(j, "findings", d->findings);
	json_put(j, "erased", d->erased);
	json_put(j, "sessions", d->sessions);
	json_put_node(j, "result", d->result);
	if (d->about != NULL)
		json_put(j, "bundle", d->about);
	d->findings = d->sessions = d->erased = d->about = NULL;
	printed = cmd_print_json(j, SIZE_MAX);
	return printed == CMD_YES ? code : printed;
}

static int
verify_answer(struct cmd_ctx *c, struct rd *rd, const struct verify_ask *a)
{
	struct verify_doc d = {
		.sessions = json_list(), .findings = json_list(), .erased = json_list()
	};
	struct rd_msg m;
	int code, r;

	while ((r = rd_next(rd, &m)) == 0)
		if (m.json != NULL)
			verify_take(c, a, &d, m.json);
	code = rd_end(rd, r);
	if (code == CMD_YES &&
	    (d.damaged || d.result == NULL)) /* a yes must have been said in full */
		code = cmd_fail(CMD_UNSURE,
		    "the reader's answer contradicts itself: use the bastionctl of this bastiond");
	if (c->json && code != CMD_UNSURE && d.result != NULL)
		code = verify_json(a, &d, code);
	json_free(d.findings);
	json_free(d.sessions);
	json_free(d.erased);
	json_free(d.about);
	return code;
}

static int
verify_start(struct cmd_ctx *c, const char *id)
{
	const char *ask[7] = { "verify", "--key" };
	struct verify_ask a;
	struct rd_place place;
	struct rd *rd = NULL;
	char notes[24];
	size_t n = 2;
	int code, r;

	if ((code = rd_find(c, &place)) != CMD_YES)
		return code;
	if ((code = verify_ask_init(c, &place, &a)) == CMD_YES) {
		ask[n++] = a.key;
		if (a.checkpoint != NULL) {
			(void)snprintf(notes, sizeof(notes), "%zu", strlen(a.checkpoint));
			ask[n++] = "--notes";
			ask[n++] = notes;
		}
		ask[n] = id;
		code = rd_open(c, &place, RD_PROOF, ask, &rd);
	}
	if (code == CMD_YES && a.checkpoint != NULL &&
	    (r = rd_send_notes(rd, a.checkpoint, strlen(a.checkpoint))) != 0)
		code = cmd_fail(CMD_UNSURE, "bastiond-reader: %s", err_str(r));
	if (code == CMD_YES && (code = view_close_sandbox()) == CMD_YES)
		code = verify_answer(c, rd, &a);
	rd_close(rd);
	verify_ask_done(&a);
	return code;
}

static int
verify_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	if (cmd_opt(c, "--bundle") != NULL && n_args > 0)
		return cmd_fail(CMD_USAGE, "a bundle holds one session: leave out %s", args[0]);
	if (cmd_opt(c, "--bundle") != NULL && cmd_opt(c, "--checkpoint") != NULL)
		return cmd_fail(CMD_USAGE, "a bundle does not hold the log that an older "
					   "checkpoint could be compared with: leave out "
					   "--checkpoint, or verify a store");
	if (n_args > 0 && cmd_opt(c, "--all") != NULL)
		return cmd_fail(CMD_USAGE, "either --all or one ID");
	return verify_start(c, n_args > 0 ? args[0] : NULL);
}

static const struct cmd_opt verify_opts[] = {
	{ "--all", 0, NULL, "the log and every session in it (also without an ID)" },
	{ "--checkpoint", 0, "FILE",
	    "the log must also extend the older checkpoint, or each of them, in FILE" },
	{ "--public-key", 0, "FILE", "trust this key instead of STATE/recorder.pub" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_verify = { "verify", NULL, "[ID]",
	"whether recordings are whole and all there", CMD_NOTHING, 0, 1, verify_opts, verify_run };
