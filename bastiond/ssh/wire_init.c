/* Before a sandbox closes: everything that libssh and OpenSSL would load, open or compute on first use. */
#include "config.h"

#include <stddef.h>

#include "bastiond/ssh/wire_pair.h"
#include "bastiond/ssh/wire_priv.h"

int
wire_init(void)
{
	struct wire_conf none = { 0 };
	struct wire_pair *p = NULL;
	int r = wire_libssh_init();

	if (r != 0)
		return r;
	r = wire_pair_new(&none, &none, &p);
	if (r == 0 && !wire_pair_up(p))
		r = ERR_CRYPTO;
	wire_pair_free(p);
	return r;
}
