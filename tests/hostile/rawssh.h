/*
 * An SSH client's transport (RFC 4253) and nothing above it: whatever message is wanted can be sent at whatever time, also before it
 * is encrypted, and what comes is seen as it is. curve25519-sha256, aes256-gcm@openssh.com; the server's key is not checked.
 */
#ifndef BASTION_TEST_RAWSSH_H
#define BASTION_TEST_RAWSSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define RAWSSH_MAX 262144u /* bytes of a packet */

struct rawssh_way {
	uint8_t key[32], iv[12];
	bool on;
};

struct rawssh {
	int fd;
	uint8_t sid[32];
	struct rawssh_way out, in;
	struct buf *packet; /* that came last; payload_len bytes from payload on */
	const uint8_t *payload;
	size_t payload_len;
};

/* Connect to 127.0.0.1:port from this address. 0; -errno. */
int rawssh_connect(struct rawssh *s, const char *source, uint16_t port) MUST_CHECK;
/* Version and key exchange. early: a message to send unencrypted before it, or NULL. 0; negative. */
int rawssh_exchange(struct rawssh *s, const struct buf *early) MUST_CHECK;
/* One message, whatever it is. 0; ERR_LIMIT; ERR_PEER_GONE; -errno. */
int rawssh_send(struct rawssh *s, const void *payload, size_t len) MUST_CHECK;
/* The next message, within ms. 0; -ETIMEDOUT; ERR_PEER_GONE; ERR_FORMAT. */
int rawssh_recv(struct rawssh *s, int ms) MUST_CHECK;
void rawssh_close(struct rawssh *s);

#endif
