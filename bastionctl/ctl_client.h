/* The client's side of STATE/control.sock: requests to a running bastiond (bastiond/broker/broker_proto.h). */
#ifndef BASTION_CTL_CLIENT_H
#define BASTION_CTL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "bastionctl/cmd.h"
#include "lib/err.h"
#include "lib/ipc.h"

#define CTL_WAIT_MS 30000 /* how long an answer may take */

/*
 * Connect to the bastiond of this state directory. *ret_fd: owned by caller.
 * 0; -ENOENT or -ECONNREFUSED: it does not run; -EACCES: not for this user; ERR_VERSION; -errno.
 */
int ctl_connect(const char *state, int *ret_fd) MUST_CHECK;
/* The same for c->state into c->broker_fd, with the reason on stderr. CMD_YES; CMD_UNSURE. */
int ctl_connect_or_say(struct cmd_ctx *c) MUST_CHECK;

/* An answer: either a code with a text, or (code CMD_YES) a descriptor. */
struct ctl_answer {
	enum cmd_exit code;
	char *text; /* never NULL after success; owned by caller, ctl_answer_done() */
	int fd;	    /* CTL_EDGE: owned by caller; else -1 */
};
void ctl_answer_done(struct ctl_answer *a);

/*
 * What CTL_REPLY and RD_END hold: u8 code, string text. *ret_text: owned by caller, free(). 0; ERR_FORMAT; -ENOMEM.
 */
int ctl_get_reply(const struct ipc_msg *m, enum cmd_exit *ret_code, char **ret_text) MUST_CHECK;

/*
 * Send one request (enum ctl_type) and wait for its answer. 0; ERR_PEER_GONE; -ETIMEDOUT; ERR_FORMAT; -ENOMEM; -errno.
 */
int ctl_request(
    int fd, uint16_t type, const void *data, size_t len, struct ctl_answer *ret_answer) MUST_CHECK;
/*
 * The same as a whole command: on a CTL_REPLY its text goes to stdout (code CMD_YES) or stderr, and its code is returned.
 * A CTL_EDGE is handed over in *ret_fd (NULL: none is expected) and CMD_YES returned.
 */
int ctl_command(int fd, uint16_t type, const void *data, size_t len, int *ret_fd) MUST_CHECK;
/* CTL_READ: ask for a reader with these arguments (NULL-terminated). *ret_fd: its edge. As ctl_command(). */
int ctl_read(int fd, const char *const *args, int *ret_fd) MUST_CHECK;

#endif
