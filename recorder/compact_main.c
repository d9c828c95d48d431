/*
 * bastiond-compact DIR: the store's file without what is free in it. A program of its own, because the recorder has no business
 * renaming files. Started by bastionctl store compact, as the one whose the store is.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "lib/hash.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "recorder/compact.h"

#define EXIT_USAGE 2
#define EXIT_FAILED 3

/* What stopped it, and what to do. */
static const char *
compact_advice(int err)
{
	static const struct {
		int err;
		const char *text;
	} table[] = {
		{ ERR_EXISTS, "a bastiond runs on this store: stop it first" },
		{ -ENOSPC, "the disk has no room for a second copy of what is used: make room; the "
			   "store is as it was" },
		{ -ENOENT, "no store is here" },
		{ ERR_CHAIN, "the new file was not the same, the old one stays: see bastionctl "
			     "verify --all" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == err)
			return table[i].text;
	return err_str(err);
}

int
main(int argc, char **argv)
{
	struct compact_result result;
	int r;

	log_init("bastiond-compact", LOG_LEVEL_INFO);
	if (argc != 2) {
		(void)fputs("usage: bastiond-compact DIR\n", stderr);
		return EXIT_USAGE;
	}
	if ((r = sandbox_prepare()) == 0 && (r = hash_init()) == 0)
		r = compact_store(argv[1], &result);
	if (r != 0) {
		(void)fprintf(stderr, "%s: %s\n", argv[1], compact_advice(r));
		return EXIT_FAILED;
	}
	printf("compacted, and the same in every key and value: %llu bytes before, %llu after\n",
	    (unsigned long long)result.before, (unsigned long long)result.after);
	return 0;
}
