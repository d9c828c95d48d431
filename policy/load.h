/*
 * Reading policy.yaml from inside, for model_load.c (the whole file), load_*.c (its sections) and load.c (what they share).
 * Every int function here: 0; ERR_FORMAT with l->err filled; -ENOMEM. What is read stays with the model or its document.
 */
#ifndef BASTION_LOAD_H
#define BASTION_LOAD_H

#include "policy/model_int.h"

#define LOAD_FIELDS_MAX 16 /* keys of one map */

struct load {
	struct model *m;
	const struct zones *zones; /* may be NULL */
	struct conf_err *err;
};

/* A key of a map and what reads it into obj, the thing that the map describes. */
struct load_field {
	const char *name;
	bool required;
	int (*read)(struct load *l, void *obj, const struct conf_node *n);
};

/* Whether a string may stand there, and what to say when not. */
struct load_kind {
	bool (*ok)(const char *s);
	const char *expected;
};
extern const struct load_kind load_kind_name;	   /* of a user or group */
extern const struct load_kind load_kind_principal; /* of a certificate */
extern const struct load_kind load_kind_label;	   /* free text */

/* Whether it is a host's name, or one with * and ? in it. */
bool load_is_host_pattern(const char *s);

/* Every key of the map by its row, in the order of the table of at most LOAD_FIELDS_MAX; any other key is an error. */
int load_map(struct load *l, const struct conf_node *n, const struct load_field *fields,
    size_t n_fields, void *obj) MUST_CHECK;
#define LOAD_MAP(l, n, fields, obj)                                                                \
	load_map((l), (n), (fields), sizeof(fields) / sizeof((fields)[0]), (obj))

/* For a key that may not be used: a restriction that nothing would hold must not be taken for one that holds. */
int load_unsupported(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;

/* A list of at most MODEL_LIST_MAX entries. *ret_v: a zeroed array for them, size bytes each; owned by the model. */
int load_list(struct load *l, const struct conf_node *n, size_t size, void **ret_v) MUST_CHECK;
/* A string of that kind. *ret_s: borrowed from the document. */
int load_string(struct load *l, const struct conf_node *n, const struct load_kind *kind,
    const char **ret_s) MUST_CHECK;
/* A list of them. */
int load_strings(struct load *l, const struct conf_node *n, const struct load_kind *kind,
    struct model_strings *to) MUST_CHECK;
/* A public key in OpenSSH's form; an RSA key has at least rsa_bits. */
int load_pubkey(
    struct load *l, const struct conf_node *n, unsigned rsa_bits, struct model_blob *to) MUST_CHECK;
/* A map of labels: of a host, each with one value, or of a rule, each with one or a list. */
int load_labels(struct load *l, const struct conf_node *n, bool rule,
    struct model_label **ret_labels, size_t *ret_n) MUST_CHECK;

/* The sections, as rows of the table of the whole file; obj is not used. Rules name users and hosts, which come first. */
int load_users(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;
int load_hosts(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;
int load_masks(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;
/* Keys of a rule's how; obj: struct model_rule. */
int load_how_mask(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;
int load_how_typed(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;
int load_rules(struct load *l, void *obj, const struct conf_node *n) MUST_CHECK;
/* The value of a rule's "may"; the rule's "deny" is known. */
int load_may(struct load *l, struct model_rule *rule, const struct conf_node *n) MUST_CHECK;
/* Warn about rights that another one makes useless. */
int load_warn_may(struct model *m, const struct model_rule *rule) MUST_CHECK;

#endif
