/*
 * Every role, from inside: a child enters its sandbox and tries one thing. What is not its business ends in SIGSYS,
 * EPERM or EACCES; what it needs works.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>
#include <sodium.h>

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/sandbox_part.h"
#include "lib/secret.h"
#include "lib/str.h"

#define BR (1u << SANDBOX_BROKER)
#define F (1u << SANDBOX_FRONT)
#define B (1u << SANDBOX_BACK)
#define REC (1u << SANDBOX_RECORDER)
#define RD (1u << SANDBOX_READER)
#define K (1u << SANDBOX_KEYS)
#define P (1u << SANDBOX_POLICY)
#define S (1u << SANDBOX_SHELL)
#define AU (1u << SANDBOX_AUTH)
#define PU (1u << SANDBOX_PUSH)
#define PO (1u << SANDBOX_POST)
#define T (1u << SANDBOX_TOOL)
#define ALL (BR | F | B | REC | RD | K | P | S | AU | PU | PO | T)
#define FILES (BR | REC | RD | K)

/* What a probe finds ready, made before the sandbox. */
static struct {
	char self[PATH_MAX], dir[PATH_MAX], mine[PATH_MAX], seen[PATH_MAX], other[PATH_MAX];
	char mine_file[PATH_MAX], seen_file[PATH_MAX], other_file[PATH_MAX];
	int pair[2], udp, stream, listener_port, exec_fd, pty;
	pid_t parent;
} at;

static int
fails(bool failed)
{
	return failed ? -errno : 0;
}

/* Probes: 0 when it worked, else -errno. */

static int
open_legacy(void)
{
	return fails(syscall(SYS_open, at.mine_file, O_RDONLY) < 0);
}

static int
open_mine(void)
{
	return fails(open(at.mine_file, O_RDWR) < 0);
}

static int
open_seen(void)
{
	return fails(open(at.seen_file, O_RDONLY) < 0);
}

static int
write_seen(void)
{
	return fails(open(at.seen_file, O_WRONLY) < 0);
}

static int
open_other(void)
{
	return fails(open(at.other_file, O_RDONLY) < 0);
}

static int
list_root(void)
{
	return fails(open("/", O_RDONLY | O_DIRECTORY) < 0);
}

static int
create_other(void)
{
	char path[PATH_MAX + 8];

	if (snprintf(path, sizeof(path), "%s/new", at.other) < 0)
		return -EINVAL;
	return fails(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) < 0);
}

static int
truncate_other(void)
{
	return fails(truncate(at.other_file, 0) != 0);
}

static int
replace_mine(void)
{
	return file_replace(at.mine_file, 0600, "new", 3);
}

static int
socket_inet(void)
{
	return fails(socket(AF_INET, SOCK_STREAM, 0) < 0);
}

static int
socket_unix(void)
{
	return fails(socket(AF_UNIX, SOCK_STREAM, 0) < 0);
}

static int
socket_pair(void)
{
	int pair[2];

	return fails(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0);
}

static int
connect_tcp(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)at.listener_port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };

	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	if (connect(at.stream, (struct sockaddr *)&to, sizeof(to)) != 0)
		return -errno;
	/* Told that it worked, and nothing happened: as good as denied. */
	return getpeername(at.stream, (struct sockaddr *)&peer, &len) != 0 ? -EACCES : 0;
}

static int
bind_tcp(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return fails(bind(at.stream, (struct sockaddr *)&to, sizeof(to)) != 0);
}

static int
accept_any(void)
{
	/* Not a listener: what counts is whether the kernel looks at it. */
	if (accept4(at.stream, NULL, NULL, SOCK_NONBLOCK) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

static int
exec_shell(void)
{
	static char name[] = "true";
	char *argv[] = { name, NULL }, *envp[] = { NULL };

	(void)execve("/bin/true", argv, envp);
	return -errno;
}

static int
fork_child(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(0);
	return fails(waitpid(pid, &status, 0) != pid);
}

static int
trace_parent(void)
{
	return fails(ptrace(PTRACE_ATTACH, at.parent, NULL, NULL) != 0);
}

static int
trace_me(void)
{
	return fails(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
}

static int
read_parent(void)
{
	char there[8] = "", here[8];
	struct iovec local = { here, sizeof(here) }, remote = { there, sizeof(there) };

	return fails(process_vm_readv(at.parent, &local, 1, &remote, 1, 0) < 0);
}

static int
signal_parent(void)
{
	return fails(kill(at.parent, 0) != 0);
}

static int
memory_made_runnable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return fails(p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0);
}

static int
memory_runnable(void)
{
	int prot = PROT_READ | PROT_WRITE | PROT_EXEC;

	return fails(mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}

static int
new_namespace(void)
{
	return fails(unshare(CLONE_NEWUSER) != 0);
}

static int
clone_namespace(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return fails(pid < 0);
}

static int
mount_over(void)
{
	return fails(syscall(SYS_mount, "none", at.mine, "tmpfs", 0, NULL) != 0);
}

static int
bpf_load(void)
{
	return fails(syscall(SYS_bpf, 0, NULL, 0) < 0);
}

static int
ring_setup(void)
{
	char params[256] = "";

	return fails(syscall(SYS_io_uring_setup, 1, params) < 0);
}

static int
memory_file(void)
{
	return fails(memfd_create("x", 0) < 0);
}

static int
key_add(void)
{
	return fails(syscall(SYS_add_key, "user", "bastion-test", "x", 1, -2) < 0);
}

static int
set_dumpable(void)
{
	return fails(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0);
}

static int
raise_limit(void)
{
	struct rlimit lim = { 100, 100 };

	return fails(setrlimit(RLIMIT_CORE, &lim) != 0);
}

static int
become_other(void)
{
	return fails(syscall(SYS_setuid, 65534) != 0);
}

static int
type_into_terminal(void)
{
	return fails(ioctl(at.pty, TIOCSTI, "x") != 0);
}

static int
terminal_settings(void)
{
	struct termios t;
	struct winsize w;

	return fails(tcgetattr(at.pty, &t) != 0 || tcsetattr(at.pty, TCSAFLUSH, &t) != 0 ||
		     ioctl(at.pty, TIOCGWINSZ, &w) != 0);
}

/* What every confined role does all day. */

static int
pass_descriptor(void)
{
	uint8_t buf[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;
	int r = ipc_plain_send(at.pair[0], 7, 1, "x", 1, &at.udp, 1);

	if (r == 0 && (r = ipc_plain_recv(at.pair[1], buf, &msg, 1000)) == 0)
		ipc_msg_close(&msg);
	return r;
}

static void
stop_loop(void *arg)
{
	loop_stop(arg);
}

static void
no_signal(void *arg, int signo)
{
	(void)arg;
	(void)signo;
}

static void
count_event(void *arg, uint32_t revents)
{
	(void)revents;
	(*(int *)arg)++;
}

static int
run_loop(void)
{
	static const int signos[] = { SIGTERM };
	struct loop *l = NULL;
	struct loop_timer *t = NULL;
	struct loop_io *io = NULL;
	int n = 0, r;

	if ((r = loop_new(&l)) != 0 || (r = loop_signals(l, signos, 1, no_signal, NULL)) != 0 ||
	    (r = loop_timer_new(l, stop_loop, l, &t)) != 0 ||
	    (r = loop_add(l, at.pair[0], EPOLLOUT, count_event, &n, &io)) != 0)
		return r;
	loop_timer_arm(t, CLOCK_NS_PER_MS);
	r = loop_run(l);
	loop_timer_free(t);
	loop_free(l);
	return r != 0 ? r : n > 0 ? 0 : -EIO;
}

static int
talk_ipc(void)
{
	struct ipc_conf conf = { .name = "test" };
	struct loop *l = NULL;
	struct ipc *c = NULL;
	int r = loop_new(&l);

	if (r == 0 && (r = ipc_new(l, at.pair[0], &conf, &c)) == 0)
		r = ipc_send(c, 1, 1, "x", 1);
	ipc_free(c);
	loop_free(l);
	return r;
}

static int
by_size(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(int));
}

static int
use_memory(void)
{
	int *p = calloc(1u << 20, sizeof(int)), *q;

	if (p == NULL)
		return -ENOMEM;
	qsort(p, 1u << 20, sizeof(int), by_size);
	if ((q = realloc(p, 64u << 20)) == NULL) {
		free(p);
		return -ENOMEM;
	}
	free(q);
	return 0;
}

static int
make_text(void)
{
	struct json *j = json_event("test");
	char *text = NULL;
	uint8_t hash[HASH_LEN];
	size_t len = 0;
	int r;

	json_put_time(j, "at", clock_wall_ns());
	r = json_text(j, false, 1000, &text, &len);
	json_free(j);
	if (r != 0)
		return r;
	hash_sha256(text, len, hash);
	randombytes_buf(hash, sizeof(hash));
	log_err("test.event text=%s error=\"%s\" signal=\"%s\"", text, err_str(-EAGAIN),
	    strsignal(SIGTERM));
	free(text);
	return 0;
}

static int
read_configuration(void)
{
	static const char text[] = "a: [1, 2]\nb: {c: d}\n";
	struct conf_doc *doc = NULL;
	struct conf_err err;
	int r = conf_parse("x", text, sizeof(text) - 1, &doc, &err);

	conf_free(doc);
	return r;
}

static int
look_at_descriptor(void)
{
	struct stat st;

	return fails(fstat(at.udp, &st) != 0);
}

static int
hold_secret(void)
{
	struct secret *s = secret_new(4096);
	uint8_t salt[crypto_pwhash_SALTBYTES] = { 0 };
	int r;

	if (s == NULL)
		return -EPERM;
	r = crypto_pwhash(secret_ptr(s), 32, "x", 1, salt, crypto_pwhash_OPSLIMIT_MIN,
	    crypto_pwhash_MEMLIMIT_MIN, crypto_pwhash_ALG_ARGON2ID13);
	secret_free(s);
	return r == 0 ? 0 : -ENOMEM;
}

/* The store as the recorder opens it, in the folder that it may write. */
static int
store_write(void)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val key = { 1, at.mine }, value = { 6, at.mine };
	int r = mdb_env_create(&env);

	if (r == 0)
		r = mdb_env_set_mapsize(env, 64u << 20);
	if (r == 0)
		r = mdb_env_open(env, at.mine, 0, 0600);
	if (r == 0)
		r = mdb_txn_begin(env, NULL, 0, &txn);
	if (r == 0)
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (r == 0)
		r = mdb_put(txn, dbi, &key, &value, 0);
	if (r == 0)
		r = mdb_txn_commit(txn);
	return r > 0 ? -r : r;
}

/* The store as a reader opens it: data read only, the lock file to write. */
static int
store_read(void)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val key = { 1, at.mine }, value;
	int r = mdb_env_create(&env);

	if (r == 0)
		r = mdb_env_open(env, at.seen, MDB_RDONLY, 0600);
	if (r == 0)
		r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (r == 0)
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (r == 0)
		r = mdb_get(txn, dbi, &key, &value);
	return r > 0 ? -r : r;
}

static int
start_program(void)
{
	static const char *const argv[] = { "--as-front", NULL };
	struct proc_spec spec = { .exec_fd = at.exec_fd, .name = "test", .argv = argv };
	int pidfd = -1, status = -1;
	pid_t pid;
	int r = proc_spawn(&spec, &pid, &pidfd);

	if (r != 0)
		return r;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == 0 ? 0 : -EIO;
}

static int
start_and_kill(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		for (;;)
			pause();
	if (kill(pid, SIGKILL) != 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? 0 : -EIO;
}

static int
listen_control(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	/* A short name: sun_path has no room for the folder of every build. */
	if (fd < 0 || fchdir(open(at.mine, O_PATH)) != 0)
		return -errno;
	memcpy(un.sun_path, "c.sock", 7);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0 || listen(fd, 1) != 0)
		return -errno;
	return fails(unlink("c.sock") != 0);
}

static int
read_resolver(void)
{
	return fails(open("/etc/nsswitch.conf", O_RDONLY) < 0 && errno != ENOENT);
}

/* works: the roles for which it must; the others must be kept from it. abi: of Landlock, where that alone does it. */
static const struct probe {
	const char *name;
	int (*fn)(void);
	unsigned works;
	int abi;
} probes[] = {
	{ "open(2)", open_legacy, BR, 0 },
	{ "openat in its folder", open_mine, FILES & ~RD, 1 },
	{ "openat where it may read", open_seen, FILES | AU, 1 },
	{ "openat to write where it may read", write_seen, 0, 1 },
	{ "openat elsewhere", open_other, 0, 1 },
	{ "list of /", list_root, 0, 1 },
	{ "a file elsewhere", create_other, 0, 1 },
	{ "truncate elsewhere", truncate_other, 0, 3 },
	{ "replace a file in its folder", replace_mine, BR | REC | K, 1 },
	{ "socket inet", socket_inet, BR, 0 },
	{ "socket unix", socket_unix, BR, 0 },
	{ "socketpair", socket_pair, BR | PO, 0 },
	{ "connect", connect_tcp, BR, 0 },
	{ "bind", bind_tcp, BR, 0 },
	{ "accept", accept_any, BR, 0 },
	{ "execve", exec_shell, 0, 1 },
	{ "fork", fork_child, BR, 0 },
	{ "ptrace the parent", trace_parent, 0, 0 },
	{ "ptrace", trace_me, 0, 0 },
	{ "process_vm_readv", read_parent, 0, 0 },
	{ "kill the parent", signal_parent, 0, 6 },
	{ "mprotect to run", memory_made_runnable, 0, 0 },
	{ "mmap to run", memory_runnable, 0, 0 },
	{ "unshare", new_namespace, 0, 0 },
	{ "clone into a namespace", clone_namespace, 0, 0 },
	{ "mount", mount_over, 0, 0 },
	{ "bpf", bpf_load, 0, 0 },
	{ "io_uring", ring_setup, 0, 0 },
	{ "memfd", memory_file, 0, 0 },
	{ "add_key", key_add, 0, 0 },
	{ "prctl dumpable", set_dumpable, BR, 0 },
	{ "raise a limit", raise_limit, 0, 0 },
	{ "setuid", become_other, BR, 0 },
	{ "type into a terminal", type_into_terminal, 0, 0 },
	{ "terminal settings", terminal_settings, BR | T, 0 },
	{ "pass a descriptor", pass_descriptor, ALL, 0 },
	{ "run a loop", run_loop, ALL, 0 },
	{ "talk over ipc", talk_ipc, ALL, 0 },
	{ "memory", use_memory, ALL, 0 },
	{ "text, hash, log", make_text, ALL, 0 },
	{ "parse a configuration", read_configuration, ALL, 0 },
	{ "fstat", look_at_descriptor, ALL, 0 },
	{ "hold a secret", hold_secret, BR | REC | RD | K | T, 0 },
	{ "write the store", store_write, BR | REC, 0 },
	{ "read the store", store_read, BR | REC | RD, 0 },
	{ "start a program", start_program, BR, 0 },
	{ "end a child", start_and_kill, BR, 0 },
	{ "listen on a path", listen_control, BR, 0 },
	{ "read what a resolver needs", read_resolver, BR, 1 },
};

static int
enter(enum sandbox_role role)
{
	char lock[PATH_MAX + 16];
	struct sandbox_path paths[] = {
		{ .path = at.seen },
		{ .path = lock, .write = true },
		{ .path = at.mine, .write = true },
		{ .path = at.self, .exec = true },
	};
	size_t n = 0;

	if (str_format(lock, sizeof(lock), "%s/lock.mdb", at.seen) != 0)
		return ERR_LIMIT;
	/* It keeps signals, for what it started. */
	if (role == SANDBOX_AUTH) {
		int r = sandbox_signals_inside();

		if (r != 0)
			return r;
		n = 1;
	}
	if ((1u << role & FILES) != 0)
		n = role == SANDBOX_BROKER ? 4 : role == SANDBOX_READER ? 2 : 3;
	return sandbox_enter(role, paths, n);
}

/* Where this program lies: the folder of the programs that the broker starts. */
static int
own_folder(char *dst, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", dst, size - 1);

	if (n <= 0)
		return -errno;
	dst[n] = '\0';
	*strrchr(dst, '/') = '\0';
	return 0;
}

/* Fresh ones for each probe: some of them change what they are. */
static int
make_sockets(void)
{
	at.stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (at.stream < 0 || at.udp < 0)
		return -errno;
	return ipc_pair(at.pair);
}

static int
probe_status(enum sandbox_role role, const struct probe *probe)
{
	int status, r;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		if ((r = make_sockets()) != 0 || (r = sandbox_prepare()) != 0 ||
		    (r = enter(role)) != 0) {
			print_error("%s: %s\n", sandbox_role_name(role), err_str(r));
			_exit(255);
		}
		r = probe->fn();
		_exit(r == 0 ? 0 : r > -250 ? -r : 251);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool
is_denied(int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS;
	return WEXITSTATUS(status) == EPERM || WEXITSTATUS(status) == EACCES;
}

static void
try_role(enum sandbox_role role)
{
	int abi = sandbox_landlock_abi();
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		bool works = (probes[i].works & 1u << role) != 0;
		char text[64];
		int status;

		if (probes[i].abi > abi)
			continue;
		status = probe_status(role, &probes[i]);
		if (works ? status == 0 : is_denied(status))
			continue;
		print_error("%s: %s: %s, but %s\n", sandbox_role_name(role), probes[i].name,
		    works ? "must work" : "must be denied",
		    proc_status_text(text, sizeof(text), status));
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void
test_broker(void **state)
{
	(void)state;
	try_role(SANDBOX_BROKER);
}

static void
test_front(void **state)
{
	(void)state;
	try_role(SANDBOX_FRONT);
}

static void
test_back(void **state)
{
	(void)state;
	try_role(SANDBOX_BACK);
}

static void
test_recorder(void **state)
{
	(void)state;
	try_role(SANDBOX_RECORDER);
}

static void
test_reader(void **state)
{
	(void)state;
	try_role(SANDBOX_READER);
}

static void
test_keys(void **state)
{
	(void)state;
	try_role(SANDBOX_KEYS);
}

static void
test_policy(void **state)
{
	(void)state;
	try_role(SANDBOX_POLICY);
}

static void
test_shell(void **state)
{
	(void)state;
	try_role(SANDBOX_SHELL);
}

static void
test_auth(void **state)
{
	(void)state;
	try_role(SANDBOX_AUTH);
}

static void
test_push(void **state)
{
	(void)state;
	try_role(SANDBOX_PUSH);
}

static void
test_post(void **state)
{
	(void)state;
	try_role(SANDBOX_POST);
}

static void
test_tool(void **state)
{
	(void)state;
	try_role(SANDBOX_TOOL);
}

/* Without the sandbox the probes do work: else a denial would prove nothing. */
static void
test_probes_work_outside(void **state)
{
	static int (*const outside[])(void) = { open_legacy, open_mine, open_seen, write_seen,
		open_other, list_root, socket_inet, connect_tcp, bind_tcp, fork_child, exec_shell,
		signal_parent, memory_made_runnable, memory_runnable, memory_file,
		terminal_settings };

	(void)state;
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(make_sockets() != 0 ? 1 : -outside[i]());
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static int
abort_now(void)
{
	struct sigaction def = { .sa_handler = SIG_DFL };

	if (sigaction(SIGABRT, &def, NULL) != 0)
		return -errno;
	abort();
}

static void
test_an_assertion_still_ends_as_one(void **state)
{
	static const struct probe probe = { "abort", abort_now, 0, 0 };

	(void)state;
	for (enum sandbox_role role = SANDBOX_FRONT; role <= SANDBOX_TOOL; role++) {
		int status = probe_status(role, &probe);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

static void
test_a_missing_path_is_an_error(void **state)
{
	static const struct sandbox_path paths[] = { { .path = "/nowhere/at/all" } };
	int status;
	pid_t pid;

	(void)state;
	if (sandbox_landlock_abi() == 0)
		return;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(sandbox_enter(SANDBOX_KEYS, paths, 1) == -ENOENT ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
limits_of_front(void)
{
	struct rlimit lim;

	if (sandbox_prepare() != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 1;
	if (getrlimit(RLIMIT_CORE, &lim) != 0 || lim.rlim_max != 0)
		return 2;
	if (sandbox_enter(SANDBOX_FRONT, NULL, 0) != 0)
		return 3;
	/* Limits cannot be asked for any more, but they act. */
	for (int i = 0; i < 64; i++)
		if (fcntl(0, F_DUPFD_CLOEXEC, 0) < 0)
			return errno == EMFILE ? 0 : 4;
	return 5;
}

static void
test_limits(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(limits_of_front());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_describe(void **state)
{
	char text[64], want[64];

	(void)state;
	sandbox_describe(text, sizeof(text));
	if (sandbox_landlock_abi() > 0)
		assert_true(snprintf(want, sizeof(want), "seccomp landlock-abi-%d",
				sandbox_landlock_abi()) > 0);
	else
		assert_int_equal(str_copy(want, sizeof(want), "seccomp no-landlock"), 0);
	assert_string_equal(text, want);
	assert_string_equal(sandbox_role_name(SANDBOX_READER), "reader");
	assert_string_equal(sandbox_role_name((enum sandbox_role)99), "unknown");
}

static int
make_folder(char *dst, size_t size, char *file, size_t file_size, const char *name)
{
	int r = str_format(dst, size, "%s/%s", at.dir, name);

	if (r == 0)
		r = str_format(file, file_size, "%s/file", dst);
	if (r == 0)
		r = file_mkdir(dst, 0700);
	return r == 0 ? file_create(file, 0600, "x", 1) : r;
}

/* A store in "seen" for readers, made outside. */
static int
make_store(void)
{
	char mine[PATH_MAX];
	int r;

	memcpy(mine, at.mine, sizeof(mine));
	memcpy(at.mine, at.seen, sizeof(mine));
	r = store_write();
	memcpy(at.mine, mine, sizeof(mine));
	return r;
}

static int
make_listener(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) != 0 || listen(listener, 64) != 0 ||
	    getsockname(listener, (struct sockaddr *)&in, &len) != 0)
		return -errno;
	at.listener_port = ntohs(in.sin_port);
	return 0;
}

static int
make_terminal(void)
{
	at.pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (at.pty < 0 || grantpt(at.pty) != 0 || unlockpt(at.pty) != 0)
		return -errno;
	return 0;
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	(void)state;
	at.parent = getpid();
	if ((r = own_folder(at.self, sizeof(at.self))) != 0 ||
	    (r = proc_open(at.self, "test_sandbox", &at.exec_fd)) != 0 ||
	    (r = str_format(
		 at.dir, sizeof(at.dir), "%s/sandbox-XXXXXX", tmp != NULL ? tmp : "/tmp")) != 0)
		return r;
	if (mkdtemp(at.dir) == NULL)
		return -errno;
	if ((r = make_folder(
		 at.mine, sizeof(at.mine), at.mine_file, sizeof(at.mine_file), "mine")) != 0 ||
	    (r = make_folder(
		 at.seen, sizeof(at.seen), at.seen_file, sizeof(at.seen_file), "seen")) != 0 ||
	    (r = make_folder(
		 at.other, sizeof(at.other), at.other_file, sizeof(at.other_file), "other")) != 0)
		return r;
	if ((r = make_store()) != 0 || (r = make_listener()) != 0 || (r = make_terminal()) != 0)
		return r;
	return hash_init() != 0 || secret_init() != 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "mine/file", "mine/data.mdb", "mine/lock.mdb", "mine",
		"seen/file", "seen/data.mdb", "seen/lock.mdb", "seen", "other/file", "other/new",
		"other", "" };
	char path[PATH_MAX + 32];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_format(path, sizeof(path), "%s/%s", at.dir, names[i]) == 0)
			(void)remove(path); /* some probes made some of them */
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes_work_outside),
		cmocka_unit_test(test_broker),
		cmocka_unit_test(test_front),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_recorder),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_shell),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_tool),
		cmocka_unit_test(test_an_assertion_still_ends_as_one),
		cmocka_unit_test(test_a_missing_path_is_an_error),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_describe),
	};

	/* What the broker of a test starts: a program that closes its own sandbox inside the broker's. */
	if (argc == 2 && strcmp(argv[1], "--as-front") == 0)
		return sandbox_prepare() != 0 || hash_init() != 0 || secret_init() != 0 ||
		       sandbox_enter(SANDBOX_FRONT, NULL, 0) != 0 || make_text() != 0;
	if (!sandbox_whole) {
		(void)puts("1..0 # SKIP no sandbox in a build with sanitizers");
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
