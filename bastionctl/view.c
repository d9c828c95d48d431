/* Sandbox, spans, sizes, times, JSON. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "bastionctl/view.h"
#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/sandbox.h"

int
view_close_sandbox(void)
{
	int r;

	tzset(); /* reads a file */
	if ((r = sandbox_prepare()) != 0 || (r = sandbox_enter(SANDBOX_TOOL, NULL, 0)) != 0)
		return cmd_fail(CMD_UNSURE,
		    "the sandbox does not close: %s: no recording is opened without it",
		    err_str(r));
	return CMD_YES;
}

int
view_channel_opt(const char *text, uint32_t *ret_channel)
{
	uint64_t v = 0;

	if (text != NULL && num_parse(text, 1, UINT32_MAX, &v) != 0)
		return cmd_fail(CMD_USAGE,
		    "--channel %s: not the number of a channel: see bastionctl sessions show",
		    text);
	*ret_channel = (uint32_t)v;
	return CMD_YES;
}

int
view_session(struct rd *rd, const struct json_node **ret_session)
{
	struct rd_msg m;
	int r = rd_next(rd, &m);

	if (r == 0 && m.type != RD_BEGIN)
		r = ERR_FORMAT;
	if (r != 0)
		return rd_end(rd, r);
	*ret_session = m.json;
	return CMD_YES;
}

char *
view_span(char *dst, size_t size, uint64_t ns)
{
	uint64_t s = ns / CLOCK_NS_PER_S, tenths = ns / (CLOCK_NS_PER_S / 10) % 10;

	if (s < 60)
		(void)snprintf(dst, size, "%" PRIu64 ".%" PRIu64 "s", s, tenths);
	else if (s < 3600)
		(void)snprintf(dst, size, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(dst, size, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		(void)snprintf(dst, size, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return dst;
}

char *
view_size(char *dst, size_t size, uint64_t bytes)
{
	static const char units[] = " KMGTPE";
	uint64_t whole = bytes, rest = 0;
	size_t unit = 0;

	while (whole >= 1024) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	if (unit == 0)
		(void)snprintf(dst, size, "%" PRIu64 "B", whole);
	else if (whole < 10)
		(void)snprintf(
		    dst, size, "%" PRIu64 ".%" PRIu64 "%c", whole, rest * 10 / 1024, units[unit]);
	else
		(void)snprintf(dst, size, "%" PRIu64 "%c", whole, units[unit]);
	return dst;
}

char *
view_time(char *dst, size_t size, const char *utc)
{
	uint64_t ns;

	if (when_parse_utc(utc, &ns) == 0)
		return out_time(dst, size, ns);
	(void)snprintf(dst, size, "%s", utc);
	return dst;
}

int
view_json_document(const struct json_node *n)
{
	char *text;
	size_t len;
	int r = json_node_text(n, true, &text, &len);

	if (r != 0)
		return cmd_fail(CMD_UNSURE, "cannot write JSON: %s", err_str(r));
	puts(text);
	free(text);
	return CMD_YES;
}

int
view_json_item(FILE *f, const struct json_node *n, bool first)
{
	char *text;
	size_t len;
	int r = json_node_text(n, false, &text, &len);

	if (r != 0)
		return r;
	fprintf(f, "%s\n%s", first ? "" : ",", text);
	free(text);
	return 0;
}
