/* User names: what is one has fields that are names, and is the same when it is written out again. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/command.h"
#include "policy/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_again(const struct names *n)
{
	char text[1024], hint[NAMES_HINT_SIZE];
	struct names again;
	int len = snprintf(text, sizeof(text), "%s", n->first);

	if (n->login[0] != '\0')
		len += snprintf(text + len, sizeof(text) - (size_t)len, "+%s", n->login);
	if (n->host[0] != '\0')
		len += snprintf(text + len, sizeof(text) - (size_t)len, "+%s", n->host);
	if (n->port != 0)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "+%u", n->port);
	if (names_parse(text, (size_t)len, &again, hint) != 0 || again.form != n->form ||
	    strcmp(again.first, n->first) != 0 || strcmp(again.login, n->login) != 0 ||
	    strcmp(again.host, n->host) != 0 || again.port != n->port)
		abort();
}

static void
check(const struct names *n)
{
	if (!names_is_user(n->first) || (n->login[0] != '\0' && !names_is_user(n->login)) ||
	    (n->host[0] != '\0') != (n->form != NAMES_NO_HOST) ||
	    (n->host[0] != '\0' && !names_is_host(n->host)) ||
	    (n->login[0] != '\0') != (n->form == NAMES_FULL) ||
	    (n->form == NAMES_PORT && n->port == 0))
		abort();
	check_again(n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char hint[NAMES_HINT_SIZE] = "", command[COMMAND_MATCHED_MAX + 1], login[NAMES_FIELD_SIZE];
	struct names n;

	if (names_parse(data, size, &n, hint) == 0) {
		check(&n);
	} else {
		if (hint[0] == '\0')
			abort();
		for (const char *p = hint; *p != '\0'; p++)
			if (*p < 0x20 || *p > 0x7e)
				abort();
	}
	if (size < sizeof(login) && names_parse_login(data, size, login, hint) == 0 &&
	    (strlen(login) != size || !names_is_user(login)))
		abort();
	/* The same bytes as a command: no transfer may hold what a shell acts on. */
	if (size < sizeof(command) && memchr(data, '\0', size) == NULL) {
		memcpy(command, data, size);
		command[size] = '\0';
		if (command_classify(command) == COMMAND_RSYNC &&
		    strpbrk(command, ";&|<>$`\n") != NULL && strpbrk(command, "'\\") == NULL)
			abort();
		if (command_matches("*", command) && strpbrk(command, " /;&|<>$`'\"\\\n") != NULL)
			abort();
	}
	return 0;
}
