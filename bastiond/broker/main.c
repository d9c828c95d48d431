/*
 * bastiond -f FILE [-t] [-D] [-v]: the broker. It listens, limits, starts every other program and wires their sockets.
 * This file is its start: from the command line to broker_run(), in the order in which rights are given up.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/broker.h"
#include "bastiond/broker/check.h"
#include "bastiond/broker/daemon.h"
#include "bastiond/broker/privilege.h"
#include "bastiond/broker/state.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define EXIT_USAGE 2

struct options {
	const char *file;
	bool test, foreground, verbose;
};

static const char usage[] =
    "usage: bastiond [-f FILE] [-t] [-D] [-v] [-V]\n"
    "  -f FILE  configuration (" SYSCONFDIR "/bastiond/bastiond.yaml)\n"
    "  -t       check the configuration and the policy, say what is wrong, exit 0 or 1\n"
    "  -D       stay in the foreground, messages to standard error\n"
    "  -v       more messages\n"
    "  -V       show the version\n";

/* 0; else the exit code plus one. */
static int
main_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "f:tDvVh")) != -1) {
		if (c == 'f')
			o->file = optarg;
		else if (c == 't')
			o->test = true;
		else if (c == 'D')
			o->foreground = true;
		else if (c == 'v')
			o->verbose = true;
		else if (c == 'V' || c == 'h') {
			fputs(c == 'h' ? usage : "bastiond " PACKAGE_VERSION "\n", stdout);
			return 1;
		} else {
			fputs(usage, stderr);
			return EXIT_USAGE + 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "bastiond: %s: unexpected\n%s", argv[optind], usage);
		return EXIT_USAGE + 1;
	}
	return 0;
}

static int
main_complain(const char *text)
{
	fprintf(stderr, "%s\n", text);
	return 1;
}

/* Where the programs are, which of them there are, and all of them opened. 0; 1 after a complaint. */
static int
main_find_programs(struct broker_parts *parts)
{
	char text[PATH_MAX + 256];
	const char *missing = "?";
	int r = proc_libexec_dir(parts->libexec, sizeof(parts->libexec));

	if (r == 0)
		r = programs_open(&parts->programs, parts->libexec, &missing);
	if (r != 0) {
		(void)snprintf(text, sizeof(text),
		    "bastiond: %s/%s: %s: the installation is not whole", parts->libexec, missing,
		    err_str(r));
		return main_complain(text);
	}
	parts->about.has_auth = parts->programs.fd[PROGRAM_AUTH] >= 0;
	parts->about.has_url = PUSH_HAS_URL;
	return 0;
}

/* A libssh that does not verify what it decrypts must not serve anybody (CVE-2026-59847). 0; 1 after a complaint. */
static int
main_try_programs(const struct broker_parts *parts)
{
	char text[256];
	const char *failed = "?";
	int r = programs_selftest(&parts->programs, &failed);

	if (r == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "bastiond: %s cannot be used: %s", failed, err_str(r));
	return main_complain(text);
}

struct main_test {
	struct loop *loop;
	bool good;
};

static void
main_on_checked(void *arg, bool good, const char *text)
{
	struct main_test *t = arg;

	t->good = good;
	if (!good)
		fprintf(stderr, "%s\n", text);
	loop_stop(t->loop);
}

/* -t: the same way that a reload goes, up to where it would be put in force. */
static int
main_test(const struct broker_parts *parts)
{
	struct main_test t = { .good = false };
	struct policy_files *files = NULL;
	struct check *check = NULL;
	struct conf_err err = { "" };
	int r;

	if ((r = policy_files_open(parts->settings, NULL, &files, &err)) != 0 ||
	    (r = loop_new(&t.loop)) != 0 ||
	    (r = check_start(t.loop, &process_real, &parts->programs, parts->settings, files,
		 main_on_checked, &t, &check)) != 0 ||
	    (r = loop_run(t.loop)) != 0)
		(void)main_complain(err.text[0] != '\0' ? err.text : err_str(r));
	policy_files_free(files);
	loop_free(t.loop);
	return r == 0 && t.good ? 0 : 1;
}

/* The file's path from the root, so that it can be read again from another working directory. */
static int
main_absolute(const char *file, char *dst, size_t size)
{
	char cwd[PATH_MAX];

	if (file[0] == '/')
		return str_copy(dst, size, file);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return -errno;
	return str_format(dst, size, "%s/%s", cwd, file);
}

static int
main_load(const char *file, struct broker_parts *parts)
{
	struct conf_err err = { "" };
	int r = settings_load(file, &parts->about, &parts->settings, &err);

	if (r != 0)
		return main_complain(err.text[0] != '\0' ? err.text : err_str(r));
	if (parts->settings != NULL && parts->settings->has_pam_user) {
		parts->programs.uid[PROGRAM_AUTH] = parts->settings->pam_uid;
		parts->programs.gid[PROGRAM_AUTH] = parts->settings->pam_gid;
	}
	return 0;
}

/* Everything that can fail while there is still a terminal to say it on. 0; 1 after a complaint. */
static int
main_prepare(struct broker_parts *parts, int *ret_lock)
{
	struct conf_err err = { "" };
	int r;

	if ((r = privilege_limits(&parts->files)) != 0)
		return main_complain(err_str(r));
	broker_check_files(parts->settings, parts->files);
	if (state_open(parts->settings->state, &parts->programs, ret_lock, &err) != 0 ||
	    listen_open(parts->settings, NULL, &parts->listen, &err) != 0)
		return main_complain(err.text[0] != '\0' ? err.text : "out of memory");
	return 0;
}

/* The state directory becomes the working directory: what is started there needs no right to its parents. */
static int
main_run(const struct options *o, struct broker_parts *parts)
{
	char log_path[PATH_MAX];
	int lock = -1, code = 1, r;

	if (main_prepare(parts, &lock) != 0) {
		free(parts->settings);
		goto out;
	}
	if ((r = str_format(
		 log_path, sizeof(log_path), "%s/bastiond.log", parts->settings->state)) != 0 ||
	    (!o->foreground && (r = daemon_start(log_path, &parts->ready_fd)) != 0) ||
	    (chdir(parts->settings->state) != 0 && (r = -errno) != 0)) {
		(void)main_complain(err_str(r));
		goto out;
	}
	code = broker_run(parts);
out:
	fd_close(&lock);
	return code;
}

int
main(int argc, char **argv)
{
	struct options o = { .file = SYSCONFDIR "/bastiond/bastiond.yaml" };
	struct broker_parts parts = { .ready_fd = -1 };
	char file[PATH_MAX];
	int r = main_options(argc, argv, &o);

	if (r != 0)
		return r - 1;
	log_init("bastiond", o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	(void)umask(077); /* never fails */
	if (sandbox_prepare() != 0 || hash_init() != 0)
		return main_complain("bastiond: cannot start in this environment");
	if (main_find_programs(&parts) != 0 || main_load(o.file, &parts) != 0 ||
	    main_try_programs(&parts) != 0)
		return 1;
	if (o.test) {
		r = main_test(&parts);
		programs_close(&parts.programs);
		free(parts.settings);
		return r;
	}
	/* Once more with all paths from the root: the first time its messages were as the user wrote the name. */
	free(parts.settings);
	parts.settings = NULL;
	if (main_absolute(o.file, file, sizeof(file)) != 0)
		return main_complain("bastiond: -f: the path is too long");
	return main_load(file, &parts) != 0 ? 1 : main_run(&o, &parts);
}
