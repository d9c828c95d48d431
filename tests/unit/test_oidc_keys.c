/* Keys over time, and what is counted, with a provider that a table plays and a clock that the test sets. */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "bastiond/auth/oidc_keys.h"
#include "bastiond/auth/oidc_limit.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "tests/lib/test.h"
#include "tests/unit/oidc_rig.h"

#define S CLOCK_NS_PER_S
#define URI "https://id.test/keys"

static struct oidc_conf conf;
static uint64_t now_s;
static char dir[32];
static const char *published; /* NULL: the provider does not answer */
static unsigned asked;

static uint64_t
wall(void)
{
	return now_s * S;
}

/* The provider: stands in the place of oidc_http.c. */
int
oidc_http_get(struct oidc_http *http, const char *what, const char *url,
    struct oidc_reply *ret_reply, struct oidc_why *why)
{
	(void)http;
	assert_string_equal(url, URI);
	asked++;
	if (published == NULL)
		return oidc_why(why, OIDC_END_UNREACHABLE, ERR_PEER_GONE, "%s: nobody there", what);
	ret_reply->status = strcmp(published, "503") == 0 ? 503 : 200;
	ret_reply->body = strdup(published);
	ret_reply->len = strlen(published);
	return 0;
}

int
oidc_http_post(struct oidc_http *http, const char *what, const char *url,
    const struct oidc_field *fields, size_t n_fields, struct oidc_reply *ret_reply,
    struct oidc_why *why)
{
	(void)fields;
	(void)n_fields;
	return oidc_http_get(http, what, url, ret_reply, why);
}

int
oidc_http_open(const struct oidc_conf *c, struct oidc_http **ret_http, struct oidc_why *why)
{
	(void)c;
	(void)ret_http;
	return oidc_why(why, OIDC_END_SYSTEM, ERR_CRYPTO, "not here");
}

void
oidc_http_close(struct oidc_http *http)
{
	(void)http;
}

static int
setup(void **state)
{
	(void)state;
	memset(&conf, 0, sizeof(conf));
	(void)snprintf(conf.issuer, sizeof(conf.issuer), "https://id.test");
	(void)snprintf(dir, sizeof(dir), "/tmp/test-oidc-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(conf.state, sizeof(conf.state), "%s/state", dir);
	conf.cache_age_ns = 3600 * S;
	conf.per_source = 2;
	conf.per_person = 3;
	now_s = 1000000;
	asked = 0;
	clock_override(wall, NULL);
	return hash_init();
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	clock_override(NULL, NULL);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static int
verify(const char *kid, char *warn)
{
	char header[64], *token;
	struct oidc_jwt jwt = { 0 };
	struct oidc_why why;
	int r;

	(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
	token = rig_token(RIG_P256, "ES256", header, "{}");
	assert_int_equal(oidc_jwt_read(token, strlen(token), &jwt, &why), 0);
	r = oidc_keys_verify(&conf, NULL, URI, &jwt, warn, &why);
	oidc_jwt_done(&jwt);
	free(token);
	return r;
}

/* A set with the key under these names. Owned by caller. */
static char *
set_of(const char *kid)
{
	char more[64], *jwk, *set;

	(void)snprintf(more, sizeof(more), "\"kid\":\"%s\"", kid);
	jwk = rig_jwk(RIG_P256, more);
	set = rig_jwks(jwk, NULL);
	free(jwk);
	return set;
}

static void
state_ok(void)
{
	struct oidc_why why;

	assert_int_equal(oidc_state_check(&conf, &why), 0);
}

static void
test_a_folder_that_others_write_is_refused(void **state)
{
	struct oidc_why why;

	(void)state;
	state_ok();
	assert_int_equal(chmod(conf.state, 0770), 0);
	assert_int_equal(oidc_state_check(&conf, &why), ERR_DENIED);
	assert_int_equal(chmod(conf.state, 0702), 0);
	assert_int_equal(oidc_state_check(&conf, &why), ERR_DENIED);
	assert_int_equal(chmod(conf.state, 0700), 0);
	state_ok();
	(void)snprintf(conf.state, sizeof(conf.state), "%s/none/state", dir);
	assert_int_equal(oidc_state_check(&conf, &why), -ENOENT);
	assert_int_equal(why.end, OIDC_END_SETUP);
}

static void
test_keys_are_asked_for_when_they_are_old_or_missing(void **state)
{
	char *one = set_of("one"), *two = set_of("two"), warn[512];

	(void)state;
	state_ok();
	published = one;
	assert_int_equal(verify("one", warn), 0);
	assert_int_equal(verify("one", warn), 0);
	assert_int_equal(asked, 1);
	/* The provider has another key now; a minute after the last question nobody asks again. */
	published = two;
	now_s += OIDC_KEYS_AGAIN_S - 1;
	assert_int_equal(verify("two", warn), ERR_NOT_FOUND);
	assert_int_equal(asked, 1);
	now_s += 1;
	assert_int_equal(verify("two", warn), 0);
	assert_int_equal(asked, 2);
	/* Once for each token, however wrong its name. */
	now_s += OIDC_KEYS_AGAIN_S;
	assert_int_equal(verify("three", warn), ERR_NOT_FOUND);
	assert_int_equal(asked, 3);
	/* Old ones are asked for again, and what is not there any more is not taken. */
	published = one;
	now_s += OIDC_KEYS_FRESH_S;
	assert_int_equal(verify("two", warn), ERR_NOT_FOUND);
	assert_int_equal(asked, 4);
	assert_string_equal(warn, "");
	free(one);
	free(two);
}

static void
test_kept_keys_serve_an_outage_for_a_while(void **state)
{
	static const char *const outages[] = { NULL, "503" };
	char *one = set_of("one"), warn[512];

	(void)state;
	state_ok();
	published = one;
	assert_int_equal(verify("one", warn), 0);
	for (size_t i = 0; i < N_OF(outages); i++) {
		published = outages[i];
		now_s = 1000000 + 3599;
		assert_int_equal(verify("one", warn), 0);
		assert_non_null(strstr(warn, "keys of 3599 s ago are used"));
		assert_int_equal(verify("two", warn), ERR_PEER_GONE);
		now_s += 1;
		assert_int_equal(verify("one", warn), ERR_PEER_GONE);
	}
	free(one);
}

/* What is kept counts only as we wrote it. */
static void
test_a_kept_file_that_is_not_ours_is_not_read(void **state)
{
	static const char *const texts[] = { "", "{}", "[]", "{\"issuer\":\"https://id.test\"}",
		"{\"issuer\":\"https://id.test\",\"jwks_uri\":\"" URI
		"\",\"fetched_at\":1000001,\"jwks\":{}}",
		"{\"issuer\":\"https://other\",\"jwks_uri\":\"" URI
		"\",\"fetched_at\":999999,\"jwks\":{}}",
		"{\"issuer\":\"https://id.test\",\"jwks_uri\":\"https://"
		"x\",\"fetched_at\":999999,\"jwks\":{}}" };
	char *one = set_of("one"), warn[512], path[PATH_MAX];
	struct stat st;

	(void)state;
	state_ok();
	published = one;
	assert_int_equal(verify("one", warn), 0);
	/* The only file there. */
	(void)snprintf(path, sizeof(path), "%.64s/keys-2f4e5542b09abbc8.json", conf.state);
	if (stat(path, &st) != 0)
		fail_msg("the name of the file of https://id.test has changed");
	assert_int_equal(st.st_mode & 07777, 0600);
	for (size_t i = 0; i < N_OF(texts); i++) {
		assert_int_equal(file_replace(path, 0600, texts[i], strlen(texts[i])), 0);
		asked = 0;
		assert_int_equal(verify("one", warn), 0);
		assert_int_equal(asked, 1);
	}
	assert_int_equal(chmod(path, 0644), 0);
	asked = 0;
	assert_int_equal(verify("one", warn), 0);
	assert_int_equal(asked, 1);
	free(one);
}

static void
test_keys_that_cannot_be_kept_are_used(void **state)
{
	char *one = set_of("one"), warn[512];

	(void)state;
	published = one; /* and no folder */
	assert_int_equal(verify("one", warn), 0);
	assert_non_null(strstr(warn, "are not kept"));
	free(one);
}

static int
take(const char *source, const char *person, int *fd)
{
	struct oidc_why why = { 0 };
	int r = oidc_limit_take(&conf, source, person, fd, &why);

	assert_int_equal(why.end == OIDC_END_LIMIT, r == ERR_LIMIT);
	return r;
}

static void
test_codes_outstanding_for_a_source_are_counted(void **state)
{
	int fd[4] = { -1, -1, -1, -1 };

	(void)state;
	state_ok();
	conf.per_person = 1000;
	assert_int_equal(take("10.0.0.1", "a", &fd[0]), 0);
	assert_int_equal(take("10.0.0.1", "b", &fd[1]), 0);
	assert_int_equal(take("10.0.0.1", "c", &fd[2]), ERR_LIMIT);
	assert_int_equal(fd[2], -1);
	assert_int_equal(take("10.0.0.2", "c", &fd[2]), 0);
	assert_int_equal(take("", "c", &fd[3]), 0);
	fd_close(&fd[0]);
	assert_int_equal(take("10.0.0.1", "c", &fd[0]), 0);
	for (size_t i = 0; i < N_OF(fd); i++)
		fd_close(&fd[i]);
}

/* A process that is killed holds nothing. */
static void
test_a_killed_login_is_over(void **state)
{
	int ready[2], fd = -1, status;
	char byte;
	pid_t pid;

	(void)state;
	state_ok();
	conf.per_source = 1;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int mine = -1;

		if (take("10.0.0.1", "a", &mine) == 0)
			(void)!write(ready[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(take("10.0.0.1", "a", &fd), ERR_LIMIT);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(take("10.0.0.1", "a", &fd), 0);
	fd_close(&fd);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void
test_codes_of_a_person_are_counted_for_an_hour(void **state)
{
	int fd = -1;

	(void)state;
	state_ok();
	for (size_t i = 0; i < 3; i++, now_s += 60) {
		assert_int_equal(take("10.0.0.1", "alice", &fd), 0);
		fd_close(&fd);
	}
	assert_int_equal(take("10.0.0.1", "alice", &fd), ERR_LIMIT);
	assert_int_equal(take("10.0.0.2", "alice", &fd), ERR_LIMIT);
	assert_int_equal(take("10.0.0.1", "alicf", &fd), 0);
	fd_close(&fd);
	now_s = 1000000 + 3599;
	assert_int_equal(take("10.0.0.1", "alice", &fd), ERR_LIMIT);
	now_s += 1;
	assert_int_equal(take("10.0.0.1", "alice", &fd), 0);
	fd_close(&fd);
	assert_int_equal(take("10.0.0.1", "alice", &fd), ERR_LIMIT);
	/* A clock that was set back forgets nobody. */
	now_s = 5000;
	assert_int_equal(take("10.0.0.1", "alice", &fd), ERR_LIMIT);
}

static void
test_a_damaged_count_is_begun_anew(void **state)
{
	char path[PATH_MAX];
	int fd = -1;

	(void)state;
	state_ok();
	(void)snprintf(path, sizeof(path), "%.64s/people", conf.state);
	assert_int_equal(file_replace(path, 0600, "short", 5), 0);
	assert_int_equal(take("10.0.0.1", "alice", &fd), 0);
	fd_close(&fd);
}

static int
forget_keys(void **state)
{
	(void)state;
	rig_done();
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_folder_that_others_write_is_refused),
		TEST(test_keys_are_asked_for_when_they_are_old_or_missing),
		TEST(test_kept_keys_serve_an_outage_for_a_while),
		TEST(test_a_kept_file_that_is_not_ours_is_not_read),
		TEST(test_keys_that_cannot_be_kept_are_used),
		TEST(test_codes_outstanding_for_a_source_are_counted),
		TEST(test_a_killed_login_is_over),
		TEST(test_codes_of_a_person_are_counted_for_an_hour),
		TEST(test_a_damaged_count_is_begun_anew),
	};

	return cmocka_run_group_tests(tests, NULL, forget_keys);
}
