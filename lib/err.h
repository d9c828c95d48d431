/*
 * One space of error numbers for the whole project: 0 is success, -errno is the system's, and what we add
 * starts below the errno range. Every function that can fail in more than one way returns one of these.
 */
#ifndef BASTION_ERR_H
#define BASTION_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum err {
	ERR_FORMAT = -5001,    /* bytes that do not parse */
	ERR_ORDER = -5002,     /* right message, wrong moment */
	ERR_DENIED = -5003,    /* understood and refused */
	ERR_LIMIT = -5004,     /* a named limit was reached */
	ERR_VERSION = -5005,   /* made by another version */
	ERR_SIGNATURE = -5006, /* a signature or key does not verify */
	ERR_CHAIN = -5007,     /* recorded data does not fit its digest */
	ERR_PEER_GONE = -5008, /* the other end closed */
	ERR_NOT_FOUND = -5009, /* no such thing */
	ERR_EXISTS = -5010,    /* there already, and not replaced */
	ERR_CRYPTO = -5011,    /* a library refused to compute */
	ERR_SEALED = -5012,    /* a recording that only an auditor's key opens */
	ERR_ERASED = -5013,    /* erased on purpose; its digests stay */
	ERR_KEYS = -5014 /* session.keys, which opens recordings, is missing or another store's */
};

/* Text for any number above, without a trailing full stop. Borrowed, static; for errno until the next call. */
const char *err_str(int err);

#endif
