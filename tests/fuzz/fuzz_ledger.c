/*
 * Any frames of two ends against the rules of the link: side, type, channel, u16 length, payload, one after another.
 * Whatever the ledger lets pass keeps these promises.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/event.h"
#include "recorder/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHANNELS 16 /* that the payload can name: 8 of each side */

struct promise {
	int64_t credit[2][CHANNELS];
	uint8_t closed[2][CHANNELS], ended[2];
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

static void
check(struct promise *p, int side, uint16_t type, unsigned ch, const uint8_t *data, size_t len)
{
	must(type >= LINK_OPEN && type <= LINK_END);
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
		size_t len = (size_t)data[3] << 8 | data[4];
		const char *why = NULL;
		enum ledger_answer a;

		data += 5;
		size -= 5;
		if (len > size)
			len = size;
		a = ledger_judge(
		    l, (enum ledger_side)side, type, channel_number(data[-3]), data, len, &why);
		if (a == LEDGER_BROKEN || a == LEDGER_DENY)
			must(why != NULL && strlen(why) > 0);
		if (a == LEDGER_PASS && side == LEDGER_FRONT && type == LINK_REQUEST &&
		    memcmp(data + 4, "\0\0\0\3env", 7) == 0)
			must(len >= 19 && memcmp(data + 16, "LC_", 3) == 0);
		if (a != LEDGER_BROKEN)
			check(&p, side, type, ch, data, len);
		if (a == LEDGER_ASK && (len & 1) != 0)
			ledger_refuse(l, channel_number((uint8_t)ch));
		data += len;
		size -= len;
	}
	ledger_free(l);
	return 0;
}
