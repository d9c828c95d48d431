/*
 * Content that crosses packed by zstd, unpacked for its hash only. Memory is bounded by the window that is accepted, and work
 * by what came: a small stream can stand for any amount of zeros, and whoever sends it shall not keep the recorder busy. Over
 * the bound nothing is unpacked any more.
 */
#include "config.h"

#include <stdlib.h>

#include <zstd.h>

#include "recorder/watch_rsync_part.h"

#define WINDOW_LOG_MAX 23      /* of bytes: what zstd's levels up to 19 take */
#define RATIO_MAX 64u	       /* bytes out for each that came in, */
#define FREE_OUT (64ull << 20) /* and so many for nothing */
#define OUT_SIZE 131072u       /* bytes unpacked at a time */

struct rs_unpack {
	ZSTD_DCtx *ctx;
	uint64_t in, out; /* bytes so far */
	bool stopped;
	uint8_t buf[OUT_SIZE];
};

struct rs_unpack *
rs_unpack_new(void)
{
	struct rs_unpack *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->ctx = ZSTD_createDCtx();
	if (u->ctx == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(u->ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		rs_unpack_free(u);
		return NULL;
	}
	return u;
}

void
rs_unpack_free(struct rs_unpack *u)
{
	if (u == NULL)
		return;
	ZSTD_freeDCtx(u->ctx);
	free(u);
}

/* Once what follows cannot be unpacked, nothing behind it can: all files share one stream. */
static int
stop(struct rs_unpack *u)
{
	u->stopped = true;
	return RS_FULL;
}

int
rs_unpack_add(
    struct rs_unpack *u, const uint8_t *p, size_t len, struct watch_track *t, uint64_t *offset)
{
	ZSTD_inBuffer in = { p, len, 0 };
	bool full = false;

	if (u->stopped)
		return RS_FULL;
	u->in += len;
	while (in.pos < in.size || full) {
		ZSTD_outBuffer out = { u->buf, sizeof(u->buf), 0 };

		if (ZSTD_isError(ZSTD_decompressStream(u->ctx, &out, &in)))
			return stop(u);
		watch_track_add(t, *offset, u->buf, out.pos);
		*offset += out.pos;
		u->out += out.pos;
		full = out.pos == out.size;
		if (u->out > FREE_OUT && u->out / RATIO_MAX > u->in)
			return stop(u);
	}
	return 0;
}
