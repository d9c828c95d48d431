/* One pass over the events: marks say which data is whose, the operation's own event what it must hash to. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/export_file.h"
#include "bastionctl/frame.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/str.h"

struct file_export {
	uint32_t number;
	FILE *out;
	struct hash *hash;
	struct frame_content next; /* of the data that is to follow */
	uint32_t next_channel;
	bool waiting;
	uint64_t at;	   /* where out stands */
	uint64_t bytes;	   /* of content */
	uint64_t replaced; /* of content that is not there */
	bool ordered;	   /* it came from 0 on without gap */
	bool ended;	   /* the operation's own event has come */
	bool has_hash;
	uint8_t sha256[HASH_LEN];
	char line[FRAME_TEXT_SIZE]; /* about the operation */
	int error;
};

static int
file_write(struct file_export *x, uint64_t offset, const uint8_t *p, size_t len)
{
	if (offset != x->bytes)
		x->ordered = false;
	errno = 0;
	if (offset != x->at && (offset > INT64_MAX || fseeko(x->out, (off_t)offset, SEEK_SET) != 0))
		return errno != 0 ? -errno : ERR_LIMIT;
	if (fwrite(p, 1, len, x->out) != len)
		return errno != 0 ? -errno : -EIO;
	hash_add(x->hash, p, len);
	x->at = offset + len;
	x->bytes += len;
	return 0;
}

/* The operation's own event: what its content must be. */
static void
file_take_end(struct file_export *x, const struct event *ev)
{
	struct json_node *f;
	const char *hex;

	/* u32 number, string JSON (recorder/event.h) */
	if (ev->len < 8 || json_parse((const char *)ev->data + 8, ev->len - 8, &f) != 0)
		return;
	if (json_u64(json_get(f, "number"), 0) == x->number) {
		x->ended = true;
		hex = json_str(json_get(f, "sha256"), "");
		x->has_hash = str_unhex(hex, x->sha256, HASH_LEN) == 0;
		(void)frame_text(ev, x->line, sizeof(x->line));
	}
	json_node_free(f);
}

static int
file_event(struct file_export *x, const struct event *ev)
{
	struct frame_content c;
	const uint8_t *p;
	size_t len;

	if (x->waiting && ev->type == LINK_DATA && ev->channel == x->next_channel &&
	    frame_data(ev, &p, &len) == x->next.stream) {
		x->waiting = false;
		return file_write(x, x->next.offset, p, len);
	}
	if (frame_kept(ev, &c) && c.number == x->number) {
		x->next = c;
		x->next_channel = ev->channel;
		x->waiting = true;
	} else if (frame_content(ev, &c) && c.number == x->number) {
		x->replaced += c.len;
	} else if (ev->type == EVENT_FILE) {
		file_take_end(x, ev);
	}
	return 0;
}

static int
file_compare(struct file_export *x)
{
	uint8_t hash[HASH_LEN];

	hash_end(x->hash, hash);
	if (x->has_hash && (!x->ordered || memcmp(hash, x->sha256, HASH_LEN) != 0))
		return cmd_fail(CMD_UNSURE,
		    "%s: what was kept does not have the hash that was "
		    "recorded: see bastionctl verify",
		    x->line);
	cmd_note("%s", x->line);
	if (!x->has_hash && x->bytes > 0)
		cmd_note("the content crossed in pieces: there is no hash of the whole to compare "
			 "with");
	return CMD_YES;
}

static int
file_result(struct file_export *x)
{
	if (x->error == -ESPIPE)
		return cmd_fail(CMD_UNSURE,
		    "the content did not cross in order, which a pipe cannot take: use -o FILE");
	if (x->error != 0)
		return cmd_fail(CMD_UNSURE, "the export is not complete: %s", err_str(x->error));
	if (x->replaced > 0)
		return cmd_fail(CMD_NO,
		    "%s: its content was replaced by its hash when it was recorded (how: {files: "
		    "keep} keeps it)",
		    x->line[0] != '\0' ? x->line : "this file");
	if (!x->ended && x->bytes == 0)
		return cmd_fail(CMD_NO,
		    "the session has no file %" PRIu32 ": see bastionctl sessions show", x->number);
	if (!x->ended)
		return cmd_fail(CMD_UNSURE,
		    "the recording ends before file %" PRIu32 " does: %" PRIu64
		    " bytes are written",
		    x->number, x->bytes);
	return file_compare(x);
}

int
export_file(struct rd *rd, uint32_t number, FILE *out)
{
	struct file_export x = { .number = number, .out = out, .ordered = true };
	struct event ev;
	int code, r;

	if ((x.hash = hash_new()) == NULL)
		return cmd_fail(CMD_UNSURE, "out of memory");
	while ((r = rd_next_event(rd, &ev)) == 0 && x.error == 0)
		x.error = file_event(&x, &ev);
	if (x.error == 0 && fflush(out) != 0)
		x.error = -errno;
	code = x.error != 0 ? CMD_YES : rd_end(rd, r);
	if (code == CMD_YES)
		code = file_result(&x);
	hash_free(x.hash);
	return code;
}
