/* The state directory: its folders with their owners, the lock that keeps a second bastiond out, the pid file. */
#ifndef BASTION_BROKER_STATE_H
#define BASTION_BROKER_STATE_H

#include "bastiond/broker/programs.h"
#include "lib/conf.h"
#include "lib/err.h"

/*
 * Make what is missing of dir (its parent must be there), give the parts to their roles, and lock it.
 * *ret_lock: owned by caller, locked until closed (by all who inherited it).
 * 0; ERR_EXISTS another bastiond has it; other errors. *ret_err: the line that says what is wrong.
 */
int state_open(const char *dir, const struct programs *programs, int *ret_lock,
    struct conf_err *ret_err) MUST_CHECK;
/*
 * Copy recorder/recorder.pub, which the recorder (uid) may write, to recorder.pub, which everybody looks at and it may
 * not write; both in the working directory. Only a plain file of the recorder's own, of one printable line.
 * 0, also when it is there already; ERR_FORMAT; -errno.
 */
int state_publish_key(uid_t uid) MUST_CHECK;
/* Write dir/bastiond.pid for this process. 0; -errno. */
int state_write_pid(const char *dir) MUST_CHECK;
void state_remove_pid(const char *dir);

#endif
