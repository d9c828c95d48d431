/*
 * What policy is given to read: policy.yaml, the user CAs, the revocation list. The broker opens them and keeps
 * private copies, so that what was checked is what is loaded, and what a restarted policy gets.
 */
#ifndef BASTION_BROKER_POLICY_FILES_H
#define BASTION_BROKER_POLICY_FILES_H

#include <stdint.h>

#include "bastiond/broker/settings.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/ipc.h"

#define POLICY_FILE_MAX (64u << 20) /* bytes of one file */

struct policy_files;

/*
 * Open the files of s. copy_dir: where to put the (unlinked) copies; NULL: the files themselves are used.
 * *ret_files: owned by caller. 0; ERR_FORMAT with a line in *ret_err; -ENOMEM.
 */
int policy_files_open(const struct settings *s, const char *copy_dir,
    struct policy_files **ret_files, struct conf_err *ret_err) MUST_CHECK;
void policy_files_free(struct policy_files *f);
/*
 * Send POL_LOAD_BEGIN, _FILE, _END. next_leg: the number of the next leg that may be granted; newest_s: the latest moment ever
 * seen, seconds since 1970. As ipc_send().
 */
int policy_files_send(const struct policy_files *f, const struct settings *s, struct ipc *edge,
    uint32_t next_leg, uint64_t newest_s) MUST_CHECK;

#endif
