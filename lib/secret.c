/* Secrets live in sodium's guarded pages: locked into memory, left out of core dumps, wiped when freed. */
#include "config.h"

#include <sys/resource.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"

struct secret {
	uint8_t *data; /* sodium_malloc() */
	size_t len;
};

int
secret_init(void)
{
	struct rlimit lim;

	if (sodium_init() < 0)
		return ERR_CRYPTO;
	/* As much as we are allowed; secret_new() says when that is not enough. */
	if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &lim); /* the old limit may suffice too */
	}
	return 0;
}

struct secret *
secret_new(size_t len)
{
	struct secret *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->data = sodium_malloc(len);
	s->len = len;
	/* sodium_malloc() goes on when it could not lock; we do not. */
	if (s->data == NULL || (len > 0 && sodium_mlock(s->data, len) != 0)) {
		sodium_free(s->data);
		free(s);
		return NULL;
	}
	if (len > 0)
		memset(s->data, 0, len);
	return s;
}

struct secret *
secret_take(void *data, size_t len)
{
	struct secret *s = secret_new(len);

	if (s != NULL && len > 0)
		memcpy(s->data, data, len);
	if (len > 0)
		sodium_memzero(data, len);
	return s;
}

void
secret_free(struct secret *s)
{
	if (s == NULL)
		return;
	sodium_free(s->data);
	free(s);
}

uint8_t *
secret_ptr(struct secret *s)
{
	return s->data;
}

const uint8_t *
secret_cptr(const struct secret *s)
{
	return s->data;
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}
