/* Settings, keys and signals of the terminal. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bastionctl/term.h"
#include "lib/clock.h"

#define TERM_TYPED_MAX 64 /* bytes typed and not yet looked at */

struct term {
	bool keys, cr_lf;
	struct termios before;
	uint8_t typed[TERM_TYPED_MAX];
	size_t n_typed;
};

/* Signal handlers can reach nothing else. */
static volatile sig_atomic_t term_end_asked;
static volatile sig_atomic_t term_stop_asked;

static void
term_on_end(int signo)
{
	(void)signo;
	term_end_asked = 1;
}

static void
term_on_stop(int signo)
{
	(void)signo;
	term_stop_asked = 1;
}

static const struct {
	const char *typed;
	enum play_key key;
} term_keys[] = {
	{ " ", PLAY_PAUSE },
	{ ".", PLAY_STEP },
	{ "+", PLAY_FASTER },
	{ "=", PLAY_FASTER },
	{ "-", PLAY_SLOWER },
	{ "q", PLAY_QUIT },
	{ "\003", PLAY_QUIT },
	{ "\004", PLAY_QUIT },
	{ "\033[D", PLAY_BACK },
	{ "\033OD", PLAY_BACK },
	{ "\033[C", PLAY_ON },
	{ "\033OC", PLAY_ON },
};

enum play_key
term_key(const uint8_t *data, size_t len, size_t *used)
{
	*used = len > 0;
	for (size_t i = 0; i < sizeof(term_keys) / sizeof(term_keys[0]); i++) {
		size_t n = strlen(term_keys[i].typed);

		if (n <= len && memcmp(term_keys[i].typed, data, n) == 0) {
			*used = n;
			return term_keys[i].key;
		}
	}
	return PLAY_NONE;
}

static int
term_raw(struct term *t)
{
	struct termios raw = t->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (t->cr_lf)
		raw.c_oflag &= ~(tcflag_t)OPOST;
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0 ? -errno : 0;
}

static void
term_signals(void (*on_end)(int), void (*on_stop)(int))
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa)); /* no SA_RESTART: poll() is to end */
	sa.sa_handler = on_end;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)sigaction(ends[i], &sa, NULL);
	sa.sa_handler = on_stop;
	(void)sigaction(SIGTSTP, &sa, NULL);
}

int
term_new(bool cr_lf, struct term **ret_term)
{
	struct term *t = calloc(1, sizeof(*t));
	int r = 0;

	if (t == NULL)
		return -ENOMEM;
	t->cr_lf = cr_lf;
	t->keys = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0 &&
		  tcgetattr(STDIN_FILENO, &t->before) == 0;
	if (t->keys) {
		term_signals(term_on_end, term_on_stop);
		r = term_raw(t);
	}
	if (r != 0) {
		free(t);
		return r;
	}
	*ret_term = t;
	return 0;
}

void
term_free(struct term *t)
{
	if (t == NULL)
		return;
	if (t->keys) {
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
		term_signals(SIG_DFL, SIG_DFL);
	}
	free(t);
}

bool
term_has_keys(const struct term *t)
{
	return t->keys;
}

/* Ctrl-Z: the shell gets its terminal as it was. */
static void
term_stop(struct term *t)
{
	term_stop_asked = 0;
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
	term_signals(term_on_end, SIG_DFL);
	(void)raise(SIGTSTP);
	term_signals(term_on_end, term_on_stop);
	(void)term_raw(t);
}

static enum play_key
term_take_typed(struct term *t)
{
	size_t used;
	enum play_key key;

	do {
		key = term_key(t->typed, t->n_typed, &used);
		t->n_typed -= used;
		memmove(t->typed, t->typed + used, t->n_typed);
	} while (used > 0 && key == PLAY_NONE);
	return key;
}

/* Wait for input or a signal. False: the input is at its end. */
static bool
term_poll(struct term *t, uint64_t max_ns)
{
	const struct timespec span = { .tv_sec = (time_t)(max_ns / CLOCK_NS_PER_S),
		.tv_nsec = (long)(max_ns % CLOCK_NS_PER_S) };
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t n;

	if (ppoll(&p, t->keys ? 1 : 0, max_ns == UINT64_MAX ? NULL : &span, NULL) <= 0)
		return true;
	n = read(STDIN_FILENO, t->typed + t->n_typed, sizeof(t->typed) - t->n_typed);
	if (n > 0)
		t->n_typed += (size_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

static enum play_key
term_wait_once(struct term *t, uint64_t max_ns)
{
	enum play_key key = term_take_typed(t);

	if (key != PLAY_NONE)
		return key;
	if (!term_poll(t, max_ns) || term_end_asked != 0)
		return PLAY_QUIT;
	if (term_stop_asked != 0)
		term_stop(t);
	return term_take_typed(t);
}

enum play_key
term_wait(struct term *t, uint64_t max_ns, uint64_t *ret_waited_ns)
{
	uint64_t begin = clock_boot_ns(), waited = 0;
	enum play_key key;

	*ret_waited_ns = 0;
	if (!t->keys && max_ns == 0)
		return PLAY_NONE;
	do {
		key = term_wait_once(t, max_ns == UINT64_MAX ? max_ns : max_ns - waited);
		waited = clock_boot_ns() - begin;
	} while (key == PLAY_NONE && waited < max_ns);
	*ret_waited_ns = waited;
	return key;
}
