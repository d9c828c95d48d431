/*
 * The half of bastiond-auth that runs PAM's modules, and what it and the half with the edges (auth.h) say to each other.
 * Both are one program, so this is no protocol of others. Nothing that comes from here is believed further than that a
 * stack said it: a module could have said it, too.
 */
#ifndef BASTION_AUTH_STACK_H
#define BASTION_AUTH_STACK_H

#include "bastiond/auth/auth_proto.h"

enum stack_type {
	/*
	 * to the stack, once: string service, string folder ("": the system's), string user, string source address, u32 port, string
	 * target, string reference id, string identity, u64 unused here
	 */
	STACK_START = 1,
	STACK_STAGE = 2, /* from it: u8 enum stack_stage: begins now */
	/* from it: u32 n, n times: u8 enum stack_style, string text -> STACK_ANSWER */
	STACK_ASK = 3,
	STACK_ANSWER = 4, /* to it: u32 n, n strings: one for each prompt in the question */
	/* from it, last: u8 enum pol_pam, string what PAM said, string PAM_USER, string BASTION_GROUPS, string BASTION_SUBJECT */
	STACK_RESULT = 5
};

enum stack_stage { STACK_STARTS = 0, STACK_AUTHENTICATES = 1, STACK_ACCOUNT = 2, STACK_N_STAGES };
enum stack_style { STACK_HIDDEN = 1, STACK_ECHOED = 2, STACK_ERROR = 3, STACK_INFO = 4 };

#define STACK_GROUPS_MAX 32768u /* bytes of BASTION_GROUPS */
#define STACK_NAME_MAX 1024u	/* bytes of PAM_USER, BASTION_SUBJECT and what PAM said */
#define STACK_TEXTS_MAX 49152u	/* bytes of all texts in one question */

/* Be that half, with fd as the socket to the other one. Does not return. */
void stack_run(int fd) __attribute__((noreturn));

#endif
