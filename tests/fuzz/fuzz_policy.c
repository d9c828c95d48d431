/* policy.yaml: loaded whole or refused with a line; everybody is then decided upon everywhere. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/access.h"
#include "policy/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decide(const struct model *m, const char *name, const char *host)
{
	const struct model_user *user = model_find_user(m, name);
	struct access_person who = {
		.users = &user, .n_users = user != NULL ? 1 : 0, .now_ns = 1795428000000000000ull
	};
	struct access a;

	if (user == NULL)
		return;
	access_target(m, user, NULL, host, 0, &who, &a);
	if (a.outcome == ACCESS_ALLOWED && (a.rule == NULL || a.rule->deny || a.rights == 0))
		abort();
	access_target(m, user, "root", host, 22, &who, &a);
	if (a.outcome == ACCESS_ALLOWED && (a.rule == NULL || a.host->key == NULL))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const people[] = { "alice", "bob", "carol" };
	static const char *const hosts[] = { "web1", "db", "a.lab.example" };
	struct conf_err err = { "" };
	struct model *m = NULL;

	if (model_load("p", (const char *)data, size, NULL, &m, &err) != 0) {
		if (m != NULL || err.text[0] == '\0')
			abort();
		return 0;
	}
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++)
			decide(m, people[i], hosts[k]);
	model_free(m);
	return 0;
}
