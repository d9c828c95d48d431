/* A passphrase is read byte by byte into locked memory, and the terminal is put back whatever happens. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bastionctl/passphrase.h"

/* One line of standard input without its end. Bytes read, or -1: too long, or an error. */
static int
read_line(struct secret *line)
{
	char *p = (char *)secret_ptr(line), c;
	size_t n = 0;
	ssize_t got;

	for (;;) {
		got = read(STDIN_FILENO, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || c == '\n')
			break;
		if (n == PASSPHRASE_MAX)
			return -1;
		p[n++] = c;
	}
	p[n] = '\0';
	return got < 0 ? -1 : (int)n;
}

static int
read_quietly(const char *prompt, struct secret *line)
{
	struct termios old, quiet;
	bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;
	int n;

	if (tty) {
		fprintf(stderr, "%s: ", prompt);
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* at worst it echoes */
	}
	n = read_line(line);
	if (tty) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old); /* nothing else can be done */
		fputc('\n', stderr);
	}
	return n;
}

int
passphrase_ask(const char *prompt, struct secret **ret_phrase)
{
	struct secret *phrase = secret_init() == 0 ? secret_new(PASSPHRASE_MAX + 1) : NULL;
	int n;

	if (phrase == NULL)
		return cmd_fail(CMD_UNSURE, "out of memory that can be locked: see ulimit -l");
	n = read_quietly(prompt, phrase);
	if (n > 0) {
		*ret_phrase = phrase;
		return CMD_YES;
	}
	secret_free(phrase);
	return n == 0 ? cmd_fail(CMD_USAGE, "no passphrase was given")
		      : cmd_fail(CMD_USAGE, "a passphrase has at most %u bytes", PASSPHRASE_MAX);
}

int
passphrase_ask_new(const char *prompt, struct secret **ret_phrase)
{
	struct secret *first = NULL, *again = NULL;
	int code;

	if ((code = passphrase_ask(prompt, &first)) != CMD_YES)
		return code;
	if (isatty(STDIN_FILENO) &&
	    (code = passphrase_ask("The same once more", &again)) == CMD_YES &&
	    strcmp((const char *)secret_cptr(first), (const char *)secret_cptr(again)) != 0)
		code = cmd_fail(CMD_USAGE, "the two are not the same; nothing was done");
	secret_free(again);
	if (code != CMD_YES) {
		secret_free(first);
		return code;
	}
	*ret_phrase = first;
	return CMD_YES;
}
