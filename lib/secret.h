/* Memory for secrets: locked, guarded, not in dumps, wiped on free (sodium_malloc underneath). Never in a struct buf. */
#ifndef BASTION_SECRET_H
#define BASTION_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct secret;

/* Start libsodium and raise the limit of locked memory as far as allowed. Before the sandbox. 0; ERR_CRYPTO. */
int secret_init(void) MUST_CHECK;
/* len zero bytes. Owned by caller, free with secret_free(). NULL: out of memory, or of memory that may be locked. */
struct secret *secret_new(size_t len);
/* A copy; the source is wiped, also when this fails. NULL: as secret_new(). */
struct secret *secret_take(void *data, size_t len);
/* Wipe and free; NULL is allowed. */
void secret_free(struct secret *s);
/* The bytes, borrowed until secret_free(), and how many they are. */
uint8_t *secret_ptr(struct secret *s);
const uint8_t *secret_cptr(const struct secret *s);
size_t secret_len(const struct secret *s);

#endif
