/* What several tests of the vault need. */
#include "config.h"

#include <sys/wait.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/lib/keys_help.h"

extern char **environ;

void
help_folder(char *dst)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dst, PATH_MAX, "%s/bastion-keys-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dst));
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
help_remove(const char *dir)
{
	assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct secret *
help_secret(const char *s)
{
	struct secret *secret = secret_new(strlen(s));

	assert_non_null(secret);
	memcpy(secret_ptr(secret), s, strlen(s));
	return secret;
}

int
help_run(const char *const *argv)
{
	posix_spawn_file_actions_t files;
	int status;
	pid_t pid;

	assert_int_equal(posix_spawn_file_actions_init(&files), 0);
	for (int fd = 0; fd <= 2; fd++)
		assert_int_equal(
		    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0), 0);
	status = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)(uintptr_t)argv, environ);
	assert_int_equal(posix_spawn_file_actions_destroy(&files), 0);
	if (status != 0)
		return -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

void
help_put_bind(struct buf *b, const void *key, size_t key_len, const void *sid, size_t sid_len,
    const void *sig, size_t sig_len)
{
	assert_int_equal(buf_put_u8(b, 27), 0);
	assert_int_equal(buf_put_cstr(b, "session-bind@openssh.com"), 0);
	assert_int_equal(buf_put_str(b, key, key_len), 0);
	assert_int_equal(buf_put_str(b, sid, sid_len), 0);
	assert_int_equal(buf_put_str(b, sig, sig_len), 0);
	assert_int_equal(buf_put_u8(b, 0), 0);
}

void
help_put_userauth(struct buf *b, const struct help_login *login)
{
	assert_int_equal(buf_put_str(b, login->sid, login->sid_len), 0);
	assert_int_equal(buf_put_u8(b, 50), 0);
	assert_int_equal(buf_put_cstr(b, login->user), 0);
	assert_int_equal(buf_put_cstr(b, "ssh-connection"), 0);
	assert_int_equal(buf_put_cstr(b, "publickey"), 0);
	assert_int_equal(buf_put_u8(b, 1), 0);
	assert_int_equal(buf_put_cstr(b, login->alg), 0);
	assert_int_equal(buf_put_str(b, login->key, login->key_len), 0);
}

void
help_put_sign(struct buf *b, const struct help_login *login)
{
	struct buf *data = buf_new(8192);

	assert_non_null(data);
	help_put_userauth(data, login);
	assert_int_equal(buf_put_u8(b, 13), 0);
	assert_int_equal(buf_put_str(b, login->key, login->key_len), 0);
	assert_int_equal(buf_put_str(b, buf_ptr(data), buf_len(data)), 0);
	assert_int_equal(buf_put_u32(b, login->flags), 0);
	buf_free(data);
}

void
help_host_new(struct help_host *h)
{
	static const uint8_t head[] = "\0\0\0\13ssh-ed25519\0\0\0\40";

	memcpy(h->blob, head, 19);
	assert_int_equal(crypto_sign_keypair(h->blob + 19, h->sk), 0);
}

void
help_host_sign(
    const struct help_host *h, const void *sid, size_t len, uint8_t ret_sig[HELP_HOST_SIG])
{
	static const uint8_t head[] = "\0\0\0\13ssh-ed25519\0\0\0\100";

	memcpy(ret_sig, head, 19);
	assert_int_equal(crypto_sign_detached(ret_sig + 19, NULL, sid, len, h->sk), 0);
}
