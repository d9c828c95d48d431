/*
 * PAM itself: start, authenticate, account, in this order and once. Modules may do anything to this process; so it holds
 * nothing that is not theirs, and what it sends is judged where it arrives.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <security/pam_appl.h>
#include <sodium.h>

#include "bastiond/auth/stack.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define MUST_CHANGE                                                                                \
	"Your password has to be changed before you can log in. That is not possible through the " \
	"bastion."

struct stack {
	int fd;
	pam_handle_t *pamh;
	const char *said; /* borrowed, static */
	char service[64], confdir[PATH_MAX];
	char user[STACK_NAME_MAX], source[STACK_NAME_MAX], target[STACK_NAME_MAX];
	char reference[STACK_NAME_MAX], identity[STACK_NAME_MAX];
	char changed[STACK_NAME_MAX]; /* PAM_USER after authenticate */
	uint8_t in[IPC_HEADER + IPC_MAX];
};

/* The next message of this type; the other half is the one who ends waiting. */
static int
stack_recv(struct stack *s, uint16_t type, struct ipc_msg *ret_msg)
{
	int r;

	do
		r = ipc_plain_recv(s->fd, s->in, ret_msg, INT_MAX);
	while (r == -ETIMEDOUT);
	return r == 0 && ret_msg->type != type ? ERR_ORDER : r;
}

static int
stack_send_buf(struct stack *s, uint16_t type, const struct buf *b)
{
	return ipc_plain_send(s->fd, type, 0, buf_ptr(b), buf_len(b), NULL, 0);
}

/* The conversation. */

static bool
is_prompt(const struct pam_message *m)
{
	return m->msg_style == PAM_PROMPT_ECHO_OFF || m->msg_style == PAM_PROMPT_ECHO_ON;
}

/* 0: a style that no terminal has. */
static uint8_t
style_of(const struct pam_message *m)
{
	static const struct {
		int pam;
		uint8_t style;
	} styles[] = { { PAM_PROMPT_ECHO_OFF, STACK_HIDDEN }, { PAM_PROMPT_ECHO_ON, STACK_ECHOED },
		{ PAM_ERROR_MSG, STACK_ERROR }, { PAM_TEXT_INFO, STACK_INFO } };

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
		if (styles[i].pam == m->msg_style)
			return styles[i].style;
	return 0;
}

/* More than is ever shown is not carried over; a byte more than that, so that the cut is seen. */
static int
put_message(struct buf *b, const struct pam_message *m, size_t *left)
{
	const char *text = m->msg != NULL ? m->msg : "";
	size_t max = *left < AUTH_TEXT_MAX + 1 ? *left : AUTH_TEXT_MAX + 1;
	size_t len = strnlen(text, max);
	int r = buf_put_u8(b, style_of(m));

	*left -= len;
	return r != 0 ? r : buf_put_str(b, text, len);
}

/* Copies of the answers for those of the n that are prompts. 0; negative, what was copied stays in resp. */
static int
take_answers(
    const struct ipc_msg *msg, const struct pam_message **m, int n, struct pam_response *resp)
{
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t n_answers;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = buf_get_u32(b, &n_answers);
	for (int i = 0; r == 0 && i < n; i++) {
		const uint8_t *p;
		size_t len;

		if (!is_prompt(m[i]) || (r = buf_get_str(b, &p, &len)) != 0)
			continue;
		if ((resp[i].resp = calloc(1, len + 1)) == NULL)
			r = -ENOMEM;
		else
			memcpy(resp[i].resp, p, len);
	}
	buf_free(b);
	return r;
}

/* One question: what is in it is shown together. */
static int
ask(struct stack *s, const struct pam_message **m, int n, struct pam_response *resp)
{
	struct buf *b = buf_new(IPC_MAX);
	struct ipc_msg answer = { .len = 0 };
	size_t left = STACK_TEXTS_MAX;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = buf_put_u32(b, (uint32_t)n);
	for (int i = 0; r == 0 && i < n; i++)
		r = put_message(b, m[i], &left);
	if (r == 0 && (r = stack_send_buf(s, STACK_ASK, b)) == 0 &&
	    (r = stack_recv(s, STACK_ANSWER, &answer)) == 0)
		r = take_answers(&answer, m, n, resp);
	ipc_msg_close(&answer);
	sodium_memzero(s->in, sizeof(s->in));
	buf_free(b);
	return r;
}

/* How many of the n messages fit into one question. */
static int
batch(const struct pam_message **m, int n)
{
	unsigned prompts = 0;
	int i;

	for (i = 0; i < n && prompts + is_prompt(m[i]) <= AUTH_PROMPTS_MAX; i++)
		prompts += is_prompt(m[i]);
	return i;
}

static void
free_answers(struct pam_response *resp, int n)
{
	for (int i = 0; i < n; i++)
		if (resp[i].resp != NULL) {
			sodium_memzero(resp[i].resp, strlen(resp[i].resp));
			free(resp[i].resp);
		}
	free(resp);
}

static int
converse(int n, const struct pam_message **m, struct pam_response **ret_resp, void *arg)
{
	struct stack *s = arg;
	struct pam_response *resp;
	int used;

	if (n <= 0 || n > PAM_MAX_NUM_MSG || m == NULL || ret_resp == NULL)
		return PAM_CONV_ERR;
	for (int i = 0; i < n; i++)
		if (m[i] == NULL || style_of(m[i]) == 0)
			return PAM_CONV_ERR;
	if ((resp = calloc((size_t)n, sizeof(*resp))) == NULL)
		return PAM_BUF_ERR;
	for (int at = 0; at < n; at += used) {
		used = batch(m + at, n - at);
		if (ask(s, m + at, used, resp + at) != 0) {
			free_answers(resp, n);
			return PAM_CONV_ERR;
		}
	}
	*ret_resp = resp; /* the module's, to wipe and to free */
	return PAM_SUCCESS;
}

static void
say(struct stack *s, const char *text)
{
	const struct pam_message line = { .msg_style = PAM_ERROR_MSG, .msg = text }, *m = &line;
	struct pam_response *resp = NULL;

	if (converse(1, &m, &resp, s) == PAM_SUCCESS)
		free_answers(resp, 1);
}

/* The order. */

static int
take_order(struct stack *s, const struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t port;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_cstr(b, s->service, sizeof(s->service))) == 0 &&
	    (r = buf_get_cstr(b, s->confdir, sizeof(s->confdir))) == 0 &&
	    (r = buf_get_cstr(b, s->user, sizeof(s->user))) == 0 &&
	    (r = buf_get_cstr(b, s->source, sizeof(s->source))) == 0 &&
	    (r = buf_get_u32(b, &port)) == 0 &&
	    (r = buf_get_cstr(b, s->target, sizeof(s->target))) == 0 &&
	    (r = buf_get_cstr(b, s->reference, sizeof(s->reference))) == 0)
		r = buf_get_cstr(b, s->identity, sizeof(s->identity));
	buf_free(b);
	return r;
}

/* Opened as PAM will: a file that is there and cannot be read (its mode, or where a link of that name leads) is none to PAM. */
static bool
is_file(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	bool is;
	int fd;

	if (str_format(path, sizeof(path), "%s/%s", dir, name) != 0 ||
	    (fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0)
		return false;
	is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	fd_close(&fd);
	return is;
}

/* PAM itself would take the service "other", which nobody has meant for this. */
static bool
service_exists(const struct stack *s)
{
	static const char *const dirs[] = { "/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d" };

	if (s->confdir[0] != '\0')
		return is_file(s->confdir, s->service);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (is_file(dirs[i], s->service))
			return true;
	return false;
}

static int
set_variable(struct stack *s, const char *name, const char *value)
{
	char text[STACK_NAME_MAX + 32];

	if (value[0] == '\0')
		return PAM_SUCCESS;
	if (str_format(text, sizeof(text), "%s=%s", name, value) != 0)
		return PAM_BUF_ERR;
	return pam_putenv(s->pamh, text);
}

static int
start(struct stack *s)
{
	const struct pam_conv conv = { .conv = converse, .appdata_ptr = s };
	const char *user = s->user[0] != '\0' ? s->user : NULL;
	int e;

	if (s->confdir[0] == '\0')
		e = pam_start(s->service, user, &conv, &s->pamh);
	else
#ifdef HAVE_PAM_START_CONFDIR
		e = pam_start_confdir(s->service, user, &conv, s->confdir, &s->pamh);
#else
		e = PAM_SYSTEM_ERR;
#endif
	if (e != PAM_SUCCESS || (e = pam_set_item(s->pamh, PAM_TTY, "ssh")) != PAM_SUCCESS ||
	    (e = pam_set_item(s->pamh, PAM_RHOST, s->source)) != PAM_SUCCESS ||
	    (e = set_variable(s, "BASTION_SOURCE", s->source)) != PAM_SUCCESS ||
	    (e = set_variable(s, "BASTION_TARGET", s->target)) != PAM_SUCCESS ||
	    (e = set_variable(s, "BASTION_REFERENCE", s->reference)) != PAM_SUCCESS)
		return e;
	return set_variable(s, "BASTION_IDENTITY", s->identity);
}

/* The outcome. */

/* What each of PAM's answers means in the two stages; the rest: the stack could not decide. */
static const struct {
	int pam;
	uint8_t authenticate, account;
} meanings[] = {
	{ PAM_SUCCESS, POL_PAM_OK, POL_PAM_OK },
	{ PAM_AUTH_ERR, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_PERM_DENIED, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_USER_UNKNOWN, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_MAXTRIES, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_CRED_INSUFFICIENT, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_ACCT_EXPIRED, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_CRED_EXPIRED, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_AUTHTOK_EXPIRED, POL_PAM_DENIED, POL_PAM_ACCOUNT },
	{ PAM_NEW_AUTHTOK_REQD, POL_PAM_ACCOUNT, POL_PAM_ACCOUNT },
};

static uint8_t
meaning(int e, bool account)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].pam == e)
			return account ? meanings[i].account : meanings[i].authenticate;
	return POL_PAM_BROKEN;
}

static const char *
current_user(const struct stack *s)
{
	const void *user = NULL;

	if (s->pamh == NULL || pam_get_item(s->pamh, PAM_USER, &user) != PAM_SUCCESS ||
	    user == NULL)
		return "";
	return user;
}

static const char *
variable(const struct stack *s, const char *name)
{
	const char *value = s->pamh != NULL ? pam_getenv(s->pamh, name) : NULL;

	return value != NULL ? value : "";
}

static int
put_bounded(struct buf *b, const char *text, size_t max)
{
	return buf_put_str(b, text, strnlen(text, max));
}

static void
tell(struct stack *s, uint8_t kind)
{
	struct buf *b = buf_new(IPC_MAX);

	/* Unsaid, it is an end without an outcome, and nobody is let in. A byte more than is allowed is seen as that. */
	if (b == NULL || buf_put_u8(b, kind) != 0 || put_bounded(b, s->said, STACK_NAME_MAX) != 0 ||
	    put_bounded(b, current_user(s), STACK_NAME_MAX + 1) != 0 ||
	    put_bounded(b, variable(s, "BASTION_GROUPS"), STACK_GROUPS_MAX + 1) != 0 ||
	    put_bounded(b, variable(s, "BASTION_SUBJECT"), STACK_NAME_MAX + 1) != 0 ||
	    stack_send_buf(s, STACK_RESULT, b) != 0)
		_exit(1);
	buf_free(b);
}

static void
enter(struct stack *s, uint8_t stage)
{
	if (ipc_plain_send(s->fd, STACK_STAGE, 0, &stage, 1, NULL, 0) != 0)
		_exit(1);
}

/* A user name that the second stage changes once more is nobody's: the outcome names one. */
static bool
user_is_settled(const struct stack *s)
{
	return strcmp(s->changed, current_user(s)) == 0;
}

static uint8_t
run(struct stack *s)
{
	uint8_t kind;
	int e;

	if (!service_exists(s)) {
		s->said = "there is no such PAM service, or its file cannot be read";
		return POL_PAM_BROKEN;
	}
	e = start(s);
	s->said = pam_strerror(s->pamh, e);
	if (e != PAM_SUCCESS)
		return POL_PAM_BROKEN;
	enter(s, STACK_AUTHENTICATES);
	e = pam_authenticate(s->pamh, PAM_DISALLOW_NULL_AUTHTOK);
	s->said = pam_strerror(s->pamh, e);
	kind = meaning(e, false);
	if (kind == POL_PAM_OK) {
		if (str_copy(s->changed, sizeof(s->changed), current_user(s)) != 0) {
			s->said = "PAM_USER is too long";
			return POL_PAM_BROKEN;
		}
		enter(s, STACK_ACCOUNT);
		e = pam_acct_mgmt(s->pamh, PAM_DISALLOW_NULL_AUTHTOK);
		s->said = pam_strerror(s->pamh, e);
		kind = meaning(e, true);
	}
	if (e == PAM_NEW_AUTHTOK_REQD)
		say(s, MUST_CHANGE);
	if (kind == POL_PAM_OK && !user_is_settled(s)) {
		s->said = "PAM_USER was changed by the account stage";
		return POL_PAM_BROKEN;
	}
	return kind;
}

void
stack_run(int fd)
{
	static struct stack s;
	struct ipc_msg msg;
	uint8_t kind;

	s.fd = fd;
	s.said = "";
	if (ipc_plain_hello(fd) != 0 || stack_recv(&s, STACK_START, &msg) != 0 ||
	    take_order(&s, &msg) != 0)
		_exit(1);
	kind = run(&s);
	tell(&s, kind);
	if (s.pamh != NULL)
		(void)pam_end(s.pamh, kind == POL_PAM_OK ? PAM_SUCCESS : PAM_AUTH_ERR);
	/* Not exit(): what modules have left to be called then is not called in a process that began as another. */
	_exit(0);
}
