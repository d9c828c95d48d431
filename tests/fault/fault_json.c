/* Building, writing and reading JSON with no memory at every point, in jansson too: an event is whole or refused. */
#include "config.h"

#include <errno.h>

#include <jansson.h>

#include "tests/lib/test.h"

#include "fault.h"
#include "lib/json.h"

static const char want[] =
    "{\"event\":\"x\",\"who\":\"a\\uFFFD\",\"n\":7,\"list\":[true,{\"k\":null}]}";

static int
read_back(const char *text, size_t len)
{
	struct json_node *root = NULL;
	struct json *copy;
	char *again = NULL;
	size_t again_len = 0;
	int r = json_parse(text, len, &root);

	/* jansson does not say why it did not parse. */
	if (r != 0)
		return -ENOMEM;
	copy = json_list();
	json_put_node(copy, NULL, root);
	if ((r = json_text(copy, false, 1000, &again, &again_len)) == 0)
		assert_int_equal(again_len, len + 2);
	free(again);
	json_free(copy);
	json_node_free(root);
	return r;
}

static int
run(void *arg)
{
	struct json *j = json_event("x"), *list = json_list(), *map = json_map();
	char *text = NULL;
	size_t len = 0;
	int r;

	(void)arg;
	json_put_bytes(j, "who", "a\xff", 2, 10);
	json_put_u64(j, "n", 7);
	json_put_bool(list, NULL, true);
	json_put_null(map, "k");
	json_put(list, NULL, map);
	json_put(j, "list", list);
	r = json_text(j, false, 1000, &text, &len);
	json_free(j);
	if (r == 0) {
		assert_string_equal(text, want);
		r = read_back(text, len);
	} else {
		assert_int_equal(r, -ENOMEM);
		assert_null(text);
	}
	free(text);
	return r;
}

static void
test_an_event_is_whole_or_refused(void **state)
{
	(void)state;
	/* From here malloc is the one that fails. */
	json_set_alloc_funcs(malloc, free);
	assert_true(fault_each(FAULT_MEMORY, run, NULL) >= 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_an_event_is_whole_or_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
