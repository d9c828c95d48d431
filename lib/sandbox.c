/*
 * Closing the sandbox: limits, no new privileges, Landlock, seccomp, in this order, because each step needs calls
 * that the next one takes away. What each role keeps is in sandbox_seccomp.c and sandbox_landlock.c.
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/sandbox_part.h"

/* Descriptors of a process that serves one connection, and of one that serves them all. */
#define FILES_FEW 64
#define FILES_SOME 256 /* modules, and what they load */
#define FILES_MANY 65536
/* Bytes of address space of a process that serves one connection. */
#define MEMORY_FEW (1024ull << 20)

/*
 * files, memory: limits; 0: left as they are; files at most what we are allowed. forks: may start processes.
 * No limit on the size of files: standard error may be a file, and a process must not die of a long log.
 */
static const struct {
	const char *name;
	rlim_t files, memory;
	bool forks;
} roles[] = {
	[SANDBOX_BROKER] = { "broker", FILES_MANY, 0, true },
	[SANDBOX_FRONT] = { "front", FILES_FEW, MEMORY_FEW, false },
	[SANDBOX_BACK] = { "back", FILES_FEW, MEMORY_FEW, false },
	[SANDBOX_RECORDER] = { "recorder", FILES_MANY, 0, false },
	[SANDBOX_READER] = { "reader", FILES_FEW, 0, false },
	[SANDBOX_KEYS] = { "keys", FILES_MANY, 0, false },
	[SANDBOX_POLICY] = { "policy", FILES_MANY, 0, false },
	[SANDBOX_SHELL] = { "shell", FILES_FEW, MEMORY_FEW, false },
	[SANDBOX_AUTH] = { "auth", FILES_FEW, MEMORY_FEW, false },
	[SANDBOX_STACK] = { "stack", FILES_SOME, MEMORY_FEW, true },
	[SANDBOX_INDEXER] = { "indexer", FILES_FEW, 0, false },
	[SANDBOX_PUSH] = { "push", FILES_FEW, MEMORY_FEW, false },
	[SANDBOX_POST] = { "post", FILES_FEW, MEMORY_FEW, false },
	[SANDBOX_TOOL] = { "tool", 0, 0, false },
};

const char *
sandbox_role_name(enum sandbox_role role)
{
	return (size_t)role < sizeof(roles) / sizeof(roles[0]) ? roles[role].name : "unknown";
}

static int
sandbox_limit(__rlimit_resource_t what, rlim_t soft, rlim_t hard)
{
	struct rlimit lim = { .rlim_cur = soft, .rlim_max = hard };

	return setrlimit(what, &lim) != 0 ? -errno : 0;
}

int
sandbox_prepare(void)
{
	int r = sandbox_limit(RLIMIT_CORE, 0, 0);

	if (r != 0)
		return r;
	if (sandbox_whole && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
	return 0;
}

static int
sandbox_limit_files(rlim_t files)
{
	struct rlimit lim;

	if (files == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return -errno;
	if (lim.rlim_max != RLIM_INFINITY && files > lim.rlim_max)
		files = lim.rlim_max;
	/* The hard limit stays what it is for a process whose children need more than it does. */
	return sandbox_limit(RLIMIT_NOFILE, files, files == FILES_FEW ? files : lim.rlim_max);
}

static int
sandbox_limits(enum sandbox_role role)
{
	int r = sandbox_limit_files(roles[role].files);

	if (r != 0 || !sandbox_whole)
		return r;
	if (roles[role].memory != 0)
		r = sandbox_limit(RLIMIT_AS, roles[role].memory, roles[role].memory);
	if (r == 0 && !roles[role].forks)
		r = sandbox_limit(RLIMIT_NPROC, 0, 0);
	return r;
}

int
sandbox_signals_inside(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : sandbox_landlock_signals();
}

int
sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths)
{
	int r;

	if ((size_t)role >= sizeof(roles) / sizeof(roles[0]))
		return -EINVAL;
	/* gmtime_r() and its like read the zone file on first use. */
	tzset();
	if ((r = sandbox_limits(role)) != 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	/* The broker says it once for all that it starts. */
	if (role == SANDBOX_BROKER && sandbox_whole && sandbox_landlock_abi() == 0)
		log_warn(
		    "sandbox.no_landlock effect=\"programs of bastiond are not kept from the file "
		    "system\" do=\"use a kernel with Landlock (5.13 or later) and "
		    "landlock in its list of security modules\"");
	if ((r = sandbox_landlock(role, paths, n_paths)) != 0)
		return r;
	return sandbox_seccomp(role);
}

char *
sandbox_describe(char *dst, size_t size)
{
	int abi = sandbox_landlock_abi();
	const char *seccomp = sandbox_seccomp_here() ? "seccomp" : "no-seccomp";
	char landlock[32] = "no-landlock";

	/* Texts of known length into a buffer that the caller may have made too small: cut then. */
	if (abi > 0)
		(void)snprintf(landlock, sizeof(landlock), "landlock-abi-%d", abi);
	(void)snprintf(dst, size, "%s %s", sandbox_whole ? seccomp : "off-for-sanitizer", landlock);
	return dst;
}
