/* The list of keys and the file that holds it. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_vault.h"
#include "lib/file.h"
#include "lib/str.h"

#define CONTENT_VERSION 1u
#define PRIVATE_MAX 8192u /* bytes of one private half */

struct keys_vault {
	char path[PATH_MAX];
	uint8_t *file; /* owned; the sealed file as read, until unlocked */
	size_t file_len;
	enum keys_seal_method method;
	struct keys_seal seal;
	struct keys_key *keys[KEYS_MAX]; /* a reference each; sorted by name */
	size_t n;
};

/* What the vault shall hold next; becomes the truth once it is on disk. */
struct plan {
	struct keys_key *keys[KEYS_MAX + 2]; /* borrowed; sorted by name */
	size_t n;
};

static int
vault_new(const char *dir, struct keys_vault **ret_vault)
{
	struct keys_vault *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return -ENOMEM;
	if ((r = str_format(v->path, sizeof(v->path), "%s/vault", dir)) != 0) {
		free(v);
		return r;
	}
	*ret_vault = v;
	return 0;
}

int
keys_vault_open(const char *dir, struct keys_vault **ret_vault)
{
	struct keys_vault *v = NULL;
	char *file = NULL;
	int r;

	if ((r = vault_new(dir, &v)) != 0)
		return r;
	r = file_read(v->path, KEYS_VAULT_FILE_MAX, &file, &v->file_len);
	v->file = (uint8_t *)file;
	if (r == 0)
		r = keys_seal_read_method(v->file, v->file_len, &v->method);
	if (r != 0) {
		keys_vault_free(v);
		return r == -ENOENT ? ERR_NOT_FOUND : r;
	}
	*ret_vault = v;
	return 0;
}

void
keys_vault_free(struct keys_vault *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		keys_key_unref(v->keys[i]);
	keys_seal_done(&v->seal);
	free(v->file);
	free(v);
}

enum keys_seal_method
keys_vault_method(const struct keys_vault *v)
{
	return v->method;
}

bool
keys_vault_is_locked(const struct keys_vault *v)
{
	return v->seal.file_key == NULL;
}

/* A cursor over memory that was measured before; struct buf is not for secrets. */
struct cursor {
	uint8_t *p;
};

static void
put(struct cursor *c, const void *data, size_t len)
{
	memcpy(c->p, data, len);
	c->p += len;
}

static void
put_be(struct cursor *c, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*c->p++ = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static void
put_str(struct cursor *c, const void *data, size_t len)
{
	put_be(c, len, 4);
	put(c, data, len);
}

static size_t
key_size(const struct keys_key *key)
{
	return 4 + strlen(key->name) + 4 + strlen(sshkey_type_name(key->type)) + 8 + 4 +
	       secret_len(key->private);
}

/* u8 version, u32 n, then n times: string name, string type, u64 made at, string private half. */
static struct secret *
encode(const struct plan *plan)
{
	size_t size = 1 + 4;
	struct secret *content;
	struct cursor c;

	for (size_t i = 0; i < plan->n; i++)
		size += key_size(plan->keys[i]);
	content = secret_new(size);
	if (content == NULL)
		return NULL;
	c.p = secret_ptr(content);
	put_be(&c, CONTENT_VERSION, 1);
	put_be(&c, plan->n, 4);
	for (size_t i = 0; i < plan->n; i++) {
		const struct keys_key *key = plan->keys[i];
		const char *type = sshkey_type_name(key->type);

		put_str(&c, key->name, strlen(key->name));
		put_str(&c, type, strlen(type));
		put_be(&c, key->made_at_ns, 8);
		put_str(&c, secret_cptr(key->private), secret_len(key->private));
	}
	return content;
}

static int
decode_key(struct buf *b, struct keys_key **ret_key)
{
	const uint8_t *type_name, *data;
	char name[KEYS_NAME_MAX + 1];
	size_t type_len, len;
	enum sshkey_type type;
	struct secret *private;
	uint64_t made_at_ns;
	int r;

	if ((r = buf_get_cstr(b, name, sizeof(name))) != 0 ||
	    (r = buf_get_str(b, &type_name, &type_len)) != 0 ||
	    (r = buf_get_u64(b, &made_at_ns)) != 0 || (r = buf_get_str(b, &data, &len)) != 0)
		return r;
	if (sshkey_type_find(type_name, type_len, &type) != 0 || len == 0 || len > PRIVATE_MAX)
		return ERR_FORMAT;
	private = secret_new(len);
	if (private == NULL)
		return -ENOMEM;
	memcpy(secret_ptr(private), data, len);
	if ((r = keys_key_new(name, type, made_at_ns, private, ret_key)) != 0)
		secret_free(private);
	return r;
}

/* The view borrows the secret's own memory: no copy is made on the way. */
static int
decode(struct keys_vault *v, const struct secret *content)
{
	struct buf *b = buf_view(secret_cptr(content), secret_len(content));
	uint8_t version;
	uint32_t n;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &version)) != 0 || (r = buf_get_u32(b, &n)) != 0)
		goto out;
	r = version != CONTENT_VERSION ? ERR_VERSION : n > KEYS_MAX ? ERR_FORMAT : 0;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = decode_key(b, &v->keys[v->n]);
		if (r == 0 && v->n > 0 && strcmp(v->keys[v->n - 1]->name, v->keys[v->n]->name) >= 0)
			r = ERR_FORMAT;
		if (v->keys[v->n] != NULL)
			v->n++;
	}
	if (r == 0)
		r = buf_end(b);
out:
	while (r != 0 && v->n > 0) {
		keys_key_unref(v->keys[--v->n]);
		v->keys[v->n] = NULL;
	}
	buf_free(b);
	return r;
}

int
keys_vault_unlock(struct keys_vault *v, const struct secret *unlock)
{
	struct secret *content = NULL;
	int r;

	if (!keys_vault_is_locked(v))
		return ERR_ORDER;
	if ((r = keys_seal_open(&v->seal, v->file, v->file_len, unlock, &content)) != 0)
		return r;
	r = decode(v, content);
	secret_free(content);
	if (r != 0) {
		keys_seal_done(&v->seal);
		return r;
	}
	free(v->file);
	v->file = NULL;
	return 0;
}

/* Seal the plan's content. *ret_file: owned by caller. */
static int
seal_plan(struct keys_vault *v, struct plan *plan, uint8_t **ret_file, size_t *ret_len)
{
	struct secret *content;
	int r;

	if (plan->n > KEYS_MAX)
		return ERR_LIMIT;
	content = encode(plan);
	if (content == NULL)
		return -ENOMEM;
	r = keys_seal_close(&v->seal, content, ret_file, ret_len);
	secret_free(content);
	return r;
}

/* The plan is on disk: take its keys, let go of those that are not in it. */
static void
adopt(struct keys_vault *v, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		(void)keys_key_ref(plan->keys[i]);
	for (size_t i = 0; i < v->n; i++)
		keys_key_unref(v->keys[i]);
	memset(v->keys, 0, sizeof(v->keys));
	for (size_t i = 0; i < plan->n; i++)
		v->keys[i] = plan->keys[i];
	v->n = plan->n;
}

static bool
is_on_disk(const struct keys_vault *v, const uint8_t *file, size_t len)
{
	char *now = NULL;
	size_t now_len;
	bool same = false;

	if (file_read(v->path, KEYS_VAULT_FILE_MAX, &now, &now_len) == 0)
		same = now_len == len && memcmp(now, file, len) == 0;
	free(now);
	return same;
}

static int
carry_out(struct keys_vault *v, struct plan *plan)
{
	uint8_t *file = NULL;
	size_t len = 0;
	int r;

	if ((r = seal_plan(v, plan, &file, &len)) != 0)
		return r;
	r = file_replace(v->path, 0600, file, len);
	/* The new file may stand in its place and only its folder not be synced: an error, and yet the file counts. */
	if (r == 0 || is_on_disk(v, file, len))
		adopt(v, plan);
	free(file);
	return r;
}

static struct plan
plan_of(const struct keys_vault *v)
{
	struct plan plan = { .n = v->n };

	for (size_t i = 0; i < v->n; i++)
		plan.keys[i] = v->keys[i];
	return plan;
}

static void
plan_add(struct plan *plan, struct keys_key *key)
{
	size_t at = plan->n++;

	for (; at > 0 && strcmp(plan->keys[at - 1]->name, key->name) > 0; at--)
		plan->keys[at] = plan->keys[at - 1];
	plan->keys[at] = key;
}

static void
plan_drop(struct plan *plan, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->keys[i]->name, name) != 0)
			plan->keys[kept++] = plan->keys[i];
	plan->n = kept;
}

static int
plan_generate(struct plan *plan, const char *name, enum sshkey_type type, unsigned bits)
{
	struct keys_key *key = NULL;
	int r = keys_key_generate(name, type, bits, &key);

	if (r == 0)
		plan_add(plan, key);
	return r;
}

int
keys_vault_create(const char *dir, enum keys_seal_method method, const struct secret *unlock,
    struct keys_vault **ret_vault)
{
	struct keys_vault *v = NULL;
	struct plan plan = { 0 };
	uint8_t *file = NULL;
	size_t len = 0;
	int r;

	if ((r = vault_new(dir, &v)) != 0)
		return r;
	v->method = method;
	if ((r = keys_seal_new(&v->seal, method, unlock)) != 0 ||
	    (r = plan_generate(&plan, KEYS_HOST_KEY, SSHKEY_ED25519, 256)) != 0 ||
	    (r = plan_generate(&plan, KEYS_FLEET_KEY, SSHKEY_ED25519, 256)) != 0 ||
	    (r = seal_plan(v, &plan, &file, &len)) != 0 ||
	    (r = file_create(v->path, 0600, file, len)) != 0)
		goto out;
	adopt(v, &plan);
	*ret_vault = v;
	v = NULL;
out:
	for (size_t i = 0; i < plan.n; i++)
		keys_key_unref(plan.keys[i]);
	free(file);
	keys_vault_free(v);
	return r;
}

size_t
keys_vault_n(const struct keys_vault *v)
{
	return v->n;
}

struct keys_key *
keys_vault_at(const struct keys_vault *v, size_t i)
{
	return v->keys[i];
}

struct keys_key *
keys_vault_find(const struct keys_vault *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->keys[i]->name, name) == 0)
			return v->keys[i];
	return NULL;
}

int
keys_vault_add(struct keys_vault *v, struct keys_key *key)
{
	struct plan plan = plan_of(v);

	if (keys_vault_is_locked(v))
		return ERR_ORDER;
	if (keys_vault_find(v, key->name) != NULL)
		return ERR_EXISTS;
	plan_add(&plan, key);
	return carry_out(v, &plan);
}

int
keys_vault_remove(struct keys_vault *v, const char *name)
{
	struct plan plan = plan_of(v);

	if (keys_vault_is_locked(v))
		return ERR_ORDER;
	if (keys_key_is_reserved(name))
		return ERR_DENIED;
	if (keys_vault_find(v, name) == NULL)
		return ERR_NOT_FOUND;
	plan_drop(&plan, name);
	return carry_out(v, &plan);
}

/* The same private half under another name. */
static int
copy_key(const struct keys_key *key, const char *name, struct keys_key **ret_key)
{
	struct secret *private = secret_new(secret_len(key->private));
	int r;

	if (private == NULL)
		return -ENOMEM;
	memcpy(secret_ptr(private), secret_cptr(key->private), secret_len(private));
	if ((r = keys_key_new(name, key->type, key->made_at_ns, private, ret_key)) != 0)
		secret_free(private);
	return r;
}

int
keys_vault_rotate(struct keys_vault *v, const char *name)
{
	struct keys_key *now = keys_vault_find(v, name), *old = NULL, *new = NULL;
	char old_name[KEYS_NAME_MAX + sizeof(KEYS_OLD_SUFFIX)];
	struct plan plan = plan_of(v);
	int r;

	if (keys_vault_is_locked(v))
		return ERR_ORDER;
	if (now == NULL)
		return ERR_NOT_FOUND;
	if ((r = str_format(old_name, sizeof(old_name), "%s%s", name, KEYS_OLD_SUFFIX)) != 0)
		return ERR_FORMAT;
	if ((r = copy_key(now, old_name, &old)) != 0 ||
	    (r = keys_key_generate(name, now->type, now->bits, &new)) != 0)
		goto out;
	plan_drop(&plan, name);
	plan_drop(&plan, old_name);
	plan_add(&plan, old);
	plan_add(&plan, new);
	r = carry_out(v, &plan);
out:
	keys_key_unref(old);
	keys_key_unref(new);
	return r;
}
