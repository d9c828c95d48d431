/*
 * An SSH connection that sends exactly what a script says and remembers what came back: either role, over the project's
 * own wire. For tests of the order of messages (tests/integration/36-order.sh); the scripts are in raw.script.
 */
#ifndef BASTION_TEST_RAW_H
#define BASTION_TEST_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/ssh/rd.h"
#include "bastiond/ssh/wire.h"
#include "lib/buf.h"

#define RAW_CHANNELS 26	     /* named a to z */
#define RAW_FIRST 100	     /* our number of channel a */
#define RAW_WINDOW 2097152u  /* bytes of window that we give, and keep given */
#define RAW_PACKET 32768u    /* bytes of data in one message */
#define RAW_REPLIES 4096     /* replies to requests of one channel */
#define RAW_WAIT_S 15	     /* seconds for anything that must come */
#define RAW_KEEP (64u << 20) /* bytes of one stream */

struct raw_chan {
	bool used, opened, confirmed, refused;
	bool manual;		       /* the script grows our window */
	uint32_t peer;		       /* its number at the peer */
	uint64_t room;		       /* bytes that the peer takes */
	uint32_t packet;	       /* in one message */
	uint32_t taken;		       /* bytes since our window was grown */
	uint32_t reason;	       /* of a refusal */
	char text[512];		       /* and its line */
	char replies[RAW_REPLIES + 1]; /* S and F */
	char asked[1024];	       /* requests of the peer, each with a blank behind it */
	char signal[64];
	uint32_t n_replies, n_eof, n_close, n_exit, status;
	struct buf *out, *err, *sent;
};

struct raw {
	struct wire *w;
	const char *user;
	bool server, in, over;
	int end; /* of the connection, see struct wire_ops */
	char why[256];
	char globals[RAW_REPLIES + 1]; /* answers to global requests */
	uint32_t n_globals;
	uint32_t n_more; /* channels that the peer opened, as a client */
	struct raw_chan c[RAW_CHANNELS];
};

/* All of these end the process when memory is short. */

/* A client of 127.0.0.1:port, logged in as user with the key of the agent in SSH_AUTH_SOCK. 0; negative, see why. */
int raw_connect(struct raw *x, uint16_t port, const char *user, uint64_t rekey_bytes);
/* A server on a socket that was accepted; whoever comes is logged in. blob: host key, ssh-ed25519; sign: see wire.h. */
int raw_serve(struct raw *x, int fd, const uint8_t *blob, size_t len,
    int (*sign)(void *, const uint8_t *, size_t, uint8_t *, size_t, size_t *));
void raw_free(struct raw *x);
/* One pass over the socket, waiting at most ms milliseconds. */
void raw_pass(struct raw *x, int ms);
/* Send a message, unless the connection is over. */
void raw_send(struct raw *x, struct buf *msg);
/* A message that begins with this type, or with it and the channel's number at the peer. Owned by raw_send(). */
struct buf *raw_msg(uint8_t type);
struct buf *raw_chan_msg(const struct raw_chan *c, uint8_t type);
void raw_put_u32(struct buf *b, uint32_t v);
void raw_put_str(struct buf *b, const void *p, size_t len);
/* Data, whatever the window says: what follows in the pattern of this channel, or text. */
void raw_data(struct raw *x, struct raw_chan *c, const void *p, size_t len);
void raw_pattern(struct raw *x, struct raw_chan *c, size_t len);
/* Milliseconds of a clock that only goes forward. */
int64_t raw_now_ms(void);

/* A script: its lines, and where it comes from. */
struct raw_script {
	char name[64];
	bool target;	   /* has a part for a raw target */
	bool rekey;	   /* is also run with keys that last 64 KiB */
	uint32_t first, n; /* its lines in the file */
};

struct raw_file {
	char **lines;
	uint32_t n_lines;
	struct raw_script *scripts;
	uint32_t n_scripts;
};

int raw_file_read(struct raw_file *f, const char *path);
void raw_file_free(struct raw_file *f);
const struct raw_script *raw_find(const struct raw_file *f, const char *name);
/*
 * Run the lines of a script that are for who: "via", "direct" or "target". 0; -1: what is wrong is in err.
 */
int raw_run(struct raw *x, const struct raw_file *f, const struct raw_script *s, const char *who,
    char *err, size_t err_len);

/* raw_wait.c: is it so? 1 yes, 0 not yet, -1 never. c: NULL for the connection. */
int raw_is(const struct raw *x, const struct raw_chan *c, const char *what, const char *arg);
/* What a channel has seen so far, in one line. */
void raw_describe(const struct raw *x, const struct raw_chan *c, char *dst, size_t size);
/* Backslash escapes n, r, t, 0, \ and xHH; in place. Its length. */
size_t raw_unescape(char *s);

#endif
