#include "config.h"

#include <sys/wait.h>

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/proc.h"
#include "policy/policy_proto.h"
#include "recorder/link_proto.h"
#include "tests/lib/drive.h"

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("drive: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	exit(99);
}

static void
must(int r, const char *what)
{
	if (r != 0)
		die("%s: %s", what, err_str(r));
}

void
drive_start(struct drive *d, const char *dir, const char *durability)
{
	const char *argv[] = { "--store", "recorder", "--durability", durability, "--stall-timeout",
		"30s", NULL };
	const char *bin = getenv("BASTION_BIN");
	struct proc_spec spec = { .name = "bastiond-recorder", .argv = argv, .n_fds = 1 };
	struct ipc_msg msg;
	int fds[2];

	if (bin == NULL || chdir(dir) != 0)
		die("BASTION_BIN is not set, or there is no %s", dir);
	must(proc_open(bin, "bastiond-recorder", &spec.exec_fd), "bastiond-recorder");
	must(ipc_pair(fds), "socket pair");
	spec.fds = &fds[1];
	must(proc_spawn(&spec, &d->pid, &d->pidfd), "start");
	fd_close(&spec.exec_fd);
	fd_close(&fds[1]);
	d->broker = fds[0];
	must(ipc_plain_hello(d->broker), "hello");
	drive_want(d, d->broker, REC_READY, &msg);
}

static int
reap(struct drive *d)
{
	struct pollfd p = { .fd = d->pidfd, .events = POLLIN };
	int status;

	if (poll(&p, 1, DRIVE_WAIT_MS) != 1)
		die("the recorder does not end");
	must(proc_collect(d->pid, &status), "wait");
	fd_close(&d->pidfd);
	fd_close(&d->broker);
	if (d->policy != 0)
		fd_close(&d->policy);
	d->policy = 0;
	return status;
}

void
drive_stop(struct drive *d)
{
	int status;

	must(ipc_plain_send(d->broker, REC_STOP, 0, NULL, 0, NULL, 0), "stop");
	status = reap(d);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("the recorder ended with status %#x", (unsigned)status);
}

void
drive_kill(struct drive *d)
{
	if (kill(d->pid, SIGKILL) != 0)
		die("kill");
	(void)reap(d); /* killed, as it should be */
}

void
drive_want(struct drive *d, int fd, uint16_t type, struct ipc_msg *ret_msg)
{
	do
		must(ipc_plain_recv(fd, d->space, ret_msg, DRIVE_WAIT_MS), "message");
	while (ret_msg->type != type);
}

void
drive_open(struct drive *d, uint32_t id, struct drive_leg *ret_leg)
{
	drive_open_masked(d, id, "", ret_leg);
}

void
drive_open_masked(struct drive *d, uint32_t id, const char *masks, struct drive_leg *ret_leg)
{
	struct buf *meta = buf_new(256), *payload = buf_new(512);
	int front[2], back[2], theirs[2];
	struct ipc_msg msg;

	if (meta == NULL || payload == NULL)
		die("out of memory");
	must(ipc_pair(front), "socket pair");
	must(ipc_pair(back), "socket pair");
	theirs[0] = front[1];
	theirs[1] = back[1];
	if (buf_put_u8(meta, REC_META_IDENTITY) != 0 || buf_put_cstr(meta, "alice") != 0 ||
	    buf_put_u8(meta, REC_META_HOST) != 0 || buf_put_cstr(meta, "web1") != 0 ||
	    (masks[0] != '\0' &&
		(buf_put_u8(meta, REC_META_MASKS) != 0 || buf_put_cstr(meta, masks) != 0)) ||
	    buf_put_u32(payload, id) != 0 ||
	    buf_put_str(payload, buf_ptr(meta), buf_len(meta)) != 0 || buf_put_u32(payload, 0) != 0)
		die("metadata");
	must(ipc_plain_send(d->broker, REC_OPEN, id, buf_ptr(payload), buf_len(payload), theirs, 2),
	    "open");
	fd_close(&theirs[0]);
	fd_close(&theirs[1]);
	drive_want(d, d->broker, REC_OPENED, &msg);
	ret_leg->id = id;
	ret_leg->front = front[0];
	ret_leg->back = back[0];
	memcpy(ret_leg->sid, msg.data, REC_SID_LEN);
	must(ipc_plain_hello(ret_leg->front), "hello");
	must(ipc_plain_hello(ret_leg->back), "hello");
	buf_free(meta);
	buf_free(payload);
}

void
drive_channel(struct drive *d, struct drive_leg *leg)
{
	static const uint8_t session[] = "\0\0\0\7session";
	struct ipc_msg msg;

	must(ipc_plain_send(leg->front, LINK_OPEN, 1, session, sizeof(session) - 1, NULL, 0),
	    "channel");
	drive_want(d, leg->back, LINK_OPEN, &msg);
	must(ipc_plain_send(leg->back, LINK_OPEN_OK, 1, NULL, 0, NULL, 0), "channel");
	drive_want(d, leg->front, LINK_OPEN_OK, &msg);
}

static void
give_policy(struct drive *d)
{
	int policy[2];

	must(ipc_pair(policy), "socket pair");
	must(ipc_plain_send(d->broker, REC_POLICY_EDGE, 0, NULL, 0, &policy[1], 1), "policy");
	fd_close(&policy[1]);
	must(ipc_plain_hello(policy[0]), "hello");
	d->policy = policy[0];
}

void
drive_terminal(struct drive *d, struct drive_leg *leg)
{
	static const uint8_t pty[] = "\0\0\0\1\0\0\0\7pty-req\0\0\0\0\5xterm\0\0\0\120\0\0\0\030"
				     "\0\0\0\0\0\0\0\0\0\0\0";
	uint8_t yes[] = { 0, 0, 0, 0, POL_ALLOW, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct ipc_msg msg;

	if (d->policy == 0)
		give_policy(d);
	must(ipc_plain_send(leg->front, LINK_REQUEST, 1, pty, sizeof(pty), NULL, 0), "terminal");
	drive_want(d, d->policy, POL_ASK, &msg);
	memcpy(yes, msg.data, 4);
	must(ipc_plain_send(d->policy, POL_VERDICT, leg->id, yes, sizeof(yes), NULL, 0), "verdict");
	drive_want(d, leg->back, LINK_REQUEST, &msg);
}

void
drive_close(struct drive *d, struct drive_leg *leg)
{
	static const uint8_t end[] = { LINK_END_CLIENT, 0, 0, 0, 0 };
	struct ipc_msg msg;

	must(ipc_plain_send(leg->front, LINK_END, 0, end, sizeof(end), NULL, 0), "end");
	fd_close(&leg->front);
	drive_want(d, leg->back, LINK_END, &msg);
	fd_close(&leg->back);
	drive_want(d, d->broker, REC_CLOSED, &msg);
}

char *
drive_status(struct drive *d)
{
	struct ipc_msg msg;
	char *text;

	must(ipc_plain_send(d->broker, REC_STATUS, 1, NULL, 0, NULL, 0), "status");
	drive_want(d, d->broker, REC_STATUS_REPLY, &msg);
	text = strndup((const char *)msg.data, msg.len);
	if (text == NULL)
		die("out of memory");
	return text;
}

uint64_t
drive_cpu_ns(const struct drive *d)
{
	char path[64], *text;
	uint64_t user, sys;
	const char *p;
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", d->pid);
	FILE *f = fopen(path, "r");
	text = calloc(1, 4096);
	if (f == NULL || text == NULL)
		die("%s", path);
	len = fread(text, 1, 4095, f);
	(void)fclose(f);
	/* Fields are counted from behind the name, which may hold anything. */
	p = len > 0 ? strrchr(text, ')') : NULL;
	for (int field = 2; p != NULL && field < 14; field++)
		p = strchr(p + 1, ' ');
	if (p == NULL || sscanf(p, "%lu %lu", &user, &sys) != 2)
		die("%s is not readable", path);
	free(text);
	return (user + sys) * (CLOCK_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

void
drive_remove(const char *dir)
{
	static const char *const folders[] = { "recorder", "." };
	char path[512];

	for (int i = 0; i < 2; i++) {
		struct dirent *entry;
		DIR *folder;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		if ((folder = opendir(path)) == NULL)
			continue;
		while ((entry = readdir(folder)) != NULL) {
			(void)snprintf(
			    path, sizeof(path), "%s/%s/%s", dir, folders[i], entry->d_name);
			if (entry->d_name[0] != '.')
				(void)unlink(path);
		}
		(void)closedir(folder);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		(void)rmdir(i == 0 ? path : dir);
	}
}
