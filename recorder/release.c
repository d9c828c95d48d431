/* A growing piece of memory with items one behind the other. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/release.h"

#define KEEP (8u << 20) /* bytes of memory that are kept when all is released */

struct head {
	void *to;
	size_t len;
	uint32_t id;
	uint16_t type;
};

struct release {
	uint8_t *data;
	size_t len, size;
};

struct release *
release_new(void)
{
	return calloc(1, sizeof(struct release));
}

void
release_free(struct release *q)
{
	if (q == NULL)
		return;
	free(q->data);
	free(q);
}

static int
grow(struct release *q, size_t more)
{
	size_t size = q->size == 0 ? 65536 : q->size;
	uint8_t *data;

	while (size - q->len < more) {
		if (size > SIZE_MAX / 2)
			return -ENOMEM;
		size *= 2;
	}
	if (size == q->size)
		return 0;
	if ((data = malloc(size)) == NULL)
		return -ENOMEM;
	if (q->len > 0)
		memcpy(data, q->data, q->len);
	free(q->data);
	q->data = data;
	q->size = size;
	return 0;
}

int
release_add(struct release *q, void *to, uint16_t type, uint32_t id, const void *data, size_t len)
{
	struct head head = { .to = to, .len = len, .id = id, .type = type };
	int r;

	if ((r = grow(q, sizeof(head) + len)) != 0)
		return r;
	memcpy(q->data + q->len, &head, sizeof(head));
	if (len > 0)
		memcpy(q->data + q->len + sizeof(head), data, len);
	q->len += sizeof(head) + len;
	return 0;
}

void
release_all(struct release *q, void (*fn)(void *arg, const struct release_item *item), void *arg)
{
	for (size_t off = 0; off < q->len;) {
		struct release_item item;
		struct head head;

		memcpy(&head, q->data + off, sizeof(head));
		off += sizeof(head);
		item = (struct release_item){ .to = head.to,
			.type = head.type,
			.id = head.id,
			.data = q->data + off,
			.len = head.len };
		off += head.len;
		fn(arg, &item);
	}
	q->len = 0;
	if (q->size > KEEP) {
		free(q->data);
		q->data = NULL;
		q->size = 0;
	}
}

size_t
release_bytes(const struct release *q)
{
	return q->len;
}
