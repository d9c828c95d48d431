/*
 * policy.yaml as data: who there is, what there is, and the rules. Loaded whole or not at all; a setting that this version
 * would not hold is refused by name, never dropped. Strings are borrowed from the model, which nothing changes.
 */
#ifndef BASTION_MODEL_H
#define BASTION_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/sshkey.h"
#include "policy/forward.h"
#include "policy/hours.h"
#include "policy/zone.h"

#define MODEL_USERS_MAX 50000u
#define MODEL_HOSTS_MAX 50000u
#define MODEL_RULES_MAX 4096u
#define MODEL_LIST_MAX 1024u   /* entries of one list */
#define MODEL_PATHS_MAX 64u    /* paths of one right in one rule */
#define MODEL_PINS_MAX 16u     /* host_keys or host_ca of one host */
#define MODEL_NAME_MAX 255u    /* bytes of a user, group, host or rule name */
#define MODEL_PORTS_MAX 16u    /* ports of one host */
#define MODEL_WARNINGS_MAX 32u /* that are kept */
#define MODEL_RSA_BITS 3072u   /* smallest RSA key that logs in or signs a certificate */
#define MODEL_RSA_BITS_COMPAT 2048u
#define MODEL_RSA_BITS_HOST 2048u /* smallest RSA key of a host; its CA is held to the former */
#define MODEL_CONNECT_NS                                                                           \
	(10ull * 1000000000ull) /* time a target has to answer, when nothing is set */

/* What a rule can give, one bit each. */
enum model_right {
	MODEL_SHELL = 1 << 0,
	MODEL_EXEC = 1 << 1,	  /* may be limited to patterns of commands */
	MODEL_SFTP_READ = 1 << 2, /* these two: to path prefixes */
	MODEL_SFTP_WRITE = 1 << 3,
	MODEL_SCP = 1 << 4,
	MODEL_RSYNC = 1 << 5,
	MODEL_FORWARD =
	    1 << 6, /* these two: to policy/forward.h's patterns, always when they are given */
	MODEL_REMOTE_FORWARD = 1 << 7,
	MODEL_AGENT = 1 << 8,
	MODEL_X11 = 1 << 9
};
#define MODEL_N_RIGHTS 10u
#define MODEL_ALL_RIGHTS ((1u << MODEL_N_RIGHTS) - 1)
#define MODEL_SFTP (MODEL_SFTP_READ | MODEL_SFTP_WRITE)
#define MODEL_FILES (MODEL_SFTP | MODEL_SCP | MODEL_RSYNC)
/* "shell", "sftp-read", "remote_forward" ... for one bit; static. */
const char *model_right_name(unsigned right);

struct model_strings {
	const char **v; /* the array is owned by the model */
	size_t n;
};
bool model_strings_has(const struct model_strings *s, const char *want);

struct model_blob {
	uint8_t *p; /* owned by the model */
	size_t len;
};

struct model_user {
	const char *name;
	struct model_blob *keys; /* plain key blobs */
	size_t n_keys;
	struct model_strings principals; /* of certificates that prove this person */
	struct model_strings groups;
	struct model_strings
	    cas; /* fingerprints of the only CAs that may; empty: every one that is configured */
};

struct model_label {
	const char *key;
	struct model_strings values; /* a host has one; a rule any of several */
};

struct model_host {
	char *name;	     /* lower case; owned by the model */
	bool pattern;	     /* name holds * or ? */
	const char *address; /* NULL: the name that was typed */
	bool resolve;
	uint16_t port;
	uint16_t ports[MODEL_PORTS_MAX]; /* that may be asked for beside port */
	size_t n_ports;
	struct model_label *labels;
	size_t n_labels;
	const char *key; /* in the vault; NULL: none yet */
	struct model_blob *host_keys, *host_cas;
	size_t n_host_keys, n_host_cas;
	uint64_t connect_ns;
};

struct model_rule {
	const char *name;
	bool deny;
	bool any_user; /* users holds "*", or a deny rule names nobody */
	struct model_strings users, groups, principals;
	struct net_prefix *sources; /* none: from anywhere */
	size_t n_sources;
	bool any_host; /* hosts holds "*", or a deny rule names none */
	struct model_strings hosts, patterns;
	struct model_label *labels; /* all of them must fit */
	size_t n_labels;
	bool any_login, same_login;  /* as holds "*"; as holds "@self" */
	struct model_strings logins; /* the others */
	unsigned rights;	     /* enum model_right; a deny rule without "may": all */
	struct model_strings limits[MODEL_N_RIGHTS]; /* of each right, by model_right_index() */
	struct forward_pattern *forwards, *remotes;  /* the limits of both ways to forward, read */
	bool keep;				     /* content of files is kept; false: its hash */
	bool keep_typed; /* what is typed is kept although it is not shown */
	uint64_t masks;	 /* MODEL_MASK_DEFAULTS, model_mask_bit() */
	bool mfa;	 /* an allow rule: only for who has proved two different things */
	struct hours when;
};
/* The place of one bit. */
size_t model_right_index(unsigned right);
/* Patterns or prefixes that a rule holds a right to; none: all there is. */
const struct model_strings *model_limits(const struct model_rule *rule, unsigned right);

/* A mask of policy.yaml: text is a pattern of lib/pattern.h that compiles. */
struct model_mask {
	const char *name, *text;
};
#define MODEL_MASKS_MAX 32u
#define MODEL_MASK_DEFAULTS 1ull
/* The bit of the i-th mask of the file. */
static inline uint64_t
model_mask_bit(size_t i)
{
	return 2ull << i;
}

struct model;

/*
 * data: the file called name. zones: may be NULL; borrowed for the life of the model. *ret_model: owned by caller.
 * 0; ERR_FORMAT with *ret_err filled; -ENOMEM.
 */
int model_load(const char *name, const char *data, size_t len, const struct zones *zones,
    struct model **ret_model, struct conf_err *ret_err) MUST_CHECK;
void model_free(struct model *m);

/* How many of each the file has; rules are in its order. */
size_t model_n_users(const struct model *m);
size_t model_n_hosts(const struct model *m);
size_t model_n_rules(const struct model *m);
const struct model_rule *model_rule_at(
    const struct model *m, size_t i); /* in the order of the file */
const struct model_host *model_host_at(const struct model *m, size_t i); /* likewise */
unsigned model_rsa_bits(const struct model *m); /* smallest RSA key accepted */
bool model_sk_no_touch(const struct model *m);	/* compat: [sk-no-touch] */
/* certificates: the longest time a user certificate may be good for, in seconds; 0: any. */
uint64_t model_cert_longest_s(const struct model *m);
/* Whether sessions end when their certificate expires; when it, its key or its CA is no longer trusted. */
bool model_closes_expired(const struct model *m);
bool model_closes_revoked(const struct model *m);
/* Things that load but look wrong, one line each; NULL behind the last. */
const char *model_warning(const struct model *m, size_t i);

/* By name. NULL: nobody. */
const struct model_user *model_find_user(const struct model *m, const char *name);
/* Whether somebody's name differs from this one in upper and lower case, and nobody's is this one. */
bool model_user_in_other_case(const struct model *m, const char *name);
/* Whose plain key this is; at most one. NULL: nobody's. */
const struct model_user *model_find_key(const struct model *m, const uint8_t *blob, size_t len);
/* Whom a certificate's principal stands for; at most one. NULL: nobody. */
const struct model_user *model_find_principal(const struct model *m, const char *principal);
/* By the name typed, in lower case: the host of that name, else the first pattern that holds it. NULL: none. */
const struct model_host *model_find_host(const struct model *m, const char *name);
/* Whether the port is the host's own, or one of those it lists. */
bool model_host_has_port(const struct model_host *h, uint16_t port);

#endif
