/* export: a recording in another form, into a file or a pipe. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/export.h"
#include "bastionctl/export_bundle.h"
#include "bastionctl/export_file.h"
#include "bastionctl/export_proof.h"
#include "bastionctl/rd.h"
#include "bastionctl/view.h"
#include "lib/hash.h"
#include "lib/num.h"

struct export_wish {
	const struct export_format *format;
	uint32_t channel; /* 0: not given */
	enum frame_stream stream;
	bool no_times;
	uint32_t number;	   /* of the file operation that is wanted; 0: a format is */
	const char *file;	   /* NULL: stdout */
	struct page_player player; /* of a page; owned */
	struct export_proof proof; /* the same; owned */
};

static void
export_wish_done(struct export_wish *w)
{
	page_player_done(&w->player);
	export_proof_done(&w->proof);
}

static int
export_wish_format(const char *name, struct export_wish *w)
{
	char names[128];

	if (name == NULL)
		return cmd_fail(CMD_USAGE, "--format is needed: one of %s bundle",
		    export_names(names, sizeof(names)));
	w->format = export_find(name);
	if (w->format == NULL)
		return cmd_fail(CMD_USAGE, "--format %s: no such format: one of %s bundle", name,
		    export_names(names, sizeof(names)));
	return CMD_YES;
}

/* --file N stands alone. */
static int
export_wish_file(const struct cmd_ctx *c, struct export_wish *w)
{
	const char *text = cmd_opt(c, "--file");
	uint64_t n;

	if (num_parse(text, 1, UINT32_MAX, &n) != 0)
		return cmd_fail(CMD_USAGE,
		    "--file %s: not a number of a file: see bastionctl sessions show", text);
	if (cmd_opt(c, "--format") != NULL || cmd_opt(c, "--channel") != NULL ||
	    cmd_opt(c, "--stream") != NULL)
		return cmd_fail(CMD_USAGE, "--file writes the content of one file, in no format: "
					   "leave out --format, --channel and --stream");
	if (hash_init() != 0) /* the sandbox would keep it out later */
		return cmd_fail(CMD_UNSURE, "SHA-256 is not there: check the OpenSSL installation");
	w->number = (uint32_t)n;
	w->file = cmd_opt(c, "--output");
	if (w->file == NULL && isatty(STDOUT_FILENO) != 0)
		return cmd_fail(CMD_USAGE, "recorded content is not for a terminal, which acts on "
					   "some bytes: use -o FILE or a pipe");
	return CMD_YES;
}

/* What a page is made with; read before the sandbox closes. */
static int
export_wish_page(const struct cmd_ctx *c, struct export_wish *w)
{
	const char *dir = cmd_opt(c, "--player");

	if (!w->format->page && dir != NULL)
		return cmd_fail(CMD_USAGE, "--player is for --format html");
	if (!w->format->page)
		return CMD_YES;
	if (hash_init() != 0)
		return cmd_fail(CMD_UNSURE, "SHA-256 is not there: check the OpenSSL installation");
	return page_player_load(dir, &w->player);
}

static int
export_wish_init(const struct cmd_ctx *c, struct export_wish *w)
{
	const char *channel = cmd_opt(c, "--channel"), *stream = cmd_opt(c, "--stream");
	int r;

	if (cmd_opt(c, "--file") != NULL)
		return export_wish_file(c, w);
	if ((r = export_wish_format(cmd_opt(c, "--format"), w)) != CMD_YES)
		return r;
	if ((r = view_channel_opt(channel, &w->channel)) != CMD_YES)
		return r;
	if (stream != NULL && (w->stream = frame_stream_find(stream)) == FRAME_NONE)
		return cmd_fail(
		    CMD_USAGE, "--stream %s: no such stream: give in, out or err", stream);
	if (w->format->one_stream && w->stream == FRAME_NONE)
		return cmd_fail(CMD_USAGE,
		    "--format %s holds one stream exactly: say which with --stream in, out or err",
		    w->format->name);
	w->no_times = cmd_opt(c, "--no-times") != NULL;
	if (w->no_times && w->format != &export_text)
		return cmd_fail(CMD_USAGE, "--no-times is for --format text");
	w->file = cmd_opt(c, "--output");
	if (w->file == NULL && w->format->one_stream && isatty(STDOUT_FILENO) != 0)
		return cmd_fail(CMD_USAGE,
		    "--format %s is not for a terminal, on which recorded bytes can act: use -o "
		    "FILE or a pipe",
		    w->format->name);
	return export_wish_page(c, w);
}

/* Open FILE anew, readable by its owner only. */
static int
export_open(const char *file, FILE **ret_f)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (f == NULL) {
		int r = cmd_fail(
		    CMD_UNSURE, "%s: %s: the export is not written", file, strerror(errno));

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	*ret_f = f;
	return CMD_YES;
}

/* The numbers of channels with bytes of a stream, for a message. Returns how many there are. */
static size_t
export_candidates(const struct json_node *session, enum frame_stream stream, uint32_t *ret_first,
    char *dst, size_t size)
{
	const struct json_node *channels = json_get(session, "channels");
	size_t n = 0, at = 0;
	char key[16];

	dst[0] = '\0';
	(void)snprintf(key, sizeof(key), "bytes_%s", frame_stream_name(stream));
	for (size_t i = 0; i < json_n(channels); i++) {
		const struct json_node *ch = json_at(channels, i);
		uint64_t number = json_u64(json_get(ch, "n"), 0);

		if (json_u64(json_get(ch, key), 0) == 0)
			continue;
		if (n++ == 0)
			*ret_first = (uint32_t)number;
		if (at < size)
			at += (size_t)snprintf(
			    dst + at, size - at, "%s%" PRIu64, at > 0 ? ", " : "", number);
	}
	return n;
}

/* The channel where none was named and the format holds one only. */
static int
export_choose(const struct json_node *session, struct export_wish *w)
{
	char numbers[256];
	size_t n;

	w->channel = export_main_channel(session);
	if (!w->format->one_stream)
		return CMD_YES;
	n = export_candidates(session, w->stream, &w->channel, numbers, sizeof(numbers));
	if (n > 1)
		return cmd_fail(CMD_USAGE,
		    "channels %s have bytes of %s: choose one with --channel", numbers,
		    frame_stream_name(w->stream));
	return CMD_YES;
}

/* Events from rd into x. Returns as rd_next_event(), or what the exporter failed with in *ret_write. */
static int
export_copy(struct rd *rd, struct export *x, int *ret_write)
{
	struct event ev;
	int r;

	while ((r = rd_next_event(rd, &ev)) == 0)
		if ((*ret_write = export_event(x, &ev)) != 0)
			return 0;
	*ret_write = export_end(x);
	return r;
}

static int
export_session(struct rd *rd, const struct json_node *session, struct export_wish *w, FILE *out)
{
	struct export_page page = { &w->player, w->proof.text, w->proof.proven };
	bool named = w->channel != 0;
	struct export_view view;
	struct export x;
	char lost[512];
	int code, r, e = 0;

	if (w->channel != 0 && export_channel(session, w->channel) == NULL)
		return cmd_fail(CMD_NO,
		    "the session has no channel %u: see bastionctl sessions show", w->channel);
	if (w->channel == 0 && w->format->one_channel &&
	    (code = export_choose(session, w)) != CMD_YES)
		return code;
	view = (struct export_view){ .session = session,
		.channel = w->channel,
		.stream = w->stream,
		.no_times = w->no_times,
		.page = w->format->page ? &page : NULL };
	if ((e = export_begin(&x, w->format, out, &view)) != 0)
		return cmd_fail(CMD_UNSURE, "the export is not written: %s", err_str(e));
	r = export_copy(rd, &x, &e);
	if (e != 0)
		code = cmd_fail(CMD_UNSURE, "the export is not complete: %s", err_str(e));
	else
		code = rd_end(rd, r);
	if (named) /* the others were not asked for */
		x.lost.other_bytes = 0;
	if (code == CMD_YES && x.lost.replaced_bytes > 0)
		code = cmd_fail(CMD_NO,
		    "the stream is not whole: the record has the hash of %" PRIu64
		    " bytes of files instead of them; see export --format json",
		    x.lost.replaced_bytes);
	if (code == CMD_YES && !w->format->one_stream && export_lost_text(&x, lost, sizeof(lost)))
		cmd_note("%s cannot hold: %s; json can", w->format->name, lost);
	export_free(&x);
	return code;
}

static int
export_take(struct rd *rd, struct export_wish *w, FILE *out)
{
	const struct json_node *session;
	int code = view_session(rd, &session);

	/* --file asks for no format. */
	if (code == CMD_YES && w->format == NULL)
		return export_file(rd, w->number, out);
	if (code == CMD_YES)
		export_proof_take(&w->proof, json_str(json_get(session, "id"), ""));
	return code == CMD_YES ? export_session(rd, session, w, out) : code;
}

static int
export_open_session(struct cmd_ctx *c, const char *id, struct export_wish *w,
    struct rd_place *place, struct rd **rd)
{
	const char *ask[] = { "events", id, NULL };
	int code = rd_find(c, place);

	if (code == CMD_YES && w->format != NULL && w->format->page)
		code = export_proof_ask(c, place, id, &w->proof);
	return code == CMD_YES ? rd_open(c, place, RD_CONTENT, ask, rd) : code;
}

static int
export_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *id = rd_session(c, n_args, args), *format = cmd_opt(c, "--format");
	struct export_wish w = { 0 };
	struct rd_place place;
	struct rd *rd = NULL;
	FILE *out = stdout;
	int code;

	if (id == NULL)
		return CMD_USAGE;
	if (format != NULL && strcmp(format, "bundle") == 0)
		return export_bundle(c, id);
	if (cmd_opt(c, "--for") != NULL)
		return cmd_fail(CMD_USAGE, "--for hands on a bundle: --format bundle");
	if ((code = export_wish_init(c, &w)) != CMD_YES ||
	    (code = export_open_session(c, id, &w, &place, &rd)) != CMD_YES)
		goto out;
	if (w.file != NULL && strcmp(w.file, "-") != 0)
		code = export_open(w.file, &out);
	if (code == CMD_YES && (code = view_close_sandbox()) == CMD_YES)
		code = export_take(rd, &w, out);
	if (out != stdout && out != NULL && fclose(out) != 0 && code == CMD_YES)
		code = cmd_fail(
		    CMD_UNSURE, "%s: %s: the export is not complete", w.file, strerror(errno));
out:
	rd_close(rd);
	export_wish_done(&w);
	return code;
}

static const struct cmd_opt export_opts[] = {
	{ "--format", 0, "FORMAT", "asciicast-v2, asciicast-v3, html, text, raw, json or bundle" },
	{ "--channel", 0, "N", "only this channel" },
	{ "--stream", 0, "STREAM", "only in, out or err" },
	{ "--file", 0, "N", "the content of file N instead, where it was kept" },
	{ "--no-times", 0, NULL, "text without the time in front of each line" },
	{ "--player", 0, "DIR", "where the player for html is (see contrib/get-player)" },
	{ "--for", 0, "PUBLIC",
	    "hand the sealed session in this bundle on to one more auditor: their line, or a file "
	    "with it" },
	{ "--output", 'o', "FILE", "write to FILE instead of standard output" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_export = { "export", NULL, "ID", "a recording in another form", CMD_NOTHING, 0,
	1, export_opts, export_run };
