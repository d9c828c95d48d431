/*
 * Time zones by name. The system's database is read once, before the sandbox closes, and only what matters from then on
 * is kept: a policy that is loaded later may name any zone, and no file is opened for it.
 */
#ifndef BASTION_ZONE_H
#define BASTION_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define ZONE_DIR "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 63u /* bytes */

struct zone;
struct zones;

/* A zone as a rule names it: one of the database's, or a fixed offset. */
struct zone_ref {
	const struct zone *zone; /* borrowed from zones; NULL: fixed_s */
	int32_t fixed_s;	 /* seconds east of Greenwich */
};

/*
 * Read every zone file under dir. now_s: seconds since 1970; what was before it is forgotten. A missing database is not
 * an error: only UTC and fixed offsets are known then. *ret_zones: owned by caller.  0; -ENOMEM.
 */
int zones_load(const char *dir, int64_t now_s, struct zones **ret_zones) MUST_CHECK;
void zones_free(struct zones *z);
size_t zones_count(const struct zones *z);

/*
 * "UTC", "+02:00", "-03:30", or a name of the database such as "Europe/Berlin". z: may be NULL. 0; ERR_NOT_FOUND.
 */
int zones_find(const struct zones *z, const char *name, struct zone_ref *ret_ref) MUST_CHECK;
/* Seconds east of Greenwich at the moment t_s (seconds since 1970). */
int32_t zone_offset_s(const struct zone_ref *ref, int64_t t_s);

/*
 * One zone from the bytes of a TZif file (RFC 8536, version 2 or later). *ret_zone: owned by caller, free(). 0; ERR_FORMAT;
 * -ENOMEM.
 */
int zone_parse(const char *name, const uint8_t *data, size_t len, int64_t now_s,
    struct zone **ret_zone) MUST_CHECK;

#endif
