/* From the leaves that a session's fate names to words. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "recorder/fate.h"
#include "recorder/mlog.h"
#include "recorder/reader_fate.h"

/* Leaf and text of a decision. 0, then *ret_text is to be freed. */
static int
decision_get(struct reader *rd, uint64_t index, uint64_t *ret_wall_ns, struct json_node **ret_text)
{
	const uint8_t *data;
	struct mlog_leaf leaf;
	size_t len;
	int r;

	if ((r = mlog_leaf_get(rd->snap, index, &data, &len)) != 0 ||
	    (r = mlog_leaf_parse(data, len, &leaf)) != 0 ||
	    (r = mlog_audit_get(rd->snap, index, &data, &len)) != 0)
		return r;
	*ret_wall_ns = leaf.wall_ns;
	return json_parse((const char *)data, len, ret_text);
}

static int
put_decision(struct reader *rd, struct json *j, const char *key, bool is, uint64_t index)
{
	struct json_node *text;
	struct json *d;
	uint64_t at_ns;
	int r;

	if (!is) {
		json_put_null(j, key);
		return 0;
	}
	if ((r = decision_get(rd, index, &at_ns, &text)) != 0)
		return r;
	d = json_map();
	json_put_str(d, "by", json_str(json_get(text, "by"), "unknown"));
	json_put_time(d, "at", at_ns);
	json_put_str(d, "why", json_str(json_get(text, "why"), ""));
	json_put(j, key, d);
	json_node_free(text);
	return 0;
}

int
reader_put_fate(struct reader *rd, const uint8_t sid[REC_SID_LEN], struct json *j)
{
	struct fate fate;
	int r;

	if ((r = fate_get(rd->snap, sid, &fate)) != 0 ||
	    (r = put_decision(rd, j, "erased", (fate.flags & FATE_ERASED) != 0, fate.erase_leaf)) !=
		0)
		return r;
	return put_decision(rd, j, "held", (fate.flags & FATE_HELD) != 0, fate.hold_leaf);
}

int
reader_is_erased(struct reader *rd, const uint8_t sid[REC_SID_LEN], bool *ret_erased)
{
	char when[CLOCK_TEXT_SIZE], by[160], why[300];
	struct json_node *text;
	struct fate fate;
	uint64_t at_ns;
	const char *s;
	int r;

	if ((r = fate_get(rd->snap, sid, &fate)) != 0)
		return r;
	*ret_erased = (fate.flags & FATE_ERASED) != 0;
	if (!*ret_erased)
		return 0;
	if ((r = decision_get(rd, fate.erase_leaf, &at_ns, &text)) != 0)
		return r;
	s = json_str(json_get(text, "by"), "unknown");
	str_escape(by, sizeof(by), s, strlen(s));
	s = json_str(json_get(text, "why"), "");
	str_escape(why, sizeof(why), s, strlen(s));
	reader_say(rd, "this recording was erased on purpose at %s by %s: %s",
	    clock_text(when, sizeof(when), at_ns), by, why);
	json_node_free(text);
	return 0;
}
