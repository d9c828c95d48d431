/*
 * Login requests against a policy with a key and a CA. Input: requests, each behind two bytes of length. Nobody can sign for this
 * session id here, so nobody may get in.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/audit.h"
#include "policy/auth.h"
#include "recorder/recorder_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy[] =
    "users:\n"
    "  alice: {keys: [\"ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"
    "hosts:\n"
    "  web1: {address: 10.0.0.1, key: fleet, host_keys: [\"ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"
    "rules:\n"
    "  - {name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root, deploy], may: "
    "[shell]}\n";
static const char ca[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\n";

static struct set *
make_set(void)
{
	char err[SET_ERR_SIZE];
	struct set *s = set_new();

	if (s == NULL ||
	    set_add_file(s, POL_FILE_POLICY, "p", policy, strlen(policy), NULL, err) != 0 ||
	    set_add_file(s, POL_FILE_USER_CA, "c", ca, strlen(ca), NULL, err) != 0 ||
	    set_add_chain(s, "publickey", err) != 0 || set_finish(s, 100, err) != 0)
		abort();
	return s;
}

static void
check_event(const struct auth *a, const struct auth_result *r)
{
	const struct audit_conn where = { 1, "ref", "192.0.2.1:1", "127.0.0.1:2222", 7, "outer" };
	char *text = NULL;
	size_t len = 0;

	if (r->event == NULL)
		return;
	if (audit_auth(&where, a, r, 1, 0, &text, &len) != 0 || len > REC_AUDIT_MAX)
		abort();
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			abort();
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct set *s;
	static const uint8_t sid[32] = { 1 };
	struct auth_scene scene = { .session_id = sid,
		.session_id_len = sizeof(sid),
		.now_ns = 1795428000000000000ull,
		.newest_s = 1795428000ull };
	struct auth a = { 0 };

	if (s == NULL)
		s = make_set();
	scene.set = s;
	while (size >= 2 && !a.over && !a.asking) {
		size_t len = (size_t)data[0] << 8 | data[1];
		struct auth_result r;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (auth_step(&a, &scene, data, len, &r) == 0) {
			if (r.answer == POL_AUTH_SUCCESS || a.pass.n_factors > 0)
				abort();
			check_event(&a, &r);
		}
		auth_result_done(&r);
		data += len;
		size -= len;
	}
	auth_done(&a);
	return 0;
}
