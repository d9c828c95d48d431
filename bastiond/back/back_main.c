/*
 * bastiond-back: one connection to one target. Descriptors: 3 broker, 4 link, 5 the vault's agent socket.
 * It resolves and connects first, then closes its sandbox, and only then reads what the target says.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bastiond/back/back.h"
#include "bastiond/back/back_connect.h"
#include "bastiond/broker/broker_proto.h"
#include "bastiond/ssh/wire.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/sandbox.h"
#include "lib/secret.h"
#include "recorder/link_proto.h"

#define BACK_START_MS 30000 /* the broker sends at once; this is for a machine that stands still */

static int
back_main_start(struct back_conf *conf, uint32_t *ret_leg)
{
	uint8_t *space = malloc(IPC_HEADER + IPC_MAX);
	struct ipc_msg msg;
	int r = -ENOMEM;

	if (space != NULL && (r = ipc_plain_hello(BRK_FD_BROKER)) == 0 &&
	    (r = ipc_plain_recv(BRK_FD_BROKER, space, &msg, BACK_START_MS)) == 0) {
		r = msg.type == BRK_BACK_START && msg.n_fds == 0
			? back_conf_parse(msg.data, msg.len, conf)
			: ERR_FORMAT;
		*ret_leg = msg.id;
		ipc_msg_close(&msg);
	}
	free(space);
	return r;
}

static void
back_main_broker_gone(void *arg, uint32_t revents)
{
	(void)revents;
	loop_stop(arg);
}

/* The part before the sandbox: a connected socket, or a reason. */
static int
back_main_connect(const struct back_conf *conf, int *ret_fd, char *address, size_t size, char *why,
    size_t why_size)
{
	struct back_target target;
	struct net_addr addr;
	int r;

	if ((r = back_resolve(conf, &target, why, why_size)) != 0 ||
	    (r = back_connect(conf, &target, ret_fd, &addr, why, why_size)) != 0)
		return r;
	net_port_text(address, size, &addr, conf->port);
	return 0;
}

static int
back_main_run(struct loop *l, struct back *b, const struct back_conf *conf)
{
	char address[NET_PORT_TEXT_SIZE], why[512] = "";
	int fd = -1, reached, r;

	reached = back_main_connect(conf, &fd, address, sizeof(address), why, sizeof(why));
	if ((r = sandbox_enter(SANDBOX_BACK, NULL, 0)) != 0) {
		log_err("back.sandbox_failed reason=\"%s\"", err_str(r));
		fd_close(&fd);
		return r;
	}
	if (reached != 0)
		back_fail(b, LINK_END_CONNECT, why);
	else if ((r = back_serve(b, fd, BRK_FD_AGENT, address)) != 0)
		back_fail(b, LINK_END_INTERNAL, err_str(r));
	return loop_run(l);
}

int
main(void)
{
	struct loop_io *broker = NULL;
	struct back_conf conf;
	struct loop *l = NULL;
	struct back *b = NULL;
	uint32_t leg = 0;
	int r;

	log_init("bastiond-back", LOG_LEVEL_INFO);
	if ((r = sandbox_prepare()) != 0 || (r = secret_init()) != 0 || (r = hash_init()) != 0 ||
	    (r = wire_init()) != 0 || (r = back_main_start(&conf, &leg)) != 0) {
		log_err("back.start_failed reason=\"%s\"", err_str(r));
		return 3;
	}
	if ((r = loop_new(&l)) == 0 &&
	    (r = loop_add(l, BRK_FD_BROKER, 0, back_main_broker_gone, l, &broker)) == 0 &&
	    (r = back_new(l, &conf, leg, BRK_FD_LINK, &b)) == 0)
		r = back_main_run(l, b, &conf);
	if (r != 0)
		log_err("back.failed leg=%u reason=\"%s\"", leg, err_str(r));
	back_free(b);
	loop_free(l);
	back_conf_done(&conf);
	return r == 0 ? 0 : 1;
}
