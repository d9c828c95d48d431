/*
 * The vault: all private keys, in one sealed file and, unlocked, in locked memory. Every change is durable on disk
 * before it counts; one that fails changes nothing, except that when only the sync of the folder failed, the change
 * holds as long as the machine stays up. What is in memory is what is in the file.
 */
#ifndef BASTION_KEYS_VAULT_H
#define BASTION_KEYS_VAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "keys/keys_key.h"
#include "keys/keys_seal.h"
#include "lib/err.h"
#include "lib/secret.h"

#define KEYS_MAX 256u		       /* keys in one vault */
#define KEYS_VAULT_FILE_MAX (2u << 20) /* bytes; 256 RSA-4096 keys take 0.7 MiB */
#define KEYS_FLEET_KEY "fleet"	       /* the default key towards hosts */
#define KEYS_OLD_SUFFIX ".old"

struct keys_vault;

/*
 * The vault of this folder, locked. *ret_vault: owned by caller. 0; ERR_NOT_FOUND there is none yet (made with
 * keys_vault_create()); ERR_FORMAT not a vault file; ERR_VERSION; ERR_LIMIT; -ENOMEM; -errno.
 */
int keys_vault_open(const char *dir, struct keys_vault **ret_vault) MUST_CHECK;
void keys_vault_free(struct keys_vault *v);

/* How it is unlocked. */
enum keys_seal_method keys_vault_method(const struct keys_vault *v);
bool keys_vault_is_locked(const struct keys_vault *v);

/*
 * Make a vault in a folder that has none, with a new `host` and a new `fleet` key; unlocked afterwards.
 * 0; ERR_EXISTS; ERR_FORMAT the passphrase or key file has not the right length; ERR_CRYPTO; -ENOMEM; -errno.
 */
int keys_vault_create(const char *dir, enum keys_seal_method method, const struct secret *unlock,
    struct keys_vault **ret_vault) MUST_CHECK;

/* Read the keys. 0; ERR_ORDER unlocked already; errors of keys_seal_open(); ERR_FORMAT content of a later version. */
int keys_vault_unlock(struct keys_vault *v, const struct secret *unlock) MUST_CHECK;

/* Keys in the order of their names. Borrowed. */
size_t keys_vault_n(const struct keys_vault *v);
struct keys_key *keys_vault_at(const struct keys_vault *v, size_t i);
struct keys_key *keys_vault_find(
    const struct keys_vault *v, const char *name); /* NULL: none, or locked */

/* key: the vault takes a reference of its own. 0; ERR_EXISTS; ERR_LIMIT; ERR_ORDER locked; -ENOMEM; -errno. */
int keys_vault_add(struct keys_vault *v, struct keys_key *key) MUST_CHECK;
/* 0; ERR_NOT_FOUND; ERR_DENIED a key of the bastion itself, which is only rotated; ERR_ORDER locked; -ENOMEM; -errno. */
int keys_vault_remove(struct keys_vault *v, const char *name) MUST_CHECK;
/*
 * A new key of the same type under this name; the old one becomes NAME.old and replaces an earlier NAME.old.
 * 0; ERR_NOT_FOUND; ERR_FORMAT no room for ".old"; ERR_LIMIT; ERR_ORDER locked; ERR_CRYPTO; -ENOMEM; -errno.
 */
int keys_vault_rotate(struct keys_vault *v, const char *name) MUST_CHECK;

#endif
