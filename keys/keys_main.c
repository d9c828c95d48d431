/*
 * bastiond-keys: the vault. It holds every private key, has no network, and signs only what it has taken apart.
 * Descriptors: 3 the broker edge, or with --admin the edge to bastionctl; 4 the unlock key, with --unlock fd:4.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keys/keys_admin.h"
#include "keys/keys_agent.h"
#include "keys/keys_crypto.h"
#include "keys/keys_front.h"
#include "keys/keys_import.h"
#include "keys/keys_jump.h"
#include "keys/keys_policy.h"
#include "keys/keys_proto.h"
#include "keys/keys_seen.h"
#include "keys/keys_vault.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define EXIT_USAGE 2
#define EXIT_START 3
#define LOCK_WAIT_NS (2 * CLOCK_NS_PER_S)

struct options {
	const char *dir, *unlock;
	bool admin, create;
};

struct keys {
	struct options opt;
	int lock_fd;
	struct secret *unlock; /* key file bytes, only until the vault is open or made */
	struct keys_vault *vault;
	struct keys_seen *seen;
	struct loop *loop;
	struct ipc *broker;
	struct keys_policy *policy;
	struct keys_fronts *fronts;
	struct keys_legs *legs;
	struct keys_admins *admins;
};

static const char usage[] =
    "usage: bastiond-keys --dir DIR [--unlock file:PATH|fd:N|passphrase] [--admin] [--create]\n"
    "Started by bastiond or bastionctl, with its edge as descriptor 3; see keys/keys_proto.h.\n";

static int
parse_options(int argc, char **argv, struct options *opt)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--admin") == 0)
			opt->admin = true;
		else if (strcmp(argv[i], "--create") == 0)
			opt->create = true;
		else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
			opt->dir = argv[++i];
		else if (strcmp(argv[i], "--unlock") == 0 && i + 1 < argc)
			opt->unlock = argv[++i];
		else
			return ERR_FORMAT;
	}
	return opt->dir == NULL || (opt->create && !opt->admin) ? ERR_FORMAT : 0;
}

/* One line that says what is wrong and what to do; the process ends with it. */
static int PRINTF_LIKE(1, 2) cannot_start(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is good enough */
	va_end(ap);
	log_err("keys.start_failed reason=\"%s\"", text);
	return EXIT_START;
}

/* At most one vault process in a folder. The lock is the kernel's and goes with the process. */
static int
take_lock(struct keys *k)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
	char path[PATH_MAX];
	uint64_t until;

	if (str_format(path, sizeof(path), "%s/lock", k->opt.dir) != 0)
		return cannot_start("%s: the path is too long", k->opt.dir);
	k->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->lock_fd < 0)
		return cannot_start("%s: %s", path, err_str(-errno));
	/* One that just ended may take a moment to be gone. */
	until = clock_boot_ns() + LOCK_WAIT_NS;
	while (flock(k->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (clock_boot_ns() > until)
			return cannot_start("%s: another vault process works here", k->opt.dir);
		(void)nanosleep(&moment, NULL); /* woken early: asks again early */
	}
	return 0;
}

static int
make_unlock_file(const char *path)
{
	struct secret *bytes = secret_new(KEYS_SEAL_UNLOCK_MIN),
		      *text = secret_new(2 * KEYS_SEAL_UNLOCK_MIN + 1);
	int r = -ENOMEM;

	if (bytes != NULL && text != NULL) {
		randombytes_buf(secret_ptr(bytes), secret_len(bytes));
		sodium_bin2hex((char *)secret_ptr(text), secret_len(text), secret_cptr(bytes),
		    secret_len(bytes));
		secret_ptr(text)[secret_len(text) - 1] = '\n';
		r = file_create(path, 0600, secret_cptr(text), secret_len(text));
	}
	secret_free(bytes);
	secret_free(text);
	return r;
}

static int
read_unlock_fd(struct keys *k, int fd, const char *what)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0 &&
	    st.st_uid == geteuid())
		return cannot_start("%s: others may read the unlock key: chmod 600 it", what);
	if ((r = keys_import_read(fd, &k->unlock)) != 0)
		return cannot_start("%s: the unlock key: %s", what, err_str(r));
	return 0;
}

static int
read_unlock_file(struct keys *k, const char *path)
{
	int fd, r;

	if (k->opt.create && (r = make_unlock_file(path)) != 0 && r != ERR_EXISTS)
		return cannot_start("%s: the unlock key: %s", path, err_str(r));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cannot_start("%s: the unlock key: %s", path, err_str(-errno));
	r = read_unlock_fd(k, fd, path);
	fd_close(&fd);
	return r;
}

/* Get what opens the vault; nothing, for a passphrase. */
static int
find_unlock(struct keys *k)
{
	const char *how = k->opt.unlock;
	char path[PATH_MAX];
	uint64_t n;
	int fd, r;

	if (how != NULL && strcmp(how, "passphrase") == 0)
		return 0;
	if (how != NULL && str_starts(how, "file:"))
		return read_unlock_file(k, how + strlen("file:"));
	if (how != NULL && str_starts(how, "fd:")) {
		if (num_parse(how + strlen("fd:"), PROC_FD_FIRST + 1, 64, &n) != 0)
			return cannot_start("%s: no such descriptor", how);
		fd = (int)n;
		r = read_unlock_fd(k, fd, how);
		fd_close(&fd);
		return r;
	}
	if (how != NULL)
		return cannot_start(
		    "%s: no such way to unlock: file:PATH, fd:N or passphrase", how);
	if (str_format(path, sizeof(path), "%s/unlock.key", k->opt.dir) != 0)
		return cannot_start("%s: the path is too long", k->opt.dir);
	return read_unlock_file(k, path);
}

static const struct {
	int err;
	const char *text;
} vault_errors[] = {
	{ ERR_NOT_FOUND, "there is no vault here: bastionctl init makes one" },
	{ ERR_FORMAT, "not a vault file, or damaged: put back a copy of it" },
	{ ERR_VERSION, "made by a later version: update bastiond" },
	{ ERR_DENIED,
	    "the unlock key is not the one of this vault, or the file's head was changed" },
	{ ERR_SIGNATURE, "damaged or cut: put back a copy of it" },
	{ -ENOMEM, "out of memory that can be locked: raise the limit (ulimit -l, LimitMEMLOCK=)" },
};

static int
vault_failed(const struct keys *k, int err)
{
	for (size_t i = 0; i < sizeof(vault_errors) / sizeof(vault_errors[0]); i++)
		if (vault_errors[i].err == err)
			return cannot_start("%s/vault: %s", k->opt.dir, vault_errors[i].text);
	return cannot_start("%s/vault: %s", k->opt.dir, err_str(err));
}

static int
unlock_vault(struct keys *k)
{
	const char *how = k->opt.unlock;
	int r;

	if (keys_vault_method(k->vault) == KEYS_SEAL_PASSPHRASE)
		return how == NULL || strcmp(how, "passphrase") == 0
			   ? 0
			   : cannot_start(
				 "%s/vault: is opened by a passphrase: --unlock passphrase",
				 k->opt.dir);
	if ((r = find_unlock(k)) != 0)
		return r;
	if (k->unlock == NULL)
		return cannot_start(
		    "%s/vault: is opened by a key file, not by a passphrase", k->opt.dir);
	if ((r = keys_vault_unlock(k->vault, k->unlock)) != 0)
		return vault_failed(k, r);
	secret_free(k->unlock);
	k->unlock = NULL;
	return 0;
}

static int
open_vault(struct keys *k)
{
	int r = keys_vault_open(k->opt.dir, &k->vault);

	if (k->opt.create && r != ERR_NOT_FOUND)
		return cannot_start("%s/vault: exists and is not touched", k->opt.dir);
	if (k->opt.create)
		return find_unlock(k);
	return r != 0 ? vault_failed(k, r) : unlock_vault(k);
}

/* Tell the broker the host key, or that the vault is locked. */
static void
say_ready(struct keys *k)
{
	struct keys_key *host = k->vault == NULL ? NULL : keys_vault_find(k->vault, KEYS_HOST_KEY);
	size_t n = k->vault == NULL ? 0 : keys_vault_n(k->vault);
	struct buf *b;
	int r = -ENOMEM;

	if (k->broker == NULL)
		return;
	b = buf_new(SSHKEY_BLOB_MAX);
	if (b != NULL &&
	    (r = buf_put_str(
		 b, host == NULL ? NULL : host->blob, host == NULL ? 0 : host->blob_len)) == 0 &&
	    (r = buf_put_u32(b, (uint32_t)n)) == 0)
		r = ipc_send_buf(k->broker, KEYS_READY, 0, b);
	buf_free(b);
	if (r != 0)
		log_err("keys.ready_unsent reason=\"%s\"", err_str(r));
	else if (host == NULL)
		log_notice("keys.locked do=\"bastionctl keys unlock\"");
	else
		log_notice("keys.ready host_key=%s keys=%zu", host->fingerprint, n);
}

/* Older vaults lack the keys behind ssh -J; without them the rest still works. */
static void
complete_vault(struct keys *k)
{
	int r;

	if (k->vault == NULL || keys_vault_is_locked(k->vault))
		return;
	if ((r = keys_jump_prepare(k->vault)) != 0)
		log_err(
		    "keys.incomplete missing=\"%s %s\" reason=\"%s\" next=\"ssh -J is refused\"",
		    KEYS_HOST_CA, KEYS_JUMP_KEY, err_str(r));
}

static void
tell_ready(void *arg)
{
	struct keys *k = arg;

	complete_vault(k);
	say_ready(k);
}

/* KEYS_FRONT, taken apart. */
struct front_ask {
	uint8_t in;
	char target[KEYS_TARGET_MAX + 1];
	char names[KEYS_PRINCIPALS_MAX][KEYS_TARGET_MAX + 1];
	struct keys_principals principals;
};

static int
read_front_ask(const struct ipc_msg *msg, struct front_ask *ask)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct keys_principals *p = &ask->principals;
	uint32_t n = 0;
	int r = -ENOMEM;

	p->n = 0;
	if (b == NULL || (r = buf_get_u8(b, &ask->in)) != 0 ||
	    (r = buf_get_cstr(b, ask->target, sizeof(ask->target))) != 0 ||
	    (r = buf_get_u32(b, &n)) != 0)
		goto out;
	if (ask->in > 1 || n > KEYS_PRINCIPALS_MAX)
		r = ERR_FORMAT;
	for (; r == 0 && p->n < n; p->n++) {
		p->names[p->n] = ask->names[p->n];
		r = buf_get_cstr(b, ask->names[p->n], sizeof(ask->names[0]));
	}
	if (r == 0)
		r = buf_end(b);
out:
	buf_free(b);
	return r;
}

static int
put_front_key(
    const struct keys *k, const struct keys_key *root, const struct front_ask *ask, struct buf *b)
{
	const struct keys_key *ca = keys_vault_find(k->vault, KEYS_HOST_CA);
	struct buf *cert = buf_new(IPC_MAX);
	struct keys_key *key = NULL;
	int r = -ENOMEM;

	if (cert == NULL || (r = keys_jump_key(root, ask->target, &key)) != 0)
		goto out;
	if (ca != NULL && ask->principals.n > 0)
		r = keys_jump_cert(
		    ca, key, ask->target, &ask->principals, clock_wall_ns() / CLOCK_NS_PER_S, cert);
	if (r == 0 && (r = buf_put_str(b, key->blob, key->blob_len)) == 0)
		r = buf_put_str(b, buf_ptr(cert), buf_len(cert));
out:
	keys_key_unref(key);
	buf_free(cert);
	return r;
}

/*
 * What the front of a target shows. served: 0 when this vault will sign for it; else, and when the key cannot be made,
 * both are empty, and the broker refuses the connection.
 */
static int
tell_front_key(struct keys *k, uint32_t conn, const struct keys_key *root,
    const struct front_ask *ask, int served)
{
	static const uint8_t nothing[8];
	struct buf *b = buf_new(IPC_MAX);
	int r = served;

	if (r == 0)
		r = b == NULL ? -ENOMEM : put_front_key(k, root, ask, b);
	if (r == 0)
		r = ipc_send_buf(k->broker, KEYS_FRONT_KEY, conn, b);
	else {
		log_warn("keys.no_target_key conn=%u reason=\"%s\"", conn, err_str(r));
		keys_fronts_gone(k->fronts, conn);
		r = ipc_send(k->broker, KEYS_FRONT_KEY, conn, nothing, sizeof(nothing));
	}
	buf_free(b);
	return r;
}

static int
on_front(void *arg, struct ipc_msg *msg)
{
	static struct front_ask ask;
	struct keys_key *host;
	struct keys *k = arg;
	bool jump;
	int r;

	if ((r = read_front_ask(msg, &ask)) != 0)
		return r;
	jump = ask.target[0] != '\0';
	host = keys_vault_find(k->vault, jump ? KEYS_JUMP_KEY : KEYS_HOST_KEY);
	r = host == NULL ? ERR_ORDER
			 : keys_fronts_add(k->fronts, msg->id, msg->fds[0], ask.in == 1, host,
			       jump ? ask.target : NULL);
	if (r == 0)
		msg->fds[0] = -1;
	else
		log_warn("keys.front_refused conn=%u reason=\"%s\"", msg->id,
		    host == NULL ? "the vault is locked" : err_str(r));
	return jump && ask.in == 0 ? tell_front_key(k, msg->id, host, &ask, r) : 0;
}

static int
on_front_gone(void *arg, struct ipc_msg *msg)
{
	struct keys *k = arg;

	keys_fronts_gone(k->fronts, msg->id);
	return 0;
}

static int
on_front_in(void *arg, struct ipc_msg *msg)
{
	struct keys *k = arg;

	keys_fronts_in(k->fronts, msg->id);
	return 0;
}

static int
on_back(void *arg, struct ipc_msg *msg)
{
	struct keys *k = arg;
	int r = keys_legs_add(k->legs, msg->id, msg->fds[0], msg->data, msg->len, k->vault);

	if (r == 0)
		msg->fds[0] = -1;
	else
		log_err("keys.back_refused leg=%u reason=\"%s\"", msg->id, err_str(r));
	return 0;
}

static int
on_back_gone(void *arg, struct ipc_msg *msg)
{
	struct keys *k = arg;

	keys_legs_gone(k->legs, msg->id);
	return 0;
}

static int
on_admin(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct keys *k = arg;
	char who[48];
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_cstr(b, who, sizeof(who))) == 0 && (r = buf_end(b)) == 0)
		r = keys_admins_add(k->admins, msg->fds[0], who);
	if (r == 0)
		msg->fds[0] = -1;
	else
		log_warn("keys.admin_refused reason=\"%s\"", err_str(r));
	buf_free(b);
	return 0;
}

static int
on_policy_edge(void *arg, struct ipc_msg *msg)
{
	struct keys *k = arg;
	int r = keys_policy_connect(k->policy, msg->fds[0]);

	if (r == 0)
		msg->fds[0] = -1;
	return r;
}

static int
on_status(void *arg, struct ipc_msg *msg)
{
	struct keys *k = arg;
	char text[512];
	int r;

	r = str_format(text, sizeof(text),
	    "{\"locked\":%s,\"keys\":%zu,\"fronts\":%zu,\"backs\":%zu,\"host_signatures\":%llu,"
	    "\"login_signatures\":%llu,\"alarms\":%llu,\"policy\":%s}",
	    keys_vault_is_locked(k->vault) ? "true" : "false", keys_vault_n(k->vault),
	    keys_fronts_n(k->fronts), keys_legs_n(k->legs),
	    (unsigned long long)keys_fronts_signed(k->fronts),
	    (unsigned long long)keys_legs_signed(k->legs),
	    (unsigned long long)keys_policy_alarms(k->policy),
	    keys_policy_is_connected(k->policy) ? "true" : "false");
	return r != 0 ? r : ipc_send(k->broker, KEYS_STATUS_REPLY, msg->id, text, strlen(text));
}

static const struct ipc_rule broker_rules[] = {
	{ KEYS_FRONT, "front", 9, IPC_MAX, 1, IPC_ANY_STATE, on_front },
	{ KEYS_FRONT_GONE, "front-gone", 0, 0, 0, IPC_ANY_STATE, on_front_gone },
	{ KEYS_FRONT_IN, "front-in", 0, 0, 0, IPC_ANY_STATE, on_front_in },
	{ KEYS_BACK, "back", 24, IPC_MAX, 1, IPC_ANY_STATE, on_back },
	{ KEYS_BACK_GONE, "back-gone", 0, 0, 0, IPC_ANY_STATE, on_back_gone },
	{ KEYS_ADMIN, "admin", 4, 64, 1, IPC_ANY_STATE, on_admin },
	{ KEYS_POLICY_EDGE, "policy-edge", 0, 0, 1, IPC_ANY_STATE, on_policy_edge },
	{ KEYS_STATUS, "status", 0, 0, 0, IPC_ANY_STATE, on_status },
};

static void
on_broker_gone(void *arg, int err)
{
	struct keys *k = arg;

	if (err != ERR_PEER_GONE)
		log_err("keys.broker_lost reason=\"%s\"", err_str(err));
	loop_stop(k->loop);
}

static struct keys_vault *
admin_vault(void *arg)
{
	struct keys *k = arg;

	return k->vault;
}

static int
admin_create(void *arg, const struct secret *passphrase)
{
	struct keys *k = arg;
	enum keys_seal_method method = k->unlock != NULL ? KEYS_SEAL_FILE : KEYS_SEAL_PASSPHRASE;
	int r;

	if (!k->opt.create)
		return ERR_ORDER;
	if (k->vault != NULL)
		return ERR_EXISTS;
	if (k->unlock == NULL && passphrase == NULL)
		return ERR_FORMAT;
	if ((r = keys_vault_create(
		 k->opt.dir, method, k->unlock != NULL ? k->unlock : passphrase, &k->vault)) != 0)
		return r;
	secret_free(k->unlock);
	k->unlock = NULL;
	complete_vault(k);
	return 0;
}

static void
admin_idle(void *arg)
{
	struct keys *k = arg;

	if (k->opt.admin)
		loop_stop(k->loop);
}

static void
on_signal(void *arg, int signo)
{
	struct keys *k = arg;

	/* An interrupt from the terminal is the broker's to act upon: it ends the others in order. */
	if (signo == SIGTERM)
		loop_stop(k->loop);
}

static void
on_cert(void *arg, uint32_t leg, bool ok, const uint8_t *data, size_t len)
{
	struct keys *k = arg;

	keys_legs_cert(k->legs, leg, ok, data, len);
}

static int
make_parts(struct keys *k)
{
	static const int signos[] = { SIGTERM, SIGINT };
	const struct keys_admin_ops ops = { .vault = admin_vault,
		.create = admin_create,
		.unlocked = tell_ready,
		.idle = admin_idle,
		.arg = k };
	int r;

	if ((r = loop_new(&k->loop)) != 0 ||
	    (r = loop_signals(k->loop, signos, 2, on_signal, k)) != 0)
		return r;
	if ((k->seen = keys_seen_new()) == NULL ||
	    (k->policy = keys_policy_new(k->loop, on_cert, k)) == NULL ||
	    (k->fronts = keys_fronts_new(k->loop, k->policy, k->seen)) == NULL ||
	    (k->legs = keys_legs_new(k->loop, k->policy, k->seen)) == NULL ||
	    (k->admins = keys_admins_new(k->loop, k->opt.admin ? NULL : k->policy, &ops)) == NULL)
		return -ENOMEM;
	return 0;
}

static int
connect_edge(struct keys *k)
{
	const struct ipc_conf conf = {
		.name = "keys-broker",
		.rules = broker_rules,
		.n_rules = sizeof(broker_rules) / sizeof(broker_rules[0]),
		.arg = k,
		.gone = on_broker_gone,
	};
	int r;

	if (k->opt.admin) {
		complete_vault(k);
		return keys_admins_add(k->admins, PROC_FD_FIRST, "whoever started it");
	}
	if ((r = ipc_new(k->loop, PROC_FD_FIRST, &conf, &k->broker)) == 0)
		tell_ready(k);
	return r;
}

/* Everything that must exist before the sandbox closes. 0, or the exit status after a line. */
static int
prepare(struct keys *k)
{
	bool locked = false;
	int r;

	if ((r = sandbox_prepare()) != 0)
		return cannot_start("not dumpable: %s", err_str(r));
	if ((r = secret_init()) != 0 || (r = keys_crypto_init(&locked)) != 0)
		return cannot_start("the cryptographic libraries: %s", err_str(r));
	if (!locked)
		return cannot_start("%u bytes of memory cannot be locked: raise the limit (ulimit "
				    "-l, LimitMEMLOCK=)",
		    KEYS_ARENA_SIZE);
	if ((r = take_lock(k)) != 0 || (r = open_vault(k)) != 0)
		return r;
	if ((r = make_parts(k)) != 0)
		return cannot_start("%s", err_str(r));
	return 0;
}

static int
serve(struct keys *k)
{
	const struct sandbox_path paths[] = { { .path = k->opt.dir, .write = true } };
	int r;

	if ((r = sandbox_enter(SANDBOX_KEYS, paths, 1)) != 0)
		return cannot_start("the sandbox does not close: %s", err_str(r));
	if ((r = connect_edge(k)) != 0)
		return cannot_start("descriptor %d is no edge: %s", PROC_FD_FIRST, err_str(r));
	if ((r = loop_run(k->loop)) != 0) {
		log_err("keys.loop_failed reason=\"%s\"", err_str(r));
		return EXIT_START;
	}
	return 0;
}

static void
tear_down(struct keys *k)
{
	keys_admins_free(k->admins);
	keys_legs_free(k->legs);
	keys_fronts_free(k->fronts);
	keys_policy_free(k->policy);
	ipc_free(k->broker);
	keys_vault_free(k->vault);
	keys_seen_free(k->seen);
	secret_free(k->unlock);
	loop_free(k->loop);
	fd_close(&k->lock_fd);
}

int
main(int argc, char **argv)
{
	struct keys k = { .lock_fd = -1 };
	int status;

	log_init(KEYS_PROGRAM, LOG_LEVEL_INFO);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0 ? EXIT_START : 0;
	if (parse_options(argc, argv, &k.opt) != 0) {
		(void)fputs(usage, stderr); /* the exit status says the same */
		return EXIT_USAGE;
	}
	status = prepare(&k);
	if (status == 0)
		status = serve(&k);
	tear_down(&k);
	return status;
}
