/* Names, uids and descriptors of the programs. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include "bastiond/broker/programs.h"
#include "lib/file.h"

/* uid and gid where no user of that name exists; they belong to nobody (ARCHITECTURE.md). Reader and indexer are the recorder. */
static const struct {
	const char *name, *user;
	uid_t uid;
} program_table[PROGRAM_N] = {
	[PROGRAM_FRONT] = { "bastiond-front", "bastiond-front", 61701 },
	[PROGRAM_BACK] = { "bastiond-back", "bastiond-back", 61702 },
	[PROGRAM_RECORDER] = { "bastiond-recorder", "bastiond-recorder", 61703 },
	[PROGRAM_KEYS] = { "bastiond-keys", "bastiond-keys", 61704 },
	[PROGRAM_POLICY] = { "bastiond-policy", "bastiond-policy", 61705 },
	[PROGRAM_READER] = { "bastiond-reader", "bastiond-recorder", 61703 },
	[PROGRAM_INDEXER] = { "bastiond-indexer", "bastiond-recorder", 61703 },
	[PROGRAM_SHELL] = { "bastiond-shell", "bastiond-shell", 61706 },
	[PROGRAM_PUSH] = { "bastiond-push", "bastiond-push", 61708 },
	[PROGRAM_AUTH] = { "bastiond-auth", "bastiond-auth", 61707 },
};

const char *
program_name(enum program which)
{
	return program_table[which].name;
}

static void
programs_find_user(struct programs *p, enum program which)
{
	const struct passwd *pw;

	p->uid[which] = geteuid();
	p->gid[which] = getegid();
	if (geteuid() != 0)
		return;
	pw = getpwnam(program_table[which].user);
	p->uid[which] = pw != NULL && pw->pw_uid != 0 ? pw->pw_uid : program_table[which].uid;
	p->gid[which] = pw != NULL && pw->pw_uid != 0 ? pw->pw_gid : program_table[which].uid;
}

int
programs_open(struct programs *p, const char *dir, const char **ret_missing)
{
	int r = 0;

	for (size_t i = 0; i < PROGRAM_N; i++)
		p->fd[i] = -1;
	for (size_t i = 0; r == 0 && i < PROGRAM_N; i++) {
		programs_find_user(p, (enum program)i);
		r = proc_open(dir, program_table[i].name, &p->fd[i]);
		if (r == -ENOENT && i == PROGRAM_AUTH)
			r = 0;
		if (r != 0)
			*ret_missing = program_table[i].name;
	}
	if (r != 0)
		programs_close(p);
	return r;
}

void
programs_close(struct programs *p)
{
	for (size_t i = 0; i < PROGRAM_N; i++)
		fd_close(&p->fd[i]);
}

void
programs_spec(const struct programs *p, enum program which, struct proc_spec *spec)
{
	spec->name = program_table[which].name;
	spec->exec_fd = p->fd[which];
	spec->uid = p->uid[which];
	spec->gid = p->gid[which];
}

#define SELFTEST_WAIT_MS 20000 /* a loaded machine; then it is killed, and has failed */

static int
programs_try(const struct programs *p, enum program which)
{
	static const char *const argv[] = { "--selftest", NULL };
	struct proc_spec spec = { .argv = argv };
	struct pollfd f = { .events = POLLIN };
	int status = -1, r;
	pid_t pid;

	programs_spec(p, which, &spec);
	if ((r = proc_spawn(&spec, &pid, &f.fd)) != 0)
		return r;
	if (poll(&f, 1, SELFTEST_WAIT_MS) != 1)
		(void)!proc_kill(f.fd, SIGKILL); /* it may have ended just now */
	(void)poll(&f, 1, -1);
	r = proc_collect(pid, &status);
	fd_close(&f.fd);
	return r == 0 && status != 0 ? ERR_VERSION : r;
}

int
programs_selftest(const struct programs *p, const char **ret_failed)
{
	static const enum program speakers[] = { PROGRAM_FRONT, PROGRAM_BACK };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(speakers) / sizeof(speakers[0]); i++) {
		r = programs_try(p, speakers[i]);
		if (r != 0)
			*ret_failed = program_table[speakers[i]].name;
	}
	return r;
}
