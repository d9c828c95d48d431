/* Events of the broker's own on their way into the record: kept until the recorder has confirmed them. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/wiring_priv.h"
#include "lib/log.h"
#include "recorder/recorder_proto.h"

static void
audit_send(struct wiring *w, struct audit_event *e)
{
	/* On failure the recorder is ending: the next one gets it. */
	e->sent = ipc_send(w->recorder.edge, REC_AUDIT, e->id, e->text, e->len) == 0;
}

/* Out of the queue, and whoever waits hears it. */
static void
audit_drop(struct wiring *w, struct audit_event *e, bool ok)
{
	wiring_durable_fn durable = e->durable;
	void *arg = e->arg;

	TAILQ_REMOVE(&w->audit, e, link);
	w->n_audit--;
	free(e);
	if (durable != NULL)
		durable(arg, ok);
}

/* One event more; event is taken. *ret_e: owned by the queue. 0; negative. */
static int
audit_queue(struct wiring *w, struct json *event, struct audit_event **ret_e)
{
	struct audit_event *e = NULL;
	char *text = NULL;
	size_t len;
	int r = ERR_LIMIT;

	if (w->n_audit >= WIRING_AUDIT_MAX ||
	    (r = json_text(event, false, REC_AUDIT_MAX, &text, &len)) != 0)
		goto out;
	r = -ENOMEM;
	if ((e = calloc(1, sizeof(*e) + len + 1)) == NULL)
		goto out;
	memcpy(e->text, text, len);
	e->len = len;
	e->id = ++w->last_audit;
	TAILQ_INSERT_TAIL(&w->audit, e, link);
	w->n_audit++;
	*ret_e = e;
	r = 0;
out:
	free(text);
	json_free(event);
	return r;
}

void
wiring_audit(struct wiring *w, struct json *event)
{
	struct audit_event *e;
	int r = audit_queue(w, event, &e);

	if (r != 0) {
		if (!w->audit_lost)
			log_err("audit.lost reason=\"%s\" next=\"further ones are counted lost "
				"until the recorder takes events again\"",
			    err_str(r));
		w->audit_lost = true;
		return;
	}
	if (service_is_ready(&w->recorder))
		audit_send(w, e);
}

int
wiring_audit_wait(struct wiring *w, struct json *event, wiring_durable_fn durable, void *arg)
{
	struct audit_event *e;
	int r;

	if (!service_is_ready(&w->recorder)) {
		json_free(event);
		return ERR_ORDER;
	}
	if ((r = audit_queue(w, event, &e)) != 0)
		return r;
	e->durable = durable;
	e->arg = arg;
	audit_send(w, e);
	return 0;
}

void
wiring_audit_forget(struct wiring *w, void *arg)
{
	struct audit_event *e;

	TAILQ_FOREACH (e, &w->audit, link)
		if (e->durable != NULL && e->arg == arg)
			e->durable = NULL;
}

void
audit_done(struct wiring *w, uint32_t id)
{
	struct audit_event *e;

	TAILQ_FOREACH (e, &w->audit, link)
		if (e->id == id && e->sent) {
			audit_drop(w, e, true);
			return;
		}
}

void
audit_recorder_ready(struct wiring *w)
{
	struct audit_event *e;

	w->audit_lost = false;
	TAILQ_FOREACH (e, &w->audit, link)
		audit_send(w, e);
}

/* Whether what was sent is on disk is not known: those who wait are told so, the rest is sent again. */
void
audit_recorder_down(struct wiring *w)
{
	struct audit_event *e = TAILQ_FIRST(&w->audit);

	while (e != NULL) {
		struct audit_event *next = TAILQ_NEXT(e, link);

		e->sent = false;
		if (e->durable != NULL)
			audit_drop(w, e, false);
		e = next;
	}
}

void
audit_free(struct wiring *w)
{
	struct audit_event *e;

	while ((e = TAILQ_FIRST(&w->audit)) != NULL) {
		TAILQ_REMOVE(&w->audit, e, link);
		free(e);
	}
}
