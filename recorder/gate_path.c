/* Paths as the server will take them, by what it has said of its real ones. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/fxp.h"
#include "recorder/gate_part.h"

/* path is root, or lies below it. */
static bool
is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return true;
	return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool
gate_is_within(const char *path, const struct gate_prefixes *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (is_below(path, p->list[i]))
			return true;
	return p->n == 0;
}

bool
gate_is_above(const char *path, const struct gate_prefixes *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (is_below(p->list[i], path))
			return true;
	return false;
}

bool
gate_is_told(const struct gate *g, const char *path)
{
	if (g->home != NULL && is_below(g->home, path))
		return true;
	for (size_t i = 0; i < GATE_KNOWN_MAX; i++)
		if (g->known[i] != NULL && is_below(g->known[i], path))
			return true;
	return strcmp(path, "/") == 0;
}

/*
 * Another file can be renamed to this name, or to one above it. Not to that of the only prefix: what could take its place lies in
 * it.
 */
static bool
can_change(const struct gate *g, const char *path)
{
	const struct gate_prefixes *p = &g->rule.writes;

	if (!g->rule.write || !gate_is_within(path, p))
		return false;
	return p->n != 1 || strcmp(path, p->list[0]) != 0;
}

/*
 * No component of path is a symlink: the server has said so, and nobody who is held to this rule can have put one there since,
 * on this channel or another. Where they may write, a link that was on the host can be renamed to any name.
 */
static bool
is_real(const struct gate *g, const char *path)
{
	if (strcmp(path, "/") == 0)
		return true;
	return g->resolves && gate_is_told(g, path) && !can_change(g, path);
}

/* One component more at the end of real; ".." takes one away, if it is known what is above. */
static const char *
add_component(const struct gate *g, bool by_text, char *real, size_t *len, const char *p, size_t n)
{
	if (n == 0 || (n == 1 && p[0] == '.'))
		return NULL;
	if (n == 2 && p[0] == '.' && p[1] == '.') {
		if (!by_text && !is_real(g, *len == 0 ? "/" : real))
			return "a path with .. behind a name is not judged";
		while (*len > 0 && real[--*len] != '/')
			continue;
		real[*len] = '\0';
		return NULL;
	}
	real[(*len)++] = '/';
	memcpy(real + *len, p, n);
	*len += n;
	real[*len] = '\0';
	return NULL;
}

const char *
gate_real_path(const struct gate *g, const uint8_t *path, size_t path_len, bool by_text, char *real)
{
	const char *p = (const char *)path, *end = p + path_len, *why = NULL;
	size_t len = 0;

	if (path_len > GATE_PATH_MAX)
		return "the path is too long to be judged";
	if (memchr(path, 0, path_len) != NULL)
		return "the path has a NUL in it";
	real[0] = '\0';
	if (path_len == 0 || p[0] != '/') {
		if (g->home == NULL)
			return "a relative path, and the server was not asked yet what it is "
			       "relative to";
		if (strcmp(g->home, "/") != 0) {
			len = strlen(g->home);
			memcpy(real, g->home, len + 1);
		}
	}
	while (why == NULL && p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash != NULL ? slash : end) - p);

		why = add_component(g, by_text, real, &len, p, n);
		p += slash != NULL ? n + 1 : n;
	}
	if (len == 0)
		memcpy(real, "/", 2);
	return why;
}

bool
gate_holds_home(const struct gate *g, const char *path)
{
	return g->home == NULL || is_below(g->home, path);
}

bool
gate_is_home(const uint8_t *path, size_t path_len)
{
	for (size_t i = 0; i < path_len; i++)
		if (path[i] != (i % 2 == 0 ? '.' : '/'))
			return false;
	return true;
}

/* OpenSSH's server follows every symlink in REALPATH; others only tidy the text up. These names tell it from them. */
void
gate_take_version(struct gate *g, struct fxp_cursor *c)
{
	bool lsetstat = false, fstatvfs = false;
	const uint8_t *name;
	size_t len;

	while (c->left > 0 && !c->bad && !c->cut) {
		name = fxp_get_str(c, &len);
		lsetstat = lsetstat || fxp_is(name, len, "lsetstat@openssh.com");
		fstatvfs = fstatvfs || fxp_is(name, len, "fstatvfs@openssh.com");
		(void)fxp_get_str(c, &len); /* its version */
	}
	g->resolves = lsetstat && fstatvfs;
}

/* Absolute, and every component a name. */
static bool
is_normal(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *p = path + 1; *p != '\0';) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'))))
			return false;
		p += n;
		if (*p == '/' && *++p == '\0')
			return false;
	}
	return true;
}

int
gate_learn(struct gate *g, enum gate_reason what, struct fxp_cursor *c)
{
	uint32_t n = fxp_get_u32(c);
	size_t len;
	const uint8_t *p = fxp_get_str(c, &len);
	char *copy, **to;

	if (n != 1 || c->bad || c->cut || len > GATE_PATH_MAX || memchr(p, 0, len) != NULL)
		return 0;
	if ((copy = strndup((const char *)p, len)) == NULL)
		return -ENOMEM;
	if (!is_normal(copy)) {
		free(copy);
		return 0;
	}
	to = what == GATE_HOME ? &g->home : &g->known[g->next_known++ % GATE_KNOWN_MAX];
	free(*to);
	*to = copy;
	return 0;
}
