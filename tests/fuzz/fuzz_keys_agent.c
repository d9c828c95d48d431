/*
 * What a back sends on its agent socket, any bytes. The leg is real, with a pinned host whose proof verifies (a seed shows it)
 * and a real key; a policy edge listens. Whatever comes: at most one signature, and none without a binding.
 */
#include "config.h"

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "keys/keys_agent.h"
#include "keys/keys_crypto.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct loop *loop;
	struct keys_policy *policy;
	struct keys_vault *vault;
	struct keys_legs *legs;
	struct keys_seen *seen;
	struct buf *grant;
	int policy_fd;
	uint32_t leg;
} world;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
on_cert(void *arg, uint32_t leg, bool ok, const uint8_t *data, size_t len)
{
	(void)arg;
	keys_legs_cert(world.legs, leg, ok, data, len);
}

/* The key of the leg: its seed is 32 bytes of 1, so that a seed of the corpus can ask for a signature that it gets. */
static struct keys_key *
make_key(void)
{
	struct secret *sk = secret_new(crypto_sign_SECRETKEYBYTES);
	uint8_t seed[crypto_sign_SEEDBYTES], pk[crypto_sign_PUBLICKEYBYTES];
	struct keys_key *key = NULL;

	memset(seed, 1, sizeof(seed));
	check(sk != NULL && crypto_sign_seed_keypair(pk, secret_ptr(sk), seed) == 0);
	check(keys_key_new("leg", SSHKEY_ED25519, 1, sk, &key) == 0);
	return key;
}

/* A vault in a folder that is gone again at once: what is fuzzed never writes. */
static void
make_vault(void)
{
	char dir[] = "/tmp/bastion-fuzz-XXXXXX", path[64];
	struct secret *unlock = secret_new(32);
	struct keys_key *key = make_key();

	check(unlock != NULL && mkdtemp(dir) != NULL);
	check(keys_vault_create(dir, KEYS_SEAL_FILE, unlock, &world.vault) == 0);
	check(keys_vault_add(world.vault, key) == 0);
	keys_key_unref(key);
	(void)snprintf(path, sizeof(path), "%s/vault", dir);
	check(unlink(path) == 0 && rmdir(dir) == 0);
	secret_free(unlock);
}

/* The grant: root on one host, whose key has the seed of 32 zero bytes. */
static void
make_grant(void)
{
	static const uint8_t zeros[crypto_sign_SEEDBYTES];
	static const uint8_t head[] = "\0\0\0\13ssh-ed25519\0\0\0\40";
	uint8_t blob[51], sk[crypto_sign_SECRETKEYBYTES];

	memcpy(blob, head, 19);
	check(crypto_sign_seed_keypair(blob + 19, sk, zeros) == 0);
	world.grant = buf_new(1024);
	check(world.grant != NULL && buf_put_cstr(world.grant, "root") == 0 &&
	      buf_put_cstr(world.grant, "leg") == 0 && buf_put_cstr(world.grant, "web1") == 0 &&
	      buf_put_u32(world.grant, 22) == 0 && buf_put_u32(world.grant, 1) == 0 &&
	      buf_put_str(world.grant, blob, sizeof(blob)) == 0 &&
	      buf_put_u32(world.grant, 0) == 0);
}

static void
make_world(void)
{
	bool locked;
	int fds[2];

	log_init("fuzz", LOG_LEVEL_ERR - 1);
	check(secret_init() == 0 && keys_crypto_init(&locked) == 0 && loop_new(&world.loop) == 0 &&
	      ipc_pair(fds) == 0);
	world.policy = keys_policy_new(world.loop, on_cert, NULL);
	check(world.policy != NULL && keys_policy_connect(world.policy, fds[1]) == 0);
	world.policy_fd = fds[0];
	check(ipc_plain_hello(fds[0]) == 0);
	make_vault();
	make_grant();
}

/* Policy reads and forgets, so that its socket never fills. */
static void
drain_policy(void)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;

	while (ipc_plain_recv(world.policy_fd, space, &msg, 0) == 0)
		ipc_msg_close(&msg);
}

/* Count the signatures in what came back. */
static unsigned
count_signatures(int fd)
{
	static uint8_t answers[1 << 16];
	ssize_t n = recv(fd, answers, sizeof(answers), MSG_DONTWAIT);
	unsigned signatures = 0;

	for (size_t at = 0; n > 0 && at + 5 <= (size_t)n;) {
		size_t len = (size_t)answers[at + 2] << 8 | answers[at + 3];

		signatures += answers[at + 4] == 14;
		at += 4 + len;
	}
	return signatures;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t before;
	unsigned got;
	int fds[2];

	if (world.loop == NULL)
		make_world();
	if (size > 60000)
		return 0;
	/* Each input stands for itself: session ids of earlier ones are forgotten. */
	keys_legs_free(world.legs);
	keys_seen_free(world.seen);
	check((world.seen = keys_seen_new()) != NULL);
	check((world.legs = keys_legs_new(world.loop, world.policy, world.seen)) != NULL);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	check(keys_legs_add(world.legs, ++world.leg, fds[1], buf_ptr(world.grant),
		  buf_len(world.grant), world.vault) == 0);
	before = keys_legs_signed(world.legs);
	check(send(fds[0], data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size || size == 0);
	for (int i = 0; i < 4; i++)
		check(loop_pass(world.loop, 0) == 0);
	got = count_signatures(fds[0]);
	check(got <= 1 && got == keys_legs_signed(world.legs) - before);
	fd_close(&fds[0]);
	check(loop_pass(world.loop, 0) == 0);
	drain_policy();
	return 0;
}
