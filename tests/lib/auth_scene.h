/* What tests of logins share: a moment, a session id, a set out of two texts, requests that are signed for them. */
#ifndef BASTION_TEST_AUTH_SCENE_H
#define BASTION_TEST_AUTH_SCENE_H

#include "lib/clock.h"
#include "policy/auth.h"
#include "tests/lib/ssh_make.h"
#include "tests/lib/test.h"

#define NOW_S 1795428000ull /* a Monday, 10:00 UTC */

extern const uint8_t sid[32];

/* policy.yaml and ca.pub with these texts, and ways in, which end with NULL. Owned by caller; a file that is refused fails the test. */
struct set *scene_set(const char *policy, const char *cas, const char *const *chains);
/* Somebody at 192.0.2.7, now. */
struct auth_scene make_scene(const struct set *s);
/* A signed request of k; with its field key emptied it is only an offer. */
struct make_request request(const char *user, const struct make_key *k, const char *alg);
/* One request; *r is done with by the caller, and borrows from the request until the next one. As auth_step(). */
int send_request(struct auth *a, const struct auth_scene *scene, const struct make_request *q,
    struct auth_result *r);

#endif
