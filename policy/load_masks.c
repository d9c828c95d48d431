/* Reading policy.yaml: masks, and in a rule's how what is masked and what is kept of typing. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/mask_rules.h"
#include "lib/pattern.h"
#include "policy/load.h"

#define TEXTS_MAX 8192u /* bytes of all patterns: they stand in the description of a session */

static bool
is_mask_name(const char *s)
{
	size_t n;
	const struct mask_rule *defaults = mask_rules_defaults(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(defaults[i].name, s) == 0)
			return false;
	return *s != '\0' && strlen(s) <= MASK_NAME_MAX && strcmp(s, MASK_DEFAULTS) != 0 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static const struct load_kind kind_mask = { is_mask_name,
	"a name of a-z, 0-9 and -, at most 32, that no rule of the defaults has" };

/* One that can be compiled, and that says something. */
static int
check_text(struct load *l, const struct conf_node *n, const char *text)
{
	struct pattern_err err;
	struct pattern *p = NULL;
	int r = pattern_new(text, &p, &err);

	pattern_free(p);
	if (r == ERR_FORMAT)
		return conf_fail(
		    n, l->err, "a pattern of PCRE2 (at byte %zu: %s)", err.at + 1, err.text);
	for (const char *c = text; r == 0 && *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			return conf_fail(n, l->err, "ASCII; other bytes as \\xHH");
	return r;
}

static int
read_mask(struct load *l, const struct conf_node *map, size_t i, size_t *total)
{
	struct model_mask *mask = &l->m->masks[i];
	const struct conf_node *n = conf_at(map, i);
	int r;

	if ((r = load_string(l, conf_key_node_at(map, i), &kind_mask, &mask->name)) != 0 ||
	    (r = conf_str(n, &mask->text, l->err)) != 0)
		return r;
	*total += strlen(mask->text);
	if (*total > TEXTS_MAX)
		return conf_fail(n, l->err, "patterns of at most %u bytes in all", TEXTS_MAX);
	return check_text(l, n, mask->text);
}

int
load_masks(struct load *l, void *obj, const struct conf_node *n)
{
	size_t total = 0;
	int r = conf_map(n, l->err);

	(void)obj;
	if (r == 0 && conf_n(n) > MODEL_MASKS_MAX)
		r = conf_fail(n, l->err, "at most %u masks", MODEL_MASKS_MAX);
	if (r != 0)
		return r;
	if ((l->m->masks = model_alloc(l->m, conf_n(n), sizeof(*l->m->masks))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		if ((r = read_mask(l, n, i, &total)) == 0)
			l->m->n_masks++;
	return r;
}

static int
read_name(struct load *l, struct model_rule *rule, const struct conf_node *n)
{
	const char *name;
	int r = conf_str(n, &name, l->err);

	if (r != 0)
		return r;
	if (strcmp(name, MASK_DEFAULTS) == 0) {
		rule->masks |= MODEL_MASK_DEFAULTS;
		return 0;
	}
	for (size_t i = 0; i < l->m->n_masks; i++)
		if (strcmp(l->m->masks[i].name, name) == 0) {
			rule->masks |= model_mask_bit(i);
			return 0;
		}
	return conf_fail(n, l->err, "defaults, or a name that stands in masks");
}

int
load_how_mask(struct load *l, void *obj, const struct conf_node *n)
{
	int r = conf_list(n, l->err);

	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = read_name(l, obj, conf_at(n, i));
	return r;
}

int
load_how_typed(struct load *l, void *obj, const struct conf_node *n)
{
	static const char *const names[] = { "hide", "keep" };
	struct model_rule *rule = obj;
	size_t i;
	int r = conf_choice(n, names, 2, &i, l->err);

	if (r == 0)
		rule->keep_typed = i == 1;
	return r;
}
