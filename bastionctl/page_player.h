/*
 * The player of recordings that a page holds (npm's asciinema-player). It is other people's work under a licence of its own
 * and not part of this tree: contrib/get-player brings it, and it is looked for when a page is made.
 */
#ifndef BASTION_CTL_PAGE_PLAYER_H
#define BASTION_CTL_PAGE_PLAYER_H

#include <stddef.h>

#include "lib/err.h"

enum page_player_part {
	PAGE_PLAYER_SCRIPT,
	PAGE_PLAYER_STYLE,
	PAGE_PLAYER_LICENCE,
	PAGE_PLAYER_PARTS
};

struct page_player {
	char *text[PAGE_PLAYER_PARTS]; /* NUL behind each; owned */
	size_t len[PAGE_PLAYER_PARTS]; /* bytes */
};

/*
 * Read the player's files from dir; NULL: from the folder "player" beside the folder of the running program (a build tree),
 * else from the installed one. CMD_YES, then page_player_done(); CMD_UNSURE after a line on stderr that says how to get it.
 */
int page_player_load(const char *dir, struct page_player *ret_player) MUST_CHECK;
/* May be called twice. */
void page_player_done(struct page_player *p);

#endif
