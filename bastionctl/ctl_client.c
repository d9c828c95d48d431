/* Requests over the control socket: one message there, one back. */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/ctl_client.h"
#include "bastionctl/out.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/str.h"

/* Through the directory's descriptor: the path may be longer than sun_path. */
static int
ctl_address(int dir_fd, struct sockaddr_un *sun)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	return str_format(
	    sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/control.sock", dir_fd);
}

int
ctl_connect(const char *state, int *ret_fd)
{
	struct sockaddr_un sun;
	int dir_fd = -1, fd = -1, r;

	dir_fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	if ((r = ctl_address(dir_fd, &sun)) != 0)
		goto out;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		r = -errno;
		goto out;
	}
	if ((r = ipc_plain_hello(fd)) != 0)
		goto out;
	*ret_fd = fd;
	fd = -1;
out:
	fd_close(&fd);
	fd_close(&dir_fd);
	return r;
}

int
ctl_connect_or_say(struct cmd_ctx *c)
{
	int r = ctl_connect(c->state, &c->broker_fd);

	if (r == 0)
		return CMD_YES;
	if (r == -ENOENT || r == -ECONNREFUSED)
		return cmd_fail(CMD_UNSURE,
		    "%s: no bastiond runs here: start it with bastiond -f %s", c->state,
		    c->conf_file);
	if (r == -EACCES || r == -EPERM)
		return cmd_fail(CMD_UNSURE,
		    "%s/control.sock: this user may not use it: become the one who runs bastiond",
		    c->state);
	if (r == ERR_VERSION)
		return cmd_fail(CMD_UNSURE,
		    "%s: the bastiond that runs here is of another version: use its own bastionctl",
		    c->state);
	return cmd_fail(CMD_UNSURE, "%s/control.sock: %s", c->state, err_str(r));
}

void
ctl_answer_done(struct ctl_answer *a)
{
	free(a->text);
	a->text = NULL;
	fd_close(&a->fd);
}

int
ctl_get_reply(const struct ipc_msg *m, enum cmd_exit *ret_code, char **ret_text)
{
	struct buf *b = buf_view(m->data, m->len);
	const uint8_t *p;
	char *text;
	uint8_t code;
	size_t len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &code)) != 0 || (r = buf_get_str(b, &p, &len)) != 0 ||
	    (r = buf_end(b)) != 0)
		goto out;
	r = ERR_FORMAT;
	if (code > CMD_UNSURE)
		goto out;
	r = -ENOMEM;
	if ((text = strndup((const char *)p, len)) == NULL)
		goto out;
	*ret_code = (enum cmd_exit)code;
	*ret_text = text;
	r = 0;
out:
	buf_free(b);
	return r;
}

static int
ctl_take_edge(struct ipc_msg *m, struct ctl_answer *a)
{
	a->text = strdup("");
	if (a->text == NULL)
		return -ENOMEM;
	a->code = CMD_YES;
	a->fd = m->fds[0];
	m->fds[0] = -1;
	return 0;
}

int
ctl_request(int fd, uint16_t type, const void *data, size_t len, struct ctl_answer *ret_answer)
{
	struct ctl_answer a = { CMD_UNSURE, NULL, -1 };
	struct ipc_msg m;
	uint8_t *space;
	int r;

	space = malloc(IPC_HEADER + IPC_MAX);
	if (space == NULL)
		return -ENOMEM;
	if ((r = ipc_plain_send(fd, type, 1, data, len, NULL, 0)) != 0)
		goto out;
	if ((r = ipc_plain_recv(fd, space, &m, CTL_WAIT_MS)) != 0)
		goto out;
	if (m.type == CTL_REPLY && m.id == 1 && m.n_fds == 0)
		r = ctl_get_reply(&m, &a.code, &a.text);
	else if (m.type == CTL_EDGE && m.id == 1 && m.n_fds == 1)
		r = ctl_take_edge(&m, &a);
	else
		r = ERR_FORMAT;
	ipc_msg_close(&m);
	if (r == 0)
		*ret_answer = a;
out:
	free(space);
	return r;
}

int
ctl_command(int fd, uint16_t type, const void *data, size_t len, int *ret_fd)
{
	struct ctl_answer a;
	int code, r = ctl_request(fd, type, data, len, &a);

	if (r == -ETIMEDOUT)
		return cmd_fail(CMD_UNSURE, "bastiond does not answer: see its log");
	if (r != 0)
		return cmd_fail(
		    CMD_UNSURE, "bastiond ended the request: %s: see its log", err_str(r));
	code = (int)a.code;
	if ((a.fd >= 0) != (ret_fd != NULL) && code == CMD_YES)
		code = cmd_fail(CMD_UNSURE, "bastiond gave an answer of the wrong kind");
	else if (a.fd >= 0) {
		*ret_fd = a.fd;
		a.fd = -1;
	} else if (code != CMD_YES)
		cmd_note("%s", a.text);
	else if (a.text[0] != '\0')
		out_text(stdout, a.text);
	ctl_answer_done(&a);
	return code;
}

int
ctl_read(int fd, const char *const *args, int *ret_fd)
{
	struct buf *b = buf_new(IPC_MAX);
	uint32_t n = 0;
	int r = -ENOMEM;

	if (b == NULL)
		goto out;
	while (args[n] != NULL)
		n++;
	if ((r = buf_put_u32(b, n)) != 0)
		goto out;
	for (uint32_t i = 0; i < n; i++)
		if ((r = buf_put_cstr(b, args[i])) != 0)
			goto out;
	r = ctl_command(fd, CTL_READ, buf_ptr(b), buf_len(b), ret_fd);
	buf_free(b);
	return r;
out:
	buf_free(b);
	return cmd_fail(CMD_UNSURE, "cannot ask bastiond: %s", err_str(r));
}
