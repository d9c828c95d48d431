#include "config.h"

#include "tests/lib/auth_scene.h"

const uint8_t sid[32] = { 1, 2, 3 };

struct set *
scene_set(const char *policy, const char *cas, const char *const *chains)
{
	char err[SET_ERR_SIZE] = "";
	struct set *s = set_new();
	int r;

	assert_non_null(s);
	if ((r = set_add_file(
		 s, POL_FILE_POLICY, "policy.yaml", policy, strlen(policy), NULL, err)) == 0)
		r = set_add_file(s, POL_FILE_USER_CA, "ca.pub", cas, strlen(cas), NULL, err);
	for (size_t i = 0; r == 0 && chains[i] != NULL; i++)
		r = set_add_chain(s, chains[i], err);
	if (r != 0 || set_finish(s, 6, err) != 0)
		fail_msg("%s", err);
	return s;
}

struct auth_scene
make_scene(const struct set *s)
{
	struct auth_scene scene = { .set = s,
		.session_id = sid,
		.session_id_len = sizeof(sid),
		.now_ns = NOW_S * CLOCK_NS_PER_S,
		.newest_s = NOW_S };

	assert_int_equal(net_parse("192.0.2.7", &scene.source), 0);
	return scene;
}

struct make_request
request(const char *user, const struct make_key *k, const char *alg)
{
	struct make_request q = {
		.user = user, .alg = alg, .key = k, .sid = sid, .sid_len = sizeof(sid)
	};

	q.blob = make_key_blob(k, &q.blob_len);
	return q;
}

int
send_request(struct auth *a, const struct auth_scene *scene, const struct make_request *q,
    struct auth_result *r)
{
	static uint8_t *msg;
	size_t len;

	free(msg);
	msg = make_request(q, &len);
	return auth_step(a, scene, msg, len, r);
}
