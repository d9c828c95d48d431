/*
 * The picker: a person's hosts on a terminal, one to be chosen. Keys in, bytes for the terminal out; no sockets, no clock.
 * It draws a block of lines below the cursor and takes it away again: nothing of it stays, whatever the terminal is.
 */
#ifndef BASTION_SHELL_PICK_H
#define BASTION_SHELL_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"

#define PICK_TYPED_SIZE 128u  /* bytes that can be typed, with NUL */
#define PICK_TARGET_SIZE 520u /* bytes of a target with its NUL */
#define PICK_LINE_MAX 250u    /* columns that are used at most */
#define PICK_DRAW_MAX (256u * 1024u)

enum pick_result {
	PICK_MORE,   /* go on */
	PICK_LEAVE,  /* the person wants to go */
	PICK_CONNECT /* pick_target() says where */
};

struct pick;

/*
 * hosts: what policy answered to "hosts"; copied. me: whose they are: the login that is proposed first.
 * 0; ERR_NOT_FOUND there is none; ERR_FORMAT it is no such list; -ENOMEM. *ret_pick: owned by caller.
 */
int pick_new(const struct json_node *hosts, const char *me, struct pick **ret_pick) MUST_CHECK;
void pick_free(struct pick *p);

/* The terminal's size; 0 counts as 80x24. Any size is taken. To be drawn anew. */
void pick_resize(struct pick *p, uint32_t cols, uint32_t rows);
/* Bytes that were typed. *ret_used: how many of them were looked at: those behind are the next program's. */
enum pick_result pick_keys(struct pick *p, const uint8_t *data, size_t len, size_t *ret_used);
/* The last byte was ESC: a key of its own, or the beginning of one. */
bool pick_waits(const struct pick *p);
/* Nothing followed it for a while. */
enum pick_result pick_alone(struct pick *p);
/* "web1", "root+web1": what policy resolves. Borrowed. */
const char *pick_target(const struct pick *p);
/* A line that is shown until the next key. */
void pick_say(struct pick *p, const char *line);

/* Append what brings the terminal up to date, or takes the block away. out: PICK_DRAW_MAX bytes. 0; ERR_LIMIT; -ENOMEM. */
int pick_draw(const struct pick *p, struct buf *out) MUST_CHECK;
int pick_clear(const struct pick *p, struct buf *out) MUST_CHECK;

#endif
