/*
 * Whether the recorder still answers. One that stands still, or whose disk does not come back, holds up every session by
 * its mere silence; after stall_timeout they end and it is killed.
 *
 * Silence is counted in beats, not in time: a machine that was suspended, or a broker that was stopped, misses one.
 */
#include "config.h"

#include <signal.h>

#include "bastiond/broker/wiring_priv.h"
#include "lib/json.h"
#include "lib/log.h"

#define HEART_BEATS 8u /* within stall_timeout */
#define HEART_SLOW 4u  /* missed, until nobody new gets in */

static void
heart_arm(struct wiring *w)
{
	loop_timer_arm(w->heart_timer, w->settings->stall_timeout_ns / HEART_BEATS);
}

static void
heart_stopped(struct wiring *w)
{
	struct json *e = json_event("recorder.stalled");

	log_err("recorder.stalled for_ms=%llu next=\"all sessions end, and it is killed\"",
	    (unsigned long long)(w->settings->stall_timeout_ns / CLOCK_NS_PER_MS));
	json_put_u64(e, "for_ms", w->settings->stall_timeout_ns / CLOCK_NS_PER_MS);
	json_put_u64(e, "connections", w->n_conns);
	conn_close_all(w, "The session was ended: the bastion cannot record it, its recorder does "
			  "not answer");
	process_kill(w->recorder.process, SIGKILL);
	wiring_audit(w, e);
}

static void
heart_on_timer(void *arg)
{
	struct wiring *w = arg;

	if (!service_is_ready(&w->recorder))
		return;
	w->heart_missed++;
	if (w->heart_missed == HEART_SLOW)
		log_warn("recorder.silent means=\"nobody new gets in until it answers\"");
	if (w->heart_missed > HEART_BEATS) {
		heart_stopped(w);
		return;
	}
	if (w->heart_missed == 1 && ipc_send(w->recorder.edge, REC_PING, 0, NULL, 0) != 0)
		log_debug("recorder.unheard"); /* its edge ends by itself */
	heart_arm(w);
}

int
heart_init(struct wiring *w)
{
	return loop_timer_new(w->conf.loop, heart_on_timer, w, &w->heart_timer);
}

void
heart_begin(struct wiring *w)
{
	w->heart_missed = 0;
	heart_arm(w);
}

void
heart_beat(struct wiring *w)
{
	if (w->heart_missed >= HEART_SLOW)
		log_notice("recorder.answers");
	w->heart_missed = 0;
}

void
heart_end(struct wiring *w)
{
	w->heart_missed = 0;
	loop_timer_disarm(w->heart_timer);
}

bool
heart_is_slow(const struct wiring *w)
{
	return w->heart_missed >= HEART_SLOW;
}
