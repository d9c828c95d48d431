/* Whether a configuration is good: policy's files put to a bastiond-policy of their own, which then ends. For -t and reload. */
#ifndef BASTION_BROKER_CHECK_H
#define BASTION_BROKER_CHECK_H

#include <stdbool.h>

#include "bastiond/broker/policy_files.h"
#include "bastiond/broker/process.h"
#include "bastiond/broker/programs.h"
#include "bastiond/broker/settings.h"
#include "lib/err.h"
#include "lib/loop.h"

#define CHECK_WAIT_NS 30000000000ull /* how long policy may take */

struct check;

/* good: policy takes it; text: its summary, or the line that says what is wrong. Called once; the check is freed then. */
typedef void (*check_fn)(void *arg, bool good, const char *text);

/* s, f: borrowed for the call. *ret_check: belongs to the loop until done was called. 0; -errno. */
int check_start(struct loop *l, const struct process_ops *ops, const struct programs *programs,
    const struct settings *s, const struct policy_files *f, check_fn done, void *arg,
    struct check **ret_check) MUST_CHECK;
/* Give it up, done is not called: only at the very end. NULL is allowed. */
void check_free(struct check *c);

#endif
