/* libqrencode, held: the only file that includes it. */
#include "config.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/oidc_qr.h"
#include "lib/buf.h"

#define QUIET                                                                                      \
	2 /* modules of light around the code; readers manage with fewer than the standard's 4 */

static bool
is_light(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return true;
	return (code->data[y * code->width + x] & 1) == 0;
}

static int
put_lines(const QRcode *code, struct buf *b)
{
	/* nothing, upper half, lower half, whole */
	static const char *const blocks[4] = { " ", "\342\226\200", "\342\226\204",
		"\342\226\210" };
	int r = 0;

	for (int y = -QUIET; r == 0 && y < code->width + QUIET; y += 2) {
		for (int x = -QUIET; r == 0 && x < code->width + QUIET; x++) {
			unsigned i =
			    (is_light(code, x, y) ? 1u : 0u) | (is_light(code, x, y + 1) ? 2u : 0u);

			r = buf_put(b, blocks[i], strlen(blocks[i]));
		}
		if (r == 0)
			r = buf_put_u8(b, '\n');
	}
	return r;
}

int
oidc_qr(const char *text, char **ret_lines)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	struct buf *b = buf_new(16384);
	int r = -ENOMEM;

	if (b == NULL || (code == NULL && errno == ENOMEM))
		goto out;
	r = ERR_LIMIT;
	if (code == NULL || code->version > OIDC_QR_VERSION_MAX)
		goto out;
	if ((r = put_lines(code, b)) == 0 && (r = buf_put_u8(b, 0)) == 0 &&
	    (*ret_lines = strdup((const char *)buf_ptr(b))) == NULL)
		r = -ENOMEM;
out:
	QRcode_free(code);
	buf_free(b);
	return r;
}
