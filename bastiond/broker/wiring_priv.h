/* The rows and tables behind wiring.h, shared by the files that serve one kind of peer each. */
#ifndef BASTION_BROKER_WIRING_PRIV_H
#define BASTION_BROKER_WIRING_PRIV_H

#include <sys/queue.h>

#include "bastiond/broker/push.h"
#include "bastiond/broker/service.h"
#include "bastiond/broker/wiring.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "recorder/recorder_proto.h"

#define WIRING_BUCKETS 1024u		    /* of connections and of legs */
#define WIRING_LEGS_MAX 64u		    /* at once on one connection; jumps likewise */
#define WIRING_JUMPS_REFUSED_MAX 100u	    /* until a connection that only asks is ended */
#define WIRING_JUMP_HOST_MAX 1024u	    /* bytes of a host as the client names it */
#define WIRING_TARGET_SIZE 300u		    /* bytes of a target's name, escaped */
#define WIRING_HOST_KEY_MAX 4096u	    /* bytes of the host key's blob */
#define WIRING_KILL_NS (2 * CLOCK_NS_PER_S) /* from BRK_FRONT_CLOSE to SIGKILL */
#define WIRING_LINGER_NS                                                                           \
	(10 * CLOCK_NS_PER_S) /* a back may take this long to end after its session */
#define AUTH_OVERTIME_NS                                                                           \
	(2 * CLOCK_NS_PER_S) /* bastiond-auth knows its time from policy, and says so by itself */
#define WIRING_STOP_NS                                                                             \
	(15 * CLOCK_NS_PER_S)	     /* the recorder may take this long to end all sessions */
#define WIRING_AUDIT_MAX 512u	     /* events that wait for a recorder */
#define WIRING_READERS_MAX 32u	     /* at once */
#define WIRING_SHELL_READERS_MAX 16u /* of them, for people who look at their own sessions */

enum conn_state {
	CONN_ASKS_POLICY, /* a jump: is there such a host for this person? There is no front yet */
	CONN_ASKS_VAULT,  /* a jump: its host key; likewise */
	CONN_LOGIN,	  /* grace time is running, as before */
	CONN_IN,	  /* logged in */
	CONN_CLOSING	  /* told to end; killed when it takes too long */
};

struct conn {
	LIST_ENTRY(conn) by_id;
	struct wiring *w;
	uint32_t id;
	enum conn_state state;
	struct wiring_peer peer;
	char source[NET_PORT_TEXT_SIZE];
	char identity[256]; /* escaped; "" before login */
	struct limits_ticket ticket;
	struct process *front;
	struct ipc *edge; /* NULL: gone */
	struct loop_timer *timer;
	unsigned policy_generation, keys_generation; /* of those that know of it */
	bool authenticated, failed, charged, grace_exceeded, excused;
	uint64_t since_ns; /* wall clock */
	LIST_HEAD(, leg) legs;

	bool wanted_shell; /* the bastion's own, once */

	LIST_HEAD(, conn) jumps; /* that run through it */
	unsigned n_jumps_refused;

	/* Behind ssh -J: */
	bool is_jump;
	LIST_ENTRY(conn) of_parent;
	struct conn *parent; /* that its client came through; NULL: over */
	uint32_t number;     /* the parent's front's, for the one answer to it */
	struct buf
	    *target; /* string host, u32 n + n strings, as KEYS_FRONT has it; NULL: not known yet */
	int policy_fd, keys_fd; /* for the front that is to come; -1 else */
};

enum leg_state {
	LEG_OPENING, /* the recorder was asked; nothing of the grant has left us */
	LEG_RUNNING, /* a back, or the bastion's own shell, was started */
	LEG_OVER     /* void; waits for the recorder's or the back's end */
};

struct leg {
	LIST_ENTRY(leg) by_id;
	LIST_ENTRY(leg) of_conn;
	struct wiring *w;
	uint32_t id;
	struct conn *conn; /* NULL: its front is gone */
	enum leg_state state;
	uint8_t kind;  /* enum pol_back */
	uint32_t via;  /* the leg whose shell is its front; 0: the connection's front is */
	bool recorded; /* the recorder has it and has not said REC_CLOSED */
	bool has_sid;
	uint8_t sid[REC_SID_LEN];
	int front_link, back_link; /* ours until REC_OPENED; -1 else */
	struct buf *vault_part, *back_part;
	struct process *back;
	struct ipc *edge;
	struct loop_timer *timer; /* kills the back */
	/* Of a shell: its question about sessions, while the view is being noted. */
	bool asks_sessions;
	uint32_t question;
	unsigned policy_generation, keys_generation;
};

struct audit_event {
	TAILQ_ENTRY(audit_event) link;
	uint32_t id;
	bool sent;
	wiring_durable_fn durable; /* NULL: nobody waits */
	void *arg;
	size_t len;
	char text[];
};

/* A conversation with PAM, from POL_WANT_AUTH until its process is dead. */
struct auth {
	LIST_ENTRY(auth) link;
	struct wiring *w;
	uint32_t conn, attempt, via; /* as of POL_WANT_AUTH */
	struct net_addr source;	     /* of the connection, as limits count it */
	unsigned policy_generation;
	struct process *process;
	struct ipc *edge; /* NULL: it was told to end, or ends */
	struct loop_timer *timer;
	const char *why; /* it was made to end, static; NULL: it ends by itself */
};

struct status_ask;
struct reader;
struct order;

struct wiring {
	struct wiring_conf conf;
	struct settings *settings;
	struct policy_files *files;
	struct penalty *penalty;
	struct limits *limits;
	struct service keys, policy, recorder, indexer;
	struct push *push;
	uint64_t since_ns; /* wall clock */

	uint8_t host_key[WIRING_HOST_KEY_MAX];
	size_t host_key_len; /* 0: the vault is locked */
	uint32_t n_keys;
	enum rec_health health;
	char health_text[256];
	char start_failed[600]; /* "": not */

	uint32_t last_conn, last_leg;
	size_t n_conns, n_legs; /* connections with jumps */
	size_t n_jumps;
	LIST_HEAD(, conn) conns[WIRING_BUCKETS];
	LIST_HEAD(, leg) legs[WIRING_BUCKETS];

	/* A reload that policy has not answered; settings NULL: none. */
	struct {
		struct settings *settings;
		struct policy_files *files;
		wiring_loaded_fn done;
		void *arg;
	} reload;

	TAILQ_HEAD(, audit_event) audit;
	size_t n_audit;
	uint32_t last_audit;
	bool audit_lost; /* one was dropped since the last line about it */

	LIST_HEAD(, status_ask) asks;
	uint32_t last_ask;
	LIST_HEAD(, reader) readers;
	size_t n_readers;
	LIST_HEAD(, auth) auths;
	size_t n_auths;
	LIST_HEAD(, order) orders;
	size_t n_orders;
	uint32_t last_order;

	struct loop_timer *heart_timer;
	unsigned heart_missed; /* beats since the recorder's last word */

	char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE];
	size_t n_own;

	enum { WIRING_RUNS, WIRING_STOPS_FRONTS, WIRING_STOPS_RECORDER, WIRING_STOPS_REST } phase;
	struct loop_timer *stop_timer, *changed_timer;
};

/* wiring.c */
/* Something ended or became ready: told to the owner, and looked at by a stop under way, in the next pass. */
void wiring_changed(struct wiring *w);
/* A service has ended: noted in the record, and as the reason where the start waits for it. */
void wiring_service_down(struct wiring *w, const struct service *s, const char *what);
/* Whether an edge ended because its peer sent what no honest one sends; else it is gone, or we could not serve it. */
bool wiring_is_lie(int err);
/* A message that is one string. As ipc_send(). */
int wiring_send_text(struct ipc *edge, uint16_t type, uint32_t id, const char *text) MUST_CHECK;
/* Make a pair of edges and hand one end to each side. 0; negative: neither has it. */
int wiring_connect(
    struct service *a, uint16_t a_type, struct service *b, uint16_t b_type) MUST_CHECK;

/* conn.c */
struct conn *conn_find(struct wiring *w, uint32_t id);
/* A row for somebody at peer, which the caller counts (limits.h). Owned by the wiring. NULL: out of memory. */
struct conn *conn_new(struct wiring *w, const struct wiring_peer *peer);
/* Why nobody gets in at the moment, static; NULL: somebody does. */
const char *conn_refusal(const struct wiring *w, const char **ret_name);
/* A host key as the vault has it: the plain key and perhaps its certificate. Borrowed. */
struct conn_host_keys {
	const uint8_t *p[2];
	size_t len[2], n;
};
/* Start its front. The descriptors are the front's ends, the caller's. 0; negative: there is none. */
int conn_run(struct conn *c, const struct conn_host_keys *keys, int client, int policy,
    int keys_fd) MUST_CHECK;
/* Hand the vault its end of a front's edge. in: its person is logged in, it may sign rekeys only. 0; negative. */
int conn_tell_keys(struct conn *c, int fd, bool in) MUST_CHECK;
/* Tell policy and vault that there is no such connection any more, when they are still those that knew it. */
void conn_tell_gone(struct conn *c);
void conn_close(struct conn *c, const char *line);
void conn_authenticated(struct conn *c, const uint8_t *identity, size_t len);
void conn_failed(struct conn *c, unsigned kind);
void conn_policy_down(struct wiring *w);
void conn_keys_ready(struct wiring *w);
void conn_close_all(struct wiring *w, const char *line);
void conn_kill_all(struct wiring *w);
/* The front's link for leg id, or a line why there is none. */
void conn_give_link(struct conn *c, uint32_t leg, int fd);
void conn_refuse_leg(struct conn *c, uint32_t leg, const char *line);
/* Free without ceremony, at the very end. */
void conn_free(struct conn *c);

/* jump.c */
/* BRK_FRONT_JUMP. 0; negative: this front may not ask. */
int jump_ask(struct conn *parent, uint32_t number, const uint8_t *host, size_t len,
    uint32_t port) MUST_CHECK;
/* POL_JUMPED and KEYS_FRONT_KEY for this row. b: what follows. 0; negative: the sender broke a rule. */
int jump_resolved(struct conn *c, struct buf *b) MUST_CHECK;
int jump_keyed(struct conn *c, struct buf *b) MUST_CHECK;
/* There will be no front: tell the parent's why, and free the row. */
void jump_refuse(struct conn *c, const char *line);
/* The connection that it ran through is over. May free it. */
void jump_parent_gone(struct conn *c);
void jump_keys_down(struct wiring *w);
/* The target's name, escaped. Returns dst. */
const char *jump_target(const struct conn *c, char *dst, size_t size);

/* leg.c */
struct leg *leg_find(struct wiring *w, uint32_t id);
struct leg *leg_find_sid(struct wiring *w, const uint8_t sid[REC_SID_LEN]);
/* POL_GRANT without its sealed parts. */
struct leg_order {
	uint32_t id, conn;
	uint8_t kind; /* enum pol_back */
	uint32_t via;
	const uint8_t *meta; /* borrowed */
	size_t meta_len;
};
/* A grant: takes vault and back. 0; negative: policy broke a rule. */
int leg_grant(struct wiring *w, const struct leg_order *order, struct buf *vault, struct buf *back);
void leg_opened(struct leg *l, const uint8_t sid[REC_SID_LEN]);
void leg_refused(struct leg *l, const char *line);
void leg_closed(struct leg *l);
void leg_front_gone(struct leg *l);
/* Have the recorder end it, with a line for the user; who: for the record. 0; -ENOMEM; negative. */
int leg_ask_end(struct leg *l, const char *line, const char *who) MUST_CHECK;
/* Policy says that its grant no longer holds. */
void leg_end_by_policy(struct leg *l, const char *line);
void leg_recorder_down(struct wiring *w);
void leg_policy_down(struct wiring *w);
void leg_kill_all(struct wiring *w);
void leg_free(struct leg *l);

/* edge_shell.c */
/* BRK_FRONT_SHELL. 0; negative: this front may not ask. */
int shell_ask(struct conn *c) MUST_CHECK;
/* POL_NO_SHELL. b: what follows. 0; negative: policy broke a rule. */
int shell_denied(struct conn *c, struct buf *b) MUST_CHECK;
/* The shell that runs on leg via for this connection; NULL: there is none (any more). */
struct leg *shell_find(struct wiring *w, uint32_t via, const struct conn *c);
/* The front's link of leg, or a line why there is none, for what shell_find() gave. */
void shell_give_link(struct leg *shell, uint32_t leg, int fd);
void shell_refuse_leg(struct leg *shell, uint32_t leg, const char *line);
/* Edge and process of a leg that is a shell's. 0; negative: there is no process. */
int shell_start(struct leg *l, process_fn ended, void (*gone)(void *arg, int err)) MUST_CHECK;
/* Nobody waits for what it asked. */
void shell_forget(struct leg *l);

/* edge_auth.c */
/* POL_WANT_AUTH: an edge, or the word that there is none. 0; negative: policy broke a rule. */
int auth_want(struct wiring *w, uint32_t conn, uint32_t attempt, uint32_t via) MUST_CHECK;
/* POL_STOP_AUTH; one that is over is nobody's. */
void auth_stop(struct wiring *w, uint32_t conn, uint32_t attempt);
/* Nobody is left to talk to. */
void auth_conn_gone(struct wiring *w, uint32_t conn);
void auth_shell_gone(struct wiring *w, uint32_t leg);
void auth_policy_down(struct wiring *w);
void auth_kill_all(struct wiring *w);
/* Free without ceremony, at the very end. */
void auth_free_all(struct wiring *w);

/* edge_policy.c, edge_keys.c, edge_recorder.c: what each service's edge accepts and its part in the life of the others */
int edge_policy_init(struct wiring *w) MUST_CHECK;
int edge_keys_init(struct wiring *w) MUST_CHECK;
int edge_recorder_init(struct wiring *w) MUST_CHECK;
int edge_indexer_init(struct wiring *w) MUST_CHECK;
/* The recorder is ready; the stop begins. */
void indexer_begin(struct wiring *w);
void indexer_end(struct wiring *w);

/* audit.c */
void audit_recorder_ready(struct wiring *w);
void audit_recorder_down(struct wiring *w);
void audit_done(struct wiring *w, uint32_t id);
void audit_free(struct wiring *w);

/* status.c */
void status_reply(struct wiring *w, uint32_t id, const char *of, const uint8_t *text, size_t len);
void status_free(struct wiring *w);

/* order.c */
void order_done(struct wiring *w, uint32_t id, uint8_t code, const char *text);
void order_recorder_down(struct wiring *w);

/* heart.c */
int heart_init(struct wiring *w) MUST_CHECK;
/* The recorder is ready; it has said something; it is gone. */
void heart_begin(struct wiring *w);
void heart_beat(struct wiring *w);
void heart_end(struct wiring *w);
/* It has not answered for so long that nobody new gets in. */
bool heart_is_slow(const struct wiring *w);

/* edge_recorder.c */
/* Tell the recorder what is to be kept, when the settings say something new. */
void recorder_keep(struct wiring *w);

/* reader.c */
/* The recorder says that this process pins the store. Ended, if it is a reader of ours. */
void reader_is_slow(struct wiring *w, pid_t pid, uint64_t held_ns);
/* As wiring_reader(), for the shell of a leg: one at a time, and few of all. */
int wiring_reader_for_leg(
    struct wiring *w, uint32_t leg, const char *const *args, int *ret_fd) MUST_CHECK;
void reader_kill_all(struct wiring *w);
void reader_free(struct wiring *w);

#endif
