/* Limits and capabilities. */
#include "config.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>
#include <linux/capability.h>
#include <unistd.h>

#include "bastiond/broker/privilege.h"

#define PRIVILEGE_MEMLOCK (64u << 20) /* bytes: keys in use, and OpenSSL's heap with them */

static const int kept[] = { CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_NET_BIND_SERVICE,
	CAP_DAC_READ_SEARCH };

int
privilege_limits(uint64_t *ret_files)
{
	const struct rlimit lock = { PRIVILEGE_MEMLOCK, PRIVILEGE_MEMLOCK };
	struct rlimit files, now;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return -errno;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		return -errno;
	if (getrlimit(RLIMIT_MEMLOCK, &now) != 0)
		return -errno;
	if (now.rlim_cur != RLIM_INFINITY && now.rlim_cur < PRIVILEGE_MEMLOCK)
		(void)setrlimit(
		    RLIMIT_MEMLOCK, &lock); /* the vault says it when it is too little */
	*ret_files = files.rlim_cur;
	return 0;
}

static int
privilege_is_kept(int cap)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] == cap)
			return 1;
	return 0;
}

int
privilege_drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	if (geteuid() != 0)
		return 0;
	if (syscall(SYS_capget, &head, have) != 0)
		return -errno;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!privilege_is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 &&
		    errno != EPERM)
			return -errno;
	for (int i = 0; i < 2; i++) {
		uint32_t keep = 0;

		for (int bit = 0; bit < 32; bit++)
			if (privilege_is_kept(i * 32 + bit))
				keep |= 1u << bit;
		/* Of a container's root some may be missing from the start. */
		have[i].permitted &= keep;
		have[i].effective = have[i].permitted;
		have[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, have) != 0 ? -errno : 0;
}
