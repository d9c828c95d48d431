/*
 * Tells one lie to a bastion whose fronts and backs are hostile_front and hostile_back.
 *
 *   bastion-hostile keys FILE NAME...     a new secret that all keys follow from; "NAME ssh-ed25519 BASE64" for each
 *   bastion-hostile list [talk]           "MODE EVENT CHARGED TEXT" for each lie: what the audit log has of it; talk: those that
 *                                         are told in a conversation of keyboard-interactive
 *   bastion-hostile run FILE STATE PORT SOURCE LOGIN HOST-PORT MODE
 *       0: it came to nothing, "conn=N leg=N" says whose it was; 1: not so; 3: it could not be told
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/num.h"
#include "lib/str.h"
#include "tests/hostile/hostile.h"

#define LONGEST_S 60 /* of one lie */

static const struct h_mode *const tables[] = { h_front_modes, h_edge_modes, h_link_modes,
	h_back_modes, h_talk_modes };

static int
keys(const char *file, char **names)
{
	struct hostile h = { 0 };
	uint8_t sk[64], blob[H_BLOB];
	char *text;

	randombytes_buf(h.master, sizeof(h.master));
	if (file_replace(file, 0600, h.master, sizeof(h.master)) != 0)
		return 3;
	for (; *names != NULL; names++) {
		h_key(&h, *names, sk, blob);
		if ((text = str_base64(blob, sizeof(blob))) == NULL)
			return 3;
		printf("%s ssh-ed25519 %s\n", *names, text);
		free(text);
	}
	return 0;
}

static int
list(bool talk)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct h_mode *m = tables[i]; m->name != NULL; m++)
			if (talk == (tables[i] == h_talk_modes))
				printf("%s %s %s %s\n", m->name, m->event,
				    m->charged ? "yes" : "no", m->says);
	return 0;
}

static const struct h_mode *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct h_mode *m = tables[i]; m->name != NULL; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	return NULL;
}

/* Where puppets come, in the state directory: they are let in there, whoever they run as. */
static int
open_socket(const char *state)
{
	const struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = PUPPET_SOCKET };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || chdir(state) != 0 || (unlink(PUPPET_SOCKET) != 0 && errno != ENOENT) ||
	    bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 ||
	    chmod(PUPPET_SOCKET, 0666) != 0 || listen(fd, 16) != 0) {
		perror(PUPPET_SOCKET);
		fd_close(&fd);
	}
	return fd;
}

static int
run(struct hostile *h, const struct h_mode *m)
{
	struct side *const all[] = { &h->front, &h->other, &h->back, &h->other_back };
	int r;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*all[i] =
		    (struct side){ .ctl = -1, .fd = { -1, -1, -1, -1 }, .tcp = -1, .link = -1 };
	r = m->run(h, m);
	printf("conn=%u leg=%u\n", h->front.id, h->back.id);
	if (r != 0)
		fprintf(stderr, "%s: %s\n", m->name, h->why);
	if (unlink(PUPPET_SOCKET) != 0)
		perror(PUPPET_SOCKET);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		h_drop(all[i]);
	return r == 0 ? 0 : 1;
}

static int
prepare(struct hostile *h, char **words)
{
	uint64_t port, host_port;
	char *secret = NULL;
	size_t len = 0;

	if (file_read(words[0], sizeof(h->master), &secret, &len) != 0 ||
	    len != sizeof(h->master) || num_parse(words[2], 1, 65535, &port) != 0 ||
	    num_parse(words[5], 1, 65535, &host_port) != 0)
		return 3;
	memcpy(h->master, secret, sizeof(h->master));
	free(secret);
	h->port = (uint16_t)port;
	h->source = words[3];
	h->login = words[4];
	h->host_port = (uint16_t)host_port;
	h->listener = open_socket(words[1]);
	return h->listener >= 0 ? 0 : 3;
}

int
main(int argc, char **argv)
{
	static struct hostile h;
	const struct h_mode *m;

	if (sodium_init() < 0)
		return 3;
	if (argc >= 3 && strcmp(argv[1], "keys") == 0)
		return keys(argv[2], argv + 3);
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return list(argc == 3);
	if (argc != 9 || strcmp(argv[1], "run") != 0 || (m = find(argv[8])) == NULL) {
		fprintf(stderr,
		    "usage: bastion-hostile keys FILE NAME... | list [talk] | run FILE STATE "
		    "PORT SOURCE LOGIN HOST-PORT MODE\n");
		return 2;
	}
	alarm(LONGEST_S);
	return prepare(&h, argv + 2) != 0 ? 3 : run(&h, m);
}
