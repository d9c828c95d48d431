/*
 * What every command of bastionctl is made of. To add one: write cmd_<noun>.c with a `const struct cmd` (and its table of
 * options), declare it at the end of this file, add a line to cmd_table in commands.c and the file to Makefile.inc.
 */
#ifndef BASTION_CTL_CMD_H
#define BASTION_CTL_CMD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/json.h"

/* Exit codes; scripts depend on them. */
enum cmd_exit {
	CMD_YES = 0,   /* done; it verifies; something was found */
	CMD_NO = 1,    /* does not verify, denied, nothing found */
	CMD_USAGE = 2, /* the command line is wrong */
	CMD_UNSURE = 3 /* could not find out */
};

/* What main acquires before the command runs; each one includes those before it. */
enum cmd_needs {
	CMD_NOTHING,
	CMD_CONFIG, /* bastiond.yaml was found and read: conf_file, state and policy are set */
	CMD_BROKER  /* bastiond runs: broker_fd is connected to STATE/control.sock */
};

struct cmd_opt {
	const char
	    *name; /* "--host"; one name means the same kind (flag or value) in every command */
	char short_name;  /* 'o' for -o; 0: none */
	const char *arg;  /* what stands for its value in help, "NAME"; NULL: a flag */
	const char *help; /* one line, no full stop */
};

struct cmd_ctx;

struct cmd {
	const char *noun;
	const char *verb; /* NULL: the noun is the whole command */
	const char *args; /* positional arguments as help shows them: "ID", "[ID]"; "" none */
	const char *help; /* one line, no full stop */
	enum cmd_needs needs;
	unsigned min_args, max_args;
	const struct cmd_opt *opts; /* ends with a row whose name is NULL; NULL: none */
	/* args: positional arguments, NULL-terminated, borrowed. Returns enum cmd_exit. */
	int (*run)(struct cmd_ctx *c, int n_args, const char *const *args);
};

#define CMD_VALUES_MAX 64u /* options on one command line */
#define CMD_WORDS_MAX 64u  /* other words on it */

struct cmd_value {
	const char *name;  /* of the option, long form */
	const char *value; /* "" for a flag */
};

/* One command line, taken apart; and what main acquired for it. Strings are borrowed from argv. */
struct cmd_ctx {
	const struct cmd *cmd; /* NULL: none was named */
	bool json;	       /* --json: one JSON document on stdout */
	bool help, version;
	const char *file; /* -f; NULL: not given */
	struct cmd_value values[CMD_VALUES_MAX];
	size_t n_values;
	const char
	    *words[CMD_WORDS_MAX + 1]; /* command words, then positional arguments, then NULL */
	size_t n_words, n_command_words;

	char conf_file[PATH_MAX]; /* from CMD_CONFIG on */
	char state[PATH_MAX];
	char policy[PATH_MAX];
	char revoked[PATH_MAX];	    /* login.revoked; "": none */
	char unlock[PATH_MAX];	    /* how the vault is opened (vault.unlock); "": its default */
	int broker_fd;		    /* -1 without CMD_BROKER; see ctl_client.h */
	struct secret *auditor_key; /* NULL until it is asked for; see auditor_key.h */
};

/* All commands, in the order of help; ends with NULL. */
extern const struct cmd *const cmd_table[];

/*
 * Take a command line apart. Options may stand before, between or behind the command words; "--" ends them.
 * table: ends with NULL. CMD_YES; CMD_USAGE after one line on stderr that says what is wrong.
 */
int cmd_parse(struct cmd_ctx *c, const struct cmd *const *table, int argc,
    const char *const *argv) MUST_CHECK;
/* The option's (last) value, "" for a flag; NULL: it was not given. name: the long form. */
const char *cmd_opt(const struct cmd_ctx *c, const char *name);
/* Its i-th value, from 0, for options that may be repeated; NULL: there is none. */
const char *cmd_opt_at(const struct cmd_ctx *c, const char *name, size_t i);

/*
 * Say in one line on stderr what is wrong, where, and what to do; no full stop. Bytes that a terminal might act on are
 * shown as \xHH. Returns code, so that a command can end with `return cmd_fail(CMD_UNSURE, ...)`.
 */
int cmd_fail(enum cmd_exit code, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The document of --json, on stdout; j: taken; max: bytes of it. CMD_YES; CMD_UNSURE, said: too long, out of memory, or nobody takes the output. */
int cmd_print_json(struct json *j, size_t max) MUST_CHECK;
/* As cmd_fail(), without a judgement. */
void cmd_note(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * Find and read bastiond.yaml: -f, else $BASTIOND_CONFIG, else SYSCONFDIR/bastiond/bastiond.yaml. Fills conf_file, state
 * and policy. CMD_YES; CMD_UNSURE or CMD_USAGE after a line on stderr.
 */
int cmd_load_config(struct cmd_ctx *c) MUST_CHECK;

/* Usage of the whole program, of one noun, of one command; on stdout. */
void cmd_help_all(const struct cmd *const *table);
void cmd_help_noun(const struct cmd *const *table, const char *noun);
void cmd_help_one(const struct cmd *cmd);

extern const struct cmd cmd_help;
extern const struct cmd cmd_init;
extern const struct cmd cmd_status;
extern const struct cmd cmd_hosts_list;
extern const struct cmd cmd_hosts_add;
extern const struct cmd cmd_hosts_scan;
extern const struct cmd cmd_hosts_pin;
extern const struct cmd cmd_hosts_ca;
extern const struct cmd cmd_hosts_known;
extern const struct cmd cmd_keys_list;
extern const struct cmd cmd_keys_generate;
extern const struct cmd cmd_keys_import;
extern const struct cmd cmd_keys_public;
extern const struct cmd cmd_keys_rotate;
extern const struct cmd cmd_keys_remove;
extern const struct cmd cmd_keys_unlock;
extern const struct cmd cmd_ca_new;
extern const struct cmd cmd_ca_issue;
extern const struct cmd cmd_ca_list;
extern const struct cmd cmd_ca_revoke;
extern const struct cmd cmd_ca_public;
extern const struct cmd cmd_ca_show;
extern const struct cmd cmd_auditor_new;
extern const struct cmd cmd_auditor_public;
extern const struct cmd cmd_policy_check;
extern const struct cmd cmd_policy_explain;
extern const struct cmd cmd_sessions_list;
extern const struct cmd cmd_sessions_show;
extern const struct cmd cmd_sessions_watch;
extern const struct cmd cmd_sessions_kill;
extern const struct cmd cmd_sessions_erase;
extern const struct cmd cmd_sessions_hold;
extern const struct cmd cmd_sessions_release;
extern const struct cmd cmd_play;
extern const struct cmd cmd_export;
extern const struct cmd cmd_search;
extern const struct cmd cmd_index_status;
extern const struct cmd cmd_index_rebuild;
extern const struct cmd cmd_verify;
extern const struct cmd cmd_checkpoint;
extern const struct cmd cmd_store_status;
extern const struct cmd cmd_store_compact;
extern const struct cmd cmd_log;

#endif
