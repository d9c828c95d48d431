/*
 * Frames that the recorder asks about. Input: one byte (1: from the back, 2: a forced command, 4: rules with limits, 8: a
 * certificate that permits nothing, 16: the target was asked for everything before), one byte type, the frame.
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

/* Terms have the form that the recorder reads, and only what crosses has any. */
static void
check_terms(const struct ask_verdict *v, struct buf *b)
{
	const uint8_t *p;
	uint8_t stream, files, rights;
	uint32_t n;
	size_t len;

	if (buf_len(b) == 0)
		return;
	if (v->verdict == POL_DENY || buf_get_u8(b, &stream) != 0 || stream == POL_STREAM_PLAIN ||
	    stream > POL_STREAM_FORWARD || buf_get_u8(b, &files) != 0 || files < 1 || files > 2 ||
	    buf_get_u8(b, &rights) != 0 || (rights != 0) != (stream == POL_STREAM_SFTP))
		abort();
	for (int list = 0; list < 2; list++)
		for (n = buf_get_u32(b, &n) == 0 ? n : 1u << 20; n > 0; n--)
			if (buf_get_str(b, &p, &len) != 0 || len == 0 || p[0] != '/')
				abort();
	if (buf_end(b) != 0)
		abort();
}

/* A leg, and what the target was asked for on it. */
static void
make_leg(struct leg *leg, uint8_t bits, char *command)
{
	*leg = (struct leg){ .id = 1, .identity = "alice", .login = "root", .host = "web1" };
	if ((bits & 2) != 0)
		leg->force_command = command;
	leg->by_cert = (bits & 8) != 0;
	if ((bits & 16) == 0)
		return;
	leg->asked = MODEL_AGENT | MODEL_X11;
	if (listens_add(&leg->listens, &(struct forward){ .host = "", .port = 8080 }, 0) != 0 ||
	    listens_add(&leg->listens, &(struct forward){ .path = "/run/x" }, 0) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct set *all, *some;
	char command[] = "uptime";
	struct leg leg;
	struct ask_verdict v;
	struct buf *replacement, *terms;
	struct ask ask;

	if (all == NULL) {
		all = make_set(HEAD "[shell, exec, sftp, scp, rsync, {forward: [\"*:*\"]}, "
				    "{remote_forward: [\"*:*\", \"unix:/run/x\"]}, agent, x11]}\n");
		some =
		    make_set(HEAD "[{exec: [\"systemctl status *\", \"cat **\"]}, {sftp-read: "
				  "[/srv, /a/b]}, {sftp-write: [/srv/in]}, {forward: "
				  "[\"localhost:5432\", \"*.db:1-9\", \"10.*:80\", "
				  "\"[::1]:80\", \"unix:/run/x\"]}, {remote_forward: [8080]}]}\n");
	}
	if (size < 2)
		return 0;
	make_leg(&leg, data[0], command);
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
	check_terms(&v, terms);
	listens_done(&leg.listens);
	buf_free(terms);
	buf_free(replacement);
	return 0;
}
