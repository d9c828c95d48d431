/*
 * The edge between bastiond-auth, which holds one PAM conversation, and whoever speaks with the person: a front, or the bastion's
 * own shell. It carries questions and answers only; how it came out goes to policy, on another edge (policy_proto.h).
 */
#ifndef BASTION_AUTH_PROTO_H
#define BASTION_AUTH_PROTO_H

#define AUTH_PROMPTS_MAX 16u  /* in one question */
#define AUTH_TEXT_MAX 8192u   /* bytes of all texts of one question */
#define AUTH_ANSWER_MAX 1024u /* bytes of one answer */
#define AUTH_ROUNDS_MAX 400u  /* questions in one conversation: one a second, and some */

enum auth_type {
	/*
	 * auth: string instruction, u32 n (0 to AUTH_PROMPTS_MAX), then n times: string prompt, u8 echo (0 1). Texts are
	 * UTF-8 without control characters but line feed and tab. n = 0 is a text that is shown at once (RFC 4256 section 3.2 allows it).
	 */
	AUTH_ASK = 1,
	/* the other side, once for each AUTH_ASK: u32 n (the same), n strings */
	AUTH_ANSWER = 2
};

#endif
