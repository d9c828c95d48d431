/* A person's line to the bastion's own shell, and their keys on its picker: whatever they are, what goes back is printable. */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/shell/command.h"
#include "bastiond/shell/pick.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char hosts[] =
    "[{\"host\":\"db1\",\"logins\":[{\"login\":\"postgres\"}],\"labels_text\":\"env=prod\"},"
    "{\"host\":\"web1\",\"logins\":[{\"login\":\"alice\"},{\"login\":\"root\"}]},"
    "{\"host\":\"*.lab.example\",\"logins\":[{\"login\":\"*\"}]}]";

static void
try_line(const uint8_t *data, size_t size)
{
	char text[COMMAND_TEXT_SIZE];
	struct command cmd;

	if (command_parse(data, size, &cmd, text) == 0) {
		assert(memchr(cmd.arg, '\0', sizeof(cmd.arg)) != NULL);
		return;
	}
	assert(memchr(text, '\0', sizeof(text)) != NULL && text[0] != '\0');
	for (const char *p = text; *p != '\0'; p++)
		assert(*p >= ' ' && *p <= '~');
}

/* Nothing but printable characters, CR, LF and the sequences of pick.c. */
static void
check_drawn(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] == 0x1b) {
			assert(i + 2 < len && p[i + 1] == '[');
			for (i += 2; p[i] >= '0' && p[i] <= '9';)
				i++;
			assert(strchr("JACm", p[i]) != NULL);
		} else {
			assert(p[i] == '\r' || p[i] == '\n' || (p[i] >= ' ' && p[i] <= '~'));
		}
	}
}

/* The first two bytes are the terminal's size; 0xff in the others: time passes, 0xfe: another size. */
static void
try_keys(const struct json_node *list, const uint8_t *data, size_t size)
{
	struct buf *out = buf_new(PICK_DRAW_MAX);
	enum pick_result r = PICK_MORE;
	struct pick *p = NULL;
	size_t used;

	if (size < 2 || out == NULL || pick_new(list, "alice", &p) != 0) {
		buf_free(out);
		return;
	}
	pick_resize(p, data[0], data[1]);
	for (size_t i = 2; i < size && r != PICK_LEAVE; i++) {
		if (data[i] == 0xff)
			r = pick_alone(p);
		else if (data[i] == 0xfe)
			pick_resize(p, data[i - 1], data[1]);
		else
			r = pick_keys(p, data + i, 1, &used);
		assert(r != PICK_CONNECT || pick_target(p)[0] != '\0');
		buf_reset(out);
		if (pick_draw(p, out) == 0)
			check_drawn(buf_ptr(out), buf_len(out));
	}
	pick_free(p);
	buf_free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_node *list;

	if (list == NULL && json_parse(hosts, sizeof(hosts) - 1, &list) != 0)
		abort();
	try_line(data, size);
	try_keys(list, data, size < 4096 ? size : 4096);
	return 0;
}
