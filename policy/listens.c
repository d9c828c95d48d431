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

int
listens_add(struct listens *l, const struct forward *f)
{
	char *where;

	if (find(l, f) != LISTENS_MAX)
		return 0;
	if (l->n == LISTENS_MAX)
		return ERR_LIMIT;
	if (l->v == NULL && (l->v = calloc(LISTENS_MAX, sizeof(*l->v))) == NULL)
		return -ENOMEM;
	if ((where = strdup(f->host != NULL ? f->host : f->path)) == NULL)
		return -ENOMEM;
	l->v[l->n++] =
	    (struct listen_on){ .where = where, .path = f->host == NULL, .port = f->port };
	return 0;
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
		return f->host != NULL && listens_has(l, f);
	free(l->v[i].where);
	l->v[i] = l->v[--l->n];
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
