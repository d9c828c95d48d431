/*
 * Seccomp: which system calls a role keeps. Every role but the broker has a list of what it may do and dies of
 * anything else. The broker has a list of what nobody may do: a filter is inherited and can only be narrowed, and
 * its children have to load their libraries, resolve names and connect before they close their own.
 */
#include "config.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <seccomp.h>

#include "lib/sandbox_part.h"

/* Sets of roles. */
#define F (1u << SANDBOX_FRONT)
#define B (1u << SANDBOX_BACK)
#define REC (1u << SANDBOX_RECORDER)
#define RD (1u << SANDBOX_READER)
#define K (1u << SANDBOX_KEYS)
#define P (1u << SANDBOX_POLICY)
#define S (1u << SANDBOX_SHELL)
#define A (1u << SANDBOX_AUTH)
#define PU (1u << SANDBOX_PUSH)
#define PO (1u << SANDBOX_POST)
#define T (1u << SANDBOX_TOOL)
#define X (1u << SANDBOX_INDEXER)
#define ALL (F | B | REC | RD | K | P | S | A | PU | PO | T | X)
#define SOCKETS (F | B | REC | RD | K | P | S | A | X) /* passes messages and descriptors on */
#define STORE (REC | RD | X)			       /* has LMDB open */
#define FILES (REC | RD | K | X)		       /* opens files in its folder */
#define WRITES (REC | K)			       /* makes files there */

#define LOW32 0xffffffffu

/* A test of one argument: (argument & mask) == value. No test: mask 0. */
struct sandbox_test {
	unsigned arg;
	uint64_t mask, value;
};

/* One row: these roles may make this call when the test holds; several rows of a call add up. */
struct sandbox_call {
	int nr;
	unsigned roles;
	struct sandbox_test test;
};

#define NO_EXEC                                                                                    \
	{                                                                                          \
		2, PROT_EXEC, 0                                                                    \
	} /* never memory that can be run */
#define COMMAND(n)                                                                                 \
	{                                                                                          \
		1, LOW32, (uint32_t)(n)                                                            \
	} /* fcntl, ioctl */

static const struct sandbox_call allowed[] = {
	/* Descriptors that are there already. */
	{ SCMP_SYS(read), ALL, { 0 } },
	{ SCMP_SYS(readv), ALL, { 0 } },
	{ SCMP_SYS(write), ALL, { 0 } },
	{ SCMP_SYS(writev), ALL, { 0 } },
	{ SCMP_SYS(close), ALL, { 0 } },
	{ SCMP_SYS(lseek), ALL, { 0 } },
	{ SCMP_SYS(pread64), ALL, { 0 } },
	{ SCMP_SYS(fstat), ALL, { 0 } },
	{ SCMP_SYS(newfstatat), FILES, { 0 } },
	/* fstat(3) in this form; a path in place of the descriptor would tell no more than that it exists. */
	{ SCMP_SYS(newfstatat), ALL & ~FILES, { 3, LOW32, AT_EMPTY_PATH } },
	{ SCMP_SYS(fcntl), ALL, COMMAND(F_GETFL) },
	{ SCMP_SYS(fcntl), ALL, COMMAND(F_SETFL) },
	{ SCMP_SYS(fcntl), ALL, COMMAND(F_GETFD) },
	{ SCMP_SYS(fcntl), ALL, COMMAND(F_SETFD) },
	{ SCMP_SYS(fcntl), ALL, COMMAND(F_DUPFD_CLOEXEC) },
	/* Waiting. */
	{ SCMP_SYS(poll), ALL, { 0 } },
	{ SCMP_SYS(ppoll), ALL, { 0 } },
	{ SCMP_SYS(epoll_create1), ALL, { 0 } },
	{ SCMP_SYS(epoll_ctl), ALL, { 0 } },
	{ SCMP_SYS(epoll_wait), ALL, { 0 } },
	{ SCMP_SYS(epoll_pwait), ALL, { 0 } },
	{ SCMP_SYS(signalfd4), ALL, { 0 } },
	{ SCMP_SYS(nanosleep), ALL, { 0 } },
	{ SCMP_SYS(clock_nanosleep), ALL, { 0 } },
	{ SCMP_SYS(restart_syscall), ALL, { 0 } },
	/* Sockets that are there already. */
	{ SCMP_SYS(recvfrom), ALL, { 0 } },
	{ SCMP_SYS(sendto), ALL, { 0 } },
	{ SCMP_SYS(recvmsg), ALL, { 0 } },
	{ SCMP_SYS(sendmsg), ALL, { 0 } },
	{ SCMP_SYS(shutdown), ALL, { 0 } },
	{ SCMP_SYS(getsockopt), SOCKETS | PO, { 0 } },
	{ SCMP_SYS(setsockopt), SOCKETS | PO, { 0 } },
	{ SCMP_SYS(getsockname), F | B | PO, { 0 } },
	{ SCMP_SYS(getpeername), F | B | PO, { 0 } },
	{ SCMP_SYS(socketpair), PO, { 0 } }, /* libcurl's own waking */
	/* Memory. */
	{ SCMP_SYS(brk), ALL, { 0 } },
	{ SCMP_SYS(mmap), ALL, NO_EXEC },
	{ SCMP_SYS(mmap2), ALL, NO_EXEC },
	{ SCMP_SYS(mprotect), ALL, NO_EXEC },
	{ SCMP_SYS(munmap), ALL, { 0 } },
	{ SCMP_SYS(mremap), ALL, { 0 } },
	{ SCMP_SYS(madvise), ALL, { 0 } },
	{ SCMP_SYS(mlock), K | T | REC | RD | X, { 0 } }, /* keys of sessions */
	{ SCMP_SYS(mlock2), K | T | REC | RD | X, { 0 } },
	{ SCMP_SYS(munlock), K | T | REC | RD | X, { 0 } },
	/* The process itself. */
	{ SCMP_SYS(futex), ALL, { 0 } },
	{ SCMP_SYS(getrandom), ALL, { 0 } },
	{ SCMP_SYS(clock_gettime), ALL, { 0 } },
	{ SCMP_SYS(gettimeofday), ALL, { 0 } },
	{ SCMP_SYS(time), ALL, { 0 } },
	{ SCMP_SYS(getpid), ALL, { 0 } },
	{ SCMP_SYS(gettid), ALL, { 0 } },
	{ SCMP_SYS(sysinfo), ALL, { 0 } }, /* qsort(3) asks how much memory there is */
	{ SCMP_SYS(rt_sigaction), ALL, { 0 } },
	{ SCMP_SYS(rt_sigprocmask), ALL, { 0 } },
	{ SCMP_SYS(rt_sigreturn), ALL, { 0 } },
	{ SCMP_SYS(sigaltstack), ALL, { 0 } },
	{ SCMP_SYS(exit), ALL, { 0 } },
	{ SCMP_SYS(exit_group), ALL, { 0 } },
	/* What it started is looked for in /proc, and ended. */
	{ SCMP_SYS(openat), A, { 0 } },
	{ SCMP_SYS(kill), A, { 0 } },
	{ SCMP_SYS(wait4), A, { 0 } },
	/* The terminal: settings and size, nothing that puts bytes into its input. */
	{ SCMP_SYS(ioctl), T, COMMAND(TCGETS) },
	{ SCMP_SYS(ioctl), T, COMMAND(TCSETS) },
	{ SCMP_SYS(ioctl), T, COMMAND(TCSETSW) },
	{ SCMP_SYS(ioctl), T, COMMAND(TCSETSF) },
	{ SCMP_SYS(ioctl), T, COMMAND(TIOCGWINSZ) },
	/* Files in its folder; which folder, and whether it may write there, is Landlock's to say. */
	{ SCMP_SYS(openat), FILES, { 0 } },
	{ SCMP_SYS(fcntl), FILES, COMMAND(F_GETLK) },
	{ SCMP_SYS(fcntl), FILES, COMMAND(F_SETLK) },
	{ SCMP_SYS(fcntl), FILES, COMMAND(F_SETLKW) },
	{ SCMP_SYS(fcntl), FILES, COMMAND(F_OFD_SETLK) },
	{ SCMP_SYS(flock), FILES, { 0 } },
	{ SCMP_SYS(getdents64), FILES, { 0 } },
	{ SCMP_SYS(statfs), STORE, { 0 } },
	{ SCMP_SYS(fstatfs), STORE, { 0 } },
	{ SCMP_SYS(uname), STORE, { 0 } },
	{ SCMP_SYS(ftruncate), STORE | PU, { 0 } }, /* LMDB's lock file, when it is new */
	{ SCMP_SYS(sched_yield), STORE, { 0 } },
	{ SCMP_SYS(set_robust_list), STORE, { 0 } },
	{ SCMP_SYS(pwrite64), WRITES | X, { 0 } },
	{ SCMP_SYS(pwritev), WRITES | X, { 0 } },
	{ SCMP_SYS(fsync), WRITES | X | PU, { 0 } },
	{ SCMP_SYS(fdatasync), WRITES | RD | X, { 0 } }, /* before a checkpoint is handed out */
	{ SCMP_SYS(fchmod), WRITES, { 0 } },
	{ SCMP_SYS(unlink), WRITES | X, { 0 } }, /* derived data of another version */
	{ SCMP_SYS(unlinkat), WRITES | X, { 0 } },
	{ SCMP_SYS(rename), WRITES, { 0 } },
	{ SCMP_SYS(renameat), WRITES, { 0 } },
	{ SCMP_SYS(renameat2), WRITES, { 0 } },
	{ SCMP_SYS(mkdir), WRITES | X, { 0 } },
	{ SCMP_SYS(mkdirat), WRITES | X, { 0 } },
	{ SCMP_SYS(fallocate), REC, { 0 } },
	{ SCMP_SYS(msync), REC | X, { 0 } },
};

/* What nothing that the broker starts has any business with. */
static const struct sandbox_call denied[] = {
	/* Other processes' memory, descriptors and secrets. */
	{ SCMP_SYS(ptrace), 0, { 0 } },
	{ SCMP_SYS(process_vm_readv), 0, { 0 } },
	{ SCMP_SYS(process_vm_writev), 0, { 0 } },
	{ SCMP_SYS(process_madvise), 0, { 0 } },
	{ SCMP_SYS(pidfd_getfd), 0, { 0 } },
	{ SCMP_SYS(kcmp), 0, { 0 } },
	{ SCMP_SYS(perf_event_open), 0, { 0 } },
	{ SCMP_SYS(add_key), 0, { 0 } },
	{ SCMP_SYS(request_key), 0, { 0 } },
	{ SCMP_SYS(keyctl), 0, { 0 } },
	/* Large and young parts of the kernel that attackers like. */
	{ SCMP_SYS(bpf), 0, { 0 } },
	{ SCMP_SYS(userfaultfd), 0, { 0 } },
	{ SCMP_SYS(io_uring_setup), 0, { 0 } },
	{ SCMP_SYS(io_uring_enter), 0, { 0 } },
	{ SCMP_SYS(io_uring_register), 0, { 0 } },
	{ SCMP_SYS(io_setup), 0, { 0 } },
	{ SCMP_SYS(memfd_create), 0, { 0 } }, /* a program from memory is not under any path */
	{ SCMP_SYS(vmsplice), 0, { 0 } },
	{ SCMP_SYS(modify_ldt), 0, { 0 } },
	{ SCMP_SYS(personality), 0, { 0 } },
	{ SCMP_SYS(uselib), 0, { 0 } },
	{ SCMP_SYS(lookup_dcookie), 0, { 0 } },
	{ SCMP_SYS(remap_file_pages), 0, { 0 } },
	{ SCMP_SYS(move_pages), 0, { 0 } },
	{ SCMP_SYS(migrate_pages), 0, { 0 } },
	{ SCMP_SYS(mbind), 0, { 0 } },
	/* Another view of the system. */
	{ SCMP_SYS(unshare), 0, { 0 } },
	{ SCMP_SYS(setns), 0, { 0 } },
	{ SCMP_SYS(mount), 0, { 0 } },
	{ SCMP_SYS(umount), 0, { 0 } },
	{ SCMP_SYS(umount2), 0, { 0 } },
	{ SCMP_SYS(pivot_root), 0, { 0 } },
	{ SCMP_SYS(chroot), 0, { 0 } },
	{ SCMP_SYS(open_tree), 0, { 0 } },
	{ SCMP_SYS(move_mount), 0, { 0 } },
	{ SCMP_SYS(fsopen), 0, { 0 } },
	{ SCMP_SYS(fsconfig), 0, { 0 } },
	{ SCMP_SYS(fsmount), 0, { 0 } },
	{ SCMP_SYS(fspick), 0, { 0 } },
	{ SCMP_SYS(mount_setattr), 0, { 0 } },
	{ SCMP_SYS(open_by_handle_at), 0, { 0 } },
	{ SCMP_SYS(fanotify_init), 0, { 0 } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWUSER, CLONE_NEWUSER } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWNS, CLONE_NEWNS } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWNET, CLONE_NEWNET } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWPID, CLONE_NEWPID } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWIPC, CLONE_NEWIPC } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWUTS, CLONE_NEWUTS } },
	{ SCMP_SYS(clone), 0, { 0, CLONE_NEWCGROUP, CLONE_NEWCGROUP } },
	/* The machine. */
	{ SCMP_SYS(kexec_load), 0, { 0 } },
	{ SCMP_SYS(kexec_file_load), 0, { 0 } },
	{ SCMP_SYS(create_module), 0, { 0 } },
	{ SCMP_SYS(init_module), 0, { 0 } },
	{ SCMP_SYS(finit_module), 0, { 0 } },
	{ SCMP_SYS(delete_module), 0, { 0 } },
	{ SCMP_SYS(reboot), 0, { 0 } },
	{ SCMP_SYS(swapon), 0, { 0 } },
	{ SCMP_SYS(swapoff), 0, { 0 } },
	{ SCMP_SYS(acct), 0, { 0 } },
	{ SCMP_SYS(quotactl), 0, { 0 } },
	{ SCMP_SYS(nfsservctl), 0, { 0 } },
	{ SCMP_SYS(syslog), 0, { 0 } },
	{ SCMP_SYS(vhangup), 0, { 0 } },
	{ SCMP_SYS(iopl), 0, { 0 } },
	{ SCMP_SYS(ioperm), 0, { 0 } },
	{ SCMP_SYS(mknod), 0, { 0 } },
	{ SCMP_SYS(mknodat), 0, { 0 } },
	{ SCMP_SYS(settimeofday), 0, { 0 } },
	{ SCMP_SYS(stime), 0, { 0 } },
	{ SCMP_SYS(adjtimex), 0, { 0 } },
	{ SCMP_SYS(clock_settime), 0, { 0 } },
	{ SCMP_SYS(clock_adjtime), 0, { 0 } },
	{ SCMP_SYS(sethostname), 0, { 0 } },
	{ SCMP_SYS(setdomainname), 0, { 0 } },
	/* Bytes into a terminal's input, as if typed. */
	{ SCMP_SYS(ioctl), 0, COMMAND(TIOCSTI) },
	{ SCMP_SYS(ioctl), 0, COMMAND(TIOCLINUX) },
	/* Memory that can be written and run. */
	{ SCMP_SYS(mmap), 0, { 2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC } },
	{ SCMP_SYS(mprotect), 0, { 2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC } },
};

const bool sandbox_whole = true;

bool
sandbox_seccomp_here(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u, &action) == 0;
}

static int
seccomp_add(scmp_filter_ctx ctx, uint32_t action, const struct sandbox_call *call)
{
	if (call->test.mask == 0)
		return seccomp_rule_add(ctx, action, call->nr, 0);
	return seccomp_rule_add(ctx, action, call->nr, 1,
	    SCMP_CMP64(call->test.arg, SCMP_CMP_MASKED_EQ, call->test.mask, call->test.value));
}

static int
seccomp_fill_allowed(scmp_filter_ctx ctx, enum sandbox_role role)
{
	/* A signal to itself: abort(3) and raise(3). */
	struct sandbox_call self = { SCMP_SYS(tgkill), 0, { 0, LOW32, (uint32_t)getpid() } };
	int r = seccomp_add(ctx, SCMP_ACT_ALLOW, &self);

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if ((allowed[i].roles & 1u << role) != 0)
			r = seccomp_add(ctx, SCMP_ACT_ALLOW, &allowed[i]);
	/* libcurl 7.88 connects what it was told is connected: nothing happens, and it hears that it did. */
	if (r == 0 && role == SANDBOX_POST)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(connect), 0);
	return r;
}

static int
seccomp_fill_denied(scmp_filter_ctx ctx)
{
	/* Its flags lie in memory, where a filter cannot look; the C library then takes clone(2). */
	struct sandbox_call clone3 = { SCMP_SYS(clone3), 0, { 0 } };
	int r = seccomp_add(ctx, SCMP_ACT_ERRNO(ENOSYS), &clone3);

	for (size_t i = 0; r == 0 && i < sizeof(denied) / sizeof(denied[0]); i++)
		r = seccomp_add(ctx, SCMP_ACT_KILL_PROCESS, &denied[i]);
	return r;
}

int
sandbox_seccomp(enum sandbox_role role)
{
	bool broker = role == SANDBOX_BROKER || role == SANDBOX_STACK;
	scmp_filter_ctx ctx = seccomp_init(broker ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
	int r;

	if (ctx == NULL)
		return -ENOMEM;
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) != 0 ||
	    (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) != 0)
		goto out;
	if ((r = broker ? seccomp_fill_denied(ctx) : seccomp_fill_allowed(ctx, role)) != 0)
		goto out;
	r = seccomp_load(ctx);
out:
	seccomp_release(ctx);
	return r;
}
