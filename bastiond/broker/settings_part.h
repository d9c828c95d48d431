/* What the files of bastiond.yaml's reader share: settings.c (the table of keys) and settings_take.c (what a value may be). */
#ifndef BASTION_BROKER_SETTINGS_PART_H
#define BASTION_BROKER_SETTINGS_PART_H

#include <stdint.h>

#include "bastiond/broker/settings.h"

struct settings_load {
	struct settings *s;
	const struct settings_about *about;
	struct conf_err *err;
};

struct settings_key;
/* Read one value. 0; ERR_FORMAT with *l->err filled; -ENOMEM. */
typedef int (*settings_take_fn)(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n);

/* A row of the table of keys. */
struct settings_key {
	const char *section; /* "" the file itself */
	const char *name;
	settings_take_fn take;
	size_t at; /* of the value in struct settings; 0 also where take knows it */
	uint64_t min, max;
};

/* For values of one form, wherever they stand. */
int settings_take_number(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_span(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_size(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_bool(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_path(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_readable(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_nets(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_folder(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_paths(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;

/* For one key each. */
int settings_take_user_ca(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_listen(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_env(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_service(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_user(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_methods(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_durability(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_auditors(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_checkpoints(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_startups(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_prefix(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;
int settings_take_unlock(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n) MUST_CHECK;

#endif
