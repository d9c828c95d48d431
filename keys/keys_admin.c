/* Key administration: one request, one answer. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_admin.h"
#include "keys/keys_import.h"
#include "keys/keys_issue.h"
#include "keys/keys_jump.h"
#include "keys/keys_proto.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/str.h"

#define REPLY_MAX 64000u /* bytes of an answer; a list of KEYS_MAX keys takes at most 62,000 */
#define PASSPHRASE_MAX KEYS_SEAL_PASSPHRASE_MAX

enum code { YES = 0, NO = 1, USAGE = 2, UNSURE = 3 }; /* exit codes of bastionctl */

struct admin {
	LIST_ENTRY(admin) link;
	struct keys_admins *all;
	struct ipc *edge;
	char who[64];
};

struct keys_admins {
	struct loop *loop;
	struct keys_policy *policy;
	struct keys_admin_ops ops;
	LIST_HEAD(, admin) list;
	size_t n;
};

/* What a request carries, in the order of its fields. */
struct request {
	char name[KEYS_NAME_MAX + 1], type[16], host[KEYS_TARGET_MAX + 1];
	struct secret *passphrase; /* NULL: empty */
	struct secret *file;
	const uint8_t *rest; /* of the message; borrowed */
	size_t rest_len;
};

static int
reply(struct admin *a, uint32_t id, enum code code, const char *text)
{
	struct buf *b = buf_new(REPLY_MAX + 8);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_u8(b, (uint8_t)code)) == 0 &&
	    (r = buf_put_cstr(b, text)) == 0)
		r = ipc_send_buf(a->edge, KEYS_ADM_REPLY, id, b);
	buf_free(b);
	return r;
}

static int PRINTF_LIKE(4, 5)
    replyf(struct admin *a, uint32_t id, enum code code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt,
	    ap); /* our own short lines; a cut one still says what matters */
	va_end(ap);
	return reply(a, id, code, text);
}

static int
reply_error(struct admin *a, uint32_t id, const char *name, int err)
{
	if (err == ERR_NOT_FOUND)
		return replyf(a, id, NO, "%s: no such key: bastionctl keys list shows them", name);
	if (err == ERR_EXISTS)
		return replyf(
		    a, id, NO, "%s: a key of this name exists: rotate or remove it", name);
	if (err == ERR_DENIED)
		return replyf(
		    a, id, NO, "%s: a key of the bastion itself is not removed: rotate it", name);
	if (err == ERR_LIMIT)
		return replyf(a, id, NO, "%s: the vault is full (%u keys)", name, KEYS_MAX);
	if (err == -ENOMEM)
		return replyf(a, id, UNSURE,
		    "%s: out of memory that can be locked: raise the limit (ulimit -l, "
		    "LimitMEMLOCK=)",
		    name);
	return replyf(a, id, UNSURE, "%s: %s; bastionctl keys list shows what the vault holds",
	    name, err_str(err));
}

/* The open vault, or NULL after an answer that says what to do. */
static struct keys_vault *
open_vault(struct admin *a, uint32_t id, int *ret_r)
{
	struct keys_vault *v = a->all->ops.vault(a->all->ops.arg);

	if (v == NULL)
		*ret_r = reply(a, id, UNSURE, "there is no vault here: bastionctl init makes one");
	else if (keys_vault_is_locked(v))
		*ret_r = reply(a, id, UNSURE, "the vault is locked: bastionctl keys unlock");
	else
		return v;
	return NULL;
}

/* A passphrase goes from the message into locked memory, and out of the message. */
static int
get_passphrase(struct buf *b, struct secret **ret_passphrase)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if (len > PASSPHRASE_MAX)
		return ERR_LIMIT;
	if (len == 0)
		return 0;
	*ret_passphrase = secret_take((void *)(uintptr_t)p, len);
	return *ret_passphrase != NULL ? 0 : -ENOMEM;
}

static int
get_rest(struct buf *b, struct request *req)
{
	req->rest_len = buf_len(b);
	return buf_get_ptr(b, req->rest_len, &req->rest);
}

/* fields: one letter each: n a name, t a type, h a host, p a passphrase, r the rest. Negative: the edge ends. */
static int
open_request(const struct ipc_msg *msg, const char *fields, struct request *ret_req)
{
	struct buf *b = buf_view(msg->data, msg->len);
	int r = b == NULL ? -ENOMEM : 0;

	for (; r == 0 && *fields != '\0'; fields++) {
		if (*fields == 'n')
			r = buf_get_cstr(b, ret_req->name, sizeof(ret_req->name));
		else if (*fields == 't')
			r = buf_get_cstr(b, ret_req->type, sizeof(ret_req->type));
		else if (*fields == 'h')
			r = buf_get_cstr(b, ret_req->host, sizeof(ret_req->host));
		else if (*fields == 'r')
			r = get_rest(b, ret_req);
		else
			r = get_passphrase(b, &ret_req->passphrase);
	}
	if (r == 0)
		r = buf_end(b);
	buf_free(b);
	return r;
}

static void
changed(struct admin *a, const char *verb, const struct keys_key *key)
{
	char what[256], word[16];

	if (a->all->policy == NULL)
		return;
	(void)snprintf(what, sizeof(what), "%s %s %s %s", verb, key->name,
	    keys_key_word(key, word, sizeof(word)), key->fingerprint);
	keys_policy_changed(a->all->policy, a->who, what);
}

/* One object of the list; nothing in it needs escaping. */
static int
put_key_json(struct buf *b, const struct keys_key *key)
{
	char line[512], word[16], at[CLOCK_TEXT_SIZE];
	int r;

	r = str_format(line, sizeof(line),
	    "{\"name\":\"%s\",\"type\":\"%s\",\"bits\":%u,\"fingerprint\":\"%s\",\"created_at\":\"%"
	    "s\"}",
	    key->name, keys_key_word(key, word, sizeof(word)), key->bits, key->fingerprint,
	    clock_text(at, sizeof(at), key->made_at_ns));
	return r != 0 ? r : buf_put(b, line, strlen(line));
}

static int
on_list(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_vault *v;
	struct buf *b;
	int r = 0;

	(void)req;
	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	b = buf_new(REPLY_MAX);
	r = b == NULL ? -ENOMEM : buf_put(b, "[", 1);
	for (size_t i = 0; r == 0 && i < keys_vault_n(v); i++) {
		r = i > 0 ? buf_put(b, ",", 1) : 0;
		if (r == 0)
			r = put_key_json(b, keys_vault_at(v, i));
	}
	if (r == 0 && (r = buf_put(b, "]", 2)) == 0)
		r = reply(a, msg->id, YES, (const char *)buf_ptr(b));
	buf_free(b);
	return r;
}

static int
reply_public(struct admin *a, uint32_t id, const struct keys_key *key)
{
	char *line = keys_key_line(key);
	int r = line == NULL ? -ENOMEM : reply(a, id, YES, line);

	free(line);
	return r;
}

static int
add_key(struct admin *a, uint32_t id, struct keys_vault *v, const char *verb, struct keys_key *key)
{
	int r = keys_vault_add(v, key);

	if (r != 0)
		return reply_error(a, id, key->name, r);
	changed(a, verb, key);
	return reply_public(a, id, key);
}

static const char bad_name[] =
    "a key's name is 1 to 64 of A-Z a-z 0-9 . _ - and starts with none of . -";

static int
on_generate(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_key *key = NULL;
	struct keys_vault *v;
	enum sshkey_type type;
	unsigned bits;
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	if (!keys_key_is_name(req->name))
		return reply(a, msg->id, USAGE, bad_name);
	if (keys_key_kind(req->type, &type, &bits) != 0)
		return reply(a, msg->id, USAGE,
		    "a key's type is ed25519, ecdsa-256, ecdsa-384, ecdsa-521, rsa-3072 or "
		    "rsa-4096");
	if (keys_vault_find(v, req->name) != NULL)
		return reply_error(a, msg->id, req->name, ERR_EXISTS);
	if ((r = keys_key_generate(req->name, type, bits, &key)) != 0)
		return reply_error(a, msg->id, req->name, r);
	r = add_key(a, msg->id, v, "generated", key);
	keys_key_unref(key);
	return r;
}

static int
on_import(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct secret *private = NULL;
	struct keys_key *key = NULL;
	enum sshkey_type type;
	struct keys_vault *v;
	const char *why = "";
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	if (!keys_key_is_name(req->name))
		return reply(a, msg->id, USAGE, bad_name);
	if (keys_vault_find(v, req->name) != NULL)
		return reply_error(a, msg->id, req->name, ERR_EXISTS);
	if ((r = keys_import_read(msg->fds[0], &req->file)) != 0)
		return replyf(a, msg->id, UNSURE, "%s: the private key file: %s", req->name,
		    r == ERR_FORMAT ? "not a regular file, or empty" : err_str(r));
	if ((r = keys_import_parse(req->file, req->passphrase, &type, &private, &why)) != 0)
		return replyf(a, msg->id, UNSURE, "%s: %s", req->name, why);
	if ((r = keys_key_new(req->name, type, clock_wall_ns(), private, &key)) != 0) {
		secret_free(private);
		return reply_error(a, msg->id, req->name, r);
	}
	r = add_key(a, msg->id, v, "imported", key);
	keys_key_unref(key);
	return r;
}

static int
on_public(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_vault *v;
	struct keys_key *key;
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	key = keys_vault_find(v, req->name);
	return key == NULL ? reply_error(a, msg->id, req->name, ERR_NOT_FOUND)
			   : reply_public(a, msg->id, key);
}

/* What clients see behind ssh -J as this host's key. */
static int
on_jump(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_key *root, *key = NULL;
	struct keys_vault *v;
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	if ((root = keys_vault_find(v, KEYS_JUMP_KEY)) == NULL)
		return reply_error(a, msg->id, KEYS_JUMP_KEY, ERR_NOT_FOUND);
	if ((r = keys_jump_key(root, req->host, &key)) == ERR_FORMAT)
		return reply(a, msg->id, USAGE, "that is no host name");
	if (r != 0)
		return reply_error(a, msg->id, KEYS_JUMP_KEY, r);
	r = reply_public(a, msg->id, key);
	keys_key_unref(key);
	return r;
}

static int
on_remove(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_vault *v;
	struct keys_key *key;
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	key = keys_vault_find(v, req->name);
	if (key != NULL)
		(void)keys_key_ref(key);
	r = keys_vault_remove(v, req->name);
	if (r == 0)
		changed(a, "removed", key);
	r = r == 0 ? replyf(a, msg->id, YES, "removed %s", req->name)
		   : reply_error(a, msg->id, req->name, r);
	keys_key_unref(key);
	return r;
}

static int
on_rotate(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_vault *v;
	struct keys_key *key;
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	if ((r = keys_vault_rotate(v, req->name)) == ERR_FORMAT)
		return replyf(a, msg->id, USAGE, "%s: the name is too long to get \"%s\" behind it",
		    req->name, KEYS_OLD_SUFFIX);
	if (r != 0)
		return reply_error(a, msg->id, req->name, r);
	key = keys_vault_find(v, req->name);
	changed(a, "rotated", key);
	if (strcmp(req->name, KEYS_HOST_KEY) == 0)
		a->all->ops.unlocked(a->all->ops.arg);
	return reply_public(a, msg->id, key);
}

/* Who has what certificate is a fact that must not be lost: the event names it. */
static void
issued(struct admin *a, const struct keys_key *ca, const struct keys_issue *q)
{
	char what[1024], until[CLOCK_TEXT_SIZE];

	if (a->all->policy == NULL)
		return;
	(void)snprintf(what, sizeof(what),
	    "issued by %s: serial %llu, key id \"%s\", principal %s%s, until %s", ca->name,
	    (unsigned long long)q->serial, q->key_id, q->principals[0],
	    q->n_principals > 1 ? " and others" : "",
	    clock_text(until, sizeof(until),
		q->before_s < UINT64_MAX / CLOCK_NS_PER_S ? q->before_s * CLOCK_NS_PER_S
							  : UINT64_MAX));
	keys_policy_changed(a->all->policy, a->who, what);
}

static int
issue(struct admin *a, uint32_t id, const struct keys_key *ca, const struct keys_issue *q)
{
	struct buf *cert = buf_new(REPLY_MAX / 2);
	char *line = NULL;
	int r = cert == NULL ? -ENOMEM : keys_issue_cert(ca, q, cert);

	if (r == 0 && (line = keys_issue_line(q, cert)) == NULL)
		r = -ENOMEM;
	if (r == 0) {
		issued(a, ca, q);
		r = reply(a, id, YES, line);
	} else if (r == ERR_LIMIT) {
		r = reply(a, id, USAGE, "the certificate would be too long for a login");
	} else {
		r = replyf(a, id, UNSURE, "%s: %s", ca->name, err_str(r));
	}
	free(line);
	buf_free(cert);
	return r;
}

static int
on_issue(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_issue *q;
	const char *why = NULL;
	struct keys_vault *v;
	struct keys_key *ca;
	struct buf *b;
	int r = 0;

	if ((v = open_vault(a, msg->id, &r)) == NULL)
		return r;
	if (!keys_key_is_user_ca(req->name))
		return reply(a, msg->id, USAGE,
		    "only a key whose name begins with " KEYS_USER_CA_PREFIX
		    " signs user certificates");
	if ((ca = keys_vault_find(v, req->name)) == NULL)
		return reply_error(a, msg->id, req->name, ERR_NOT_FOUND);
	q = calloc(1, sizeof(*q));
	b = buf_view(req->rest, req->rest_len);
	r = q == NULL || b == NULL ? -ENOMEM : keys_issue_read(b, q, &why);
	if (r == 0)
		r = issue(a, msg->id, ca, q);
	else if (why != NULL)
		r = reply(a, msg->id, USAGE, why);
	buf_free(b);
	free(q);
	return r;
}

static int
on_unlock(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_vault *v = a->all->ops.vault(a->all->ops.arg);
	int r;

	if (v == NULL)
		return reply(
		    a, msg->id, UNSURE, "there is no vault here: bastionctl init makes one");
	if (!keys_vault_is_locked(v))
		return reply(a, msg->id, YES, "the vault is open already");
	if (req->passphrase == NULL)
		return reply(a, msg->id, NO, "a passphrase is needed; the vault stays locked");
	if ((r = keys_vault_unlock(v, req->passphrase)) == ERR_DENIED)
		return reply(a, msg->id, NO,
		    "wrong passphrase, or the vault file's head was changed; it stays locked");
	if (r == ERR_SIGNATURE || r == ERR_FORMAT || r == ERR_VERSION)
		return reply(
		    a, msg->id, UNSURE, "the vault file is damaged: put back a copy of it");
	if (r != 0)
		return replyf(a, msg->id, UNSURE, "the vault stays locked: %s", err_str(r));
	a->all->ops.unlocked(a->all->ops.arg);
	return reply(a, msg->id, YES, "the vault is open");
}

static int
on_create(struct admin *a, struct ipc_msg *msg, struct request *req)
{
	struct keys_vault *v;
	int r = a->all->ops.create(a->all->ops.arg, req->passphrase);

	if (r == ERR_EXISTS)
		return reply(a, msg->id, NO, "a vault exists here; it was not touched");
	if (r == ERR_ORDER)
		return reply(a, msg->id, NO, "a vault is only made by bastionctl init");
	if (r == ERR_FORMAT)
		return replyf(a, msg->id, USAGE, "a passphrase has %u to %u bytes",
		    KEYS_SEAL_PASSPHRASE_MIN, KEYS_SEAL_PASSPHRASE_MAX);
	if (r != 0)
		return replyf(a, msg->id, UNSURE, "the vault was not made: %s", err_str(r));
	v = a->all->ops.vault(a->all->ops.arg);
	return reply_public(a, msg->id, keys_vault_find(v, KEYS_FLEET_KEY));
}

static const struct {
	uint16_t type;
	const char *fields;
	int (*handle)(struct admin *a, struct ipc_msg *msg, struct request *req);
} requests[] = {
	{ KEYS_ADM_LIST, "", on_list },
	{ KEYS_ADM_GENERATE, "nt", on_generate },
	{ KEYS_ADM_IMPORT, "np", on_import },
	{ KEYS_ADM_PUBLIC, "n", on_public },
	{ KEYS_ADM_REMOVE, "n", on_remove },
	{ KEYS_ADM_ROTATE, "n", on_rotate },
	{ KEYS_ADM_UNLOCK, "p", on_unlock },
	{ KEYS_ADM_CREATE, "p", on_create },
	{ KEYS_ADM_JUMP, "h", on_jump },
	{ KEYS_ADM_ISSUE, "nr", on_issue },
};

static int
on_request(void *arg, struct ipc_msg *msg)
{
	struct request req = { 0 };
	struct admin *a = arg;
	size_t i = 0;
	int r;

	while (requests[i].type != msg->type) /* the rules let no other type pass */
		i++;
	if ((r = open_request(msg, requests[i].fields, &req)) == 0)
		r = requests[i].handle(a, msg, &req);
	secret_free(req.passphrase);
	secret_free(req.file);
	return r;
}

#define NAMED (4 + KEYS_NAME_MAX)
static const struct ipc_rule rules[] = {
	{ KEYS_ADM_LIST, "list", 0, 0, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_GENERATE, "generate", 8, NAMED + 4 + 15, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_IMPORT, "import", 8, NAMED + 4 + PASSPHRASE_MAX, 1, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_PUBLIC, "public", 4, NAMED, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_REMOVE, "remove", 4, NAMED, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_ROTATE, "rotate", 4, NAMED, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_UNLOCK, "unlock", 4, 4 + PASSPHRASE_MAX, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_CREATE, "create", 4, 4 + PASSPHRASE_MAX, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_JUMP, "jump", 4, 4 + KEYS_TARGET_MAX, 0, IPC_ANY_STATE, on_request },
	{ KEYS_ADM_ISSUE, "issue", 4, 32768, 0, IPC_ANY_STATE, on_request },
};

static void
admin_free(struct admin *a)
{
	LIST_REMOVE(a, link);
	a->all->n--;
	ipc_free(a->edge);
	free(a);
}

static void
on_gone(void *arg, int err)
{
	struct admin *a = arg;
	struct keys_admins *all = a->all;

	(void)err; /* a tool that ends, or that another build made: it hears of it itself */
	admin_free(a);
	if (all->n == 0 && all->ops.idle != NULL)
		all->ops.idle(all->ops.arg);
}

struct keys_admins *
keys_admins_new(struct loop *l, struct keys_policy *policy, const struct keys_admin_ops *ops)
{
	struct keys_admins *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->loop = l;
	a->policy = policy;
	a->ops = *ops;
	LIST_INIT(&a->list);
	return a;
}

void
keys_admins_free(struct keys_admins *a)
{
	struct admin *admin, *next;

	if (a == NULL)
		return;
	for (admin = LIST_FIRST(&a->list); admin != NULL; admin = next) {
		next = LIST_NEXT(admin, link);
		admin_free(admin);
	}
	free(a);
}

int
keys_admins_add(struct keys_admins *a, int fd, const char *who)
{
	struct ipc_conf conf = {
		.name = "keys-admin",
		.queue_max = 64,
		.rules = rules,
		.n_rules = sizeof(rules) / sizeof(rules[0]),
		.gone = on_gone,
	};
	struct admin *admin;
	int r;

	if (a->n >= KEYS_ADMINS_MAX)
		return ERR_LIMIT;
	admin = calloc(1, sizeof(*admin));
	if (admin == NULL)
		return -ENOMEM;
	admin->all = a;
	str_escape(admin->who, sizeof(admin->who), who, strlen(who));
	conf.arg = admin;
	if ((r = ipc_new(a->loop, fd, &conf, &admin->edge)) != 0) {
		free(admin);
		return r;
	}
	LIST_INSERT_HEAD(&a->list, admin, link);
	a->n++;
	return 0;
}
