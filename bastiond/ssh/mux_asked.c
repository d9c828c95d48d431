/*
 * What may be opened: types of channels with the shape of their fields and where they come from; and, for those that a target
 * opens, whether the client's side has asked for that. Front and back each keep this account of what crossed, so that neither
 * has to believe the other.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "bastiond/ssh/mux_priv.h"

#define FORWARDS_MAX 128u /* places where a target listens for one client */

/* Forwards of a target. */

static struct mux_forward *
find_forward(struct mux_asked *a, bool path, struct rd_str where, uint32_t port)
{
	for (uint32_t i = 0; i < a->n; i++) {
		struct mux_forward *f = &a->v[i];

		if (f->asked == 0 && f->path == path && f->port == port &&
		    f->where_len == where.len && memcmp(f->where, where.p, where.len) == 0)
			return f;
	}
	return NULL;
}

static void
drop_forward(struct mux_asked *a, struct mux_forward *f)
{
	free(f->where);
	*f = a->v[--a->n];
}

static int
add_forward(struct mux_asked *a, const struct mux_forward *f, struct rd_str where)
{
	if (a->n == FORWARDS_MAX)
		return ERR_LIMIT;
	if (a->n == a->size) {
		uint32_t size = a->size == 0 ? 4 : a->size * 2;
		struct mux_forward *v = reallocarray(a->v, size, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		a->v = v;
		a->size = size;
	}
	a->v[a->n] = *f;
	a->v[a->n].where = malloc(where.len + 1);
	if (a->v[a->n].where == NULL)
		return -ENOMEM;
	memcpy(a->v[a->n].where, where.p, where.len);
	a->v[a->n].where_len = where.len;
	a->n++;
	return 0;
}

void
mux_asked_free(struct mux_asked *a)
{
	while (a->n > 0)
		drop_forward(a, &a->v[a->n - 1]);
	free(a->v);
}

/* Types of channels. */

static bool
agent_asked(struct mux *m, struct rd_str fields)
{
	(void)fields;
	return m->asked.agent;
}

static bool
x11_asked(struct mux *m, struct rd_str fields)
{
	(void)fields;
	if (m->asked.x11)
		return true;
	if (m->asked.x11_once == 0)
		return false;
	m->asked.x11_once--;
	return true;
}

static bool
tcpip_asked(struct mux *m, struct rd_str fields)
{
	struct rd in = rd_over(fields.p, fields.len);
	struct rd_str where;
	uint32_t port;

	return rd_str(&in, &where) && rd_u32(&in, &port) &&
	       find_forward(&m->asked, false, where, port) != NULL;
}

static bool
path_asked(struct mux *m, struct rd_str fields)
{
	struct rd in = rd_over(fields.p, fields.len);
	struct rd_str where;

	return rd_str(&in, &where) && find_forward(&m->asked, true, where, 0) != NULL;
}

/* RFC 4254 sections 6.3.2 and 7.2; OpenSSH's PROTOCOL 2.2 and 2.4, draft-ietf-sshm-ssh-agent. */
static const struct {
	const char *name;
	const char *shape;				    /* see mux_shape() */
	bool back;					    /* the target opens it, */
	bool (*asked)(struct mux *m, struct rd_str fields); /* when it was asked for */
} types[] = {
	{ "direct-tcpip", "susu", false, NULL },
	{ "direct-streamlocal@openssh.com", "ssu", false, NULL },
	{ "forwarded-tcpip", "susu", true, tcpip_asked },
	{ "forwarded-streamlocal@openssh.com", "ss", true, path_asked },
	{ "auth-agent@openssh.com", "", true, agent_asked },
	{ "x11", "su", true, x11_asked },
};

bool
mux_type_allowed(struct mux *m, const struct mux_open *open, bool back, const char **ret_text)
{
	*ret_text = "this is not opened through the bastion";
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].back != back || !rd_is(open->type, types[i].name))
			continue;
		*ret_text = "malformed";
		if (!mux_shape(open->fields, types[i].shape))
			return false;
		*ret_text = "nobody has asked for this";
		return types[i].asked == NULL || types[i].asked(m, open->fields);
	}
	return false;
}

/* Requests. */

void
mux_asked_on_channel(struct mux *m, struct rd_str name, struct rd_str fields)
{
	if (rd_is(name, "auth-agent-req@openssh.com"))
		m->asked.agent = true;
	/* RFC 4254 section 6.3.1: the first field is "single connection". */
	else if (rd_is(name, "x11-req") && fields.len > 0 && fields.p[0] != 0)
		m->asked.x11_once++;
	else if (rd_is(name, "x11-req"))
		m->asked.x11 = true;
}

void
mux_asked_denied(struct mux *m, struct rd_str name)
{
	if (rd_is(name, "auth-agent-req@openssh.com"))
		m->asked.agent = false;
	else if (rd_is(name, "x11-req")) {
		m->asked.x11 = false;
		m->asked.x11_once = 0;
	}
}

static bool
is_path(struct rd_str name)
{
	return rd_is(name, "streamlocal-forward@openssh.com") ||
	       rd_is(name, "cancel-streamlocal-forward@openssh.com");
}

static bool
is_cancel(struct rd_str name)
{
	return rd_is(name, "cancel-tcpip-forward") ||
	       rd_is(name, "cancel-streamlocal-forward@openssh.com");
}

int
mux_asked_globally(
    struct mux *m, uint32_t number, struct rd_str name, bool want_reply, struct rd_str fields)
{
	struct rd in = rd_over(fields.p, fields.len);
	struct mux_forward *old, f = { .asked = want_reply ? number : 0, .path = is_path(name) };
	struct rd_str where;

	if (!rd_str(&in, &where) || (!f.path && !rd_u32(&in, &f.port)))
		return ERR_FORMAT;
	if (!is_cancel(name))
		return add_forward(&m->asked, &f, where);
	old = find_forward(&m->asked, f.path, where, f.port);
	if (old != NULL && want_reply)
		old->cancels = number;
	else if (old != NULL)
		drop_forward(&m->asked, old);
	return 0;
}

void
mux_asked_answered(struct mux *m, uint32_t number, bool success, struct rd_str fields)
{
	for (uint32_t i = 0; i < m->asked.n; i++) {
		struct mux_forward *f = &m->asked.v[i];
		struct rd in = rd_over(fields.p, fields.len);
		bool asks = f->asked == number;

		if (!asks && f->cancels != number)
			continue;
		if (asks == success) { /* it listens; or it goes on doing so */
			f->asked = 0;
			f->cancels = 0;
			/* RFC 4254 section 7.1: the port that was taken where 0 was asked for */
			if (asks && !f->path && f->port == 0 && !rd_u32(&in, &f->port))
				f->port = 0;
		} else
			drop_forward(&m->asked, f);
		return;
	}
}
