/*
 * A program that lives as long as the broker: policy, keys, recorder. Started, watched, and started again when it
 * dies, soon at first; one that died five times within a minute is tried every ten seconds, loudly, for ever.
 */
#ifndef BASTION_BROKER_SERVICE_H
#define BASTION_BROKER_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "bastiond/broker/process.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/loop.h"

#define SERVICE_DEATHS 5 /* as many within SERVICE_WINDOW_NS are too many */
#define SERVICE_WINDOW_NS 60000000000ull
#define SERVICE_FIRST_NS                                                                           \
	100000000ull /* delay of the first restart; doubled for each further death */
#define SERVICE_SLOW_NS 10000000000ull

enum service_state {
	SERVICE_STOPPED,  /* not wanted (yet or any more) */
	SERVICE_WAITING,  /* died; starts again soon */
	SERVICE_STARTING, /* runs, has not said that it is ready */
	SERVICE_READY,
	SERVICE_ENDING /* its edge is gone or it was killed: its end is awaited */
};

struct service_conf {
	const char *name; /* "policy" */
	struct loop *loop;
	const struct process_ops *ops;
	const struct ipc_rule *rules; /* what its edge accepts */
	size_t n_rules;
	uint64_t ready_within_ns; /* killed when it takes longer; 0: it may take any time */
	void *arg;		  /* of the calls below; handlers of rules get the struct service */
	/*
	 * Fill exec_fd, argv, uid and gid, and fds[1..] with what it gets besides its edge (fds[0]); those are closed
	 * after the start. argv and fds: the service's own space of 16 and 4 entries. 0; negative: try again later.
	 */
	int (*prepare)(void *arg, struct proc_spec *spec, const char **argv, int *fds);
	void (*up)(
	    void *arg); /* it runs and its edge is there: send what it needs to become ready */
	/* It is gone, or could not be started; what: "signal 9 (Killed)". edge is NULL already. */
	void (*down)(void *arg, const char *what);
};

struct service {
	struct service_conf conf;
	enum service_state state;
	struct process *process;
	struct ipc *edge; /* NULL: down */
	struct loop_timer *timer;
	unsigned generation; /* of the running one, from 1 */
	unsigned restarts;
	bool was_ready; /* at least once since service_init() */
	bool wanted;
	uint64_t deaths_ns[SERVICE_DEATHS]; /* the latest, in a ring; 0: none */
	unsigned n_deaths;
	uint64_t since_ns; /* start of the running one, wall clock */
};

/* s: caller's, end with service_done(). 0; -ENOMEM. */
int service_init(struct service *s, const struct service_conf *conf) MUST_CHECK;
void service_done(struct service *s);

/* Start it, and from now on whenever it dies. */
void service_start(struct service *s);
/* It says that it is ready. */
void service_ready(struct service *s);
/* It was told to end and is not started again. SIGKILL after grace_ns. */
void service_let_end(struct service *s, uint64_t grace_ns);
/* The same, and closing its edge is what tells it. */
void service_stop(struct service *s, uint64_t grace_ns);
/* It runs and listens to its edge (ready or not). */
bool service_is_up(const struct service *s);
bool service_is_ready(const struct service *s);
/* "ready" ...: static. */
const char *service_state_name(const struct service *s);

#endif
