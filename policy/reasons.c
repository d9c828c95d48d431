/* One table. build-aux/check-reasons holds it against the words that policy uses. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "policy/reasons.h"

#define SEE_EXPLAIN                                                                                \
	"bastionctl policy explain IDENTITY HOST shows every rule and why it does not fit"

static const struct reason reasons[] = {
	/* What was shown. */
	{ "unknown-key", "no user has this key",
	    "if it is the right person's, add it to their keys in policy.yaml" },
	{ "unknown-ca",
	    "the certificate's CA is not one of login.user_ca, or does not speak for this person",
	    "compare the event's credential.ca with the fingerprints of login.user_ca and with the "
	    "user's ca list" },
	{ "unknown-principal", "no user has one of the certificate's principals",
	    "add the principal to the user in policy.yaml, or issue a certificate with theirs" },
	{ "no-principals", "the certificate names no principal; it would be good for everybody",
	    "issue one that names its person" },
	{ "certificate-time", "the certificate is not valid at this time",
	    "issue a new one; if it looks valid, compare the clocks" },
	{ "certificate-type", "it is a host's certificate, not a user's", NULL },
	{ "source-address", "the certificate may not be used from this address",
	    "its source-address option lists the networks" },
	{ "verify-required", "the certificate asks for a security key that verifies its user",
	    NULL },
	{ "bad-ca-signature", "the CA's signature under the certificate does not verify",
	    "it was changed or damaged: issue it again" },
	{ "malformed-certificate",
	    "the certificate cannot be read, or holds an option that is not known",
	    "ssh-keygen -L -f FILE shows what is in it" },
	{ "malformed-key", "the key cannot be read", NULL },
	{ "weak-key", "the RSA key is too short",
	    "make a new key: ssh-keygen -t ed25519; or see compat in policy.yaml(5)" },
	{ "unknown-algorithm", "a signature algorithm that is not accepted", NULL },
	{ "algorithm-mismatch", "the key is of another type than the client announced", NULL },
	{ "revoked", "the key, its certificate or its CA is in the revocation list",
	    "detail says by what; the list is login.revoked in bastiond.yaml" },
	{ "bad-signature", "the signature does not verify: the key's owner did not sign this login",
	    "one client that fails in this way is broken; several are an attack" },
	{ "not-touched", "the security key was not touched", NULL },
	{ "not-verified", "the security key did not verify its user (PIN)", NULL },
	{ "key-used-twice", "the same key was shown as the second factor", NULL },
	{ "another-identity", "a later factor is another person's than the first", NULL },
	{ "offered-only",
	    "the client offered a key that would do, and left without signing with it",
	    "a security key that was not touched, an agent that asked, or somebody who tries whose "
	    "keys are known here" },
	{ "forced-commands-differ",
	    "two certificates force two commands, and a session can only run one", NULL },
	{ "second-factor-needed",
	    "a rule for this target has how.mfa, and only one method had succeeded",
	    "the client was told which one is missing" },
	/* PAM. */
	{ "pam-denied", "PAM did not let this person in",
	    "pam.said and pam.stage say what the stack said" },
	{ "pam-account", "PAM knows this person, but the account may not be used now",
	    "expired, locked, or outside its hours: pam.said says more" },
	{ "pam-broken", "PAM could not decide",
	    "pam.said or pam.ended say how: no such service, a module that failed, a provider that "
	    "is down" },
	{ "pam-abandoned", "the person left, or took too long to answer",
	    "login.pam.timeout is the longest that it may take" },
	{ "pam-user-changed", "a module made PAM_USER another one than was asked about",
	    "where PAM is to say who somebody is: login.pam.identity_from_pam" },
	{ "pam-bad-name", "the identity that PAM named cannot be one", NULL },
	{ "pam-name-case",
	    "PAM took a name that policy.yaml has in other upper and lower case letters",
	    "the name has to be written as it is there" },
	{ "pam-too-much", "PAM named more than can be kept", NULL },
	/* Who and where. */
	{ "unproved-identity",
	    "the user name names somebody whom the key or certificate does not prove",
	    "claim is what was asked for, identity who it was" },
	{ "ambiguous-identity",
	    "the key or certificate stands for several people, and the user name does not say "
	    "which",
	    "write IDENTITY+LOGIN+HOST" },
	{ "unknown-user", "no user of this name", NULL },
	{ "bad-name", "the user name is not one that can be meant",
	    "hint shows the right spelling" },
	{ "several-logins", "several logins are possible there, and none was named", NULL },
	{ "unknown-host", "no host of this name, and no pattern that holds it",
	    "bastionctl hosts list shows those that there are" },
	{ "host-not-allowed", "no rule allows it", SEE_EXPLAIN },
	{ "host-denied-by-rule", "a deny rule forbids it", SEE_EXPLAIN },
	{ "port-not-allowed", "not a port of this host",
	    "a host's other ports are listed in its ports in policy.yaml" },
	{ "host-not-pinned",
	    "a rule allows it, but the host has neither host_keys nor host_ca, so nothing would "
	    "prove "
	    "that it is that host",
	    "bastionctl hosts pin HOST" },
	{ "host-without-key", "a rule allows it, but the host has no key of the vault",
	    "set key: of the host in policy.yaml to one of bastionctl keys list" },
	/* How it was asked. */
	{ "not-logged-in",
	    "a front asked for a host or a shell on a connection that is not logged in for that",
	    "where it is an alarm, it was ended; treat it as taken over until you know better" },
	{ "method-not-allowed", "a way to log in that login.methods does not have, or not yet",
	    NULL },
	{ "user-changed", "the client changed the user name during the login", NULL },
	{ "unknown-service", "the client asked for another service than ssh-connection", NULL },
	{ "malformed-request", "the login request does not follow RFC 4252", NULL },
	{ "too-many-requests", "the client asked too often on one connection", NULL },
	/* The bastion itself. */
	{ "no-policy", "no policy is in force", "bastiond -t names what is wrong with the files" },
	{ "no-recorder", "nothing could be recorded, so nobody was let in",
	    "bastionctl doctor says what keeps the recorder from working" },
	{ "no-grant", "the session could not be opened", "the log of bastiond-policy says why" },
	{ "no-session-id", "the vault has not signed this connection's key exchange",
	    "a front that was taken over, or a vault that ended at that moment" },
	{ "second-session-id",
	    "a front had a vault that was started anew sign a second first key exchange",
	    "it was ended; treat it as taken over until you know better" },
	{ "rules-broken", "a program of the bastion broke the protocol between them",
	    "it was ended; treat it as taken over until you know better" },
	{ "failed", "the bastion failed to check the login",
	    "the log of bastiond-policy says why" },
};

const struct reason *
reason_find(const char *word)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].word, word) == 0)
			return &reasons[i];
	return NULL;
}
