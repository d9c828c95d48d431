/*
 * Takes terminal output apart: text, control characters, escape sequences. Only takes apart: what may reach a real
 * terminal is decided in vt_safe.c, what becomes of it in a transcript in export_text.c. The states are those of a VT500
 * (vt100.net/emu/dec_ansi_parser), with UTF-8; 8-bit controls are not known, neither as bytes nor as U+0080 to U+009F.
 */
#ifndef BASTION_CTL_VT_H
#define BASTION_CTL_VT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/utf8.h"
#include "lib/err.h"

#define VT_PARAMS_MAX 32u   /* of one sequence; a longer one is dropped whole */
#define VT_PARAM_MAX 65535u /* larger values count as this */
#define VT_STRING_MAX                                                                              \
	1048576u /* bytes of a control string (title, image, ...) before it is given up and text again */

struct vt_param {
	bool given;	/* false: left out, the sequence's default */
	bool sub;	/* separated from the one before by a colon */
	uint16_t value; /* at most VT_PARAM_MAX */
};

struct vt_csi {
	char marker; /* '<' '=' '>' '?', 0: none */
	char inter;  /* intermediate character, 0: none, 1: more than one */
	char final;  /* 0x40 to 0x7e */
	size_t n;    /* parameters; 0: nothing between "[" and the end */
	struct vt_param params[VT_PARAMS_MAX];
};

/* What was found. Each returns 0, or an error that ends vt_feed() at once. None may be NULL. */
struct vt_ops {
	int (*text)(void *arg, const uint8_t *ascii, size_t len); /* 0x20 to 0x7e, one or more */
	int (*print)(void *arg, uint32_t cp);		  /* from U+0080; U+FFFD for bad bytes */
	int (*control)(void *arg, uint8_t c);		  /* 0x00 to 0x1f without ESC, CAN, SUB */
	int (*escape)(void *arg, char inter, char final); /* inter: as in struct vt_csi */
	int (*csi)(void *arg, const struct vt_csi *seq);
};

enum vt_state {
	VT_GROUND,
	VT_ESCAPE,
	VT_CSI,
	VT_CSI_IGNORE, /* a CSI that is not well-formed: up to its final character */
	VT_OSC,	       /* a control string that BEL may end */
	VT_STRING,     /* DCS, SOS, PM, APC: skipped up to ESC \ */
};

/* All zero: nothing was read yet. */
struct vt {
	enum vt_state state;
	struct utf8 utf8;
	struct vt_csi csi;
	char inter;	    /* of an escape sequence */
	bool string_escape; /* an ESC that may end the control string */
	size_t string_len;  /* bytes of the control string so far */
};

/* Feed the next bytes, cut anywhere. 0; what an op returned. */
int vt_feed(
    struct vt *vt, const struct vt_ops *ops, void *arg, const void *data, size_t len) MUST_CHECK;
/* No more bytes: an unfinished code point is told as U+FFFD, an unfinished sequence is dropped. */
int vt_finish(struct vt *vt, const struct vt_ops *ops, void *arg) MUST_CHECK;

#endif
