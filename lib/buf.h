/*
 * A bounded buffer with a read and a write position, for everything that is parsed or built.
 * Invariants: length never exceeds the maximum given at creation; on error nothing is consumed and nothing
 * is appended; numbers are big-endian; contents are wiped on free. Secrets do not belong here (lib/secret.h).
 */
#ifndef BASTION_BUF_H
#define BASTION_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct buf;

/* An empty buffer that may grow to max bytes. Owned by caller, free with buf_free(). NULL: out of memory. */
struct buf *buf_new(size_t max);
/* A read-only buffer over foreign bytes, borrowed as long as the buffer lives. NULL: out of memory. */
struct buf *buf_view(const void *data, size_t len);
void buf_free(struct buf *b);
/* Forget the contents and, when more than keep bytes are allocated, give the memory back. */
void buf_reset(struct buf *b);
void buf_shrink(struct buf *b, size_t keep);

size_t buf_len(const struct buf *b); /* bytes not yet read */
const uint8_t *buf_ptr(
    const struct buf *b);	      /* the first of them; borrowed until the next put or reset */
size_t buf_room(const struct buf *b); /* bytes that may still be put */

/* Append. 0; ERR_LIMIT over the maximum; -ENOMEM; ERR_ORDER on a view. */
int buf_put(struct buf *b, const void *data, size_t len) MUST_CHECK;
int buf_put_u8(struct buf *b, uint8_t v) MUST_CHECK;
int buf_put_u16(struct buf *b, uint16_t v) MUST_CHECK;
int buf_put_u32(struct buf *b, uint32_t v) MUST_CHECK;
int buf_put_u64(struct buf *b, uint64_t v) MUST_CHECK;
/* A string in SSH's form, u32 length and bytes (RFC 4251 section 5). */
int buf_put_str(struct buf *b, const void *data, size_t len) MUST_CHECK;
int buf_put_cstr(struct buf *b, const char *s) MUST_CHECK;
/* Unsigned LEB128, at most 10 bytes. */
int buf_put_varint(struct buf *b, uint64_t v) MUST_CHECK;
/* Make room for len bytes and let the caller fill them: *ret_p is borrowed until the next put. */
int buf_reserve(struct buf *b, size_t len, uint8_t **ret_p) MUST_CHECK;
/* Nothing is appended, and the next puts of up to len bytes will not fail. Errors as above; buf_ptr() is to be asked again. */
int buf_make_room(struct buf *b, size_t len) MUST_CHECK;

/* Take from the front. 0; ERR_FORMAT when less is there. Outputs are untouched on error. */
int buf_get(struct buf *b, void *ret_data, size_t len) MUST_CHECK;
int buf_get_u8(struct buf *b, uint8_t *ret_v) MUST_CHECK;
int buf_get_u16(struct buf *b, uint16_t *ret_v) MUST_CHECK;
int buf_get_u32(struct buf *b, uint32_t *ret_v) MUST_CHECK;
int buf_get_u64(struct buf *b, uint64_t *ret_v) MUST_CHECK;
int buf_get_varint(struct buf *b, uint64_t *ret_v) MUST_CHECK;
/* A length-prefixed string in place: *ret_p is borrowed from the buffer until the next put or reset. */
int buf_get_str(struct buf *b, const uint8_t **ret_p, size_t *ret_len) MUST_CHECK;
/* As a C string into dst of size bytes; ERR_FORMAT for a NUL inside or when it does not fit. */
int buf_get_cstr(struct buf *b, char *dst, size_t size) MUST_CHECK;
/* len bytes in place, borrowed as above. */
int buf_get_ptr(struct buf *b, size_t len, const uint8_t **ret_p) MUST_CHECK;
int buf_skip(struct buf *b, size_t len) MUST_CHECK;
/* 0 when everything was read, ERR_FORMAT when bytes trail. */
int buf_end(const struct buf *b) MUST_CHECK;

#endif
