/*
 * pam_bastion_oidc.so: the module as PAM sees it. Arguments: config=FILE, set_user, qr. The only file that includes PAM's headers.
 * It logs through PAM to syslog; what it shows goes through the program's conversation, one call for each text, so that programs which
 * pass texts on at once (bastiond) show the link at once.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define PAM_SM_AUTH
#include <security/pam_ext.h>
#include <security/pam_modules.h>

#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_login.h"
#include "lib/str.h"

#define MESSAGE_LEN 480u /* bytes of lines in one message; PAM_MAX_MSG_SIZE is 512 */
#define MESSAGES_MAX 32	 /* PAM_MAX_NUM_MSG */
#define N(a) (sizeof(a) / sizeof((a)[0]))

struct module {
	pam_handle_t *pamh;
	const char *config; /* NULL: none was given */
	bool set_user, qr;
	bool rounds; /* each round of the conversation asks whether the person is there */
};

static const struct {
	enum oidc_end end;
	int pam;
	int level;
} ends[] = {
	{ OIDC_END_SETUP, PAM_AUTHINFO_UNAVAIL, LOG_ERR },
	{ OIDC_END_UNREACHABLE, PAM_AUTHINFO_UNAVAIL, LOG_ERR },
	{ OIDC_END_PROVIDER, PAM_AUTHINFO_UNAVAIL, LOG_ERR },
	{ OIDC_END_SYSTEM, PAM_AUTHINFO_UNAVAIL, LOG_ERR },
	{ OIDC_END_LIMIT, PAM_MAXTRIES, LOG_WARNING },
	{ OIDC_END_LEFT, PAM_CONV_ERR, LOG_NOTICE },
};

/* n messages, n answers. answers: freed by the caller, may be NULL. 0; ERR_PEER_GONE. */
static int
converse(
    struct module *m, const struct pam_message *messages, int n, struct pam_response **ret_answers)
{
	const struct pam_message *list[MESSAGES_MAX];
	const void *item;
	const struct pam_conv *conv;

	*ret_answers = NULL;
	if (pam_get_item(m->pamh, PAM_CONV, &item) != PAM_SUCCESS || item == NULL)
		return ERR_PEER_GONE;
	conv = item;
	if (conv->conv == NULL)
		return ERR_PEER_GONE;
	for (int i = 0; i < n; i++)
		list[i] = &messages[i];
	return conv->conv(n, list, ret_answers, conv->appdata_ptr) == PAM_SUCCESS ? 0
										  : ERR_PEER_GONE;
}

static void
free_answers(struct pam_response *answers, int n)
{
	for (int i = 0; answers != NULL && i < n; i++)
		if (answers[i].resp != NULL) {
			explicit_bzero(answers[i].resp, strlen(answers[i].resp));
			free(answers[i].resp);
		}
	free(answers);
}

/* How many bytes of text go into the next message: whole lines, at least one. */
static size_t
lines_len(const char *text)
{
	size_t len = 0;

	for (;;) {
		size_t line = strcspn(text + len, "\n");

		if (len > 0 && len + line > MESSAGE_LEN)
			return len;
		len += line;
		if (text[len] == '\0')
			return len;
		len++;
		if (text[len] == '\0')
			return len;
	}
}

static int
say_as(struct module *m, int style, const char *text)
{
	struct pam_message messages[MESSAGES_MAX];
	char *parts[MESSAGES_MAX] = { NULL };
	struct pam_response *answers = NULL;
	int n = 0, r = 0;

	do {
		size_t len = lines_len(text), shown = len;

		/* Whoever shows a message ends its line. */
		if (shown > 0 && text[shown - 1] == '\n')
			shown--;
		if (n == MESSAGES_MAX || (parts[n] = strndup(text, shown)) == NULL) {
			r = n == MESSAGES_MAX ? ERR_LIMIT : -ENOMEM;
			break;
		}
		messages[n] = (struct pam_message){ .msg_style = style, .msg = parts[n] };
		n++;
		text += len;
	} while (*text != '\0');
	if (r == 0)
		r = converse(m, messages, n, &answers);
	free_answers(answers, n);
	for (int i = 0; i < n; i++)
		free(parts[i]);
	return r;
}

static int
module_say(void *arg, const char *text)
{
	return say_as(arg, PAM_TEXT_INFO, text);
}

static int
module_alive(void *arg)
{
	struct module *m = arg;

	return m->rounds ? say_as(m, PAM_TEXT_INFO, "") : 0;
}

static int
module_ask(void *arg, const char *prompt, char *ret_answer, size_t size)
{
	const struct pam_message message = { .msg_style = PAM_PROMPT_ECHO_ON, .msg = prompt };
	struct pam_response *answers;
	int r = converse(arg, &message, 1, &answers);

	/* What does not fit is not the answer. */
	if (r == 0 && (answers == NULL || answers[0].resp == NULL ||
			  str_copy(ret_answer, size, answers[0].resp) != 0))
		ret_answer[0] = '\0';
	free_answers(answers, 1);
	return r;
}

static void
module_log(void *arg, bool warn, const char *text)
{
	struct module *m = arg;

	pam_syslog(m->pamh, warn ? LOG_WARNING : LOG_NOTICE, "%s", text);
}

static int
take_arguments(struct module *m, int argc, const char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (str_starts(argv[i], "config="))
			m->config = argv[i] + strlen("config=");
		else if (strcmp(argv[i], "set_user") == 0)
			m->set_user = true;
		else if (strcmp(argv[i], "qr") == 0)
			m->qr = true;
		else {
			pam_syslog(m->pamh, LOG_ERR,
			    "unknown argument %s: config=FILE, set_user and qr are known", argv[i]);
			return ERR_FORMAT;
		}
	}
	if (m->config == NULL)
		pam_syslog(m->pamh, LOG_ERR, "argument config=FILE is missing");
	return m->config != NULL ? 0 : ERR_FORMAT;
}

/* A text that the program gave us, or "". */
static const char *
item_text(struct module *m, int which)
{
	const void *item = NULL;

	return pam_get_item(m->pamh, which, &item) == PAM_SUCCESS && item != NULL ? item : "";
}

static int
put_env(struct module *m, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 2;
	char *text = malloc(size);
	int r = PAM_BUF_ERR;

	if (text != NULL && str_format(text, size, "%s=%s", name, value) == 0)
		r = pam_putenv(m->pamh, text);
	free(text);
	return r;
}

/* Tell the program who it is. */
static int
hand_over(struct module *m, const struct oidc_person *p)
{
	int r = PAM_SUCCESS;

	if (m->set_user)
		r = pam_set_item(m->pamh, PAM_USER, p->name);
	if (r == PAM_SUCCESS && p->groups[0] != '\0')
		r = put_env(m, "BASTION_GROUPS", p->groups);
	if (r == PAM_SUCCESS)
		r = put_env(m, "BASTION_SUBJECT", p->subject);
	pam_syslog(m->pamh, LOG_INFO, "%s proved by %s", p->name, p->subject);
	return r;
}

static int
tell_end(struct module *m, const struct oidc_why *why, const char *user)
{
	int pam = PAM_AUTH_ERR, level = LOG_NOTICE;

	for (size_t i = 0; i < N(ends); i++)
		if (ends[i].end == why->end) {
			pam = ends[i].pam;
			level = ends[i].level;
		}
	pam_syslog(m->pamh, level, "%s: %s", user, why->text);
	if (why->end != OIDC_END_LEFT)
		(void)say_as(
		    m, PAM_ERROR_MSG, oidc_end_text(why->end)); /* who hears it, hears it */
	return pam;
}

static int
login(struct module *m, const struct oidc_conf *conf, const char *user)
{
	struct oidc_person *person = calloc(1, sizeof(*person));
	const struct oidc_talk talk = { m, module_say, module_ask, module_alive, module_log };
	char here[256] = "", plain[OIDC_NAME_SIZE];
	const char *target = pam_getenv(m->pamh, "BASTION_TARGET");
	struct oidc_why why = { .end = OIDC_END_SYSTEM };
	struct oidc_ask ask = {
		.person = user, .source = item_text(m, PAM_RHOST), .any = m->set_user, .qr = m->qr
	};
	int r;

	if (person == NULL)
		return PAM_BUF_ERR;
	if (gethostname(here, sizeof(here) - 1) != 0)
		here[0] = '\0';
	ask.host = target != NULL && target[0] != '\0' ? target : here;
	if (oidc_login(conf, &ask, &talk, person, &why) == 0)
		r = hand_over(m, person);
	else
		r = tell_end(m, &why, str_plain(plain, sizeof(plain), user, strlen(user)));
	free(person);
	return r;
}

int
pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct module m = { .pamh = pamh };
	struct oidc_conf *conf = calloc(1, sizeof(*conf));
	struct conf_err err;
	const char *user;
	int r;

	(void)flags;
	if (conf == NULL)
		return PAM_BUF_ERR;
	m.rounds = pam_getenv(pamh, "BASTION_REFERENCE") != NULL;
	if ((r = pam_get_user(pamh, &user, NULL)) != PAM_SUCCESS)
		goto out;
	if (take_arguments(&m, argc, argv) != 0) {
		r = tell_end(&m, &(struct oidc_why){ OIDC_END_SETUP, "arguments" }, "setup");
	} else if (oidc_conf_read(m.config, conf, &err) != 0) {
		struct oidc_why why;

		(void)oidc_why(&why, OIDC_END_SETUP, 0, "%s", err.text);
		r = tell_end(&m, &why, "setup");
	} else {
		r = login(&m, conf, user);
		oidc_conf_done(conf);
	}
out:
	free(conf);
	return r;
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
