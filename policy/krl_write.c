/*
 * Writing key revocation lists: what is new goes behind what is there, so that nothing which somebody else wrote into a list
 * is lost or rewritten. The result is read by krl.c before anybody gets it.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/hash.h"
#include "policy/krl.h"

#define HEAD_FIXED 36u	     /* magic, format, version, date, flags */
#define VERSION_AT 12u	     /* u64, and behind it u64 date */
#define AFTER_DATE 28u	     /* offset of the flags */
#define SECTION_MAX 65536u   /* bytes of one section */
#define SECT_CERTIFICATES 1u /* PROTOCOL.krl */
#define SECT_SHA256 5u
#define CERT_RANGE 0x21u
#define CERT_KEY_ID 0x23u

static uint64_t
read_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* A new version of the head, and all that was behind it. */
static int
put_old(const uint8_t *data, size_t len, uint64_t now_s, struct buf *b)
{
	int r;

	if ((r = buf_put(b, data, VERSION_AT)) != 0 ||
	    (r = buf_put_u64(b, read_u64(data + VERSION_AT) + 1)) != 0 ||
	    (r = buf_put_u64(b, now_s)) != 0)
		return r;
	return buf_put(b, data + AFTER_DATE, len - AFTER_DATE);
}

static int
put_new(uint64_t now_s, struct buf *b)
{
	int r;

	if ((r = buf_put(b, "SSHKRL\n", 8)) != 0 || (r = buf_put_u32(b, 1)) != 0 ||
	    (r = buf_put_u64(b, 1)) != 0 || (r = buf_put_u64(b, now_s)) != 0 ||
	    (r = buf_put_u64(b, 0)) != 0 || (r = buf_put_cstr(b, "")) != 0)
		return r;
	return buf_put_cstr(b, "");
}

static int
put_section(struct buf *b, uint8_t type, const struct buf *body)
{
	int r = buf_put_u8(b, type);

	return r != 0 ? r : buf_put_str(b, buf_ptr(body), buf_len(body));
}

static int
put_cert_body(const struct krl_change *c, struct buf *body)
{
	int r;

	if (c->key_id != NULL)
		return buf_put_cstr(body, c->key_id);
	if ((r = buf_put_u64(body, c->low)) != 0)
		return r;
	return buf_put_u64(body, c->high);
}

static int
put_change(const struct krl_change *c, struct buf *b)
{
	struct buf *body = buf_new(SECTION_MAX), *sect = buf_new(SECTION_MAX);
	uint8_t hash[HASH_LEN];
	int r = -ENOMEM;

	if (body == NULL || sect == NULL)
		goto out;
	if (c->key_blob != NULL) {
		hash_sha256(c->key_blob, c->key_blob_len, hash);
		if ((r = buf_put_str(sect, hash, sizeof(hash))) == 0)
			r = put_section(b, SECT_SHA256, sect);
		goto out;
	}
	if ((r = buf_put_str(sect, c->ca_blob, c->ca_blob_len)) == 0 &&
	    (r = buf_put_cstr(sect, "")) == 0 && (r = put_cert_body(c, body)) == 0 &&
	    (r = put_section(sect, c->key_id != NULL ? CERT_KEY_ID : CERT_RANGE, body)) == 0)
		r = put_section(b, SECT_CERTIFICATES, sect);
out:
	buf_free(body);
	buf_free(sect);
	return r;
}

int
krl_extend(const uint8_t *data, size_t len, uint64_t now_s, const struct krl_change *changes,
    size_t n, struct buf *ret_list)
{
	struct krl *k = NULL;
	int r = 0;

	if (data != NULL && (len < HEAD_FIXED || krl_parse(data, len, &k, NULL) != 0))
		return ERR_FORMAT;
	krl_free(k);
	k = NULL;
	r = data != NULL ? put_old(data, len, now_s, ret_list) : put_new(now_s, ret_list);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_change(&changes[i], ret_list);
	if (r == 0)
		r = krl_parse(buf_ptr(ret_list), buf_len(ret_list), &k, NULL);
	krl_free(k);
	return r;
}
