/*
 * A wiring whose programs are played by the test: nothing is started, every edge has its other end here, time stands
 * still until it is moved. For tests of what the broker sends to whom, in which order, and what is left at the end.
 */
#ifndef BASTION_TEST_WIRING_RIG_H
#define BASTION_TEST_WIRING_RIG_H

#include <sys/types.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/broker/wiring_priv.h"
#include "lib/ipc.h"
#include "tests/lib/test.h"

#define FAKE_FDS 8

/* A program that was "started". */
struct fake {
	struct fake *next;
	char name[32];	/* "bastiond-front" */
	char argv[256]; /* arguments, each followed by a space */
	pid_t pid;
	int fds[FAKE_FDS]; /* what it was given, from descriptor 3 on; -1 none */
	int alive;	   /* write end of the pipe that stands for its pidfd; -1: it has ended */
	int pidfd;	   /* the number that the broker knows it by */
	int status;
	bool told_kill; /* SIGKILL was sent: it ends at once */
	bool stubborn;	/* SIGKILL is only noted */
	bool group_killed;
};

/* A message as a peer got it; fds are owned by the rig until the next message. */
struct rig_msg {
	uint32_t id;
	uint16_t type;
	uint8_t data[4096];
	size_t len;
	int fds[IPC_FDS_MAX];
	size_t n_fds;
};

struct rig {
	struct loop *loop;
	struct wiring *w;
	struct programs programs;
	struct fake *fakes; /* newest first; ended ones too, until they were collected */
	unsigned n_changed, n_groups_killed;
	uint32_t last_leg; /* the highest that this test's policy has granted */
	int fail_spawn;	   /* so many starts fail from now on */
	bool silent;	   /* the recorder does not answer when it is asked whether it does */
	bool tolerant;	   /* faults are injected: peers may find their edges closed */
};

/* Called with true before the rig does something as one of the peers, with false after it; NULL: nobody cares. */
extern void (*rig_on_hold)(bool hold);

/* As rig_open(), but out of memory is an answer. 0; negative. */
int rig_try_open(struct rig *r);
/* setting: applied to the defaults before the wiring is made; NULL: none. */
void rig_open(struct rig *r, void (*setting)(struct settings *s));
/* Everything away; fails the test when a descriptor is left. */
void rig_close(struct rig *r);
/* Let everything happen that is due. */
void rig_run(struct rig *r);
/* The same, so much later. */
void rig_pass_time(struct rig *r, uint64_t ns);

/* Start all three and answer for them until they are ready. */
void rig_start(struct rig *r);
/* Whoever is starting says that it is ready, for so many rounds of a tenth of a second, until all are. */
bool rig_settle(struct rig *r, int rounds);
/* One that was started again says that it is ready. */
void rig_restarted(struct rig *r, const char *name);
/* The newest living one of that name ("front"); NULL: none. */
struct fake *rig_fake(struct rig *r, const char *name);
/* The living one with this pid; NULL: it has ended. */
struct fake *rig_fake_pid(struct rig *r, pid_t pid);
size_t rig_count(struct rig *r, const char *name);
/* It ends: all that it held is closed. status as of waitpid(2). */
void rig_end(struct rig *r, struct fake *f, int status);

/* The next message on f's edge (0: descriptor 3); false: none is there. Closes the last one's descriptors. */
bool rig_take(struct rig *r, int fd, struct rig_msg *msg);
/* Read on until one of this type; fails the test when it does not come. */
void rig_expect(struct rig *r, int fd, uint16_t type, struct rig_msg *msg);
/* Nothing of this type comes. */
void rig_expect_no(struct rig *r, int fd, uint16_t type);
void rig_msg_done(struct rig_msg *msg);
/* Say something on an edge. */
void rig_send(struct rig *r, int fd, uint16_t type, uint32_t id, const void *data, size_t len);
void rig_send_text(struct rig *r, int fd, uint16_t type, uint32_t id, const char *text);

/* A peer's first word. */
void rig_hello(struct rig *r, int fd);

/* Parts of the usual life. Text of a source: "192.0.2.1". */
int rig_connect(struct rig *r, const char *source, const char **ret_line, int *ret_client);
/* A connection with a front that is up; returns its id. */
uint32_t rig_login(struct rig *r, const char *source);
void rig_grant(struct rig *r, uint32_t conn, uint32_t leg);
/* kind: enum pol_back; via: the leg whose shell it is for, or 0. */
void rig_grant_as(struct rig *r, uint32_t conn, uint32_t leg, uint8_t kind, uint32_t via);
void rig_opened(struct rig *r, uint32_t leg);

/* The front asks for a jump; what it, policy and the vault then say. */
void rig_jump_ask(struct rig *r, struct fake *front, uint32_t number, const char *host);
void rig_jumped(struct rig *r, uint32_t conn, const char *host);
void rig_front_key(struct rig *r, uint32_t conn, const char *key, const char *cert);
/* All of it: the new front is up. Returns the jump's connection. */
uint32_t rig_jump(struct rig *r, struct fake *front, uint32_t number);

/* Number of open descriptors of this process. */
size_t rig_open_fds(void);

#define RIG_HOST_KEY "host key blob"
#define RIG_SID_OF(leg) ((uint8_t)((leg) + 1))

#endif
