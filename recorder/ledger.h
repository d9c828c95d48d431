/*
 * The rules of the link for one leg: who may send which frame when, how much, and which frames need
 * policy's word before they cross. Neither end is believed: every frame is judged here before it is
 * recorded.
 */
#ifndef BASTION_RECORDER_LEDGER_H
#define BASTION_RECORDER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/link_proto.h"

#define LEDGER_CHANNELS_MAX 4096u /* channels of one leg that are not over */
/*
 * Bytes by which an end may exceed its credit: what an SSH peer sends beyond its window before it
 * is cut off.
 */
#define LEDGER_SLACK 65536

#define LEDGER_ENV_MAX 128u /* environment variables that cross on one channel */

enum ledger_side { LEDGER_FRONT = 0, LEDGER_BACK = 1 };

enum ledger_answer {
	LEDGER_PASS,  /* record it and send it on */
	LEDGER_ASK,   /* record it, ask policy, hold its sender until then */
	LEDGER_DENY,  /* record it and answer it with failure; it goes nowhere */
	LEDGER_DROP,  /* record it; its channel was refused meanwhile, so it goes nowhere */
	LEDGER_BROKEN /* the sender broke a rule: end the leg */
};

struct ledger;

struct ledger *ledger_new(void); /* NULL: out of memory */
void ledger_free(struct ledger *l);
/*
 * Let environment variables of these names cross ("LANG", "LC_*"; lib/str.h): one name or pattern more. Without one none
 * does. pattern: copied. 0; -ENOMEM.
 */
int ledger_let_env(struct ledger *l, const char *pattern) MUST_CHECK;
/* The back is the bastion's own shell: it may say that it asks for something secret (LINK_NOTE_ASKING). */
void ledger_let_asking(struct ledger *l);

/*
 * Judge a frame of this side and take note of it. ret_why: for LEDGER_BROKEN and LEDGER_DENY a static text. Running
 * out of memory counts as broken too: a leg without its ledger cannot go on.
 */
enum ledger_answer ledger_judge(struct ledger *l, enum ledger_side side, uint16_t type,
    uint32_t channel, const uint8_t *data, size_t len, const char **ret_why) MUST_CHECK;

/* Policy denied the opening of this channel: what its opener still sends on it is dropped. */
void ledger_refuse(struct ledger *l, uint32_t channel);
/*
 * The channel is closed on both sides, by us: whatever an end still sends on it is dropped, up to its CLOSE. ret_tell: by
 * side, whether that side has not been sent a CLOSE by the other one and is to have ours.
 */
void ledger_cut(struct ledger *l, uint32_t channel, bool ret_tell[2]);
bool ledger_is_cut(struct ledger *l, uint32_t channel);
/* Whether the front sent data on this channel before it asked for a program there: a target may hand it to the program. */
bool ledger_is_early(struct ledger *l, uint32_t channel);
/* The name of a request that starts what the channel is for: shell, exec, subsystem. */
bool ledger_is_program(const uint8_t *name, size_t len);
/*
 * What a frame that is asked about is called: the request's name or the channel's type, borrowed
 * from data. 0; ERR_FORMAT.
 */
int ledger_asked(uint16_t type, const uint8_t *data, size_t len, const uint8_t **ret_name,
    size_t *ret_len) MUST_CHECK;

#endif
