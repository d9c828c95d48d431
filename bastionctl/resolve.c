/* Asking a reader for the whole id of a session. */
#include "config.h"

#include "bastionctl/rd.h"
#include "bastionctl/resolve.h"
#include "bastionctl/view.h"
#include "lib/str.h"

int
resolve_session(struct cmd_ctx *c, const char *text, char *dst, size_t size)
{
	const char *ask[] = { "show", text, NULL };
	struct rd_place place;
	struct rd *rd = NULL;
	struct rd_msg m;
	int code, r;

	if ((code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES) {
		if ((r = rd_next(rd, &m)) == 0)
			r = str_copy(dst, size, json_str(json_get(m.json, "id"), ""));
		code = rd_end(rd, r);
	}
	rd_close(rd);
	return code;
}
