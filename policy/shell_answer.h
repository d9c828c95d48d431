/* What the bastion's own shell tells a person about themselves: nothing but what they may know. */
#ifndef BASTION_SHELL_ANSWER_H
#define BASTION_SHELL_ANSWER_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "policy/access.h"
#include "policy/names.h"
#include "policy/proof.h"

/*
 * Append the host as JSON to a list that is being written ("[" before the first, "," before the others), unless the person has no
 * login there at this moment: {host, port, logins: [{login, rights: [...]}], labels: {...}, labels_text}. A pattern of hosts is one
 * entry, by its own name; a login "*" stands for any. 0; ERR_LIMIT; -ENOMEM.
 */
int shell_answer_host(const struct model *m, const struct model_host *h,
    const struct model_user *user, const struct access_person *who, struct buf *list) MUST_CHECK;

/*
 * {identity, groups, credential: {type, fingerprint, key_id, serial, ca, valid_until, methods, subject}, source}. Owned by caller;
 * NULL: out of memory.
 */
struct json *shell_answer_whoami(const struct model_user *user, const struct proof *proof,
    const struct pass *pass, const char *source);

/*
 * As "bastionctl policy explain --json" says it, without the rules that did not decide; for what is denied nothing but target, as it
 * was asked for, and text. Owned by caller; NULL: out of memory.
 */
struct json *shell_answer_explain(const struct access *a, const struct model_user *user,
    const struct access_person *who, const char *target, const char *denied);

/*
 * "web1", "web1+2222", "root+web1", "root+web1+2222", "root@web1": the name that this person would log in with. 0; ERR_FORMAT with a
 * hint in ret_hint (NAMES_HINT_SIZE bytes).
 */
int shell_answer_target(
    const char *identity, const char *target, struct names *ret_names, char *ret_hint) MUST_CHECK;

#endif
