/*
 * Not installed: has a watch read what tests/lib/tee.py wrote, and prints what it was told.
 * usage: bastion-watch scp|rsync LOG [BYTES]	BYTES: pieces of at most so many; 0: as they crossed
 *
 * One line each: "OP NUMBER SIZE MODE BYTES HASH|ranges|- STATUS|- PATH", "remark WORD: TEXT"; at the end
 * "follows yes|no", "plain BYTES", "content BYTES".
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/num.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/watch.h"

#define LOG_MAX (256u << 20) /* bytes */

static uint64_t plain, content;

static int
on_span(
    void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number, uint64_t offset)
{
	(void)arg;
	(void)way;
	(void)p;
	(void)offset;
	*(number == 0 ? &plain : &content) += len;
	return 0;
}

static const char *
op_name(enum watch_op op)
{
	static const char *const names[] = { [WATCH_GET] = "get",
		[WATCH_PUT] = "put",
		[WATCH_MKDIR] = "mkdir",
		[WATCH_REMOVE] = "remove",
		[WATCH_RMDIR] = "rmdir" };

	return op < sizeof(names) / sizeof(names[0]) && names[op] != NULL ? names[op] : "other";
}

static int
on_file(void *arg, const struct watch_file *f)
{
	char hash[2 * HASH_LEN + 1] = "-";

	(void)arg;
	if (f->has_hash)
		str_hex(hash, f->sha256, HASH_LEN);
	printf("%s %" PRIu32 " %" PRIu64 " %04o %" PRIu64 " ", op_name(f->op), f->number, f->size,
	    f->mode & 07777, f->bytes);
	printf("%s", hash);
	for (size_t i = 0; i < f->n_ranges; i++)
		printf("%s%" PRIu64 "-%" PRIu64, i == 0 ? " " : ",", f->ranges[i].from,
		    f->ranges[i].to);
	printf(" %s", f->answered ? "" : "unanswered");
	if (f->answered)
		printf("%" PRIu32, f->status);
	printf(" %.*s%s%s\n", (int)f->path_len, (const char *)f->path,
	    f->text[0] != '\0' ? ": " : "", f->text);
	return 0;
}

static int
on_remark(void *arg, const char *word, const char *text)
{
	(void)arg;
	printf("remark %s: %s\n", word, text);
	return 0;
}

static int
feed(struct watch *w, struct buf *b, size_t piece)
{
	while (buf_len(b) > 0) {
		const uint8_t *p;
		size_t len, n;
		uint8_t way;
		int r;

		if ((r = buf_get_u8(b, &way)) != 0 || (r = buf_get_str(b, &p, &len)) != 0)
			return r;
		if (way == 2 && len == 1 && (r = watch_exit(w, p[0])) != 0)
			return r;
		if (way == 2)
			continue;
		for (; len > 0; p += n, len -= n) {
			n = piece != 0 && piece < len ? piece : len;
			if ((r = watch_data(w, way == 0 ? EVENT_FRONT : EVENT_BACK, p, n)) != 0)
				return r;
		}
	}
	return watch_end(w);
}

static int
run(const char *kind, struct buf *b, size_t piece)
{
	static const struct watch_sink sink = { on_span, on_file, on_remark };
	char command[8192];
	struct watch *w = NULL;
	int r;

	if ((r = buf_get_cstr(b, command, sizeof(command))) != 0)
		return r;
	r = watch_new(
	    strcmp(kind, "scp") == 0 ? POL_STREAM_SCP : POL_STREAM_RSYNC, command, &sink, NULL, &w);
	if (r == ERR_FORMAT) {
		printf("command not followed\n");
		return 0;
	}
	if (r == 0)
		r = feed(w, b, piece);
	if (r == 0)
		printf("follows %s\nplain %" PRIu64 "\ncontent %" PRIu64 "\n",
		    watch_follows(w) ? "yes" : "no", plain, content);
	watch_free(w);
	return r;
}

/* All of a file; owned by caller. */
static struct buf *
slurp(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf *b = buf_new(LOG_MAX);
	static uint8_t part[65536];
	size_t n;

	if (f == NULL || b == NULL)
		return NULL;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		if (buf_put(b, part, n) != 0)
			return NULL;
	fclose(f);
	return b;
}

int
main(int argc, char **argv)
{
	struct buf *b;
	uint64_t piece = 0;
	int r;

	if (argc < 3 || argc > 4 || (argc == 4 && num_parse(argv[3], 0, 1u << 30, &piece) != 0)) {
		fprintf(stderr, "usage: bastion-watch scp|rsync LOG [BYTES]\n");
		return 2;
	}
	if (hash_init() != 0 || (b = slurp(argv[2])) == NULL) {
		fprintf(stderr, "bastion-watch: %s: cannot be read\n", argv[2]);
		return 1;
	}
	if ((r = run(argv[1], b, (size_t)piece)) != 0)
		fprintf(stderr, "bastion-watch: %s: %s\n", argv[2], err_str(r));
	buf_free(b);
	return r == 0 ? 0 : 1;
}
