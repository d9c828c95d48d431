/* The programs that the broker starts: opened once at start, so that a later exec needs no path, and whose uid each has. */
#ifndef BASTION_BROKER_PROGRAMS_H
#define BASTION_BROKER_PROGRAMS_H

#include <sys/types.h>

#include <stdbool.h>

#include "lib/err.h"
#include "lib/proc.h"

enum program {
	PROGRAM_FRONT,
	PROGRAM_BACK,
	PROGRAM_RECORDER,
	PROGRAM_KEYS,
	PROGRAM_POLICY,
	PROGRAM_READER,
	PROGRAM_SHELL,
	PROGRAM_INDEXER,
	PROGRAM_PUSH,
	PROGRAM_AUTH, /* may be missing: configure --without-pam */
	PROGRAM_N
};

struct programs {
	int fd[PROGRAM_N]; /* owned; -1 not open */
	uid_t uid[PROGRAM_N];
	gid_t gid[PROGRAM_N];
};

/*
 * Open all of dir's; bastiond-auth where it is installed. As root each gets the uid of its user where there is one, else its fixed number; otherwise ours.
 * *ret_missing: on failure the program's name. 0; -errno.
 */
int programs_open(struct programs *p, const char *dir, const char **ret_missing) MUST_CHECK;
void programs_close(struct programs *p);
/* Fill name, exec_fd, uid and gid. */
void programs_spec(const struct programs *p, enum program which, struct proc_spec *spec);
/*
 * Let front and back try whether the SSH library that they hold is one that they can trust; takes a tenth of a second.
 * *ret_failed: on failure the program's name; it has said why on standard error. 0; -errno; ERR_VERSION it said no.
 */
int programs_selftest(const struct programs *p, const char **ret_failed) MUST_CHECK;
/* "bastiond-front". Static. */
const char *program_name(enum program which);

#endif
