/* The listening sockets: bound before privileges go, kept over a reload where their address stays. */
#ifndef BASTION_BROKER_LISTEN_H
#define BASTION_BROKER_LISTEN_H

#include <stddef.h>

#include "bastiond/broker/settings.h"
#include "bastiond/broker/wiring.h"
#include "lib/err.h"
#include "lib/loop.h"

#define LISTEN_TEXT_SIZE (SETTINGS_LISTEN_MAX * NET_PORT_TEXT_SIZE)

struct listen_set;

/* A client; fd: taken. */
typedef void (*listen_fn)(void *arg, int fd, const struct wiring_peer *peer);

/*
 * Bind all addresses of s; those that old (NULL: none) has already are shared with it, so that nothing is refused in
 * between. Nobody is accepted yet. *ret_set: owned by caller. 0; ERR_FORMAT with a line in *ret_err; -ENOMEM.
 */
int listen_open(const struct settings *s, struct listen_set *old, struct listen_set **ret_set,
    struct conf_err *ret_err) MUST_CHECK;
/* Close all but what keep (NULL: nothing) shares. NULL is allowed. */
void listen_free(struct listen_set *set, const struct listen_set *keep);

/* Accept from now on; sockets that another set watched change over to this one. 0; -errno. */
int listen_accept(struct listen_set *set, struct loop *l, listen_fn fn, void *arg) MUST_CHECK;
/* Accept no more: for a stop. */
void listen_pause(struct listen_set *set);

/* "127.0.0.1:2222,[::1]:2222" with the real ports. Returns dst. */
char *listen_text(const struct listen_set *set, char *dst, size_t size);
/* The i-th of them; false behind the last. */
bool listen_at(const struct listen_set *set, size_t i, char *dst, size_t size);
/* "127.0.0.1:2222" of everything that reaches us, for backs: a wildcard stands for each address of the machine. */
size_t listen_own(const struct listen_set *set, char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE]);

#endif
