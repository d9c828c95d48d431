/* A front or back in a stranger's hands: it gives its sockets to whoever waits for them, else it is the honest program. */
#ifndef BASTION_TEST_PUPPET_H
#define BASTION_TEST_PUPPET_H

#include <stdbool.h>

/* Where the one who lies listens (SOCK_SEQPACKET), in the state directory, which is every program's working directory. */
#define PUPPET_SOCKET "hostile.sock"
#define PUPPET_FDS_MAX 4
#define PUPPET_FRONT 'f'
#define PUPPET_BACK 'b'

/*
 * Offer descriptors fds[0] to fds[n - 1]. false: nobody wants them, they are as before. true: they were used by
 * somebody else until that one let go: exit.
 */
bool puppet_offer(char role, const int *fds, int n);

#endif
