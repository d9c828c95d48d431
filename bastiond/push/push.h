/*
 * bastiond-push: brings one signed checkpoint to one place outside, and ends. Whoever puts yesterday's store back cannot
 * take back what was brought out of the machine.
 *   bastiond-push file PATH | command PROGRAM [ARG ...] | url URL CA TOKEN | syslog FACILITY SOCKET
 * CA, TOKEN: "" for none. Descriptor 3: the note, to its end. Descriptor 4: takes one line that says why it failed.
 * Exit 0: it is there, as far as that place says so.
 */
#ifndef BASTION_PUSH_H
#define BASTION_PUSH_H

#include <stddef.h>

#include "lib/err.h"

#define PUSH_NOTE_MAX 65536u /* bytes of a note */
#define PUSH_WAIT_S 25 /* for a server's answer; the broker kills a push after PUSH_DEADLINE_NS */

struct push {
	char *note; /* with a NUL behind it */
	size_t len;
	const char *const *args; /* behind the kind, NULL-terminated */
	char why[256];		 /* what to do about a failure; "": the error says it */
};

/* Each closes its own sandbox, after what it needs is open. 0; negative; ERR_DENIED: the place refused, why says how. */
int push_file(struct push *p) MUST_CHECK;
int push_command(struct push *p) MUST_CHECK; /* becomes the program when it succeeds */
int push_url(struct push *p) MUST_CHECK;
int push_syslog(struct push *p) MUST_CHECK;

#endif
