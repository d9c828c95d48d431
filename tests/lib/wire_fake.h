/* In place of the wire: whatever the owner sends is kept, and a test says what the peer does. Link it instead of libwire. */
#ifndef BASTION_TEST_WIRE_FAKE_H
#define BASTION_TEST_WIRE_FAKE_H

#include "bastiond/ssh/wire.h"
#include "tests/unit/mux_rig.h"

struct wire {
	enum wire_role role;
	const struct wire_ops *ops;
	void *arg;
	int fd;
	bool open; /* the user was accepted, or our login was */
	bool paused, over, told;
	unsigned inside;
	int err;
	char why[256], host_key_algs[1024], user[256];
	int agent_fd;	 /* what wire_login() was given, else -1 */
	uint32_t reason; /* of wire_disconnect(), 0: it was not called */
	struct rig_log sent;
	size_t backlog;
};

/* The one that was made last; NULL: none, or freed. */
extern struct wire *wire_fake;

/* The peer says this (shapes as of mux_rig.h), or goes. */
void wire_fake_says(const char *shape, ...);
void wire_fake_ends(int err, const char *why);
/* The handshake's steps. */
int wire_fake_proves(const char *key, const char *sig);
void wire_fake_is_ready(void);
void wire_fake_login_done(int err, const char *methods);

#endif
