/* What the files that read a screen's input share: what is under way, and the steps from one file to another. */
#ifndef BASTION_RECORDER_SCREEN_IN_PART_H
#define BASTION_RECORDER_SCREEN_IN_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/screen_part.h"

#define SCREEN_IN_CSI_MAX 96u /* bytes of one sequence; a longer one is dropped */
#define SCREEN_IN_TEXT_MAX                                                                         \
	256u /* bytes of text that libvterm gets at once; it keeps arrays of that many on the stack */

enum screen_in_state {
	SCREEN_IN_GROUND,
	SCREEN_IN_ESCAPE,
	SCREEN_IN_ESCAPE_INTER,
	SCREEN_IN_CSI,
	SCREEN_IN_CSI_IGNORE,
	SCREEN_IN_STRING
};

struct screen_in {
	enum screen_in_state state;
	char seq[SCREEN_IN_CSI_MAX + 1]; /* of the sequence under way, behind its ESC or CSI */
	size_t seq_len, digits;
	bool string_escape, string_bell; /* an ESC that may end a string; BEL ends it too */
	size_t string_len;
	uint8_t utf8[4]; /* a character under way */
	size_t utf8_len, utf8_need;
	uint8_t text[SCREEN_IN_TEXT_MAX]; /* for libvterm */
	size_t text_len;
	uint8_t ahead_last; /* the last character that libvterm has not heard of */
	uint32_t
	    ahead; /* how many there are: the cursor is so much further right than libvterm's */
	uint8_t last[4]; /* the last character, for REP */
	size_t last_len;
};

/* screen.c. Bytes for libvterm: text, or a whole sequence. */
void screen_vt_write(struct screen *s, const void *p, size_t len);
void screen_vt_say(struct screen *s, const char *text);
/* The modes that we keep are what they are after a reset. */
void screen_modes_reset(struct screen *s);

/* screen_in.c. Output of a terminal; errors stay in s->err. */
void screen_terminal_feed(struct screen *s, const uint8_t *p, size_t len);
/* Everything is where libvterm thinks it is: before any sequence that it gets. */
void screen_in_settle(struct screen *s);
/* One character by way of libvterm; p: 1 to 4 bytes, copied. */
void screen_in_slow(struct screen *s, const uint8_t *p, size_t len);
/* A control string begins; bell: BEL ends it, too. */
void screen_in_begin_string(struct screen_in *in, bool bell);
/* A byte of a control string, and of a sequence that is skipped; the state changes when it is the last one. */
void screen_in_string(struct screen *s, uint8_t c);
void screen_in_csi_ignore(struct screen *s, uint8_t c);
/* Length of a UTF-8 sequence by its first byte; 0: none begins so. */
size_t screen_utf8_need(uint8_t c);
/* Whether c may follow these len bytes, at least 1, of a character. */
bool screen_utf8_goes_on(const uint8_t *p, size_t len, uint8_t c);
/* How many bytes at p are printable ASCII, up to the first that is not. */
size_t screen_ascii_run(const uint8_t *p, size_t len);

/* screen_seq.c. The sequence in s->in->seq, behind its CSI, has come to its end. */
void screen_csi_run(struct screen *s);
/* ESC and this final character; with one character between them. */
void screen_esc_run(struct screen *s, char final);
void screen_esc_inter_run(struct screen *s, char inter, char final);
/* Move the cursor, whatever the origin. */
void screen_cursor_to(struct screen *s, struct screen_at at);
/* The cursor no longer waits to wrap. */
void screen_cursor_unwrap(struct screen *s);

/* screen_lines.c. A stream without a terminal; errors stay in s->err. */
void screen_lines_feed(struct screen *s, const uint8_t *p, size_t len);
/* Bytes that are no text: one mark for all that stand together. */
void screen_lines_bad(struct screen *s);
/* The line that is put together is told. */
void screen_lines_end(struct screen *s);

#endif
