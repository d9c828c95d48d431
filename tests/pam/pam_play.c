/*
 * A PAM module for tests only, never installed: it does what its arguments say, one after the other, well or badly. Its file is
 * named in a service file by its full path; an argument with blanks stands in brackets: auth required .../pam_play.so [info:a b]
 */
#include <sys/file.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <security/pam_modules.h>

#define GO_ON (-1)
#define PLAY_MEGABYTE (1 << 20)

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv);
int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv);
int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv);

static int
talk(pam_handle_t *pamh, int n, const struct pam_message *m, struct pam_response **ret)
{
	const struct pam_message *list[64];
	const void *item = NULL;
	const struct pam_conv *conv;

	if (pam_get_item(pamh, PAM_CONV, &item) != PAM_SUCCESS || item == NULL || n > 64)
		return PAM_SYSTEM_ERR;
	conv = item;
	for (int i = 0; i < n; i++)
		list[i] = &m[i];
	return conv->conv(n, list, ret, conv->appdata_ptr);
}

static int
one(pam_handle_t *pamh, int style, const char *text, char **ret_answer)
{
	const struct pam_message m = { .msg_style = style, .msg = text };
	struct pam_response *resp = NULL;
	int e = talk(pamh, 1, &m, &resp);

	if (e != PAM_SUCCESS)
		return e;
	if (ret_answer != NULL)
		*ret_answer = resp[0].resp;
	else
		free(resp[0].resp);
	free(resp);
	return PAM_SUCCESS;
}

static int
info(pam_handle_t *pamh, const char *text)
{
	int e = one(pamh, PAM_TEXT_INFO, text, NULL);

	return e == PAM_SUCCESS ? GO_ON : e;
}

static int
fault(pam_handle_t *pamh, const char *text)
{
	int e = one(pamh, PAM_ERROR_MSG, text, NULL);

	return e == PAM_SUCCESS ? GO_ON : e;
}

/* PROMPT=EXPECTED: another answer is a wrong one. */
static int
prompt(pam_handle_t *pamh, int style, const char *text)
{
	const char *want = strrchr(text, '=');
	char question[256], *answer = NULL;
	int e;

	if (want == NULL || (size_t)(want - text) >= sizeof(question))
		return PAM_SYSTEM_ERR;
	memcpy(question, text, (size_t)(want - text));
	question[want - text] = '\0';
	if ((e = one(pamh, style, question, &answer)) != PAM_SUCCESS)
		return e;
	e = answer != NULL && strcmp(answer, want + 1) == 0 ? GO_ON : PAM_AUTH_ERR;
	free(answer);
	return e;
}

static int
hidden(pam_handle_t *pamh, const char *text)
{
	return prompt(pamh, PAM_PROMPT_ECHO_OFF, text);
}

static int
echoed(pam_handle_t *pamh, const char *text)
{
	return prompt(pamh, PAM_PROMPT_ECHO_ON, text);
}

/* So many prompts in one call, with a text before and one behind: the answers are "0", "1", ... */
static int
several(pam_handle_t *pamh, const char *text)
{
	static char names[64][32];
	struct pam_message m[64];
	struct pam_response *resp = NULL;
	int n = 1, e, good = GO_ON;

	m[0] = (struct pam_message){ PAM_TEXT_INFO, "before" };
	for (int i = 0; n < 63 && i < text[0] - '0' + 10 * (text[1] - '0'); i++, n++) {
		snprintf(names[n], sizeof(names[n]), "%d: ", i);
		m[n] = (struct pam_message){ i % 2 == 0 ? PAM_PROMPT_ECHO_OFF : PAM_PROMPT_ECHO_ON,
			names[n] };
	}
	m[n++] = (struct pam_message){ PAM_ERROR_MSG, "behind" };
	if ((e = talk(pamh, n, m, &resp)) != PAM_SUCCESS)
		return e;
	for (int i = 0; i < n; i++) {
		char want[16];

		snprintf(want, sizeof(want), "%d", i - 1);
		if ((i == 0 || i == n - 1) != (resp[i].resp == NULL) ||
		    (resp[i].resp != NULL && strcmp(resp[i].resp, want) != 0))
			good = PAM_AUTH_ERR;
		free(resp[i].resp);
	}
	free(resp);
	return good;
}

static int
rounds(pam_handle_t *pamh, const char *text)
{
	char line[32];
	int n = atoi(text), e = GO_ON;

	for (int i = 0; e == GO_ON && i < n; i++) {
		snprintf(line, sizeof(line), "round %d", i);
		e = info(pamh, line);
	}
	return e;
}

static int
user(pam_handle_t *pamh, const char *text)
{
	return pam_set_item(pamh, PAM_USER, text) == PAM_SUCCESS ? GO_ON : PAM_SYSTEM_ERR;
}

static int
put(pam_handle_t *pamh, const char *text)
{
	return pam_putenv(pamh, text) == PAM_SUCCESS ? GO_ON : PAM_SYSTEM_ERR;
}

/* NAME, so many times: NAME=item,item,... */
static int
put_many(pam_handle_t *pamh, const char *text)
{
	static char all[256 * 1024];
	int n = atoi(strchr(text, ':') + 1);
	size_t at = (size_t)snprintf(all, sizeof(all), "%.*s=", (int)strcspn(text, ":"), text);

	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "group%06d,", i);
	return put(pamh, all);
}

/* What a module finds: variables of the transaction, items, the environment. */
static int
show(pam_handle_t *pamh, const char *name)
{
	static const struct {
		const char *name;
		int item;
	} items[] = { { "PAM_RHOST", PAM_RHOST }, { "PAM_TTY", PAM_TTY }, { "PAM_USER", PAM_USER },
		{ "PAM_SERVICE", PAM_SERVICE } };
	const char *value = pam_getenv(pamh, name);
	char line[1200];

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		const void *p = NULL;

		if (strcmp(items[i].name, name) == 0 &&
		    pam_get_item(pamh, items[i].item, &p) == PAM_SUCCESS)
			value = p;
	}
	if (value == NULL)
		value = getenv(name);
	snprintf(line, sizeof(line), "%s is %s", name, value != NULL ? value : "not set");
	return info(pamh, line);
}

static int
give(pam_handle_t *pamh, const char *text)
{
	(void)pamh;
	return atoi(text);
}

static int
crash(pam_handle_t *pamh, const char *text)
{
	(void)pamh;
	(void)text;
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
	return PAM_SUCCESS;
}

static int
leave(pam_handle_t *pamh, const char *text)
{
	(void)pamh;
	exit(atoi(text));
}

static int __attribute__((noreturn)) hang(pam_handle_t *pamh, const char *text)
{
	(void)pamh;
	(void)text;
	for (;;)
		pause();
}

/*
 * A grandchild that stays, "own:FILE" in a session of its own, "same:FILE" in ours: as long as one of us lives, FILE is locked.
 */
static int
leave_child(pam_handle_t *pamh, const char *text)
{
	const char *file = strchr(text, ':');
	pid_t pid;
	int fd;

	if (file == NULL || (fd = open(file + 1, O_RDWR | O_CREAT, 0600)) < 0 ||
	    flock(fd, LOCK_EX) != 0 || (pid = fork()) < 0)
		return PAM_SYSTEM_ERR;
	if (pid == 0) {
		if (fork() != 0)
			_exit(0);
		if (text[0] == 'o')
			(void)setsid();
		for (;;)
			pause();
	}
	return info(pamh, "left a child");
}

static int
megabyte(pam_handle_t *pamh, const char *text)
{
	char *big = malloc(PLAY_MEGABYTE + 1);
	int e;

	if (big == NULL)
		return PAM_BUF_ERR;
	memset(big, text[0] != '\0' ? text[0] : 'x', PLAY_MEGABYTE);
	big[PLAY_MEGABYTE] = '\0';
	e = info(pamh, big);
	free(big);
	return e;
}

static int
noise(pam_handle_t *pamh, const char *text)
{
	(void)pamh;
	(void)text;
	for (int i = 0; i < PLAY_MEGABYTE / 64; i++)
		if (fprintf(i % 2 == 0 ? stdout : stderr, "%064d", i) < 0)
			break;
	(void)fflush(stdout);
	return GO_ON;
}

/* All of them, also the one that the conversation runs over. */
static int
close_all(pam_handle_t *pamh, const char *text)
{
	(void)pamh;
	(void)text;
	for (int fd = 0; fd < 1024; fd++)
		(void)close(fd);
	return GO_ON;
}

/* Nothing is open but what has to be: standard descriptors and one socket. */
static int
count_fds(pam_handle_t *pamh, const char *text)
{
	char line[64];
	int n = 0;

	(void)text;
	for (int fd = 0; fd < 1024; fd++) {
		int copy = dup(fd);

		if (copy >= 0) {
			n++;
			(void)close(copy);
		}
	}
	snprintf(line, sizeof(line), "%d descriptors", n);
	return info(pamh, line);
}

static int
binary(pam_handle_t *pamh, const char *text)
{
	return one(pamh, PAM_BINARY_PROMPT, text, NULL);
}

static int
hex(pam_handle_t *pamh, const char *text)
{
	char line[256];
	size_t n = 0;

	for (; text[0] != '\0' && text[1] != '\0' && n + 1 < sizeof(line); text += 2) {
		const char digits[3] = { text[0], text[1], '\0' };

		line[n++] = (char)strtoul(digits, NULL, 16);
	}
	line[n] = '\0';
	return info(pamh, line);
}

static int
kill_parent(pam_handle_t *pamh, const char *text)
{
	(void)text;
	return info(pamh, kill(getppid(), 0) == 0 ? "parent reached" : "parent out of reach");
}

static int
try_open(pam_handle_t *pamh, const char *text)
{
	char line[256];
	int fd = open(text, O_RDONLY | O_CLOEXEC);

	snprintf(line, sizeof(line), "%s%s%s", text, fd >= 0 ? " opens" : ": ",
	    fd >= 0 ? "" : strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return info(pamh, line);
}

static int
try_run(pam_handle_t *pamh, const char *text)
{
	char line[256];
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl(text, text, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return PAM_SYSTEM_ERR;
	snprintf(line, sizeof(line), "%s %s", text, status == 0 ? "runs" : "does not run");
	return info(pamh, line);
}

static const struct {
	const char *verb;
	int (*act)(pam_handle_t *pamh, const char *text);
} verbs[] = {
	{ "info:", info },
	{ "error:", fault },
	{ "hidden:", hidden },
	{ "echo:", echoed },
	{ "several:", several },
	{ "rounds:", rounds },
	{ "user:", user },
	{ "env:", put },
	{ "env-many:", put_many },
	{ "show:", show },
	{ "return:", give },
	{ "crash:", crash },
	{ "exit:", leave },
	{ "hang:", hang },
	{ "child:", leave_child },
	{ "megabyte:", megabyte },
	{ "noise:", noise },
	{ "close:", close_all },
	{ "count:", count_fds },
	{ "binary:", binary },
	{ "hex:", hex },
	{ "parent:", kill_parent },
	{ "open:", try_open },
	{ "run:", try_run },
};

static int
play(pam_handle_t *pamh, int argc, const char **argv)
{
	for (int i = 0; i < argc; i++) {
		int e = PAM_SYSTEM_ERR;

		for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++)
			if (strncmp(argv[i], verbs[k].verb, strlen(verbs[k].verb)) == 0) {
				e = verbs[k].act(pamh, argv[i] + strlen(verbs[k].verb));
				break;
			}
		if (e != GO_ON)
			return e;
	}
	return PAM_SUCCESS;
}

int
pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return play(pamh, argc, argv);
}

int
pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}

int
pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return play(pamh, argc, argv);
}
