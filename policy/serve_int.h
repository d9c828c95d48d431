/*
 * The server from inside, for its files: serve.c (broker), serve_conn.c (fronts), serve_auth.c (PAM conversations), serve_jump.c (ssh
 * -J), serve_leg.c (recorder, vault), serve_valid.c (what they were opened with), serve_shell.c (the bastion's own shell).
 */
#ifndef BASTION_SERVE_INT_H
#define BASTION_SERVE_INT_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/ipc.h"
#include "policy/audit.h"
#include "policy/auth.h"
#include "policy/leg.h"
#include "policy/serve.h"
#include "policy/set.h"

#define SERVE_BUCKETS 1024u
#define SERVE_SID_MAX 64u		       /* bytes of a session id */
#define SERVE_EARLY_MAX 1024u		       /* session ids that came before their connection */
#define SERVE_AUDIT_MAX 4096u		       /* events kept while there is no recorder */
#define SERVE_SID_WAIT_NS (5ull * 1000000000u) /* for a session id that the vault owes */
#define SERVE_DELAY_MIN_NS 5000000u /* of a failure, before the part that depends on the name */
#define SERVE_DELAY_MAX_NS (5ull * 1000000000u)

/* States of a front's edge. */
enum serve_front_state { SERVE_FRONT_IDLE, SERVE_FRONT_BUSY, SERVE_FRONT_OVER };

/* Of a PAM conversation. */
enum serve_pam_state {
	SERVE_PAM_IDLE,	  /* none */
	SERVE_PAM_WANTED, /* the broker was asked for one; it may talk already */
	SERVE_PAM_OVER,	  /* it came to an end, but its process is not known to be dead */
	SERVE_PAM_WAITS	  /* the same, and another one is wanted as soon as it is */
};

/* For one who is asked; one at a time. */
struct serve_pam {
	struct serve *s;
	uint32_t conn, via; /* as in POL_WANT_AUTH */
	uint32_t attempt;   /* the last one */
	enum serve_pam_state state;
	struct ipc *edge; /* NULL: none */
	char user[NAMES_FIELD_SIZE], target[2 * NAMES_FIELD_SIZE], proved[NAMES_FIELD_SIZE];
	void (*done)(struct serve_pam *p, const struct auth_pam *pam); /* once a start */
};

struct serve_conn {
	LIST_ENTRY(serve_conn) link;
	struct serve *s;
	uint32_t id;
	struct ipc *front; /* NULL: gone */
	struct net_addr source;
	char source_text[LEG_SOURCE_SIZE], local_text[LEG_SOURCE_SIZE], ref[LEG_REF_SIZE];
	uint8_t sid[SERVE_SID_MAX];
	size_t sid_len; /* 0: not known yet */
	uint16_t source_port;
	struct auth auth;
	struct serve_pam pam; /* for its front */
	bool abandonable;     /* the last request was one for it, and was not abandoned yet */
	uint32_t last_attempt;
	struct pass pass; /* of who is in without a host; of a jump, what the outer one had */
	uint32_t through; /* a jump: the outer connection; 0: it is none */
	char through_ref[LEG_REF_SIZE];
	bool refused;	  /* a jump that comes to nothing, as soon as the time is over */
	uint8_t *waiting; /* a request that waits for the session id; owned */
	size_t waiting_len;
	struct buf *reply; /* an answer that is due later; owned */
	bool reply_ends;   /* and after which nothing may come */
	uint64_t arrived_ns;
	struct loop_timer *timer;
};

struct serve_leg {
	LIST_ENTRY(serve_leg) link;
	struct leg *leg; /* owned */
};

struct serve_early {
	uint32_t conn; /* 0: empty */
	uint8_t sid[SERVE_SID_MAX];
	size_t len;
};

struct serve_event {
	STAILQ_ENTRY(serve_event) link;
	size_t len;
	char text[];
};

struct serve_shell;

struct serve {
	struct loop *loop;
	const struct zones *zones;
	struct ipc *broker, *keys, *recorder; /* NULL: not there */
	struct buf *asked;		      /* a question that came in part; NULL: none */
	uint32_t asked_leg;		      /* which it is about */
	struct set *set;		      /* in force; NULL: nothing yet */
	struct set *next;		      /* being loaded */
	bool next_bad;			      /* load_err says why */
	char load_err[SET_ERR_SIZE];
	char summary[160];
	uint64_t loaded_at_ns;
	uint32_t next_leg;
	LIST_HEAD(serve_conns, serve_conn) conns[SERVE_BUCKETS];
	LIST_HEAD(serve_legs, serve_leg) legs[SERVE_BUCKETS];
	LIST_HEAD(, serve_shell) shells;
	size_t n_conns, n_legs;
	struct serve_early early[SERVE_EARLY_MAX];
	size_t next_early;
	STAILQ_HEAD(, serve_event) events;
	size_t n_events, n_lost;
	uint8_t secret[32]; /* of the delays */
	uint64_t wall0_ns, boot0_ns;
	uint64_t mark_s; /* the latest moment that the broker knows of, seconds since 1970 */
	bool clock_warned;
	struct loop_timer *valid_timer;
	uint64_t n_allowed, n_denied, n_asks, n_asks_denied;
};

/* The moment by both clocks: what expires must not come back when the wall clock does. Seconds since 1970. */
uint64_t serve_newest_s(struct serve *s);
/* Random bytes as text, to find a login's events by. dst: LEG_REF_SIZE bytes. */
void serve_make_ref(char *dst);

/* Hand an event to the recorder, or keep it until there is one. text: taken; NULL (out of memory) counts as lost. */
void serve_event(struct serve *s, char *text, size_t len);
/* The same with the result of an audit function. */
void serve_audit(struct serve *s, int r, char *text, size_t len);
/* A recorder came: give it what was kept. */
void serve_events_flush(struct serve *s);
void serve_events_free(struct serve *s);

/* Tell the broker; its edge going away ends the process, so nobody has to look at errors. */
void serve_tell(struct serve *s, uint16_t type, uint32_t id, const struct buf *b);
/* POL_FAILED. failure: enum pol_failure; 0 is nothing. */
void serve_charge(struct serve *s, uint32_t conn, unsigned failure);

/* serve_conn.c */
int serve_conn_add(struct serve *s, struct ipc_msg *msg) MUST_CHECK;
void serve_conn_gone(struct serve *s, uint32_t id);
struct serve_conn *serve_conn_find(struct serve *s, uint32_t id);
/* Something about it, for the record and the log. reason: a word, or what the vault says; detail may be NULL. */
void serve_conn_event(
    struct serve_conn *c, const char *event, const char *reason, const char *detail);
/* Its front lied: for the record, and the broker charges its source and ends it. reason: a word. */
void serve_conn_alarm(struct serve_conn *c, const char *reason, const char *detail);
/* The vault named the session id of a connection, known or not yet. */
void serve_conn_session_id(struct serve *s, uint32_t id, const uint8_t *sid, size_t len);
void serve_conns_free(struct serve *s);
/*
 * A row whose source and pass are its maker's to fill; takes the message's descriptor. *ret_conn: in the table. 0; ERR_EXISTS;
 * -ENOMEM; -errno.
 */
int serve_conn_new(struct serve *s, struct ipc_msg *msg, struct serve_conn **ret_conn) MUST_CHECK;
void serve_conn_remove(struct serve *s, struct serve_conn *c);
/* Where events about it come from. Borrows from it. */
struct audit_conn serve_conn_where(const struct serve_conn *c);
/* What requests on it are judged by at this moment. Borrows from it. */
struct auth_scene serve_conn_scene(const struct serve_conn *c);
/* Nanoseconds until a failure may be answered that came at arrived_ns; auth.pin is what it was about. */
uint64_t serve_failure_delay(const struct serve_conn *c);

/* serve_auth.c */
/* p: zeroed. done: called when a conversation came to an end, not when it was stopped; it may start another. */
void serve_pam_init(struct serve_pam *p, struct serve *s, uint32_t conn, uint32_t via,
    void (*done)(struct serve_pam *p, const struct auth_pam *pam));
/* user: PAM is asked about; target: for its prompts; proved: an identity that is known already, "" none. 0; ERR_LIMIT. */
int serve_pam_start(struct serve_pam *p, struct serve_conn *c, const char *user, const char *target,
    const char *proved) MUST_CHECK;
/* Not wanted any more. */
void serve_pam_stop(struct serve_pam *p);
/* The connection, or the shell, is going: so does what the broker started for it. */
void serve_pam_free(struct serve_pam *p);
/* POL_AUTH_EDGE, POL_AUTH_GONE. 0; ERR_FORMAT; -ENOMEM. */
int serve_auth_edge(struct serve *s, struct ipc_msg *msg) MUST_CHECK;
int serve_auth_gone(struct serve *s, const struct ipc_msg *msg) MUST_CHECK;

/* serve_jump.c */
int serve_jump(struct serve *s, struct ipc_msg *msg) MUST_CHECK;
/* The time of a refusal is over: say it and forget the row. */
void serve_jump_refused(struct serve_conn *c);

/* serve_shell.c */
/* POL_WANT_SHELL for this connection. 0; -ENOMEM. */
int serve_want_shell(struct serve *s, uint32_t id) MUST_CHECK;
int serve_shell_edge(struct serve *s, uint32_t leg, int fd) MUST_CHECK; /* fd: taken on success */
void serve_shell_gone(struct serve *s, uint32_t leg);
void serve_shells_free(struct serve *s);
/* The conversation of this number in a shell of the connection. NULL: none. */
struct serve_pam *serve_shell_pam(struct serve *s, uint32_t conn, uint32_t attempt);

/* serve_valid.c */
int serve_valid_init(struct serve *s) MUST_CHECK;
/* A leg came: look again when the first certificate of all expires. */
void serve_valid_arm(struct serve *s);
/* Another set is in force. */
void serve_valid_reload(struct serve *s);

/* serve_leg.c */
int serve_leg_add(struct serve *s, struct leg *leg) MUST_CHECK; /* taken on success */
struct leg *serve_leg_find(struct serve *s, uint32_t id);
void serve_leg_gone(struct serve *s, uint32_t id);
void serve_legs_free(struct serve *s);
int serve_recorder_edge(struct serve *s, int fd) MUST_CHECK; /* taken on success */
int serve_keys_edge(struct serve *s, int fd) MUST_CHECK;     /* taken on success */

#endif
