/* A configuration file of any bytes: either a tree that all questions can be asked of, or one clean line that says where. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text)
{
	if (strncmp(text, "fuzz.yaml:", 10) != 0)
		abort();
	for (const char *p = text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			abort();
}

/* Ask everything; what is refused must say why. */
static void
ask(const struct conf_node *n)
{
	static const struct conf_key keys[] = { { "listen", true }, { "state", false } };
	static const char *const names[] = { "strict", "process" };
	struct conf_err err;
	const char *s;
	uint64_t v;
	size_t i;
	bool b;
	int r[] = {
		conf_check_map(n, keys, 2, &err),
		conf_str(n, &s, &err),
		conf_bool(n, &b, &err),
		conf_u64(n, 1, 65535, &v, &err),
		conf_span(n, 1, UINT64_MAX, &v, &err),
		conf_size(n, 1, UINT64_MAX, &v, &err),
		conf_choice(n, names, 2, &i, &err),
		conf_list(n, &err),
	};

	for (size_t k = 0; k < sizeof(r) / sizeof(r[0]); k++)
		if (r[k] != 0 && r[k] != ERR_FORMAT)
			abort();
	(void)conf_fail(n, &err, "something else");
	check_text(err.text);
}

static void
walk(const struct conf_node *n, unsigned depth)
{
	char path[64];

	if (depth > CONF_DEPTH_MAX + 1)
		abort();
	ask(n);
	if (strlen(conf_path(n, path, sizeof(path))) >= sizeof(path))
		abort();
	for (size_t i = 0; i < conf_n(n); i++) {
		if (conf_node_type(n) == CONF_MAP) {
			ask(conf_key_node_at(n, i));
			if (conf_get(n, conf_key_at(n, i)) != conf_at(n, i))
				abort();
		}
		walk(conf_at(n, i), depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_doc *doc = NULL;
	struct conf_err err = { "" };
	int r = conf_parse("fuzz.yaml", (const char *)data, size, &doc, &err);

	if (r != 0) {
		if (r != ERR_FORMAT || doc != NULL)
			abort();
		check_text(err.text);
		return 0;
	}
	if (conf_root(doc) != NULL)
		walk(conf_root(doc), 1);
	conf_free(doc);
	return 0;
}
