/* A text as QR code in Unicode's half blocks, for a phone before a terminal. */
#ifndef BASTION_AUTH_OIDC_QR_H
#define BASTION_AUTH_OIDC_QR_H

#include "lib/err.h"

#define OIDC_QR_VERSION_MAX 10 /* 57 modules: 61 columns, 31 lines, less than 6 KiB */

/*
 * Lines of UTF-8 with a line feed behind each, drawn for light text on a dark ground as most terminals have it; phones read the other
 * way round, too. *ret_lines: owned by caller, free(). 0; ERR_LIMIT more text than a code of OIDC_QR_VERSION_MAX holds; -ENOMEM.
 */
int oidc_qr(const char *text, char **ret_lines) MUST_CHECK;

#endif
