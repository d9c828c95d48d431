/* Where the player's files are, and whether they may stand inside a page. */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/page_player.h"
#include "lib/file.h"
#include "lib/str.h"

#define PAGE_PLAYER_FILE_MAX (8u << 20) /* bytes of one file */
#define PAGE_PLAYER_INSTALLED PKGDATADIR "/player"

#define PAGE_PLAYER_NEVER 3u

/*
 * What would end the element that the file is put into, begin a comment in it (the HTML standard's script data states), or be
 * read as something else than the bytes that the page's policy has the hash of.
 */
static const struct {
	const char *file;
	const char *never[PAGE_PLAYER_NEVER];
} page_player_files[PAGE_PLAYER_PARTS] = {
	[PAGE_PLAYER_SCRIPT] = { "asciinema-player.min.js", { "</script", "<!--", "\r" } },
	[PAGE_PLAYER_STYLE] = { "asciinema-player.css", { "</style", "\r", NULL } },
	[PAGE_PLAYER_LICENCE] = { "LICENSE", { NULL, NULL, NULL } },
};

/* ../player of the running program. */
static int
page_player_beside(char *dst, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return ERR_NOT_FOUND;
	self[n] = '\0';
	for (unsigned up = 0; up < 2; up++) {
		char *slash = strrchr(self, '/');

		if (slash == NULL)
			return ERR_NOT_FOUND;
		*slash = '\0';
	}
	return str_format(dst, size, "%s/player", self);
}

static bool
page_player_is_in(const char *dir)
{
	char path[PATH_MAX];

	return str_format(path, sizeof(path), "%s/%s", dir,
		   page_player_files[PAGE_PLAYER_SCRIPT].file) == 0 &&
	       access(path, R_OK) == 0;
}

static int
page_player_find(const char *dir, char *dst, size_t size)
{
	if (dir == NULL && page_player_beside(dst, size) == 0 && page_player_is_in(dst))
		return CMD_YES;
	if (str_copy(dst, size, dir != NULL ? dir : PAGE_PLAYER_INSTALLED) == 0 &&
	    page_player_is_in(dst))
		return CMD_YES;
	return cmd_fail(CMD_UNSURE,
	    "%s: no player is here, which a page needs: fetch it with contrib/get-player DIR and "
	    "name it with --player DIR, or install it with contrib/get-player %s",
	    dir != NULL ? dir : PAGE_PLAYER_INSTALLED, PAGE_PLAYER_INSTALLED);
}

static bool
page_player_fits(const char *text, size_t len, const char *const never[PAGE_PLAYER_NEVER])
{
	for (size_t i = 0; i < PAGE_PLAYER_NEVER; i++)
		if (never[i] != NULL && strcasestr(text, never[i]) != NULL)
			return false;
	return strlen(text) == len;
}

static int
page_player_read(const char *dir, enum page_player_part part, struct page_player *p)
{
	char path[PATH_MAX];
	int r = str_format(path, sizeof(path), "%s/%s", dir, page_player_files[part].file);

	if (r == 0)
		r = file_read(path, PAGE_PLAYER_FILE_MAX, &p->text[part], &p->len[part]);
	if (r != 0)
		return cmd_fail(CMD_UNSURE,
		    "%s/%s: %s: fetch the player anew with "
		    "contrib/get-player",
		    dir, page_player_files[part].file, err_str(r));
	if (!page_player_fits(p->text[part], p->len[part], page_player_files[part].never))
		return cmd_fail(CMD_UNSURE,
		    "%s: cannot stand inside a page: use the version that contrib/get-player "
		    "fetches",
		    path);
	return CMD_YES;
}

int
page_player_load(const char *dir, struct page_player *ret_player)
{
	struct page_player p = { 0 };
	char found[PATH_MAX];
	int code = page_player_find(dir, found, sizeof(found));

	for (unsigned i = 0; code == CMD_YES && i < PAGE_PLAYER_PARTS; i++)
		code = page_player_read(found, (enum page_player_part)i, &p);
	if (code == CMD_YES)
		*ret_player = p;
	else
		page_player_done(&p);
	return code;
}

void
page_player_done(struct page_player *p)
{
	for (size_t i = 0; i < PAGE_PLAYER_PARTS; i++) {
		free(p->text[i]);
		p->text[i] = NULL;
	}
}
