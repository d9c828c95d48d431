/* JSON over jansson. A struct json_node is jansson's json_t under a name of ours and is never looked into here. */
#include "config.h"

#include <sys/random.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/num.h"
#include "lib/str.h"

static const char json_replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

struct json {
	json_t *value;
	int err; /* the first failure */
};

static json_t *
json_value(const struct json_node *n)
{
	return (json_t *)(uintptr_t)n;
}

static const struct json_node *
json_node_of(const json_t *value)
{
	return (const struct json_node *)value;
}

static struct json *
json_wrap(json_t *value)
{
	struct json *j = value != NULL ? calloc(1, sizeof(*j)) : NULL;

	if (j == NULL)
		json_decref(value);
	else
		j->value = value;
	return j;
}

/* jansson would open /dev/urandom for the seed of its tables, which no sandbox of ours lets it. */
static void
json_seed(void)
{
	static bool seeded;
	size_t seed = 0;

	if (seeded)
		return;
	if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed) && seed != 0) {
		json_object_seed(seed);
		seeded = true;
	}
}

struct json *
json_map(void)
{
	json_seed();
	return json_wrap(json_object());
}

struct json *
json_list(void)
{
	return json_wrap(json_array());
}

struct json *
json_from_node(const struct json_node *n)
{
	json_seed();
	return n == NULL ? NULL : json_wrap(json_deep_copy(json_value(n)));
}

struct json *
json_event(const char *name)
{
	struct json *j = json_map();

	json_put_str(j, "event", name);
	return j;
}

void
json_free(struct json *j)
{
	if (j == NULL)
		return;
	json_decref(j->value);
	free(j);
}

static void
json_set_err(struct json *j, int err)
{
	if (j->err == 0)
		j->err = err;
}

/* value: taken; NULL means that jansson found no memory for it. */
static void
json_store(struct json *j, const char *key, json_t *value)
{
	int r = -1;

	if (j == NULL || j->err != 0 || value == NULL) {
		json_decref(value);
		if (j != NULL)
			json_set_err(j, -ENOMEM);
		return;
	}
	if (json_is_object(j->value) != (key != NULL)) {
		json_decref(value);
		json_set_err(j, ERR_ORDER);
		return;
	}
	r = key != NULL ? json_object_set_new(j->value, key, value)
			: json_array_append_new(j->value, value);
	if (r != 0)
		json_set_err(j, -ENOMEM);
}

/* The bytes as valid UTF-8 in dst, which has room for three times as many. Returns the length. */
static size_t
json_clean(char *dst, const uint8_t *src, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len;) {
		size_t n = str_utf8_len(src + i, len - i);

		if (n > 0)
			memcpy(dst + at, src + i, n);
		else
			memcpy(dst + at, json_replacement, 3);
		at += n > 0 ? n : 3;
		i += n > 0 ? n : 1;
	}
	return at;
}

void
json_put_bytes(struct json *j, const char *key, const void *data, size_t len, size_t max)
{
	size_t keep = len > max ? max : len, n;
	json_t *value = NULL;
	char *clean;

	if (j == NULL)
		return;
	clean = keep < SIZE_MAX / 3 - 3 ? malloc(3 * keep + 3) : NULL;
	if (clean != NULL) {
		n = json_clean(clean, data, keep);
		if (keep < len) {
			memcpy(clean + n, "...", 3);
			n += 3;
		}
		value = json_stringn(clean, n);
	}
	free(clean);
	json_store(j, key, value);
}

void
json_put_str(struct json *j, const char *key, const char *s)
{
	if (s == NULL)
		json_put_null(j, key);
	else
		json_put_bytes(j, key, s, strlen(s), SIZE_MAX);
}

void
json_put_u64(struct json *j, const char *key, uint64_t v)
{
	char text[24];

	if (v <= INT64_MAX)
		json_store(j, key, json_integer((json_int_t)v));
	else if (str_format(text, sizeof(text), "%llu", (unsigned long long)v) == 0)
		json_put_str(j, key, text);
}

void
json_put_bool(struct json *j, const char *key, bool v)
{
	json_store(j, key, json_boolean(v));
}

void
json_put_null(struct json *j, const char *key)
{
	json_store(j, key, json_null());
}

void
json_put_time(struct json *j, const char *key, uint64_t wall_ns)
{
	char text[CLOCK_TEXT_SIZE];

	json_put_str(j, key, clock_text(text, sizeof(text), wall_ns));
}

void
json_put(struct json *j, const char *key, struct json *child)
{
	int err = child == NULL ? -ENOMEM : child->err;

	if (j != NULL && err == 0)
		json_store(j, key, json_incref(child->value));
	else if (j != NULL)
		json_set_err(j, err);
	json_free(child);
}

void
json_put_node(struct json *j, const char *key, const struct json_node *n)
{
	json_store(j, key, n == NULL ? json_null() : json_deep_copy(json_value(n)));
}

struct json_out {
	struct buf *buf;
	int r;
};

/* jansson leaves DEL as it is; a terminal need not see it. */
static int
json_write(const char *data, size_t len, void *arg)
{
	struct json_out *out = arg;

	while (len > 0 && out->r == 0) {
		const char *del = memchr(data, 0x7f, len);
		size_t n = del != NULL ? (size_t)(del - data) : len;

		out->r = buf_put(out->buf, data, n);
		if (out->r == 0 && del != NULL) {
			out->r = buf_put(out->buf, "\\u007f", 6);
			n++;
		}
		data += n;
		len -= n;
	}
	return out->r;
}

static int
json_dump_text(const json_t *value, bool pretty, size_t max, char **ret_text, size_t *ret_len)
{
	size_t flags =
	    JSON_ENCODE_ANY | JSON_ENSURE_ASCII | (pretty ? JSON_INDENT(2) : JSON_COMPACT);
	struct json_out out = { .buf = buf_new(max) };
	char *text = NULL;
	int r = -ENOMEM;

	if (out.buf == NULL)
		return r;
	if (json_dump_callback(value, json_write, &out, flags) != 0) {
		r = out.r != 0 ? out.r : -ENOMEM;
		goto out;
	}
	if ((text = malloc(buf_len(out.buf) + 1)) == NULL)
		goto out;
	memcpy(text, buf_ptr(out.buf), buf_len(out.buf));
	text[buf_len(out.buf)] = '\0';
	*ret_len = buf_len(out.buf);
	*ret_text = text;
	r = 0;
out:
	buf_free(out.buf);
	return r;
}

int
json_text(const struct json *j, bool pretty, size_t max, char **ret_text, size_t *ret_len)
{
	if (j == NULL)
		return -ENOMEM;
	return j->err != 0 ? j->err : json_dump_text(j->value, pretty, max, ret_text, ret_len);
}

int
json_parse(const char *text, size_t len, struct json_node **ret_root)
{
	json_t *value;

	json_seed();
	value =
	    json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (value == NULL)
		return ERR_FORMAT;
	*ret_root = (struct json_node *)value;
	return 0;
}

void
json_node_free(struct json_node *root)
{
	json_decref(json_value(root));
}

bool
json_is_map(const struct json_node *n)
{
	return json_is_object(json_value(n));
}

bool
json_is_list(const struct json_node *n)
{
	return json_is_array(json_value(n));
}

const struct json_node *
json_get(const struct json_node *n, const char *key)
{
	return json_node_of(json_object_get(json_value(n), key));
}

size_t
json_n(const struct json_node *n)
{
	return json_array_size(json_value(n));
}

const struct json_node *
json_at(const struct json_node *n, size_t i)
{
	return json_node_of(json_array_get(json_value(n), i));
}

const char *
json_str(const struct json_node *n, const char *fallback)
{
	const char *s = json_string_value(json_value(n));

	return s != NULL && strlen(s) == json_string_length(json_value(n)) ? s : fallback;
}

uint64_t
json_u64(const struct json_node *n, uint64_t fallback)
{
	const char *s = json_str(n, NULL);
	uint64_t v;

	if (s != NULL)
		return num_parse(s, 0, UINT64_MAX, &v) == 0 ? v : fallback;
	if (!json_is_integer(json_value(n)) || json_integer_value(json_value(n)) < 0)
		return fallback;
	return (uint64_t)json_integer_value(json_value(n));
}

bool
json_bool(const struct json_node *n, bool fallback)
{
	return json_is_boolean(json_value(n)) ? json_is_true(json_value(n)) : fallback;
}

int
json_node_text(const struct json_node *n, bool pretty, char **ret_text, size_t *ret_len)
{
	return json_dump_text(json_value(n), pretty, SIZE_MAX, ret_text, ret_len);
}
