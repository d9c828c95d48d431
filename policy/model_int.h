/* The model from inside, for those that make it: model.c keeps and finds, model_load.c and load*.c read. */
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
	struct model_mask *masks;
	size_t n_masks;
	unsigned rsa_bits;
	bool sk_no_touch;
	uint64_t cert_longest_ns; /* 0: no limit */
	bool close_expired, close_revoked;
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

#endif
