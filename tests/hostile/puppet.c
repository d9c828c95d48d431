/* What every hostile program does first. */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/hostile/puppet.h"

static bool
send_fds(int sock, char role, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(PUPPET_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = &role, .iov_len = 1 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
	return sendmsg(sock, &mh, MSG_NOSIGNAL) == 1;
}

bool
puppet_offer(char role, const int *fds, int n)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = PUPPET_SOCKET };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char word = 0;
	bool taken = false;

	if (sock < 0)
		return false;
	if (connect(sock, (const struct sockaddr *)&a, sizeof(a)) == 0 &&
	    send_fds(sock, role, fds, (size_t)n) && recv(sock, &word, 1, 0) == 1) {
		taken = true;
		for (int i = 0; i < n; i++)
			close(fds[i]);
		/* Alive until killed, or until the liar has gone. */
		while (recv(sock, &word, 1, 0) > 0 || errno == EINTR)
			errno = 0;
	}
	close(sock);
	return taken;
}
