/*
 * The verb checkpoint: the log's signed head, the key that signed it, and proofs under it, in the
 * forms that other tools for such logs read (c2sp.org/tlog-proof, c2sp.org/tlog-witness).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/num.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "recorder/note.h"
#include "recorder/reader.h"
#include "recorder/tree.h"

#define PROOF_MAX (NOTE_MAX + 16384u) /* bytes of a proof with its checkpoint */

/* Where a proof is made: the log under its checkpoint. */
struct prover {
	struct reader *rd;
	const char *note; /* borrowed from the snapshot */
	size_t note_len;
	struct note_checkpoint now;
	struct buf *out;
};

static int
prover_leaf(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	const struct prover *p = arg;
	const uint8_t *data;
	size_t len;
	int r = mlog_leaf_get(p->rd->snap, index, &data, &len);

	if (r == 0)
		tree_leaf(data, len, ret_hash);
	return r;
}

static int
put_text(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

static int
put_base64(struct buf *b, const void *data, size_t len)
{
	char *text = str_base64(data, len);
	int r;

	if (text == NULL)
		return -ENOMEM;
	if ((r = put_text(b, text)) == 0)
		r = put_text(b, "\n");
	free(text);
	return r;
}

/* The hashes, an empty line, the checkpoint; then all of it is sent. */
static int
prover_end(struct prover *p, const struct tree_proof *proof)
{
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < proof->n; i++)
		r = put_base64(p->out, proof->hashes[i], HASH_LEN);
	if (r != 0 || (r = put_text(p->out, "\n")) != 0 ||
	    (r = buf_put(p->out, p->note, p->note_len)) != 0)
		return r;
	while (r == 0 && at < buf_len(p->out)) {
		size_t n = buf_len(p->out) - at < IPC_MAX ? buf_len(p->out) - at : IPC_MAX;

		r = reader_send(p->rd, RD_TEXT, 0, buf_ptr(p->out) + at, n);
		at += n;
	}
	return r;
}

/* The last leaf about a session that says how it is: its end, or its opening while it runs. */
static int
prover_find(struct prover *p, const uint8_t sid[REC_SID_LEN], uint64_t *ret_index)
{
	struct mlog_leaf leaf;
	const uint8_t *data;
	bool found = false;
	size_t len;
	int r;

	for (uint64_t i = 0; i < p->now.size; i++) {
		if ((r = mlog_leaf_get(p->rd->snap, i, &data, &len)) != 0)
			return r;
		if ((r = mlog_leaf_parse(data, len, &leaf)) == -ENOMEM)
			return r;
		if (r == 0 && (leaf.type == MLOG_OPEN || leaf.type == MLOG_CLOSE) &&
		    memcmp(leaf.sid, sid, REC_SID_LEN) == 0) {
			*ret_index = i;
			found = true;
		}
	}
	return found ? 0 : ERR_NOT_FOUND;
}

static int
prove_session(struct prover *p, const char *text)
{
	struct tree_proof proof;
	uint8_t sid[REC_SID_LEN];
	const uint8_t *data;
	char line[64];
	uint64_t index;
	size_t len;
	int r;

	if ((r = reader_find(p->rd, text, sid)) != 0 || (r = prover_find(p, sid, &index)) != 0) {
		if (r == ERR_NOT_FOUND && p->rd->text[0] == '\0')
			reader_say(p->rd, "the log does not know this session");
		return r;
	}
	if ((r = tree_inclusion(prover_leaf, p, index, p->now.size, &proof)) != 0 ||
	    (r = mlog_leaf_get(p->rd->snap, index, &data, &len)) != 0)
		return r;
	/* The leaf itself rides along, so that the proof needs nothing else. */
	(void)snprintf(line, sizeof(line), "index %" PRIu64 "\n", index);
	if ((r = put_text(p->out, "c2sp.org/tlog-proof@v1\nextra ")) != 0 ||
	    (r = put_base64(p->out, data, len)) != 0 || (r = put_text(p->out, line)) != 0)
		return r;
	return prover_end(p, &proof);
}

static int
prove_growth(struct prover *p, const char *text)
{
	struct tree_proof proof;
	char line[64];
	uint64_t from;
	int r;

	if (num_parse(text, 0, UINT64_MAX, &from) != 0 || from > p->now.size) {
		reader_say(p->rd, "%s: the log has %" PRIu64 " leaves", text, p->now.size);
		return ERR_NOT_FOUND;
	}
	(void)snprintf(line, sizeof(line), "old %" PRIu64 "\n", from);
	if ((r = tree_consistency(prover_leaf, p, from, p->now.size, &proof)) != 0 ||
	    (r = put_text(p->out, line)) != 0)
		return r;
	return prover_end(p, &proof);
}

static int
prove(struct reader *rd, const char *note, size_t len, uint8_t *ret_code)
{
	const char *session = reader_option(rd, "--proof"), *from = reader_option(rd, "--from");
	struct prover p = { .rd = rd, .note = note, .note_len = len };
	size_t text_len;
	int r;

	if ((r = note_text_len(note, len, &text_len)) != 0 ||
	    (r = note_checkpoint_parse(note, text_len, &p.now)) != 0)
		return r;
	if ((p.out = buf_new(PROOF_MAX)) == NULL)
		return -ENOMEM;
	r = session != NULL ? prove_session(&p, session) : prove_growth(&p, from);
	buf_free(p.out);
	if (r == ERR_NOT_FOUND && rd->text[0] == '\0')
		reader_say(rd, "leaves of the log are missing: see bastionctl verify");
	if (r == ERR_NOT_FOUND) {
		*ret_code = 1;
		r = 0;
	}
	return r;
}

int
reader_checkpoint(struct reader *rd, uint8_t *ret_code)
{
	bool proof = reader_option(rd, "--proof") != NULL || reader_option(rd, "--from") != NULL;
	const char *note;
	size_t len;
	int r;

	*ret_code = 0;
	if (reader_option(rd, "--key") != NULL)
		return reader_newest_key(rd, ret_code);
	r = mlog_checkpoint_get(rd->snap, &note, &len);
	/* A checkpoint that a power cut took back would later look like a log that was changed. */
	if (r == 0)
		r = store_sync(rd->store);
	if (r == ERR_NOT_FOUND) {
		reader_say(rd, "the log has no checkpoint yet");
		*ret_code = 1;
		return 0;
	}
	if (r == 0 && proof)
		return prove(rd, note, len, ret_code);
	/* Less than one message, and the first one: there is credit. */
	return r != 0 ? r : reader_send(rd, RD_TEXT, 0, note, len);
}
