/*
 * Saying no to a client before there is a front: one line that may stand before an SSH identification (RFC 4253
 * section 4.2), our identification, and SSH_MSG_DISCONNECT with the same text, which clients show. Nothing that the
 * client says is looked at; it is read away for a moment, so that the answer is not lost to a reset.
 */
#ifndef BASTION_BROKER_REFUSE_H
#define BASTION_BROKER_REFUSE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

#define REFUSE_LINE_MAX 200u			 /* bytes of a line */
#define REFUSE_SIZE (2 * REFUSE_LINE_MAX + 128u) /* bytes of the whole answer, at most */

struct refuse;

/* Owned by caller, free with refuse_free(). 0; -ENOMEM. */
int refuse_new(struct loop *l, struct refuse **ret_refuse) MUST_CHECK;
void refuse_free(struct refuse *rf);
/* Answer and close. fd: taken. line: ASCII without line end. */
void refuse_client(struct refuse *rf, int fd, const char *line);
/* The answer itself into dst of REFUSE_SIZE bytes; returns its length. */
size_t refuse_make(uint8_t *dst, const char *line);

#endif
