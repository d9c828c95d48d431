/* bastiond-push: see push.h. It is started by the broker for each checkpoint and place. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/push/push.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"

#define FD_NOTE PROC_FD_FIRST
#define FD_WHY (PROC_FD_FIRST + 1)

static const struct {
	const char *name;
	int n_args; /* at least; more only for a command */
	int (*run)(struct push *p);
} kinds[] = {
	{ "file", 1, push_file },
	{ "command", 1, push_command },
	{ "url", 3, push_url },
	{ "syslog", 2, push_syslog },
};

static int
read_note(struct push *p)
{
	if ((p->note = malloc(PUSH_NOTE_MAX + 1)) == NULL)
		return -ENOMEM;
	while (p->len < PUSH_NOTE_MAX) {
		ssize_t n = read(FD_NOTE, p->note + p->len, PUSH_NOTE_MAX - p->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		p->len += (size_t)n;
	}
	p->note[p->len] = '\0';
	return p->len > 0 && p->len < PUSH_NOTE_MAX ? 0 : ERR_FORMAT;
}

static int
run_kind(struct push *p, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (argc < 2 || strcmp(kinds[i].name, argv[1]) != 0)
			continue;
		if (argc - 2 < kinds[i].n_args)
			return ERR_FORMAT;
		p->args = (const char *const *)(argv + 2);
		/* A command takes the note itself. */
		if (kinds[i].run != push_command) {
			int r = read_note(p);

			if (r != 0)
				return r;
		}
		return kinds[i].run(p);
	}
	return ERR_FORMAT;
}

int
main(int argc, char **argv)
{
	struct push p = { .note = NULL };
	int r;

	log_init("bastiond-push", LOG_LEVEL_INFO);
	if (fcntl(FD_NOTE, F_SETFD, FD_CLOEXEC) != 0 || fcntl(FD_WHY, F_SETFD, FD_CLOEXEC) != 0) {
		log_err("push.no_edge do=\"it is started by bastiond, never by hand\"");
		return 2;
	}
	if ((r = sandbox_prepare()) == 0)
		r = run_kind(&p, argc, argv);
	if (r != 0) {
		const char *why = p.why[0] != '\0' ? p.why : err_str(r);

		/* The broker says it in the log, once; when it is gone nobody asks. */
		(void)!file_write_all(FD_WHY, why, strlen(why));
	}
	free(p.note);
	return r == 0 ? 0 : 1;
}
