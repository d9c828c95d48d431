/* What holds where bastiond.yaml says nothing. */
#include "config.h"

#include <string.h>

#include "bastiond/broker/settings.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define S_NS CLOCK_NS_PER_S
#define N(a) (sizeof(a) / sizeof((a)[0]))

static void
settings_default_nets(struct settings_nets *nets, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (net_prefix_parse(texts[i], &nets->prefix[nets->n]) == 0 &&
		    str_copy(nets->text[nets->n], sizeof(nets->text[0]), texts[i]) == 0)
			nets->n++;
}

static void
settings_default_words(struct settings_words *words, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_copy(words->text[words->n], SETTINGS_WORD_SIZE, texts[i]) == 0)
			words->n++;
}

static void
settings_default_lists(struct settings *s)
{
	static const char *const denied[] = { "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",
		"224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "64:ff9b::/96", "fe80::/10",
		"ff00::/8" };
	static const char *const exempt[] = { "127.0.0.0/8", "::1/128" };
	static const char *const env[] = { "LANG", "LC_*", "TERM", "COLORTERM", "GIT_PROTOCOL" };
	static const char *const methods[] = { "publickey" };

	settings_default_nets(&s->denied, denied, N(denied));
	settings_default_nets(&s->penalties.exempt, exempt, N(exempt));
	settings_default_words(&s->env, env, N(env));
	settings_default_words(&s->methods, methods, N(methods));
}

int
settings_default(struct settings *s, const char *path)
{
	int r;

	memset(s, 0, sizeof(*s));
	if ((r = str_copy(s->file, sizeof(s->file), path)) != 0 ||
	    (r = file_relative(path, "state", s->state, sizeof(s->state))) != 0 ||
	    (r = file_relative(path, "policy.yaml", s->policy, sizeof(s->policy))) != 0 ||
	    (r = net_parse_port("127.0.0.1:2222", &s->listen[0].addr, &s->listen[0].port)) != 0 ||
	    (r = net_parse_port("[::1]:2222", &s->listen[1].addr, &s->listen[1].port)) != 0 ||
	    (r = str_copy(s->pam_service, sizeof(s->pam_service), "bastiond")) != 0)
		return r;
	s->n_listen = 2;
	s->grace_ns = 120 * S_NS;
	s->pam_timeout_ns = 300 * S_NS;
	s->durability = SETTINGS_STRICT;
	s->stall_timeout_ns = 30 * S_NS;
	s->epoch_ns = 86400 * S_NS;
	s->checkpoint_every_ns = 60 * S_NS;
	s->reader_timeout_ns = 60 * S_NS;
	s->connections = 2000;
	s->per_source = 64;
	s->channels = 10;
	s->auth_tries = 6;
	s->auth_processes = 64;
	s->startups = (struct settings_startups){ 100, 30, 400 };
	s->source_prefix = (struct settings_prefix){ 32, 64 };
	s->penalties.crash_ns = 90 * S_NS;
	s->penalties.alarm_ns = 90 * S_NS;
	s->penalties.auth_failure_ns = 5 * S_NS;
	s->penalties.no_auth_ns = S_NS;
	s->penalties.grace_exceeded_ns = 10 * S_NS;
	s->penalties.from_ns = 15 * S_NS;
	s->penalties.max_ns = 600 * S_NS;
	s->penalties.sources = 65536;
	s->keepalive_ns = 15 * S_NS;
	s->keepalive_missed = 3;
	s->close_wait_ns = 30 * S_NS;
	s->connect_timeout_ns = 15 * S_NS;
	settings_default_lists(s);
	return 0;
}
