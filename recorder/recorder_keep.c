/* Orders of auditors, retention, slices of erasures, slow readers. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/recorder.h"

#define DONE_TEXT_MAX 300u
#define CODE_YES 0
#define CODE_NO 1
#define CODE_UNSURE 3

static void
say_done(struct recorder *rec, uint32_t id, uint8_t code, const char *text)
{
	struct buf *b = buf_new(DONE_TEXT_MAX + 8);

	if (b != NULL && buf_put_u8(b, code) == 0 && buf_put_cstr(b, text) == 0)
		recorder_tell_now(rec, REC_DONE, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

/* The same, once the next commit has returned. */
static void
say_done_durable(struct recorder *rec, uint32_t id, const char *text)
{
	struct buf *b = buf_new(DONE_TEXT_MAX + 8);

	if (b != NULL && buf_put_u8(b, CODE_YES) == 0 && buf_put_cstr(b, text) == 0)
		recorder_tell(rec, REC_DONE, id, buf_ptr(b), buf_len(b));
	buf_free(b);
	recorder_wake(rec);
}

static void
erase_done(void *arg, uint32_t id)
{
	say_done(arg, id, CODE_YES,
	    "erased: its key is destroyed, its blocks are being removed; its digests stay in the "
	    "log");
}

static void
keep_go_on(struct recorder *rec)
{
	if (eraser_is_busy(rec->keep.eraser) && !rec->stopping &&
	    !loop_timer_armed(rec->keep.timer))
		loop_timer_arm(rec->keep.timer, KEEP_STEP_NS);
}

void
keep_committed(struct recorder *rec)
{
	int r = eraser_committed(rec->keep.eraser, erase_done, rec);

	if (r != 0)
		recorder_fail(rec, r, "destroying the key of an erased session");
	else
		keep_go_on(rec);
}

static void
on_keep_timer(void *arg)
{
	struct recorder *rec = arg;
	int r;

	if (rec->failed || rec->stopping)
		return;
	if ((r = eraser_step(rec->keep.eraser)) != 0)
		recorder_fail(rec, r, "removing what was erased");
	else if (chain_is_dirty(rec->chain))
		recorder_wake(rec);
	keep_go_on(rec);
}

int
keep_init(struct recorder *rec)
{
	struct keep *k = &rec->keep;
	int r;

	k->reader_ns = KEEP_READER_NS;
	if ((r = loop_timer_new(rec->loop, on_keep_timer, rec, &k->timer)) != 0 ||
	    (r = eraser_new(rec->chain, &k->eraser)) != 0 ||
	    (r = retain_init(&k->retain, rec->chain, k->eraser)) != 0)
		return r;
	/* Leaves that an earlier recorder committed. */
	keep_committed(rec);
	return 0;
}

void
keep_done(struct recorder *rec)
{
	eraser_free(rec->keep.eraser);
	loop_timer_free(rec->keep.timer);
}

void
keep_tick(struct recorder *rec)
{
	int r;

	if (rec->stopping)
		return;
	if ((r = retain_step(&rec->keep.retain)) != 0)
		recorder_fail(rec, r, "removing old recordings");
	else if (chain_is_dirty(rec->chain))
		recorder_wake(rec);
}

static void
tell_slow_reader(struct recorder *rec, uint64_t held_ns)
{
	const struct store_reader *s = &rec->keep.slowest;
	struct buf *b = buf_new(16);

	log_warn("recorder.reader_behind pid=%d transactions=%llu for_s=%llu means=\"the store "
		 "grows meanwhile\" next=\"bastiond ends it, if it is one of its own\"",
	    s->pid, (unsigned long long)s->lag, (unsigned long long)(held_ns / CLOCK_NS_PER_S));
	if (b != NULL && buf_put_u32(b, (uint32_t)s->pid) == 0 && buf_put_u64(b, held_ns) == 0)
		recorder_tell_now(rec, REC_SLOW_READER, 0, buf_ptr(b), buf_len(b));
	buf_free(b);
}

void
keep_check_readers(struct recorder *rec)
{
	struct keep *k = &rec->keep;
	uint64_t now = clock_boot_ns();
	struct store_reader s;
	int r = store_check_readers(chain_store(rec->chain), &s);

	if (r != 0) {
		log_warn("recorder.readers_unknown reason=\"%s\"", err_str(r));
		return;
	}
	if (s.n_cleared > 0)
		log_info("recorder.readers_cleared n=%d", s.n_cleared);
	if (s.lag == 0 || s.pid != k->slowest.pid || s.txn != k->slowest.txn)
		k->slowest_since_ns = now;
	k->slowest = s;
	if (now - k->slowest_since_ns >= k->reader_ns)
		tell_slow_reader(rec, now - k->slowest_since_ns);
}

/* Why an order cannot be carried out, for the one who gave it. */
static const char *
why_not(int err, bool hold)
{
	static const struct {
		int err;
		const char *erase, *hold;
	} table[] = {
		{ ERR_NOT_FOUND, "no such session: see bastionctl sessions list",
		    "no such session: see bastionctl sessions list" },
		{ ERR_ORDER,
		    "it runs, so it cannot be erased: end it with bastionctl sessions "
		    "kill",
		    "it cannot be held now" },
		{ ERR_DENIED,
		    "it is held, so it cannot be erased: bastionctl sessions release lets it go",
		    "it cannot be held" },
		{ ERR_ERASED, "it was erased before: see bastionctl sessions show",
		    "it was erased before: see bastionctl sessions show" },
		{ ERR_LIMIT, "too many are being erased: try again in a minute",
		    "the reason is too long" },
		{ ERR_FORMAT, "not a session id", "not a session id" },
		{ ERR_CHAIN,
		    "its record or its key's was changed, and erasing it could destroy another "
		    "session's key: run bastionctl verify, and put the store back from a backup",
		    "its record was changed: run bastionctl verify" },
		{ ERR_EXISTS, "it is so already", "it is so already" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == err)
			return hold ? table[i].hold : table[i].erase;
	return NULL;
}

struct order_text {
	char sid[2 * REC_SID_LEN + 1], by[128], why[REC_WHY_MAX + 1];
	uint8_t held;
};

/* 0; ERR_FORMAT: the message itself is wrong. *ret_err: of what it says. */
static int
order_get(const struct ipc_msg *msg, bool hold, struct order_text *t, struct erase_order *ret_order,
    int *ret_err)
{
	struct buf *b = buf_view(msg->data, msg->len);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, t->sid, sizeof(t->sid))) == 0 &&
	    (!hold || (r = buf_get_u8(b, &t->held)) == 0) &&
	    (r = buf_get_cstr(b, t->by, sizeof(t->by))) == 0 &&
	    (r = buf_get_cstr(b, t->why, sizeof(t->why))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0)
		return r;
	*ret_order = (struct erase_order){ .by = t->by, .why = t->why, .id = msg->id };
	*ret_err = strlen(t->sid) == 2 * REC_SID_LEN
		       ? str_unhex(t->sid, ret_order->sid, REC_SID_LEN)
		       : ERR_FORMAT;
	return 0;
}

/* r: how it went. False: it was said, or the recorder has failed. */
static bool
order_went(struct recorder *rec, const struct ipc_msg *msg, int r, bool hold)
{
	const char *text;

	if (r == 0)
		return true;
	if (chain_failed(rec->chain) != 0)
		recorder_fail(rec, r, "writing what is held or erased");
	text = why_not(r, hold);
	say_done(
	    rec, msg->id, text != NULL ? CODE_NO : CODE_UNSURE, text != NULL ? text : err_str(r));
	return false;
}

static bool
order_refused(struct recorder *rec, const struct ipc_msg *msg)
{
	if (!rec->failed && !rec->stopping)
		return false;
	say_done(rec, msg->id, CODE_UNSURE, "the recorder is ending: try again");
	return true;
}

int
keep_on_erase(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	struct erase_order order;
	struct order_text text;
	int r, err;

	if ((r = order_get(msg, false, &text, &order, &err)) != 0 || order_refused(rec, msg))
		return r;
	if (err == 0)
		err = eraser_erase(rec->keep.eraser, &order, MLOG_ERASE_ASKED);
	if (order_went(rec, msg, err, false)) {
		log_notice("recorder.erase sid=%s by=\"%s\"", text.sid, text.by);
		recorder_wake(rec);
	}
	return 0;
}

int
keep_on_hold(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	struct erase_order order;
	struct order_text text;
	int r, err;

	if ((r = order_get(msg, true, &text, &order, &err)) != 0 || order_refused(rec, msg))
		return r;
	if (text.held > 1)
		return ERR_FORMAT;
	if (err == 0)
		err = eraser_hold(rec->keep.eraser, &order, text.held == 1);
	if (!order_went(rec, msg, err, true))
		return 0;
	log_notice(
	    "recorder.%s sid=%s by=\"%s\"", text.held ? "hold" : "release", text.sid, text.by);
	if (!text.held)
		retain_again(&rec->keep.retain);
	say_done_durable(rec, msg->id,
	    text.held ? "held: neither an order nor retention erases it until it is released"
		      : "released: it may be erased");
	return 0;
}

int
keep_on_keep(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	struct retain_conf conf;
	uint64_t reader_ns;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u64(b, &conf.age_ns)) == 0 && (r = buf_get_u64(b, &conf.space)) == 0 &&
	    (r = buf_get_u64(b, &reader_ns)) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0)
		return r;
	rec->keep.reader_ns = reader_ns;
	if (conf.age_ns != rec->keep.retain.conf.age_ns ||
	    conf.space != rec->keep.retain.conf.space)
		retain_set(&rec->keep.retain, &conf);
	return 0;
}

int
keep_on_ping(void *arg, struct ipc_msg *msg)
{
	recorder_tell_now(arg, REC_PONG, msg->id, NULL, 0);
	return 0;
}

void
keep_status(const struct recorder *rec, struct json *j)
{
	const struct retain *t = &rec->keep.retain;
	struct json *retain = json_map();
	struct eraser_stats e;

	eraser_stats(rec->keep.eraser, &e);
	json_put_u64(j, "erased", e.n_erased);
	json_put_u64(j, "erasing", e.n_waiting);
	json_put_u64(j, "erased_bytes", e.bytes_removed);
	json_put_u64(retain, "for_s", t->conf.age_ns / CLOCK_NS_PER_S);
	json_put_u64(retain, "space", t->conf.space);
	json_put_u64(retain, "removed_for_age", t->total_age);
	json_put_u64(retain, "removed_for_space", t->total_space);
	json_put_bool(retain, "short", t->is_short);
	json_put(j, "retain", retain);
}
