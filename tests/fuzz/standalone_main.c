/*
 * main of a fuzz target where libFuzzer is not linked: feeds it every file of tests/fuzz/corpus/<input>/, and each of them cut
 * and with bytes changed (always the same way), as TAP. With arguments: exactly these files, for a look at a finding.
 */
#include "config.h"

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"

#define SEED_MAX (1u << 20) /* bytes of a seed */
#define CHANGES 300u	    /* changed copies of a seed */
#define CUTS_MAX 2000u	    /* a seed is cut at each of its first bytes, up to here */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* An exact allocation, so that a sanitizer sees a read behind the end. */
static void
feed(const void *data, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	if (copy == NULL)
		abort();
	memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void
feed_changed(char *data, size_t len)
{
	uint32_t state = 2463534242u;

	for (size_t i = 0; i < CHANGES && len > 0; i++) {
		size_t at = next_random(&state) % len, n = 1 + next_random(&state) % 4;
		char saved[4];

		n = n > len - at ? len - at : n;
		memcpy(saved, data + at, n);
		for (size_t j = 0; j < n; j++)
			data[at + j] = (char)next_random(&state);
		feed(data, len);
		memcpy(data + at, saved, n);
	}
}

static int
run_file(const char *path)
{
	char *data = NULL;
	size_t len;

	if (file_read(path, SEED_MAX, &data, &len) != 0)
		return -1;
	feed(data, len);
	for (size_t i = 0; i < len && i < CUTS_MAX; i++)
		feed(data, i);
	feed_changed(data, len);
	free(data);
	return 0;
}

static int
is_seed(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int
run_corpus(const char *input)
{
	const char *src = getenv("BASTION_SRC");
	char dir[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	struct dirent **names;
	int n, bad = 0;

	(void)snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", src != NULL ? src : ".", input);
	n = scandir(dir, &names, is_seed, alphasort);
	if (n <= 0) {
		printf("Bail out! no seeds in %s\n", dir);
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		int r;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		r = run_file(path);
		bad |= r;
		printf("%sok %d - %s %s\n", r == 0 ? "" : "not ", i + 1, input, names[i]->d_name);
		(void)fflush(stdout);
		free(names[i]);
	}
	free(names);
	return bad != 0;
}

int
main(int argc, char **argv)
{
	const char *name = basename(argv[0]);

	if (argc == 1)
		return run_corpus(strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]) != 0) {
			fprintf(stderr, "%s: cannot read\n", argv[i]);
			return 1;
		}
	return 0;
}
