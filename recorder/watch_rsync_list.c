/*
 * The file lists of an rsync conversation, and the order in which indexes count their entries: by name, component by
 * component, files before directories, a directory before what is in it, "." before all.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/watch_rsync_part.h"

#define TYPE_MASK 0170000u
#define TYPE_DIR 0040000u

static void
free_list(struct rs_list *l)
{
	free(l->entries);
	free(l->names);
	free(l);
}

static size_t
list_memory(const struct rs_list *l)
{
	return sizeof(*l) + sizeof(void *) + l->n_room * sizeof(*l->entries) + l->names_room;
}

void
rs_lists_done(struct rs_lists *l)
{
	for (size_t i = 0; i < l->n; i++)
		free_list(l->list[i]);
	if (l->list != NULL)
		free(l->list - l->dropped);
	memset(l, 0, sizeof(*l));
}

/* Room for one more list: by closing the gap in front when that is the larger part, else by growing. */
static int
make_list_room(struct rs_lists *l)
{
	struct rs_list **whole = l->list == NULL ? NULL : l->list - l->dropped;
	size_t room = l->n_room == 0 ? 8 : l->n_room;

	if (l->list != NULL && l->dropped + l->n < l->n_room)
		return 0;
	if (l->dropped > 0)
		memmove(whole, l->list, l->n * sizeof(struct rs_list *));
	l->dropped = 0;
	l->list = whole;
	if (whole != NULL && l->n < room / 2 && l->n_room > 0)
		return 0;
	if (l->n_room > 0)
		room *= 2;
	if ((whole = reallocarray(whole, room, sizeof(struct rs_list *))) == NULL)
		return -ENOMEM;
	l->list = whole;
	l->n_room = room;
	return 0;
}

int
rs_lists_begin(struct rs_lists *l)
{
	struct rs_list *new;
	int r;

	if (l->memory > RS_LISTS_MAX)
		return RS_FULL;
	if ((r = make_list_room(l)) != 0)
		return r;
	if ((new = calloc(1, sizeof(*new))) == NULL)
		return -ENOMEM;
	new->start = l->next;
	l->list[l->n++] = new;
	l->memory += list_memory(new);
	return 0;
}

/* Room for one more entry with a name of len bytes. */
static int
make_room(struct rs_list *l, size_t len)
{
	if (l->n == l->n_room) {
		size_t room = l->n_room == 0 ? 4 : 2 * l->n_room;
		struct rs_entry *more = reallocarray(l->entries, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		l->entries = more;
		l->n_room = room;
	}
	if (len > l->names_room - l->names_len) {
		size_t room = 2 * l->names_room + len + 64;
		char *more = reallocarray(l->names, room, 1);

		if (more == NULL)
			return -ENOMEM;
		l->names = more;
		l->names_room = room;
	}
	return 0;
}

int
rs_lists_add(struct rs_lists *l, const char *name, size_t len, uint64_t size, uint32_t mode)
{
	struct rs_list *list = l->list[l->n - 1];
	size_t before = list_memory(list);
	int r;

	if (l->memory > RS_LISTS_MAX || list->n >= INT32_MAX / 2 || l->next > INT32_MAX - 2)
		return RS_FULL;
	if ((r = make_room(list, len)) != 0)
		return r;
	list->entries[list->n] = (struct rs_entry){ .name = (uint32_t)list->names_len,
		.name_len = (uint32_t)len,
		.size = size,
		.mode = mode,
		.order = (uint32_t)list->n };
	list->n++;
	memcpy(list->names + list->names_len, name, len);
	list->names_len += len;
	l->memory += list_memory(list) - before;
	l->next++;
	return 0;
}

/* What is left of a name: components, the last of which may be a file. */
struct rest {
	const char *p;
	size_t len;
	bool dir, over;
};

static struct rest
rest_of(const struct rs_list *l, const struct rs_entry *e)
{
	struct rest r = { l->names + e->name, e->name_len, (e->mode & TYPE_MASK) == TYPE_DIR,
		false };

	/* "." and a trailing "/." are the directory itself. */
	if (r.dir && r.len > 0 && r.p[r.len - 1] == '.') {
		if (r.len == 1)
			r.over = true;
		else if (r.p[r.len - 2] == '/')
			r.len -= 2;
	}
	return r;
}

/* Take the next component off; whether it is a directory. */
static bool
take_component(struct rest *r, const char **ret_p, size_t *ret_len)
{
	const char *slash = memchr(r->p, '/', r->len);
	size_t len = slash != NULL ? (size_t)(slash - r->p) : r->len;

	*ret_p = r->p;
	*ret_len = len;
	if (slash == NULL) {
		r->over = true;
		return r->dir;
	}
	r->p += len + 1;
	r->len -= len + 1;
	return true;
}

/* Names of one kind; directories compare as if a slash followed. */
static int
compare_names(const char *a, size_t a_len, const char *b, size_t b_len, bool dirs)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int diff = memcmp(a, b, n);

	if (diff != 0 || a_len == b_len)
		return diff;
	if (!dirs)
		return a_len < b_len ? -1 : 1;
	return a_len < b_len ? '/' - (unsigned char)b[n] : (unsigned char)a[n] - '/';
}

static int
compare(const struct rs_list *l, const struct rs_entry *a, const struct rs_entry *b)
{
	struct rest x = rest_of(l, a), y = rest_of(l, b);

	while (!x.over && !y.over) {
		const char *p, *q;
		size_t p_len, q_len;
		bool p_dir = take_component(&x, &p, &p_len), q_dir = take_component(&y, &q, &q_len);
		int diff;

		if (p_dir != q_dir)
			return p_dir ? 1 : -1;
		if ((diff = compare_names(p, p_len, q, q_len, p_dir)) != 0)
			return diff;
	}
	if (x.over != y.over)
		return x.over ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int
compare_entries(const void *a, const void *b, void *list)
{
	return compare(list, a, b);
}

void
rs_lists_sort(struct rs_lists *l)
{
	struct rs_list *list = l->list[l->n - 1];

	if (list->n > 0)
		qsort_r(list->entries, list->n, sizeof(*list->entries), compare_entries, list);
	l->next++; /* one index between two lists stands for the directory */
}

int
rs_lists_find(struct rs_lists *l, int32_t index, struct rs_entry **ret_entry, const char **ret_name)
{
	size_t low = 0, high = l->n;
	struct rs_list *list;

	/* The last list that begins at the index or before, or right behind it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->list[middle]->start - 1 <= index)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return RS_WRONG;
	list = l->list[low - 1];
	if (index == list->start - 1) {
		*ret_entry = NULL;
		*ret_name = "";
		return 0;
	}
	if ((size_t)(index - list->start) >= list->n)
		return RS_WRONG;
	*ret_entry = &list->entries[index - list->start];
	*ret_name = list->names + (*ret_entry)->name;
	return 0;
}

void
rs_lists_drop(struct rs_lists *l)
{
	l->memory -= list_memory(l->list[0]);
	free_list(l->list[0]);
	l->list++;
	l->dropped++;
	l->n--;
	l->done--;
}
