/* The session record: its encoding. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"

#define RECORD_VERSION 3
#define PRIVATE_VERSION 1
#define FLAG_PTY 1u
#define FLAG_DENIED 2u

void
sess_channel_done(struct sess_channel *ch)
{
	free(ch->kind);
	free(ch->command);
	free(ch->term);
}

void
sess_files_free(char **files, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(files[i]);
	free(files);
}

static void
channels_free(struct sess_channel *channels, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sess_channel_done(&channels[i]);
	free(channels);
}

void
sess_done(struct sess *s)
{
	channels_free(s->channels, s->n_channels);
	sess_files_free(s->files, s->n_files);
	unseen_done(&s->unseen);
	free(s->meta);
	free(s->address);
	free(s->sealed_to);
	free(s->private);
	*s = (struct sess){ 0 };
}

/* Text of metadata: UTF-8 of its peers' making, but without control characters. */
static bool
text_is_plain(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return false;
	return true;
}

int
sess_meta_check(const uint8_t *meta, size_t len)
{
	struct buf *b = buf_view(meta, len);
	bool seen[256] = { false };
	const uint8_t *p;
	size_t p_len;
	uint8_t tag;
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	if (len > REC_META_MAX)
		r = ERR_LIMIT;
	while (r == 0 && buf_len(b) > 0) {
		if ((r = buf_get_u8(b, &tag)) != 0 || (r = buf_get_str(b, &p, &p_len)) != 0)
			break;
		if (tag == 0 || seen[tag] || !text_is_plain(p, p_len))
			r = ERR_FORMAT;
		seen[tag] = true;
	}
	buf_free(b);
	return r;
}

bool
sess_meta(const struct sess *s, enum rec_meta tag, const uint8_t **ret_p, size_t *ret_len)
{
	const uint8_t *p = s->meta, *end = p + s->meta_len;

	while (p != NULL && end - p >= 5) {
		size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];

		if (len > (size_t)(end - p) - 5)
			return false;
		if (p[0] == (uint8_t)tag) {
			*ret_p = p + 5;
			*ret_len = len;
			return true;
		}
		p += 5 + len;
	}
	return false;
}

char *
sess_meta_text(const struct sess *s, enum rec_meta tag, char *dst, size_t size)
{
	const uint8_t *p;
	size_t len;

	if (!sess_meta(s, tag, &p, &len))
		len = 0;
	return str_escape(dst, size, len > 0 ? (const void *)p : "", len);
}

const char *
sess_state_name(enum sess_state state)
{
	static const char *const names[] = { "unknown", "open", "closed", "truncated" };

	return (unsigned)state < 4 ? names[state] : names[0];
}

const char *
sess_end_name(uint8_t end_code)
{
	static const char *const names[] = { "", "client", "target", "connect", "host-key", "login",
		"killed", "recorder", "protocol", "internal" };

	return end_code < sizeof(names) / sizeof(names[0]) ? names[end_code] : "unknown";
}

/* Encoding. */

int
sess_put_opening(struct buf *b, const struct sess *s, const uint8_t salt[SESS_SALT_LEN])
{
	int r;

	if ((r = buf_put(b, s->sid, REC_SID_LEN)) != 0 ||
	    (r = buf_put_u64(b, s->opened_wall_ns)) != 0 || (r = buf_put_u32(b, s->conn)) != 0 ||
	    (r = buf_put_u32(b, s->leg)) != 0 || (r = buf_put_u8(b, s->durability)) != 0 ||
	    (r = buf_put(b, salt, SESS_SALT_LEN)) != 0 ||
	    (r = buf_put(b, s->key_hash, HASH_LEN)) != 0)
		return r;
	return buf_put_str(b, s->meta, s->meta_len);
}

static int
put_channel(struct buf *b, const struct sess_channel *ch)
{
	uint8_t flags = (uint8_t)((ch->pty ? FLAG_PTY : 0) | (ch->denied ? FLAG_DENIED : 0));
	const uint64_t wide[] = { ch->opened_ns, ch->closed_ns, ch->bytes_in, ch->bytes_out,
		ch->bytes_err };
	int r;

	if ((r = buf_put_u32(b, ch->number)) != 0 || (r = buf_put_cstr(b, ch->kind)) != 0 ||
	    (r = buf_put_u8(b, flags)) != 0 || (r = buf_put_u32(b, ch->cols)) != 0 ||
	    (r = buf_put_u32(b, ch->rows)) != 0 || (r = buf_put_u8(b, (uint8_t)ch->exit)) != 0 ||
	    (r = buf_put_u32(b, ch->exit_status)) != 0 ||
	    (r = buf_put_cstr(b, ch->exit_signal)) != 0)
		return r;
	for (size_t i = 0; r == 0 && i < sizeof(wide) / sizeof(wide[0]); i++)
		r = buf_put_u64(b, wide[i]);
	return r;
}

static int
put_private(struct buf *b, const struct sess *s)
{
	int r = buf_put_u8(b, PRIVATE_VERSION);

	for (uint32_t i = 0; r == 0 && i < s->n_channels; i++)
		if ((r = buf_put_cstr(b, s->channels[i].command)) == 0)
			r = buf_put_cstr(b, s->channels[i].term);
	if (r == 0)
		r = buf_put_u32(b, s->n_files);
	for (uint32_t i = 0; r == 0 && i < s->n_files; i++)
		r = buf_put_cstr(b, s->files[i]);
	return r;
}

/* The envelope as a string. */
static int
put_sealed(struct buf *b, const struct sess *s, const uint8_t *key)
{
	struct buf *plain = buf_new(SESS_PART_MAX), *envelope = buf_new(SESS_PART_MAX);
	int r = -ENOMEM;

	if (plain == NULL || envelope == NULL)
		goto out;
	if ((r = put_private(plain, s)) == 0 &&
	    (r = crypt_put(key, s->sid, CRYPT_PRIVATE, buf_ptr(plain), buf_len(plain), envelope)) ==
		0)
		r = buf_put_str(b, buf_ptr(envelope), buf_len(envelope));
out:
	buf_free(plain);
	buf_free(envelope);
	return r;
}

int
sess_put_end(
    struct buf *b, const struct sess *s, const uint8_t salt[SESS_SALT_LEN], const uint8_t *key)
{
	int r;

	if ((r = buf_put(b, salt, SESS_SALT_LEN)) != 0 ||
	    (r = buf_put(b, s->digest, HEAD_LEN)) != 0 ||
	    (r = buf_put_u64(b, s->closed_wall_ns)) != 0 || (r = buf_put_u8(b, s->end_code)) != 0 ||
	    (r = buf_put_cstr(b, s->end_text)) != 0 || (r = buf_put_cstr(b, s->end_by)) != 0 ||
	    (r = buf_put_u64(b, s->raw_bytes)) != 0 || (r = buf_put_u64(b, s->stored_bytes)) != 0 ||
	    (r = buf_put_cstr(b, s->address != NULL ? s->address : "")) != 0 ||
	    (r = buf_put_u32(b, s->n_channels)) != 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < s->n_channels; i++)
		r = put_channel(b, &s->channels[i]);
	if (r != 0 || (r = buf_put_u64(b, s->files_total)) != 0 ||
	    (r = key != NULL ? put_sealed(b, s, key) : buf_put_cstr(b, "")) != 0)
		return r;
	return unseen_is_empty(&s->unseen) ? 0 : unseen_put(b, &s->unseen);
}

int
sess_put_record(struct buf *b, const struct buf *opening, uint64_t open_leaf, const struct buf *end,
    uint64_t close_leaf)
{
	int r;

	if ((r = buf_put_u8(b, RECORD_VERSION)) != 0 ||
	    (r = buf_put_str(b, buf_ptr(opening), buf_len(opening))) != 0 ||
	    (r = buf_put_u64(b, open_leaf)) != 0)
		return r;
	if (end == NULL)
		return 0;
	if ((r = buf_put_str(b, buf_ptr(end), buf_len(end))) != 0)
		return r;
	return buf_put_u64(b, close_leaf);
}

/* Decoding. */

/* A string as a fresh C string; a NUL inside is an error. */
static int
get_text(struct buf *b, char **ret_text)
{
	const uint8_t *p;
	size_t len;
	char *text;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if (memchr(p, 0, len) != NULL)
		return ERR_FORMAT;
	if ((text = strndup((const char *)p, len)) == NULL)
		return -ENOMEM;
	*ret_text = text;
	return 0;
}

static int
parse_opening(struct buf *b, struct sess *s)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get(b, s->sid, REC_SID_LEN)) != 0 ||
	    (r = buf_get_u64(b, &s->opened_wall_ns)) != 0 || (r = buf_get_u32(b, &s->conn)) != 0 ||
	    (r = buf_get_u32(b, &s->leg)) != 0 || (r = buf_get_u8(b, &s->durability)) != 0 ||
	    (r = buf_skip(b, SESS_SALT_LEN)) != 0 || (r = buf_get(b, s->key_hash, HASH_LEN)) != 0 ||
	    (r = buf_get_str(b, &p, &len)) != 0 || (r = buf_end(b)) != 0 ||
	    (r = sess_meta_check(p, len)) != 0)
		return r;
	if ((s->meta = malloc(len + 1)) == NULL)
		return -ENOMEM;
	memcpy(s->meta, p, len);
	s->meta_len = len;
	return 0;
}

static int
get_channel(struct buf *b, struct sess_channel *ch)
{
	uint64_t *const wide[] = { &ch->opened_ns, &ch->closed_ns, &ch->bytes_in, &ch->bytes_out,
		&ch->bytes_err };
	uint8_t flags, how;
	int r;

	if ((r = buf_get_u32(b, &ch->number)) != 0 || (r = get_text(b, &ch->kind)) != 0 ||
	    (r = buf_get_u8(b, &flags)) != 0 || (r = buf_get_u32(b, &ch->cols)) != 0 ||
	    (r = buf_get_u32(b, &ch->rows)) != 0 || (r = buf_get_u8(b, &how)) != 0 ||
	    (r = buf_get_u32(b, &ch->exit_status)) != 0 ||
	    (r = buf_get_cstr(b, ch->exit_signal, sizeof(ch->exit_signal))) != 0)
		return r;
	if (how > SESS_EXIT_SIGNAL)
		return ERR_FORMAT;
	if ((ch->command = strdup("")) == NULL || (ch->term = strdup("")) == NULL)
		return -ENOMEM;
	ch->pty = (flags & FLAG_PTY) != 0;
	ch->denied = (flags & FLAG_DENIED) != 0;
	ch->exit = (enum sess_exit)how;
	for (size_t i = 0; r == 0 && i < sizeof(wide) / sizeof(wide[0]); i++)
		r = buf_get_u64(b, wide[i]);
	return r;
}

static int
parse_channels(struct buf *b, struct sess *s)
{
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > SESS_CHANNELS_MAX)
		return ERR_FORMAT;
	if (n > 0 && (s->channels = calloc(n, sizeof(*s->channels))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = get_channel(b, &s->channels[i]);
		s->n_channels = i + 1;
	}
	return r;
}

static int
parse_files(struct buf *b, struct sess *s)
{
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > SESS_FILES_MAX)
		return ERR_FORMAT;
	if (n > 0 && (s->files = calloc(n, sizeof(*s->files))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = get_text(b, &s->files[i]);
		s->n_files = i + 1;
	}
	return r;
}

static int
replace_text(struct buf *b, char **text)
{
	char *fresh;
	int r = get_text(b, &fresh);

	if (r == 0) {
		free(*text);
		*text = fresh;
	}
	return r;
}

static int
parse_private(struct buf *b, struct sess *s)
{
	uint8_t version;
	int r;

	if ((r = buf_get_u8(b, &version)) != 0)
		return r;
	if (version != PRIVATE_VERSION)
		return ERR_VERSION;
	for (uint32_t i = 0; r == 0 && i < s->n_channels; i++)
		if ((r = replace_text(b, &s->channels[i].command)) == 0)
			r = replace_text(b, &s->channels[i].term);
	if (r != 0 || (r = parse_files(b, s)) != 0)
		return r;
	return buf_end(b);
}

int
sess_open_private(struct sess *s, const uint8_t key[CRYPT_KEY_LEN])
{
	struct buf *plain = buf_new(SESS_PART_MAX);
	int r = -ENOMEM;

	if (plain == NULL)
		return r;
	r = s->private_len == 0
		? 0
		: crypt_get(key, s->sid, CRYPT_PRIVATE, s->private, s->private_len, plain);
	if (r == 0 && buf_len(plain) > 0)
		r = parse_private(plain, s);
	if (r == 0)
		s->closed_to_us = 0;
	buf_free(plain);
	return r;
}

static int
take_private(struct buf *b, struct sess *s)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if ((s->private = malloc(len + 1)) == NULL)
		return -ENOMEM;
	memcpy(s->private, p, len);
	s->private_len = len;
	return 0;
}

static int
parse_end(struct buf *b, struct sess *s)
{
	struct head digest;
	int r;

	if ((r = buf_skip(b, SESS_SALT_LEN)) != 0 || (r = buf_get(b, s->digest, HEAD_LEN)) != 0 ||
	    (r = buf_get_u64(b, &s->closed_wall_ns)) != 0 ||
	    (r = buf_get_u8(b, &s->end_code)) != 0 ||
	    (r = buf_get_cstr(b, s->end_text, sizeof(s->end_text))) != 0 ||
	    (r = buf_get_cstr(b, s->end_by, sizeof(s->end_by))) != 0 ||
	    (r = buf_get_u64(b, &s->raw_bytes)) != 0 ||
	    (r = buf_get_u64(b, &s->stored_bytes)) != 0 || (r = get_text(b, &s->address)) != 0 ||
	    (r = parse_channels(b, s)) != 0 || (r = buf_get_u64(b, &s->files_total)) != 0 ||
	    (r = take_private(b, s)) != 0 ||
	    (buf_len(b) > 0 && (r = unseen_get(b, &s->unseen)) != 0) || (r = buf_end(b)) != 0 ||
	    (r = head_parse(s->digest, HEAD_LEN, &digest)) != 0)
		return r;
	if (digest.state != SESS_CLOSED && digest.state != SESS_TRUNCATED)
		return ERR_FORMAT;
	s->state = (enum sess_state)digest.state;
	s->n_events = digest.n_events;
	s->n_blocks = digest.n_blocks;
	s->last_ns = digest.last_ns;
	return 0;
}

/* A string of the record as a part of its own: its hash is what a leaf covers. */
static int
parse_part(struct buf *b, struct sess *s, int (*parse)(struct buf *b, struct sess *s),
    uint8_t ret_hash[HASH_LEN])
{
	const uint8_t *p;
	struct buf *part;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	hash_sha256(p, len, ret_hash);
	if ((part = buf_view(p, len)) == NULL)
		return -ENOMEM;
	r = parse(part, s);
	buf_free(part);
	return r;
}

int
sess_parse(const uint8_t *data, size_t len, struct sess *ret_sess)
{
	struct sess s = { .state = SESS_OPEN, .closed_to_us = ERR_SEALED };
	struct buf *b = buf_view(data, len);
	uint8_t version;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &version)) != 0)
		goto out;
	r = ERR_VERSION;
	if (version != RECORD_VERSION)
		goto out;
	if ((r = parse_part(b, &s, parse_opening, s.open_hash)) != 0 ||
	    (r = buf_get_u64(b, &s.open_leaf)) != 0)
		goto out;
	if (buf_len(b) > 0 && ((r = parse_part(b, &s, parse_end, s.close_hash)) != 0 ||
				  (r = buf_get_u64(b, &s.close_leaf)) != 0))
		goto out;
	if (s.address == NULL && (s.address = strdup("")) == NULL)
		r = -ENOMEM;
	else
		r = buf_end(b);
out:
	buf_free(b);
	if (r != 0)
		sess_done(&s);
	else
		*ret_sess = s;
	return r;
}
