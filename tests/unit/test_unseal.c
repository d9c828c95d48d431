/* The auditor's side of a sealed session: what a reader sends opens with the right key, and says why where it does not. */
#include "config.h"

#include <sodium.h>

#include "bastionctl/unseal.h"
#include "lib/buf.h"
#include "recorder/block.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/unseal_rig.h"

static struct secret *own[3]; /* secret keys: anna's, ben's, and one of nobody here */
static struct auditors two;
static struct sent one, other;
static struct unseal *u;

static int
setup(void **state)
{
	static const char *const names[] = { "anna", "ben" };
	struct rig *rig;

	assert_int_equal(rig_setup(state), 0);
	rig = *state;
	rig_close(rig);
	two.n = 0;
	for (size_t i = 0; i < 3; i++) {
		struct auditor a = { .name = "" };

		own[i] = secret_new(AUDITOR_KEY_LEN);
		assert_non_null(own[i]);
		assert_int_equal(crypto_box_keypair(a.key, secret_ptr(own[i])), 0);
		if (i == 2)
			continue;
		memcpy(a.name, names[i], strlen(names[i]));
		assert_int_equal(auditors_add(&two, &a), 0);
	}
	rig->auditors = &two;
	rig_open(rig);
	return 0;
}

static int
teardown(void **state)
{
	unseal_free(u);
	u = NULL;
	sent_free(&one);
	sent_free(&other);
	for (size_t i = 0; i < 3; i++)
		secret_free(own[i]);
	return rig_teardown(state);
}

static void
with_key(const struct secret *auditor)
{
	unseal_free(u);
	u = unseal_new(auditor);
	assert_non_null(u);
}

static int
record(const struct sent *s)
{
	return unseal_record(u, buf_ptr(s->record), buf_len(s->record), false);
}

/* What the JSON says behind what came before; free it. The reader's own has no names. */
static struct json_node *
json(void)
{
	static const char text[] = "{\"id\":\"x\",\"channels\":[],\"files\":[],\"files_total\":0}";
	struct json_node *root;

	assert_int_equal(json_parse(text, strlen(text), &root), 0);
	assert_int_equal(unseal_json(u, &root), 0);
	assert_string_equal(json_str(json_get(root, "id"), ""), "x");
	return root;
}

static const char *
command_of(const struct json_node *root)
{
	return json_str(json_get(json_at(json_get(root, "channels"), 0), "command"), "none");
}

static int
inside(const struct sent *s)
{
	for (size_t i = 0; i < s->n; i++) {
		int r = unseal_inside(u, buf_ptr(s->block[i]), buf_len(s->block[i]), false);

		if (r != 0)
			return r;
	}
	return 0;
}

/* Events that come out of its blocks; negative: why they do not. */
static int
events(const struct sent *s)
{
	struct unseal_events part;
	int n = 0, r;

	for (size_t i = 0; i < s->n; i++) {
		struct event_reader reader;
		struct event ev;

		r = unseal_block(u, buf_ptr(s->block[i]), buf_len(s->block[i]), false, &part);
		if (r != 0)
			return r;
		assert_int_equal(part.first_seq, n + 1);
		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while ((r = event_next(&reader, &ev)) == 0)
			n++;
		assert_int_equal(r, ERR_NOT_FOUND);
	}
	return n;
}

/* Change the byte at. */
static void
flip(struct buf *b, size_t at)
{
	size_t len = buf_len(b);
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, buf_ptr(b), len);
	copy[at] ^= 0x80;
	buf_reset(b);
	assert_int_equal(buf_put(b, copy, len), 0);
	free(copy);
}

static void
test_each_auditor_opens_all_of_it(void **state)
{
	struct json_node *root;

	unseal_rig_closed(*state, "qqcommand", &one);
	for (size_t i = 0; i < 2; i++) {
		with_key(own[i]);
		assert_int_equal(record(&one), 0);
		root = json();
		assert_string_equal(command_of(root), "qqcommand");
		assert_int_equal(json_n(json_get(root, "files")), SESS_FILES_MAX);
		assert_int_equal(json_u64(json_get(root, "files_total"), 0), UNSEAL_RIG_FILES);
		json_node_free(root);
		assert_int_equal(events(&one), UNSEAL_RIG_EVENTS);
	}
}

static void
test_no_key_and_a_wrong_key_open_nothing_and_say_who_can(void **state)
{
	struct json_node *root;

	unseal_rig_closed(*state, "qqcommand", &one);
	for (size_t i = 0; i < 2; i++) {
		with_key(i == 0 ? NULL : own[2]);
		assert_int_equal(record(&one), 0);
		assert_int_equal(inside(&one), 0);
		root = json();
		assert_int_equal(json_n(json_get(root, "channels")), 0);
		json_node_free(root);
		assert_int_equal(events(&one), ERR_SEALED);
		assert_non_null(strstr(unseal_why(u), "sealed to anna, ben: "));
		assert_non_null(strstr(unseal_why(u), i == 0 ? "--auditor-key" : "none of theirs"));
	}
}

static void
test_events_tell_of_all_files(void **state)
{
	struct json_node *root;

	unseal_rig_closed(*state, "qqcommand", &one);
	with_key(own[0]);
	assert_int_equal(inside(&one), ERR_ORDER);
	assert_int_equal(record(&one), 0);
	assert_int_equal(inside(&one), 0);
	assert_int_equal(inside(&one), 0); /* what comes again is not counted again */
	root = json();
	assert_string_equal(command_of(root), "qqcommand");
	assert_int_equal(json_n(json_get(root, "files")), UNSEAL_RIG_FILES);
	assert_string_equal(
	    json_str(json_get(json_at(json_get(root, "files"), UNSEAL_RIG_FILES - 1), "path"), ""),
	    "/tmp/qq99");
	json_node_free(root);
	assert_int_equal(events(&one), UNSEAL_RIG_EVENTS);
}

/* A start ended it without its key: its record has neither channels nor files. */
static void
test_events_stand_for_a_record_that_a_start_wrote(void **state)
{
	struct rig *rig = *state;
	struct session *s = unseal_rig_session(rig, "qqcut");
	uint8_t sid[REC_SID_LEN];
	struct json_node *root;

	memcpy(sid, session_sid(s), sizeof(sid));
	rig_crash(rig);
	rig_open(rig);
	assert_int_equal(rig->recovery.n_truncated, 1);
	unseal_rig_send(rig, sid, &one);
	with_key(own[1]);
	assert_int_equal(record(&one), 0);
	root = json();
	assert_int_equal(json_n(json_get(root, "channels")), 0);
	json_node_free(root);
	assert_int_equal(record(&one), 0);
	assert_int_equal(inside(&one), 0);
	root = json();
	assert_string_equal(command_of(root), "qqcut");
	assert_int_equal(json_n(json_get(root, "files")), UNSEAL_RIG_FILES);
	assert_int_equal(json_u64(json_get(root, "files_total"), 0), UNSEAL_RIG_FILES);
	assert_int_equal(json_u64(json_get(json_get(root, "hidden"), "prompt"), 0), 1);
	json_node_free(root);
}

/* Of a copy that was taken while it ran. */
static void
test_events_stand_for_a_record_without_an_end(void **state)
{
	struct rig *rig = *state;
	struct session *s = unseal_rig_session(rig, "qqruns");
	struct json_node *root;

	unseal_rig_send(rig, session_sid(s), &one);
	with_key(own[1]);
	assert_int_equal(record(&one), 0);
	assert_int_equal(inside(&one), 0);
	root = json();
	assert_string_equal(command_of(root), "qqruns");
	json_node_free(root);
	assert_int_equal(events(&one), UNSEAL_RIG_EVENTS);
}

/* A damaged block ends what events tell; the record's own words stay. */
static void
test_what_a_damaged_recording_tells_is_kept(void **state)
{
	struct json_node *root;

	unseal_rig_closed(*state, "qqcommand", &one);
	assert_true(one.n >= 2);
	flip(one.block[0], buf_len(one.block[0]) - 1);
	with_key(own[0]);
	assert_int_equal(record(&one), 0);
	assert_int_equal(inside(&one), 0);
	root = json();
	assert_string_equal(command_of(root), "qqcommand");
	assert_int_equal(json_n(json_get(root, "files")), SESS_FILES_MAX);
	json_node_free(root);
	assert_int_equal(events(&one), ERR_CHAIN);
}

static void
test_a_key_record_of_another_session_opens_nothing(void **state)
{
	struct buf *a, *b, *swapped = buf_new(1u << 20);
	const uint8_t *p;
	uint8_t detail;
	size_t len;

	unseal_rig_closed(*state, "qqone", &one);
	unseal_rig_closed(*state, "qqother", &other);
	a = buf_view(buf_ptr(one.record), buf_len(one.record));
	b = buf_view(buf_ptr(other.record), buf_len(other.record));
	assert_int_equal(buf_get_u8(a, &detail) | buf_get_str(a, &p, &len), 0);
	assert_int_equal(buf_put_u8(swapped, 1) | buf_put_str(swapped, p, len), 0);
	assert_int_equal(buf_get_u8(b, &detail) | buf_get_str(b, &p, &len), 0);
	assert_int_equal(buf_put(swapped, buf_ptr(b), buf_len(b)), 0);
	with_key(own[0]);
	assert_int_equal(unseal_record(u, buf_ptr(swapped), buf_len(swapped), false), ERR_CHAIN);
	assert_int_equal(events(&other), ERR_SEALED);
	/* Blocks of one session under the other's record. */
	with_key(own[0]);
	assert_int_equal(record(&one), 0);
	assert_int_equal(events(&other), ERR_CHAIN);
	buf_free(a);
	buf_free(b);
	buf_free(swapped);
}

/* Every byte of the key record matters, and every length but the whole is refused. */
static void
test_damaged_and_cut_records_open_nothing(void **state)
{
	struct buf *view;
	const uint8_t *p;
	size_t len, key_len;
	uint8_t detail;

	unseal_rig_closed(*state, "qqcommand", &one);
	view = buf_view(buf_ptr(one.record), buf_len(one.record));
	assert_int_equal(buf_get_u8(view, &detail) | buf_get_str(view, &p, &key_len), 0);
	buf_free(view);
	len = buf_len(one.record);
	for (size_t i = 5; i < 5 + key_len; i++) {
		struct json_node *root = NULL;
		int r;

		/* The other auditor's line and envelope are not looked at. */
		flip(one.record, i);
		with_key(own[0]);
		r = record(&one);
		if (r == 0) {
			root = json();
			r = events(&one);
			assert_true(r == ERR_SEALED || r == (int)UNSEAL_RIG_EVENTS);
			if (r == ERR_SEALED)
				assert_int_equal(json_n(json_get(root, "channels")), 0);
			json_node_free(root);
		}
		flip(one.record, i);
	}
	for (size_t cut = 0; cut < len; cut += cut < 5 + key_len + 64 ? 1 : 37) {
		with_key(own[0]);
		assert_int_not_equal(unseal_record(u, buf_ptr(one.record), cut, false), 0);
		assert_int_equal(events(&one), ERR_SEALED);
	}
}

static void
test_parts_are_put_together(void **state)
{
	struct unseal_events part;
	struct json_node *root;
	size_t at, len;
	int r = 0;

	unseal_rig_closed(*state, "qqcommand", &one);
	with_key(own[0]);
	len = buf_len(one.record);
	for (at = 0; at < len; at += 100)
		assert_int_equal(unseal_record(u, buf_ptr(one.record) + at,
				     len - at < 100 ? len - at : 100, at + 100 < len),
		    0);
	root = json();
	assert_string_equal(command_of(root), "qqcommand");
	json_node_free(root);
	len = buf_len(one.block[0]);
	for (at = 0; at < len; at += 1000) {
		r = unseal_block(u, buf_ptr(one.block[0]) + at, len - at < 1000 ? len - at : 1000,
		    at + 1000 < len, &part);
		assert_int_equal(r, 0);
	}
	assert_true(part.len > 0);
	/* Cut, and then whole: the rest of the first is forgotten by a seek. */
	assert_int_equal(unseal_block(u, buf_ptr(one.block[0]), 500, true, &part), 0);
	unseal_seek(u);
	assert_int_equal(events(&one), UNSEAL_RIG_EVENTS);
	assert_int_equal(unseal_block(u, buf_ptr(one.block[0]), 10, false, &part), ERR_FORMAT);
	assert_int_equal(unseal_block(u, buf_ptr(one.block[0]), len - 1, false, &part), ERR_CHAIN);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_auditor_opens_all_of_it),
		T(test_no_key_and_a_wrong_key_open_nothing_and_say_who_can),
		T(test_events_tell_of_all_files),
		T(test_events_stand_for_a_record_that_a_start_wrote),
		T(test_events_stand_for_a_record_without_an_end),
		T(test_what_a_damaged_recording_tells_is_kept),
		T(test_a_key_record_of_another_session_opens_nothing),
		T(test_damaged_and_cut_records_open_nothing),
		T(test_parts_are_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
