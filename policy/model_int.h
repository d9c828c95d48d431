/* The model from inside, for the two files that make it: model.c keeps and finds, model_load.c reads. */
#ifndef BASTION_MODEL_INT_H
#define BASTION_MODEL_INT_H

#include "policy/model.h"

/* Something that proves a person: a key blob or a principal. */
struct model_proof {
	const uint8_t *p;
	size_t len;
	const struct model_user *user;
	const struct conf_node *node; /* where it stands, while loading */
};

struct model_chunk;

struct model {
	struct conf_doc *doc;	    /* owned; all strings are its */
	struct model_chunk *chunks; /* owned; all arrays are theirs */
	struct model_user *users;   /* in the order of the file */
	size_t n_users;
	const struct model_user **users_by_name;
	struct model_host *hosts; /* in the order of the file */
	size_t n_hosts;
	const struct model_host **hosts_by_name; /* without patterns */
	size_t n_named;
	struct model_rule *rules;
	size_t n_rules;
	struct model_proof *keys, *principals; /* sorted */
	size_t n_keys, n_principals;
	unsigned rsa_bits;
	bool sk_no_touch;
	const char *warnings[MODEL_WARNINGS_MAX];
	size_t n_warnings;
};

/* n zeroed entries that live as long as the model. NULL: out of memory. n may be 0. */
void *model_alloc(struct model *m, size_t n, size_t size);
/* Keep a line for model_warning(); more than fit are dropped. 0; -ENOMEM. */
int model_warn(struct model *m, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* Build what the find functions search. 0; -ENOMEM. */
int model_index(struct model *m) MUST_CHECK;
/* The first proof that two different people share, or NULL; after model_index(). */
const struct model_proof *model_shared(
    const struct model_proof *v, size_t n, const struct model_user **ret_other);

/* Reading, for the files that do it: model_load.c the file, model_may.c what a rule gives. */
struct load {
	struct model *m;
	const struct zones *zones;
	struct conf_err *err;
};

/* Whether a string may stand there, and what to say when not. */
struct load_kind {
	bool (*ok)(const char *s);
	const char *expected;
};

/* A list of at most MODEL_LIST_MAX, and its array of entries of size bytes. 0; ERR_FORMAT; -ENOMEM; so for all below. */
int load_list(struct load *l, const struct conf_node *n, size_t size, void **ret_v) MUST_CHECK;
int load_strings(struct load *l, const struct conf_node *n, const struct load_kind *kind,
    struct model_strings *to) MUST_CHECK;
/* The value of a rule's "may"; the rule's "deny" is known. */
int load_may(struct load *l, struct model_rule *rule, const struct conf_node *n) MUST_CHECK;
/* Warn about rights that another one makes useless. */
int load_warn_may(struct model *m, const struct model_rule *rule) MUST_CHECK;

#endif
