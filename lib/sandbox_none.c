/* In place of Landlock and seccomp in a build with sanitizers, which could not work inside them. */
#include "config.h"

#include "lib/sandbox_part.h"

const bool sandbox_whole = false;

int
sandbox_landlock_abi(void)
{
	return 0;
}

int
sandbox_landlock(enum sandbox_role role, const struct sandbox_path *paths, size_t n_paths)
{
	(void)role;
	(void)paths;
	(void)n_paths;
	return 0;
}

int
sandbox_landlock_signals(void)
{
	return 0;
}

bool
sandbox_seccomp_here(void)
{
	return false;
}

int
sandbox_seccomp(enum sandbox_role role)
{
	(void)role;
	return 0;
}
