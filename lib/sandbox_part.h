/* The two kernel mechanisms behind lib/sandbox.h; only the files of the sandbox include this. */
#ifndef BASTION_SANDBOX_PART_H
#define BASTION_SANDBOX_PART_H

#include "lib/sandbox.h"

/* The kernel's Landlock version; 0: it has none or it is switched off. */
int sandbox_landlock_abi(void);
/*
 * Deny what the file system, TCP and signals to others offer, but for the paths (borrowed) and what the role needs
 * by itself. no_new_privs must be set.  0, also when the kernel has no Landlock; -errno.
 */
int sandbox_landlock(
    enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths) MUST_CHECK;

/* sandbox_signals_inside() without its first half. 0, also when the kernel does not know how; -errno. */
int sandbox_landlock_signals(void) MUST_CHECK;

/* Whether the kernel can kill a process by filter. */
bool sandbox_seccomp_here(void);
/* Load the role's filter: the last step, nothing can be opened up behind it. 0; -errno. */
int sandbox_seccomp(enum sandbox_role role) MUST_CHECK;

#endif
