/* log and checkpoint: the audit events, and the signed head of the log that they are in. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/rd.h"
#include "bastionctl/view.h"
#include "bastionctl/vt_safe.h"
#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "policy/policy.h"

#define CHECKPOINT_MAX (1u << 20) /* bytes of a checkpoint with its proof */
#define CHECKPOINT_KEY_MAX 4096u  /* bytes of the file with the public key */
#define LOG_MEANING_MAX 2048u	  /* bytes of what is said about one event */

/* What the event's reason means, as a JSON object; owned by caller. NULL: nothing is known about it. */
static char *
log_meaning(const struct json_node *event)
{
	const char *reason = json_str(json_get(event, "reason"), NULL), *meaning, *next;
	struct json *j;
	char *text = NULL;
	size_t len;

	if (reason == NULL || !policy_reason(reason, &meaning, &next))
		return NULL;
	j = json_map();
	json_put_str(j, "meaning", meaning);
	if (next != NULL)
		json_put_str(j, "next", next);
	if (json_text(j, false, LOG_MEANING_MAX, &text, &len) != 0)
		text = NULL;
	json_free(j);
	return text;
}

/* text: an object of len bytes; more: an object whose members are put behind its own, or NULL. */
static void
log_line(const char *text, size_t len, const char *more)
{
	if (more == NULL)
		puts(text);
	else
		printf("%.*s,%s\n", (int)(len - 1), text, more + 1);
}

/* explain: one thing was asked for, and every event says what it means. */
static int
log_print(struct rd *rd, bool explain, size_t *ret_n)
{
	struct rd_msg m;
	int r;

	while ((r = rd_next(rd, &m)) == 0) {
		char *text, *more;
		size_t len;

		if (m.json == NULL)
			continue;
		if ((r = json_node_text(m.json, false, &text, &len)) != 0)
			break;
		more = explain ? log_meaning(m.json) : NULL;
		log_line(text, len, more);
		free(more);
		free(text);
		++*ret_n;
	}
	return rd_end(rd, r);
}

static int
log_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *ask[7] = { "log" }, *text = cmd_opt(c, "--since");
	struct rd_place place;
	struct rd *rd = NULL;
	size_t n_ask = 1, n = 0;
	uint64_t since_ns;
	char since[32];
	int code;

	if (text != NULL) {
		if (when_parse(text, clock_wall_ns(), &since_ns) != 0)
			return cmd_fail(CMD_USAGE,
			    "--since %s: not a time: give 2026-01-02, 2026-01-02T03:04:05Z or 8h "
			    "(ago)",
			    text);
		(void)snprintf(since, sizeof(since), "%" PRIu64, since_ns);
		ask[n_ask++] = "--since";
		ask[n_ask++] = since;
	}
	if (cmd_opt(c, "--leaves") != NULL) {
		if (n_args > 0 || text != NULL)
			return cmd_fail(CMD_USAGE, "--leaves gives all of them");
		ask[n_ask++] = "--leaves";
		ask[n_ask++] = "1";
	}
	if (n_args > 0)
		ask[n_ask++] = args[0];
	if ((code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES)
		code = log_print(rd, n_args > 0, &n);
	rd_close(rd);
	return code == CMD_YES && n == 0 ? CMD_NO : code;
}

static const struct cmd_opt log_opts[] = {
	{ "--leaves", 0, NULL, "the leaves of the log's tree as they are, for tools of your own" },
	{ "--since", 0, "TIME", "only since TIME (or 8h, 2d ago)" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_log = { "log", NULL, "[ID]",
	"the audit events as JSON lines, or one login explained", CMD_NOTHING, 0, 1, log_opts,
	log_run };

static int
checkpoint_json(const char *note)
{
	struct json *j = json_map();

	json_put_str(j, "checkpoint", note);
	return cmd_print_json(j, 1u << 20);
}

/*
 * As it is, because its signature is over every byte; what could act on a terminal is not in a note, and would be taken out.
 */
static int
checkpoint_print(const char *note, size_t len)
{
	struct buf *out = buf_new(len * VT_SAFE_GROWTH + 64);
	struct vt_safe s;
	int r = -ENOMEM;

	memset(&s, 0, sizeof(s));
	if (out != NULL && (r = vt_safe_feed(&s, note, len, out)) == 0)
		(void)fwrite(buf_ptr(out), 1, buf_len(out), stdout);
	buf_free(out);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "the checkpoint: %s", err_str(r));
}

static int
checkpoint_write(const char *file, FILE *f, const char *note, size_t len)
{
	if (fwrite(note, 1, len, f) == len && fflush(f) == 0)
		return CMD_YES;
	return cmd_fail(CMD_UNSURE, "%s: %s: the checkpoint is not written", file, strerror(errno));
}

/* The whole answer: a note, a key or a proof. NUL-terminated; owned by caller. */
static int
checkpoint_text(struct rd *rd, struct buf **ret_text)
{
	struct buf *text = buf_new(CHECKPOINT_MAX);
	struct rd_msg m;
	int r = -ENOMEM;

	if (text == NULL)
		return rd_end(rd, r);
	while ((r = rd_next(rd, &m)) == 0)
		if (m.type != RD_TEXT || (r = buf_put(text, m.data, m.len)) != 0)
			break;
	r = rd_end(rd, r == 0 ? ERR_FORMAT : r);
	if (r == CMD_YES && buf_put_u8(text, 0) != 0)
		r = cmd_fail(CMD_UNSURE, "out of memory");
	if (r == CMD_YES)
		*ret_text = text;
	else
		buf_free(text);
	return r;
}

/* f: where the text goes; NULL: to stdout. */
static int
checkpoint_take(struct cmd_ctx *c, struct rd *rd, FILE *f)
{
	struct buf *text = NULL;
	const char *note;
	int code = checkpoint_text(rd, &text);

	if (code != CMD_YES)
		return code;
	note = (const char *)buf_ptr(text);
	if (f != NULL)
		code = checkpoint_write(cmd_opt(c, "--output"), f, note, strlen(note));
	else
		code = c->json ? checkpoint_json(note) : checkpoint_print(note, strlen(note));
	buf_free(text);
	return code;
}

/* What the reader is asked for. key: space for the key that is trusted, owned by caller. */
static int
checkpoint_ask(struct cmd_ctx *c, const struct rd_place *place, const char **ask, char **ret_key)
{
	static const char *const asked[] = { "--proof", "--from" };
	const char *file = cmd_opt(c, "--public-key");
	size_t n = 1, len;
	int r;

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		if (cmd_opt(c, asked[i]) != NULL) {
			ask[n++] = asked[i];
			ask[n++] = cmd_opt(c, asked[i]);
		}
	if (n > 3 || (n > 1 && cmd_opt(c, "--vkey") != NULL))
		return cmd_fail(CMD_USAGE, "give one of --vkey, --proof and --from");
	if (cmd_opt(c, "--vkey") == NULL)
		return CMD_YES;
	if (file == NULL)
		file = place->key_file;
	if ((r = file_read(file, CHECKPOINT_KEY_MAX, ret_key, &len)) != 0)
		return cmd_fail(
		    CMD_UNSURE, "%s: %s: name the public key with --public-key", file, err_str(r));
	(*ret_key)[strcspn(*ret_key, "\r\n")] = '\0';
	ask[n++] = "--key";
	ask[n] = *ret_key;
	return CMD_YES;
}

static int
checkpoint_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *ask[6] = { "checkpoint" }, *file = cmd_opt(c, "--output");
	struct rd_place place;
	struct rd *rd = NULL;
	char *key = NULL;
	FILE *f = NULL;
	int code;

	(void)n_args;
	(void)args;
	if ((code = rd_find(c, &place)) != CMD_YES ||
	    (code = checkpoint_ask(c, &place, ask, &key)) != CMD_YES ||
	    (code = rd_open(c, &place, RD_PROOF, ask, &rd)) != CMD_YES)
		goto out;
	if (file != NULL && (f = fopen(file, "we")) == NULL)
		code = cmd_fail(
		    CMD_UNSURE, "%s: %s: the checkpoint is not written", file, strerror(errno));
	if (code == CMD_YES && (code = view_close_sandbox()) == CMD_YES)
		code = checkpoint_take(c, rd, f);
out:
	rd_close(rd);
	free(key);
	if (f != NULL)
		(void)fclose(f);
	return code;
}

static const struct cmd_opt checkpoint_opts[] = {
	{ "--output", 'o', "FILE", "write to FILE instead of standard output" },
	{ "--vkey", 0, NULL,
	    "the key that signs now, once the trusted one was seen to lead to it" },
	{ "--public-key", 0, "FILE", "with --vkey: trust this key instead of STATE/recorder.pub" },
	{ "--proof", 0, "ID", "proof that this session's leaf is under the checkpoint" },
	{ "--from", 0, "SIZE", "proof that the log extends what it was with SIZE leaves" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_checkpoint = { "checkpoint", NULL, "",
	"the newest signed checkpoint, to keep elsewhere", CMD_NOTHING, 0, 0, checkpoint_opts,
	checkpoint_run };
