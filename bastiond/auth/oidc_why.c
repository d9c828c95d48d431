/* Reasons. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bastiond/auth/oidc_why.h"
#include "lib/str.h"

int
oidc_why(struct oidc_why *why, enum oidc_end end, int err, const char *fmt, ...)
{
	char text[sizeof(why->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	why->end = end;
	(void)str_plain(why->text, sizeof(why->text), text, strlen(text));
	return err;
}
