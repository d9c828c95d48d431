/* Settings, keys and signals of the terminal. */
#include "config.h"

#include <sys/ioctl.h>

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
#define TERM_SEQ_MAX 32	  /* bytes of an unknown sequence */
#define TERM_ESCAPE_NS                                                                             \
	50000000ull /* after this an ESC is a key and not the beginning of a sequence */
#define TERM_LOOK_NS 500000000ull /* between looks for signals */

struct term {
	bool keys;
	struct termios before;
	uint8_t typed[TERM_TYPED_MAX];
	size_t n_typed;
	const char *leave, *enter;
};

/* Signal handlers can reach nothing else. */
static volatile sig_atomic_t term_end_asked;
static volatile sig_atomic_t term_interrupted; /* 1: it is to be told as a key; 2: it was */
static volatile sig_atomic_t term_stop_asked;
static volatile sig_atomic_t term_size_changed;

static void
term_on_signal(int signo)
{
	if (signo == SIGTSTP)
		term_stop_asked = 1;
	else if (signo == SIGWINCH)
		term_size_changed = 1;
	else if (signo == SIGINT)
		term_interrupted = 1;
	else
		term_end_asked = 1;
}

static const struct {
	const char *typed;
	int key;
} term_keys[] = {
	{ "\033[D", PLAYER_KEY_LEFT },
	{ "\033OD", PLAYER_KEY_LEFT },
	{ "\033[C", PLAYER_KEY_RIGHT },
	{ "\033OC", PLAYER_KEY_RIGHT },
	{ "\033[A", PLAYER_KEY_UP },
	{ "\033OA", PLAYER_KEY_UP },
	{ "\033[B", PLAYER_KEY_DOWN },
	{ "\033OB", PLAYER_KEY_DOWN },
	{ "\033[5~", PLAYER_KEY_PAGE_UP },
	{ "\033[6~", PLAYER_KEY_PAGE_DOWN },
	{ "\033[H", PLAYER_KEY_HOME },
	{ "\033OH", PLAYER_KEY_HOME },
	{ "\033[1~", PLAYER_KEY_HOME },
	{ "\033[7~", PLAYER_KEY_HOME },
	{ "\033[F", PLAYER_KEY_END },
	{ "\033OF", PLAYER_KEY_END },
	{ "\033[4~", PLAYER_KEY_END },
	{ "\033[8~", PLAYER_KEY_END },
};

/* Length of the sequence that begins with ESC; 0: its end is not there yet. */
static size_t
term_sequence(const uint8_t *data, size_t len)
{
	size_t at = 2;

	if (len < 2)
		return 0;
	if (data[1] == 'O')
		return len > 2 ? 3 : 0;
	if (data[1] != '[')
		return 2;
	while (at < len && data[at] >= 0x20 && data[at] < 0x40)
		at++;
	if (at == len)
		return len >= TERM_SEQ_MAX ? len : 0;
	return at + 1;
}

int
term_key(const uint8_t *data, size_t len, bool whole, size_t *used)
{
	size_t n;

	*used = len > 0;
	if (len == 0)
		return PLAYER_KEY_NONE;
	if (data[0] != '\033')
		return data[0] == 0 ? PLAYER_KEY_OTHER : data[0];
	if ((n = term_sequence(data, len)) == 0) {
		*used = whole;
		return whole ? PLAYER_KEY_ESCAPE : PLAYER_KEY_NONE;
	}
	*used = n;
	for (size_t i = 0; i < sizeof(term_keys) / sizeof(term_keys[0]); i++)
		if (strlen(term_keys[i].typed) == n && memcmp(term_keys[i].typed, data, n) == 0)
			return term_keys[i].key;
	return PLAYER_KEY_OTHER;
}

bool
term_is_here(void)
{
	return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
}

static int
term_raw(struct term *t)
{
	struct termios raw = t->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_iflag &= ~(tcflag_t)ICRNL;
	raw.c_oflag &= ~(tcflag_t)OPOST;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0 ? -errno : 0;
}

/* No SA_RESTART: what waits is to end. */
static void
term_signal(int signo, void (*handler)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	(void)sigaction(signo, &sa, NULL);
}

static void
term_signals(bool keys, void (*handler)(int))
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		term_signal(ends[i], handler);
	if (!keys)
		return;
	term_signal(SIGTSTP, handler);
	term_signal(SIGWINCH, handler);
}

int
term_new(bool keys, struct term **ret_term)
{
	struct term *t = calloc(1, sizeof(*t));
	int r = 0;

	if (t == NULL)
		return -ENOMEM;
	t->keys = keys;
	t->leave = t->enter = "";
	term_end_asked = term_interrupted = 0;
	if (keys && tcgetattr(STDIN_FILENO, &t->before) != 0)
		r = -errno;
	if (r == 0) {
		term_signals(keys, term_on_signal);
		r = keys ? term_raw(t) : 0;
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
	/* Asked to end, nobody waits for a terminal that takes nothing. */
	if (t->keys)
		(void)tcsetattr(STDIN_FILENO,
		    term_end_asked != 0 || term_interrupted != 0 ? TCSANOW : TCSADRAIN, &t->before);
	term_signals(t->keys, SIG_DFL);
	free(t);
}

void
term_at_stop(struct term *t, const char *leave, const char *enter)
{
	t->leave = leave;
	t->enter = enter;
}

void
term_size(uint32_t *ret_cols, uint32_t *ret_rows)
{
	struct winsize ws;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 && ws.ws_row > 0;

	*ret_cols = known ? ws.ws_col : 80;
	*ret_rows = known ? ws.ws_row : 24;
}

int
term_write(struct term *t, const void *data, size_t len)
{
	const uint8_t *p = data;

	(void)t;
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno == EINTR && term_end_asked == 0 && term_interrupted != 1)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What cannot be written now cannot be written later either, and says so then. */
static void
term_say(struct term *t, const char *text)
{
	if (term_write(t, text, strlen(text)) != 0)
		term_size_changed = 1;
}

/* Ctrl-Z: the shell gets its terminal as it was. */
static void
term_stop(struct term *t)
{
	term_stop_asked = 0;
	term_say(t, t->leave);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
	term_signal(SIGTSTP, SIG_DFL);
	(void)raise(SIGTSTP);
	term_signal(SIGTSTP, term_on_signal);
	(void)term_raw(t);
	term_say(t, t->enter);
}

/* The next key of what was typed; PLAYER_KEY_NONE: there is none. */
static int
term_take_typed(struct term *t, bool whole)
{
	size_t used;
	int key = term_key(t->typed, t->n_typed, whole, &used);

	t->n_typed -= used;
	memmove(t->typed, t->typed + used, t->n_typed);
	return key;
}

/* False: the input is at its end. */
static bool
term_read(struct term *t)
{
	ssize_t n = read(STDIN_FILENO, t->typed + t->n_typed, sizeof(t->typed) - t->n_typed);

	if (n > 0)
		t->n_typed += (size_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Wait for input, fd or a signal. PLAYER_KEY_GONE, _EVENTS, or _NONE: look again. */
static int
term_poll(struct term *t, uint64_t max_ns, int fd)
{
	uint64_t ns = max_ns < TERM_LOOK_NS ? max_ns : TERM_LOOK_NS;
	struct timespec span;
	struct pollfd p[2] = { { .fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };

	if (t->n_typed > 0 && ns > TERM_ESCAPE_NS)
		ns = TERM_ESCAPE_NS;
	span = (struct timespec){ .tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
		.tv_nsec = (long)(ns % CLOCK_NS_PER_S) };
	if (ppoll(p, 2, &span, NULL) <= 0)
		return PLAYER_KEY_NONE;
	if (p[0].revents != 0 && !term_read(t))
		return PLAYER_KEY_GONE;
	return p[0].revents == 0 && p[1].revents != 0 ? PLAYER_KEY_EVENTS : PLAYER_KEY_NONE;
}

/* What signals ask for. */
static int
term_asked(struct term *t)
{
	if (term_end_asked != 0)
		return PLAYER_KEY_GONE;
	if (term_interrupted == 1) {
		term_interrupted = 2;
		return PLAYER_KEY_INTERRUPT;
	}
	if (term_stop_asked != 0) {
		term_stop(t);
		return PLAYER_KEY_RESIZED;
	}
	if (term_size_changed != 0) {
		term_size_changed = 0;
		return PLAYER_KEY_RESIZED;
	}
	return PLAYER_KEY_NONE;
}

int
term_wait(struct term *t, uint64_t max_ns, int fd)
{
	uint64_t begin = clock_boot_ns(), waited = 0;
	bool typed;
	int key;

	do {
		if ((key = term_asked(t)) != PLAYER_KEY_NONE ||
		    (key = term_take_typed(t, false)) != PLAYER_KEY_NONE)
			return key;
		typed = t->n_typed > 0;
		key = term_poll(t, max_ns == UINT64_MAX ? max_ns : max_ns - waited, fd);
		if (key != PLAYER_KEY_NONE)
			return key;
		waited = clock_boot_ns() - begin;
		if ((key = term_take_typed(t, typed && waited >= TERM_ESCAPE_NS)) !=
		    PLAYER_KEY_NONE)
			return key;
	} while (waited < max_ns);
	return term_asked(t);
}
