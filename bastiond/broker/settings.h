/* bastiond.yaml as a plain struct: every key has its default, its range and its meaning here or is refused. */
#ifndef BASTION_BROKER_SETTINGS_H
#define BASTION_BROKER_SETTINGS_H

#include <sys/types.h>

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/broker/settings_push.h"
#include "lib/auditor.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/net.h"

#define SETTINGS_LISTEN_MAX 16u	  /* addresses to listen on */
#define SETTINGS_CA_MAX 16u	  /* files of user CAs */
#define SETTINGS_METHODS_MAX 8u	  /* ways to log in */
#define SETTINGS_NETS_MAX 64u	  /* networks in one list */
#define SETTINGS_ENV_MAX 64u	  /* patterns of environment names; REC_ENV_MAX */
#define SETTINGS_PATHS_MAX 8u	  /* paths in one list of login.pam */
#define SETTINGS_WORD_SIZE 64u	  /* bytes of a method, a pattern, a service name */
#define SETTINGS_UNLOCK_SIZE 4200 /* bytes of vault.unlock: a path and what stands before it */

struct settings_listen {
	struct net_addr addr;
	uint16_t port; /* 0: any free one */
};

/* begin: from here on connections are dropped at random, rate percent at first, all at full. */
struct settings_startups {
	uint64_t begin, rate, full;
};

/* What counts as one source: so many leading bits of its address. */
struct settings_prefix {
	uint64_t v4, v6;
};

struct settings_nets {
	struct net_prefix prefix[SETTINGS_NETS_MAX];
	char text[SETTINGS_NETS_MAX][NET_PORT_TEXT_SIZE];
	size_t n;
};

struct settings_words {
	char text[SETTINGS_ENV_MAX][SETTINGS_WORD_SIZE];
	size_t n;
};

struct settings_paths {
	char path[SETTINGS_PATHS_MAX][PATH_MAX];
	size_t n;
};

enum settings_durability { SETTINGS_STRICT, SETTINGS_PROCESS };

/* Spans are in nanoseconds, paths as seen from the process that loads the file. No pointers: copied and freed as one. */
struct settings {
	char file[PATH_MAX]; /* bastiond.yaml itself */
	struct settings_listen listen[SETTINGS_LISTEN_MAX];
	size_t n_listen;
	char state[PATH_MAX];
	char policy[PATH_MAX];

	char user_ca[SETTINGS_CA_MAX][PATH_MAX];
	size_t n_user_ca;
	char revoked[PATH_MAX]; /* "": none */
	/* One per alternative; those asked for together are joined by commas: "publickey,keyboard-interactive". */
	struct settings_words methods;
	char pam_service[SETTINGS_WORD_SIZE];
	bool identity_from_pam, groups_from_pam, explain;
	uint64_t pam_timeout_ns;    /* of one conversation */
	char pam_confdir[PATH_MAX]; /* "": the system's */
	bool has_pam_user;	    /* else the role's own */
	uid_t pam_uid;
	gid_t pam_gid;
	struct settings_paths pam_read, pam_write,
	    pam_run; /* for modules, besides /usr, /lib and /etc */
	uint64_t grace_ns;

	enum settings_durability durability;
	struct auditors auditors; /* recordings are sealed to them; none: not sealed */
	uint64_t stall_timeout_ns;
	struct settings_push checkpoints[SETTINGS_PUSHES_MAX]; /* where they are brought */
	size_t n_checkpoints;
	uint64_t checkpoint_every_ns; /* at most so often */
	uint64_t epoch_ns;	      /* the recorder replaces its signing key so often */
	uint64_t retain_ns;	      /* age beyond which recordings are removed; 0: never */
	uint64_t retain_space;	      /* bytes in use beyond which the oldest are; 0: never */
	uint64_t reader_timeout_ns;   /* that a reader may hold one snapshot */

	uint64_t connections, per_source, channels, auth_tries, auth_processes;
	struct settings_startups startups;
	struct settings_prefix source_prefix;

	struct {
		uint64_t crash_ns, alarm_ns, auth_failure_ns, no_auth_ns, grace_exceeded_ns;
		uint64_t from_ns, max_ns; /* enforced from this much on; never more than that */
		uint64_t sources;	  /* remembered at most */
		struct settings_nets exempt;
	} penalties;

	uint64_t keepalive_ns; /* 0: off */
	uint64_t keepalive_missed;
	uint64_t close_wait_ns; /* for a peer to answer CLOSE */

	char unlock[SETTINGS_UNLOCK_SIZE]; /* as of keys/keys_client.h; "": its default */

	struct settings_words env; /* patterns of names that a client may send */
	uint64_t rekey_bytes;	   /* 0: the library's own limit */

	struct settings_nets denied; /* for host names that are resolved */
	uint64_t connect_timeout_ns;
};

/* What the file cannot say. */
struct settings_about {
	bool has_auth; /* bastiond-auth lies beside us: keyboard-interactive can be offered */
	bool has_url;  /* bastiond-push has libcurl: recording.checkpoints may name URLs */
};

/* All defaults, for a file that would be called path. 0; ERR_LIMIT: the path is too long. */
int settings_default(struct settings *s, const char *path) MUST_CHECK;
/*
 * Read path. *ret_settings: owned by caller, free(). about: borrowed.
 * 0; ERR_FORMAT with the whole line in *ret_err, also when the file cannot be read; -ENOMEM.
 */
int settings_load(const char *path, const struct settings_about *about,
    struct settings **ret_settings, struct conf_err *ret_err) MUST_CHECK;
/* The same from memory, for tests. */
int settings_parse(const char *path, const char *data, size_t len,
    const struct settings_about *about, struct settings **ret_settings,
    struct conf_err *ret_err) MUST_CHECK;
/* The first key whose change needs a new start; NULL: a running bastiond can take up b after a. Borrowed, static. */
const char *settings_needs_restart(const struct settings *a, const struct settings *b);

#endif
