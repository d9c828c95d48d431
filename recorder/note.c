/* C2SP signed notes: the form in which the log's head leaves the house. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/num.h"
#include "lib/str.h"
#include "recorder/note.h"

#define ALG_ED25519 0x01
#define DASH "\xe2\x80\x94 " /* U+2014 and a space start a signature line */
#define SIG_BLOB_LEN (4 + NOTE_SIG_LEN)
#define SIG_LINES_MAX 100 /* more are refused: a note has a handful of witnesses */

static bool
name_is_valid(const char *name, size_t len)
{
	if (len == 0 || len >= NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
			return false;
	return true;
}

int
note_key_init(const char *name, const uint8_t key[NOTE_KEY_LEN], struct note_key *ret_key)
{
	uint8_t blob[1 + NOTE_KEY_LEN] = { ALG_ED25519 }, hash[HASH_LEN];
	size_t len = strlen(name);

	if (!name_is_valid(name, len))
		return ERR_FORMAT;
	memcpy(blob + 1, key, NOTE_KEY_LEN);
	hash_sha256_parts(name, len, "\n", 1, blob, sizeof(blob), hash);
	*ret_key = (struct note_key){ 0 };
	memcpy(ret_key->name, name, len);
	memcpy(ret_key->id, hash, sizeof(ret_key->id));
	memcpy(ret_key->key, key, NOTE_KEY_LEN);
	return 0;
}

int
note_key_parse(const char *line, size_t len, struct note_key *ret_key)
{
	const char *plus, *blob_text;
	struct note_key key;
	uint8_t *blob = NULL;
	size_t name_len, blob_len;
	char name[NOTE_NAME_MAX], hex[9], again[9];
	uint8_t id[4];
	int r;

	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len >= NOTE_VKEY_SIZE || (plus = memchr(line, '+', len)) == NULL)
		return ERR_FORMAT;
	name_len = (size_t)(plus - line);
	if (!name_is_valid(line, name_len) || len - name_len < 11 || plus[9] != '+')
		return ERR_FORMAT;
	memcpy(name, line, name_len);
	name[name_len] = '\0';
	memcpy(hex, plus + 1, 8);
	hex[8] = '\0';
	blob_text = plus + 10;
	if ((r = str_unhex(hex, id, sizeof(id))) != 0 ||
	    (r = str_unbase64(blob_text, len - (size_t)(blob_text - line), &blob, &blob_len)) != 0)
		return r;
	r = ERR_FORMAT;
	if (blob_len == 1 + NOTE_KEY_LEN && blob[0] == ALG_ED25519 &&
	    note_key_init(name, blob + 1, &key) == 0 && memcmp(key.id, id, sizeof(id)) == 0 &&
	    strcmp(str_hex(again, id, sizeof(id)), hex) == 0) {
		*ret_key = key;
		r = 0;
	}
	free(blob);
	return r;
}

char *
note_key_text(char *dst, const struct note_key *key)
{
	uint8_t blob[1 + NOTE_KEY_LEN] = { ALG_ED25519 };
	char b64[sodium_base64_ENCODED_LEN(sizeof(blob), sodium_base64_VARIANT_ORIGINAL)];
	char hex[2 * sizeof(key->id) + 1];

	memcpy(blob + 1, key->key, NOTE_KEY_LEN);
	sodium_bin2base64(b64, sizeof(b64), blob, sizeof(blob), sodium_base64_VARIANT_ORIGINAL);
	(void)snprintf(dst, NOTE_VKEY_SIZE, "%s+%s+%s", key->name,
	    str_hex(hex, key->id, sizeof(key->id)), b64);
	return dst;
}

/* Text of a note: not empty, ends with a newline, no control characters besides newlines. */
static bool
text_is_valid(const char *text, size_t len)
{
	if (len == 0 || len > NOTE_MAX || text[len - 1] != '\n')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\n')
			return false;
	return true;
}

int
note_sign(const char *text, const struct note_key *key, const uint8_t secret[64], char **ret_note)
{
	uint8_t blob[SIG_BLOB_LEN];
	char b64[sodium_base64_ENCODED_LEN(SIG_BLOB_LEN, sodium_base64_VARIANT_ORIGINAL)];
	size_t len = strlen(text), size;
	char *note;

	if (!text_is_valid(text, len))
		return ERR_FORMAT;
	memcpy(blob, key->id, sizeof(key->id));
	if (crypto_sign_detached(
		blob + sizeof(key->id), NULL, (const uint8_t *)text, len, secret) != 0)
		return ERR_CRYPTO;
	sodium_bin2base64(b64, sizeof(b64), blob, sizeof(blob), sodium_base64_VARIANT_ORIGINAL);
	size = len + 1 + strlen(DASH) + strlen(key->name) + 1 + strlen(b64) + 2;
	if ((note = malloc(size)) == NULL)
		return -ENOMEM;
	(void)snprintf(note, size, "%s\n" DASH "%s %s\n", text, key->name, b64);
	*ret_note = note;
	return 0;
}

/* The text's length: up to the last empty line, its own newline included. */
static int
note_split(const char *note, size_t len, size_t *ret_text_len)
{
	if (len < 3 || len > NOTE_MAX || note[len - 1] != '\n')
		return ERR_FORMAT;
	for (size_t i = len - 1; i > 0; i--)
		if (note[i] == '\n' && note[i - 1] == '\n') {
			if (i + 1 == len || !text_is_valid(note, i))
				return ERR_FORMAT;
			*ret_text_len = i;
			return 0;
		}
	return ERR_FORMAT;
}

int
note_text_len(const char *note, size_t len, size_t *ret_text_len)
{
	return note_split(note, len, ret_text_len);
}

/* Bytes of the line at text, its newline included; 0: there is no whole line. */
static size_t
line_len(const char *text, size_t len)
{
	const char *end = len > 0 ? memchr(text, '\n', len) : NULL;

	return end == NULL ? 0 : (size_t)(end - text) + 1;
}

static bool
is_sig_line(const char *text, size_t len)
{
	return len > strlen(DASH) && memcmp(text, DASH, strlen(DASH)) == 0;
}

int
note_first(const char *text, size_t len, size_t *ret_skip, size_t *ret_len)
{
	size_t skip = 0, at, n;

	while (skip < len && text[skip] == '\n')
		skip++;
	if (skip == len)
		return ERR_NOT_FOUND;
	/* Lines up to an empty one, then all that are signatures. */
	for (at = skip; (n = line_len(text + at, len - at)) > 1; at += n)
		continue;
	if (n == 0)
		return ERR_FORMAT;
	at++;
	if (!is_sig_line(text + at, len - at))
		return ERR_FORMAT;
	while (is_sig_line(text + at, len - at) && (n = line_len(text + at, len - at)) > 0)
		at += n;
	if (n == 0 || at - skip > NOTE_MAX)
		return ERR_FORMAT;
	*ret_skip = skip;
	*ret_len = at - skip;
	return 0;
}

struct sig_line {
	const char *name;
	size_t name_len;
	uint8_t blob[SIG_BLOB_LEN];
};

/*
 * One signature line without its newline. Signatures of other lengths belong to other algorithms:
 * name_len 0 then.
 */
static int
sig_line_parse(const char *line, size_t len, struct sig_line *ret_sig)
{
	const char *space, *b64;
	size_t blob_len;
	uint8_t *blob;
	int r;

	if (len < strlen(DASH) || memcmp(line, DASH, strlen(DASH)) != 0)
		return ERR_FORMAT;
	line += strlen(DASH);
	len -= strlen(DASH);
	if ((space = memchr(line, ' ', len)) == NULL || space == line)
		return ERR_FORMAT;
	b64 = space + 1;
	r = str_unbase64(b64, len - (size_t)(b64 - line), &blob, &blob_len);
	if (r != 0)
		return r;
	if (blob_len < 5) {
		free(blob);
		return ERR_FORMAT;
	}
	*ret_sig = (struct sig_line){ .name = line };
	if (blob_len == SIG_BLOB_LEN) {
		ret_sig->name_len = (size_t)(space - line);
		memcpy(ret_sig->blob, blob, SIG_BLOB_LEN);
	}
	free(blob);
	return 0;
}

/* 0 when it is a good signature of key; ERR_NOT_FOUND when it is somebody else's. */
static int
sig_line_check(
    const struct sig_line *sig, const struct note_key *key, const char *text, size_t text_len)
{
	if (sig->name_len != strlen(key->name) ||
	    memcmp(sig->name, key->name, sig->name_len) != 0 ||
	    memcmp(sig->blob, key->id, sizeof(key->id)) != 0)
		return ERR_NOT_FOUND;
	if (crypto_sign_verify_detached(
		sig->blob + sizeof(key->id), (const uint8_t *)text, text_len, key->key) != 0)
		return ERR_SIGNATURE;
	return 0;
}

int
note_verify(const char *note, size_t len, const struct note_key *key, size_t *ret_text_len)
{
	int r, found = ERR_NOT_FOUND, lines = 0;
	size_t text_len;

	if ((r = note_split(note, len, &text_len)) != 0)
		return r;
	for (size_t off = text_len + 1; off < len;) {
		const char *end = memchr(note + off, '\n', len - off);
		struct sig_line sig;

		if (end == NULL || ++lines > SIG_LINES_MAX)
			return ERR_FORMAT;
		if ((r = sig_line_parse(note + off, (size_t)(end - note) - off, &sig)) != 0)
			return r;
		r = sig_line_check(&sig, key, note, text_len);
		if (r == ERR_SIGNATURE)
			return r;
		if (r == 0)
			found = 0;
		off = (size_t)(end - note) + 1;
	}
	if (found == 0)
		*ret_text_len = text_len;
	return found;
}

/* Cuts the next line off: its start and length without the newline. */
static int
next_line(const char **text, size_t *len, const char **ret_line, size_t *ret_len)
{
	const char *end = memchr(*text, '\n', *len);

	if (end == NULL)
		return ERR_FORMAT;
	*ret_line = *text;
	*ret_len = (size_t)(end - *text);
	*len -= *ret_len + 1;
	*text = end + 1;
	return 0;
}

static int
root_parse(const char *line, size_t len, uint8_t ret_root[HASH_LEN])
{
	size_t root_len;
	uint8_t *root;
	int r;

	if ((r = str_unbase64(line, len, &root, &root_len)) != 0)
		return r;
	r = root_len == HASH_LEN ? 0 : ERR_FORMAT;
	if (r == 0)
		memcpy(ret_root, root, HASH_LEN);
	free(root);
	return r;
}

int
note_checkpoint_parse(const char *text, size_t len, struct note_checkpoint *ret_checkpoint)
{
	struct note_checkpoint c = { 0 };
	const char *line;
	char number[24];
	size_t n;
	int r;

	if ((r = next_line(&text, &len, &line, &n)) != 0 || n == 0 || n >= sizeof(c.origin))
		return ERR_FORMAT;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ')
			return ERR_FORMAT;
	memcpy(c.origin, line, n);
	if ((r = next_line(&text, &len, &line, &n)) != 0 || n == 0 || n >= sizeof(number))
		return ERR_FORMAT;
	memcpy(number, line, n);
	number[n] = '\0';
	if (strlen(number) != n || num_parse(number, 0, INT64_MAX, &c.size) != 0)
		return ERR_FORMAT;
	if (next_line(&text, &len, &line, &n) != 0)
		return ERR_FORMAT;
	if ((r = root_parse(line, n, c.root)) != 0)
		return r;
	*ret_checkpoint = c;
	return 0;
}

int
note_checkpoint_text(char *dst, size_t size, const struct note_checkpoint *checkpoint)
{
	char b64[sodium_base64_ENCODED_LEN(HASH_LEN, sodium_base64_VARIANT_ORIGINAL)];

	sodium_bin2base64(
	    b64, sizeof(b64), checkpoint->root, HASH_LEN, sodium_base64_VARIANT_ORIGINAL);
	return str_format(
	    dst, size, "%s\n%" PRIu64 "\n%s\n", checkpoint->origin, checkpoint->size, b64);
}
