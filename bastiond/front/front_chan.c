/* What a client may open and ask for: one row a request (RFC 4254 section 6). What is in no row is refused and noted. */
#include "config.h"

#include <string.h>

#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/log.h"
#include "lib/str.h"

enum when {
	BEFORE,	  /* a program is started */
	TERMINAL, /* the one terminal, before a program */
	PROGRAM,  /* the one program */
	RESIZE,	  /* there is a terminal */
	RUNNING,  /* a program runs */
	NEVER	  /* refused without a word: clients ask for it just to hear a no */
};

static const struct row {
	const char *name;
	const char *shape; /* of its fields, see mux_shape() */
	enum when when;
} rows[] = {
	{ "pty-req", "suuuus", TERMINAL },
	{ "env", "ss", BEFORE },
	{ "x11-req", "bssu", BEFORE },
	{ "auth-agent-req@openssh.com", "", BEFORE },
	{ "shell", "", PROGRAM },
	{ "exec", "s", PROGRAM },
	{ "subsystem", "s", PROGRAM },
	{ "window-change", "uuuu", RESIZE },
	{ "signal", "s", RUNNING },
	{ "break", "u", RUNNING },
	{ "eow@openssh.com", "", RUNNING },
	{ "keepalive@openssh.com", "", NEVER },
	{ "winadj@putty.projects.tartarus.org", "", NEVER },
	{ "simple@putty.projects.tartarus.org", "", NEVER },
};

const struct end_global_rule front_globals[] = {
	{ "keepalive@openssh.com", GLOBAL_QUIET },
	{ "no-more-sessions@openssh.com", GLOBAL_STOP },
	{ "tcpip-forward", GLOBAL_PASS },
	{ "cancel-tcpip-forward", GLOBAL_PASS },
	{ "streamlocal-forward@openssh.com", GLOBAL_PASS },
	{ "cancel-streamlocal-forward@openssh.com", GLOBAL_PASS },
	{ NULL, GLOBAL_REFUSE },
};

/* Carried out by the target, if policy lets it. */
static bool
is_forward(struct rd_str type)
{
	return rd_is(type, "direct-tcpip") || rd_is(type, "direct-streamlocal@openssh.com");
}

uint32_t
front_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	struct front *f = arg;
	struct rd_str type = open->type;

	if (f->host[0] == '\0' && rd_is(type, "direct-tcpip"))
		return front_jump_open(f, open, ret_text);
	if (rd_is(type, "session") && f->host[0] == '\0' && front_link_shell(f) != 0) {
		*ret_text = "the bastion is stopping";
		return SSH_OPEN_PROHIBITED;
	}
	if (rd_is(type, "session") || (f->host[0] != '\0' && is_forward(type)))
		return 0;
	*ret_text = "this is not opened through the bastion";
	return SSH_OPEN_PROHIBITED;
}

static enum mux_answer
refuse(struct front *f, const struct mux_session *s, struct rd_str what, const char *why)
{
	if (mux_note_refused(f->end.mux, s->id, what, why) != 0)
		log_debug("front.note_lost"); /* the link tells its end */
	return MUX_REFUSE;
}

static bool
is_time(const struct mux_session *s, enum when when)
{
	switch (when) {
	case BEFORE:
	case PROGRAM:
		return !s->program;
	case TERMINAL:
		return !s->program && !s->pty;
	case RESIZE:
		return s->pty;
	case RUNNING:
		return s->program;
	case NEVER:
		break;
	}
	return false;
}

enum mux_answer
front_may_request(void *arg, const struct mux_session *s, const struct mux_request *req)
{
	struct front *f = arg;
	const struct row *row = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rd_is(req->name, rows[i].name))
			row = &rows[i];
	if (row == NULL)
		return refuse(f, s, req->name, "unknown request");
	if (row->when == NEVER || (row->when == RESIZE && !s->pty))
		return MUX_REFUSE;
	if (!mux_shape(req->fields, row->shape))
		return refuse(f, s, req->name, "malformed");
	if (!is_time(s, row->when))
		return refuse(f, s, req->name, "not at this time");
	return MUX_PASS;
}
