/* What the files of the login share: auth.c (requests), auth_chain.c (which methods), auth_key.c, auth_pam.c, auth_jump.c (ways in). */
#ifndef BASTION_AUTH_INT_H
#define BASTION_AUTH_INT_H

#include "policy/auth.h"

/* auth.c */

/* A no, counted; the last one ends the connection. Returns 0. */
int auth_fail(
    struct auth *a, const struct auth_scene *scene, struct auth_result *r, const char *reason);
/* The connection ends with this line. Returns 0. */
int auth_end(struct auth *a, struct auth_result *r, const char *reason, const char *line);
/*
 * The one decision: who r->proof proves, with the user name of the request, on the host where this is one's. r->access says what came
 * out. 0; ERR_DENIED; -ENOMEM.
 */
int auth_decide(
    const struct auth *a, const struct auth_scene *scene, struct auth_result *r) MUST_CHECK;
/* Something was proved, and r->access allows it: more is needed, or that is the success. 0; ERR_LIMIT. */
int auth_settle(struct auth *a, const struct auth_scene *scene, struct auth_result *r) MUST_CHECK;

/* auth_chain.c */

/* Whether this method can be next. */
bool auth_continues(const struct auth *a, const struct set *s, enum set_method method);
/* What succeeded so far is a way in, if no rule asks for more. */
bool auth_complete(const struct auth *a, const struct set *s);
/*
 * Methods that can continue, for a FAILURE. Before anything was proved it is the same list for everybody: it tells of the
 * configuration, never of the person. set: NULL when nothing is in force.
 */
void auth_list(const struct auth *a, const struct set *s, char *dst, size_t size);
/* keyboard-interactive is listed only so that who is denied hears the reference. */
bool auth_only_explains(const struct auth *a, const struct set *s);

/* auth_key.c, auth_pam.c, auth_jump.c: the request of r is of that kind, and may be. */

/* A key or certificate, offered or signed. 0; -ENOMEM. */
int auth_publickey(struct auth *a, const struct auth_scene *scene, const uint8_t *msg,
    struct auth_result *r) MUST_CHECK;
/* The first half of keyboard-interactive: whom PAM is to be asked about. 0; ERR_LIMIT. */
int auth_keyboard(struct auth *a, const struct auth_scene *scene, struct auth_result *r) MUST_CHECK;
/* r->pam is how the conversation came out. */
int auth_keyboard_end(
    struct auth *a, const struct auth_scene *scene, struct auth_result *r) MUST_CHECK;
/* A request within a connection that is logged in. 0; -ENOMEM. */
int auth_jump(struct auth *a, const struct auth_scene *scene, const uint8_t *msg,
    struct auth_result *r) MUST_CHECK;
/* The signature of the request, over the session id and the message (RFC 4252 section 7). 0; ERR_DENIED; -ENOMEM. */
int auth_verify(
    const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r) MUST_CHECK;

#endif
