/* Names, uids and descriptors of the programs. */
#include "config.h"

#include <pwd.h>
#include <unistd.h>

#include "bastiond/broker/programs.h"
#include "lib/file.h"

/* uid and gid where no user of that name exists; they belong to nobody (ARCHITECTURE.md). The reader is the recorder. */
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
