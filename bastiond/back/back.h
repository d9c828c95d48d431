/*
 * One leg to one target: its SSH connection on one side, the link on the other, the vault's agent for the login.
 * Runs inside its sandbox; everything that needs the network by name was done before.
 */
#ifndef BASTION_BACK_H
#define BASTION_BACK_H

#include "bastiond/back/back_conf.h"
#include "lib/loop.h"

struct back;

#define BACK_LOGIN_NS (30ull * 1000000000ull) /* key exchange and login together */
#define BACK_LINGER_NS                                                                             \
	(5ull *                                                                                    \
	    1000000000ull) /* what waits for the target when the client is gone gets this long */

/*
 * conf: borrowed for the back's life. link_fd: SEQPACKET edge to the recorder, owned by the back from success on.
 * 0; -ENOMEM; -errno.
 */
int back_new(struct loop *l, const struct back_conf *conf, uint32_t leg, int link_fd,
    struct back **ret_back) MUST_CHECK;
void back_free(struct back *b);

/*
 * Speak SSH on target_fd as far as the login, with the agent on agent_fd; both owned by the back from the call on. address:
 * who was reached, for the record; copied. Everything from here on ends in loop_stop(). 0; errors of wire_new().
 */
int back_serve(struct back *b, int target_fd, int agent_fd, const char *address) MUST_CHECK;
/* There is no connection: tell the other end (enum link_end and a line), then stop the loop. */
void back_fail(struct back *b, int end, const char *why);

#endif
