/* Which changes of bastiond.yaml a running bastiond cannot take up: a table of its own, in the order in which they are told. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "bastiond/broker/settings.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define AT(field) offsetof(struct settings, field)

typedef bool (*same_fn)(const void *a, const void *b);

static bool
same_text(const void *a, const void *b)
{
	return strcmp(a, b) == 0;
}

static bool
same_u64(const void *a, const void *b)
{
	return *(const uint64_t *)a == *(const uint64_t *)b;
}

static bool
same_durability(const void *a, const void *b)
{
	return ((const struct settings *)a)->durability == ((const struct settings *)b)->durability;
}

static bool
same_user(const void *a, const void *b)
{
	const struct settings *x = a, *y = b;

	return x->has_pam_user == y->has_pam_user && x->pam_uid == y->pam_uid &&
	       x->pam_gid == y->pam_gid;
}

static bool
same_paths(const void *a, const void *b)
{
	const struct settings_paths *x = a, *y = b;

	for (size_t i = 0; i < x->n && x->n == y->n; i++)
		if (strcmp(x->path[i], y->path[i]) != 0)
			return false;
	return x->n == y->n;
}

static bool
same_auditors(const void *a, const void *b)
{
	const struct auditors *x = a, *y = b;

	for (size_t i = 0; i < x->n && x->n == y->n; i++)
		if (memcmp(x->a[i].key, y->a[i].key, AUDITOR_KEY_LEN) != 0 ||
		    strcmp(x->a[i].name, y->a[i].name) != 0)
			return false;
	return x->n == y->n;
}

static bool
same_checkpoints(const void *a, const void *b)
{
	const struct settings *x = a, *y = b;

	for (size_t i = 0; i < x->n_checkpoints && x->n_checkpoints == y->n_checkpoints; i++)
		if (!settings_push_same(&x->checkpoints[i], &y->checkpoints[i]))
			return false;
	return x->n_checkpoints == y->n_checkpoints;
}

/* at 0: the function looks at all settings. */
static const struct {
	const char *key;
	same_fn same;
	size_t at;
} fixed[] = {
	{ "state", same_text, AT(state) },
	{ "recording.durability", same_durability, 0 },
	{ "recording.stall_timeout", same_u64, AT(stall_timeout_ns) },
	{ "recording.epoch", same_u64, AT(epoch_ns) },
	{ "recording.auditors", same_auditors, AT(auditors) },
	{ "recording.checkpoint_every", same_u64, AT(checkpoint_every_ns) },
	/* What the broker's sandbox lets them reach is said once, at the start. */
	{ "recording.checkpoints", same_checkpoints, 0 },
	{ "vault.unlock", same_text, AT(unlock) },
	{ "penalties.sources", same_u64, AT(penalties.sources) },
	/* What it lets modules reach is said once, too; likewise whose uid they have. */
	{ "login.pam.confdir", same_text, AT(pam_confdir) },
	{ "login.pam.user", same_user, 0 },
	{ "login.pam.read", same_paths, AT(pam_read) },
	{ "login.pam.write", same_paths, AT(pam_write) },
	{ "login.pam.run", same_paths, AT(pam_run) },
};

const char *
settings_needs_restart(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < N(fixed); i++)
		if (!fixed[i].same((const char *)a + fixed[i].at, (const char *)b + fixed[i].at))
			return fixed[i].key;
	return NULL;
}
