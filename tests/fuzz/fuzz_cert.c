/* The certificate reader: whatever it accepts is whole and within its limits. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct cert *c, const uint8_t *data, size_t size)
{
	struct sshkey *key = NULL, *ca = NULL;
	struct net_addr from = { { 0 } };

	if (c->n_principals > CERT_PRINCIPALS_MAX || c->n_sources > CERT_SOURCES_MAX ||
	    strlen(c->key_id) > CERT_KEY_ID_MAX || c->signed_len >= size ||
	    (c->type != CERT_USER && c->type != CERT_HOST) || (c->has_sources && c->n_sources == 0))
		abort();
	/* The plain blob that is looked up in lists is a key, and the same one. */
	if (sshkey_parse(c->key_blob, c->key_blob_len, &key) != 0 ||
	    sshkey_type(key) != sshkey_type(c->key))
		abort();
	if (sshkey_parse(c->ca_blob, c->ca_blob_len, &ca) == 0 &&
	    cert_verify(c, data, ca, 3072) == 0)
		(void)cert_check_time(c, 1);
	(void)cert_source_allowed(c, &from);
	(void)cert_has_principal(c, "alice");
	(void)cert_names_host(c, "web1.example.com");
	sshkey_free(key);
	sshkey_free(ca);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct cert *c = NULL;
	int r = cert_parse(data, size, &c, &why);

	if (r == 0)
		check(c, data, size);
	else if (c != NULL || why == NULL)
		abort();
	cert_free(c);
	return 0;
}
