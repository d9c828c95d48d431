/*
 * Programs that ask for secrets: conversations with real ones (tests/data/prompts/recorded), and prompts of those that want more
 * than a test machine has. What was secret is not recorded, what else was typed is.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "recorder/echo.h"

#define TEXT_SIZE 4096u
#define DATA_MAX 8192u
#define FILE_SIZE (1u << 20)

struct rig {
	struct echo *e;
	uint8_t memory[ECHO_MEMORY];
	char record[TEXT_SIZE], open[TEXT_SIZE]; /* what is kept; what was typed and is no secret */
	size_t n, n_open, marks;
	uint64_t now;
};

static void
add(struct rig *g, const uint8_t *p, size_t n)
{
	assert_true(p != NULL && g->n + n < TEXT_SIZE);
	memcpy(g->record + g->n, p, n);
	g->n += n;
}

static int
on_keep(void *arg, const uint8_t *p, size_t n)
{
	add(arg, p, n);
	return 0;
}

static int
on_veil(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)run;
	(void)p;
	(void)n;
	return 0;
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	(void)run;
	(void)all;
	add(arg, p, n);
	return 0;
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	struct rig *g = arg;

	(void)run;
	g->marks += why != VEIL_ANSWERED;
	return 0;
}

static const struct echo_sink sink = { on_keep, on_veil, on_shown, on_hidden };

static void
begin(struct rig *g)
{
	*g = (struct rig){ .now = CLOCK_NS_PER_S };
	g->e = echo_new(&sink, g, 80, 24);
	assert_non_null(g->e);
}

static void
input(struct rig *g, const uint8_t *p, size_t n, bool secret)
{
	g->now += 100 * CLOCK_NS_PER_MS;
	if (echo_is_idle(g->e))
		echo_lend(g->e, g->memory);
	assert_int_equal(echo_input(g->e, g->now, p, n), 0);
	if (secret)
		return;
	assert_true(g->n_open + n < TEXT_SIZE);
	memcpy(g->open + g->n_open, p, n);
	g->n_open += n;
}

/* In pieces of so many bytes. */
static void
output(struct rig *g, const uint8_t *p, size_t n, size_t piece)
{
	size_t feedback;

	for (size_t i = 0; i < n; i += piece) {
		g->now += CLOCK_NS_PER_MS;
		assert_int_equal(
		    echo_output(g->e, g->now, p + i, n - i < piece ? n - i : piece, &feedback), 0);
	}
}

static void
end(struct rig *g, const char *name)
{
	assert_int_equal(echo_end(g->e), 0);
	echo_free(g->e);
	if (g->marks == 0 || g->n != g->n_open || memcmp(g->record, g->open, g->n) != 0) {
		print_error("%s: %zu marks, recorded:\n%.*s\ntyped:\n%.*s\n", name, g->marks,
		    (int)g->n, g->record, (int)g->n_open, g->open);
		fail();
	}
}

static size_t
get_hex(const char *hex, uint8_t dst[DATA_MAX])
{
	size_t n = 0;
	unsigned byte;

	for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
		assert_true(n < DATA_MAX && sscanf(hex, "%2x", &byte) == 1);
		dst[n++] = (uint8_t)byte;
	}
	return n;
}

/* All conversations of the text, which is taken apart; output in pieces of so many bytes. Returns how many. */
static size_t
replay(char *text, size_t piece)
{
	static uint8_t data[DATA_MAX];
	static struct rig g;
	char *name = NULL, *rest = text, *line;
	size_t conversations = 0, n;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '#' || line[0] == '\0')
			continue;
		assert_int_equal(line[1], ' ');
		if (line[0] == 'n') {
			if (name != NULL)
				end(&g, name);
			name = line + 2;
			conversations++;
			begin(&g);
			continue;
		}
		n = get_hex(line + 2, data);
		if (line[0] == 'o')
			output(&g, data, n, piece);
		else
			input(&g, data, n, line[0] == 's');
	}
	if (name != NULL)
		end(&g, name);
	return conversations;
}

static void
test_conversations_with_real_programs(void **state)
{
	static const size_t pieces[] = { DATA_MAX, 1, 7 };
	char path[512], *text, *copy;
	size_t len;

	(void)state;
	assert_non_null(getenv("BASTION_SRC"));
	(void)snprintf(path, sizeof(path), "%s/tests/data/prompts/recorded", getenv("BASTION_SRC"));
	assert_int_equal(file_read(path, FILE_SIZE, &text, &len), 0);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		copy = strndup(text, len);
		assert_non_null(copy);
		assert_true(replay(copy, pieces[i]) >= 25);
		free(copy);
	}
	free(text);
}

/* As their sources and catalogues have them. */
static const char *const prompts[] = {
	"doas (alice@web1) password: ",
	"Password for alice@EXAMPLE.ORG: ",
	"Enter it again: ",
	"[sudo] password for alice: ",
	"[sudo] Passwort f\xc3\xbcr alice: ",
	"[sudo] Mot de passe de alice\xc2\xa0: ",
	"[sudo] contrase\xc3\xb1"
	"a para alice: ",
	"[sudo] alice \xe3\x81\xae\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc\xe3\x83\x89: ",
	"Passwort: ",
	"Mot de passe\xc2\xa0: ",
	"Contrase\xc3\xb1"
	"a: ",
	"\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc\xe3\x83\x89: ",
	"Geben Sie ein neues Passwort ein: ",
	"Neues Passwort: ",
	"Nouveau mot de passe : ",
	"Nueva contrase\xc3\xb1"
	"a: ",
	"\xe6\x96\xb0\xe3\x81\x97\xe3\x81\x84\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc\xe3"
	"\x83\x89: ",
	"alice@web1's password: ",
	"Enter passphrase for key '/home/alice/.ssh/id_ed25519': ",
	"Enter PIN for 'token': ",
	"Enter PIN for ED25519-SK key /home/alice/.ssh/id_ed25519_sk: ",
	"Verification code: ",
	"One-time password (OATH) for `alice': ",
	"Passcode or option (1-3): ",
	"Vault password: ",
	"Token (will be hidden): ",
	"Password for 'https://alice@git.example.org': ",
	"Please enter passphrase for disk data (luks): ",
	"BECOME password: ",
	"SSH password: ",
	"Enter LDAP Password: ",
	"Enter export password:",
	"Enter keystore password:  ",
	"? Paste your authentication token: ",
	"AWS Secret Access Key [None]: ",
};

static void
test_prompts_hide_what_is_typed(void **state)
{
	static struct rig g;

	(void)state;
	for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
		/* Whether "again" asks for a secret depends on what was asked before. */
		const char *first = strstr(prompts[i], "again") != NULL ? "Password: \r\n" : "";

		begin(&g);
		if (first[0] != '\0') {
			output(&g, (const uint8_t *)"Password: ", 10, 10);
			input(&g, (const uint8_t *)"hunter2\r", 8, true);
			output(&g, (const uint8_t *)"\r\n", 2, 2);
		}
		output(&g, (const uint8_t *)prompts[i], strlen(prompts[i]), DATA_MAX);
		input(&g, (const uint8_t *)"h", 1, true);
		/* At once, not only when the line ends. */
		assert_true(echo_is_idle(g.e));
		input(&g, (const uint8_t *)"unter2\r", 7, true);
		output(&g, (const uint8_t *)"\r\n$ ", 4, 4);
		input(&g, (const uint8_t *)"ls\r", 3, false);
		output(&g, (const uint8_t *)"ls\r\n", 4, 4);
		end(&g, prompts[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations_with_real_programs),
		cmocka_unit_test(test_prompts_hide_what_is_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
