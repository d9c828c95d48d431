/* Building a set out of files that the broker opened. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/set.h"

#define LINE_SIZE 8192 /* bytes of a line with a public key */

static const struct {
	const char *name;
	enum set_method method;
} methods[] = {
	{ "publickey", SET_PUBLICKEY },
	{ "keyboard-interactive", SET_KEYBOARD_INTERACTIVE },
};

const char *
set_method_name(enum set_method method)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].method == method)
			return methods[i].name;
	return "none";
}

struct set *
set_new(void)
{
	return calloc(1, sizeof(struct set));
}

void
set_free(struct set *s)
{
	if (s == NULL)
		return;
	model_free(s->model);
	krl_free(s->krl);
	for (size_t i = 0; i < s->n_cas; i++) {
		sshkey_free(s->cas[i].key);
		free(s->cas[i].blob);
		free(s->cas[i].file);
	}
	free(s);
}

/* "file:line:column: text"; a line that is too long for the buffer is cut. */
static int
say_at(char *ret_err, const char *name, size_t line, size_t column, const char *text)
{
	char file[160];

	str_escape(file, sizeof(file), name, strlen(name));
	(void)snprintf(ret_err, SET_ERR_SIZE, "%s:%zu:%zu: %s", file, line, column, text);
	return ERR_FORMAT;
}

/* The same about a file as a whole, or a setting. */
static int
say(char *ret_err, const char *name, const char *text)
{
	char file[160];

	str_escape(file, sizeof(file), name, strlen(name));
	(void)snprintf(ret_err, SET_ERR_SIZE, "%s: %s", file, text);
	return ERR_FORMAT;
}

static int
add_policy(struct set *s, const char *name, const char *data, size_t len, const struct zones *zones,
    char *ret_err)
{
	struct conf_err err = { "" };
	int r;

	if (s->model != NULL)
		return say(ret_err, name, "a second policy");
	r = model_load(name, data, len, zones, &s->model, &err);
	if (r == ERR_FORMAT)
		(void)snprintf(ret_err, SET_ERR_SIZE, "%s", err.text);
	return r;
}

/* On an error the row is as it was. */
static int
fill_ca(struct set_ca *ca, const char *file, const char *line)
{
	struct set_ca made = *ca;
	int r;

	if ((r = sshkey_line(line, &made.blob, &made.len, NULL)) == 0 &&
	    (r = sshkey_parse(made.blob, made.len, &made.key)) == 0)
		r = (made.file = strdup(file)) != NULL ? 0 : -ENOMEM;
	if (r != 0) {
		sshkey_free(made.key);
		free(made.blob);
		return r;
	}
	hash_fingerprint(made.fingerprint, made.blob, made.len);
	*ca = made;
	return 0;
}

/* What else stands in the line than a key that is taken. */
static int
complain_ca(char *ret_err, const char *name, size_t number, size_t column, int r)
{
	char text[128] = "expected a CA's OpenSSH public key, found something else";

	if (r == ERR_LIMIT)
		(void)snprintf(text, sizeof(text),
		    "expected an RSA key of %u (with compat: [rsa-2048] %u) to %u bits",
		    MODEL_RSA_BITS, MODEL_RSA_BITS_COMPAT, SSHKEY_RSA_BITS_MAX);
	return say_at(ret_err, name, number, column, text);
}

static int
add_ca_line(
    struct set *s, const char *name, size_t number, const char *text, size_t len, char *ret_err)
{
	struct set_ca *ca = &s->cas[s->n_cas];
	char line[LINE_SIZE];
	size_t blank;
	int r;

	if (len >= sizeof(line) || memchr(text, '\0', len) != NULL)
		return say_at(
		    ret_err, name, number, 1, "expected an OpenSSH public key, found no text");
	memcpy(line, text, len);
	line[len] = '\0';
	blank = strspn(line, " \t");
	if (line[strspn(line, " \t\r")] == '\0' || line[blank] == '#')
		return 0;
	if (s->n_cas == SET_CAS_MAX)
		return say_at(ret_err, name, number, blank + 1, "too many CAs");
	r = fill_ca(ca, name, line);
	if (r != 0)
		return r == -ENOMEM ? r : complain_ca(ret_err, name, number, blank + 1, r);
	ca->line = number;
	ca->column = blank + 1;
	s->n_cas++;
	return 0;
}

/* Public keys as of ssh-keygen, one a line; empty lines and comments pass. */
static int
add_cas(struct set *s, const char *name, const char *data, size_t len, char *ret_err)
{
	size_t before = s->n_cas, number = 0;
	int r = 0;

	for (size_t at = 0; r == 0 && at < len;) {
		const char *end = memchr(data + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - (data + at)) : len - at;

		r = add_ca_line(s, name, ++number, data + at, n, ret_err);
		at += n + 1;
	}
	if (r == 0 && s->n_cas == before)
		return say(ret_err, name, "expected at least one CA key, found none");
	return r;
}

static int
add_krl(struct set *s, const char *name, const char *data, size_t len, char *ret_err)
{
	const char *why = "malformed";
	char text[128];
	int r;

	if (s->krl != NULL)
		return say(ret_err, name, "a second revocation list");
	r = krl_parse((const uint8_t *)data, len, &s->krl, &why);
	if (r != ERR_FORMAT)
		return r;
	(void)snprintf(
	    text, sizeof(text), "expected a key revocation list of ssh-keygen -k: %s", why);
	return say(ret_err, name, text);
}

int
set_add_file(struct set *s, enum pol_file kind, const char *name, const char *data, size_t len,
    const struct zones *zones, char *ret_err)
{
	switch (kind) {
	case POL_FILE_POLICY:
		return add_policy(s, name, data, len, zones, ret_err);
	case POL_FILE_USER_CA:
		return add_cas(s, name, data, len, ret_err);
	case POL_FILE_REVOKED:
		return add_krl(s, name, data, len, ret_err);
	}
	return say(ret_err, name, "unknown kind of file");
}

static int
add_method(struct set_chain *chain, const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strlen(methods[i].name) != len || strncmp(methods[i].name, name, len) != 0)
			continue;
		if (chain->n == SET_CHAIN_LEN)
			return ERR_LIMIT;
		chain->methods[chain->n++] = methods[i].method;
		return 0;
	}
	return ERR_NOT_FOUND;
}

int
set_add_chain(struct set *s, const char *text, char *ret_err)
{
	struct set_chain chain = { .n = 0 };

	if (s->n_chains == SET_CHAINS_MAX)
		return say(ret_err, "login.methods", "too many ways in");
	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");

		if (add_method(&chain, p, len) != 0)
			return say(ret_err, "login.methods",
			    "expected publickey or keyboard-interactive, found another method");
		p += len;
		if (*p == '\0')
			break;
	}
	s->chains[s->n_chains++] = chain;
	return 0;
}

/* How long a CA's key must be, the policy says, which comes in any order with the CAs. */
static int
check_ca(const struct set_ca *ca, unsigned rsa_bits, char *ret_err)
{
	char text[128 + HASH_FINGERPRINT_SIZE];

	if (sshkey_type(ca->key) != SSHKEY_RSA || sshkey_bits(ca->key) >= rsa_bits)
		return 0;
	(void)snprintf(text, sizeof(text),
	    "expected an RSA key of at least %u bits, this one has %u (compat: [rsa-2048] takes "
	    "it): "
	    "%s",
	    rsa_bits, sshkey_bits(ca->key), ca->fingerprint);
	return say_at(ret_err, ca->file, ca->line, ca->column, text);
}

int
set_finish(struct set *s, unsigned tries, char *ret_err)
{
	if (s->model == NULL)
		return say(ret_err, "policy", "expected a policy file, found none");
	if (tries == 0 || tries > SET_TRIES_MAX)
		return say(ret_err, "limits.auth_tries", "expected 1 to 100 tries");
	if (s->n_chains == 0)
		return say(ret_err, "login.methods", "expected at least one way in, found none");
	for (size_t i = 0; i < s->n_cas; i++) {
		int r = check_ca(&s->cas[i], model_rsa_bits(s->model), ret_err);

		if (r != 0)
			return r;
	}
	s->tries = tries;
	return 0;
}

const struct set_ca *
set_find_ca(const struct set *s, const uint8_t *blob, size_t len)
{
	for (size_t i = 0; i < s->n_cas; i++)
		if (s->cas[i].len == len && memcmp(s->cas[i].blob, blob, len) == 0)
			return &s->cas[i];
	return NULL;
}
