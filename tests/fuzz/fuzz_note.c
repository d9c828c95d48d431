/* Any bytes as a signed note, a verifier key and a checkpoint. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* Several of them, one behind the other: whatever is taken for one is in the text, whole, and read as one. */
static void
as_many(const char *text, size_t size, const struct note_key *key)
{
	size_t skip, len, text_len, end;
	int r;

	while ((r = note_first(text, size, &skip, &len)) == 0) {
		must(len > 0 && skip <= size && len <= size - skip);
		for (size_t i = 0; i < skip; i++)
			must(text[i] == '\n');
		end = note_text_len(text + skip, len, &text_len) == 0 ? text_len : 0;
		must(end < len);
		if (note_verify(text + skip, len, key, &text_len) == 0)
			must(text_len == end);
		text += skip + len;
		size -= skip + len;
	}
	must(r < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char vkey[] =
	    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	const char *text = (const char *)data;
	char line[NOTE_VKEY_SIZE], again[1024];
	struct note_checkpoint c;
	struct note_key key;
	size_t text_len;

	must(note_key_parse(vkey, strlen(vkey), &key) == 0);
	if (note_verify(text, size, &key, &text_len) == 0)
		must(text_len < size && text[text_len - 1] == '\n');
	as_many(text, size, &key);
	if (note_key_parse(text, size, &key) == 0) {
		note_key_text(line, &key);
		must(memcmp(line, text, strlen(line)) == 0);
	}
	if (note_checkpoint_parse(text, size, &c) == 0) {
		must(note_checkpoint_text(again, sizeof(again), &c) == 0);
		must(strlen(again) <= size && memcmp(again, text, strlen(again)) == 0);
	}
	return 0;
}
