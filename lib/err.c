/* Texts for the project's error space. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "lib/err.h"

static const struct {
	int err;
	const char *text;
} texts[] = {
	{ ERR_FORMAT, "malformed" },
	{ ERR_ORDER, "not allowed at this point" },
	{ ERR_DENIED, "denied" },
	{ ERR_LIMIT, "over a limit" },
	{ ERR_VERSION, "wrong version" },
	{ ERR_SIGNATURE, "signature does not verify" },
	{ ERR_CHAIN, "does not fit its digest" },
	{ ERR_PEER_GONE, "the other end closed" },
	{ ERR_NOT_FOUND, "not found" },
	{ ERR_EXISTS, "exists already" },
	{ ERR_CRYPTO, "the cryptographic library failed" },
	{ ERR_SEALED, "sealed to auditors: only an auditor's key opens it" },
	{ ERR_ERASED, "erased on purpose" },
	{ ERR_KEYS, "session.keys is missing, cut, or another store's" },
};

const char *
err_str(int err)
{
	if (err == 0)
		return "success";
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].err == err)
			return texts[i].text;
	if (err < 0 && err > -4096)
		return strerror(-err);
	return "unknown error";
}
