/*
 * A program that asks PAM, for tests: bastion-pam CONFDIR SERVICE USER [RHOST [NAME=VALUE...]]. Lines of standard input are the answers
 * to prompts; "gone" stands for somebody who leaves at the next round. On standard output: each message as it comes, then the result,
 * PAM_USER, and what modules put into the environment. What is logged goes to standard error.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <security/pam_appl.h>

#define ROUNDS_MAX 400

static int rounds;

/* The modules' syslog(3), with and without _FORTIFY_SOURCE. */
void syslog(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void __syslog_chk(int level, int flag, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void __attribute__((format(printf, 2, 0))) log_line(int level, const char *fmt, va_list ap)
{
	(void)fprintf(stderr, "log %d: ", level & 7);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
}

void
syslog(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(level, fmt, ap);
	va_end(ap);
}

void
__syslog_chk(int level, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	log_line(level, fmt, ap);
	va_end(ap);
}

static char *
read_answer(void)
{
	char line[4096];

	if (fgets(line, sizeof(line), stdin) == NULL)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return strdup(line);
}

/* One message; an answer where one is wanted. 0; -1. */
static int
converse_one(const struct pam_message *m, struct pam_response *answer)
{
	const char *kind = m->msg_style == PAM_TEXT_INFO   ? "info"
			   : m->msg_style == PAM_ERROR_MSG ? "error"
							   : "ask";

	if (m->msg[0] == '\0' && m->msg_style == PAM_TEXT_INFO)
		return rounds++ < ROUNDS_MAX && getenv("GONE") == NULL ? 0 : -1;
	printf("%s: %s\n", kind, m->msg);
	(void)fflush(stdout);
	if (strcmp(kind, "ask") != 0)
		return 0;
	answer->resp = read_answer();
	return answer->resp != NULL ? 0 : -1;
}

static int
converse(int n, const struct pam_message **messages, struct pam_response **ret_answers, void *arg)
{
	struct pam_response *answers;

	(void)arg;
	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	if ((answers = calloc((size_t)n, sizeof(*answers))) == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++)
		if (converse_one(messages[i], &answers[i]) != 0) {
			for (int k = 0; k <= i; k++)
				free(answers[k].resp);
			free(answers);
			return PAM_CONV_ERR;
		}
	*ret_answers = answers;
	return PAM_SUCCESS;
}

static void
show_end(pam_handle_t *pamh, int result)
{
	const void *user = NULL;
	char **env = pam_getenvlist(pamh);

	printf("result: %s\n", pam_strerror(pamh, result));
	if (pam_get_item(pamh, PAM_USER, &user) == PAM_SUCCESS && user != NULL)
		printf("user: %s\n", (const char *)user);
	for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
		printf("env: %s\n", env[i]);
		free(env[i]);
	}
	free(env);
	printf("rounds: %d\n", rounds);
}

int
main(int argc, char **argv)
{
	const struct pam_conv conv = { converse, NULL };
	pam_handle_t *pamh = NULL;
	int r;

	if (argc < 4) {
		(void)fprintf(
		    stderr, "usage: bastion-pam CONFDIR SERVICE USER [RHOST [NAME=VALUE...]]\n");
		return 2;
	}
	r = pam_start_confdir(argv[2], argv[3], &conv, argv[1], &pamh);
	if (r == PAM_SUCCESS && argc > 4)
		r = pam_set_item(pamh, PAM_RHOST, argv[4]);
	for (int i = 5; r == PAM_SUCCESS && i < argc; i++)
		r = pam_putenv(pamh, argv[i]);
	if (r == PAM_SUCCESS)
		r = pam_authenticate(pamh, 0);
	if (pamh != NULL) {
		show_end(pamh, r);
		(void)pam_end(pamh, r);
	}
	return r == PAM_SUCCESS ? 0 : 1;
}
