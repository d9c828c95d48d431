/* Listeners at the target: a short list. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/listens.h"

/* As it was asked for, word for word. LISTENS_MAX: it is not there. */
static size_t
find(const struct listens *l, const struct forward *f)
{
	const char *where = f->host != NULL ? f->host : f->path;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].path == (f->host == NULL) && l->v[i].port == f->port &&
		    strcmp(l->v[i].where, where) == 0)
			return i;
	return LISTENS_MAX;
}

static void
drop(struct listens *l, size_t i)
{
	free(l->v[i].where);
	l->v[i] = l->v[--l->n];
}

int
listens_add(struct listens *l, const struct forward *f, uint32_t asked)
{
	bool picks = f->host != NULL && f->port == 0 && asked != 0;
	char *where;

	if (!picks && find(l, f) != LISTENS_MAX)
		return 0;
	if (l->n == LISTENS_MAX)
		return ERR_LIMIT;
	if (l->v == NULL && (l->v = calloc(LISTENS_MAX, sizeof(*l->v))) == NULL)
		return -ENOMEM;
	if ((where = strdup(f->host != NULL ? f->host : f->path)) == NULL)
		return -ENOMEM;
	l->v[l->n++] = (struct listen_on){
		.where = where, .path = f->host == NULL, .port = f->port, .asked = asked
	};
	return 0;
}

void
listens_answered(struct listens *l, uint32_t asked, bool success, uint32_t port)
{
	size_t i = 0;

	while (i < l->n && l->v[i].asked != asked)
		i++;
	if (i == l->n || asked == 0)
		return;
	l->v[i].asked = 0;
	if (!success)
		drop(l, i);
	else if (!l->v[i].path && l->v[i].port == 0 && port <= UINT16_MAX)
		l->v[i].port = port;
}

bool
listens_has(const struct listens *l, const struct forward *f)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct listen_on *on = &l->v[i];

		if (on->path != (f->host == NULL))
			continue;
		if (on->path ? strcmp(on->where, f->path) == 0
			     : on->port == f->port || on->port == 0)
			return true;
	}
	return false;
}

bool
listens_remove(struct listens *l, const struct forward *f)
{
	size_t i = find(l, f);

	if (i == LISTENS_MAX)
		return false;
	drop(l, i);
	return true;
}

void
listens_done(struct listens *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].where);
	free(l->v);
	*l = (struct listens){ .n = 0 };
}
