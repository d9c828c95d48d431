/*
 * What running sessions were opened with: certificates expire, CAs and keys leave the configuration, lists of revoked ones grow.
 * Either is an event in the record; whether the session ends is the policy's word (certificates: on_expiry, on_revoked).
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "policy/serve_int.h"

#define RECHECK_NS (60ull * 1000000000u) /* at the latest, in case the wall clock is set */
#define END_LINE_SIZE 256u

typedef void (*leg_fn)(struct serve *s, struct leg *leg);

static void
each_leg(struct serve *s, leg_fn fn)
{
	struct serve_leg *l;

	for (size_t i = 0; i < SERVE_BUCKETS; i++)
		LIST_FOREACH (l, &s->legs[i], link)
			fn(s, l->leg);
}

/* The event, and with close the end. */
static void
leg_invalid(struct serve *s, struct leg *leg, const char *event, const char *reason, bool close,
    const char *line)
{
	struct buf *b = close && !leg->ending ? buf_new(END_LINE_SIZE) : NULL;
	char *text = NULL;
	size_t len = 0;
	int r = audit_leg_pair(leg, event, "reason", reason, "session", close ? "closed" : "kept",
	    clock_wall_ns(), &text, &len);

	log_notice("%s leg=%u ref=%s identity=%s reason=%s session=%s", event, leg->id, leg->ref,
	    leg->identity, reason, close ? "closed" : "kept");
	serve_audit(s, r, text, len);
	if (!close || leg->ending)
		return;
	if (b == NULL || buf_put_cstr(b, line) != 0) {
		log_err("policy.end_failed leg=%u reason=\"%s\"", leg->id, err_str(-ENOMEM));
	} else {
		serve_tell(s, POL_END_LEG, leg->id, b);
		leg->ending = true;
	}
	buf_free(b);
}

/* Said once; once more when a new policy ends what the old one kept. */
static void
check_time(struct serve *s, struct leg *leg)
{
	bool close = s->set != NULL && model_closes_expired(s->set->model);

	if (leg->valid_before_s == 0 || serve_newest_s(s) < leg->valid_before_s ||
	    (leg->expired && (leg->ending || !close)))
		return;
	leg->expired = true;
	leg_invalid(s, leg, "certificate.expired", "expired", close,
	    "the certificate that you logged in with has expired");
}

/* Until the first of them expires; RECHECK_NS at most. UINT64_MAX: there is none. */
static uint64_t
next_check_ns(struct serve *s)
{
	uint64_t now_s = serve_newest_s(s), in_ns = UINT64_MAX;
	struct serve_leg *l;

	for (size_t i = 0; i < SERVE_BUCKETS; i++)
		LIST_FOREACH (l, &s->legs[i], link) {
			uint64_t left_s;

			if (l->leg->expired || l->leg->valid_before_s == 0)
				continue;
			left_s =
			    l->leg->valid_before_s > now_s ? l->leg->valid_before_s - now_s : 0;
			if (left_s >= RECHECK_NS / CLOCK_NS_PER_S)
				in_ns = in_ns < RECHECK_NS ? in_ns : RECHECK_NS;
			else if (left_s * CLOCK_NS_PER_S < in_ns)
				in_ns = left_s * CLOCK_NS_PER_S;
		}
	return in_ns;
}

void
serve_valid_arm(struct serve *s)
{
	uint64_t in_ns = next_check_ns(s);

	if (in_ns != UINT64_MAX)
		loop_timer_arm(s->valid_timer, in_ns);
	else
		loop_timer_disarm(s->valid_timer);
}

static void
on_valid_timer(void *arg)
{
	each_leg(arg, check_time);
	serve_valid_arm(arg);
}

/* By which a session is judged: now; of one whose certificate has expired, the last moment before, so that expiry hides nothing else. */
static struct auth_scene
scene_of(struct serve *s, const struct leg *leg)
{
	struct auth_scene scene = { .set = s->set,
		.source = leg->source,
		.now_ns = clock_wall_ns(),
		.newest_s = serve_newest_s(s) };

	if (leg->valid_before_s != 0 && scene.newest_s >= leg->valid_before_s) {
		scene.newest_s = leg->valid_before_s - 1;
		scene.now_ns = scene.newest_s * CLOCK_NS_PER_S;
	}
	return scene;
}

/* With the new set: would what opened this session open it now? Of what has expired nothing new is said. */
static void
check_trust(struct serve *s, struct leg *leg)
{
	const struct auth_scene scene = scene_of(s, leg);
	bool close = model_closes_revoked(s->set->model);
	struct proof p;
	int r = proof_read(&p, &scene, &leg->pass, NULL);

	if (r == 0) {
		leg->untrusted = false;
	} else if (r != ERR_DENIED) {
		log_err("policy.recheck_failed leg=%u reason=\"%s\"", leg->id, err_str(r));
	} else if (strcmp(p.reason, "certificate-time") != 0 &&
		   (!leg->untrusted || (close && !leg->ending))) {
		leg->untrusted = true;
		leg_invalid(s, leg, "credential.revoked", p.reason, close,
		    "what you logged in with is no longer accepted");
	}
	proof_done(&p);
}

void
serve_valid_reload(struct serve *s)
{
	each_leg(s, check_trust);
	each_leg(s, check_time);
}

int
serve_valid_init(struct serve *s)
{
	return loop_timer_new(s->loop, on_valid_timer, s, &s->valid_timer);
}
