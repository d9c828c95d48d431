/* A message of bastionctl: first two bytes the type, the rest its payload. The vault behind it is real and open. */
#include "config.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keys/keys_admin.h"
#include "keys/keys_crypto.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct loop *loop;
	struct keys_admins *admins;
	struct keys_vault *vault;
	char dir[64];
} world;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static struct keys_vault *
get_vault(void *arg)
{
	(void)arg;
	return world.vault;
}

static int
refuse_create(void *arg, const struct secret *passphrase)
{
	(void)arg;
	(void)passphrase;
	return ERR_ORDER;
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
remove_folder(void)
{
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/vault", world.dir);
	(void)unlink(path); /* gone with the folder is what matters */
	(void)rmdir(world.dir);
}

static void
make_world(void)
{
	static const struct keys_admin_ops ops = {
		.vault = get_vault, .create = refuse_create, .unlocked = nothing
	};
	struct keys_key *ca = NULL;
	struct secret *unlock;
	bool locked;

	log_init("fuzz", LOG_LEVEL_ERR - 1);
	check(secret_init() == 0 && keys_crypto_init(&locked) == 0 && loop_new(&world.loop) == 0);
	check((world.admins = keys_admins_new(world.loop, NULL, &ops)) != NULL);
	(void)snprintf(world.dir, sizeof(world.dir), "/tmp/bastion-fuzz-XXXXXX");
	check(mkdtemp(world.dir) != NULL && atexit(remove_folder) == 0);
	check((unlock = secret_new(32)) != NULL);
	check(keys_vault_create(world.dir, KEYS_SEAL_FILE, unlock, &world.vault) == 0);
	secret_free(unlock);
	check(keys_key_generate(KEYS_USER_CA_PREFIX "fuzz", SSHKEY_ED25519, 0, &ca) == 0);
	check(keys_vault_add(world.vault, ca) == 0);
	keys_key_unref(ca);
}

/* What an answer must be: a code, and one text that ends with the message. */
static void
check_answer(const struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *text;
	uint8_t code;
	size_t len;

	check(b != NULL && msg->type == KEYS_ADM_REPLY && buf_get_u8(b, &code) == 0 && code <= 3);
	check(buf_get_str(b, &text, &len) == 0 && buf_end(b) == 0);
	buf_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;
	uint16_t type;
	int fds[2], file;

	if (world.loop == NULL)
		make_world();
	if (size < 2 || size - 2 > IPC_MAX)
		return 0;
	type = (uint16_t)(data[0] << 8 | data[1]);
	check(ipc_pair(fds) == 0 && keys_admins_add(world.admins, fds[1], "fuzz") == 0);
	check(ipc_plain_hello(fds[0]) == 0);
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check(ipc_plain_send(fds[0], type, 1, data + 2, size - 2, &file,
		  type == KEYS_ADM_IMPORT ? 1 : 0) == 0);
	fd_close(&file);
	for (int i = 0; i < 4; i++)
		check(loop_pass(world.loop, 0) == 0);
	if (ipc_plain_recv(fds[0], space, &msg, 0) == 0) {
		check_answer(&msg);
		ipc_msg_close(&msg);
	}
	fd_close(&fds[0]);
	for (int i = 0; i < 2; i++)
		check(loop_pass(world.loop, 0) == 0);
	check(keys_vault_find(world.vault, KEYS_HOST_KEY) != NULL);
	return 0;
}
