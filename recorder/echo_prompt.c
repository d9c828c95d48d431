/*
 * Questions for a secret, as programs put them. A question is a row that ends, before the cursor, in a colon or a question
 * mark, and has one of these words in it. What is hidden for no reason was echoed, so that it is in the output all the same:
 * in doubt a word is in the table.
 */
#include "config.h"

#include <string.h>

#include "recorder/echo_part.h"

#define WORD_MAX 48u
#define TEXT_MAX 200u /* cells before the cursor that are looked at */

enum { WHOLE = 1, AGAIN = 2 };

static const struct prompt_word {
	const char *word; /* UTF-8, small letters */
	unsigned flags; /* WHOLE: no letter or digit beside it; AGAIN: only behind another secret */
} words[] = {
	{ "password", 0 }, { "passwd", 0 }, { "passphrase", 0 }, { "pass phrase", 0 },
	{ "pass-phrase", 0 }, { "passcode", 0 }, { "pass code", 0 }, { "secret", 0 },
	{ "credential", 0 }, { "pin", WHOLE }, { "puk", WHOLE }, { "otp", WHOLE },
	{ "totp", WHOLE }, { "hotp", WHOLE }, { "yubikey", 0 }, { "token", WHOLE },
	{ "tokencode", 0 }, { "api key", WHOLE }, { "api-key", WHOLE }, { "apikey", WHOLE },
	{ "access key", WHOLE }, { "encryption key", WHOLE }, { "decryption key", WHOLE },
	{ "recovery key", WHOLE }, { "unseal key", WHOLE }, { "master key", WHOLE },
	{ "same key again", WHOLE }, { "enter key", WHOLE }, { "verification code", 0 },
	{ "authentication code", 0 }, { "authenticator code", 0 }, { "security code", 0 },
	{ "recovery code", 0 }, { "backup code", 0 }, { "one-time code", 0 }, { "2fa code", 0 },
	{ "mfa code", 0 }, { "sms code", 0 }, { "login code", 0 }, { "code", AGAIN | WHOLE },
	{ "response", AGAIN | WHOLE }, { "again", AGAIN | WHOLE }, { "repeat", AGAIN | WHOLE },
	{ "retype", AGAIN | WHOLE }, { "re-enter", AGAIN }, { "reenter", AGAIN },
	{ "confirm", AGAIN }, { "verify", AGAIN }, { "verifying", AGAIN },
	{ "passwort", 0 },		/* de */
	{ "kennwort", 0 },		/* de */
	{ "mot de passe", 0 },		/* fr */
	{ "phrase secr\xc3\xa8te", 0 }, /* fr */
	{ "phrase de passe", 0 },	/* fr */
	{ "contrase\xc3\xb1"
	  "a",
	    0 },		   /* es */
	{ "clave de cifrado", 0 }, /* es */
	{ "senha", 0 },		   /* pt */
	{ "palavra-passe", 0 },	   /* pt */
	{ "palavra passe", 0 },	   /* pt */
	{ "parola d'ordine", 0 },  /* it */
	{ "frase segreta", 0 },	   /* it */
	{ "wachtwoord", 0 },	   /* nl */
	{ "has\xc5\x82o", 0 },	   /* pl */
	{ "has\xc5\x82"
	  "a",
	    0 },									   /* pl */
	{ "heslo", 0 },									   /* cs */
	{ "l\xc3\xb6senord", 0 },							   /* sv */
	{ "adgangskode", 0 },								   /* da */
	{ "passord", 0 },								   /* nb */
	{ "salasana", 0 },								   /* fi */
	{ "jelsz\xc3\xb3", 0 },								   /* hu */
	{ "parola", 0 },								   /* tr */
	{ "parol\xc4\x83", 0 },								   /* ro */
	{ "contrasenya", 0 },								   /* ca */
	{ "\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c", 0 },			   /* ru */
	{ "\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8f", 0 },			   /* ru */
	{ "\xd0\xb3\xd0\xb0\xd1\x81\xd0\xbb\xd0\xbe", 0 },				   /* uk */
	{ "\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc\xe3\x83\x89", 0 },		   /* ja */
	{ "\xe3\x83\x91\xe3\x82\xb9\xe3\x83\x95\xe3\x83\xac\xe3\x83\xbc\xe3\x82\xba", 0 }, /* ja */
	{ "\xe5\xaf\x86\xe7\xa0\x81", 0 },						   /* zh */
	{ "\xe5\x8f\xa3\xe4\xbb\xa4", 0 },						   /* zh */
	{ "\xe5\xaf\x86\xe7\xa2\xbc", 0 },						   /* zh */
	{ "\xec\x95\x94\xed\x98\xb8", 0 },						   /* ko */
	{ "\xeb\xb9\x84\xeb\xb0\x80\xeb\xb2\x88\xed\x98\xb8", 0 },			   /* ko */
	{ "\xcf\x83\xcf\x85\xce\xbd\xce\xb8\xce\xb7\xce\xbc\xce\xb1\xcf\x84\xce\xb9\xce\xba\xcf"
	  "\x8c",
	    0 },							   /* el */
	{ "\xce\xba\xcf\x89\xce\xb4\xce\xb9\xce\xba\xcf\x8c\xcf\x82", 0 }, /* el */
	{ "\xd7\xa1\xd7\x99\xd7\xa1\xd7\x9e", 0 },			   /* he */
};

static size_t
fold_word(const char *word, uint8_t dst[WORD_MAX])
{
	const uint8_t *p = (const uint8_t *)word;
	size_t n = strlen(word), k = 0;
	uint32_t cp;

	while (n > 0 && k < WORD_MAX) {
		size_t len = echo_utf8(p, n, &cp);

		dst[k++] = screen_fold(cp);
		p += len;
		n -= len;
	}
	return k;
}

static bool
is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

static bool
has_word(const uint8_t *text, size_t n, const struct prompt_word *w)
{
	uint8_t word[WORD_MAX];
	size_t len = fold_word(w->word, word);

	for (size_t i = 0; i + len <= n; i++) {
		if (memcmp(text + i, word, len) != 0)
			continue;
		if ((w->flags & WHOLE) == 0)
			return true;
		if ((i == 0 || !is_letter(text[i - 1])) &&
		    (i + len == n || !is_letter(text[i + len])))
			return true;
	}
	return false;
}

/* A colon, also the wide one of Asian scripts, or a question mark. */
static bool
is_question(uint8_t c)
{
	return c == ':' || c == '?' || c == screen_fold(0xff1a) || c == screen_fold(0xff1f);
}

/* What is passed over at the end of a question, with the halves of wide characters. */
static bool
is_blank(uint8_t cell)
{
	return cell == CELL_EMPTY || cell == CELL_WIDE || cell == ' ' || cell == screen_fold(0xa0);
}

/* What stands before the cursor, without halves of wide characters; places where nothing was written are spaces. */
static size_t
get_text(const uint8_t *cells, size_t n, uint8_t dst[TEXT_MAX])
{
	size_t from = n > TEXT_MAX ? n - TEXT_MAX : 0, k = 0;

	for (size_t i = from; i < n; i++)
		if (cells[i] != CELL_WIDE)
			dst[k++] = cells[i] == CELL_EMPTY ? ' ' : cells[i];
	return k;
}

bool
prompt_is_secret(const uint8_t *cells, size_t n, bool again)
{
	uint8_t text[TEXT_MAX];
	size_t len;

	while (n > 0 && is_blank(cells[n - 1]))
		n--;
	if (n == 0 || !is_question(cells[n - 1]))
		return false;
	len = get_text(cells, n, text);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (((words[i].flags & AGAIN) == 0 || again) && has_word(text, len, &words[i]))
			return true;
	return false;
}
