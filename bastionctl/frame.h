/* What one recorded event means to somebody who looks at a session: bytes of a stream, a size, or a line of text. */
#ifndef BASTION_CTL_FRAME_H
#define BASTION_CTL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "recorder/event.h"

enum frame_stream {
	FRAME_NONE = 0,
	FRAME_IN = 1,  /* what the client sent */
	FRAME_OUT = 2, /* standard output as the client got it */
	FRAME_ERR = 3  /* standard error as the client got it */
};
#define FRAME_STREAMS 4u

/* "in", "out", "err"; "" for none. Static. */
const char *frame_stream_name(enum frame_stream stream);
/* FRAME_NONE: no such name. */
enum frame_stream frame_stream_find(const char *name);

/* The stream that ev carries bytes of, with the bytes (borrowed from ev); FRAME_NONE, and nothing else set: it carries none. */
enum frame_stream frame_data(const struct event *ev, const uint8_t **ret_p, size_t *ret_len);
/* Bytes of file content that ev stands for with their hash (EVENT_CONTENT), and the operation's number; false: it is none. */
struct frame_content {
	enum frame_stream stream;
	uint32_t number, len;
	uint64_t offset;
};
bool frame_content(const struct event *ev, struct frame_content *ret);
/* ev says that the data after it is content that is kept (EVENT_KEPT): len is 0. */
bool frame_kept(const struct event *ev, struct frame_content *ret);
/* ev gives the terminal a size (pty-req, window-change; RFC 4254 sections 6.2 and 6.7): true, and columns and rows, 1 to 65535. */
bool frame_size(const struct event *ev, uint32_t *ret_cols, uint32_t *ret_rows);
/* The exit status that ev carries (RFC 4254 section 6.10). */
bool frame_exit(const struct event *ev, uint32_t *ret_status);
/* The signal that ended the command, without SIG, escaped, into dst. */
bool frame_signal(const struct event *ev, char *dst, size_t size);

/* How a file operation (EVENT_FILE's JSON) ended: "ok", "failed (3: Permission denied)", "refused", "no answer". Returns dst. */
#define FRAME_RESULT_SIZE 160
char *frame_file_result(const struct json_node *f, char dst[FRAME_RESULT_SIZE]);
/*
 * One line about ev for people, escaped: "exec: uname -a", "window 80x24". False: it is data or flow control, of which
 * nothing is said, or does not parse.
 */
#define FRAME_TEXT_SIZE 1024
bool frame_text(const struct event *ev, char *dst, size_t size);

#endif
