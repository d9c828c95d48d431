/*
 * What a process gives up once its sockets are in place: new privileges, core dumps, system calls outside its
 * table (seccomp, default: kill the process), the file system (Landlock), and resources (rlimits).
 */
#ifndef BASTION_SANDBOX_H
#define BASTION_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

enum sandbox_role {
	SANDBOX_BROKER,
	SANDBOX_FRONT,
	SANDBOX_BACK,
	SANDBOX_RECORDER,
	SANDBOX_READER,
	SANDBOX_KEYS,
	SANDBOX_POLICY,
	SANDBOX_TOOL /* bastionctl while it reads hostile recordings */
};

/* A path that stays reachable. Opened before the sandbox closes; missing paths are an error. */
struct sandbox_path {
	const char *path;
	bool write; /* read and write, create and remove inside; else read only */
};

/*
 * Close the sandbox of this role around the calling process, for good. paths: borrowed.
 * 0; negative: nothing is promised then and the process must end. Without Landlock in the kernel: a warning in
 * the log, once. In a sanitizer build seccomp is left out (sanitizers need more calls).
 */
int sandbox_enter(
    enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths) MUST_CHECK;
/* Before anything secret is held: no core, not dumpable, no ptrace. Called first in every main. 0; -errno. */
int sandbox_prepare(void) MUST_CHECK;
/* Whether the kernel offers Landlock and seccomp filters: "seccomp landlock-abi-7". For status and doctor. Returns dst. */
char *sandbox_describe(char *dst, size_t size);
const char *sandbox_role_name(enum sandbox_role role);

#endif
