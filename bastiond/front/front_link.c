/* The leg, as the front sees it: a link that comes after the login, or a line that says why there is none. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define LINGER_NS                                                                                  \
	(10 * CLOCK_NS_PER_S) /* for a client that takes nothing to hear how its session ended */
#define SHELL_STATUS 254      /* what programs end with when there is no shell of the bastion */

void
front_end_all(struct front *f, const char *line)
{
	char text[1024];

	/* A line that is too long is cut. */
	if (f->reference[0] != '\0')
		(void)snprintf(
		    text, sizeof(text), "bastiond: %s; reference %s", line, f->reference);
	else
		(void)snprintf(text, sizeof(text), "bastiond: %s", line);
	f->end.waits_for_link = false;
	end_linger(&f->end, 255, text, LINGER_NS, false);
}

/* What the record says of the client, first. */
static int
note_client(struct front *f)
{
	struct buf *b = buf_new(2048);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_u8(b, LINK_NOTE_CLIENT)) == 0 &&
	    (r = buf_put_cstr(b, wire_peer_version(f->end.wire))) == 0 &&
	    (r = buf_put_cstr(b, wire_algorithms(f->end.wire))) == 0)
		r = end_send_frame(&f->end, LINK_NOTE, 0, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

void
front_link_expect(struct front *f)
{
	end_start_alive(&f->end, f->alive_ns, f->missed_max);
	f->end.forwards = f->host[0] != '\0';
	if (note_client(f) != 0)
		end_disconnect(&f->end, SSH_DISCONNECT_BY_APPLICATION, "out of memory");
}

int
front_link_shell(struct front *f)
{
	int r = ERR_PEER_GONE;

	if (f->asked_shell)
		return 0;
	if (f->broker != NULL)
		r = ipc_send(f->broker, BRK_FRONT_SHELL, 0, NULL, 0);
	f->asked_shell = r == 0;
	return r;
}

/* Sessions end with this line; the connection stays for jumps, as long as the client wants it. */
static void
end_sessions(struct front *f, uint32_t status, const char *line)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "bastiond: %s", line); /* cut is fine */
	f->end.waits_for_link = false;
	if (mux_finish(f->end.mux, status, text) != 0)
		end_disconnect(&f->end, SSH_DISCONNECT_BY_APPLICATION, "out of memory");
}

/* No leg (any more). Without a host, other connections may go through this one. */
static void
end_leg(struct front *f, uint32_t status, const char *line)
{
	if (f->host[0] != '\0')
		front_end_all(f, line);
	else if (!f->told_to_end)
		end_sessions(f, status, line);
}

/*
 * Policy tells the broker of a login before it tells us, each over an edge of its own: what the broker makes of it may be here
 * first. Only while policy is looking at a request, and once.
 */
static bool
is_early(const struct front *f)
{
	return !f->in && f->n_asks > 0 && f->early_link < 0 && f->early_refusal == NULL;
}

int
front_on_link(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;
	int r;

	if (is_early(f)) {
		f->early_link = msg->fds[0];
		msg->fds[0] = -1;
		return 0;
	}
	if (!f->in || (f->host[0] == '\0' && !f->asked_shell) || f->end.link != NULL ||
	    f->end.link_told)
		return f->end.peer_gone ? 0 : ERR_ORDER;
	if ((r = end_start_link(&f->end, msg->fds[0])) != 0)
		return r;
	msg->fds[0] = -1;
	return 0;
}

int
front_on_refused(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;
	struct rd in = rd_over(msg->data, msg->len);
	struct rd_str line;
	char text[512];

	if (!rd_str(&in, &line) || !rd_end(&in))
		return ERR_FORMAT;
	str_plain(text, sizeof(text), line.p, line.len);
	if (is_early(f))
		return (f->early_refusal = strdup(text)) != NULL ? 0 : -ENOMEM;
	if (!f->in || f->end.link != NULL)
		return ERR_ORDER;
	end_leg(f, SHELL_STATUS, text);
	return 0;
}

void
front_link_early(struct front *f)
{
	int r = ERR_ORDER;

	if (f->early_refusal != NULL)
		end_leg(f, SHELL_STATUS, f->early_refusal);
	if (f->early_link < 0)
		return;
	/* A login without a host has asked for no leg yet. */
	if (f->host[0] != '\0' && (r = end_start_link(&f->end, f->early_link)) == 0) {
		f->early_link = -1;
		return;
	}
	log_warn("front.link_failed reason=\"%s\"", err_str(r));
	end_stop(&f->end, LINK_END_INTERNAL, "the way to the host could not be opened");
}

/* What policy said of a request that the recorder holds. Nothing happens here for what it allows. */
static int
on_verdict(struct front *f, struct rd *in)
{
	struct rd_str asked, text;
	char line[512], whole[600];
	uint32_t channel;
	uint8_t verdict;

	if (!rd_u32(in, &channel) || !rd_u8(in, &verdict) || !rd_str(in, &asked) ||
	    !rd_str(in, &text))
		return ERR_FORMAT;
	if (verdict != POL_DENY)
		return 0;
	str_plain(line, sizeof(line), text.p, text.len);
	if (str_format(whole, sizeof(whole), "bastiond: %s", line) != 0)
		return ERR_LIMIT;
	return mux_deny(f->end.mux, channel, asked, whole);
}

/*
 * What the target says to those who log in, which clients write to their terminal. It is too late for a banner of SSH (RFC
 * 4252 section 5.4), and where there is no terminal, programs do not expect it.
 */
static int
on_banner(struct front *f, struct rd *in)
{
	struct rd_str text;
	char *copy;
	int r;

	if (!rd_str(in, &text) || !rd_end(in))
		return ERR_FORMAT;
	copy = malloc(text.len + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	r = mux_tell(f->end.mux, true, copy);
	free(copy);
	return r;
}

int
front_on_note(void *arg, struct rd *in)
{
	struct front *f = arg;
	uint8_t note;

	if (!rd_u8(in, &note))
		return ERR_FORMAT;
	if (f->end.peer_gone)
		return 0;
	if (note == LINK_NOTE_READY)
		return mux_ready(f->end.mux);
	if (note == LINK_NOTE_BANNER)
		return on_banner(f, in);
	return note == LINK_NOTE_VERDICT ? on_verdict(f, in) : 0;
}

void
front_on_link_over(void *arg, enum link_end code, const char *text)
{
	struct front *f = arg;

	if (text[0] == '\0')
		text = code == LINK_END_RECORDER ? "recording stopped: session ended"
						 : "the session ended";
	log_info("front.link_over code=%d text=\"%s\"", (int)code, text);
	end_leg(f, 255, text);
}
