/*
 * POST to a server, the note as text/plain. TLS is verified with the given CA or the system's; nothing is followed
 * anywhere else. An answer of 2xx says that it has the note.
 */
#include "config.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/push/push.h"
#include "lib/file.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define TOKEN_MAX 8192u	      /* bytes of a token's file */
#define ANSWER_MAX (1l << 20) /* bytes of an answer that is looked at, to be thrown away */

struct url {
	struct push *p;
	CURL *curl;
	struct curl_slist *head;
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

static bool
set_all(struct url *u, const char *url, const char *ca)
{
	CURL *e = u->curl;

	if (ca[0] != '\0' && (curl_easy_setopt(e, CURLOPT_CAINFO, ca) != CURLE_OK ||
				 curl_easy_setopt(e, CURLOPT_CAPATH, NULL) != CURLE_OK))
		return false;
	return curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK &&
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
	const struct sandbox_path paths[] = { { .path = ca } };
	struct url u = { .p = p };
	int r = ERR_CRYPTO;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (u.curl = curl_easy_init()) == NULL)
		return r;
	if ((r = add_head(&u, "Content-Type: text/plain; charset=utf-8")) != 0 ||
	    (r = add_head(&u, "Expect:")) != 0 ||
	    (token[0] != '\0' && (r = add_token(&u, token)) != 0) ||
	    (r = sandbox_enter(SANDBOX_STACK, paths, ca[0] != '\0')) != 0)
		goto out;
	r = set_all(&u, url, ca) ? post(&u) : ERR_CRYPTO;
out:
	curl_slist_free_all(u.head);
	curl_easy_cleanup(u.curl);
	return r;
}
