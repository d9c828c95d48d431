#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/block.h"
#include "recorder/link_proto.h"
#include "recorder/recording.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/veil.h"
#include "tests/unit/unseal_rig.h"

void
sent_free(struct sent *s)
{
	buf_free(s->record);
	for (size_t i = 0; i < s->n; i++)
		buf_free(s->block[i]);
	*s = (struct sent){ NULL, { NULL }, 0 };
}

struct session *
unseal_rig_session(struct rig *rig, const char *command)
{
	static const uint8_t hidden[] = { VEIL_PROMPT, 0, 0, 0, 0 };
	struct session *s = rig_session(rig);
	struct buf *b = buf_new(4096);

	assert_non_null(b);
	assert_int_equal(session_append(s, EVENT_FRONT, LINK_OPEN, 1, "\0\0\0\7session", 11), 0);
	assert_int_equal(buf_put_u32(b, 1) | buf_put_cstr(b, "exec") | buf_put_u8(b, 1) |
			     buf_put_cstr(b, command),
	    0);
	assert_int_equal(
	    session_append(s, EVENT_FRONT, LINK_REQUEST, 1, buf_ptr(b), buf_len(b)), 0);
	for (unsigned i = 0; i < UNSEAL_RIG_FILES; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "{\"path\":\"/tmp/qq%u\"}", i);
		buf_reset(b);
		assert_int_equal(buf_put_u32(b, i + 1) | buf_put_cstr(b, text), 0);
		assert_int_equal(
		    session_append(s, EVENT_TO_FRONT, EVENT_FILE, 1, buf_ptr(b), buf_len(b)), 0);
	}
	assert_int_equal(
	    session_append(s, EVENT_FRONT, EVENT_HIDDEN, 1, hidden, sizeof(hidden)), 0);
	rig_data(s, 30, 10000);
	rig_commit(rig);
	buf_free(b);
	return s;
}

void
unseal_rig_send(struct rig *rig, const uint8_t *sid, struct sent *ret)
{
	struct buf *key = buf_new(SESKEY_RECORD_MAX), *stored = buf_new(BLOCK_STORED_MAX);
	struct store *store;
	struct store_snap *snap;
	struct recording *rec;
	struct block_hdr hdr;
	const uint8_t *data;
	size_t len;

	assert_int_equal(store_open_read(rig->dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	ret->record = buf_new(1u << 20);
	assert_int_equal(seskey_portable(snap, sid, key), 0);
	assert_int_equal(store_get(snap, STORE_SESS, sid, REC_SID_LEN, &data, &len), 0);
	assert_int_equal(buf_put_u8(ret->record, 1) |
			     buf_put_str(ret->record, buf_ptr(key), buf_len(key)) |
			     buf_put(ret->record, data, len),
	    0);
	assert_int_equal(recording_open_sealed(snap, sid, &rec), 0);
	for (ret->n = 0; recording_next_sealed(rec, &hdr, stored) == 0; ret->n++) {
		uint8_t head[BLOCK_HDR_LEN];

		assert_in_range(ret->n, 0, 15);
		block_hdr_encode(&hdr, head);
		ret->block[ret->n] = buf_new(BLOCK_HDR_LEN + BLOCK_STORED_MAX);
		assert_int_equal(buf_put(ret->block[ret->n], head, sizeof(head)) |
				     buf_put(ret->block[ret->n], buf_ptr(stored), buf_len(stored)),
		    0);
	}
	recording_close(rec);
	store_snap_free(snap);
	store_close(store);
	buf_free(key);
	buf_free(stored);
}

void
unseal_rig_closed(struct rig *rig, const char *command, struct sent *ret)
{
	struct session *s = unseal_rig_session(rig, command);
	uint8_t sid[REC_SID_LEN];

	memcpy(sid, session_sid(s), sizeof(sid));
	assert_int_equal(session_close(s, LINK_END_CLIENT, "", ""), 0);
	rig_commit(rig);
	unseal_rig_send(rig, sid, ret);
}
