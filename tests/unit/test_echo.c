/* The echo machine: what may be kept of what is typed, for conversations as real programs have them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "recorder/echo.h"
#include "recorder/echo_part.h"

#define STEPS_MAX 32
#define TEXT_SIZE 8192

/* What the record would say of what was typed: text that may be read, '#' for each line that is hidden, '!' when it did something. */
struct rig {
	struct echo *e;
	uint8_t memory[ECHO_MEMORY];
	char record[TEXT_SIZE];
	size_t n, feedback;
	uint32_t decided;
	uint32_t beyond; /* run with more than was remembered */
	int fail;	 /* what the sink answers */
};

static void
add(struct rig *g, const void *p, size_t n)
{
	assert_true(g->n + n < sizeof(g->record));
	memcpy(g->record + g->n, p, n);
	g->n += n;
	g->record[g->n] = '\0';
}

static int
on_keep(void *arg, const uint8_t *p, size_t n)
{
	struct rig *g = arg;

	add(g, p, n);
	return g->fail;
}

static int
on_veil(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	struct rig *g = arg;

	(void)p;
	assert_true(run > g->decided);
	g->beyond = n > 0 ? run : g->beyond;
	return g->fail;
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	struct rig *g = arg;

	assert_int_equal(run, g->decided + 1); /* in order, each once */
	g->decided = run;
	assert_true(n <= all && (n < all) == (g->beyond == run));
	add(g, p, n);
	if (n < all)
		add(g, "~", 1);
	return g->fail;
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	struct rig *g = arg;

	assert_true((why >= VEIL_PROMPT && why <= VEIL_MEMORY) || why == VEIL_ANSWERED);
	if (run != 0) {
		assert_true(run > g->decided);
		g->decided = run;
	}
	add(g, why == VEIL_ANSWERED ? "!" : "#", 1);
	return g->fail;
}

static const struct echo_sink sink = { on_keep, on_veil, on_shown, on_hidden };

struct step {
	char
	    what; /* i: typed at once, k: key by key without answers, o: output, t: milliseconds, a: the shell asks (1) or not (0) */
	const char *text;
};

static void
play(struct rig *g, const struct step *steps, size_t n)
{
	uint64_t now = CLOCK_NS_PER_S;
	size_t feedback;

	*g = (struct rig){ .fail = 0 };
	g->e = echo_new(&sink, g, 80, 24);
	assert_non_null(g->e);
	for (size_t i = 0; i < n && steps[i].what != 0; i++) {
		const uint8_t *p = (const uint8_t *)steps[i].text;
		size_t len = strlen(steps[i].text);

		now += 20 * CLOCK_NS_PER_MS;
		echo_lend(g->e, g->memory);
		if (steps[i].what == 'i')
			assert_int_equal(echo_input(g->e, now, p, len), 0);
		for (size_t k = 0; steps[i].what == 'k' && k < len; k++) {
			now += 100 * CLOCK_NS_PER_MS;
			echo_lend(g->e, g->memory);
			assert_int_equal(echo_input(g->e, now, p + k, 1), 0);
		}
		if (steps[i].what == 'o') {
			assert_int_equal(echo_output(g->e, now, p, len, &feedback), 0);
			assert_true(feedback <= len);
			g->feedback += feedback;
		}
		if (steps[i].what == 't')
			now += (uint64_t)atol(steps[i].text) *
			       CLOCK_NS_PER_MS; /* NOLINT(cert-err34-c) */
		if (steps[i].what == 'a')
			assert_int_equal(echo_ask(g->e, p[0] == '1'), 0);
	}
	assert_int_equal(echo_end(g->e), 0);
	assert_true(echo_is_idle(g->e));
	echo_free(g->e);
	/* What is decided is not in memory any more. */
	for (size_t i = 0; i < sizeof(g->memory); i++)
		assert_int_equal(g->memory[i], 0);
}

/* Fills a row of 80 behind "$ ". */
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct conversation {
	const char *name, *record;
	struct step steps[STEPS_MAX];
	size_t feedback; /* bytes of output that are hidden */
} conversations[] = {
	/* Echo. */
	{ "a line, key by key", "ls\r",
	    { { 'o', "$ " }, { 'i', "l" }, { 'o', "l" }, { 'i', "s" }, { 'o', "s" }, { 'i', "\r" },
		{ 'o', "\r\nfile\r\n$ " } },
	    0 },
	{ "a line at once", "ls -l\r",
	    { { 'o', "$ " }, { 'i', "ls -l\r" }, { 'o', "ls -l\r\n$ " } }, 0 },
	{ "echo after seconds", "id\r",
	    { { 'o', "$ " }, { 'k', "id\r" }, { 't', "4000" }, { 'o', "i" }, { 't', "3000" },
		{ 'o', "d" }, { 'o', "\r\nuid=0\r\n$ " } },
	    0 },
	{ "letters of several bytes, wide ones too", "\xc3\xa9\xe5\xaf\x86\r",
	    { { 'o', "$ " }, { 'i', "\xc3\xa9" }, { 'o', "\xc3\xa9" }, { 'i', "\xe5\xaf\x86" },
		{ 'o', "\xe5\xaf\x86" }, { 'i', "\r" }, { 'o', "\r\n" } },
	    0 },
	{ "a letter that comes in two pieces", "\xc3\xa9\r",
	    { { 'i', "\xc3" }, { 'i', "\xa9" }, { 'o', "\xc3" }, { 'o', "\xa9" }, { 'i', "\r" },
		{ 'o', "\r\n" } },
	    0 },
	{ "corrected on the way", "lx\x7fs\r",
	    { { 'o', "$ " }, { 'k', "lx\x7fs" }, { 'o', "lx\b \bs" }, { 'i', "\r" },
		{ 'o', "\r\n" } },
	    0 },
	{ "inserted in the middle", "ac\x1b[Db\r",
	    { { 'o', "\x1b[?2004h$ " }, { 'i', "a" }, { 'o', "a" }, { 'i', "c" }, { 'o', "c" },
		{ 'i', "\x1b[D" }, { 'o', "\b" }, { 'i', "b" }, { 'o', "bc\b" }, { 'i', "\r" },
		{ 'o', "\r\n\x1b[?2004l\r" } },
	    0 },
	{ "completed", "ca\tt\r",
	    { { 'o', "\x1b[?2004h$ " }, { 'i', "c" }, { 'o', "c" }, { 'i', "a" }, { 'o', "a" },
		{ 'i', "\t" }, { 'o', "t file" }, { 'i', "t" }, { 'o', "t" }, { 'i', "\r" },
		{ 'o', "\r\n" } },
	    0 },
	{ "a pasted block in brackets", "\x1b[200~ls\rpwd\x1b[201~\r",
	    { { 'o', "\x1b[?2004h$ " }, { 'i', "\x1b[200~ls\rpwd\x1b[201~" },
		{ 'o', "\x1b[7mls\r\n\x1b[7mpwd\x1b[27m" }, { 'i', "\r" },
		{ 'o', "\r\n\x1b[?2004l\r" } },
	    0 },
	{ "lines pasted without brackets", "ls\rpwd\r",
	    { { 'o', "$ " }, { 'i', "ls\rpwd\r" }, { 'o', "ls\r\n" }, { 'o', "a b\r\n$ " },
		{ 'o', "pwd\r\n/\r\n$ " } },
	    0 },
	{ "a line longer than the row, as readline writes it", LONG "bcdef\r",
	    { { 'o', "\x1b[?2004h$ " }, { 'i', LONG "bcdef\r" },
		{ 'o', LONG "b\rbcdef\r\n\x1b[?2004l\r" } },
	    0 },
	{ "a line longer than the row", LONG "bcdef\r",
	    { { 'o', "$ " }, { 'i', LONG "bcdef\r" }, { 'o', LONG "bcdef\r\n" } }, 0 },
	{ "suggestions behind the cursor", "ls\r",
	    { { 'o', "\x1b[?2004h> " }, { 'i', "l" }, { 'o', "l\x1b[2ms -la\x1b[m\x1b[5D" },
		{ 'i', "s" }, { 'o', "s" }, { 'i', "\r" }, { 'o', "\r\n\x1b[?2004l" } },
	    0 },
	/* Prompts. */
	{ "sudo", "#",
	    { { 'o', "[sudo] password for bob: " }, { 'k', "hunter2\r" }, { 'o', "\r\n# " } }, 0 },
	{ "sudo in German", "#",
	    { { 'o', "[sudo] Passwort f\xc3\xbcr bob: " }, { 'i', "hunter2\r" }, { 'o', "\r\n" } },
	    0 },
	{ "su in French", "#", { { 'o', "Mot de passe\xc2\xa0: " }, { 'i', "hunter2\r" } }, 0 },
	{ "sudo in Spanish", "#",
	    { { 'o', "[sudo] contrase\xc3\xb1"
		     "a para bob: " },
		{ 'i', "hunter2\r" } },
	    0 },
	{ "Portuguese", "#", { { 'o', "Senha: " }, { 'i', "hunter2\r" } }, 0 },
	{ "Italian", "#", { { 'o', "[sudo] password di bob: " }, { 'i', "hunter2\r" } }, 0 },
	{ "Japanese", "#",
	    { { 'o', "\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc\xe3\x83\x89: " },
		{ 'i', "hunter2\r" } },
	    0 },
	{ "Chinese, with a wide colon", "#",
	    { { 'o', "\xe5\xaf\x86\xe7\xa0\x81\xef\xbc\x9a" }, { 'i', "hunter2\r" } }, 0 },
	{ "Russian, a capital", "#",
	    { { 'o', "\xd0\x9f\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c: " }, { 'i', "hunter2\r" } },
	    0 },
	{ "ssh", "#", { { 'o', "bob@web1's password: " }, { 'i', "hunter2\r" } }, 0 },
	{ "a key's passphrase", "#",
	    { { 'o', "Enter passphrase for key '/home/bob/.ssh/id_ed25519': " },
		{ 'i', "hunter2\r" } },
	    0 },
	{ "openssl", "#",
	    { { 'o', "enter aes-256-cbc encryption password:" }, { 'i', "hunter2\n" } }, 0 },
	{ "a code", "#", { { 'o', "Verification code: " }, { 'i', "123456\r" } }, 0 },
	{ "a PIN", "#", { { 'o', "Enter PIN for 'token': " }, { 'i', "123456\r" } }, 0 },
	{ "passwd, twice", "##",
	    { { 'o', "New password: " }, { 'i', "hunter2\r" }, { 'o', "\r\nRetype new password: " },
		{ 'i', "hunter2\r" }, { 'o', "\r\npasswd: done\r\n" } },
	    0 },
	{ "asked again in other words", "##",
	    { { 'o', "Passphrase: " }, { 'i', "hunter2\r" }, { 'o', "\r\nRepeat: " },
		{ 'i', "hunter2\r" } },
	    0 },
	{ "killed and typed anew, one mark", "#",
	    { { 'o', "Password: " }, { 'k', "hun\x15hunter2\x7f" }, { 'k', "2\r" } }, 0 },
	{ "given up", "#", { { 'o', "Password: " }, { 'k', "hun\x03" }, { 'o', "\r\n$ " } }, 0 },
	{ "then an ordinary line", "#ls\r",
	    { { 'o', "Password: " }, { 'k', "hunter2\r" }, { 'o', "\r\n# " }, { 'i', "l" },
		{ 'o', "l" }, { 'i', "s\r" }, { 'o', "s\r\n" } },
	    0 },
	{ "other output in the middle", "#",
	    { { 'o', "Password: " }, { 'k', "hun" }, { 'o', "\r\nBroadcast message\r\n" },
		{ 'k', "ter2\r" }, { 'o', "\r\n# " } },
	    0 },
	{ "other output before the first key", "#",
	    { { 'o', "Password: " }, { 'o', "\r\nBroadcast message\r\n" }, { 'k', "hunter2\r" },
		{ 'o', "\r\n" }, { 't', "11000" }, { 'o', "# " } },
	    0 },
	{ "the prompt in pieces", "#",
	    { { 'o', "Pass" }, { 'o', "word" }, { 'o', ":" }, { 'o', " " }, { 'k', "hunter2\r" } },
	    0 },
	{ "the prompt in colours, after a bell", "#",
	    { { 'o', "\x1b[1;31mPassword\x1b[0m:\a \x1b[K" }, { 'k', "hunter2\r" } }, 0 },
	{ "feedback", "#",
	    { { 'o', "[sudo] password for bob: " }, { 'i', "a" }, { 'o', "*" }, { 'i', "b" },
		{ 'o', "*" }, { 'i', "\x7f" }, { 'o', "\b \b" }, { 'i', "b\r" }, { 'o', "*\r\n" } },
	    6 },
	/* Typed ahead. */
	{ "a secret typed ahead of its prompt", "sudo id\r#",
	    { { 'o', "$ " }, { 'i', "sudo id\rhunter2\r" },
		{ 'o', "sudo id\r\n[sudo] password for bob: " }, { 'o', "\r\nuid=0\r\n$ " } },
	    0 },
	{ "the same, the echo split before its end", "sudo id\r#",
	    { { 'o', "\x1b[?2004h$ " }, { 'i', "sudo id\rhunter2\r" }, { 'o', "sudo id" },
		{ 'o', "\r\n\x1b[?2004l\r" }, { 'o', "[sudo] password for bob: " } },
	    0 },
	{ "and a line after it", "sudo id\r#pwd\r",
	    { { 'o', "$ " }, { 'i', "sudo id\rhunter2\rpwd\r" },
		{ 'o', "sudo id\r\n[sudo] password for bob: " }, { 'o', "\r\nuid=0\r\n$ " },
		{ 'o', "pwd\r\n/\r\n" } },
	    0 },
	/* Who wants to type commands unseen: they are not in the record, but that they did something is. */
	{ "a shell whose prompt asks for a password", "PS1='Password: '\r#!#!",
	    { { 'o', "$ " }, { 'i', "PS1='Password: '\r" },
		{ 'o', "PS1='Password: '\r\nPassword: " }, { 'k', "ls\r" },
		{ 'o', "\r\na\r\nb\r\nPassword: " }, { 'k', "id; pwd\r" },
		{ 'o', "\r\nuid=0\r\n/root\r\nPassword: " } },
	    0 },
	{ "a shell that does not echo", "stty -echo\r#!#!#",
	    { { 'o', "$ " }, { 'i', "stty -echo\r" }, { 'o', "stty -echo\r\n$ " }, { 'k', "ls\r" },
		{ 'o', "a\r\nb\r\n$ " }, { 'k', "ls -l\r" }, { 'o', "total 0\r\na\r\nb\r\n$ " },
		{ 't', "20000" }, { 'k', "true\r" }, { 'o', "$ " } },
	    0 },
	{ "one that echoes other characters", "#!",
	    { { 'o', "$ " }, { 'k', "e" }, { 'o', "r" }, { 'k', "z\r" },
		{ 'o', "m\r\nremoved a\r\nremoved b\r\n$ " } },
	    0 },
	{ "one that echoes asterisks", "#!",
	    { { 'o', "$ " }, { 'k', "l" }, { 'o', "*" }, { 'k', "s" }, { 'o', "*" }, { 'k', "\r" },
		{ 'o', "\r\na\r\nb\r\n$ " } },
	    2 },
	{ "an echo that comes late is one", "ls\r",
	    { { 'o', "$ " }, { 'k', "ls\r" }, { 't', "3000" }, { 'o', "ls\r\n" },
		{ 'o', "a\r\nb\r\n$ " } },
	    0 },
	{ "one that comes behind the output, too", "ls\r",
	    { { 'o', "$ " }, { 'k', "ls\r" }, { 'o', "a\r\nb\r\n" }, { 'o', "$ ls\r\n$ " } }, 0 },
	{ "an echo that is wiped before it is looked at", "#!",
	    { { 'o', "$ " }, { 'k', "ls\r" }, { 'o', "l\b \bs\b \b\r\na\r\nb\r\n$ " } }, 0 },
	{ "output that is placed and not fed", "#!",
	    { { 'o', "Password: " }, { 'k', "ls\r" },
		{ 'o', "\x1b[5;1Hone\x1b[6;1Htwo\x1b[7;1HPassword: " } },
	    0 },
	{ "much output in one row", "#!",
	    { { 'o', "Password: " }, { 'k', "ls\r" }, { 'o', "\r" LONG LONG LONG LONG } }, 0 },
	{ "hidden commands in one piece", "###!",
	    { { 'o', "$ " }, { 'i', "ls\rid\rpwd\r" }, { 'o', "a\r\n$ uid=0\r\n$ /root\r\n$ " } },
	    0 },
	{ "what programs say about a password is not much", "###",
	    { { 'o', "[sudo] password for bob: " }, { 'k', "hunter1\r" },
		{ 'o', "\r\nSorry, try again.\r\n[sudo] password for bob: " }, { 'k', "hunter2\r" },
		{ 'o', "\r\nSorry, try again.\r\n[sudo] password for bob: " }, { 'k', "hunter3\r" },
		{ 'o', "\r\nsudo: 3 incorrect password attempts\r\n$ " } },
	    0 },
	/* Nothing tells. */
	{ "read -s without a prompt", "#",
	    { { 'o', "\x1b[?2004h$ \x1b[?2004l\r" }, { 'k', "hunter2\r" }, { 't', "50" },
		{ 'o', "\x1b[?2004h$ " } },
	    0 },
	{ "read -s, and a shell of old", "#ls\r",
	    { { 'o', "$ " }, { 'k', "hunter2\r" }, { 'o', "\r\n$ " }, { 'i', "l" }, { 'o', "l" },
		{ 'i', "s\r" }, { 'o', "s\r\n" } },
	    0 },
	{ "a secret of fixed length", "#ls\r",
	    { { 'k', "1234" }, { 'o', "thanks\r\n$ " }, { 'i', "l" }, { 'o', "l" }, { 'i', "s\r" },
		{ 'o', "s\r\n" } },
	    0 },
	{ "noise while it is typed", "#",
	    { { 'o', "job 1\r\n" }, { 'i', "h" }, { 'o', "job 2\r\n" }, { 'i', "u" },
		{ 'o', "job 3\r\n" }, { 'i', "n\r" }, { 'o', "\r\n" } },
	    0 },
	{ "asterisks behind an unknown prompt", "#",
	    { { 'o', "Magic word " }, { 'i', "a" }, { 'o', "*" }, { 'i', "b" }, { 'o', "*" },
		{ 'i', "\r" }, { 'o', "\r\n" } },
	    2 },
	{ "a bullet in a full-screen program", "#",
	    { { 'o', "\x1b[?1049h\x1b[H\x1b[2JName\x1b[5;10H" }, { 'i', "a" },
		{ 'o', "\x1b[5;10H\xe2\x80\xa2" }, { 'i', "b" }, { 'o', "\xe2\x80\xa2" },
		{ 'i', "\r" }, { 'o', "\x1b[?1049l" } },
	    13 },
	{ "a full-screen dialog that shows nothing", "#",
	    { { 'o', "\x1b[?1049h\x1b[H\x1b[2JSay\x1b[5;10H" }, { 'k', "hunter2\r" },
		{ 'o', "\x1b[H\x1b[2Jthanks" } },
	    0 },
	/* Programs that read keys. */
	{ "vim", "jjihi\x1b:q\r",
	    { { 'o', "\x1b[?1049h\x1b[H\x1b[2Jone\r\ntwo\r\nthree\x1b[H" }, { 'i', "j" },
		{ 'o', "\x1b[2;1H" }, { 'i', "j" }, { 'o', "\x1b[3;1H" }, { 'i', "i" },
		{ 'o', "\x1b[24;1H-- INSERT --\x1b[3;1H\x1b[K" }, { 'i', "h" },
		{ 'o', "hthree\x1b[3;2H" }, { 'i', "i" }, { 'o', "ithree\x1b[3;3H" },
		{ 'i', "\x1b" }, { 'o', "\x1b[24;1H\x1b[K\x1b[3;2H" }, { 'i', ":" },
		{ 'o', "\x1b[24;1H:" }, { 'i', "q" }, { 'o', "q" }, { 'i', "\r" },
		{ 'o', "\r\x1b[?1049l" } },
	    0 },
	{ "vim -x", "#",
	    { { 'o', "\x1b[?1049h\x1b[22;2t\x1b[H\x1b[2J\x1b[24;1HEnter encryption key: " },
		{ 'i', "h" }, { 'o', "*" }, { 'i', "u\r" }, { 'o', "*\r\n" } },
	    2 },
	{ "less", " q",
	    { { 'o', "\x1b[?1049h\x1b[?1h\x1b=one\r\n:" }, { 'i', " " },
		{ 'o', "\r\x1b[Ktwo\r\n:" }, { 'i', "q" },
		{ 'o', "\r\x1b[K\x1b[?1l\x1b>\x1b[?1049l" } },
	    0 },
	{ "more", " ",
	    { { 'o', "one\r\n--More--" }, { 'i', " " },
		{ 'o', "\r        \rthe second page\r\n--More--" } },
	    0 },
	{ "a pinentry", "#",
	    { { 'o', "\x1b[?1049h\x1b[8;20H| Please unlock |\x1b[10;20H| Passphrase: ______ "
		     "|\x1b[10;34H" },
		{ 'i', "h" }, { 'o', "*" }, { 'i', "u" }, { 'o', "*" }, { 'i', "\r" },
		{ 'o', "\x1b[?1049l" } },
	    2 },
	{ "a prompt in a pane, the clock ticks", "#",
	    { { 'o', "\x1b[?1049h\x1b[H\x1b[2J$ sudo id\r\n[sudo] password for bob: " },
		{ 'k', "hun" }, { 'o', "\x1b[24;60H10:01\x1b[2;26H" }, { 'k', "ter2\r" },
		{ 'o', "\r\n$ " } },
	    0 },
	{ "an unknown prompt in a pane, the clock ticks", "#",
	    { { 'o', "\x1b[?1049h\x1b[H\x1b[2J$ ./ask\r\nMagic: " }, { 'k', "hun" },
		{ 'o', "\x1b[24;60H10:01\x1b[2;8H" }, { 'k', "ter2\r" }, { 'o', "\r\n$ " } },
	    0 },
	/* No prompt, though it looks like one. */
	{ "a word in the shell's prompt", "ls\r",
	    { { 'o', "bob@password-db:~$ " }, { 'i', "l" }, { 'o', "l" }, { 'i', "s\r" },
		{ 'o', "s\r\n" } },
	    0 },
	{ "a word that was typed", "a password: b\r",
	    { { 'o', "$ " }, { 'i', "a password:" }, { 'o', "a password:" }, { 'i', " " },
		{ 'o', " " }, { 'i', "b\r" }, { 'o', "b\r\n" } },
	    0 },
	{ "a word in a listing", "q\r",
	    { { 'o', "password: x\r\n$ " }, { 'i', "q\r" }, { 'o', "q\r\n" } }, 0 },
	/* The bastion's own shell. */
	{ "asked without echo", "ls\r##x\r",
	    { { 'o', "> " }, { 'i', "ls\r" }, { 'o', "ls\r\n" }, { 'a', "1" }, { 'o', "Magic " },
		{ 'k', "123\r" }, { 'k', "456\r" }, { 'a', "0" }, { 'o', "\r\n" }, { 'i', "x\r" },
		{ 'o', "x\r\n" } },
	    0 },
};

static void
test_conversations(void **state)
{
	struct rig *g = malloc(sizeof(*g));

	(void)state;
	assert_non_null(g);
	for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
		const struct conversation *c = &conversations[i];

		play(g, c->steps, STEPS_MAX);
		if (strcmp(g->record, c->record) != 0 || g->feedback != c->feedback) {
			print_error("%s: feedback %zu, record:", c->name, g->feedback);
			for (size_t k = 0; k < g->n; k++)
				print_error(g->record[k] < ' ' ? "<%02x>" : "%c", g->record[k]);
			print_error("\n");
			fail();
		}
	}
	free(g);
}

/* Without memory nothing is kept that was not shown before. */
static void
test_without_memory_it_is_hidden(void **state)
{
	struct rig g = { .fail = 0 };

	(void)state;
	g.e = echo_new(&sink, &g, 80, 24);
	assert_non_null(g.e);
	assert_int_equal(echo_input(g.e, 1, (const uint8_t *)"secret\r", 7), 0);
	assert_string_equal(g.record, "#");
	echo_free(g.e);
}

/* More than is remembered: shown when the program reacts, hidden when nothing tells. */
static void
test_more_than_memory(void **state)
{
	static uint8_t much[ECHO_MEMORY + 100];
	struct rig g = { .fail = 0 };
	size_t feedback;

	(void)state;
	memset(much, 'x', sizeof(much));
	g.e = echo_new(&sink, &g, 80, 24);
	assert_non_null(g.e);
	assert_int_equal(echo_output(g.e, 1, (const uint8_t *)"\x1b[?1049h", 8, &feedback), 0);
	echo_lend(g.e, g.memory);
	assert_int_equal(echo_input(g.e, 2, much, sizeof(much)), 0);
	assert_int_equal(echo_output(g.e, 3, (const uint8_t *)"ok", 2, &feedback), 0);
	assert_int_equal(g.n, ECHO_MEMORY + 1);
	assert_memory_equal(g.record, much, ECHO_MEMORY);
	assert_int_equal(g.record[ECHO_MEMORY], '~');
	echo_free(g.e);
}

/* What comes back for keys is left out of the record; a picture made of asterisks, or of coloured spaces, is not. */
static void
test_pictures_of_asterisks_are_kept(void **state)
{
	static const char *const dots[] = { "\x1b[2;3H*", "\x1b[41m " };
	static char picture[3000];
	size_t n, feedback, left_out;

	(void)state;
	for (size_t i = 0; i < sizeof(dots) / sizeof(dots[0]); i++) {
		struct rig g = { .fail = 0 };

		g.e = echo_new(&sink, &g, 80, 24);
		assert_non_null(g.e);
		n = (size_t)snprintf(picture, sizeof(picture), "*\b");
		while (n + strlen(dots[i]) < sizeof(picture))
			n += (size_t)snprintf(picture + n, sizeof(picture) - n, "%s", dots[i]);
		assert_int_equal(
		    echo_output(g.e, 1, (const uint8_t *)"Password: ", 10, &feedback), 0);
		echo_lend(g.e, g.memory);
		assert_int_equal(echo_input(g.e, 2, (const uint8_t *)"xyz", 3), 0);
		assert_int_equal(echo_output(g.e, 3, (const uint8_t *)picture, n, &feedback), 0);
		assert_int_equal(feedback, 0);
		/* Nor is one in small pieces. */
		left_out = 0;
		for (uint64_t at = 4; at < 104; at++) {
			assert_int_equal(
			    echo_output(g.e, at, (const uint8_t *)picture, 30, &feedback), 0);
			left_out += feedback;
		}
		assert_true(left_out > 0 && left_out <= 3 * 64);
		assert_string_equal(g.record, "#");
		echo_free(g.e);
	}
}

static void
test_sink_errors_come_back(void **state)
{
	struct rig g = { .fail = -5 };
	size_t feedback;

	(void)state;
	g.e = echo_new(&sink, &g, 80, 24);
	assert_non_null(g.e);
	echo_lend(g.e, g.memory);
	assert_int_equal(echo_input(g.e, 1, (const uint8_t *)"\r", 1), -5);
	assert_int_equal(echo_input(g.e, 1, (const uint8_t *)"x", 1), -5);
	assert_int_equal(echo_output(g.e, 1, (const uint8_t *)"x", 1, &feedback), -5);
	echo_free(g.e);
}

/* Every prompt at every cut of its bytes, and at the end of a long listing. */
static void
test_prompt_at_every_cut(void **state)
{
	static const char text[] = "\x1b[1m[sudo] Mot de passe de bob\xc2\xa0:\x1b[0m ";
	struct rig *g = malloc(sizeof(*g));
	char first[sizeof(text)];

	(void)state;
	assert_non_null(g);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct step steps[] = { { 'o', first }, { 'o', text + cut }, { 'i', "hunter2\r" } };

		(void)snprintf(first, sizeof(first), "%.*s", (int)cut, text);
		play(g, steps, 3);
		assert_string_equal(g->record, "#");
	}
	free(g);
}

static void
test_prompt_behind_much_output(void **state)
{
	static char much[40000];
	struct rig *g = malloc(sizeof(*g));
	const struct step steps[] = { { 'o', much }, { 'i', "hunter2\r" } };

	(void)state;
	assert_non_null(g);
	for (size_t i = 0; i < 30000; i++)
		much[i] = i % 80 == 79 ? '\n' : 'y';
	(void)snprintf(much + 30000, 1000, "\r\nPassword: ");
	play(g, steps, 2);
	assert_string_equal(g->record, "#");
	free(g);
}

/* Whatever comes, a line that is answered and never shown is in no record. */
static void
test_random_output_shows_no_secret(void **state)
{
	static const char *const noise[] = { "\r\n", "job\r\n", "\x1b[K", "\a", "[1]+ Done\r\n",
		"Magic word? ", "\x1b[31m", "45%\r\n", "\x1b]0;title\a" };
	struct rig *g = malloc(sizeof(*g));
	unsigned seed = 1;

	(void)state;
	assert_non_null(g);
	for (int round = 0; round < 2000; round++) {
		struct step steps[STEPS_MAX] = { { 0, NULL } };
		static const char *const keys[] = { "S", "3", "c", "R", "e", "7", "\r" };
		size_t n = 0;

		for (size_t k = 0; k < 7; k++) {
			seed = seed * 1103515245u + 12345u;
			if (seed >> 16 & 1)
				steps[n++] = (struct step){ 'o', noise[(seed >> 18) % 9] };
			steps[n++] = (struct step){ 'i', keys[k] };
		}
		steps[n++] = (struct step){ 'o', "\r\n$ " };
		play(g, steps, n);
		assert_null(strpbrk(g->record, "S3cRe7"));
	}
	free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_without_memory_it_is_hidden),
		cmocka_unit_test(test_more_than_memory),
		cmocka_unit_test(test_pictures_of_asterisks_are_kept),
		cmocka_unit_test(test_sink_errors_come_back),
		cmocka_unit_test(test_prompt_at_every_cut),
		cmocka_unit_test(test_prompt_behind_much_output),
		cmocka_unit_test(test_random_output_shows_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
