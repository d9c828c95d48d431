/* Everything that is offered, claimed or signed for something else, and is no login. */
#include "config.h"

#include "tests/hostile/offer.h"

#define MANY 10000

#define REQ(...) (&(const struct offer_request){ __VA_ARGS__ })
/* A request that is refused, one that would do, one that is not answered at all. */
#define FAILS(...)                                                                                 \
	{                                                                                          \
		.request = REQ(__VA_ARGS__), .want = 51                                            \
	}
#define WOULD_DO(...)                                                                              \
	{                                                                                          \
		.request = REQ(__VA_ARGS__), .want = 60                                            \
	}
#define ENDS(...)                                                                                  \
	{                                                                                          \
		.request = REQ(__VA_ARGS__), .want = 1                                             \
	}
#define AT_ONCE(...)                                                                               \
	{                                                                                          \
		.request = REQ(__VA_ARGS__)                                                        \
	}
#define BYTES(b)                                                                                   \
	{                                                                                          \
		.bytes = (b), .len = sizeof(b) - 1                                                 \
	}

#define OFFER_ONLY .event = "auth.abandoned", 1, "offered-only", "no_auth"
#define DENIED(why) .event = "auth.denied", 1, why, "auth_failure"
#define NOTHING .event = "-", 0, "", "no_auth"
/* Cut off in the middle: as many events as there were answers. */
#define FLOODED .event = "*", 6, "method-not-allowed|bad-signature", "no_auth|auth_failure"
/* It is over before the answer, which it cannot profit from: the charge is for whichever of the two is first. */
#define LEFT .event = "*", 1, "bad-signature", "no_auth|auth_failure"

static const char long_user[30001] = "a name that is longer than any, and then nothing but zeros";
#define TEN "eeeeeeeeee"
#define FIFTY TEN TEN TEN TEN TEN
static const char longer_user[] = FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY;

/* clang-format off */
const struct offer_mode offer_modes[] = {
	/* Offered is not proved. */
	{ "offer-then-shell", OFFER_ONLY, { WOULD_DO(0) } },
	{ "offer-and-shell-at-once", OFFER_ONLY, { AT_ONCE(0) } },
	{ "offer-twice-then-shell", OFFER_ONLY, { WOULD_DO(0), WOULD_DO(0) } },
	{ "offer-then-success-of-its-own", OFFER_ONLY, { WOULD_DO(0), BYTES("\64") } },
	{ "offer-then-pk-ok-of-its-own", OFFER_ONLY, { WOULD_DO(0), BYTES("\74\0\0\0\0\0\0\0\0") } },
	{ "offer-then-info-response", OFFER_ONLY, { WOULD_DO(0), BYTES("\75\0\0\0\1\0\0\0\1x") } },
	{ "offer-then-global-request", OFFER_ONLY,
	    { WOULD_DO(0), BYTES("\120\0\0\0\15tcpip-forward\1\0\0\0\0\0\0\0\0") } },
	{ "offer-then-none", DENIED("method-not-allowed"), { WOULD_DO(0), FAILS(.method = "none") } },
	{ "offer-without-end", DENIED("too-many-requests"),
	    { { .request = REQ(0), .want = 60, .times = MANY } } },
	{ "certificate-offer-then-shell", OFFER_ONLY, { WOULD_DO(.key = "carol", .ca = "ca") } },
	/* One is offered, another one signs. */
	{ "key-of-one-signature-of-another", DENIED("bad-signature"), { FAILS(.signer = "bob") } },
	{ "offer-one-sign-as-another", DENIED("bad-signature"),
	    { WOULD_DO(0), FAILS(.signer = "bob") } },
	{ "offer-one-then-an-unknown-key", DENIED("unknown-key"),
	    { WOULD_DO(0), FAILS(.key = "nobody", .signer = "nobody") } },
	{ "offer-unknown-sign-known", DENIED("unknown-key"),
	    { FAILS(.key = "nobody", .signer = "eve") } },
	{ "certificate-signature-of-another", DENIED("bad-signature"),
	    { WOULD_DO(.key = "carol", .ca = "ca"), FAILS(.key = "carol", .ca = "ca", .signer = "eve") } },
	{ "certificate-signed-by-its-ca", DENIED("bad-signature"),
	    { FAILS(.key = "carol", .ca = "ca", .signer = "ca") } },
	{ "certificate-then-its-plain-key", DENIED("unknown-key"),
	    { WOULD_DO(.key = "carol", .ca = "ca"), FAILS(.key = "carol", .signer = "carol") } },
	{ "certificate-of-another-ca", DENIED("unknown-ca"),
	    { FAILS(.key = "carol", .ca = "eve", .signer = "carol") } },
	{ "certificate-of-itself", DENIED("unknown-ca"),
	    { FAILS(.key = "carol", .ca = "carol", .signer = "carol") } },
	{ "anothers-key-in-a-certificate", DENIED("bad-ca-signature"),
	    { FAILS(.key = "carol", .ca = "ca", .swapped = "bob", .signer = "bob") } },
	{ "the-ca-as-a-key", DENIED("unknown-key"), { FAILS(.key = "ca", .signer = "ca") } },
	/* What was signed is something else. */
	{ "other-session-id", DENIED("bad-signature"), { FAILS(.signer = "eve", .other_sid = true) } },
	{ "no-session-id", DENIED("bad-signature"), { FAILS(.signer = "eve", .no_sid = true) } },
	{ "signed-for-another-user", DENIED("bad-signature"),
	    { FAILS(.signer = "eve", .signed_user = "bob") } },
	{ "signed-for-another-service", DENIED("bad-signature"),
	    { FAILS(.signer = "eve", .signed_service = "ssh-userauth") } },
	{ "signed-with-another-algorithm", DENIED("bad-signature"),
	    { FAILS(.signer = "eve", .signed_alg = "rsa-sha2-512") } },
	{ "signed-as-an-offer", DENIED("bad-signature"),
	    { FAILS(.signer = "eve", .signed_as_offer = true) } },
	/* Algorithms. */
	{ "algorithm-of-another-type", DENIED("."), { FAILS(.signer = "eve", .alg = "rsa-sha2-512") } },
	{ "algorithm-of-another-curve", DENIED("."),
	    { FAILS(.signer = "eve", .alg = "ecdsa-sha2-nistp256") } },
	{ "algorithm-sha1", DENIED("."), { FAILS(.signer = "eve", .alg = "ssh-rsa") } },
	{ "algorithm-nobody-knows", DENIED("unknown-algorithm"),
	    { FAILS(.signer = "eve", .alg = "totally-bogus") } },
	{ "algorithm-empty", DENIED("unknown-algorithm"), { FAILS(.signer = "eve", .alg = "") } },
	{ "algorithm-of-a-certificate", DENIED("malformed-certificate"),
	    { FAILS(.signer = "eve", .alg = "ssh-ed25519-cert-v01@openssh.com") } },
	{ "algorithm-of-a-plain-key", DENIED("."),
	    { FAILS(.key = "carol", .ca = "ca", .signer = "carol", .alg = "ssh-ed25519") } },
	/* Bytes. */
	{ "trailing-bytes", DENIED("malformed-request"), { ENDS(.signer = "eve", .tail = 1) } },
	{ "trailing-bytes-of-an-offer", DENIED("malformed-request"), { ENDS(.tail = 4) } },
	{ "signature-behind-an-offer", DENIED("malformed-request"),
	    { ENDS(.signer = "eve", .behind_offer = true) } },
	{ "signature-missing", DENIED("malformed-request"),
	    { ENDS(.signer = "eve", .shape = SIG_NONE) } },
	{ "signature-maybe", DENIED("malformed-request"), { ENDS(.signer = "eve", .has_sig = 2) } },
	{ "signature-empty", DENIED("bad-signature"), { FAILS(.signer = "eve", .shape = SIG_EMPTY) } },
	{ "signature-zero", DENIED("bad-signature"), { FAILS(.signer = "eve", .shape = SIG_ZERO) } },
	{ "signature-cut", DENIED("bad-signature"), { FAILS(.signer = "eve", .shape = SIG_CUT) } },
	{ "signature-long", DENIED("bad-signature"), { FAILS(.signer = "eve", .shape = SIG_LONG) } },
	{ "signature-of-another-type", DENIED("bad-signature"),
	    { FAILS(.signer = "eve", .shape = SIG_RETYPED) } },
	{ "flipped-bits", .event = "auth.denied", 5, "bad-signature", "auth_failure",
	    { FAILS(.signer = "eve", .flip = 1), FAILS(.signer = "eve", .flip = 255),
		FAILS(.signer = "eve", .flip = 257), FAILS(.signer = "eve", .flip = 400),
		FAILS(.signer = "eve", .flip = 512) } },
	{ "flipped-bit-of-the-key", DENIED("unknown-key"),
	    { FAILS(.signer = "eve", .flip_key = true) } },
	/* The front ends it: nobody is asked about what no request is as long as. */
	{ "oversized-request", NOTHING, { ENDS(.signer = "eve", .tail = 36000) } },
	/* Names. */
	{ "user-changes", .event = "auth.denied", 2, "user-changed", "auth_failure",
	    { FAILS(.user = "bob", .signer = "eve"), ENDS(.signer = "eve") } },
	{ "user-changes-after-none", DENIED("user-changed"),
	    { FAILS(.user = "bob", .method = "none"), ENDS(.signer = "eve") } },
	{ "user-changes-after-an-offer", DENIED("user-changed"),
	    { WOULD_DO(0), ENDS(.user = "eve", .signer = "eve") } },
	{ "service-changes", DENIED("user-changed"),
	    { FAILS(.method = "none"), ENDS(.signer = "eve", .service = "ssh-userauth") } },
	{ "other-service", DENIED("unknown-service"),
	    { FAILS(.signer = "eve", .service = "ssh-userauth") } },
	{ "user-with-nul", DENIED("malformed-request"),
	    { ENDS(.user = "eve\0root", .user_len = 8, .signer = "eve") } },
	{ "user-without-end", DENIED("."), { ENDS(.user = long_user, .user_len = 30000) } },
	/* Who proves who they are is told what is wrong with the name. */
	{ "user-that-is-too-long", .event = "auth.denied", 1, "name", "no_auth",
	    { ENDS(.user = longer_user, .user_len = 300, .signer = "eve") } },
	{ "anothers-name", DENIED("."), { FAILS(.user = "bob", .signer = "eve") } },
	/* Methods that there are not. */
	{ "none-alone", NOTHING, { FAILS(.method = "none") } },
	{ "none-without-end", .event = "auth.denied", 6, "method-not-allowed", "auth_failure",
	    { { .request = REQ(.method = "none"), .want = 51, .times = MANY } } },
	{ "flood-of-nones", FLOODED, { { .request = REQ(.method = "none"), .times = MANY } } },
	{ "flood-of-offers", .event = "*", 1, ".*", "no_auth|auth_failure",
	    { { .request = REQ(0), .times = MANY } } },
	{ "flood-of-signatures", FLOODED, { { .request = REQ(.signer = "bob"), .times = MANY } } },
	{ "password", DENIED("method-not-allowed"), { FAILS(.method = "password", .tail = 9) } },
	{ "hostbased", DENIED("method-not-allowed"), { FAILS(.method = "hostbased", .tail = 20) } },
	{ "gssapi", DENIED("method-not-allowed"), { FAILS(.method = "gssapi-with-mic", .tail = 4) } },
	{ "method-without-a-name", DENIED("method-not-allowed"), { FAILS(.method = "") } },
	{ "tries-run-out", .event = "auth.denied", 6, "bad-signature", "auth_failure",
	    { { .request = REQ(.signer = "bob"), .want = 51, .times = MANY } } },
	/* While an answer is waited for, and before anything was asked. */
	{ "channel-while-waiting", LEFT, { AT_ONCE(.signer = "bob") } },
	{ "info-response-while-waiting", LEFT,
	    { AT_ONCE(.signer = "bob"), BYTES("\75\0\0\0\0") } },
	{ "channel-before-login", NOTHING, { { 0 } } },
	{ "channel-before-the-service", NOTHING, { { 0 } }, .no_service = true },
	{ "global-request-before-login", NOTHING,
	    { BYTES("\120\0\0\0\25no-more-sessions@openssh.com\1") } },
	{ "data-before-login", NOTHING, { BYTES("\136\0\0\0\0\0\0\0\1x") } },
	{ "info-response-before-login", NOTHING, { BYTES("\75\0\0\0\1\0\0\0\1x") } },
	{ "success-before-login", NOTHING, { BYTES("\64") } },
	{ "another-service", NOTHING, { BYTES("\5\0\0\0\16ssh-connection") }, .no_service = true },
	{ "login-before-encryption", NOTHING, { AT_ONCE(.signer = "eve") }, .early = true },
	{ "success-before-encryption", NOTHING, { BYTES("\64") }, .early = true },
	{ .name = NULL },
};

/* Where a second method is asked for: one is not enough, and not the same one twice. */
const struct offer_mode offer_partial_modes[] = {
	{ "partial-then-shell", .event = "auth.partial", 1, ".*", "no_auth", { FAILS(.signer = "eve") } },
	{ "partial-then-success-of-its-own", .event = "auth.partial", 1, ".*", "no_auth",
	    { FAILS(.signer = "eve"), BYTES("\64") } },
	{ "partial-then-info-response", .event = "auth.partial", 1, ".*", "no_auth",
	    { FAILS(.signer = "eve"), BYTES("\75\0\0\0\1\0\0\0\1x") } },
	{ "partial-then-none", .event = "auth.denied", 2, "method-not-allowed", "auth_failure",
	    { FAILS(.signer = "eve"), FAILS(.method = "none") } },
	{ "partial-then-the-same-again", .event = "auth.denied", 2, ".", "auth_failure",
	    { FAILS(.signer = "eve"), FAILS(.signer = "eve") } },
	{ "partial-then-an-offer", .event = "auth.denied", 2, ".", "auth_failure",
	    { FAILS(.signer = "eve"), FAILS(0) } },
	{ "partial-then-another-person", .event = "auth.denied", 2, ".", "auth_failure",
	    { FAILS(.signer = "eve"), FAILS(.key = "bob", .signer = "bob") } },
	{ "partial-then-another-name", .event = "auth.denied", 2, "user-changed", "auth_failure",
	    { FAILS(.signer = "eve"), ENDS(.user = "eve", .signer = "eve") } },
	{ .name = NULL },
};
/* clang-format on */
