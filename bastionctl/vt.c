/* The state machine. One function a state; each takes one byte. */
#include "config.h"

#include <string.h>

#include "bastionctl/vt.h"

#define VT_BEL 0x07
#define VT_CAN 0x18
#define VT_SUB 0x1a
#define VT_ESC 0x1b
#define VT_DEL 0x7f

struct vt_feeder {
	struct vt *vt;
	const struct vt_ops *ops;
	void *arg;
};

static void
vt_begin_escape(struct vt *vt)
{
	vt->state = VT_ESCAPE;
	vt->inter = 0;
	vt->string_escape = false;
	vt->string_len = 0;
}

/* A control character, in every state but the control strings. */
static int
vt_control(const struct vt_feeder *f, uint8_t c)
{
	if (c == VT_ESC) {
		vt_begin_escape(f->vt);
		return 0;
	}
	if (c == VT_CAN || c == VT_SUB) {
		f->vt->state = VT_GROUND;
		return 0;
	}
	return f->ops->control(f->arg, c);
}

/* A byte outside ASCII, or any byte while a code point is unfinished. */
static int
vt_utf8(const struct vt_feeder *f, uint8_t c, bool *ret_taken)
{
	uint32_t cp;
	enum utf8_step step = utf8_step(&f->vt->utf8, c, &cp);

	*ret_taken = step != UTF8_BAD_CUT;
	if (step == UTF8_MORE)
		return 0;
	if (step == UTF8_ONE && cp >= 0x80)
		return f->ops->print(f->arg, cp);
	return f->ops->print(f->arg, UTF8_REPLACEMENT);
}

static int
vt_ground(const struct vt_feeder *f, uint8_t c)
{
	bool taken = false;
	int r;

	if (c >= 0x80 || utf8_is_partial(&f->vt->utf8)) {
		r = vt_utf8(f, c, &taken);
		if (r != 0 || taken)
			return r;
	}
	if (c >= 0x80)
		return vt_utf8(f, c, &taken);
	if (c < 0x20)
		return vt_control(f, c);
	if (c == VT_DEL)
		return 0;
	return f->ops->text(f->arg, &c, 1);
}

static void
vt_begin_csi(struct vt *vt)
{
	memset(&vt->csi, 0, sizeof(vt->csi));
	vt->state = VT_CSI;
}

static int
vt_escape_final(const struct vt_feeder *f, uint8_t c)
{
	char inter = f->vt->inter;

	f->vt->state = VT_GROUND;
	if (inter == 0 && c == '[')
		vt_begin_csi(f->vt);
	else if (inter == 0 && c == ']')
		f->vt->state = VT_OSC;
	else if (inter == 0 && strchr("PX^_", c) != NULL)
		f->vt->state = VT_STRING;
	else
		return f->ops->escape(f->arg, inter, (char)c);
	return 0;
}

/* Not part of the sequence: drop the sequence, take the byte as text. */
static int
vt_abandon(const struct vt_feeder *f, uint8_t c)
{
	f->vt->state = VT_GROUND;
	return vt_ground(f, c);
}

static int
vt_escape(const struct vt_feeder *f, uint8_t c)
{
	if (c < 0x20)
		return vt_control(f, c);
	if (c >= 0x80)
		return vt_abandon(f, c);
	if (c == VT_DEL)
		return 0;
	if (c >= 0x30)
		return vt_escape_final(f, c);
	f->vt->inter = f->vt->inter == 0 ? (char)c : 1;
	return 0;
}

static void
vt_csi_digit(struct vt *vt, uint8_t c)
{
	struct vt_csi *seq = &vt->csi;
	struct vt_param *p;
	uint32_t value;

	if (seq->n == 0)
		seq->n = 1;
	p = &seq->params[seq->n - 1];
	value = p->value * 10u + (uint32_t)(c - '0');
	p->value = (uint16_t)(value > VT_PARAM_MAX ? VT_PARAM_MAX : value);
	p->given = true;
}

static void
vt_csi_separator(struct vt *vt, uint8_t c)
{
	struct vt_csi *seq = &vt->csi;

	if (seq->n == 0)
		seq->n = 1;
	if (seq->n == VT_PARAMS_MAX) {
		vt->state = VT_CSI_IGNORE;
		return;
	}
	seq->params[seq->n++].sub = c == ':';
}

static int
vt_csi(const struct vt_feeder *f, uint8_t c)
{
	struct vt_csi *seq = &f->vt->csi;

	if (c < 0x20)
		return vt_control(f, c);
	if (c >= 0x80)
		return vt_abandon(f, c);
	if (c >= 0x40 && c != VT_DEL) {
		seq->final = (char)c;
		f->vt->state = VT_GROUND;
		return f->ops->csi(f->arg, seq);
	}
	if (c < 0x30)
		seq->inter = seq->inter == 0 ? (char)c : 1;
	else if (c == VT_DEL)
		return 0;
	else if (seq->inter != 0)
		f->vt->state = VT_CSI_IGNORE;
	else if (c <= '9')
		vt_csi_digit(f->vt, c);
	else if (c <= ';')
		vt_csi_separator(f->vt, c);
	else if (seq->n == 0 && seq->marker == 0)
		seq->marker = (char)c;
	else
		f->vt->state = VT_CSI_IGNORE;
	return 0;
}

static int
vt_csi_ignore(const struct vt_feeder *f, uint8_t c)
{
	if (c < 0x20)
		return vt_control(f, c);
	if (c >= 0x80)
		return vt_abandon(f, c);
	if (c >= 0x40 && c != VT_DEL)
		f->vt->state = VT_GROUND;
	return 0;
}

static int
vt_string(const struct vt_feeder *f, uint8_t c)
{
	struct vt *vt = f->vt;

	if (vt->string_escape) {
		bool ends = c == '\\';

		vt_begin_escape(vt);
		if (!ends)
			return vt_escape(f, c);
		vt->state = VT_GROUND;
		return 0;
	}
	if (c == VT_ESC)
		vt->string_escape = true;
	else if (c == VT_CAN || c == VT_SUB || (c == VT_BEL && vt->state == VT_OSC) ||
		 ++vt->string_len > VT_STRING_MAX)
		vt->state = VT_GROUND;
	return 0;
}

static int (*const vt_states[])(const struct vt_feeder *, uint8_t) = {
	[VT_GROUND] = vt_ground,
	[VT_ESCAPE] = vt_escape,
	[VT_CSI] = vt_csi,
	[VT_CSI_IGNORE] = vt_csi_ignore,
	[VT_OSC] = vt_string,
	[VT_STRING] = vt_string,
};

/* Length of the run of printable ASCII at p. */
static size_t
vt_run(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x7f)
		n++;
	return n;
}

int
vt_feed(struct vt *vt, const struct vt_ops *ops, void *arg, const void *data, size_t len)
{
	const struct vt_feeder f = { vt, ops, arg };
	const uint8_t *p = data, *end = p + len;

	while (p < end) {
		size_t run = 0;
		int r;

		if (vt->state == VT_GROUND && !utf8_is_partial(&vt->utf8))
			run = vt_run(p, (size_t)(end - p));
		r = run > 0 ? ops->text(arg, p, run) : vt_states[vt->state](&f, *p);
		if (r != 0)
			return r;
		p += run > 0 ? run : 1;
	}
	return 0;
}

int
vt_finish(struct vt *vt, const struct vt_ops *ops, void *arg)
{
	bool partial = utf8_is_partial(&vt->utf8);

	memset(vt, 0, sizeof(*vt));
	return partial ? ops->print(arg, UTF8_REPLACEMENT) : 0;
}
