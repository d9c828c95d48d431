/*
 * An order for a user certificate, as it follows the CA's name in KEYS_ADM_ISSUE. It is refused, or what the CA signs is a
 * certificate that policy reads and verifies, and that says what was ordered and nothing else.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_crypto.h"
#include "keys/keys_issue.h"
#include "policy/cert.h"

#define CERT_SIZE 65536u
#define PERMITS                                                                                    \
	(CERT_PERMIT_PTY | CERT_PERMIT_PORT_FORWARDING | CERT_PERMIT_AGENT_FORWARDING |            \
	    CERT_PERMIT_X11_FORWARDING)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keys_key *ca;
static struct sshkey *ca_key;

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
make_world(void)
{
	bool locked;

	must(secret_init() == 0 && keys_crypto_init(&locked) == 0 && sshkey_init() == 0);
	must(keys_key_generate(KEYS_USER_CA_PREFIX "fuzz", SSHKEY_ED25519, 0, &ca) == 0);
	must(sshkey_parse(ca->blob, ca->blob_len, &ca_key) == 0);
}

static size_t
count_sources(const char *list)
{
	size_t n = *list != '\0';

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

static void
check_who(const struct keys_issue *q, const struct cert *c)
{
	must(c->type == CERT_USER && c->serial == q->serial && strcmp(c->key_id, q->key_id) == 0);
	must(c->key_blob_len == q->key_blob_len &&
	     memcmp(c->key_blob, q->key_blob, q->key_blob_len) == 0);
	must(c->n_principals == q->n_principals && q->n_principals > 0);
	for (size_t i = 0; i < c->n_principals; i++) {
		must(strcmp(c->principals[i], q->principals[i]) == 0);
		must(c->principals[i][0] != '\0' && strpbrk(c->principals[i], " ,*?!") == NULL);
	}
}

static void
check_what(const struct keys_issue *q, const struct cert *c)
{
	must(c->valid_after == q->after_s && c->valid_before == q->before_s);
	must((c->force_command != NULL) == (q->command[0] != '\0'));
	must(c->force_command == NULL || strcmp(c->force_command, q->command) == 0);
	must(c->has_sources == (q->sources[0] != '\0'));
	must(c->n_sources == count_sources(q->sources));
	must(c->permits == (q->clear ? 0 : PERMITS) && !c->verify_required);
}

static void
check_cert(const struct keys_issue *q, const struct buf *blob)
{
	struct cert *c = NULL;

	must(cert_parse(buf_ptr(blob), buf_len(blob), &c, NULL) == 0);
	must(c->ca_blob_len == ca->blob_len && memcmp(c->ca_blob, ca->blob, ca->blob_len) == 0);
	must(cert_verify(c, buf_ptr(blob), ca_key, 3072) == 0);
	check_who(q, c);
	check_what(q, c);
	cert_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys_issue *q = calloc(1, sizeof(*q));
	struct buf *order = buf_view(data, size), *blob = buf_new(CERT_SIZE);
	const char *why = NULL;

	if (ca == NULL)
		make_world();
	must(q != NULL && order != NULL && blob != NULL);
	/* One that would be too long for a login is refused when it is made. */
	if (keys_issue_read(order, q, &why) == 0 && keys_issue_cert(ca, q, blob) == 0)
		check_cert(q, blob);
	buf_free(order);
	buf_free(blob);
	free(q);
	return 0;
}
