/* The auditor's side without memory at every point: it says so, and never that a recording is damaged or sealed to others. */
#include "config.h"

#include <errno.h>

#include "bastionctl/unseal.h"
#include "lib/hash.h"
#include "recorder/event.h"
#include "recorder/sess.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"
#include "tests/unit/unseal_rig.h"

struct looking {
	struct sent sent;
	struct secret *auditor;
};

static int
take_blocks(struct unseal *u, const struct sent *s)
{
	struct unseal_events part;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = unseal_block(u, buf_ptr(s->block[i]), buf_len(s->block[i]), false, &part);
	return r;
}

/* A record, what its events tell, the JSON, the events. */
static int
take(struct unseal *u, const struct sent *s, struct json_node **root)
{
	int r = unseal_record(u, buf_ptr(s->record), buf_len(s->record), false);

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = unseal_inside(u, buf_ptr(s->block[i]), buf_len(s->block[i]), false);
	if (r == 0 && (r = unseal_json(u, root)) == 0) {
		fault_hold();
		assert_int_equal(json_n(json_get(*root, "files")), UNSEAL_RIG_FILES);
		fault_go();
		r = take_blocks(u, s);
	}
	return r;
}

static int
run(void *arg)
{
	const struct looking *l = arg;
	struct json_node *root = NULL;
	struct unseal *u;
	int r = -ENOMEM;

	fault_hold();
	assert_int_equal(json_parse("{\"files\":[]}", 12, &root), 0);
	fault_go();
	if ((u = unseal_new(l->auditor)) != NULL)
		r = take(u, &l->sent, &root);
	fault_hold();
	unseal_free(u);
	json_node_free(root);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static void
test_opening_survives_every_failed_allocation(void **state)
{
	uint8_t secret[AUDITOR_KEY_LEN];
	struct rig *rig = *state;
	struct looking l;

	rig_close(rig);
	rig_seal(rig, secret);
	rig_open(rig);
	l.auditor = secret_take(secret, sizeof(secret));
	assert_non_null(l.auditor);
	unseal_rig_closed(rig, "qqcommand", &l.sent);
	assert_true(fault_each(FAULT_MEMORY, run, &l) > 40);
	sent_free(&l.sent);
	secret_free(l.auditor);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_opening_survives_every_failed_allocation, rig_setup, rig_teardown),
	};

	if (secret_init() != 0 || hash_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("fault_unseal", tests, NULL, NULL);
}
