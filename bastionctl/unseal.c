/* From sealed to open, with an auditor's key. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/unseal.h"
#include "lib/buf.h"
#include "lib/str.h"
#include "recorder/block.h"
#include "recorder/event.h"
#include "recorder/reader_json.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"

#define RECORD_MAX (2 * SESS_PART_MAX + SESKEY_RECORD_MAX)

struct unseal {
	const struct secret *auditor;
	struct secret *key; /* of the session */
	bool open;	    /* key is the session's */
	struct buf *record; /* RD_RECORD up to now */
	bool whole;	    /* all of it */
	struct buf *block;  /* RD_SEALED up to now */
	struct buf *raw;
	struct block_codec_ctx *codec;
	uint64_t next_seq; /* events before it were given out; 0: none */
	char why[512];
};

void
unseal_free(struct unseal *u)
{
	if (u == NULL)
		return;
	secret_free(u->key);
	buf_free(u->record);
	buf_free(u->block);
	buf_free(u->raw);
	block_codec_free(u->codec);
	free(u);
}

struct unseal *
unseal_new(const struct secret *auditor)
{
	struct unseal *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->auditor = auditor;
	u->record = buf_new(RECORD_MAX);
	u->block = buf_new(BLOCK_HDR_LEN + BLOCK_STORED_MAX);
	u->raw = buf_new(BLOCK_RAW_MAX);
	(void)snprintf(u->why, sizeof(u->why), "the recording is sealed to auditors");
	if (u->record != NULL && u->block != NULL && u->raw != NULL)
		return u;
	unseal_free(u);
	return NULL;
}

int
unseal_record(struct unseal *u, const void *data, size_t len, bool more)
{
	if (u->whole)
		buf_reset(u->record);
	u->whole = !more;
	return buf_put(u->record, data, len);
}

static void
say_who(struct unseal *u, const struct auditors *to)
{
	int n = snprintf(u->why, sizeof(u->why), "the recording is sealed to");

	for (size_t i = 0; i < to->n && n > 0 && (size_t)n < sizeof(u->why); i++)
		n += snprintf(u->why + n, sizeof(u->why) - (size_t)n, "%s %s", i > 0 ? "," : "",
		    to->a[i].name);
	if (n > 0 && (size_t)n < sizeof(u->why))
		(void)snprintf(u->why + n, sizeof(u->why) - (size_t)n, ": %s",
		    u->auditor != NULL ? "this key is none of theirs"
				       : "the secret key of one of them opens it "
					 "(--auditor-key FILE)");
}

/* The session's key from its record. 0; ERR_SEALED; ERR_CHAIN; ERR_FORMAT; -ENOMEM. */
static int
open_key(struct unseal *u, const uint8_t *data, size_t len, const uint8_t *sid)
{
	struct seskey k;
	int r;

	if (u->key == NULL && (u->key = secret_new(CRYPT_KEY_LEN)) == NULL)
		return -ENOMEM;
	if ((r = seskey_parse(data, len, &k)) != 0)
		return r;
	say_who(u, &k.to);
	r = seskey_open(
	    &k, sid, u->auditor != NULL ? secret_cptr(u->auditor) : NULL, secret_ptr(u->key));
	u->open = r == 0;
	seskey_done(&k);
	return r;
}

/* Replace what is private in *root by what s says. */
static int
put_private(struct json_node **root, const struct sess *s, bool detail)
{
	struct json *whole = reader_session_json(s, detail), *j = json_from_node(*root);
	struct json_node *node = NULL;
	char *text = NULL;
	size_t len;
	int r;

	if ((r = json_text(whole, false, RECORD_MAX, &text, &len)) != 0 ||
	    (r = json_parse(text, len, &node)) != 0)
		goto out;
	json_put_node(j, "channels", json_get(node, "channels"));
	json_put_node(j, "files", json_get(node, "files"));
	json_node_free(node);
	node = NULL;
	free(text);
	text = NULL;
	if ((r = json_text(j, false, RECORD_MAX, &text, &len)) != 0 ||
	    (r = json_parse(text, len, &node)) != 0)
		goto out;
	json_node_free(*root);
	*root = node;
out:
	json_free(whole);
	json_free(j);
	free(text);
	return r;
}

/* u8 detail, string key record, session record */
static int
open_record(struct unseal *u, struct buf *b, struct json_node **root)
{
	const uint8_t *key;
	size_t key_len;
	uint8_t detail;
	struct sess s;
	int r;

	if ((r = buf_get_u8(b, &detail)) != 0 || (r = buf_get_str(b, &key, &key_len)) != 0 ||
	    (r = sess_parse(buf_ptr(b), buf_len(b), &s)) != 0)
		return r;
	if ((r = open_key(u, key, key_len, s.sid)) == 0 && s.state != SESS_OPEN &&
	    s.private_len > 0 && (r = sess_open_private(&s, secret_cptr(u->key))) == 0)
		r = put_private(root, &s, detail != 0);
	sess_done(&s);
	return r == ERR_SEALED ? 0 : r;
}

int
unseal_json(struct unseal *u, struct json_node **root)
{
	struct buf *b;
	int r = -ENOMEM;

	if (!u->whole)
		return 0;
	u->whole = u->open = false;
	if ((b = buf_view(buf_ptr(u->record), buf_len(u->record))) != NULL)
		r = open_record(u, b, root);
	buf_free(b);
	buf_reset(u->record);
	return r;
}

/* Where the events begin that were not given out yet. */
static int
skip_known(const struct unseal *u, const struct block_hdr *hdr, struct unseal_events *ret_ev)
{
	struct event_reader reader;
	struct event ev;
	int r = 0;

	event_reader_init(&reader, buf_ptr(u->raw), buf_len(u->raw), hdr->first_seq, hdr->base_ns);
	while (r == 0 && reader.next_seq < u->next_seq)
		r = event_next(&reader, &ev);
	if (r != 0 && r != ERR_NOT_FOUND)
		return r;
	*ret_ev = (struct unseal_events){ .data = buf_ptr(u->raw) + reader.off,
		.len = buf_len(u->raw) - reader.off,
		.first_seq = reader.next_seq,
		.base_ns = reader.at_ns };
	return 0;
}

static int
open_block(struct unseal *u, struct unseal_events *ret_ev)
{
	uint8_t salt[BLOCK_SALT_LEN];
	struct block_hdr hdr;
	int r;

	if (u->codec == NULL && (u->codec = block_codec_new()) == NULL)
		return -ENOMEM;
	if (buf_len(u->block) < BLOCK_HDR_LEN)
		return ERR_FORMAT;
	if ((r = block_hdr_parse(buf_ptr(u->block), BLOCK_HDR_LEN, &hdr)) != 0)
		return r;
	buf_reset(u->raw);
	r = block_open(u->codec, secret_cptr(u->key), &hdr, buf_ptr(u->block) + BLOCK_HDR_LEN,
	    buf_len(u->block) - BLOCK_HDR_LEN, salt, u->raw);
	if (r != 0 || (r = skip_known(u, &hdr, ret_ev)) != 0)
		return r;
	u->next_seq = hdr.first_seq + hdr.n_events;
	return 0;
}

int
unseal_block(
    struct unseal *u, const void *data, size_t len, bool more, struct unseal_events *ret_ev)
{
	int r;

	if (!u->open)
		return ERR_SEALED;
	if ((r = buf_put(u->block, data, len)) != 0 || more)
		return r;
	r = open_block(u, ret_ev);
	buf_reset(u->block);
	return r;
}

void
unseal_seek(struct unseal *u)
{
	buf_reset(u->block);
	u->next_seq = 0;
}

const char *
unseal_why(const struct unseal *u)
{
	return u->why;
}
