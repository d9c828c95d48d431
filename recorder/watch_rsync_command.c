/* What the command of an rsync server says about the wire. Whatever could change it and is not known here is refused. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/num.h"
#include "lib/str.h"
#include "recorder/watch_rsync_part.h"

#define WORD_SIZE 4200u /* bytes of a word and its NUL */

/* Letters of the short options; at: the member that they switch on. */
#define AT(field) offsetof(struct rs_options, field)
static const struct {
	char letter;
	size_t at;
} letters[] = {
	{ 'o', AT(uid) },
	{ 'g', AT(gid) },
	{ 'D', AT(devices) },
	{ 'l', AT(links) },
	{ 'c', AT(checksum) },
	{ 'U', AT(atimes) },
	{ 'N', AT(crtimes) },
	{ 'n', AT(dry_run) },
	{ 'm', AT(prunes) },
	{ 'z', AT(compress) },
};
/* And those that change nothing there. */
static const char other_letters[] = "vqbudKOJyLkWHtpErCIRxS";

/* Long options. Values stand behind a =, of some also in the next word. */
static int set_append(struct rs_options *o, const char *v);
static int set_checksum(struct rs_options *o, const char *v);
static int set_clean(struct rs_options *o, const char *v);
static int set_compress(struct rs_options *o, const char *v);
static int set_files(struct rs_options *o, const char *v);
static int set_level(struct rs_options *o, const char *v);
static int set_deletes(struct rs_options *o, const char *v);
static int set_no_specials(struct rs_options *o, const char *v);
static int set_new_compress(struct rs_options *o, const char *v);
static int set_numeric(struct rs_options *o, const char *v);
static int set_old_compress(struct rs_options *o, const char *v);
static int set_sender(struct rs_options *o, const char *v);
static int set_specials(struct rs_options *o, const char *v);

static const struct {
	const char *name;
	bool takes_word;
	int (*set)(struct rs_options *o, const char *value); /* NULL: nothing on the wire */
} longs[] = {
	{ "append", false, set_append },
	{ "append-verify", false, set_append },
	{ "atimes", false, NULL },
	{ "backup-dir", true, NULL },
	{ "bwlimit", false, NULL },
	{ "checksum-choice", false, set_checksum },
	{ "checksum-seed", false, NULL },
	{ "compare-dest", true, NULL },
	{ "compress-choice", false, set_compress },
	{ "compress-level", false, set_level },
	{ "copy-dest", true, NULL },
	{ "copy-unsafe-links", false, NULL },
	{ "debug", false, NULL },
	{ "delay-updates", false, NULL },
	{ "delete", false, set_deletes },
	{ "delete-after", false, set_deletes },
	{ "delete-before", false, set_deletes },
	{ "delete-delay", false, set_deletes },
	{ "delete-during", false, set_deletes },
	{ "delete-excluded", false, set_deletes },
	{ "existing", false, NULL },
	{ "files-from", true, set_files },
	{ "force", false, NULL },
	{ "from0", false, NULL },
	{ "fsync", false, NULL },
	{ "fuzzy", false, NULL },
	{ "ignore-errors", false, NULL },
	{ "ignore-existing", false, NULL },
	{ "ignore-missing-args", false, NULL },
	{ "info", false, NULL },
	{ "inplace", false, NULL },
	{ "link-dest", true, NULL },
	{ "list-only", false, NULL },
	{ "log-format", false, NULL },
	{ "max-alloc", false, NULL },
	{ "max-delete", false, NULL },
	{ "max-size", false, NULL },
	{ "min-size", false, NULL },
	{ "mkpath", false, NULL },
	{ "modify-window", false, NULL },
	{ "new-compress", false, set_new_compress },
	{ "no-W", false, NULL },
	{ "no-i-r", false, NULL },
	{ "no-implied-dirs", false, NULL },
	{ "no-inc-recursive", false, NULL },
	{ "no-msgs2stderr", false, set_clean },
	{ "no-r", false, NULL },
	{ "no-relative", false, NULL },
	{ "no-specials", false, set_no_specials },
	{ "numeric-ids", false, set_numeric },
	{ "old-compress", false, set_old_compress },
	{ "omit-dir-times", false, NULL },
	{ "omit-link-times", false, NULL },
	{ "one-file-system", false, NULL },
	{ "open-noatime", false, NULL },
	{ "partial", false, NULL },
	{ "partial-dir", true, NULL },
	{ "preallocate", false, NULL },
	{ "remove-sent-files", false, NULL },
	{ "remove-source-files", false, NULL },
	{ "safe-links", false, NULL },
	{ "sender", false, set_sender },
	{ "size-only", false, NULL },
	{ "skip-compress", false, NULL },
	{ "specials", false, set_specials },
	{ "stats", false, NULL },
	{ "suffix", false, NULL },
	{ "super", false, NULL },
	{ "temp-dir", true, NULL },
	{ "timeout", false, NULL },
};

static int
set_append(struct rs_options *o, const char *v)
{
	(void)v;
	o->append = true;
	return 0;
}

static int
set_checksum(struct rs_options *o, const char *v)
{
	if (*v == '\0' || strcmp(v, "auto") == 0)
		return ERR_FORMAT;
	return str_copy(o->checksum_choice, sizeof(o->checksum_choice), v);
}

static int
set_clean(struct rs_options *o, const char *v)
{
	(void)v;
	o->clean_errors = true;
	return 0;
}

static int
set_compress(struct rs_options *o, const char *v)
{
	if (*v == '\0' || strcmp(v, "auto") == 0)
		return ERR_FORMAT;
	o->compress = true;
	return str_copy(o->compress_choice, sizeof(o->compress_choice), v);
}

static int
set_files(struct rs_options *o, const char *v)
{
	/* A sending target reads a file of its own, a receiving one gives us what is in it. */
	o->names_cross = !o->sender || strcmp(v, "-") == 0;
	return *v != '\0' ? 0 : ERR_FORMAT;
}

static int
set_level(struct rs_options *o, const char *v)
{
	o->has_level = true;
	return num_parse(v, 0, 1000, &o->level) == 0 ? 0 : ERR_FORMAT;
}

static int
set_deletes(struct rs_options *o, const char *v)
{
	(void)v;
	o->deletes = true;
	return 0;
}

static int
set_no_specials(struct rs_options *o, const char *v)
{
	(void)v;
	o->specials = false;
	return 0;
}

static int
set_new_compress(struct rs_options *o, const char *v)
{
	(void)v;
	return set_compress(o, "zlibx");
}

static int
set_numeric(struct rs_options *o, const char *v)
{
	(void)v;
	o->numeric_ids = true;
	return 0;
}

static int
set_old_compress(struct rs_options *o, const char *v)
{
	(void)v;
	return set_compress(o, "zlib");
}

static int
set_sender(struct rs_options *o, const char *v)
{
	(void)v;
	o->sender = true;
	return 0;
}

static int
set_specials(struct rs_options *o, const char *v)
{
	(void)v;
	o->specials = true;
	return 0;
}

static int
read_letter(struct rs_options *o, char letter)
{
	if (letter == 'D')
		o->specials = true;
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].letter == letter) {
			*(bool *)((char *)o + letters[i].at) = true;
			return 0;
		}
	return strchr(other_letters, letter) != NULL ? 0 : ERR_FORMAT;
}

/* "-vlogDtpre.iLsfxCIvu", "-B1024", "-@-1". Behind e: what the client can do; the server's answer repeats it. */
static int
read_short(struct rs_options *o, const char *word)
{
	int r;

	if (*word == 'B' || *word == '@')
		return word[1 + strspn(word + 1, "-0123456789")] == '\0' ? 0 : ERR_FORMAT;
	for (; *word != '\0' && *word != 'e'; word++)
		if ((r = read_letter(o, *word)) != 0)
			return r;
	return *word == 'e' && strchr(word, 'V') != NULL ? ERR_FORMAT : 0;
}

/* The value of an option that is the next word. */
static int
read_value(struct rs_options *o, const char **p, int (*set)(struct rs_options *, const char *))
{
	char *value = malloc(WORD_SIZE);
	int r = -ENOMEM;

	if (value == NULL)
		return r;
	if ((r = watch_word(p, value, WORD_SIZE)) == 0 && set != NULL)
		r = set(o, value);
	free(value);
	return r;
}

/* word: without its dashes; p: what follows, for options whose value is a word of its own. */
static int
read_long(struct rs_options *o, char *word, const char **p)
{
	char *value = strchr(word, '=');
	size_t i = 0;

	if (value != NULL)
		*value++ = '\0';
	while (i < sizeof(longs) / sizeof(longs[0]) && strcmp(longs[i].name, word) != 0)
		i++;
	if (i == sizeof(longs) / sizeof(longs[0]))
		return ERR_FORMAT;
	if (longs[i].takes_word && value == NULL)
		return read_value(o, p, longs[i].set);
	return longs[i].set != NULL ? longs[i].set(o, value != NULL ? value : "") : 0;
}

/* Options up to ".", then paths. */
static int
read_words(struct rs_options *o, const char *p, char *word)
{
	bool paths = false;
	int r;

	while ((r = watch_word(&p, word, WORD_SIZE)) == 0) {
		if (paths) {
			if (word[0] == '-')
				return ERR_FORMAT;
		} else if (strcmp(word, ".") == 0) {
			paths = true;
		} else if (word[0] != '-' || word[1] == '\0') {
			return ERR_FORMAT;
		} else {
			r = word[1] == '-' ? read_long(o, word + 2, &p) : read_short(o, word + 1);
			if (r != 0)
				return r;
		}
	}
	return r == ERR_NOT_FOUND && paths ? 0 : ERR_FORMAT;
}

int
rs_options_read(struct rs_options *o, const char *command)
{
	static const char prefix[] = "rsync --server ";
	char *word;
	int r;

	memset(o, 0, sizeof(*o));
	if (!str_starts(command, prefix))
		return ERR_FORMAT;
	if ((word = malloc(WORD_SIZE)) == NULL)
		return -ENOMEM;
	r = read_words(o, command + sizeof(prefix) - 1, word);
	free(word);
	return r == -ENOMEM ? r : r != 0 ? ERR_FORMAT : 0;
}
