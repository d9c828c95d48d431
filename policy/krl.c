/* The KRL reader: sections become sorted arrays, asked by binary search. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/sshkey.h"
#include "policy/krl.h"

#define KRL_MAGIC "SSHKRL\n" /* with its NUL: 8 bytes */
#define KRL_FORMAT 1u
#define BITMAP_BITS_MAX (1u << 24) /* as OpenSSH */

enum krl_section {
	KRL_CERTIFICATES = 1,
	KRL_EXPLICIT_KEY = 2,
	KRL_FINGERPRINT_SHA1 = 3,
	KRL_FINGERPRINT_SHA256 = 5,
	KRL_EXTENSION = 255
};

enum krl_cert_section {
	KRL_CERT_SERIAL_LIST = 0x20,
	KRL_CERT_SERIAL_RANGE = 0x21,
	KRL_CERT_SERIAL_BITMAP = 0x22,
	KRL_CERT_KEY_ID = 0x23,
	KRL_CERT_EXTENSION = 0x39
};

/* Byte strings, sorted when the list is complete. */
struct blob {
	const uint8_t *p; /* into krl.data */
	size_t len;
};
struct blobs {
	struct blob *v;
	size_t n, size;
};

struct range {
	uint64_t low, high;
};
struct ranges {
	struct range *v;
	size_t n, size;
};

/* What is revoked of one CA. */
struct authority {
	struct blob ca; /* len 0: of every CA */
	struct ranges serials;
	struct blobs key_ids;
};

struct krl {
	uint8_t *data; /* owned: a copy of the file */
	uint64_t version;
	struct blobs keys, sha1s, sha256s;
	struct authority *authorities;
	size_t n_authorities, authorities_size;
};

static int
fault(const char **why, const char *text)
{
	*why = text;
	return ERR_FORMAT;
}

/* Room for one more entry in an array that doubles. */
static int
grow(void **v, size_t n, size_t *size, size_t entry)
{
	size_t want = *size == 0 ? 16 : *size * 2;
	void *p;

	if (n < *size)
		return 0;
	if ((p = reallocarray(*v, want, entry)) == NULL)
		return -ENOMEM;
	*v = p;
	*size = want;
	return 0;
}

static int
blobs_add(struct blobs *b, const uint8_t *p, size_t len)
{
	void *v = b->v;
	int r = grow(&v, b->n, &b->size, sizeof(*b->v));

	b->v = v;
	if (r == 0)
		b->v[b->n++] = (struct blob){ p, len };
	return r;
}

static int
ranges_add(struct ranges *s, uint64_t low, uint64_t high, const char **why)
{
	void *v = s->v;
	int r;

	/* Serial 0 is what a CA writes that counts nothing: revoking it would mean nothing in particular. */
	if (low == 0 || low > high)
		return fault(why, "impossible serial numbers");
	if (s->n > 0 && s->v[s->n - 1].high != UINT64_MAX && s->v[s->n - 1].high + 1 == low) {
		s->v[s->n - 1].high = high;
		return 0;
	}
	r = grow(&v, s->n, &s->size, sizeof(*s->v));
	s->v = v;
	if (r == 0)
		s->v[s->n++] = (struct range){ low, high };
	return r;
}

static int
blob_order(const void *a, const void *b)
{
	const struct blob *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = len > 0 ? memcmp(x->p, y->p, len) : 0;

	return order != 0 ? order : x->len < y->len ? -1 : x->len > y->len;
}

static bool
blobs_has(const struct blobs *b, const uint8_t *p, size_t len)
{
	struct blob want = { p, len };

	return b->n > 0 && bsearch(&want, b->v, b->n, sizeof(*b->v), blob_order) != NULL;
}

static int
range_order(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

/* After sorting by their low ends, ranges that overlap become one, so that one search finds the only candidate. */
static void
ranges_finish(struct ranges *s)
{
	size_t n = 0;

	if (s->n == 0)
		return;
	qsort(s->v, s->n, sizeof(*s->v), range_order);
	for (size_t i = 1; i < s->n; i++) {
		if (s->v[i].low <= s->v[n].high) {
			if (s->v[i].high > s->v[n].high)
				s->v[n].high = s->v[i].high;
		} else {
			s->v[++n] = s->v[i];
		}
	}
	s->n = n + 1;
}

static bool
ranges_has(const struct ranges *s, uint64_t serial)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (serial < s->v[mid].low)
			high = mid;
		else if (serial > s->v[mid].high)
			low = mid + 1;
		else
			return true;
	}
	return false;
}

static void
blobs_finish(struct blobs *b)
{
	if (b->n > 0)
		qsort(b->v, b->n, sizeof(*b->v), blob_order);
}

/* A name, whether it is critical, and contents: nothing is known here, so a critical one spoils the list. */
static int
read_extension(struct buf *b, const char **why)
{
	const uint8_t *p;
	uint8_t critical;
	size_t len;

	if (buf_get_str(b, &p, &len) != 0 || memchr(p, '\0', len) != NULL ||
	    buf_get_u8(b, &critical) != 0 || buf_get_str(b, &p, &len) != 0)
		return fault(why, "malformed extension");
	return critical == 0 ? 0 : fault(why, "unknown critical extension");
}

static int
read_serial_list(struct authority *a, struct buf *b, const char **why)
{
	uint64_t serial;
	int r = 0;

	while (r == 0 && buf_len(b) > 0) {
		if (buf_get_u64(b, &serial) != 0)
			return fault(why, "cut serial number");
		r = ranges_add(&a->serials, serial, serial, why);
	}
	return r;
}

static int
read_serial_range(struct authority *a, struct buf *b, const char **why)
{
	uint64_t low, high;

	if (buf_get_u64(b, &low) != 0 || buf_get_u64(b, &high) != 0)
		return fault(why, "cut serial range");
	return ranges_add(&a->serials, low, high, why);
}

/* An mpint whose bit N stands for serial offset + N; the last byte holds bits 0 to 7. */
static int
read_serial_bitmap(struct authority *a, struct buf *b, const char **why)
{
	uint64_t offset;
	const uint8_t *p;
	size_t len;
	int r = 0;

	if (buf_get_u64(b, &offset) != 0 || buf_get_str(b, &p, &len) != 0)
		return fault(why, "cut serial bitmap");
	if (len > 0 && (p[0] & 0x80) != 0)
		return fault(why, "negative serial bitmap");
	while (len > 0 && p[0] == 0) {
		p++;
		len--;
	}
	if (len > BITMAP_BITS_MAX / 8)
		return fault(why, "serial bitmap too long");
	for (uint64_t i = 0; r == 0 && i < (uint64_t)len * 8; i++) {
		if ((p[len - 1 - i / 8] & (1u << (i % 8))) == 0)
			continue;
		if (offset > UINT64_MAX - i)
			return fault(why, "serial bitmap wraps");
		r = ranges_add(&a->serials, offset + i, offset + i, why);
	}
	return r;
}

static int
read_key_ids(struct authority *a, struct buf *b, const char **why)
{
	const uint8_t *p;
	size_t len;
	int r = 0;

	while (r == 0 && buf_len(b) > 0) {
		if (buf_get_str(b, &p, &len) != 0 || memchr(p, '\0', len) != NULL)
			return fault(why, "malformed key id");
		r = blobs_add(&a->key_ids, p, len);
	}
	return r;
}

static int
read_cert_extension(struct authority *a, struct buf *b, const char **why)
{
	(void)a;
	return read_extension(b, why);
}

static const struct {
	enum krl_cert_section type;
	int (*read)(struct authority *a, struct buf *b, const char **why);
} cert_sections[] = {
	{ KRL_CERT_SERIAL_LIST, read_serial_list },
	{ KRL_CERT_SERIAL_RANGE, read_serial_range },
	{ KRL_CERT_SERIAL_BITMAP, read_serial_bitmap },
	{ KRL_CERT_KEY_ID, read_key_ids },
	{ KRL_CERT_EXTENSION, read_cert_extension },
};

/* Type byte and contents of the next (sub)section. *ret_sect: owned by caller. */
static int
next_section(struct buf *b, uint8_t *ret_type, struct buf **ret_sect, const char **why)
{
	const uint8_t *p;
	size_t len;

	if (buf_get_u8(b, ret_type) != 0 || buf_get_str(b, &p, &len) != 0)
		return fault(why, "cut section");
	*ret_sect = buf_view(p, len);
	return *ret_sect != NULL ? 0 : -ENOMEM;
}

static int
read_cert_section(struct authority *a, struct buf *b, const char **why)
{
	struct buf *sect;
	uint8_t type;
	size_t i = 0;
	int r = next_section(b, &type, &sect, why);

	if (r != 0)
		return r;
	while (
	    i < sizeof(cert_sections) / sizeof(cert_sections[0]) && cert_sections[i].type != type)
		i++;
	if (i == sizeof(cert_sections) / sizeof(cert_sections[0]))
		r = fault(why, "unknown certificate section");
	else
		r = cert_sections[i].read(a, sect, why);
	if (r == 0 && buf_end(sect) != 0)
		r = fault(why, "trailing bytes in a certificate section");
	buf_free(sect);
	return r;
}

/* The entry for this CA, which may have several sections. Borrowed until the next call. */
static struct authority *
find_authority(struct krl *k, const uint8_t *ca, size_t len)
{
	void *v = k->authorities;
	struct blob want = { ca, len };
	int r;

	for (size_t i = 0; i < k->n_authorities; i++)
		if (blob_order(&k->authorities[i].ca, &want) == 0)
			return &k->authorities[i];
	r = grow(&v, k->n_authorities, &k->authorities_size, sizeof(*k->authorities));
	k->authorities = v;
	if (r != 0)
		return NULL;
	k->authorities[k->n_authorities] = (struct authority){ .ca = want };
	return &k->authorities[k->n_authorities++];
}

/*
 * A CA key of a kind that we trust must be spelled as we spell it, or its revocations would be overlooked. One of another
 * kind can sign nothing here.
 */
static int
check_ca(const uint8_t *ca, size_t len, const char **why)
{
	struct sshkey *key = NULL;
	struct buf *b = buf_view(ca, len);
	enum sshkey_type type;
	const uint8_t *name;
	size_t name_len;
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	if (buf_get_str(b, &name, &name_len) != 0)
		r = fault(why, "malformed CA key");
	else if (sshkey_type_find(name, name_len, &type) == 0)
		r = sshkey_parse(ca, len, &key);
	if (r == ERR_LIMIT)
		r = 0;
	if (r != 0 && r != -ENOMEM)
		r = fault(why, "malformed CA key");
	sshkey_free(key);
	buf_free(b);
	return r;
}

static int
read_certificates(struct krl *k, struct buf *b, const char **why)
{
	const uint8_t *ca, *reserved;
	size_t ca_len, reserved_len;
	struct authority *a;
	int r = 0;

	if (buf_get_str(b, &ca, &ca_len) != 0 || buf_get_str(b, &reserved, &reserved_len) != 0)
		return fault(why, "cut certificates section");
	if (ca_len > 0 && (r = check_ca(ca, ca_len, why)) != 0)
		return r;
	if ((a = find_authority(k, ca, ca_len)) == NULL)
		return -ENOMEM;
	while (r == 0 && buf_len(b) > 0)
		r = read_cert_section(a, b, why);
	return r;
}

static int
read_blobs(struct blobs *to, struct buf *b, size_t want_len, const char **why)
{
	const uint8_t *p;
	size_t len;
	int r = 0;

	while (r == 0 && buf_len(b) > 0) {
		if (buf_get_str(b, &p, &len) != 0)
			return fault(why, "cut key or hash");
		if (want_len != 0 && len != want_len)
			return fault(why, "hash of a wrong length");
		r = blobs_add(to, p, len);
	}
	return r;
}

static int
read_keys(struct krl *k, struct buf *b, const char **why)
{
	return read_blobs(&k->keys, b, 0, why);
}

static int
read_sha1s(struct krl *k, struct buf *b, const char **why)
{
	return read_blobs(&k->sha1s, b, HASH_SHA1_LEN, why);
}

static int
read_sha256s(struct krl *k, struct buf *b, const char **why)
{
	return read_blobs(&k->sha256s, b, HASH_LEN, why);
}

static int
read_krl_extension(struct krl *k, struct buf *b, const char **why)
{
	(void)k;
	return read_extension(b, why);
}

/* Signed lists are refused like every unknown section: nobody would check the signature (OpenSSH refuses them too). */
static const struct {
	enum krl_section type;
	int (*read)(struct krl *k, struct buf *b, const char **why);
} sections[] = {
	{ KRL_CERTIFICATES, read_certificates },
	{ KRL_EXPLICIT_KEY, read_keys },
	{ KRL_FINGERPRINT_SHA1, read_sha1s },
	{ KRL_FINGERPRINT_SHA256, read_sha256s },
	{ KRL_EXTENSION, read_krl_extension },
};

static int
read_section(struct krl *k, struct buf *b, const char **why)
{
	struct buf *sect;
	uint8_t type;
	size_t i = 0;
	int r = next_section(b, &type, &sect, why);

	if (r != 0)
		return r;
	while (i < sizeof(sections) / sizeof(sections[0]) && sections[i].type != type)
		i++;
	if (i == sizeof(sections) / sizeof(sections[0]))
		r = fault(why, "unknown section");
	else
		r = sections[i].read(k, sect, why);
	if (r == 0 && buf_end(sect) != 0)
		r = fault(why, "trailing bytes in a section");
	buf_free(sect);
	return r;
}

static int
read_header(struct krl *k, struct buf *b, const char **why)
{
	char magic[sizeof(KRL_MAGIC)];
	uint64_t generated, flags;
	uint32_t format;
	const uint8_t *p;
	size_t len;

	if (buf_get(b, magic, sizeof(magic)) != 0 || memcmp(magic, KRL_MAGIC, sizeof(magic)) != 0)
		return fault(why, "not a key revocation list");
	if (buf_get_u32(b, &format) != 0 || format != KRL_FORMAT)
		return fault(why, "unknown format version");
	if (buf_get_u64(b, &k->version) != 0 || buf_get_u64(b, &generated) != 0 ||
	    buf_get_u64(b, &flags) != 0 || buf_get_str(b, &p, &len) != 0 ||
	    buf_get_str(b, &p, &len) != 0 || memchr(p, '\0', len) != NULL)
		return fault(why, "cut header");
	return 0;
}

static void
finish(struct krl *k)
{
	blobs_finish(&k->keys);
	blobs_finish(&k->sha1s);
	blobs_finish(&k->sha256s);
	for (size_t i = 0; i < k->n_authorities; i++) {
		ranges_finish(&k->authorities[i].serials);
		blobs_finish(&k->authorities[i].key_ids);
	}
}

int
krl_parse(const uint8_t *data, size_t len, struct krl **ret_krl, const char **ret_why)
{
	struct krl *k = calloc(1, sizeof(*k));
	const char *why = "too long";
	struct buf *b = NULL;
	int r = ERR_FORMAT;

	if (k == NULL)
		return -ENOMEM;
	if (len > KRL_FILE_MAX)
		goto out;
	r = -ENOMEM;
	if ((k->data = malloc(len > 0 ? len : 1)) == NULL)
		goto out;
	if (len > 0)
		memcpy(k->data, data, len);
	if ((b = buf_view(k->data, len)) == NULL)
		goto out;
	r = read_header(k, b, &why);
	while (r == 0 && buf_len(b) > 0)
		r = read_section(k, b, &why);
	if (r != 0)
		goto out;
	finish(k);
	*ret_krl = k;
	k = NULL;
out:
	if (r == ERR_FORMAT && ret_why != NULL)
		*ret_why = why;
	buf_free(b);
	krl_free(k);
	return r;
}

void
krl_free(struct krl *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->n_authorities; i++) {
		free(k->authorities[i].serials.v);
		free(k->authorities[i].key_ids.v);
	}
	free(k->authorities);
	free(k->keys.v);
	free(k->sha1s.v);
	free(k->sha256s.v);
	free(k->data);
	free(k);
}

uint64_t
krl_version(const struct krl *k)
{
	return k->version;
}

size_t
krl_count(const struct krl *k)
{
	size_t n = k->keys.n + k->sha1s.n + k->sha256s.n;

	for (size_t i = 0; i < k->n_authorities; i++)
		n += k->authorities[i].serials.n + k->authorities[i].key_ids.n;
	return n;
}

static const char *
key_revoked(const struct krl *k, const uint8_t *blob, size_t len)
{
	uint8_t sha1[HASH_SHA1_LEN], sha256[HASH_LEN];

	if (k->sha1s.n > 0) {
		hash_sha1(blob, len, sha1);
		if (blobs_has(&k->sha1s, sha1, sizeof(sha1)))
			return "hash of the key";
	}
	if (k->sha256s.n > 0) {
		hash_sha256(blob, len, sha256);
		if (blobs_has(&k->sha256s, sha256, sizeof(sha256)))
			return "hash of the key";
	}
	return blobs_has(&k->keys, blob, len) ? "key" : NULL;
}

static const char *
cert_revoked(const struct authority *a, const struct krl_cert *cert)
{
	if (blobs_has(&a->key_ids, (const uint8_t *)cert->key_id, strlen(cert->key_id)))
		return "key id";
	/* As OpenSSH: serial 0 is no number. */
	return cert->serial != 0 && ranges_has(&a->serials, cert->serial) ? "serial" : NULL;
}

const char *
krl_revoked(const struct krl *k, const uint8_t *key_blob, size_t len, const struct krl_cert *cert)
{
	const char *by = key_revoked(k, key_blob, len);

	if (by != NULL || cert == NULL)
		return by;
	if (key_revoked(k, cert->ca_blob, cert->ca_blob_len) != NULL)
		return "CA key";
	for (size_t i = 0; by == NULL && i < k->n_authorities; i++) {
		const struct authority *a = &k->authorities[i];
		struct blob ca = { cert->ca_blob, cert->ca_blob_len };

		if (a->ca.len == 0 || blob_order(&a->ca, &ca) == 0)
			by = cert_revoked(a, cert);
	}
	return by;
}
