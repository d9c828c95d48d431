/* What the files of the front share: one client connection, from its first byte to its last. */
#ifndef BASTION_FRONT_H
#define BASTION_FRONT_H

#include "bastiond/ssh/end.h"
#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/loop.h"

#define FRONT_ASKS_MAX 8u   /* login requests of a client that does not wait for answers */
#define FRONT_NAME_MAX 256u /* bytes of a host's or person's name, of a reference, and NUL */
#define FRONT_JUMPS_MAX 64u /* connections through one login at the same time */

struct front_jump;

struct front {
	struct loop *loop;
	struct end end;
	struct ipc *broker, *policy;
	int client_fd; /* until the wire has it */
	int keys_fd;
	uint64_t alive_ns;
	uint32_t missed_max;
	struct buf *asks[FRONT_ASKS_MAX]; /* login requests; policy is looking at the first */
	uint32_t n_asks;
	bool abandoned; /* the first of them: the client did not wait for its answer */
	/* keyboard-interactive: */
	struct ipc *talk;     /* who asks; NULL: nobody */
	struct buf *question; /* for the client, when it has answered the one before; NULL */
	uint32_t n_prompts;   /* of the last one */
	bool owes_answers;    /* the client, to a question that it was sent */
	bool answers_wanted;  /* whoever asked it is still there */
	bool warned;	      /* policy's text for who was denied has been passed on */
	bool in;	      /* the user is known */
	bool told_to_end;     /* by the broker */
	bool asked_shell;     /* the bastion's own, of the broker */
	/* What the broker said of the leg while policy's answer was still on its way; -1, NULL: nothing. */
	int early_link;
	char *early_refusal;
	uint32_t last_jump; /* number of the last one that the broker was asked for */
	struct front_jump *jumps[FRONT_JUMPS_MAX];
	char host[FRONT_NAME_MAX];
	char reference[FRONT_NAME_MAX];
};

/* The descriptors that a front is started with; owned by it from front_init() on. */
struct front_fds {
	int broker, client, policy, keys;
};

/* front.c */

/* Everything but the loop's run. 0; negative: call front_done() and end the process. */
int front_init(struct front *f, const struct front_fds *fds) MUST_CHECK;
/* Of a front that was started in part, too, or all zero with descriptors -1. */
void front_done(struct front *f);

/* front_auth.c: RFC 4252, as far as it is ours: carrying requests to policy and its answers back. */

/* A message before the user is known, or one that comes too late. */
void front_auth_message(struct front *f, const uint8_t *msg, size_t len);
/* POL_AUTH_REPLY. 0; ERR_FORMAT. */
int front_auth_reply(void *arg, struct ipc_msg *msg);
/* What policy is looking at is a request for keyboard-interactive which the client still waits for. */
bool front_auth_asks_keyboard(const struct front *f);
void front_auth_done(struct front *f);

/* front_talk.c: keyboard-interactive, between the client and a bastiond-auth. */

/* BRK_FRONT_AUTH. 0; -errno. */
int front_on_auth(void *arg, struct ipc_msg *msg);
/* SSH_MSG_USERAUTH_INFO_RESPONSE. */
void front_talk_answers(struct front *f, const uint8_t *msg, size_t len);
/* The attempt is over, or its time has come. */
void front_talk_end(struct front *f);

/* front_chan.c: which channels and requests a client gets to the other end. */

/* For the mux: what it asks before it opens a channel or passes a request on; as in bastiond/ssh/mux.h. */
uint32_t front_may_open(void *arg, const struct mux_open *open, const char **ret_text);
enum mux_answer front_may_request(
    void *arg, const struct mux_session *session, const struct mux_request *req);
extern const struct end_global_rule front_globals[];

/* front_jump.c: connections to other fronts in channels of a login without a host. */

/* Before the first channel, and after the last. */
void front_jump_init(struct front *f);
void front_jump_done(struct front *f);
/* A client opens direct-tcpip there; as may_open() of bastiond/ssh/mux.h. */
uint32_t front_jump_open(struct front *f, const struct mux_open *open, const char **ret_text);
int front_on_jumped(void *arg, struct ipc_msg *msg);
int front_on_jump_refused(void *arg, struct ipc_msg *msg);
/* Those that the broker has not answered. */
void front_jump_refuse_all(struct front *f, const char *line);

/* front_link.c: the leg: what comes of it, and what the user is told when there is none. */

/* The user is known and wants this host: a leg follows. Without a host it follows front_link_shell(). */
void front_link_expect(struct front *f);
/* A session is opened without a host: it is the bastion's own shell's. 0; negative: the broker cannot be asked. */
int front_link_shell(struct front *f) MUST_CHECK;
int front_on_link(void *arg, struct ipc_msg *msg);
int front_on_refused(void *arg, struct ipc_msg *msg);
/* The user is in now: what came of the leg before that counts. */
void front_link_early(struct front *f);
int front_on_note(void *arg, struct rd *in);
void front_on_link_over(void *arg, enum link_end code, const char *text);
/* Say a line on every channel, with the reference under which support finds the rest, and go. */
void front_end_all(struct front *f, const char *line);

#endif
