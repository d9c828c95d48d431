/*
 * The vault's edges: with the broker, with fronts (host key), with bastionctl (administration), and with backs, where
 * it speaks the agent protocol (RFC 9987) on a stream socket, so that ssh-add can test it.
 */
#ifndef BASTION_KEYS_PROTO_H
#define BASTION_KEYS_PROTO_H

/*
 * bastiond-keys --dir STATE/keys [--unlock file:PATH | fd:N | passphrase] [--admin] [--create]
 * Descriptor 3: the broker edge; with --admin an edge to bastionctl instead (for when no bastiond runs), and the
 * program ends with that edge. --unlock defaults to file:STATE/keys/unlock.key. Whoever starts the vault turns
 * "credential:NAME" and files that the vault's own uid cannot read into descriptor 4 and --unlock fd:4
 * (keys/keys_client.h). --create (with --admin): there is no vault yet, KEYS_ADM_CREATE makes one.
 * STATE/keys/lock keeps a second vault process out. Exit status: 0 the edge ended; 2 usage; 3 could not start (one line on
 * stderr says why; starting again without a change does not help).
 */
#define KEYS_PROGRAM "bastiond-keys"

#define KEYS_NAME_MAX 64u      /* bytes of a key's name: [A-Za-z0-9._-] */
#define KEYS_HOST_KEY "host"   /* the name of the bastion's own host key in the vault */
#define KEYS_HOST_CA "host-ca" /* signs the host certificates of targets' keys */
/*
 * The host keys that clients see behind ssh -J: one for each target, derived from this key and the target's name, so that
 * they stay the same for ever and nothing is stored for each. Rotating it changes all of them.
 */
#define KEYS_JUMP_KEY "jump"
/* A key whose name begins so is a CA of user certificates: it signs those that KEYS_ADM_ISSUE asks for, and nothing else. */
#define KEYS_USER_CA_PREFIX "user-ca."

/* broker <-> vault */
enum keys_type {
	KEYS_READY =
	    1, /* vault: string public blob of the host key, u32 number of keys; or locked: both empty */
	KEYS_FRONT =
	    2, /* broker, id: conn, 1 fd (SEQPACKET edge to the front): u8 1: its person is logged in already, rekeys only;
		* string target ("": the bastion's own host key; else the host behind ssh -J), u32 n + n strings: names for
		* its host certificate. With a target and not rekeys only: KEYS_FRONT_KEY follows */
	KEYS_FRONT_GONE = 3, /* broker, id: conn */
	/*
	 * broker, id: leg, 1 fd (stream, agent protocol): the grant's vault part: string login, string key name, string host
	 * (inventory name), u32 port, u32 n + n strings: pinned host key blobs, u32 n + n strings: host CA blobs
	 */
	KEYS_BACK = 4,
	KEYS_BACK_GONE = 5,    /* broker, id: leg */
	KEYS_ADMIN = 6,	       /* broker, 1 fd: an edge to bastionctl; string who (uid) */
	KEYS_POLICY_EDGE = 7,  /* broker, 1 fd: a new edge to policy */
	KEYS_STATUS = 8,       /* broker asks; id echoed */
	KEYS_STATUS_REPLY = 9, /* vault: JSON object */
	/* vault, id: conn: string plain key blob, string certificate blob ("" when there is none); or both empty: it cannot */
	KEYS_FRONT_KEY = 10,
	/* broker, id: conn: policy has let its person in. Before that it gets one signature, from then on those of rekeys too */
	KEYS_FRONT_IN = 11
};

/* front <-> vault */
enum keys_front_type {
	KEYS_SIGN = 32,	 /* front: the exchange hash (32, 48 or 64 bytes) */
	KEYS_SIGNED = 33 /* vault: 64 bytes of Ed25519 signature */
};

/* bastionctl <-> vault. Every answer is KEYS_ADM_REPLY. */
enum keys_admin_type {
	KEYS_ADM_LIST = 48,
	KEYS_ADM_GENERATE =
	    49, /* string name, string type: ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072 rsa-4096 */
	KEYS_ADM_IMPORT =
	    50, /* 1 fd of an OpenSSH or PEM private key file; string name, string passphrase ("" none) */
	KEYS_ADM_PUBLIC = 51, /* string name */
	KEYS_ADM_REMOVE = 52, /* string name */
	KEYS_ADM_ROTATE =
	    53, /* string name: a new key of the same type; the old one stays as name.old */
	KEYS_ADM_UNLOCK = 54, /* string passphrase */
	KEYS_ADM_CREATE =
	    55, /* string passphrase ("" unless --unlock passphrase): a new vault with the keys fleet, host, host-ca, jump */
	KEYS_ADM_JUMP =
	    56, /* string host: the public key that clients see behind ssh -J to this host */
	/*
	 * string name of a CA's key, string plain key blob, u64 serial, string key id, u32 n + n strings: principals, u64 valid
	 * after, u64 valid before (seconds since 1970), string forced command, string networks with commas between (each "":
	 * none), u8 1: without extensions -> a line as in a -cert.pub file
	 */
	KEYS_ADM_ISSUE = 57,
	KEYS_ADM_REPLY =
	    63 /* vault: u8 exit code as of bastionctl (0 1 2 3), string text or JSON */
};

/*
 * Agent protocol extension by which a back shows the target's proof before it may ask for a signature: the message
 * SSH_AGENTC_EXTENSION "session-bind@openssh.com" of OpenSSH's PROTOCOL.agent: string host key, string session id,
 * string signature, bool is_forwarding.
 */

#endif
