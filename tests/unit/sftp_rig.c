#include "config.h"

#include "lib/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/sftp_rig.h"

struct stream *
stream_new(void)
{
	struct stream *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_non_null(s->bytes = buf_new(64u << 20));
	return s;
}

void
stream_free(struct stream *s)
{
	buf_free(s->bytes);
	free(s);
}

void
stream_put(struct stream *s, enum event_way way, const void *data, size_t len)
{
	assert_true(s->n < STREAM_STEPS_MAX);
	s->steps[s->n].way = way;
	s->steps[s->n].off = buf_len(s->bytes);
	s->steps[s->n++].len = len;
	assert_int_equal(buf_put(s->bytes, data, len), 0);
}

void
stream_sftp(struct stream *s, enum event_way way, uint8_t type, const char *fmt, ...)
{
	struct buf *b = buf_new(20u << 20), *packet = buf_new(20u << 20);
	const void *p;
	va_list ap;
	int r = buf_put_u8(b, type);

	va_start(ap, fmt);
	for (; *fmt != '\0'; fmt++)
		switch (*fmt) {
		case 'u':
			r |= buf_put_u32(b, va_arg(ap, uint32_t));
			break;
		case 'q':
			r |= buf_put_u64(b, va_arg(ap, uint64_t));
			break;
		case 's':
			r |= buf_put_cstr(b, va_arg(ap, const char *));
			break;
		case 'b':
			p = va_arg(ap, const void *);
			r |= buf_put_str(b, p, va_arg(ap, size_t));
			break;
		case 'a':
			r |= buf_put_u32(b, 4) | buf_put_u32(b, va_arg(ap, uint32_t));
			break;
		case 'S':
			r |= buf_put_u32(b, 1) | buf_put_u64(b, va_arg(ap, uint64_t));
			break;
		default:
			r |= buf_put_u32(b, 0);
		}
	va_end(ap);
	assert_int_equal(r | buf_put_str(packet, buf_ptr(b), buf_len(b)), 0);
	stream_put(s, way, buf_ptr(packet), buf_len(packet));
	buf_free(b);
	buf_free(packet);
}

struct told *
seen_new(void)
{
	struct told *seen = calloc(1, sizeof(*seen));

	assert_non_null(seen);
	return seen;
}

void
seen_free(struct told *seen)
{
	free(seen);
}

static int
on_span(
    void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number, uint64_t offset)
{
	struct told *seen = arg;

	(void)offset;
	if (len == 0 || p != seen->next || len > seen->left) {
		seen->broken = true;
		return -1;
	}
	seen->next += len;
	seen->left -= len;
	if (number == 0)
		seen->plain[way == EVENT_BACK] += len;
	else
		seen->content[way == EVENT_BACK] += len;
	for (size_t i = 0; number != 0 && i < len && seen->n_kept < sizeof(seen->kept); i++)
		seen->kept[seen->n_kept++] = p[i];
	return seen->fail;
}

static void
copy_text(char dst[64], const uint8_t *p, size_t len)
{
	if (p != NULL)
		(void)snprintf(dst, 64, "%.*s", (int)(len < 63 ? len : 63), (const char *)p);
}

static int
on_file(void *arg, const struct watch_file *f)
{
	struct told *seen = arg;
	struct seen_file *to = &seen->files[seen->n_files];

	assert_true(seen->n_files < SEEN_FILES_MAX);
	seen->n_files++;
	to->f = *f;
	copy_text(to->path, f->path, f->path_len);
	copy_text(to->path2, f->path2, f->path2_len);
	if (f->n_ranges > 0)
		memcpy(to->ranges, f->ranges, f->n_ranges * sizeof(to->ranges[0]));
	return seen->fail;
}

static int
on_remark(void *arg, const char *word, const char *text)
{
	struct told *seen = arg;

	assert_true(seen->n_remarks < N_OF(seen->words));
	(void)snprintf(seen->words[seen->n_remarks], sizeof(seen->words[0]), "%s", word);
	(void)snprintf(seen->texts[seen->n_remarks], sizeof(seen->texts[0]), "%s", text);
	seen->n_remarks++;
	return seen->fail;
}

const struct watch_sink seen_sink = { on_span, on_file, on_remark };

const struct seen_file *
seen_file(const struct told *seen, size_t i)
{
	assert_true(i < seen->n_files);
	return &seen->files[i];
}

int
stream_feed(const struct stream *s, struct watch *w, struct told *seen, size_t step)
{
	const uint8_t *bytes = buf_ptr(s->bytes);
	int r;

	for (size_t i = 0; i < s->n; i++)
		for (size_t at = 0; at < s->steps[i].len; at += seen->left) {
			size_t n = s->steps[i].len - at < step ? s->steps[i].len - at : step;

			seen->next = bytes + s->steps[i].off + at;
			seen->left = n;
			if ((r = watch_data(w, s->steps[i].way, seen->next, n)) != 0)
				return r;
			if (seen->left != 0) /* a byte that was not told of */
				seen->broken = true;
			seen->left = n;
		}
	return watch_end(w);
}
