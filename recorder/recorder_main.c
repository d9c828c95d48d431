/*
 * bastiond-recorder: what fronts and backs say to each other goes through here, and on disk before
 * it goes on. It owns the store and the key that signs it, and speaks no SSH. Descriptor 3: the
 * broker edge.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/mask.h"
#include "recorder/recorder.h"
#include "recorder/signer.h"

#define EXIT_USAGE 2
#define EXIT_START 3

struct options {
	const char *store, *public_key, *origin;
	enum store_durability durability;
	uint64_t stall_timeout_ns, map_size, epoch_ns, checkpoint_every_ns;
	struct auditors auditors;
};

static const char usage[] =
    "usage: bastiond-recorder --store DIR --durability strict|process --stall-timeout SPAN\n"
    "           [--public-key FILE] [--origin NAME] [--map-size BYTES]\n"
    "           [--auditors LINES] [--epoch SPAN] [--checkpoint-every SPAN]\n"
    "Started by bastiond, with its edge as descriptor 3; see recorder/recorder_proto.h.\n";

static int
set_store(struct options *opt, const char *value)
{
	opt->store = value;
	return 0;
}

static int
set_public_key(struct options *opt, const char *value)
{
	opt->public_key = value;
	return 0;
}

static int
set_origin(struct options *opt, const char *value)
{
	opt->origin = value;
	return 0;
}

static int
set_durability(struct options *opt, const char *value)
{
	if (strcmp(value, "strict") == 0)
		opt->durability = STORE_STRICT;
	else if (strcmp(value, "process") == 0)
		opt->durability = STORE_PROCESS;
	else
		return ERR_FORMAT;
	return 0;
}

static int
set_stall_timeout(struct options *opt, const char *value)
{
	return num_parse_span(value, &opt->stall_timeout_ns);
}

static int
set_map_size(struct options *opt, const char *value)
{
	return num_parse_size(value, &opt->map_size);
}

static int
set_epoch(struct options *opt, const char *value)
{
	return num_parse_span(value, &opt->epoch_ns);
}

static int
set_auditors(struct options *opt, const char *value)
{
	return auditors_parse(value, &opt->auditors);
}

static int
set_checkpoint_every(struct options *opt, const char *value)
{
	return num_parse_span(value, &opt->checkpoint_every_ns);
}

static const struct {
	const char *name;
	int (*set)(struct options *opt, const char *value);
} option_table[] = {
	{ "--store", set_store },
	{ "--durability", set_durability },
	{ "--stall-timeout", set_stall_timeout },
	{ "--public-key", set_public_key },
	{ "--origin", set_origin },
	{ "--map-size", set_map_size },
	{ "--auditors", set_auditors },
	{ "--epoch", set_epoch },
	{ "--checkpoint-every", set_checkpoint_every },
};

static int
parse_option(struct options *opt, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++)
		if (strcmp(option_table[i].name, name) == 0)
			return option_table[i].set(opt, value);
	return ERR_FORMAT;
}

static int
parse_options(int argc, char **argv, struct options *opt)
{
	if (argc % 2 == 0)
		return ERR_FORMAT;
	for (int i = 1; i < argc; i += 2)
		if (parse_option(opt, argv[i], argv[i + 1]) != 0)
			return ERR_FORMAT;
	return opt->store == NULL || opt->durability == 0 || opt->stall_timeout_ns == 0 ? ERR_FORMAT
											: 0;
}

/* What to do about a store that does not open, by error. */
static const char *
advice(int err)
{
	static const struct {
		int err;
		const char *text;
	} table[] = {
		{ ERR_EXISTS, "another bastiond-recorder works here: end it first" },
		{ ERR_SIGNATURE,
		    "this store is signed by another key: put its sign.key back, or move the store "
		    "away to begin a new one" },
		{ ERR_CHAIN,
		    "the store is damaged: keep a copy, see what bastionctl verify says, then move "
		    "it away to begin a new one" },
		{ ERR_KEYS, "put the session.keys of this store back, or move the store away to "
			    "begin a new one" },
		{ ERR_FORMAT,
		    "the store or its key is not readable: keep a copy and move it away" },
		{ ERR_VERSION, "the store was made by another version of bastiond" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == err)
			return table[i].text;
	return "see that the folder is there, is yours, and has room";
}

static int
cannot_start(const char *what, int err)
{
	log_err("recorder.start_failed what=\"%s\" reason=\"%s\" do=\"%s\"", what, err_str(err),
	    advice(err));
	return EXIT_START;
}

static int
load_signer(const struct options *opt, struct signer *ret_signer)
{
	char path[PATH_MAX];
	int r;

	if ((r = file_mkdir(opt->store, 0700)) != 0 ||
	    (r = str_format(path, sizeof(path), "%s/sign.key", opt->store)) != 0)
		return r;
	return signer_load(
	    path, opt->origin != NULL ? opt->origin : "bastiond-recorder", ret_signer);
}

/* One place where the log's first key lies. What lies there already is what others trust: it stays. */
static int
export_to(const struct note_key *key, bool is_new, const char *path)
{
	char line[NOTE_VKEY_SIZE], *old;
	size_t len;
	bool same;

	if (is_new || file_read(path, NOTE_VKEY_SIZE, &old, &len) != 0)
		return signer_export(key, path);
	note_key_text(line, key);
	same = len == strlen(line) + 1 && memcmp(old, line, len - 1) == 0;
	free(old);
	if (!same)
		log_warn("recorder.public_key_differs path=%s do=\"find out who changed it, or the "
			 "store: bastionctl verify\"",
		    path);
	return 0;
}

/*
 * The key that the log begins with goes beside the store and to where everybody looks for it, if we
 * may write there. From it, verifying follows those that came after.
 */
static int
export_key(const struct options *opt, struct chain *chain)
{
	struct note_key key;
	char path[PATH_MAX];
	bool is_new;
	int r;

	if ((r = chain_first_key(chain, &key, &is_new)) != 0 ||
	    (r = str_format(path, sizeof(path), "%s/recorder.pub", opt->store)) != 0 ||
	    (r = export_to(&key, is_new, path)) != 0)
		return r;
	/* With a uid of its own the recorder may not write there; the broker then copies it. */
	r = export_to(&key, is_new, opt->public_key);
	if (r != 0 && r != -EACCES)
		log_warn("recorder.public_key_not_written path=%s reason=\"%s\" do=\"take "
			 "%s/recorder.pub\"",
		    opt->public_key, err_str(r), opt->store);
	return 0;
}

/* SIGTERM is an orderly stop. An interrupt is for the broker, which tells us. */
static void
on_signal(void *arg, int signo)
{
	if (signo == SIGTERM)
		recorder_stop(arg, "the session was ended: the bastion is shutting down");
}

static int
serve(const struct options *opt, struct chain *chain, const struct chain_recovery *recovery)
{
	static const int signals[] = { SIGTERM, SIGINT };
	struct recorder_conf conf = { .chain = chain,
		.broker_fd = PROC_FD_FIRST,
		.stall_timeout_ns = opt->stall_timeout_ns,
		.epoch_ns = opt->epoch_ns,
		.checkpoint_every_ns = opt->checkpoint_every_ns,
		.durability = opt->durability };
	struct loop *loop = NULL;
	struct recorder rec;
	char ready[160] = "";
	int r;

	if (recovery->n_truncated + recovery->n_damaged > 0 &&
	    (r = str_format(ready, sizeof(ready),
		 "%u sessions were cut off by the last stop and are marked truncated, %u are "
		 "damaged",
		 recovery->n_truncated, recovery->n_damaged)) != 0)
		return cannot_start("ready text", r);
	conf.ready = ready;
	if ((r = loop_new(&loop)) != 0)
		return cannot_start("event loop", r);
	conf.loop = loop;
	if ((r = recorder_init(&rec, &conf)) != 0) {
		loop_free(loop);
		return cannot_start("broker edge", r);
	}
	if ((r = loop_signals(loop, signals, 2, on_signal, &rec)) != 0 ||
	    (r = sandbox_enter(SANDBOX_RECORDER, NULL, 0)) != 0)
		r = cannot_start("sandbox", r);
	else if ((r = loop_run(loop)) != 0)
		r = cannot_start("event loop", r);
	else
		r = rec.exit_code;
	/* What came in while the last leg ended. */
	if (r == 0 && chain_commit(chain, true) != 0)
		r = 1;
	if (r == 0)
		recorder_push(&rec, true);
	recorder_done(&rec);
	loop_free(loop);
	return r;
}

int
main(int argc, char **argv)
{
	struct options opt = { .public_key = "recorder.pub" };
	struct chain_conf conf = { 0 };
	struct chain_recovery recovery;
	struct signer signer;
	struct chain *chain;
	int r, code;

	log_init("bastiond-recorder", LOG_LEVEL_INFO);
	if (parse_options(argc, argv, &opt) != 0) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if ((r = sandbox_prepare()) != 0 || (r = secret_init()) != 0 || (r = hash_init()) != 0 ||
	    (r = mask_prepare()) != 0)
		return cannot_start("process", r);
	if ((r = load_signer(&opt, &signer)) != 0)
		return cannot_start("signing key", r);
	conf = (struct chain_conf){ .store = { .dir = opt.store,
					.map_size = opt.map_size,
					.durability = opt.durability },
		.signer = &signer,
		.origin = opt.origin,
		.auditors = &opt.auditors };
	if ((r = chain_open(&conf, &chain, &recovery)) != 0)
		return cannot_start("store", r);
	if ((r = export_key(&opt, chain)) != 0)
		return cannot_start("public key", r);
	code = serve(&opt, chain, &recovery);
	chain_close(chain);
	signer_done(&signer);
	return code;
}
