/*
 * Landlock: what a role may reach by path. The kernel's version is asked at run time, and the constants are our own,
 * because headers of Debian 12 know the first two versions only while its kernels, and later ones, know more.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/sandbox_part.h"

/* Rights of the kernel's ABI (linux/landlock.h), by the version that brought them. */
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SOCK (1ull << 9)
#define FS_ABI_1 ((1ull << 13) - 1) /* the above, and making devices, pipes, links */
#define FS_REFER (1ull << 13)	    /* 2: rename into another folder */
#define FS_TRUNCATE (1ull << 14)    /* 3 */
#define FS_IOCTL_DEV (1ull << 15)   /* 5 */
#define NET_TCP 3ull		    /* 4: bind, connect */
#define SCOPE_ABSTRACT 1ull	    /* 6: abstract unix sockets of processes outside */
#define SCOPE_SIGNAL 2ull	    /* 6: signals to processes outside */

#define RULE_PATH_BENEATH 1

#define GRANT_READ (FS_READ_FILE | FS_READ_DIR)
#define GRANT_WRITE                                                                                \
	(GRANT_READ | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | \
	    FS_MAKE_REG | FS_MAKE_SOCK)
#define GRANT_ON_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

struct landlock_set {
	uint64_t fs, net, scoped;
};

struct landlock_path {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

int
sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);

	return abi > 0 && abi < INT_MAX ? (int)abi : 0;
}

/* Everything that this kernel can deny, less what the role is about. */
static struct landlock_set
landlock_denied(enum sandbox_role role, int abi)
{
	struct landlock_set set = { .fs = FS_ABI_1 };

	if (abi >= 2)
		set.fs |= FS_REFER;
	if (abi >= 3)
		set.fs |= FS_TRUNCATE;
	if (abi >= 5)
		set.fs |= FS_IOCTL_DEV;
	/* The broker listens, and what it starts inherits this set: a back has to connect before it closes its own. */
	if (abi >= 4 && role != SANDBOX_BROKER && role != SANDBOX_STACK)
		set.net = NET_TCP;
	/* Signals to what it started stay possible; the service manager's socket may be an abstract one. */
	if (abi >= 6)
		set.scoped = role == SANDBOX_BROKER || role == SANDBOX_STACK
				 ? SCOPE_SIGNAL
				 : SCOPE_SIGNAL | SCOPE_ABSTRACT;
	/* What it ends was started before its sandbox closed, and so is outside of it. */
	if (role == SANDBOX_AUTH)
		set.scoped &= ~SCOPE_SIGNAL;
	return set;
}

static int
landlock_grant(int set_fd, const struct landlock_set *set, const char *path, uint64_t rights)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path rule = { .allowed = rights & set->fs, .parent_fd = fd };
	struct stat st;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		r = -errno;
	if (r == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= GRANT_ON_FILE;
	if (r == 0 && syscall(SYS_landlock_add_rule, set_fd, RULE_PATH_BENEATH, &rule, 0u) != 0)
		r = -errno;
	fd_close(&fd);
	return r;
}

/*
 * What the broker's children need between fork and their own sandbox: the loader and the libraries, and for a back
 * the resolver's files. Folders where files get replaced, since a rule holds for what was there. Missing ones are
 * skipped. Shells and other programs can be read in /usr/bin, but not run.
 */
static const struct {
	const char *path;
	uint64_t rights;
} broker_paths[] = {
	{ "/usr", GRANT_READ },
	{ "/usr/lib", GRANT_READ | FS_EXECUTE },
	{ "/usr/lib32", GRANT_READ | FS_EXECUTE },
	{ "/usr/lib64", GRANT_READ | FS_EXECUTE },
	{ "/lib", GRANT_READ | FS_EXECUTE },
	{ "/lib64", GRANT_READ | FS_EXECUTE },
	{ "/etc", GRANT_READ },
	{ "/proc", GRANT_READ },
	{ "/dev/null", GRANT_READ | FS_WRITE_FILE },
	{ "/dev/urandom", GRANT_READ },
	{ "/run/systemd/resolve", GRANT_READ },
	{ "/run/resolvconf", GRANT_READ },
	{ "/run/NetworkManager", GRANT_READ },
};

/* The folder where resolv.conf really is. 0 also when there is none. */
static int
landlock_grant_resolver(int set_fd, const struct landlock_set *set)
{
	char *real = realpath("/etc/resolv.conf", NULL), *slash;
	int r = 0;

	slash = real != NULL ? strrchr(real, '/') : NULL;
	if (slash != NULL && slash != real) {
		*slash = '\0';
		r = landlock_grant(set_fd, set, real, GRANT_READ);
	}
	free(real);
	return r == -ENOENT ? 0 : r;
}

static int
landlock_grant_broker(int set_fd, const struct landlock_set *set)
{
	for (size_t i = 0; i < sizeof(broker_paths) / sizeof(broker_paths[0]); i++) {
		int r = landlock_grant(set_fd, set, broker_paths[i].path, broker_paths[i].rights);

		if (r != 0 && r != -ENOENT)
			return r;
	}
	return landlock_grant_resolver(set_fd, set);
}

int
sandbox_landlock_signals(void)
{
	const struct landlock_set set = { .scoped = SCOPE_SIGNAL };
	int r = 0, set_fd;

	if (sandbox_landlock_abi() < 6)
		return 0;
	set_fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0u);
	if (set_fd < 0 || syscall(SYS_landlock_restrict_self, set_fd, 0u) != 0)
		r = -errno;
	fd_close(&set_fd);
	return r;
}

int
sandbox_landlock(enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths)
{
	int abi = sandbox_landlock_abi();
	struct landlock_set set = landlock_denied(role, abi);
	int r = 0, set_fd;

	if (abi == 0)
		return 0;
	set_fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0u);
	if (set_fd < 0)
		return -errno;
	if (role == SANDBOX_BROKER || role == SANDBOX_STACK)
		r = landlock_grant_broker(set_fd, &set);
	for (size_t i = 0; r == 0 && i < n_paths; i++)
		r = landlock_grant(set_fd, &set, paths[i].path,
		    (paths[i].write ? GRANT_WRITE : GRANT_READ) | (paths[i].exec ? FS_EXECUTE : 0));
	if (r == 0 && syscall(SYS_landlock_restrict_self, set_fd, 0u) != 0)
		r = -errno;
	fd_close(&set_fd);
	return r;
}
