/* What the broker tells a back: the back's part of the grant, and what is never a target. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/back/back.h"

static bool
take_text(struct rd *in, char *dst, size_t size)
{
	struct rd_str s;

	if (!rd_str(in, &s) || s.len >= size || memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return true;
}

static bool
take_u64(struct rd *in, uint64_t *ret_v)
{
	uint32_t high, low;

	if (!rd_u32(in, &high) || !rd_u32(in, &low))
		return false;
	*ret_v = (uint64_t)high << 32 | low;
	return true;
}

/* u32 n + n strings, each given to take(). */
static int
take_list(struct rd *in, void **ret_v, uint32_t *ret_n, size_t size,
    bool (*take)(struct rd_str s, void *ret_item))
{
	struct rd_str s;
	uint32_t n;
	char *v;

	if (!rd_u32(in, &n) || n > BACK_LIST_MAX)
		return ERR_FORMAT;
	v = calloc(n + 1, size);
	if (v == NULL)
		return -ENOMEM;
	*ret_v = v;
	for (uint32_t i = 0; i < n; i++)
		if (!rd_str(in, &s) || !take(s, v + i * size))
			return ERR_FORMAT;
	*ret_n = n;
	return 0;
}

static bool
take_blob(struct rd_str s, void *ret_item)
{
	struct rd_str *blob = ret_item;

	*blob = s;
	return true;
}

static bool
copy_text(struct rd_str s, char *dst, size_t size)
{
	if (s.len >= size || memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return true;
}

static bool
take_own(struct rd_str s, void *ret_item)
{
	char text[NET_PORT_TEXT_SIZE];
	struct back_own *own = ret_item;

	return copy_text(s, text, sizeof(text)) &&
	       net_parse_port(text, &own->addr, &own->port) == 0;
}

static bool
take_prefix(struct rd_str s, void *ret_item)
{
	char text[NET_PORT_TEXT_SIZE];

	return copy_text(s, text, sizeof(text)) && net_prefix_parse(text, ret_item) == 0;
}

static int
take_grant(struct back_plan *p, struct rd_str grant)
{
	struct rd in = rd_over(grant.p, grant.len);
	uint32_t port;
	uint8_t resolve;
	int r;

	if (!take_text(&in, p->host, sizeof(p->host)) ||
	    !take_text(&in, p->address, sizeof(p->address)) || !rd_u32(&in, &port) || port == 0 ||
	    port > UINT16_MAX || !rd_u8(&in, &resolve) || resolve > 1 ||
	    !take_text(&in, p->login, sizeof(p->login)))
		return ERR_FORMAT;
	p->port = (uint16_t)port;
	p->resolve = resolve == 1;
	if ((r = take_list(&in, (void **)&p->pins, &p->n_pins, sizeof(*p->pins), take_blob)) != 0 ||
	    (r = take_list(&in, (void **)&p->cas, &p->n_cas, sizeof(*p->cas), take_blob)) != 0)
		return r;
	return take_u64(&in, &p->timeout_ns) && rd_end(&in) ? 0 : ERR_FORMAT;
}

int
back_plan_parse(struct back_plan *p, const uint8_t *data, size_t len)
{
	struct rd_str grant;
	uint64_t most;
	struct rd in;
	int r;

	*p = (struct back_plan){ .bytes = buf_new(len + 1) };
	if (p->bytes == NULL || buf_put(p->bytes, data, len) != 0)
		return -ENOMEM;
	in = rd_over(buf_ptr(p->bytes), len);
	if (!rd_str(&in, &grant))
		return ERR_FORMAT;
	if ((r = take_grant(p, grant)) != 0 ||
	    (r = take_list(&in, (void **)&p->own, &p->n_own, sizeof(*p->own), take_own)) != 0 ||
	    (r = take_list(
		 &in, (void **)&p->denied, &p->n_denied, sizeof(*p->denied), take_prefix)) != 0)
		return r;
	if (!take_u64(&in, &p->alive_ns) || !rd_u32(&in, &p->missed_max) || !take_u64(&in, &most) ||
	    !take_u64(&in, &p->close_ns) || !rd_end(&in))
		return ERR_FORMAT;
	if (p->timeout_ns == 0 || p->timeout_ns > most)
		p->timeout_ns = most;
	return 0;
}

void
back_plan_done(struct back_plan *p)
{
	buf_free(p->bytes);
	free(p->pins);
	free(p->cas);
	free(p->own);
	free(p->denied);
	*p = (struct back_plan){ 0 };
}
