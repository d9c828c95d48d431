/* The order of things: count, ask for a code, show it, poll, verify, compare, confirm. */
#include "config.h"

#include <sys/random.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/auth/oidc_flow.h"
#include "bastiond/auth/oidc_http.h"
#include "bastiond/auth/oidc_keys.h"
#include "bastiond/auth/oidc_limit.h"
#include "bastiond/auth/oidc_login.h"
#include "bastiond/auth/oidc_qr.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define SLOWER_S 5u /* RFC 8628 section 3.5 */
#define TEXT_SIZE 2048u
#define NONCE_LEN 16u

struct login {
	const struct oidc_conf *conf;
	const struct oidc_ask *ask;
	const struct oidc_talk *talk;
	struct oidc_http *http;
	struct oidc_provider provider;
	struct oidc_device device;
	uint64_t started_ns; /* wall clock */
	uint64_t until_ns;   /* boot clock: the code's end */
	char nonce[2 * NONCE_LEN + 1];
	struct oidc_why *why;
};

static const struct {
	enum oidc_end end;
	const char *text;
} end_texts[] = {
	{ OIDC_END_SETUP, "Login with the identity provider is not set up correctly here." },
	{ OIDC_END_UNREACHABLE,
	    "The identity provider does not answer. Try again later, or log in another way." },
	{ OIDC_END_PROVIDER, "The identity provider gave an answer that cannot be used." },
	{ OIDC_END_REFUSED, "The identity provider refused this login." },
	{ OIDC_END_DENIED, "The login was denied at the identity provider." },
	{ OIDC_END_EXPIRED, "Nobody confirmed the login in time." },
	{ OIDC_END_TOKEN, "The identity provider's answer does not prove who you are." },
	{ OIDC_END_OTHER, "Denied: the identity provider does not vouch for this login." },
	{ OIDC_END_CONFIRM, "Denied: that is not the number that the browser shows." },
	{ OIDC_END_LIMIT, "Too many logins were begun. Finish one, or try again later." },
	{ OIDC_END_LEFT, "" },
	{ OIDC_END_SYSTEM, "This login failed for a reason that is not yours." },
};

const char *
oidc_end_text(enum oidc_end end)
{
	for (size_t i = 0; i < sizeof(end_texts) / sizeof(end_texts[0]); i++)
		if (end_texts[i].end == end)
			return end_texts[i].text;
	return "Denied.";
}

static int
left(struct login *l, int r)
{
	return oidc_why(l->why, OIDC_END_LEFT, r, "the person left");
}

/* Wait, and see now and then whether anybody is there. 0; ERR_PEER_GONE. */
static int
wait_alive(struct login *l, uint64_t s)
{
	uint64_t until = clock_boot_ns() + s * CLOCK_NS_PER_S, now;
	int r;

	if (until > l->until_ns)
		until = l->until_ns;
	while ((now = clock_boot_ns()) < until) {
		uint64_t ms = (until - now) / CLOCK_NS_PER_MS + 1;

		(void)poll(NULL, 0, ms > OIDC_ALIVE_S * 1000 ? (int)OIDC_ALIVE_S * 1000 : (int)ms);
		if ((r = l->talk->alive(l->talk->arg)) != 0)
			return left(l, r);
	}
	return 0;
}

/* "alice on web1 (asked from 10.0.0.1)". Names come from outside: printable ASCII only. */
static void
who_text(const struct oidc_ask *ask, char *dst, size_t size)
{
	char person[OIDC_NAME_SIZE], host[128], source[64];

	(void)snprintf(dst, size, "%s%s%s%s%s%s",
	    str_plain(person, sizeof(person), ask->person, strlen(ask->person)),
	    ask->host[0] != '\0' ? " on " : "",
	    str_plain(host, sizeof(host), ask->host, strlen(ask->host)),
	    ask->source[0] != '\0' ? " (asked from " : "",
	    str_plain(source, sizeof(source), ask->source, strlen(ask->source)),
	    ask->source[0] != '\0' ? ")" : ""); /* fits */
}

static int
show_code(struct login *l)
{
	const struct oidc_device *d = &l->device;
	const char *url = d->uri_complete[0] != '\0' ? d->uri_complete : d->uri;
	char who[512], text[TEXT_SIZE], *qr = NULL;
	int r;

	who_text(l->ask, who, sizeof(who));
	(void)snprintf(text, sizeof(text), "To log in as %s, open\n  %s\n%s %s within %llu %s.",
	    who, url, d->uri_complete[0] != '\0' ? "and confirm the code" : "and enter the code",
	    d->user_code,
	    (unsigned long long)(d->expires_s >= 120 ? d->expires_s / 60 : d->expires_s),
	    d->expires_s >= 120 ? "minutes" : "seconds"); /* fits */
	if ((r = l->talk->say(l->talk->arg, text)) != 0)
		return left(l, r);
	if (!l->ask->qr || oidc_qr(url, &qr) != 0)
		return 0;
	r = l->talk->say(l->talk->arg, qr);
	free(qr);
	return r == 0 ? 0 : left(l, r);
}

/* Until the provider has decided, or nobody has in time. *ret_token: owned by caller. */
static int
poll_token(struct login *l, char **ret_token)
{
	uint64_t interval = l->device.interval_s, wait = interval;
	int r;

	for (;;) {
		enum oidc_poll poll;

		if ((r = wait_alive(l, wait)) != 0)
			return r;
		if (clock_boot_ns() >= l->until_ns)
			return oidc_why(l->why, OIDC_END_EXPIRED, -ETIMEDOUT,
			    "nobody confirmed the code in %llu s",
			    (unsigned long long)l->device.expires_s);
		poll = oidc_poll(l->http, &l->provider, &l->device, ret_token, l->why);
		if (poll == OIDC_POLL_TOKEN)
			return 0;
		if (poll == OIDC_POLL_OVER)
			return ERR_DENIED;
		if (poll == OIDC_POLL_SLOWER)
			interval += SLOWER_S;
		/* Twice as long each time that there is no answer (RFC 8628 section 3.5). */
		if (poll == OIDC_POLL_TROUBLE) {
			l->talk->log(l->talk->arg, false, l->why->text);
			wait = wait * 2 > OIDC_INTERVAL_MAX_S ? OIDC_INTERVAL_MAX_S : wait * 2;
		} else {
			wait = interval;
		}
	}
}

/* What can be typed of a number that was read from another screen: spaces and dashes do not matter. */
static bool
same_number(const char *typed, const char *number)
{
	for (; *typed != '\0'; typed++) {
		if (*typed == ' ' || *typed == '-')
			continue;
		if (*number == '\0' || *typed != *number)
			return false;
		number++;
	}
	return *number == '\0';
}

static int
confirm(struct login *l, const struct json_node *claims)
{
	const char *number = oidc_claims_confirm(claims);
	char answer[OIDC_CONFIRM_MAX * 2] = "";
	int r;

	if (number == NULL)
		return oidc_why(l->why, OIDC_END_SETUP, ERR_DENIED,
		    "confirm: the ID token has no claim " OIDC_CONFIRM_CLAIM
		    " of %u to %u digits or capital letters",
		    OIDC_CONFIRM_MIN, OIDC_CONFIRM_MAX);
	r = l->talk->ask(
	    l->talk->arg, "Number that the browser shows now: ", answer, sizeof(answer));
	if (r != 0)
		return left(l, r);
	return same_number(answer, number) ? 0
					   : oidc_why(l->why, OIDC_END_CONFIRM, ERR_DENIED,
						 "the number from the browser was not repeated");
}

static void
log_dropped(struct login *l, size_t n, const char *first)
{
	char text[OIDC_GROUP_SIZE + 128];

	(void)snprintf(text, sizeof(text),
	    "%zu groups are not passed on, odd names or too many: first %s", n, first); /* fits */
	l->talk->log(l->talk->arg, true, text);
}

/* From what the token claims to a person. */
static int
take_person(struct login *l, const struct json_node *claims, struct oidc_person *ret_person)
{
	const struct oidc_moment moment = { clock_wall_ns(), l->started_ns,
		l->conf->nonce ? l->nonce : NULL };
	char dropped[OIDC_GROUP_SIZE];
	size_t n;
	int r;

	if ((r = oidc_claims_check(l->conf, claims, &moment, l->why)) != 0 ||
	    (r = oidc_claims_identity(l->conf, claims, ret_person->name, l->why)) != 0 ||
	    (r = oidc_claims_subject(
		 l->conf, claims, ret_person->subject, sizeof(ret_person->subject), l->why)) != 0)
		return r;
	if (!l->ask->any && strcmp(ret_person->name, l->ask->person) != 0)
		return oidc_why(l->why, OIDC_END_OTHER, ERR_DENIED,
		    "the provider says %s, the login is %.128s's", ret_person->name,
		    l->ask->person);
	n = oidc_claims_groups(l->conf, claims, ret_person->groups, dropped);
	if (n > 0)
		log_dropped(l, n, dropped);
	return l->conf->confirm ? confirm(l, claims) : 0;
}

static int
verify(struct login *l, const char *token, struct oidc_person *ret_person)
{
	struct oidc_jwt jwt = { 0 };
	char warn[512];
	int r = oidc_jwt_read(token, strlen(token), &jwt, l->why);

	if (r != 0)
		return r;
	r = oidc_keys_verify(l->conf, l->http, l->provider.jwks_uri, &jwt, warn, l->why);
	if (warn[0] != '\0')
		l->talk->log(l->talk->arg, true, warn);
	if (r == 0)
		r = take_person(l, jwt.claims, ret_person);
	oidc_jwt_done(&jwt);
	return r;
}

/* A code that is counted, and shown. */
static int
start(struct login *l)
{
	const struct oidc_hints hints = { l->ask->any ? "" : l->ask->person, l->ask->host,
		l->ask->source, l->conf->nonce ? l->nonce : NULL };
	uint8_t nonce[NONCE_LEN];
	int r;

	if (getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
		return oidc_why(l->why, OIDC_END_SYSTEM, -EIO, "no random bytes");
	(void)str_hex(l->nonce, nonce, sizeof(nonce));
	if ((r = oidc_http_open(l->conf, &l->http, l->why)) != 0 ||
	    (r = oidc_discover(l->conf, l->http, &l->provider, l->why)) != 0)
		return r;
	l->started_ns = clock_wall_ns();
	r = oidc_device_start(l->conf, l->http, &l->provider, &hints, &l->device, l->why);
	if (r != 0)
		return r;
	l->until_ns = clock_boot_ns() + l->device.expires_s * CLOCK_NS_PER_S;
	return show_code(l);
}

int
oidc_login(const struct oidc_conf *conf, const struct oidc_ask *ask, const struct oidc_talk *talk,
    struct oidc_person *ret_person, struct oidc_why *why)
{
	struct login *l = calloc(1, sizeof(*l));
	struct oidc_person *person = calloc(1, sizeof(*person));
	char *token = NULL;
	int slot_fd = -1, r;

	if (l == NULL || person == NULL) {
		r = oidc_why(why, OIDC_END_SYSTEM, -ENOMEM, "out of memory");
		goto out;
	}
	*l = (struct login){ .conf = conf, .ask = ask, .talk = talk, .why = why };
	if ((r = oidc_state_check(conf, why)) == 0 &&
	    (r = oidc_limit_take(conf, ask->source, ask->person, &slot_fd, why)) == 0 &&
	    (r = start(l)) == 0 && (r = poll_token(l, &token)) == 0 &&
	    (r = verify(l, token, person)) == 0)
		*ret_person = *person;
out:
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
	if (l != NULL)
		oidc_http_close(l->http);
	fd_close(&slot_fd);
	free(person);
	free(l);
	return r;
}
