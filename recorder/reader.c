/* The reader's edge: one bastionctl, served as fast as it takes. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/str.h"
#include "recorder/reader.h"
#include "recorder/sess.h"

#define READER_WAIT_MS                                                                             \
	3600000 /* and again: a pause may last; the edge closes when bastionctl ends */

static int
reader_take_more(struct reader *rd, struct buf *b)
{
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (n > UINT32_MAX - rd->credit)
		return ERR_LIMIT;
	rd->credit += n;
	return 0;
}

static int
reader_take_seek(struct reader *rd, struct buf *b)
{
	uint64_t at_ns;
	uint32_t channel;
	int r;

	if ((r = buf_get_u64(b, &at_ns)) != 0 || (r = buf_get_u32(b, &channel)) != 0 ||
	    (r = buf_end(b)) != 0)
		return r;
	rd->seek = true;
	rd->find = false;
	rd->seek_ns = at_ns;
	rd->seek_channel = channel;
	rd->n_seeks++;
	return 0;
}

static int
reader_take_find(struct reader *rd, struct buf *b)
{
	char text[RD_FIND_MAX + 1];
	uint32_t channel;
	uint8_t with_case;
	int r;

	if ((r = buf_get_u32(b, &channel)) != 0 || (r = buf_get_u8(b, &with_case)) != 0 ||
	    (r = buf_get_cstr(b, text, sizeof(text))) != 0 || (r = buf_end(b)) != 0)
		return r;
	/* No line has a newline in it. */
	if (text[0] == '\0' || strchr(text, '\n') != NULL)
		return ERR_FORMAT;
	memcpy(rd->find_text, text, sizeof(text));
	rd->find_channel = channel;
	rd->find_case = with_case != 0;
	rd->seek = rd->find = true;
	rd->n_seeks++;
	return 0;
}

static int
reader_take_notes(struct reader *rd, struct buf *b)
{
	return rd->notes == NULL ? ERR_ORDER : buf_put(rd->notes, buf_ptr(b), buf_len(b));
}

static int
reader_take_taken(struct reader *rd, struct buf *b)
{
	uint8_t what, more;
	uint32_t hits;
	int r;

	if (rd->took)
		return ERR_ORDER;
	if ((r = buf_get_u8(b, &what)) != 0 || (r = buf_get_u8(b, &more)) != 0 ||
	    (r = buf_get_u32(b, &hits)) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (what < RD_TAKE_SEARCHED || what > RD_TAKE_DAMAGED)
		return ERR_FORMAT;
	rd->took = true;
	rd->taken = (struct rd_taken){ (enum rd_take)what, more != 0, hits };
	return 0;
}

static int
reader_take(struct reader *rd, const struct ipc_msg *msg)
{
	static const struct {
		uint16_t type;
		int (*take)(struct reader *rd, struct buf *b);
	} table[] = { { RD_MORE, reader_take_more }, { RD_SEEK, reader_take_seek },
		{ RD_NOTES, reader_take_notes }, { RD_TAKE, reader_take_taken },
		{ RD_FIND, reader_take_find } };
	struct buf *b = buf_view(msg->data, msg->len);
	int r = ERR_FORMAT;

	if (b == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].type == msg->type && msg->n_fds == 0)
			r = table[i].take(rd, b);
	buf_free(b);
	return r;
}

int
reader_wait(struct reader *rd)
{
	struct ipc_msg msg;
	int r;

	/* A held snapshot would keep the store from reusing space. */
	if (rd->snap != NULL)
		store_snap_reset(rd->snap);
	do
		r = ipc_plain_recv(rd->fd, rd->space, &msg, READER_WAIT_MS);
	while (r == -ETIMEDOUT);
	if (r == 0) {
		r = reader_take(rd, &msg);
		ipc_msg_close(&msg);
	}
	if (r == 0 && rd->snap != NULL)
		r = store_snap_renew(rd->snap);
	return r;
}

int
reader_peek(struct reader *rd)
{
	struct pollfd p = { .fd = rd->fd, .events = POLLIN };
	struct ipc_msg msg;
	int r;

	if (poll(&p, 1, 0) <= 0)
		return 0;
	if ((r = ipc_plain_recv(rd->fd, rd->space, &msg, 1)) != 0)
		return r == -ETIMEDOUT ? 0 : r;
	r = reader_take(rd, &msg);
	ipc_msg_close(&msg);
	return r;
}

int
reader_wait_commit(struct reader *rd)
{
	uint64_t seen = store_snap_txn(rd->snap);
	struct pollfd p = { .fd = rd->fd, .events = POLLIN };
	int r = 0, n = 0;

	store_snap_reset(rd->snap);
	while (store_last_txn(rd->store) <= seen && n == 0)
		if ((n = poll(&p, 1, READER_POLL_MS)) < 0 && errno != EINTR)
			return -errno;
	if (n > 0)
		r = reader_peek(rd);
	return r != 0 ? r : store_snap_renew(rd->snap);
}

int
reader_send(struct reader *rd, uint16_t type, uint32_t id, const void *data, size_t len)
{
	int r;

	while (rd->credit == 0)
		if ((r = reader_wait(rd)) != 0)
			return r;
	if ((r = ipc_plain_send(rd->fd, type, id, data, len, NULL, 0)) == 0)
		rd->credit--;
	return r;
}

int
reader_send_text(struct reader *rd, uint16_t type, const char *text, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		size_t n = len - at < IPC_MAX ? len - at : IPC_MAX;

		r = reader_send(rd, type, at + n < len, text + at, n);
		at += n;
	}
	return r;
}

int
reader_send_json(struct reader *rd, uint16_t type, struct json *j)
{
	char *text = NULL;
	size_t len;
	int r = json_text(j, false, READER_ITEM_MAX, &text, &len);

	json_free(j);
	if (r == 0)
		r = reader_send_text(rd, type, text, len);
	free(text);
	return r;
}

void
reader_say(struct reader *rd, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(rd->text, sizeof(rd->text), fmt, ap) < 0)
		rd->text[0] = '\0';
	va_end(ap);
}

const char *
reader_option(const struct reader *rd, const char *name)
{
	for (size_t i = 0; rd->args[i] != NULL; i++)
		if (str_starts(rd->args[i], "--")) {
			if (strcmp(rd->args[i], name) == 0)
				return rd->args[i + 1];
			if (rd->args[++i] == NULL)
				break;
		}
	return NULL;
}

const char *
reader_argument(const struct reader *rd)
{
	for (size_t i = 0; rd->args[i] != NULL; i++) {
		if (!str_starts(rd->args[i], "--"))
			return rd->args[i];
		if (rd->args[++i] == NULL)
			break;
	}
	return NULL;
}

struct reader_search {
	const char *prefix; /* NULL: the last one is meant */
	size_t len;
	unsigned n_found;
	uint8_t sid[REC_SID_LEN];
};

static int
reader_match(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct reader_search *s = arg;
	char hex[2 * REC_SID_LEN + 1];

	(void)opened_wall_ns;
	str_hex(hex, sid, REC_SID_LEN);
	if (s->prefix == NULL || strncmp(hex, s->prefix, s->len) == 0) {
		memcpy(s->sid, sid, REC_SID_LEN);
		s->n_found++;
	}
	return 0;
}

int
reader_find(struct reader *rd, const char *text, uint8_t ret_sid[REC_SID_LEN])
{
	struct reader_search s = { .prefix = strcmp(text, "last") == 0 ? NULL : text,
		.len = strlen(text) };
	char shown[80];
	int r;

	str_escape(shown, sizeof(shown), text, strlen(text));
	/* A whole id may be of a session whose record is gone; the verifier knows what to say of it. */
	if (s.len == 2 * REC_SID_LEN && str_unhex(text, ret_sid, REC_SID_LEN) == 0)
		return 0;
	if (s.prefix != NULL && (s.len < REC_SID_SHORT || s.len > 2 * REC_SID_LEN ||
				    text[strspn(text, "0123456789abcdef")] != '\0')) {
		reader_say(rd,
		    "%s: not a session id (4 to 32 hex digits, or last): see bastionctl sessions "
		    "list",
		    shown);
		return ERR_NOT_FOUND;
	}
	if ((r = sess_each(rd->snap, 0, reader_match, &s)) != 0)
		return r;
	if (s.n_found == 0 || (s.prefix != NULL && s.n_found > 1)) {
		reader_say(rd,
		    s.n_found == 0 ? "%s: no such session: see bastionctl sessions list"
				   : "%s: more than one session begins with this: give more digits",
		    shown);
		return ERR_NOT_FOUND;
	}
	memcpy(ret_sid, s.sid, REC_SID_LEN);
	return 0;
}

int
reader_which(struct reader *rd, uint8_t *ret_code)
{
	const char *text = reader_argument(rd);
	uint8_t sid[REC_SID_LEN];
	char hex[2 * REC_SID_LEN + 1];
	int r = text == NULL ? ERR_FORMAT : reader_find(rd, text, sid);

	if (r == ERR_NOT_FOUND) {
		*ret_code = 1;
		return 0;
	}
	return r != 0 ? r
		      : reader_send_text(
			    rd, RD_TEXT, str_hex(hex, sid, REC_SID_LEN), 2 * (size_t)REC_SID_LEN);
}
