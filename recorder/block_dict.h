/*
 * The dictionary that blocks are compressed with: what sessions on terminals have in common, so that a short one need not
 * say it again. contrib/make-dictionary makes block_dict.c of texts that were written for it. Never change it: recordings could not be read
 * any more. A better one is a second one, with a codec of its own (block.h).
 */
#ifndef BASTION_RECORDER_BLOCK_DICT_H
#define BASTION_RECORDER_BLOCK_DICT_H

#include <stdint.h>

#define BLOCK_DICT_LEN 16384u

extern const uint8_t block_dict[BLOCK_DICT_LEN];

#endif
