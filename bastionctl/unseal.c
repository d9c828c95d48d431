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
#include "recorder/summary.h"

#define FILES_TEXT_MAX (32u << 20) /* bytes of what is told of files */
#define JSON_MAX (64u << 20)
#define RECORD_MAX (2 * SESS_PART_MAX + SESKEY_RECORD_MAX)

struct unseal {
	const struct secret *auditor;
	struct secret *key; /* of the session */
	bool open;	    /* key is the session's */
	struct buf *record; /* RD_RECORD up to now */
	/* what was in it, until its JSON comes */
	bool have, detail;
	bool for_key; /* it stays, for its key, until the next one */
	int key_err;  /* 0: it opened */
	struct sess sess;
	struct summary sum; /* of its events, as far as they came */
	bool torn;	    /* and no further */
	struct buf *block;  /* RD_SEALED or RD_BLOCKS up to now */
	struct buf *raw;
	struct block_codec_ctx *codec;
	uint64_t next_seq; /* events before it were given out; 0: none */
	char why[512];
};

/* What is known of the session of the record that came last. */
static void
drop_record(struct unseal *u)
{
	if (u->have)
		sess_done(&u->sess);
	u->have = u->torn = u->for_key = false;
	summary_done(&u->sum);
}

void
unseal_free(struct unseal *u)
{
	if (u == NULL)
		return;
	drop_record(u);
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
	summary_init(&u->sum);
	u->record = buf_new(RECORD_MAX);
	u->block = buf_new(BLOCK_HDR_LEN + BLOCK_STORED_MAX);
	u->raw = buf_new(BLOCK_RAW_MAX);
	(void)snprintf(u->why, sizeof(u->why), "the recording is sealed to auditors");
	if (u->record != NULL && u->block != NULL && u->raw != NULL)
		return u;
	unseal_free(u);
	return NULL;
}

/* Append the names to u->why. */
static int
say_names(struct unseal *u, int n, const struct auditors *who)
{
	for (size_t i = 0; i < who->n && n > 0 && (size_t)n < sizeof(u->why); i++)
		n += snprintf(u->why + n, sizeof(u->why) - (size_t)n, "%s %s", i > 0 ? "," : "",
		    who->a[i].name);
	return n;
}

static void
say_who(struct unseal *u, const struct seskey *k)
{
	int n = snprintf(u->why, sizeof(u->why), "the recording is sealed to");

	n = say_names(u, n, &k->to);
	if (k->handed.n > 0 && n > 0 && (size_t)n < sizeof(u->why)) {
		n += snprintf(u->why + n, sizeof(u->why) - (size_t)n, ", handed on to");
		n = say_names(u, n, &k->handed);
	}
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
	say_who(u, &k);
	r = seskey_open(
	    &k, sid, u->auditor != NULL ? secret_cptr(u->auditor) : NULL, secret_ptr(u->key));
	u->open = r == 0;
	seskey_done(&k);
	return r;
}

/* u8 detail, string key record, session record */
static int
open_record(struct unseal *u, struct buf *b)
{
	const uint8_t *key;
	size_t key_len;
	uint8_t detail;
	int r;

	if ((r = buf_get_u8(b, &detail)) != 0 || (r = buf_get_str(b, &key, &key_len)) != 0 ||
	    (r = sess_parse(buf_ptr(b), buf_len(b), &u->sess)) != 0)
		return r;
	u->have = true;
	u->detail = detail == RD_DETAIL_ALL;
	u->for_key = detail == RD_DETAIL_KEY;
	if (u->detail) {
		u->sum.files_max = UINT32_MAX;
		u->sum.files_text_max = FILES_TEXT_MAX;
	}
	r = u->key_err = open_key(u, key, key_len, u->sess.sid);
	/* Who wants the key is told of it by unseal_session(). */
	return r == ERR_SEALED || (u->for_key && r != -ENOMEM) ? 0 : r;
}

int
unseal_record(struct unseal *u, const void *data, size_t len, bool more)
{
	struct buf *b;
	int r = buf_put(u->record, data, len);

	if (r != 0 || more)
		return r;
	drop_record(u);
	unseal_seek(u);
	u->open = false;
	if ((b = buf_view(buf_ptr(u->record), buf_len(u->record))) == NULL)
		return -ENOMEM;
	r = open_record(u, b);
	buf_free(b);
	buf_reset(u->record);
	return r;
}

/* The whole of *root anew: what is private, and what only events tell, as s says. */
static int
put_private(struct json_node **root, const struct sess *s, bool detail)
{
	static const char *const keys[] = { "address", "channels", "files", "files_total", "hidden",
		"masked" };
	struct json *whole = reader_session_json(s, detail), *j = json_from_node(*root);
	struct json_node *node = NULL;
	char *text = NULL;
	size_t len;
	int r;

	if ((r = json_text(whole, false, JSON_MAX, &text, &len)) != 0 ||
	    (r = json_parse(text, len, &node)) != 0)
		goto out;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_put_node(j, keys[i], json_get(node, keys[i]));
	json_node_free(node);
	node = NULL;
	free(text);
	text = NULL;
	if ((r = json_text(j, false, JSON_MAX, &text, &len)) != 0 ||
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

/* The record keeps the first files; events tell of all. */
static void
take_files(struct sess *s, struct summary *sum)
{
	if (sum->n_files <= s->n_files)
		return;
	sess_files_free(s->files, s->n_files);
	s->files = sum->files;
	s->n_files = sum->n_files;
	sum->files = NULL;
	sum->n_files = 0;
}

/* Fill in u->sess; *ret_any: there was something to fill in. */
static int
fill_in(struct unseal *u, bool *ret_any)
{
	struct sess *s = &u->sess;
	bool has_private = s->state != SESS_OPEN && s->private_len > 0;
	int r = has_private ? sess_open_private(s, secret_cptr(u->key)) : 0;

	*ret_any = has_private || u->next_seq > 0;
	if (r != 0 || u->next_seq == 0)
		return r;
	if (has_private) {
		take_files(s, &u->sum);
	} else {
		summary_give(&u->sum, s);
		s->closed_to_us = 0;
	}
	return 0;
}

int
unseal_json(struct unseal *u, struct json_node **root)
{
	bool any = false;
	int r = 0;

	if (!u->have || u->for_key)
		return 0;
	if (u->open && (r = fill_in(u, &any)) == 0 && any)
		r = put_private(root, &u->sess, u->detail);
	drop_record(u);
	unseal_seek(u);
	return r;
}

int
unseal_session(const struct unseal *u, const struct sess **ret_s, const uint8_t **ret_key)
{
	if (!u->have || !u->for_key)
		return ERR_SEALED;
	if (u->key_err != 0)
		return u->key_err;
	*ret_s = &u->sess;
	*ret_key = secret_cptr(u->key);
	return 0;
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

/* What the events of the block in u->block that were not known yet tell. */
static int
sum_up(struct unseal *u)
{
	struct event_reader reader;
	struct unseal_events part;
	struct event ev;
	int r = open_block(u, &part);

	if (r != 0)
		return r;
	event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
	while ((r = event_next(&reader, &ev)) == 0)
		if ((r = summary_add(&u->sum, &ev)) != 0)
			return r;
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
unseal_inside(struct unseal *u, const void *data, size_t len, bool more)
{
	int r;

	if (!u->have)
		return ERR_ORDER;
	if (!u->open || u->torn)
		return 0;
	if ((r = buf_put(u->block, data, len)) != 0 || more)
		return r;
	r = sum_up(u);
	buf_reset(u->block);
	if (r != ERR_CHAIN && r != ERR_FORMAT)
		return r;
	/* What a damaged recording still tells is shown; the damage is the verifier's to name. */
	u->torn = true;
	return 0;
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
