/* The broker's edges to the programs that it starts for a connection or a leg, and the control socket of bastionctl. */
#ifndef BASTION_BROKER_PROTO_H
#define BASTION_BROKER_PROTO_H

/*
 * Descriptors of a front: 3 broker edge, 4 client socket, 5 policy edge, 6 vault edge.
 * Descriptors of a back: 3 broker edge, 4 link, 5 agent socket of the vault.
 * Descriptors of a shell: 3 broker edge, 4 link, 5 policy edge.
 * Long-lived programs (recorder, keys, policy): 3 broker edge; all other edges arrive in messages.
 * A reader: 3 edge to bastionctl.
 * bastiond-auth: 3 broker edge, 4 policy edge, 5 edge to who speaks with the person (bastiond/auth/auth_proto.h).
 */
enum brk_fd {
	BRK_FD_BROKER = 3,
	BRK_FD_CLIENT = 4,
	BRK_FD_POLICY = 5,
	BRK_FD_KEYS = 6,
	BRK_FD_LINK = 4,
	BRK_FD_AGENT = 5,
	BRK_FD_SHELL_POLICY = 5,
	BRK_FD_AUTH_POLICY = 4,
	BRK_FD_AUTH_TALK = 5
};

/* broker <-> front. id: the connection; for LINK and REFUSED the leg. */
enum brk_front_type {
	/* broker, first: u32 n + n strings: host key blobs (the plain key, then perhaps a certificate of it), u32 channels limit, u64 keepalive interval in ns (0 off), u32 keepalives missed
	 * before the client counts as gone, u64 rekey bytes (0 default), u64 ns for a client to answer CLOSE */
	BRK_FRONT_START = 1,
	BRK_FRONT_LINK = 2, /* broker, 1 fd: the link of a leg; legs follow a login on their own */
	BRK_FRONT_REFUSED = 3, /* broker: string one line for the user: there will be no link */
	BRK_FRONT_KEYS = 4,    /* broker, 1 fd: a new edge to a restarted vault */
	BRK_FRONT_CLOSE =
	    5, /* broker: string one line: say it and end (grace time over, shutdown) */
	/*
	 * front, id: a number of its own, never used twice: its client opens a direct-tcpip channel (RFC 4254 section 7.2) on a
	 * login without a host: string host, u32 port, both as the client sent them. Answered once, by one of the two below.
	 */
	BRK_FRONT_JUMP = 6,
	/* broker, id: of the JUMP, 1 fd (stream): a nested front serves the other end of it as its client */
	BRK_FRONT_JUMPED = 7,
	BRK_FRONT_SHELL =
	    9, /* front, once: a session channel was opened on a login without a host; a link follows */
	BRK_FRONT_JUMP_REFUSED = 8, /* broker, id: of the JUMP: string one line for the user */
	/*
	 * broker, 1 fd: the bastiond-auth that answers the keyboard-interactive request which policy is asked about now; it
	 * replaces the one before. The edge carries auth_proto.h.
	 */
	BRK_FRONT_AUTH = 10
};

/* broker <-> back */
enum brk_back_type {
	/* broker, first, id: leg: string back part of the grant, u32 n + n strings: the bastion's own "address:port" (never a
	 * target), u32 n + n strings: denied networks for resolved names, u64 keepalive interval in ns, u32 keepalives missed,
	 * u64 longest time to connect in ns (the grant may say less), u64 ns for a target to answer CLOSE */
	BRK_BACK_START = 1
};

/* broker <-> shell: the bastion's own shell, the back of a leg whose grant says POL_BACK_SHELL */
enum brk_shell_type {
	BRK_SHELL_START = 1, /* broker, first, id: leg: string back part of the grant */
	/* broker, id: the new leg, 1 fd: its front's link; the shell asked policy for it (POL_SHELL_CONNECT) */
	BRK_SHELL_LINK = 2,
	BRK_SHELL_REFUSED = 3, /* broker, id: the new leg: string one line for the user */
	/* shell, id: its own number: the sessions of the one who logged in -> BRK_SHELL_EDGE, or BRK_SHELL_NO_EDGE */
	BRK_SHELL_SESSIONS = 4,
	BRK_SHELL_EDGE =
	    5, /* broker, id: of the question, 1 fd: an edge to a reader (recorder_proto.h) */
	BRK_SHELL_NO_EDGE = 6, /* broker, id: of the question: string one line */
	/* broker, 1 fd: a second factor is asked for before POL_SHELL_CONNECTED comes; the edge carries auth_proto.h */
	BRK_SHELL_AUTH = 7
};

/* broker <-> bastiond-auth */
enum brk_auth_type {
	/* broker, first, id: connection: string PAM service, string folder of its configuration ("": the system's) */
	BRK_AUTH_START = 1
};

/* bastionctl <-> broker, on STATE/control.sock; the peer is known by SO_PEERCRED. id: echoed. */
enum ctl_type {
	CTL_STATUS = 1, /* -> CTL_REPLY with a JSON object */
	CTL_RELOAD = 2, /* -> CTL_REPLY */
	CTL_KEYS = 3,	/* -> CTL_EDGE: an edge to the vault's administration */
	CTL_READ =
	    4, /* u32 n + n strings: the reader's arguments after --store -> CTL_EDGE: an edge to a reader */
	CTL_KILL = 5, /* string session id (hex) -> CTL_REPLY */
	CTL_ERASE =
	    6, /* string session id (hex), string why -> CTL_REPLY when its key is destroyed */
	CTL_HOLD =
	    7, /* string session id (hex), u8 1 hold 0 let go, string why -> CTL_REPLY when it is durable */
	CTL_INDEX = 9,	/* -> CTL_REPLY: what was rendered of recordings is made anew */
	CTL_REPLY = 16, /* u8 exit code (0 1 2 3), string text or JSON */
	CTL_EDGE = 17	/* 1 fd */
};

#endif
