/*
 * bastiond-policy as a server: its edges to the broker, the fronts, the vault and the recorder. What is decided, and how, is in
 * the other files; here it is only asked at the right moment.
 */
#ifndef BASTION_SERVE_H
#define BASTION_SERVE_H

#include "lib/err.h"
#include "lib/loop.h"
#include "policy/zone.h"

struct serve;

/*
 * zones: borrowed. broker_fd: edge to the broker, owned by the server from success on. The loop ends when the broker's edge
 * does. *ret_serve: owned by caller. 0; -ENOMEM; -errno.
 */
int serve_new(
    struct loop *l, const struct zones *zones, int broker_fd, struct serve **ret_serve) MUST_CHECK;
void serve_free(struct serve *s);

#endif
