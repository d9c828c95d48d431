/*
 * Any frames of two ends against the rules of the link: side, type, channel, u16 length, payload, one after another; length
 * 65535: a frame of LINK_REQUEST_PART bytes that begins with the next HEAD.
 * Whatever the ledger lets pass keeps these promises.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/event.h"
#include "recorder/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 32u
#define CHANNELS 16 /* that the payload can name: 8 of each side */

struct promise {
	int64_t credit[2][CHANNELS];
	uint8_t closed[2][CHANNELS], ended[2];
	uint8_t more[2]; /* in the middle of a request, */
	unsigned more_of[2];
	size_t more_len[2]; /* of which so many bytes came */
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

static uint32_t
channel_number(uint8_t v)
{
	return v % CHANNELS < 8 ? v % 8 : LINK_FROM_BACK + v % 8;
}

static void
check_data(struct promise *p, int side, unsigned ch, size_t len)
{
	p->credit[side][ch] -= (int64_t)len;
	must(len <= LINK_DATA_MAX);
	must(p->credit[side][ch] >= -(int64_t)LEDGER_SLACK);
}

/* A long request is not interrupted, and has its limit. */
static void
check_request(struct promise *p, int side, uint16_t type, unsigned ch, size_t len)
{
	must(p->more[side] == (type == LINK_MORE));
	must(type == LINK_REQUEST || p->more_of[side] == ch);
	p->more_len[side] = (type == LINK_MORE ? p->more_len[side] : 0) + len;
	must(p->more_len[side] <= LINK_REQUEST_MAX);
	p->more[side] = len == LINK_REQUEST_PART;
	p->more_of[side] = ch;
	must(side == LEDGER_FRONT || !p->more[side]);
}

static void
check(struct promise *p, int side, uint16_t type, unsigned ch, const uint8_t *data, size_t len)
{
	must((type >= LINK_OPEN && type <= LINK_END) || type == LINK_MORE);
	if (type == LINK_MORE || type == LINK_REQUEST)
		check_request(p, side, type, ch, len);
	else
		must(!p->more[side]);
	if (type == LINK_MORE) /* its channel may have been cut or refused */
		return;
	must(!p->ended[side]);
	must(len <= EVENT_DATA_MAX);
	if (side == LEDGER_FRONT)
		must(type != LINK_EXIT_STATUS && type != LINK_EXIT_SIGNAL);
	if (type == LINK_END)
		p->ended[side] = 1;
	if (type == LINK_NOTE || type == LINK_END || type == LINK_GLOBAL ||
	    type == LINK_GLOBAL_REPLY)
		return;
	must(!p->closed[side][ch]);
	if (type == LINK_OPEN)
		p->credit[0][ch] = p->credit[1][ch] = LINK_CREDIT;
	if (type == LINK_DATA)
		check_data(p, side, ch, len);
	if (type == LINK_DATA_EXT)
		check_data(p, side, ch, len - 4);
	if (type == LINK_WINDOW)
		p->credit[!side][ch] +=
		    (int64_t)((uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
			      (uint32_t)data[2] << 8 | data[3]);
	if (type == LINK_CLOSE)
		p->closed[side][ch] = 1;
}

static const uint8_t *
long_frame(const uint8_t *head, size_t len)
{
	static uint8_t frame[LINK_REQUEST_PART];

	if (len > 0)
		memcpy(frame, head, len);
	return frame;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger *l = ledger_new();
	struct promise p = { 0 };

	must(l != NULL && ledger_let_env(l, "LC_*") == 0);
	while (size >= 5) {
		int side = data[0] & 1;
		uint16_t type = data[1];
		unsigned ch = data[2] % CHANNELS;
		size_t len = (size_t)data[3] << 8 | data[4], used;
		const uint8_t *frame = data + 5;
		const char *why = NULL;
		enum ledger_answer a;

		size -= 5;
		used = len < size ? len : size;
		if (len == 0xffff) {
			used = size < HEAD ? size : HEAD;
			frame = long_frame(frame, used);
		}
		len = len == 0xffff ? LINK_REQUEST_PART : used;
		a = ledger_judge(
		    l, (enum ledger_side)side, type, channel_number((uint8_t)ch), frame, len, &why);
		if (a == LEDGER_BROKEN || a == LEDGER_DENY)
			must(why != NULL && strlen(why) > 0);
		if (a == LEDGER_PASS && side == LEDGER_FRONT && type == LINK_REQUEST &&
		    memcmp(frame + 4, "\0\0\0\3env", 7) == 0)
			must(len >= 19 && memcmp(frame + 16, "LC_", 3) == 0);
		if (a != LEDGER_BROKEN)
			check(&p, side, type, ch, frame, len);
		if (a == LEDGER_ASK && (len & 1) != 0)
			ledger_refuse(l, channel_number((uint8_t)ch));
		data += 5 + used;
		size -= used;
	}
	ledger_free(l);
	return 0;
}
