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
	SANDBOX_SHELL,
	SANDBOX_AUTH, /* the half of bastiond-auth that holds the edges; PAM's modules run in the other one */
	/*
	 * The other half: nobody knows what modules call, so no more calls are denied than by the broker's; paths as the broker's
	 * children have them before their own sandbox, and those that are named. paths' exec: programs may be run from there.
	 */
	SANDBOX_STACK,
	SANDBOX_INDEXER,
	SANDBOX_PUSH, /* bastiond-push with the file or socket open that it writes to */
	SANDBOX_POST, /* bastiond-push with the connection open that it speaks HTTPS on */
	SANDBOX_TOOL  /* bastionctl while it reads hostile recordings */
};

/*
 * A path that stays reachable, with everything below it. Opened before the sandbox closes; a missing one is an error.
 * It stands for what is there now: where files get replaced by renaming, name the folder.
 */
struct sandbox_path {
	const char *path;
	bool write; /* read and write, create and remove inside; else read only */
	bool exec;  /* broker: the folder of the programs that it starts */
};

/* false in a sanitizer build, where only the limits are set: its runtime forks, attaches to its own process and opens files. */
extern const bool sandbox_whole;

/*
 * Close the sandbox of this role around the calling process, for good. paths: borrowed. Descriptors that are open
 * stay usable. A role whose table has no call to open files (front, back, policy, shell, push, tool) gives no paths.
 * The broker's children inherit its sandbox, each then closes its own inside it: so the broker's denies only what
 * none of them ever needs, and leaves readable what starting a program takes (/usr, /lib, /etc, /proc, the resolver).
 * 0; negative: nothing is promised then and the process must end. Without Landlock in the kernel: a warning in
 * the log, by the broker, once. In a sanitizer build only the limits are set (sanitizers open files and fork).
 */
int sandbox_enter(
    enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths) MUST_CHECK;
/* Before anything secret is held: no core, not dumpable, no ptrace. Called first in every main. 0; -errno. */
int sandbox_prepare(void) MUST_CHECK;
/*
 * No new privileges, and this process and all that it starts from now on can signal only each other, where the kernel
 * can hold that (Landlock 6). For a process that keeps signals through its own sandbox. 0; -errno.
 */
int sandbox_signals_inside(void) MUST_CHECK;
/*
 * What the kernel offers, for status and doctor: "seccomp landlock-abi-7". Outside a sandbox, or in the broker's.
 * Returns dst.
 */
char *sandbox_describe(char *dst, size_t size);
/* "front". Borrowed, static. */
const char *sandbox_role_name(enum sandbox_role role);

#endif
