/* libcurl, held. The only file that includes it. */
#include "config.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "bastiond/auth/oidc_http.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/str.h"

#define FORM_MAX 16384u /* bytes of a form */

struct oidc_http {
	const struct oidc_conf *conf; /* borrowed */
	CURL *curl;
	struct buf *body; /* of the answer that is being read */
	bool too_long;
	char error[CURL_ERROR_SIZE];
};

/* How a failed transfer is told; the first that fits. */
static const struct {
	CURLcode code;
	int r;
	enum oidc_end end;
} failures[] = {
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, OIDC_END_UNREACHABLE },
	{ CURLE_OUT_OF_MEMORY, -ENOMEM, OIDC_END_SYSTEM },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_SIGNATURE, OIDC_END_UNREACHABLE },
	{ CURLE_SSL_CACERT_BADFILE, ERR_SIGNATURE, OIDC_END_SETUP },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_DENIED, OIDC_END_SETUP },
	{ CURLE_FILESIZE_EXCEEDED, ERR_LIMIT, OIDC_END_PROVIDER },
	{ CURLE_WRITE_ERROR, ERR_LIMIT, OIDC_END_PROVIDER },
};

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	struct oidc_http *http = arg;

	if (buf_put(http->body, data, size * n) != 0) {
		http->too_long = true;
		return 0;
	}
	return size * n;
}

/*
 * libcurl writes TLS keys to the file that SSLKEYLOGFILE names. In a program with more rights than its caller (su) that name is the
 * caller's: it is out of sight while libcurl looks for it.
 */
static CURLcode
global_init(void)
{
	const char *was = secure_getenv("SSLKEYLOGFILE");
	char *name = was != NULL ? strdup(was) : NULL;
	CURLcode code;

	(void)unsetenv("SSLKEYLOGFILE"); /* cannot fail for this name */
	code = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (name != NULL)
		(void)setenv("SSLKEYLOGFILE", name, 1); /* as good as without it */
	free(name);
	return code;
}

static bool
set_limits(struct oidc_http *h)
{
	const struct oidc_conf *c = h->conf;
	long ms = (long)(c->timeout_ns / CLOCK_NS_PER_MS);
	const char *schemes = c->allow_http ? "http,https" : "https";
	CURL *e = h->curl;

	return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, schemes) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, ms) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MAXFILESIZE, (long)OIDC_BODY_MAX) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROXY, c->proxy) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_USERAGENT, "pam_bastion_oidc/" PACKAGE_VERSION) ==
		   CURLE_OK;
}

static bool
set_tls(struct oidc_http *h)
{
	CURL *e = h->curl;

	if (h->conf->ca_file[0] != '\0' &&
	    (curl_easy_setopt(e, CURLOPT_CAINFO, h->conf->ca_file) != CURLE_OK ||
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL) != CURLE_OK))
		return false;
	return curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
}

int
oidc_http_open(const struct oidc_conf *conf, struct oidc_http **ret_http, struct oidc_why *why)
{
	struct oidc_http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return oidc_why(why, OIDC_END_SYSTEM, -ENOMEM, "out of memory");
	h->conf = conf;
	if (global_init() != CURLE_OK || (h->curl = curl_easy_init()) == NULL) {
		free(h);
		return oidc_why(why, OIDC_END_SYSTEM, ERR_CRYPTO, "libcurl does not start");
	}
	h->body = buf_new(OIDC_BODY_MAX);
	if (h->body == NULL || !set_limits(h) || !set_tls(h) ||
	    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, take_body) != CURLE_OK ||
	    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h) != CURLE_OK ||
	    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->error) != CURLE_OK) {
		oidc_http_close(h);
		return oidc_why(
		    why, OIDC_END_SYSTEM, ERR_CRYPTO, "libcurl lacks an option that is needed");
	}
	*ret_http = h;
	return 0;
}

void
oidc_http_close(struct oidc_http *http)
{
	if (http == NULL)
		return;
	curl_easy_cleanup(http->curl);
	buf_free(http->body);
	free(http);
	curl_global_cleanup();
}

static int
transfer_failed(struct oidc_http *h, const char *what, CURLcode code, struct oidc_why *why)
{
	const char *text = h->error[0] != '\0' ? h->error : curl_easy_strerror(code);

	if (h->too_long || code == CURLE_FILESIZE_EXCEEDED)
		return oidc_why(why, OIDC_END_PROVIDER, ERR_LIMIT,
		    "%s: the answer is longer than %u bytes", what, OIDC_BODY_MAX);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (failures[i].code == code)
			return oidc_why(why, failures[i].end, failures[i].r, "%s: %s", what, text);
	return oidc_why(why, OIDC_END_UNREACHABLE, ERR_PEER_GONE, "%s: %s", what, text);
}

/* What was set up for this request alone is taken back by the caller. */
static int
transfer(struct oidc_http *h, const char *what, const char *url, struct oidc_reply *ret_reply,
    struct oidc_why *why)
{
	struct oidc_reply reply = { 0 };
	CURLcode code;

	buf_reset(h->body);
	h->too_long = false;
	h->error[0] = '\0';
	if (curl_easy_setopt(h->curl, CURLOPT_URL, url) != CURLE_OK)
		return oidc_why(why, OIDC_END_SYSTEM, -ENOMEM, "out of memory");
	code = curl_easy_perform(h->curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &reply.status);
	if (code != CURLE_OK)
		return transfer_failed(h, what, code, why);
	reply.len = buf_len(h->body);
	if ((reply.body = malloc(reply.len + 1)) == NULL)
		return oidc_why(why, OIDC_END_SYSTEM, -ENOMEM, "out of memory");
	if (reply.len > 0)
		memcpy(reply.body, buf_ptr(h->body), reply.len);
	reply.body[reply.len] = '\0';
	buf_reset(h->body);
	*ret_reply = reply;
	return 0;
}

int
oidc_http_get(struct oidc_http *http, const char *what, const char *url,
    struct oidc_reply *ret_reply, struct oidc_why *why)
{
	if (curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L) != CURLE_OK)
		return oidc_why(why, OIDC_END_SYSTEM, -ENOMEM, "out of memory");
	return transfer(http, what, url, ret_reply, why);
}

/* name=value, percent-encoded (application/x-www-form-urlencoded). */
static int
form_add(struct oidc_http *h, struct buf *form, const char *name, const char *value)
{
	char *text = curl_easy_escape(h->curl, value, (int)strlen(value));
	int r = text == NULL ? -ENOMEM : 0;

	if (r == 0 && buf_len(form) > 0)
		r = buf_put_u8(form, '&');
	if (r == 0 && (r = buf_put(form, name, strlen(name))) == 0 &&
	    (r = buf_put_u8(form, '=')) == 0)
		r = buf_put(form, text, strlen(text));
	if (text != NULL)
		sodium_memzero(text, strlen(text));
	curl_free(text);
	return r;
}

/* Both halves are encoded before they are joined (RFC 6749 section 2.3.1). */
static int
set_basic(struct oidc_http *h, const char *secret)
{
	char *id = curl_easy_escape(h->curl, h->conf->client_id, 0);
	char *pass = curl_easy_escape(h->curl, secret, 0);
	int r = -ENOMEM;

	if (id != NULL && pass != NULL &&
	    curl_easy_setopt(h->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
	    curl_easy_setopt(h->curl, CURLOPT_USERNAME, id) == CURLE_OK &&
	    curl_easy_setopt(h->curl, CURLOPT_PASSWORD, pass) == CURLE_OK)
		r = 0;
	if (pass != NULL)
		sodium_memzero(pass, strlen(pass));
	curl_free(id);
	curl_free(pass);
	return r;
}

/* Who we are, in the header or in the form. */
static int
set_client(struct oidc_http *h, struct buf *form)
{
	const char *secret =
	    h->conf->secret != NULL ? (const char *)secret_cptr(h->conf->secret) : NULL;
	int r;

	if (secret != NULL && h->conf->client == OIDC_SECRET_BASIC)
		return set_basic(h, secret);
	r = form_add(h, form, "client_id", h->conf->client_id);
	if (r == 0 && secret != NULL)
		r = form_add(h, form, "client_secret", secret);
	return r;
}

int
oidc_http_post(struct oidc_http *http, const char *what, const char *url,
    const struct oidc_field *fields, size_t n_fields, struct oidc_reply *ret_reply,
    struct oidc_why *why)
{
	struct buf *form = buf_new(FORM_MAX);
	CURL *e = http->curl;
	int r = form == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < n_fields; i++)
		if (fields[i].value != NULL)
			r = form_add(http, form, fields[i].name, fields[i].value);
	if (r == 0)
		r = set_client(http, form);
	if (r == 0 &&
	    (curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)buf_len(form)) != CURLE_OK ||
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, (const char *)buf_ptr(form)) != CURLE_OK))
		r = -ENOMEM;
	if (r == 0)
		r = transfer(http, what, url, ret_reply, why);
	else
		r = oidc_why(why, OIDC_END_SYSTEM, r, "%s: %s", what, err_str(r));
	/* The form and the password are not libcurl's any more, and a get has neither. */
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL);
	(void)curl_easy_setopt(e, CURLOPT_USERNAME, NULL);
	(void)curl_easy_setopt(e, CURLOPT_PASSWORD, NULL);
	buf_free(form);
	return r;
}
