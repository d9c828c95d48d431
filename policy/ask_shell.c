/* Verdicts on the bastion's own shell: its leg has no host, so no rule is asked. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "policy/ask.h"
#include "recorder/link_proto.h"

static const struct {
	uint16_t type;
	const char *name;
	const char *why; /* NULL: allowed */
} rows[] = {
	{ LINK_OPEN, "session", NULL },
	{ LINK_REQUEST, "pty-req", NULL },
	{ LINK_REQUEST, "shell", NULL },
	{ LINK_REQUEST, "exec", NULL },
	{ LINK_REQUEST, "window-change", NULL },
	{ LINK_REQUEST, "signal", NULL },
	{ LINK_REQUEST, "break", NULL },
	{ LINK_REQUEST, "eow@openssh.com", NULL },
	{ LINK_REQUEST, "keepalive@openssh.com", NULL },
	{ LINK_REQUEST, "subsystem",
	    "the bastion keeps no files: name a host, for example sftp root+web1@BASTION" },
	{ LINK_REQUEST, "auth-agent-req@openssh.com",
	    "agent forwarding needs a host: ssh -A LOGIN+HOST@BASTION" },
	{ LINK_REQUEST, "x11-req", "X11 forwarding needs a host: ssh -X LOGIN+HOST@BASTION" },
	{ LINK_GLOBAL, "no-more-sessions@openssh.com", NULL },
	{ LINK_GLOBAL, "keepalive@openssh.com", NULL },
};

#define NO_FORWARD "forwarding needs a host: ssh LOGIN+HOST@BASTION, or ssh -J BASTION LOGIN@HOST"

static int
deny(struct ask_verdict *v, const char *why)
{
	v->verdict = POL_DENY;
	(void)snprintf(v->text, sizeof(v->text), "%s", why);
	return 0;
}

static bool
is_program(const struct ask *ask, const char *name)
{
	return !ask->from_back && ask->type == LINK_REQUEST &&
	       (strcmp(name, "shell") == 0 || strcmp(name, "exec") == 0 ||
		   strcmp(name, "subsystem") == 0);
}

/*
 * With force-command in the certificate, it is what runs here, too, whatever was asked for: as a command of the bastion's. Whether there
 * is such a one, the shell knows, and says.
 */
static int
force(const struct leg *leg, const struct ask *ask, const char *name, struct buf *replacement,
    struct ask_verdict *v)
{
	size_t head = 4 + 4 + strlen(name);
	int r;

	if (strcmp(leg->force_command, FORCE_SFTP) == 0)
		return deny(
		    v, "the certificate permits sftp alone, for which a host has to be named");
	if (ask->len <= head)
		return deny(v, "malformed request");
	if ((r = buf_put(replacement, ask->data, 4)) != 0 ||
	    (r = buf_put_cstr(replacement, "exec")) != 0 ||
	    (r = buf_put_u8(replacement, ask->data[head])) != 0 ||
	    (r = buf_put_cstr(replacement, leg->force_command)) != 0) {
		buf_reset(replacement);
		return r == ERR_LIMIT ? deny(v, "the forced command is too long") : r;
	}
	v->verdict = POL_REPLACE;
	(void)snprintf(v->text, sizeof(v->text),
	    "the certificate forces another command than the one asked for");
	return 0;
}

/* The name of what is asked for, in front of which a request has its number. */
static int
asked_name(const struct ask *ask, char *dst, size_t size)
{
	struct buf *b = buf_view(ask->data, ask->len);
	uint32_t number;
	int r = -ENOMEM;

	if (b != NULL && (r = ask->type != LINK_OPEN ? buf_get_u32(b, &number) : 0) == 0)
		r = buf_get_cstr(b, dst, size);
	buf_free(b);
	return r;
}

int
ask_judge_shell(
    const struct leg *leg, const struct ask *ask, struct buf *replacement, struct ask_verdict *ret)
{
	char name[ASK_NAME_SIZE];
	int r;

	*ret = (struct ask_verdict){ .verdict = POL_ALLOW };
	r = asked_name(ask, name, sizeof(name));
	if (r == -ENOMEM)
		return r;
	if (r != 0)
		return deny(ret, "malformed request");
	str_escape(ret->name, sizeof(ret->name), name, strlen(name));
	if (leg->by_cert && (leg->permits & CERT_PERMIT_PTY) == 0 && strcmp(name, "pty-req") == 0)
		return deny(ret, "the certificate does not permit a terminal");
	if (leg->force_command != NULL && is_program(ask, name))
		return force(leg, ask, name, replacement, ret);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!ask->from_back && rows[i].type == ask->type && strcmp(rows[i].name, name) == 0)
			return rows[i].why != NULL ? deny(ret, rows[i].why) : 0;
	return deny(ret,
	    ask->type == LINK_REQUEST ? "the bastion's own shell has no such request" : NO_FORWARD);
}
