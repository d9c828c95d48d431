/* Host key signatures. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_check.h"
#include "keys/keys_front.h"
#include "keys/keys_jump.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/log.h"

struct front {
	LIST_ENTRY(front) link;
	struct keys_fronts *all;
	uint32_t conn;
	struct ipc *edge;
	struct keys_key *host; /* a reference; with a target the root of its key */
	char *target;	       /* owned; NULL: host itself signs */
	bool known;	       /* it has had its first signature: policy has its session id */
	bool in;	       /* its person is logged in: what is signed are rekeys */
	uint64_t tokens, filled_at_ns;
	uint8_t hash[KEYS_SID_MAX]; /* waits for its turn, or for the login */
	size_t hash_len;	    /* 0: none waits */
	uint32_t hash_id;	    /* of the request that waits */
	struct loop_timer *turn;    /* made with the first request that has to wait */
};

struct keys_fronts {
	struct loop *loop;
	struct keys_policy *policy;
	struct keys_seen *seen;
	LIST_HEAD(, front) list;
	size_t n;
	uint64_t n_signed;
};

static void
front_free(struct front *f)
{
	LIST_REMOVE(f, link);
	f->all->n--;
	loop_timer_free(f->turn);
	ipc_free(f->edge);
	keys_key_unref(f->host);
	free(f->target);
	free(f);
}

static void front_turn(void *arg);

static int
front_alarm(struct front *f, const char *what)
{
	keys_policy_alarm(f->all->policy, true, f->conn, what);
	return ERR_DENIED;
}

static int
sign_for_target(const struct front *f, const uint8_t *hash, size_t len, uint8_t sig[64])
{
	struct keys_key *key = NULL;
	int r = keys_jump_key(f->host, f->target, &key);

	if (r == 0)
		r = keys_key_sign_raw(key, hash, len, sig);
	keys_key_unref(key);
	return r;
}

static int
front_sign(struct front *f, uint32_t id, const uint8_t *hash, size_t len)
{
	uint8_t sig[64];
	int r = f->target != NULL ? sign_for_target(f, hash, len, sig)
				  : keys_key_sign_raw(f->host, hash, len, sig);

	if (r != 0)
		return r;
	f->all->n_signed++;
	return ipc_send(f->edge, KEYS_SIGNED, id, sig, sizeof(sig));
}

static int
front_first(struct front *f, const struct ipc_msg *msg)
{
	int r;

	if (!keys_seen_add(f->all->seen, msg->data, msg->len))
		return front_alarm(f, "asked to sign a session id that was used before");
	if ((r = keys_policy_session_id(f->all->policy, f->conn, msg->data, msg->len)) != 0) {
		log_warn("keys.unsigned conn=%u reason=\"policy cannot be told: %s\"", f->conn,
		    err_str(r));
		return r;
	}
	f->known = true;
	return front_sign(f, msg->id, msg->data, msg->len);
}

/* Keep it for later. 0; -ENOMEM; -errno. */
static int
front_keep(struct front *f, uint32_t id, const uint8_t *hash, size_t len, uint64_t in_ns)
{
	int r;

	if (f->turn == NULL && (r = loop_timer_new(f->all->loop, front_turn, f, &f->turn)) != 0)
		return r;
	memcpy(f->hash, hash, len);
	f->hash_len = len;
	f->hash_id = id;
	loop_timer_arm(f->turn, in_ns);
	return 0;
}

static void
front_refill(struct front *f)
{
	uint64_t now = clock_boot_ns();
	uint64_t more = (now - f->filled_at_ns) / KEYS_REKEY_EVERY_NS;

	f->filled_at_ns += more * KEYS_REKEY_EVERY_NS;
	f->tokens += more;
	if (f->tokens > KEYS_REKEY_BURST)
		f->tokens = KEYS_REKEY_BURST;
}

/* One more than the rate allows waits, and the front with it. */
static int
front_rekey(struct front *f, uint32_t id, const uint8_t *hash, size_t len)
{
	uint64_t since;

	if (!keys_seen_add(f->all->seen, hash, len))
		return front_alarm(f, "asked to sign an exchange hash that was used before");
	front_refill(f);
	if (f->tokens > 0) {
		f->tokens--;
		return front_sign(f, id, hash, len);
	}
	log_info("keys.rekey_waits conn=%u", f->conn);
	since = clock_boot_ns() - f->filled_at_ns;
	return front_keep(
	    f, id, hash, len, since < KEYS_REKEY_EVERY_NS ? KEYS_REKEY_EVERY_NS - since : 0);
}

/* What waited is due: the turn of a rekey has come, or the word that there was a login has not. */
static void
front_turn(void *arg)
{
	struct front *f = arg;
	size_t len = f->hash_len;

	f->hash_len = 0;
	if (!f->in) {
		(void)front_alarm(f, "asked for a second signature before its login");
		front_free(f);
		return;
	}
	front_refill(f);
	if (f->tokens > 0)
		f->tokens--;
	if (front_sign(f, f->hash_id, f->hash, len) != 0)
		front_free(f);
}

static int
on_sign(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;

	if (!keys_check_hash_len(msg->len))
		return front_alarm(f, "asked to sign what is not an exchange hash");
	if (f->hash_len > 0)
		return front_alarm(f, "asked for a signature while another one was due");
	if (f->in)
		return front_rekey(f, msg->id, msg->data, msg->len);
	return f->known ? front_keep(f, msg->id, msg->data, msg->len, KEYS_LOGIN_WAIT_NS)
			: front_first(f, msg);
}

static const struct ipc_rule rules[] = {
	{ KEYS_SIGN, "sign", 32, KEYS_SID_MAX, 0, IPC_ANY_STATE, on_sign },
};

static void
on_gone(void *arg, int err)
{
	struct front *f = arg;

	/* ERR_DENIED had its own alarm; what is left are messages that no honest front sends. */
	if (err == ERR_FORMAT || err == ERR_ORDER || err == ERR_VERSION)
		keys_policy_alarm(
		    f->all->policy, true, f->conn, "sent what is no request for a signature");
	front_free(f);
}

struct keys_fronts *
keys_fronts_new(struct loop *l, struct keys_policy *policy, struct keys_seen *seen)
{
	struct keys_fronts *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->loop = l;
	f->policy = policy;
	f->seen = seen;
	LIST_INIT(&f->list);
	return f;
}

void
keys_fronts_free(struct keys_fronts *f)
{
	struct front *front, *next;

	if (f == NULL)
		return;
	for (front = LIST_FIRST(&f->list); front != NULL; front = next) {
		next = LIST_NEXT(front, link);
		front_free(front);
	}
	free(f);
}

static struct front *
front_find(const struct keys_fronts *f, uint32_t conn)
{
	struct front *front;

	LIST_FOREACH (front, &f->list, link)
		if (front->conn == conn)
			return front;
	return NULL;
}

int
keys_fronts_add(struct keys_fronts *f, uint32_t conn, int fd, bool in, struct keys_key *host,
    const char *target)
{
	struct ipc_conf conf = {
		.name = "keys-front",
		.queue_max = 4,
		.rules = rules,
		.n_rules = sizeof(rules) / sizeof(rules[0]),
		.gone = on_gone,
	};
	struct front *front;
	int r;

	if (f->n >= KEYS_FRONTS_MAX)
		return ERR_LIMIT;
	if (front_find(f, conn) != NULL)
		return ERR_EXISTS;
	front = calloc(1, sizeof(*front));
	if (front == NULL)
		return -ENOMEM;
	conf.arg = front;
	if (target != NULL && (front->target = strdup(target)) == NULL) {
		free(front);
		return -ENOMEM;
	}
	if ((r = ipc_new(f->loop, fd, &conf, &front->edge)) != 0) {
		free(front->target);
		free(front);
		return r;
	}
	front->in = in;
	front->all = f;
	front->conn = conn;
	front->host = keys_key_ref(host);
	front->tokens = KEYS_REKEY_BURST;
	front->filled_at_ns = clock_boot_ns();
	LIST_INSERT_HEAD(&f->list, front, link);
	f->n++;
	return 0;
}

void
keys_fronts_in(struct keys_fronts *f, uint32_t conn)
{
	struct front *front = front_find(f, conn);
	uint8_t hash[KEYS_SID_MAX];
	size_t len;

	if (front == NULL || front->in)
		return;
	front->in = true;
	if ((len = front->hash_len) == 0)
		return;
	memcpy(hash, front->hash, len);
	front->hash_len = 0;
	loop_timer_disarm(front->turn);
	if (front_rekey(front, front->hash_id, hash, len) != 0)
		front_free(front);
}

void
keys_fronts_gone(struct keys_fronts *f, uint32_t conn)
{
	struct front *front = front_find(f, conn);

	if (front != NULL)
		front_free(front);
}

size_t
keys_fronts_n(const struct keys_fronts *f)
{
	return f->n;
}

uint64_t
keys_fronts_signed(const struct keys_fronts *f)
{
	return f->n_signed;
}
