/*
 * Jumps: a host and a port as a client names them, and then logins behind them. Input: two bytes port, one byte length and the host,
 * then requests, each behind two bytes of length. Whoever gets in is a person's own login on a host that is theirs.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/auth.h"
#include "policy/jump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje"
#define PINS "key: fleet, host_keys: [\"ssh-ed25519 " KEY "\"]"

static const char policy[] =
    "users:\n"
    "  alice: {keys: [\"ssh-ed25519 " KEY "\"]}\n"
    "hosts:\n"
    "  web1: {address: 10.0.0.1, " PINS "}\n"
    "  web2: {address: 10.0.0.1, port: 2222, " PINS "}\n"
    "  six: {address: \"2001:db8::1\", " PINS "}\n"
    "  \"*.lab.example\": {resolve: true, " PINS "}\n"
    "  locked: {address: 10.0.0.9, " PINS "}\n"
    "rules:\n"
    "  - {name: r, who: {users: [alice]}, where: {hosts: [web1, web2, six, \"*.lab.example\"]}, "
    "as: [root, deploy], may: [shell]}\n";

static struct set *
make_set(void)
{
	char err[SET_ERR_SIZE];
	struct set *s = set_new();

	if (s == NULL ||
	    set_add_file(s, POL_FILE_POLICY, "p", policy, strlen(policy), NULL, err) != 0 ||
	    set_add_chain(s, "publickey", err) != 0 || set_finish(s, 100, err) != 0)
		abort();
	return s;
}

static void
check_target(const struct jump_target *t)
{
	static const char *const hosts[] = { "web1", "web2", "six" };
	bool known = str_match("*.lab.example", t->host);

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		known = known || strcmp(t->host, hosts[i]) == 0;
	if (!known || t->n_names == 0 || strcmp(t->names[0], t->host) != 0 ||
	    t->port != (strcmp(t->host, "web2") == 0 ? 2222 : 22))
		abort();
	for (size_t i = 0; i < t->n_names; i++)
		for (const char *p = t->names[i]; *p != '\0'; p++)
			if (*p <= 0x20 || *p > 0x7e || (*p >= 'A' && *p <= 'Z'))
				abort();
}

static void
log_in(const struct auth_scene *scene, const struct pass *pass, const uint8_t *data, size_t size)
{
	struct auth a = { .jump = pass };

	while (size >= 2 && !a.over) {
		size_t len = (size_t)data[0] << 8 | data[1];
		struct auth_result r;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (auth_step(&a, scene, data, len, &r) == 0 && r.answer == POL_AUTH_SUCCESS &&
		    (r.request.has_sig || strcmp(a.pass.identity, "alice") != 0 ||
			strcmp(r.access.host_name, pass->host) != 0 ||
			(strcmp(r.access.login, "root") != 0 &&
			    strcmp(r.access.login, "deploy") != 0)))
			abort();
		auth_result_done(&r);
		data += len;
		size -= len;
	}
	auth_done(&a);
}

static void
jump(const struct auth_scene *scene, const struct pass *outer, uint32_t port, const uint8_t *host,
    size_t host_len, const uint8_t *data, size_t size)
{
	struct pass inner = { 0 };
	struct access_person who;
	struct jump_target t;
	struct proof p;
	const char *reason;

	if (proof_read(&p, scene, outer, NULL) != 0)
		abort();
	who = proof_person(&p, scene);
	if (jump_resolve(
		scene->set->model, host, host_len, port, who.users[0], &who, &t, &reason) == 0) {
		check_target(&t);
		if (pass_copy(&inner, outer) == 0) {
			memcpy(inner.host, t.host, sizeof(inner.host));
			inner.port = t.port;
			log_in(scene, &inner, data, size);
		}
	}
	pass_done(&inner);
	proof_done(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct set *s;
	static struct pass outer;
	static const uint8_t sid[32] = { 1 };
	struct auth_scene scene = { .session_id = sid,
		.session_id_len = sizeof(sid),
		.now_ns = 1795428000000000000ull,
		.newest_s = 1795428000ull };
	size_t len;

	if (s == NULL) {
		const struct model_user *alice;

		s = make_set();
		alice = model_find_user(s->model, "alice");
		if (alice == NULL || pass_add_key(&outer, "ssh-ed25519", "", alice->keys[0].p,
					 alice->keys[0].len) != 0)
			abort();
		strcpy(outer.identity, "alice");
	}
	scene.set = s;
	if (size < 3)
		return 0;
	len = data[2] < size - 3 ? data[2] : size - 3;
	jump(&scene, &outer, (uint32_t)data[0] << 8 | data[1], data + 3, len, data + 3 + len,
	    size - 3 - len);
	return 0;
}
