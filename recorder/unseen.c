/* A count for each line and place, and how many in a row. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/unseen.h"

#define SUSPECT_ROW 5u	    /* passwd asks for three */
#define SUSPECT_ANSWERED 2u /* one is what sudo does */
#define KEY_TOTALS 0x80u    /* keys of the encoding that are no enum veil_why */

void
unseen_done(struct unseen *u)
{
	free(u->masks);
	*u = (struct unseen){ .n_masks = 0 };
}

static void
add_line(struct unseen *u, struct unseen_row *row, uint8_t why)
{
	u->lines[why]++;
	row->why = why;
	if (++row->lines > u->row)
		u->row = row->lines;
}

static void
add_answer(struct unseen *u, struct unseen_row *row)
{
	u->answered++;
	u->silent_answered += row->why == VEIL_SILENT;
	if (++row->answered > u->row_answered)
		u->row_answered = row->answered;
}

static void
add_hidden(struct unseen *u, struct unseen_row *row, const struct event *ev)
{
	uint8_t why = ev->len > 0 ? ev->data[0] : 0;

	/* What a mask took is counted as such; of output only what stands for keys is hidden. */
	if (ev->way != EVENT_FRONT || why == 0 || why >= VEIL_WHYS || why == VEIL_MASKED)
		return;
	if (why == VEIL_ANSWERED)
		add_answer(u, row);
	else
		add_line(u, row, why);
}

/* Keys that print something; sequences of cursor keys do not. */
static bool
has_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && p[0] != 0x1b; i++)
		if (p[i] >= 0x20 && p[i] != 0x7f)
			return true;
	return false;
}

static int
find_mask(struct unseen *u, const char *name, struct unseen_mask **ret_mask)
{
	struct unseen_mask *masks;

	*ret_mask = NULL;
	for (uint32_t i = 0; i < u->n_masks; i++)
		if (strcmp(u->masks[i].name, name) == 0) {
			*ret_mask = &u->masks[i];
			return 0;
		}
	if (u->n_masks == UNSEEN_MASKS_MAX)
		return 0;
	if ((masks = reallocarray(u->masks, u->n_masks + 1, sizeof(*masks))) == NULL)
		return -ENOMEM;
	u->masks = masks;
	*ret_mask = &masks[u->n_masks++];
	memset(*ret_mask, 0, sizeof(struct unseen_mask));
	memcpy((*ret_mask)->name, name, strlen(name) + 1);
	return 0;
}

static int
add_masked(struct unseen *u, const struct event *ev)
{
	struct buf *b = buf_view(ev->data, ev->len);
	char name[MASK_NAME_MAX + 1];
	struct unseen_mask *mask;
	uint32_t n, places;
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	if (buf_get_u32(b, &n) != 0)
		n = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (buf_get_cstr(b, name, sizeof(name)) != 0 || buf_get_u32(b, &places) != 0)
			break;
		if ((r = find_mask(u, name, &mask)) == 0 && mask != NULL)
			mask->places += places;
	}
	buf_free(b);
	return r;
}

int
unseen_add(struct unseen *u, struct unseen_row *row, const struct event *ev)
{
	if (ev->type == EVENT_MASKED)
		return add_masked(u, ev);
	if (ev->type == EVENT_HIDDEN)
		add_hidden(u, row, ev);
	else if (row->lines > 0 && (ev->type == EVENT_SHOWN || has_text(ev->data, ev->len)))
		*row = (struct unseen_row){ .lines = 0 };
	return 0;
}

uint64_t
unseen_lines(const struct unseen *u)
{
	uint64_t n = 0;

	for (size_t i = 0; i < VEIL_WHYS; i++)
		n += u->lines[i];
	return n;
}

bool
unseen_is_empty(const struct unseen *u)
{
	return unseen_lines(u) == 0 && u->answered == 0 && u->n_masks == 0;
}

bool
unseen_is_suspect(const struct unseen *u)
{
	return u->silent_answered > 0 || u->row_answered >= SUSPECT_ANSWERED ||
	       u->row >= SUSPECT_ROW;
}

/* Encoding. */

#define N_TOTALS 4u

static void
get_totals(struct unseen *u, uint32_t *totals[N_TOTALS])
{
	totals[0] = &u->answered;
	totals[1] = &u->silent_answered;
	totals[2] = &u->row;
	totals[3] = &u->row_answered;
}

/* All counts with their keys; returns how many are not 0, which come first. */
static uint8_t
list_counts(const struct unseen *u, uint8_t keys[VEIL_WHYS + N_TOTALS],
    uint32_t counts[VEIL_WHYS + N_TOTALS])
{
	struct unseen copy = *u;
	uint32_t *totals[N_TOTALS];
	uint8_t n = 0;

	get_totals(&copy, totals);
	for (uint8_t i = 0; i < VEIL_WHYS + N_TOTALS; i++) {
		bool total = i >= VEIL_WHYS;
		uint32_t count = total ? *totals[i - VEIL_WHYS] : u->lines[i];

		if (count == 0)
			continue;
		keys[n] = (uint8_t)(total ? KEY_TOTALS + i - VEIL_WHYS : i);
		counts[n++] = count;
	}
	return n;
}

int
unseen_put(struct buf *b, const struct unseen *u)
{
	uint8_t keys[VEIL_WHYS + N_TOTALS], n;
	uint32_t counts[VEIL_WHYS + N_TOTALS];
	int r;

	n = list_counts(u, keys, counts);
	r = buf_put_u8(b, n);
	for (uint8_t i = 0; r == 0 && i < n; i++)
		if ((r = buf_put_u8(b, keys[i])) == 0)
			r = buf_put_u32(b, counts[i]);
	if (r == 0)
		r = buf_put_u8(b, (uint8_t)u->n_masks);
	for (uint32_t i = 0; r == 0 && i < u->n_masks; i++)
		if ((r = buf_put_cstr(b, u->masks[i].name)) == 0)
			r = buf_put_u64(b, u->masks[i].places);
	return r;
}

static int
get_count(struct buf *b, struct unseen *u)
{
	uint32_t *totals[N_TOTALS], count;
	uint8_t key;
	int r;

	if ((r = buf_get_u8(b, &key)) != 0 || (r = buf_get_u32(b, &count)) != 0)
		return r;
	get_totals(u, totals);
	if (key < VEIL_WHYS)
		u->lines[key] = count;
	else if (key >= KEY_TOTALS && key - KEY_TOTALS < N_TOTALS)
		*totals[key - KEY_TOTALS] = count;
	else
		return ERR_FORMAT;
	return 0;
}

static int
get_mask(struct buf *b, struct unseen_mask *mask)
{
	int r = buf_get_cstr(b, mask->name, sizeof(mask->name));

	return r != 0 ? r : buf_get_u64(b, &mask->places);
}

int
unseen_get(struct buf *b, struct unseen *u)
{
	uint8_t n;
	int r = buf_get_u8(b, &n);

	for (; r == 0 && n > 0; n--)
		r = get_count(b, u);
	if (r != 0 || (r = buf_get_u8(b, &n)) != 0 || n == 0)
		return r;
	if (n > UNSEEN_MASKS_MAX)
		return ERR_FORMAT;
	if ((u->masks = calloc(n, sizeof(*u->masks))) == NULL)
		return -ENOMEM;
	for (u->n_masks = 0; r == 0 && u->n_masks < n; u->n_masks++)
		r = get_mask(b, &u->masks[u->n_masks]);
	return r;
}
