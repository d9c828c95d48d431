/*
 * The edges of bastiond-policy: with the broker, with every front, with the recorder and with the vault.
 * It alone decides who somebody is and what they may do; everyone else carries bytes and obeys.
 */
#ifndef BASTION_POLICY_PROTO_H
#define BASTION_POLICY_PROTO_H

/* broker <-> policy. id: the connection unless said otherwise. */
enum pol_type {
	/* broker, id: the number of the next leg to be granted (1 at first, more for a policy that was started anew, because
	 * legs of the one before it still run): u64 the latest moment that the bastion ever saw, in seconds since 1970 (nothing:
	 * none is known); a new configuration follows */
	POL_LOAD_BEGIN = 1,
	POL_LOAD_FILE = 2, /* broker, 1 fd: u8 enum pol_file, string name for messages */
	/*
	 * broker: u32 auth_tries, u32 n, then n strings: allowed methods, u8 login.pam.identity_from_pam,
	 * u8 login.pam.groups_from_pam, u8 login.explain, u64 login.pam.timeout in ns
	 */
	POL_LOAD_END = 3,
	POL_LOADED =
	    4, /* policy: u8 1 in force, 0 refused and the old one stays; string error line or summary */
	POL_CONN =
	    5, /* broker, 1 fd (edge to the front): string source address, u32 port, string local address, u32 port */
	POL_CONN_GONE = 6, /* broker: the connection ended */
	POL_AUTHENTICATED =
	    7, /* policy: string identity: login is over, the grace timer may stop */
	POL_GRANT =
	    8, /* policy, id: leg (from 1, never reused): u32 conn, string recorder part (session metadata),
			      * string vault part (payload of KEYS_BACK), string back part (see below), u8 enum pol_back,
			      * u32 via: 0 the connection's front gets the link, else the leg whose shell does */
	POL_FAILED = 9,		/* policy: u8 enum pol_failure: what the source is charged with */
	POL_KEYS_EDGE = 10,	/* broker, 1 fd: a new edge to the vault */
	POL_RECORDER_EDGE = 11, /* broker, 1 fd: a new edge to the recorder */
	POL_STATUS = 12,	/* broker asks; id echoed */
	POL_STATUS_REPLY = 13,	/* policy: JSON object */
	POL_LEG_GONE = 14,	/* broker, id: leg: its grant is void */
	/*
	 * broker, id: a new connection, 1 fd (edge to its front): u32 the connection whose client wants to jump, string host,
	 * u32 port. Its login is then this connection's: method "none" is enough, and nobody else can be proved on it.
	 */
	POL_JUMP = 15,
	/*
	 * policy, id: of the JUMP: u8 1, string host (the name that its host key belongs to: the inventory's, or what was typed
	 * for a pattern), u32 n + n strings: names for the host certificate; or u8 0, string one line for the user: the
	 * connection is forgotten
	 */
	POL_JUMPED = 16,
	POL_SHELL_EDGE = 17, /* broker, id: leg, 1 fd: a new edge to the leg's shell */
	POL_WANT_SHELL =
	    18, /* broker: the bastion's own shell is wanted -> POL_GRANT, or POL_NO_SHELL */
	POL_NO_SHELL = 19, /* policy: string one line for the user */
	/*
	 * policy, id: connection: u32 attempt (from 1, on this connection never used again), u32 via (0: the connection's front, else
	 * the leg whose shell speaks with the person): a PAM conversation is wanted. Answered by AUTH_EDGE, and in any case, once, by
	 * AUTH_GONE. At most one runs for a connection and via.
	 */
	POL_WANT_AUTH = 20,
	POL_AUTH_EDGE =
	    21, /* broker, id: connection, 1 fd (edge to a bastiond-auth of its own): u32 attempt */
	/* broker, id: connection: u32 attempt, string how it ended ("exit 0", "signal 11", "not-started", "timeout"): nothing that comes later counts */
	POL_AUTH_GONE = 22,
	POL_STOP_AUTH =
	    23, /* policy, id: connection: u32 attempt: no longer wanted; it is killed */
	/* policy, id: leg: string one line for the user: what it was granted for no longer holds, its session ends */
	POL_END_LEG = 24
};

/* auth <-> policy: one attempt, one conversation. */
enum pol_pam_type {
	/*
	 * policy, first: string user (PAM_USER), string source address (PAM_RHOST), u32 port, string target as a person would read
	 * it ("root@web1"; "" none yet), string reference id, string identity that another factor has proved already ("" none),
	 * u64 longest time in ns
	 */
	POL_PAM_START = 96,
	/*
	 * auth, once: u8 enum pol_pam, string stage ("start", "authenticate", "account"), string what PAM said (its own words,
	 * escaped), string PAM_USER at the end, u32 n + n strings: groups that the stack named (environment BASTION_GROUPS, commas
	 * between), string subject: who that is where they logged in (environment BASTION_SUBJECT: for OIDC issuer and sub)
	 */
	POL_PAM_RESULT = 97
};

enum pol_pam {
	POL_PAM_OK = 1,	     /* authenticated, and the account may be used */
	POL_PAM_DENIED = 2,  /* not authenticated */
	POL_PAM_ACCOUNT = 3, /* authenticated, but expired, locked, or not now */
	POL_PAM_BROKEN =
	    4, /* the stack could not decide: no such service, a module failed, a provider is down */
	POL_PAM_ABANDONED = 5 /* the person left or took too long */
};
#define POL_PAM_GROUPS_MAX 256u

/* What serves a leg. */
enum pol_back { POL_BACK_SSH = 1, POL_BACK_SHELL = 2 };

enum pol_file { POL_FILE_POLICY = 1, POL_FILE_USER_CA = 2, POL_FILE_REVOKED = 3 };

enum pol_failure { POL_FAILURE_AUTH = 1, POL_FAILURE_TRIES = 2, POL_FAILURE_ALARM = 3 };

/*
 * Back part of a grant, carried by the broker to the back untouched: string host (inventory name), string address
 * (literal, or a name when resolve is 1), u32 port, u8 resolve, string login, u32 n + n strings: pinned host key blobs,
 * u32 n + n strings: host CA blobs, u64 connect timeout in ns.
 */

/* Bytes of a login request (RFC 4253 section 6.1): a front ends the connection of a client that sends a longer one. */
#define POL_REQUEST_MAX 35000u

/* front <-> policy: one request at a time, answered once; a second one before the answer ends the edge. */
enum pol_front_type {
	/* front: SSH_MSG_USERAUTH_REQUEST exactly as it came, type byte first (RFC 4252 section 5); POL_REQUEST_MAX bytes at most */
	POL_AUTH_REQUEST = 32,
	/*
	 * policy: u8 enum pol_auth, then
	 *   SUCCESS: string identity, string host ("" for the bastion itself), string reference id,
	 *            u32 channels allowed (0: as many as the front's own limit says)
	 *   FAILURE: string methods that can continue, u8 partial success, string text for SSH_MSG_USERAUTH_BANNER (RFC 4252
	 *            section 5.4), sent before the failure; "" none
	 *   PK_OK:   nothing; the front echoes algorithm and key blob (RFC 4252 section 7)
	 *   CLOSE:   string one line for SSH_MSG_DISCONNECT
	 */
	POL_AUTH_REPLY = 33,
	/*
	 * front: the client did not wait for the end of its keyboard-interactive request and sent another one (RFC 4256 section 3.1).
	 * The attempt counts as failed; its POL_AUTH_REPLY still comes, and the front keeps it to itself.
	 */
	POL_AUTH_ABANDON = 34
};

enum pol_auth {
	POL_AUTH_SUCCESS = 1,
	POL_AUTH_FAILURE = 2,
	POL_AUTH_PK_OK = 3,
	POL_AUTH_CLOSE = 4
};

/* shell <-> policy. One question at a time. */
enum pol_shell_type {
	/* shell: string verb ("hosts", "whoami", "explain"), string argument -> POL_SHELL_ANSWER */
	POL_SHELL_ASK = 80,
	/*
	 * policy: u8 exit code as of bastionctl (0 1 2 3), string: JSON, or one line where there is none (it never begins with [ or {).
	 * An answer that is longer than a message comes in parts; id 1: more of it follows, id 0: this is its last part.
	 */
	POL_SHELL_ANSWER = 81,
	/* shell: string target ("web1", "root+web1", "root+web1+2222") -> POL_SHELL_CONNECTED; the leg's link follows from the broker */
	POL_SHELL_CONNECT = 82,
	POL_SHELL_CONNECTED = 83 /* policy: u32 leg, or 0; string one line when it is 0 */
};

/* recorder <-> policy. id: the leg. */
enum pol_rec_type {
	POL_ASK =
	    48, /* recorder: u32 ask number, u32 channel, u8 from_back, u16 link type, string payload of the frame:
		 * of a request in several frames (link_proto.h) the first LINK_REQUEST_PART bytes */
	POL_VERDICT =
	    49, /* policy: u32 ask number, u8 enum pol_verdict, string text for the user and the record,
			   * string replacement payload (REPLACE only), string terms ("" or as below,
			   * at most POL_TERMS_MAX bytes) */
	POL_AUDIT = 50, /* policy, id 0: the event's JSON */
	/* recorder: the target's answer to a global request that was allowed: LINK_GLOBAL_REPLY's payload */
	POL_ANSWERED = 51,
	/* recorder: the next bytes of that payload, as in LINK_MORE; nothing else comes in between */
	POL_ASK_MORE = 52
};

#define POL_ANSWERED_MAX 9u  /* bytes: number, success, a port */
#define POL_TERMS_MAX 16384u /* bytes */

enum pol_verdict { POL_ALLOW = 1, POL_DENY = 2, POL_REPLACE = 3 };

/*
 * Terms: how the recorder reads what a program (exec, subsystem) or a channel then carries, with ALLOW and with REPLACE (they
 * are about the replacement): u8 enum pol_stream, u8 enum pol_files, u8 enum pol_file_rights (SFTP; else 0), u32 n + n
 * strings: path prefixes that SFTP operations which read are held to, u32 n + n strings: the same for those which write
 * (none: any path). A prefix begins with /, has no empty, "." or ".." component and no slash at its end (but "/" itself); it holds
 * itself and what lies below it: /srv holds /srv and /srv/a, not /srvx. "" is POL_STREAM_PLAIN, always with DENY.
 */
enum pol_stream {
	POL_STREAM_PLAIN = 0, /* kept as it is */
	POL_STREAM_SFTP = 1,  /* SFTP version 3 */
	POL_STREAM_SCP =
	    2, /* the old protocol of scp; the command has the exact form of its clients */
	POL_STREAM_RSYNC = 3,  /* rsync --server; likewise */
	POL_STREAM_AGENT = 4,  /* agent protocol: signatures that the target asks for */
	POL_STREAM_FORWARD = 5 /* a forwarded connection: one that opens with "SSH-" is cut */
};
enum pol_files { POL_FILES_HASH = 1, POL_FILES_KEEP = 2 };
enum pol_file_rights { POL_FILES_READ = 1, POL_FILES_WRITE = 2 };

/* vault <-> policy. id: the connection (SESSION_ID) or the leg. */
enum pol_keys_type {
	POL_SESSION_ID =
	    64, /* vault: the connection's first exchange hash, its bytes only; sent before the signature is */
	POL_KEYS_ALARM =
	    65, /* vault: u8 1 front 0 back, string what was asked and why it was refused */
	POL_KEYS_SIGNED =
	    66, /* vault, id: leg: string key fingerprint: the one login signature of this leg was given */
	POL_KEYS_CHANGED =
	    67, /* vault, id 0: string who (uid), string what was done to which key: an audit event */
	/*
	 * The vault reads no certificates. A target that shows one as its host key is put to policy, which gave the grant:
	 * vault, id: leg: string host certificate blob. Asked only for legs whose grant has host CAs, once at a time.
	 */
	POL_KEYS_HOST_CERT = 68,
	/* policy, id: leg: u8 1 valid for this leg's host now, string plain key blob in it; or u8 0, string why not */
	POL_KEYS_HOST_CERT_REPLY = 69
};

#endif
