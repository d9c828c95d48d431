/* What an auditor may ask a reader for: the words of recorder_proto.h and nothing else ever become its arguments. */
#ifndef BASTION_BROKER_VIEWS_H
#define BASTION_BROKER_VIEWS_H

#include <stddef.h>

#include "lib/err.h"

#define VIEWS_ARGS_MAX 12u    /* arguments of one request */
#define VIEWS_TEXT_MAX 16384u /* bytes of one argument: a checkpoint note */

/*
 * Whether args (NULL-terminated) are a request. *ret_about: the session or id that it is about; NULL: none; borrowed.
 * 0; ERR_FORMAT.
 */
int views_check(const char *const *args, const char **ret_about) MUST_CHECK;

#endif
