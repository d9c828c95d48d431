/* Which algorithm names are known: RFC 4252, 8332, 8709, OpenSSH's PROTOCOL.certkeys and PROTOCOL.u2f. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "policy/algs.h"

#define PLAIN(name, type)                                                                          \
	{                                                                                          \
		name, name, name, type, false                                                      \
	}
#define CERT(name, sig, type)                                                                      \
	{                                                                                          \
		name, name, sig, type, true                                                        \
	}

static const struct algs_alg algs[] = {
	PLAIN("ssh-ed25519", SSHKEY_ED25519),
	PLAIN("ecdsa-sha2-nistp256", SSHKEY_ECDSA_256),
	PLAIN("ecdsa-sha2-nistp384", SSHKEY_ECDSA_384),
	PLAIN("ecdsa-sha2-nistp521", SSHKEY_ECDSA_521),
	PLAIN("sk-ssh-ed25519@openssh.com", SSHKEY_SK_ED25519),
	PLAIN("sk-ecdsa-sha2-nistp256@openssh.com", SSHKEY_SK_ECDSA),
	{ "rsa-sha2-256", "ssh-rsa", "rsa-sha2-256", SSHKEY_RSA, false },
	{ "rsa-sha2-512", "ssh-rsa", "rsa-sha2-512", SSHKEY_RSA, false },
	CERT("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", SSHKEY_ED25519),
	CERT("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", SSHKEY_ECDSA_256),
	CERT("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", SSHKEY_ECDSA_384),
	CERT("ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", SSHKEY_ECDSA_521),
	CERT(
	    "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", SSHKEY_SK_ED25519),
	CERT("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
	    SSHKEY_SK_ECDSA),
	{ "rsa-sha2-256-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-256",
	    SSHKEY_RSA, true },
	{ "rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512",
	    SSHKEY_RSA, true },
};
#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

const struct algs_alg *
algs_find(const char *name)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

const struct algs_alg *
algs_find_cert_type(const char *blob_type)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].cert && strcmp(algs[i].blob_type, blob_type) == 0)
			return &algs[i];
	return NULL;
}
