/* What the recorder is told about a recording: masks and typing. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mask_rules.h"
#include "lib/str.h"
#include "policy/model_int.h"
#include "policy/recording.h"
#include "recorder/recorder_proto.h"

#define NAMES_SIZE 2048u /* defaults, and all masks that there may be */
#define TEXTS_SIZE 12288u

struct choice {
	struct mask_rule rules[MASK_RULES_MAX];
	size_t n;
	char names[NAMES_SIZE];
	struct json *texts; /* of those that are not defaults */
	bool own;
};

static void
add_name(struct choice *c, const char *name)
{
	size_t at = strlen(c->names);

	(void)snprintf(c->names + at, sizeof(c->names) - at, "%s%s", at > 0 ? "," : "", name);
}

static void
choose(struct choice *c, const struct model *m, uint64_t masks)
{
	size_t n = 0;
	const struct mask_rule *defaults = mask_rules_defaults(&n);

	if ((masks & MODEL_MASK_DEFAULTS) != 0) {
		memcpy(c->rules, defaults, n * sizeof(c->rules[0]));
		c->n = n;
		add_name(c, MASK_DEFAULTS);
	}
	for (size_t i = 0; i < m->n_masks && c->n < MASK_RULES_MAX; i++) {
		if ((masks & model_mask_bit(i)) == 0)
			continue;
		c->rules[c->n++] = (struct mask_rule){ m->masks[i].name, m->masks[i].text, NULL };
		add_name(c, m->masks[i].name);
		json_put_str(c->texts, m->masks[i].name, m->masks[i].text);
		c->own = true;
	}
}

static int
put(struct buf *b, enum rec_meta tag, const char *text)
{
	int r = buf_put_u8(b, (uint8_t)tag);

	return r != 0 ? r : buf_put_cstr(b, text);
}

static int
put_choice(const struct choice *c, struct buf *b)
{
	char hex[2 * HASH_LEN + 1], *text = NULL;
	uint8_t hash[HASH_LEN];
	size_t len;
	int r;

	if ((r = mask_rules_hash(c->rules, c->n, hash)) != 0 ||
	    (r = put(b, REC_META_MASKS, c->names)) != 0 ||
	    (r = put(b, REC_META_MASKS_HASH, str_hex(hex, hash, HASH_LEN))) != 0 || !c->own ||
	    (r = json_text(c->texts, false, TEXTS_SIZE, &text, &len)) != 0)
		return r;
	r = put(b, REC_META_MASK_TEXTS, text);
	free(text);
	return r;
}

int
recording_put_meta(struct buf *b, const struct rules_recording *rec)
{
	struct choice *c;
	int r = rec->keep_typed ? put(b, REC_META_TYPED, "keep") : 0;

	if (r != 0 || rec->masks == 0)
		return r;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return -ENOMEM;
	c->texts = json_map();
	choose(c, rec->model, rec->masks);
	r = put_choice(c, b);
	json_free(c->texts);
	free(c);
	return r;
}
