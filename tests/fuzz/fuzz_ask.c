/*
 * Frames that the recorder asks about. Input: one byte (1: from the back, 2: a forced command, 4: rules with exec patterns), one byte
 * type, the frame.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/ask.h"
#include "recorder/link_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD                                                                                       \
	"users: {alice: {}}\nhosts: {web1: {address: 10.0.0.1}}\nrules:\n  - {name: r, who: "      \
	"{users: [alice]}, where: {hosts: [web1]}, as: [root], may: "

static struct set *
make_set(const char *file)
{
	char err[SET_ERR_SIZE];
	struct set *s = set_new();

	if (s == NULL || set_add_file(s, POL_FILE_POLICY, "p", file, strlen(file), NULL, err) != 0)
		abort();
	return s;
}

static void
check_replacement(struct buf *b)
{
	const uint8_t *p;
	uint32_t number;
	uint8_t want_reply;
	size_t len;

	if (buf_get_u32(b, &number) != 0 || buf_get_str(b, &p, &len) != 0 ||
	    buf_get_u8(b, &want_reply) != 0 || buf_get_str(b, &p, &len) != 0 || buf_end(b) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct set *all, *some;
	char command[] = "uptime";
	struct leg leg = { .id = 1, .identity = "alice", .login = "root", .host = "web1" };
	struct ask_verdict v;
	struct buf *replacement, *terms;
	struct ask ask;

	if (all == NULL) {
		all = make_set(HEAD "[shell, exec, sftp, scp, rsync]}\n");
		some = make_set(HEAD "[{exec: [\"systemctl status *\", \"cat **\"]}]}\n");
	}
	if (size < 2)
		return 0;
	if ((data[0] & 2) != 0)
		leg.force_command = command;
	ask = (struct ask){ .from_back = (data[0] & 1) != 0,
		.type = data[1],
		.data = data + 2,
		.len = size - 2,
		.now_ns = 1 };
	if ((replacement = buf_new(ASK_FRAME_MAX)) == NULL ||
	    (terms = buf_new(POL_TERMS_MAX)) == NULL)
		abort();
	if (ask_judge(&leg, (data[0] & 4) != 0 ? some : all, &ask, replacement, terms, &v) != 0)
		abort();
	if (v.verdict == POL_REPLACE)
		check_replacement(replacement);
	else if (buf_len(replacement) > 0 || (v.verdict == POL_DENY && v.text[0] == '\0'))
		abort();
	buf_free(terms);
	buf_free(replacement);
	return 0;
}
