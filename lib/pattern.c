/* PCRE2 with its limits set. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/pattern.h"

#define HEAP_KIB 4096u	  /* of one call */
#define COMPILE_DEPTH 64u /* parentheses */

struct pattern {
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *context;
};

void
pattern_free(struct pattern *p)
{
	if (p == NULL)
		return;
	pcre2_match_context_free(p->context);
	pcre2_match_data_free(p->match);
	pcre2_code_free(p->code);
	free(p);
}

static int
refuse(struct pattern_err *err, size_t at, const char *text)
{
	err->at = at;
	(void)snprintf(err->text, sizeof(err->text), "%s", text);
	return ERR_FORMAT;
}

static int
compile(struct pattern *p, const char *text, size_t len, struct pattern_err *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_SIZE at = 0;
	uint32_t empty = 0;
	int e = 0;

	if (context == NULL)
		return -ENOMEM;
	(void)pcre2_set_parens_nest_limit(context, COMPILE_DEPTH);
	p->code = pcre2_compile((PCRE2_SPTR)text, len,
	    PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &e,
	    &at, context);
	pcre2_compile_context_free(context);
	if (p->code == NULL) {
		if (pcre2_get_error_message(e, (PCRE2_UCHAR *)err->text, sizeof(err->text)) < 0)
			return refuse(err, at, "not a pattern");
		err->at = at;
		return e == PCRE2_ERROR_NOMEMORY ? -ENOMEM : ERR_FORMAT;
	}
	if (pcre2_pattern_info(p->code, PCRE2_INFO_MATCHEMPTY, &empty) != 0 || empty != 0)
		return refuse(err, 0, "it matches the empty string, which is everywhere");
	return 0;
}

int
pattern_new(const char *text, struct pattern **ret_pattern, struct pattern_err *ret_err)
{
	struct pattern *p;
	size_t len = strlen(text);
	int r;

	if (len == 0 || len > PATTERN_TEXT_MAX)
		return refuse(
		    ret_err, 0, len == 0 ? "it is empty" : "it is longer than 1024 bytes");
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return -ENOMEM;
	if ((r = compile(p, text, len, ret_err)) != 0)
		goto fail;
	r = -ENOMEM;
	if ((p->match = pcre2_match_data_create(1, NULL)) == NULL ||
	    (p->context = pcre2_match_context_create(NULL)) == NULL)
		goto fail;
	(void)pcre2_set_match_limit(p->context, PATTERN_STEPS);
	(void)pcre2_set_heap_limit(p->context, HEAP_KIB);
	*ret_pattern = p;
	return 0;
fail:
	pattern_free(p);
	return r;
}

struct subject {
	const uint8_t *data;
	size_t len, start;
};

static enum pattern_answer
find(struct pattern *p, const struct subject *in, uint32_t options, struct pattern_place *ret)
{
	size_t len = in->len;
	int e = pcre2_match(
	    p->code, in->data, len, in->start, PCRE2_NOTEMPTY | options, p->match, p->context);
	const PCRE2_SIZE *place = pcre2_get_ovector_pointer(p->match);

	*ret = (struct pattern_place){ .begin = len, .from = len, .to = len };
	if (e == PCRE2_ERROR_NOMATCH)
		return PATTERN_NO;
	if (e == PCRE2_ERROR_PARTIAL) {
		ret->begin = place[0];
		return PATTERN_PERHAPS;
	}
	if (e < 0)
		return PATTERN_LIMIT;
	*ret = (struct pattern_place){
		.begin = pcre2_get_startchar(p->match), .from = place[0], .to = place[1]
	};
	/* A \K behind the end, in a lookahead, means nothing here. */
	if (ret->from > ret->to)
		ret->from = ret->to;
	return PATTERN_YES;
}

enum pattern_answer
pattern_find(struct pattern *p, const uint8_t *data, size_t len, size_t start, bool more,
    struct pattern_place *ret)
{
	return find(p, &(struct subject){ data, len, start }, more ? PCRE2_PARTIAL_HARD : 0, ret);
}

enum pattern_answer
pattern_find_at(struct pattern *p, const uint8_t *data, size_t len, size_t at, bool more,
    struct pattern_place *ret)
{
	return find(p, &(struct subject){ data, len, at },
	    PCRE2_ANCHORED | (more ? PCRE2_PARTIAL_HARD : 0), ret);
}
