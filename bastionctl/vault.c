/* The vault's administration, for the commands keys and init. No private byte ever comes this way. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/ctl_client.h"
#include "bastionctl/passphrase.h"
#include "bastionctl/vault.h"
#include "bastiond/broker/broker_proto.h"
#include "keys/keys_client.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/proc.h"
#include "lib/str.h"

#define VAULT_WAIT_MS                                                                              \
	120000 /* making an RSA key, or Argon2id on a slow machine, may take this long */
#define VAULT_TEXT_MAX IPC_MAX
#define KEYS_FOLDER "keys" /* in the state directory, which is where the vault starts */

/* Arguments of a vault process of our own. */
struct vault_start {
	char dir[PATH_MAX]; /* the folder of keys, as bastionctl finds it */
	char unlock[KEYS_UNLOCK_ARG_SIZE];
	const char *argv[8];
	int unlock_fd;
};

static int
vault_arguments(const struct cmd_ctx *c, bool create, struct vault_start *s)
{
	size_t n = 0;
	int r;

	s->unlock_fd = -1;
	if ((r = str_format(s->dir, sizeof(s->dir), "%s/" KEYS_FOLDER, c->state)) != 0)
		return r;
	if ((r = keys_client_unlock(c->unlock, s->unlock, sizeof(s->unlock), &s->unlock_fd)) != 0)
		return r;
	s->argv[n++] = "--dir";
	s->argv[n++] = KEYS_FOLDER;
	if (s->unlock[0] != '\0') {
		s->argv[n++] = "--unlock";
		s->argv[n++] = s->unlock;
	}
	s->argv[n++] = "--admin";
	if (create)
		s->argv[n++] = "--create";
	s->argv[n] = NULL;
	return 0;
}

/* In the state directory, as under bastiond: the folders above it need not let the vault's user in. */
static int
vault_spawn_in(const char *state, const struct proc_spec *spec)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), pidfd = -1, r = 0;
	pid_t pid;

	if (here < 0 || chdir(state) != 0)
		r = -errno;
	else {
		r = proc_spawn(spec, &pid, &pidfd);
		if (fchdir(here) != 0 && r == 0)
			r = -errno;
	}
	fd_close(&here);
	fd_close(&pidfd);
	return r;
}

static int
vault_spawn(const char *state, const struct vault_start *s, int edge)
{
	struct proc_spec spec = { .exec_fd = -1, .name = KEYS_PROGRAM, .argv = s->argv };
	int fds[2] = { edge, s->unlock_fd };
	char libexec[PATH_MAX];
	struct stat st;
	int r;

	if ((r = proc_libexec_dir(libexec, sizeof(libexec))) != 0 ||
	    (r = proc_open(libexec, KEYS_PROGRAM, &spec.exec_fd)) != 0)
		return r;
	/* As root, what the vault writes must stay its own user's. */
	if (stat(s->dir, &st) == 0) {
		spec.uid = st.st_uid;
		spec.gid = st.st_gid;
	}
	spec.fds = fds;
	spec.n_fds = s->unlock_fd >= 0 ? 2 : 1;
	r = vault_spawn_in(state, &spec);
	fd_close(&spec.exec_fd);
	return r;
}

static int
vault_start_own(struct cmd_ctx *c, bool create, int *ret_fd)
{
	struct vault_start s;
	int pair[2] = { -1, -1 };
	int r;

	if ((r = vault_arguments(c, create, &s)) != 0)
		return cmd_fail(CMD_UNSURE, "vault: %s: %s", c->unlock, err_str(r));
	if ((r = ipc_pair(pair)) == 0 && (r = vault_spawn(c->state, &s, pair[1])) == 0 &&
	    (r = ipc_plain_hello(pair[0])) == 0) {
		*ret_fd = pair[0];
		pair[0] = -1;
	}
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	fd_close(&s.unlock_fd);
	if (r != 0)
		return cmd_fail(
		    CMD_UNSURE, "vault: %s cannot be started: %s", KEYS_PROGRAM, err_str(r));
	return CMD_YES;
}

/* A vault of our own that a passphrase seals is locked when it starts, and again for the next command. */
static int
vault_unlock_own(struct cmd_ctx *c, int fd)
{
	struct buf *request = buf_new(2 * PASSPHRASE_MAX);
	struct secret *phrase = NULL;
	char *text = NULL;
	int code;

	if (strcmp(c->unlock, "passphrase") != 0)
		code = CMD_YES;
	else if ((code = passphrase_ask("Passphrase of the vault", &phrase)) == CMD_YES &&
		 (request == NULL || buf_put_cstr(request, (const char *)secret_cptr(phrase)) != 0))
		code = cmd_fail(CMD_UNSURE, "out of memory");
	else if (code == CMD_YES)
		code = vault_ask(fd, KEYS_ADM_UNLOCK, request, -1, &text);
	free(text);
	secret_free(phrase);
	buf_free(request);
	return code;
}

int
vault_open(struct cmd_ctx *c, bool create, int *ret_fd)
{
	int broker = -1, code, r;

	if (create)
		return vault_start_own(c, true, ret_fd);
	r = ctl_connect(c->state, &broker);
	if (r == -ENOENT || r == -ECONNREFUSED) {
		if ((code = vault_start_own(c, false, ret_fd)) == CMD_YES &&
		    (code = vault_unlock_own(c, *ret_fd)) != CMD_YES)
			fd_close(ret_fd);
		return code;
	}
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "%s/control.sock: %s", c->state, err_str(r));
	code = ctl_command(broker, CTL_KEYS, NULL, 0, ret_fd);
	fd_close(&broker);
	if (code == CMD_YES && ipc_plain_hello(*ret_fd) != 0)
		code = cmd_fail(CMD_UNSURE, "vault: it does not answer; see bastionctl status");
	return code;
}

/* The fields of KEYS_ADM_REPLY. */
static int
vault_answer(const struct ipc_msg *msg, char **ret_text)
{
	struct buf *b = buf_view(msg->data, msg->len);
	char *text = NULL;
	const uint8_t *p;
	size_t len;
	uint8_t code;

	if (b == NULL || buf_get_u8(b, &code) != 0 || buf_get_str(b, &p, &len) != 0 ||
	    msg->type != KEYS_ADM_REPLY || code > CMD_UNSURE || (text = malloc(len + 1)) == NULL) {
		buf_free(b);
		return cmd_fail(CMD_UNSURE, "vault: an answer that was not understood");
	}
	memcpy(text, p, len);
	text[len] = '\0';
	buf_free(b);
	if (code != CMD_YES) {
		(void)cmd_fail(code, "%s", text);
		free(text);
		return code;
	}
	*ret_text = text;
	return CMD_YES;
}

int
vault_ask(int fd, uint16_t type, const struct buf *request, int pass_fd, char **ret_text)
{
	uint8_t *space = malloc(IPC_HEADER + IPC_MAX);
	struct ipc_msg msg;
	int code, r;

	if (space == NULL)
		return cmd_fail(CMD_UNSURE, "out of memory");
	r = ipc_plain_send(fd, type, 1, request != NULL ? buf_ptr(request) : NULL,
	    request != NULL ? buf_len(request) : 0, &pass_fd, pass_fd >= 0 ? 1 : 0);
	if (r == 0)
		r = ipc_plain_recv(fd, space, &msg, VAULT_WAIT_MS);
	if (r != 0) {
		/* A vault that could not start has said why on stderr. */
		code = cmd_fail(CMD_UNSURE, "vault: no answer: %s", err_str(r));
	} else {
		code = vault_answer(&msg, ret_text);
		ipc_msg_close(&msg);
	}
	free(space);
	return code;
}

int
vault_request(
    struct cmd_ctx *c, uint16_t type, const char *a, const char *b, int pass_fd, char **ret_text)
{
	struct buf *request = buf_new(4096);
	int fd = -1, code;

	if (request == NULL || (a != NULL && buf_put_cstr(request, a) != 0) ||
	    (b != NULL && buf_put_cstr(request, b) != 0))
		code = cmd_fail(CMD_USAGE, "%.40s: too long", a != NULL ? a : "");
	else if ((code = vault_open(c, false, &fd)) == CMD_YES)
		code = vault_ask(fd, type, request, pass_fd, ret_text);
	fd_close(&fd);
	buf_free(request);
	return code;
}
