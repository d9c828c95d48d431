/*
 * The bastion's own shell: the back of a leg without a host. It speaks link frames (recorder/link_proto.h) with the recorder, asks
 * policy what this person may do, and is told by the broker where recordings and further legs are. It opens nothing itself.
 *
 * A leg that it opens to a host has two links with it in the middle: the one to the person, where it is the back, and the one
 * to the host, where it is the front. It passes frames and credit from one to the other, so that both ends see each other's.
 */
#ifndef BASTION_SHELL_H
#define BASTION_SHELL_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/auth/auth_proto.h"
#include "bastiond/shell/command.h"
#include "bastiond/shell/pick.h"
#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "recorder/link_proto.h"

#define SHELL_CHANNELS_MAX 64u	     /* at once */
#define SHELL_ENV_MAX 32768u	     /* bytes of all variables of one channel */
#define SHELL_MODES_MAX 8192u	     /* bytes of a terminal's modes */
#define SHELL_TERM_SIZE 128u	     /* bytes of a terminal's name, with NUL */
#define SHELL_ANSWER_MAX (48u << 20) /* bytes of one answer, in all its parts */
#define SHELL_WAITS_MAX 256u /* requests of one relayed channel whose answers are outstanding */
#define SHELL_INPUT_MAX (LINK_CREDIT + 128u * 1024u) /* bytes that a front may have sent */

struct shell;
struct shell_chan;
struct relay;

/* Questions, one at a time: to policy, to a reader. */

enum ask_kind { ASK_POLICY, ASK_CONNECT, ASK_SESSIONS };

/*
 * The answer. code: as of bastionctl (0 1 2 3); text: JSON, or a line when there is no JSON (ASK_CONNECT: the line of a refusal). leg:
 * ASK_CONNECT: what was granted, 0 none. Called once.
 */
typedef void (*ask_fn)(void *arg, uint8_t code, const char *text, size_t len, uint32_t leg);

struct ask {
	TAILQ_ENTRY(ask) link;
	enum ask_kind kind;
	char verb[16], what[PICK_TARGET_SIZE];
	ask_fn done; /* NULL: nobody wants the answer any more */
	void *arg;
};

enum chan_state {
	CHAN_NEW,	 /* no program yet */
	CHAN_LINES,	 /* commands on its input, one a line */
	CHAN_BUSY,	 /* one runs */
	CHAN_PICK_WAITS, /* the hosts have been asked for */
	CHAN_PICK,
	CHAN_CONNECTS, /* policy, then the broker, are opening a leg */
	CHAN_RELAY,
	CHAN_OVER /* its end was said */
};

struct shell_chan {
	LIST_ENTRY(shell_chan) link;
	struct shell *s;
	uint32_t id;
	enum chan_state state;
	bool pty, has_program, one_command;
	char term[SHELL_TERM_SIZE];
	uint32_t cols, rows, width, height;
	struct buf *modes, *env; /* env: string name, string value, ... */
	struct buf *in;		 /* not looked at yet */
	struct buf *out;	 /* u16 type, string payload, ...: frames that wait for credit */
	int64_t credit;		 /* bytes of data that the front takes */
	uint32_t taken;		 /* bytes of its data done with and not yet given back */
	uint32_t requests;	 /* our own towards the front */
	bool in_eof, out_eof, closed; /* closed: CLOSE was said */
	bool stale;		      /* the picker has not been drawn as it is */
	uint8_t code;		      /* exit status of the last command */
	bool json;
	enum command_verb verb;
	struct ask *ask;
	struct pick *pick;
	struct loop_timer *timer; /* for a lone ESC */
	uint32_t leg;		  /* CHAN_CONNECTS: 0 policy has not answered */
	struct relay *relay;
};

/* A link that came before policy's answer did; fd -1 and line "": nothing. */
struct shell_early {
	uint32_t leg;
	int fd;
	char line[512];
};

/* A second factor that is being asked for; all zero: none is. */
struct factor {
	struct ipc *talk;
	struct shell_chan *c; /* whose */
	struct buf *prompts;  /* not shown yet; NULL: nothing is asked now */
	struct buf *answers;  /* u32 number, string, ... */
	uint32_t left;	      /* prompts */
	bool echo;	      /* what is typed now is shown */
	bool asking;	      /* the recorder was told that it is not */
	char line[AUTH_ANSWER_MAX];
	size_t len;
};

struct shell {
	struct loop *loop;
	struct ipc *broker, *link, *policy, *reader; /* NULL: gone, or none */
	int link_fd, policy_fd;			     /* until BRK_SHELL_START */
	int (*close_sandbox)(void);
	LIST_HEAD(, shell_chan) chans;
	LIST_HEAD(, relay) leaving; /* whose last frame has not been taken */
	size_t n_chans;
	uint32_t highest; /* number of the last channel */
	TAILQ_HEAD(, ask) asks;
	struct buf *answer; /* of the first, as far as it came */
	size_t n_items;	    /* ASK_SESSIONS: that came */
	bool in_item;	    /* of the last one more follows */
	uint32_t read_more; /* messages of the reader since it was told to go on */
	struct shell_early early;
	struct factor factor;
	char identity[256]; /* "" until policy was asked */
	uint32_t
	    answered; /* the last leg that policy's answers named: further ones have higher numbers */
	bool ended;   /* LINK_END was said */
	bool failed; /* out of memory, or the link is broken: the end is near */
};

struct shell_fds {
	int broker, link, policy;
};

/* shell.c */

/* fds: owned by the shell from here on. close_sandbox: called before anything of a peer is read. 0; negative. */
int shell_init(struct shell *s, const struct shell_fds *fds, int (*close_sandbox)(void)) MUST_CHECK;
void shell_done(struct shell *s);
/* Say LINK_END, and stop the loop as soon as the recorder has it. */
void shell_end(struct shell *s, enum link_end code, const char *text);
/* One of the leaving relays has gone. */
void shell_relay_left(struct shell *s);

/* ask.c */

/* Ask when it is its turn. *ret_ask: until done() or ask_forget(); borrowed. 0; -ENOMEM; ERR_LIMIT a text is too long. */
int ask_new(struct shell *s, enum ask_kind kind, const char *verb, const char *what, ask_fn done,
    void *arg, struct ask **ret_ask) MUST_CHECK;
/* NULL is allowed. */
void ask_forget(struct ask *a);
/* The first one is answered: tell, and put the next. */
void ask_done(struct shell *s, uint8_t code, const char *text, size_t len, uint32_t leg);
/* Messages of the peers. */
int ask_on_answer(void *arg, struct ipc_msg *msg);
int ask_on_connected(void *arg, struct ipc_msg *msg);
int ask_on_edge(void *arg, struct ipc_msg *msg);
int ask_on_no_edge(void *arg, struct ipc_msg *msg);
/* Policy, or the broker, is gone: what was asked of it is answered so. */
void ask_peer_gone(struct shell *s);
void ask_free(struct shell *s);

/* chan.c: channels of the person. */

/* A frame of the front about a channel. 0; negative: the link's rules were broken. */
int chan_frame(void *arg, struct ipc_msg *msg);
struct shell_chan *chan_find_leg(struct shell *s, uint32_t leg);
/* A link for chan_find_leg()'s channel, fd taken; or a line why there is none. */
void chan_connected(struct shell_chan *c, int fd);
void chan_refused(struct shell_chan *c, const char *line);
void chan_free(struct shell_chan *c);

/* Say something on the channel; what the front has no credit for waits. A failure ends the shell. */
void chan_send(struct shell_chan *c, uint16_t type, const void *data, size_t len);
/* Text as terminals want it, or as pipes do. is_err: to stderr. */
void chan_text(struct shell_chan *c, bool is_err, const char *text, size_t len);
/* "bastiond: LINE" on stderr. */
void chan_line(struct shell_chan *c, const char *line);
/* Exit status, EOF, CLOSE. */
void chan_finish(struct shell_chan *c, uint32_t status);
/* EOF and CLOSE, when the exit was said already. */
void chan_close(struct shell_chan *c);
/* The front's bytes are done with: credit for more. */
void chan_took(struct shell_chan *c, size_t n);
/* All of that credit now. */
void chan_give(struct shell_chan *c);
/* Bytes of data that wait for the front's credit. */
size_t chan_waiting(const struct shell_chan *c);

/* commands.c: what runs on a channel without a picker. */

/* The next line of its input, if there is one and nothing runs. */
void run_lines(struct shell_chan *c);
void run_command(struct shell_chan *c, const uint8_t *line, size_t len);

/* chooser.c: the picker on a channel. */

/* A terminal and no command: ask for the hosts, then show them. */
void chooser_start(struct shell_chan *c);
/* What was typed since. */
void chooser_input(struct shell_chan *c);
/* The terminal has another size, or what it shows is old: draw anew. Without a picker: nothing. */
void chooser_resize(struct shell_chan *c);
/* What was typed since the choice, while its leg is being opened: it may be cancelled, then true, and the picker is back. */
bool chooser_cancels(struct shell_chan *c);
/* There is no leg to what was chosen: on with choosing. */
void chooser_refused(struct shell_chan *c, const char *line);
/* Nothing followed an ESC. arg: the channel. */
void chooser_timer(void *arg);

/* factor.c: a second factor before a connection. */

/* BRK_SHELL_AUTH. 0; -errno. */
int factor_on_auth(void *arg, struct ipc_msg *msg);
/* Whether what is typed on the channel is an answer now; then the rest of its input is. */
bool factor_asks(const struct shell_chan *c);
void factor_input(struct shell_chan *c);
/* Whoever was asked on this channel is asked no more. */
void factor_forget(const struct shell_chan *c);
/* The conversation is over. */
void factor_end(struct shell *s);

/* relay.c: a channel that is a session on a host. */

/* fd: taken. 0; negative: it is over, and the channel was told. */
int relay_new(struct shell_chan *c, int fd, struct relay **ret_relay) MUST_CHECK;
/* The front's side: its data, credit, request, EOF, end. */
void relay_data(struct relay *r, const uint8_t *data, size_t len);
void relay_window(struct relay *r, uint32_t n);
void relay_request(
    struct relay *r, uint32_t number, bool want_reply, const uint8_t *data, size_t len);
void relay_reply(struct relay *r, uint32_t number, uint8_t success);
void relay_eof(struct relay *r);
/* The host has not started a shell yet; nothing of the person's was sent there. */
bool relay_opens(const struct relay *r);
bool relay_unused(const struct relay *r);
/* The person wants it no more, as long as relay_opens(): the channel is as it was before relay_new(). Frees it. */
void relay_cancel(struct relay *r);
/* The person is gone, or has closed the channel. NULL is allowed; frees it. */
void relay_free(struct relay *r);
/* At the very end. */
void relay_free_leaving(struct shell *s);
/* A link that nobody waits for any more: it is ended in order. fd: taken. */
void relay_decline(int fd);

#endif
