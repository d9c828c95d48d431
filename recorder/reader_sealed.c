/* What is sealed, sent as it is stored: an auditor opens it on their own side. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "recorder/block.h"
#include "recorder/reader.h"
#include "recorder/recording.h"
#include "recorder/seskey.h"

/* A message in as many parts as it needs. */
static int
reader_send_parts(struct reader *rd, uint16_t type, const struct buf *b)
{
	return reader_send_text(rd, type, (const char *)buf_ptr(b), buf_len(b));
}

/* What an auditor opens on their own side. */
int
reader_send_record(struct reader *rd, const uint8_t sid[REC_SID_LEN], enum rd_detail detail)
{
	struct buf *key = buf_new(SESKEY_RECORD_MAX), *b = buf_new(READER_ITEM_MAX);
	const uint8_t *data;
	size_t len;
	int r = -ENOMEM;

	if (key == NULL || b == NULL)
		goto out;
	if ((r = seskey_portable(rd->snap, sid, key)) == 0 &&
	    (r = store_get(rd->snap, STORE_SESS, sid, REC_SID_LEN, &data, &len)) == 0 &&
	    (r = buf_put_u8(b, (uint8_t)detail)) == 0 &&
	    (r = buf_put_str(b, buf_ptr(key), buf_len(key))) == 0 &&
	    (r = buf_put(b, data, len)) == 0)
		r = reader_send_parts(rd, RD_RECORD, b);
	if (r == ERR_KEYS)
		reader_say(rd, "%s", store_keys_why(rd->store));
out:
	buf_free(key);
	buf_free(b);
	return r;
}

/* A block as it is stored, in messages that all belong to the seek that it began under. */
int
reader_send_block(
    struct reader *rd, uint16_t type, const struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t message[IPC_MAX], *p = message + 1;
	uint32_t id = rd->n_seeks;
	const uint8_t *from = buf_ptr(stored);
	size_t left = buf_len(stored), room = sizeof(message) - 1;
	int r;

	block_hdr_encode(hdr, p);
	p += BLOCK_HDR_LEN;
	room -= BLOCK_HDR_LEN;
	do {
		size_t n = left < room ? left : room;

		memcpy(p, from, n);
		p += n;
		from += n;
		left -= n;
		message[0] = left > 0;
		r = reader_send(rd, type, id, message, (size_t)(p - message));
		p = message + 1;
		room = sizeof(message) - 1;
	} while (r == 0 && left > 0);
	return r == 0 ? reader_peek(rd) : r;
}

int
reader_send_blocks(struct reader *rd, uint16_t type, const uint8_t sid[REC_SID_LEN])
{
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	struct recording *rec = NULL;
	struct block_hdr hdr;
	int r = -ENOMEM;

	if (stored == NULL)
		return r;
	if ((r = recording_open_sealed(rd->snap, sid, &rec)) == 0)
		while ((r = recording_next_sealed(rec, &hdr, stored)) == 0)
			if ((r = reader_send_block(rd, type, &hdr, stored)) != 0)
				break;
	recording_close(rec);
	buf_free(stored);
	return r == ERR_NOT_FOUND ? 0 : r;
}
