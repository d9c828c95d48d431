/* hosts ca, hosts known: what goes into clients' known_hosts for ssh -J (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/hosts.h"
#include "bastionctl/vault.h"
#include "keys/keys_proto.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/str.h"

#define KNOWN_NAMES_MAX 1200 /* bytes of "name,[name]:port,address,[address]:port" */

/* A pattern of known_hosts: one word. */
static bool
is_pattern(const char *s)
{
	return s[0] != '\0' && s[0] != '#' && s[0] != '@' && s[0] != '|' &&
	       s[strcspn(s, " \t\r\n\"")] == '\0';
}

static int
hosts_ca_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *pattern = n_args > 0 ? args[0] : "*";
	char *line = NULL;
	int code;

	if (!is_pattern(pattern))
		return cmd_fail(CMD_USAGE, "%.60s: expected a pattern of known_hosts, as in %s",
		    pattern, "\"*.example.org\"");
	code = vault_request(c, KEYS_ADM_PUBLIC, KEYS_HOST_CA, NULL, -1, &line);
	if (code == CMD_YES)
		printf("@cert-authority %s %s\n", pattern, line);
	free(line);
	return code;
}

/* OpenSSH looks a host up as NAME at port 22 and as [NAME]:PORT else. */
static int
known_name(char *dst, size_t size, const char *name, const char *port)
{
	size_t at = strlen(dst);
	int r = str_format(dst + at, size - at, "%s%s", at > 0 ? "," : "", name);

	if (r == 0 && strcmp(port, "22") != 0) {
		at = strlen(dst);
		r = str_format(dst + at, size - at, ",[%s]:%s", name, port);
	}
	return r;
}

static int
known_line(int vault, const char *name, const struct conf_node *host)
{
	const char *address = hosts_setting(host, "address", ""),
		   *port = hosts_setting(host, "port", "22");
	char names[KNOWN_NAMES_MAX] = "";
	struct buf *request = buf_new(KNOWN_NAMES_MAX);
	char *line = NULL;
	size_t type;
	int code;

	if (request == NULL || known_name(names, sizeof(names), name, port) != 0 ||
	    (address[0] != '\0' && known_name(names, sizeof(names), address, port) != 0) ||
	    buf_put_cstr(request, name) != 0)
		code = cmd_fail(CMD_UNSURE, "%.60s: its names are too long", name);
	else
		code = vault_ask(vault, KEYS_ADM_JUMP, request, -1, &line);
	if (code == CMD_YES) {
		/* The vault's own comment says nothing to a client. */
		type = strcspn(line, " ") + 1;
		printf("%s %.*s\n", names, (int)(type + strcspn(line + type, " \n")), line);
	}
	buf_free(request);
	free(line);
	return code;
}

static bool
is_host_pattern(const char *name)
{
	return name[strcspn(name, "*?")] != '\0';
}

static int
known_all(int vault, const struct conf_node *map)
{
	int code = CMD_YES;

	for (size_t i = 0; code == CMD_YES && map != NULL && i < conf_n(map); i++)
		if (conf_node_type(conf_at(map, i)) == CONF_MAP &&
		    !is_host_pattern(conf_key_at(map, i)))
			code = known_line(vault, conf_key_at(map, i), conf_at(map, i));
	return code;
}

static int
hosts_known_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const struct conf_node *host = NULL;
	struct hosts_file f;
	int vault = -1, code = hosts_read(c, &f);

	if (code == CMD_YES && n_args > 0 && (host = hosts_find(&f, args[0])) == NULL)
		code = cmd_fail(
		    CMD_NO, "%.60s: not in the inventory: see bastionctl hosts list", args[0]);
	if (code == CMD_YES && (code = vault_open(c, false, &vault)) == CMD_YES)
		code = host != NULL ? known_line(vault, args[0], host)
				    : known_all(vault, hosts_map(&f));
	fd_close(&vault);
	hosts_done(&f);
	return code;
}

const struct cmd cmd_hosts_ca = { "hosts", "ca", "[PATTERN]",
	"the known_hosts line that trusts the hosts behind ssh -J", CMD_CONFIG, 0, 1, NULL,
	hosts_ca_run };
const struct cmd cmd_hosts_known = { "hosts", "known", "[NAME]",
	"known_hosts lines of the keys that hosts have behind ssh -J", CMD_CONFIG, 0, 1, NULL,
	hosts_known_run };
