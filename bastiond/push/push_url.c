/*
 * POST to a server, the note as text/plain. TLS is verified with the given CA or the system's; nothing is followed
 * anywhere else. An answer of 2xx says that it has the note.
 *
 * Name, connection, CA and token come first. Then the sandbox closes, and only then a byte of the server is read: what is
 * left is this one connection.
 */
#include "config.h"

#include <sys/socket.h>

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/push/push.h"
#include "lib/file.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define TOKEN_MAX 8192u	      /* bytes of a token's file */
#define CA_MAX (4u << 20)     /* bytes of a file of CAs */
#define ANSWER_MAX (1l << 20) /* bytes of an answer that is looked at, to be thrown away */
#define CONNECT_MS 8000	      /* for each of a name's addresses */

struct url {
	struct push *p;
	CURL *curl;
	struct curl_slist *head, *names;
	char *host, *port; /* curl_free() */
	int fd;		   /* the connection; -1: none, or libcurl's */
	char *ca;	   /* owned */
	size_t ca_len;
	size_t answered; /* bytes */
	char error[CURL_ERROR_SIZE];
};

static size_t
drop_answer(char *data, size_t size, size_t n, void *arg)
{
	struct url *u = arg;

	(void)data;
	u->answered += size * n;
	return u->answered > (size_t)ANSWER_MAX ? 0 : size * n;
}

static int
add_head(struct url *u, const char *line)
{
	struct curl_slist *more = curl_slist_append(u->head, line);

	if (more == NULL)
		return -ENOMEM;
	u->head = more;
	return 0;
}

/* The file's first line. */
static int
add_token(struct url *u, const char *file)
{
	char *token = NULL, line[TOKEN_MAX + 32];
	size_t len;
	int r = file_read(file, TOKEN_MAX, &token, &len);

	if (r != 0) {
		(void)snprintf(u->p->why, sizeof(u->p->why), "the token's file: %s", err_str(r));
		return r;
	}
	token[strcspn(token, "\r\n")] = '\0';
	r = str_format(line, sizeof(line), "Authorization: Bearer %s", token);
	free(token);
	return r == 0 ? add_head(u, line) : r;
}

/* The given CAs, or the system's, in memory. */
static int
read_ca(struct url *u, const char *ca)
{
	const char *const system[] = { curl_version_info(CURLVERSION_NOW)->cainfo,
		"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem" };
	int r = ERR_NOT_FOUND;

	if (ca[0] != '\0')
		r = file_read(ca, CA_MAX, &u->ca, &u->ca_len);
	for (size_t i = 0; ca[0] == '\0' && r != 0 && i < sizeof(system) / sizeof(system[0]); i++)
		if (system[i] != NULL)
			r = file_read(system[i], CA_MAX, &u->ca, &u->ca_len);
	if (r != 0)
		(void)snprintf(u->p->why, sizeof(u->p->why), "the CA's file: %s", err_str(r));
	return r;
}

/* Host and port, and that libcurl asks nobody for the address: it gets a connection, so any will do. */
static int
split(struct url *u, const char *url)
{
	CURLU *parts = curl_url();
	char line[1200];
	int r = ERR_FORMAT;

	if (parts == NULL)
		return -ENOMEM;
	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_HOST, &u->host, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_PORT, &u->port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		r = str_format(line, sizeof(line), "%s:%s:127.0.0.1", u->host, u->port);
	curl_url_cleanup(parts);
	/* An address is asked for nowhere, and in brackets not taken here. */
	if (r != 0 || u->host[0] == '[')
		return r;
	return (u->names = curl_slist_append(NULL, line)) != NULL ? 0 : -ENOMEM;
}

/* 0, or why there is no connection in time. */
static int
connect_one(const struct addrinfo *a, int *ret_fd)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int r = fd < 0 ? -errno : 0, error = 0, n;
	socklen_t len = sizeof(error);

	if (r == 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0)
		r = errno == EINPROGRESS ? 0 : -errno;
	if (r == 0) {
		n = poll(&wait, 1, CONNECT_MS);
		r = n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
	}
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		r = -errno;
	if (r == 0)
		r = -error;
	if (r == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return r;
}

static int
connect_to(struct url *u)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char name[1025];
	size_t len = strlen(u->host);
	int r, code;

	/* An IPv6 address stands in brackets. */
	r = u->host[0] == '[' ? str_format(name, sizeof(name), "%.*s", (int)len - 2, u->host + 1)
			      : str_copy(name, sizeof(name), u->host);
	if (r != 0)
		return r;
	if ((code = getaddrinfo(name, u->port, &hints, &list)) != 0) {
		(void)snprintf(
		    u->p->why, sizeof(u->p->why), "%.100s: %s", name, gai_strerror(code));
		return ERR_NOT_FOUND;
	}
	r = ERR_NOT_FOUND;
	for (const struct addrinfo *a = list; r != 0 && a != NULL; a = a->ai_next)
		r = connect_one(a, &u->fd);
	freeaddrinfo(list);
	if (r != 0)
		(void)snprintf(
		    u->p->why, sizeof(u->p->why), "%.100s port %s: %s", name, u->port, err_str(r));
	return r;
}

/* The connection, once. */
static curl_socket_t
give_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct url *u = arg;
	int fd = u->fd;

	(void)purpose;
	(void)addr;
	u->fd = -1;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int
is_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static bool
set_connection(struct url *u)
{
	struct curl_blob ca = { .data = u->ca, .len = u->ca_len, .flags = CURL_BLOB_NOCOPY };
	CURL *e = u->curl;

	if (u->ca != NULL && (curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &ca) != CURLE_OK ||
				 curl_easy_setopt(e, CURLOPT_CAPATH, NULL) != CURLE_OK))
		return false;
	/* Without a sandbox libcurl 7.88 would fail to connect what is connected. */
	return u->fd < 0 ||
	       (curl_easy_setopt(e, CURLOPT_RESOLVE, u->names) == CURLE_OK &&
		   curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, give_socket) == CURLE_OK &&
		   curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, u) == CURLE_OK &&
		   curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, is_connected) == CURLE_OK);
}

static bool
set_all(struct url *u, const char *url)
{
	CURL *e = u->curl;

	return set_connection(u) && curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)PUSH_WAIT_S) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_USERAGENT, "bastiond/" PACKAGE_VERSION) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, drop_answer) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEDATA, u) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_ERRORBUFFER, u->error) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTPHEADER, u->head) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)u->p->len) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_POSTFIELDS, u->p->note) == CURLE_OK;
}

static int
post(struct url *u)
{
	CURLcode code = curl_easy_perform(u->curl);
	long status = 0;

	if (code == CURLE_OK)
		code = curl_easy_getinfo(u->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		(void)snprintf(u->p->why, sizeof(u->p->why), "%s",
		    u->error[0] != '\0' ? u->error : curl_easy_strerror(code));
		return ERR_DENIED;
	}
	if (status >= 200 && status < 300)
		return 0;
	(void)snprintf(u->p->why, sizeof(u->p->why), "the server answers %ld", status);
	return ERR_DENIED;
}

int
push_url(struct push *p)
{
	const char *url = p->args[0], *ca = p->args[1], *token = p->args[2];
	struct url u = { .p = p, .fd = -1 };
	int r = ERR_CRYPTO;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (u.curl = curl_easy_init()) == NULL)
		return r;
	if ((r = add_head(&u, "Content-Type: text/plain; charset=utf-8")) != 0 ||
	    (r = add_head(&u, "Expect:")) != 0 ||
	    (token[0] != '\0' && (r = add_token(&u, token)) != 0) ||
	    (str_starts(url, "https:") && (r = read_ca(&u, ca)) != 0) ||
	    (r = split(&u, url)) != 0 || (sandbox_whole && (r = connect_to(&u)) != 0) ||
	    (r = sandbox_enter(SANDBOX_POST, NULL, 0)) != 0)
		goto out;
	r = set_all(&u, url) ? post(&u) : ERR_CRYPTO;
out:
	curl_slist_free_all(u.head);
	curl_slist_free_all(u.names);
	curl_easy_cleanup(u.curl);
	curl_free(u.host);
	curl_free(u.port);
	fd_close(&u.fd);
	free(u.ca);
	return r;
}
