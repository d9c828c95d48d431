/* The content of one file that a session moved, where the record kept it. */
#ifndef BASTION_CTL_EXPORT_FILE_H
#define BASTION_CTL_EXPORT_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "bastionctl/rd.h"
#include "lib/err.h"

/*
 * Write what crossed of operation number, at the places where it was written or read; out must be a file where these are not
 * in order. rd: stands before the first event. CMD_YES: it is there and, where the record has its hash, the same; else after
 * a line on stderr, CMD_NO there is no such operation or its content was replaced by its hash, CMD_UNSURE.
 */
int export_file(struct rd *rd, uint32_t number, FILE *out) MUST_CHECK;

#endif
