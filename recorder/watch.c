/* Which kind reads a stream, and what all kinds have in common. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/policy_proto.h"
#include "recorder/watch_priv.h"

static const struct watch_kind *const kinds[] = {
	&watch_sftp,
	&watch_scp,
	&watch_rsync,
	&watch_agent,
	&watch_forward,
	NULL,
};

static const struct watch_kind *
find_kind(uint8_t stream)
{
	for (size_t i = 0; kinds[i] != NULL; i++)
		if (kinds[i]->stream == stream)
			return kinds[i];
	return NULL;
}

int
watch_new(uint8_t kind, const char *command, const struct watch_sink *sink, void *arg,
    struct watch **ret_watch)
{
	const struct watch_kind *k = find_kind(kind);
	struct watch *w;
	int r;

	if (k == NULL)
		return ERR_FORMAT;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return -ENOMEM;
	w->kind = k;
	w->sink = sink;
	w->arg = arg;
	w->number = &w->own;
	w->follows = true;
	if ((r = k->start(w, command)) != 0) {
		watch_free(w);
		return r;
	}
	*ret_watch = w;
	return 0;
}

void
watch_free(struct watch *w)
{
	if (w == NULL)
		return;
	w->kind->stop(w);
	free(w);
}

void
watch_share_numbers(struct watch *w, uint32_t *last)
{
	w->number = last;
}

int
watch_end(struct watch *w)
{
	if (w->told)
		return 0;
	w->told = true;
	return w->kind->end != NULL ? w->kind->end(w) : 0;
}

int
watch_exit(struct watch *w, uint32_t status)
{
	if (!w->follows || w->told || w->kind->exit == NULL)
		return 0;
	return w->kind->exit(w, status);
}

int
watch_data(struct watch *w, enum event_way way, const uint8_t *data, size_t len)
{
	if (w->follows && len > 0)
		return w->kind->data(w, way, data, len);
	return watch_plain(w, way, data, len);
}

bool
watch_follows(const struct watch *w)
{
	return w->follows;
}

uint32_t
watch_number(struct watch *w)
{
	return ++*w->number;
}

int
watch_plain(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	return len == 0 ? 0 : w->sink->span(w->arg, way, p, len, 0, 0);
}

int
watch_content(struct watch *w, enum event_way way, const uint8_t *p, size_t len, uint32_t number,
    uint64_t offset)
{
	return len == 0 ? 0 : w->sink->span(w->arg, way, p, len, number, offset);
}

int
watch_tell(struct watch *w, const struct watch_file *f)
{
	return w->sink->file(w->arg, f);
}

int
watch_remark(struct watch *w, const char *word, const char *text)
{
	return w->sink->remark(w->arg, word, text);
}

int
watch_lost(struct watch *w, enum event_way way, const uint8_t *p, size_t len, const char *why)
{
	int r;

	w->follows = false;
	if ((r = watch_end(w)) != 0 || (r = watch_remark(w, "unfollowed", why)) != 0)
		return r;
	return watch_plain(w, way, p, len);
}
