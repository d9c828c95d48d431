/*
 * Runs scripts (raw.script) against an SSH server, and plays the target in those that need one that misbehaves.
 *
 *   bastion-raw count FILE via|direct            how many runs there are
 *   bastion-raw [options] run FILE via|direct PORT USER [NAME]
 *       -p PID   of bastiond: its fronts and backs of a connection must be gone afterwards
 *       -t USER  for scripts with a target of their own    -o DIR  what came and went, one file a stream
 *   bastion-raw -o DIR serve FILE                print the port and the host key; run DIR/script's part for a target
 *
 * A line a script on stdout: "ok NAME" or "not ok NAME: what". The agent in SSH_AUTH_SOCK has the key.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/ssh/ssh_msg.h"
#include "lib/num.h"
#include "lib/str.h"
#include "tests/lib/raw.h"

#define GONE_MS 15000 /* for the processes of a connection that is over */
#define SERVE_S 120   /* seconds a target lives at most */
#define REKEY_BYTES 65536u

struct options {
	const char *dir, *target_user, *user, *mode;
	uint16_t port;
	pid_t bastiond;
	uint32_t n_before; /* its fronts and backs without us */
};

/* What came and went. */

static void
path_in(const char *dir, const char *name, char *dst, size_t size)
{
	if (str_format(dst, size, "%s/%s", dir, name) != 0)
		exit(3);
}

static void
write_file(const char *dir, const char *name, const void *p, size_t len)
{
	char path[1024], tmp[1040];
	FILE *f;

	path_in(dir, name, path, sizeof(path));
	(void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	f = fopen(tmp, "we");
	if (f == NULL || fwrite(p, 1, len, f) != len || fclose(f) != 0 || rename(tmp, path) != 0) {
		perror(path);
		exit(3);
	}
}

static void
write_stream(const char *dir, const char *script, const struct raw_chan *c, const char *what,
    const struct buf *b)
{
	char name[200];

	(void)snprintf(name, sizeof(name), "%s.%u.%s", script, c->peer, what);
	write_file(dir, name, buf_ptr(b), buf_len(b));
}

static void
write_streams(const struct raw *x, const char *dir, const char *script)
{
	for (size_t i = 0; i < RAW_CHANNELS - 1; i++) {
		const struct raw_chan *c = &x->c[i];

		if (dir == NULL || (!c->confirmed && !c->opened))
			continue;
		write_stream(dir, script, c, x->server ? "target" : "out", c->out);
		if (x->server)
			continue;
		write_stream(dir, script, c, "err", c->err);
		write_stream(dir, script, c, "sent", c->sent);
	}
}

/* Processes of the bastion. */

static bool
is_leg(const char *pid, pid_t parent)
{
	char path[300], text[512];
	FILE *f;
	size_t n;
	int ppid = 0;

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	if (strrchr(text, ')') == NULL || sscanf(strrchr(text, ')'), ") %*c %d", &ppid) != 1 ||
	    ppid != parent)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return strstr(text, "bastiond-front") != NULL || strstr(text, "bastiond-back") != NULL;
}

static uint32_t
count_legs(pid_t bastiond)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	uint32_t n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += isdigit((unsigned char)e->d_name[0]) && is_leg(e->d_name, bastiond);
	if (d != NULL)
		closedir(d);
	return n;
}

static int
wait_gone(const struct options *o)
{
	int64_t end = raw_now_ms() + GONE_MS;

	while (o->bastiond > 0 && count_legs(o->bastiond) > o->n_before) {
		if (raw_now_ms() > end)
			return -1;
		usleep(10000);
	}
	return 0;
}

/* Running. */

/* Somebody else's session, on the same bastion all the time. */
static int
other_goes_on(struct raw *other, char *err, size_t err_len)
{
	static const char text[] = "are you there?\n";
	int64_t end = raw_now_ms() + RAW_WAIT_S * 1000;
	int is;

	raw_data(other, &other->c[0], text, sizeof(text) - 1);
	do {
		raw_pass(other, 20);
		is = raw_is(other, &other->c[0], "echoed", "");
	} while (is == 0 && raw_now_ms() < end);
	if (is == 1)
		return 0;
	(void)snprintf(err, err_len, "another session does not go on");
	return -1;
}

static int
other_starts(struct raw *other, const struct options *o)
{
	static char open[] = "open a", confirmed[] = "wait a confirmed", exec[] = "exec a + cat",
		    started[] = "wait a replies S";
	char *lines[] = { open, confirmed, exec, started };
	const struct raw_file f = { .lines = lines, .n_lines = 4 };
	const struct raw_script s = { .n = 4 };
	char err[2000] = "";

	if (raw_connect(other, o->port, o->user, 0) == 0 &&
	    raw_run(other, &f, &s, o->mode, err, sizeof(err)) == 0)
		return 0;
	fprintf(stderr, "raw: another session: %s%s\n", other->why, err);
	return -1;
}

/* What the script's target has to say. */
static int
target_result(const struct options *o, char *err, size_t err_len)
{
	int64_t end = raw_now_ms() + 2 * RAW_WAIT_S * 1000;
	char path[1024], text[1900] = "";
	FILE *f;

	path_in(o->dir, "result", path, sizeof(path));
	while ((f = fopen(path, "re")) == NULL && raw_now_ms() < end)
		usleep(10000);
	if (f == NULL || fgets(text, sizeof(text), f) == NULL)
		(void)snprintf(text, sizeof(text), "nothing");
	if (f != NULL)
		fclose(f);
	unlink(path);
	if (strcmp(text, "ok") == 0)
		return 0;
	(void)snprintf(err, err_len, "the target says: %s", text);
	return -1;
}

static int
run_one(const struct options *o, const struct raw_file *f, const struct raw_script *s, bool rekey,
    struct raw *other)
{
	static struct raw x;
	char err[2200] = "", name[100];
	int64_t start = raw_now_ms();
	int r;

	(void)snprintf(name, sizeof(name), "%s%s", s->name, rekey ? "+rekey" : "");
	if (s->target)
		write_file(o->dir, "script", s->name, strlen(s->name));
	r = raw_connect(&x, o->port, s->target ? o->target_user : o->user, rekey ? REKEY_BYTES : 0);
	if (r != 0)
		(void)snprintf(err, sizeof(err), "%s", x.why);
	else
		r = raw_run(&x, f, s, o->mode, err, sizeof(err));
	if (o->dir != NULL)
		write_streams(&x, o->dir, name);
	if (!x.over)
		wire_disconnect(x.w, SSH_DISCONNECT_BY_APPLICATION, "done");
	raw_free(&x);
	if (s->target && r == 0)
		r = target_result(o, err, sizeof(err));
	if (r == 0 && other != NULL)
		r = other_goes_on(other, err, sizeof(err));
	if (r == 0 && (r = wait_gone(o)) != 0)
		(void)snprintf(err, sizeof(err), "processes of the connection are left");
	printf(r == 0 ? "ok %s\n" : "not ok %s: %s\n", name, err);
	fflush(stdout);
	fprintf(stderr, "%s %s: %lld ms\n", o->mode, name, (long long)(raw_now_ms() - start));
	return r;
}

static bool
applies(const struct raw_script *s, const char *mode)
{
	return !s->target || strcmp(mode, "via") == 0;
}

static int
run(struct options *o, const struct raw_file *f, const char *only)
{
	static struct raw other;
	int bad = 0;

	if (other_starts(&other, o) != 0)
		return 3;
	o->n_before = o->bastiond > 0 ? count_legs(o->bastiond) : 0;
	for (uint32_t i = 0; i < f->n_scripts; i++) {
		const struct raw_script *s = &f->scripts[i];

		if (!applies(s, o->mode) || (only != NULL && strcmp(only, s->name) != 0))
			continue;
		bad += run_one(o, f, s, false, &other) != 0;
		if (s->rekey)
			bad += run_one(o, f, s, true, &other) != 0;
	}
	wire_disconnect(other.w, SSH_DISCONNECT_BY_APPLICATION, "done");
	raw_free(&other);
	return bad == 0 ? 0 : 1;
}

/* The target. */

static EVP_PKEY *key;

static int
sign(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig, size_t sig_max,
    size_t *ret_sig_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = sig_max;
	int r = ERR_CRYPTO;

	(void)arg;
	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, ret_sig, &len, hash, hash_len) == 1) {
		*ret_sig_len = len;
		r = 0;
	}
	EVP_MD_CTX_free(ctx);
	return r;
}

static void
make_key(uint8_t blob[51])
{
	static const uint8_t head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 32 };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	size_t len = 32;

	memcpy(blob, head, sizeof(head));
	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_keygen(ctx, &key) != 1 ||
	    EVP_PKEY_get_raw_public_key(key, blob + sizeof(head), &len) != 1)
		exit(3);
	EVP_PKEY_CTX_free(ctx);
}

static void
serve_one(const struct options *o, const struct raw_file *f, int fd, const uint8_t *blob)
{
	static struct raw x;
	const struct raw_script *s;
	char path[1024], name[64] = "", err[2200] = "ok";
	FILE *in;

	alarm(SERVE_S);
	path_in(o->dir, "script", path, sizeof(path));
	in = fopen(path, "re");
	if (in == NULL || fgets(name, sizeof(name), in) == NULL)
		exit(3);
	fclose(in);
	s = raw_find(f, name);
	if (s == NULL || raw_serve(&x, fd, blob, 51, sign) != 0)
		(void)snprintf(err, sizeof(err), "no login: %s", x.why);
	else if (raw_run(&x, f, s, "target", err, sizeof(err)) != 0)
		fprintf(stderr, "target: %s: %s\n", name, err);
	write_streams(&x, o->dir, name);
	write_file(o->dir, "result", err, strlen(err));
	if (!x.over)
		wire_disconnect(x.w, SSH_DISCONNECT_BY_APPLICATION, "done");
}

static int
serve(const struct options *o, const struct raw_file *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	uint8_t blob[51];
	char *base64;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c;

	make_key(blob);
	base64 = str_base64(blob, sizeof(blob));
	if (fd < 0 || base64 == NULL || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return 3;
	printf("%u ssh-ed25519 %s\n", ntohs(a.sin_port), base64);
	fflush(stdout);
	free(base64);
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
		return 3;
	while ((c = accept(fd, NULL, NULL)) >= 0) {
		if (fork() == 0) {
			serve_one(o, f, c, blob);
			exit(0);
		}
		close(c);
	}
	return 3;
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: bastion-raw count FILE via|direct\n"
	    "       bastion-raw [-p PID] [-t USER] [-o DIR] run FILE via|direct PORT USER [NAME]\n"
	    "       bastion-raw -o DIR serve FILE\n");
	return 2;
}

static int
count(const struct raw_file *f, const char *mode)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n_scripts; i++)
		if (applies(&f->scripts[i], mode))
			n += f->scripts[i].rekey ? 2 : 1;
	printf("%u\n", n);
	return 0;
}

static int
command(struct options *o, const struct raw_file *f, int n, char **words)
{
	uint64_t port = 0;

	if (strcmp(words[0], "serve") == 0 && n == 2 && o->dir != NULL)
		return serve(o, f);
	if (strcmp(words[0], "count") == 0 && n == 3)
		return count(f, words[2]);
	if (strcmp(words[0], "run") != 0 || n < 5 || num_parse(words[3], 1, 65535, &port) != 0)
		return usage();
	o->mode = words[2];
	o->port = (uint16_t)port;
	o->user = words[4];
	return run(o, f, n > 5 ? words[5] : NULL);
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	struct raw_file f;
	uint64_t pid = 0;
	int c, r;

	while ((c = getopt(argc, argv, "p:t:o:")) != -1) {
		if (c == 'p' && num_parse(optarg, 0, 1u << 30, &pid) == 0)
			o.bastiond = (pid_t)pid;
		else if (c == 't')
			o.target_user = optarg;
		else if (c == 'o')
			o.dir = optarg;
		else
			return usage();
	}
	if (argc - optind < 2)
		return usage();
	if (wire_init() != 0 || raw_file_read(&f, argv[optind + 1]) != 0) {
		fprintf(stderr, "raw: %s cannot be read\n", argv[optind + 1]);
		return 3;
	}
	r = command(&o, &f, argc - optind, argv + optind);
	raw_file_free(&f);
	return r;
}
