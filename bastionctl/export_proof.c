/* The reader's verification in one line. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export_proof.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

int
export_proof_ask(
    struct cmd_ctx *c, const struct rd_place *place, const char *id, struct export_proof *ret_proof)
{
	const char *ask[] = { "verify", "--key", ret_proof->key, id, NULL };
	char *key = NULL;
	size_t len;
	int code = CMD_YES, r;

	memset(ret_proof, 0, sizeof(*ret_proof));
	r = file_read(place->key_file, sizeof(ret_proof->key) - 1, &key, &len);
	if (r == 0) {
		key[strcspn(key, "\r\n")] = '\0';
		r = str_copy(ret_proof->key, sizeof(ret_proof->key), key);
		free(key);
	}
	if (r != 0)
		(void)snprintf(ret_proof->text, sizeof(ret_proof->text), "not verified: %.300s: %s",
		    place->key_file, err_str(r));
	else
		code = rd_open(c, place, RD_PROOF, ask, &ret_proof->rd);
	fd_close(&c->broker_fd); /* the next reader is asked for anew */
	return code;
}

/* What the reader says, until it ends. */
struct proof_answer {
	char first[256]; /* finding, with its place */
	char root[128];
	uint64_t n_findings, log_size;
	bool ok, result;
};

static void
proof_take_item(struct proof_answer *a, const struct json_node *m, const char *sid)
{
	const struct json_node *finding = json_get(m, "finding"), *result = json_get(m, "result");
	const struct json_node *session = json_get(m, "session");

	if (finding != NULL && a->n_findings++ == 0)
		(void)snprintf(a->first, sizeof(a->first), "%s: %s",
		    json_str(json_get(finding, "place"), "?"),
		    json_str(json_get(finding, "text"), "?"));
	if (session != NULL && strcmp(json_str(json_get(session, "id"), ""), sid) == 0)
		a->ok = json_bool(json_get(session, "ok"), false);
	if (result != NULL) {
		a->result = true;
		a->log_size = json_u64(json_get(result, "log_size"), 0);
		(void)snprintf(
		    a->root, sizeof(a->root), "%s", json_str(json_get(result, "log_root"), "?"));
	}
}

void
export_proof_take(struct export_proof *p, const char *sid)
{
	struct proof_answer a = { 0 };
	char now[CLOCK_TEXT_SIZE];
	struct rd_msg m;
	int r;

	if (p->rd == NULL)
		return;
	while ((r = rd_next(p->rd, &m)) == 0)
		if (m.json != NULL)
			proof_take_item(&a, m.json, sid);
	p->proven = r == ERR_NOT_FOUND && a.ok && a.result && a.n_findings == 0;
	clock_text(now, sizeof(now), clock_wall_ns());
	if (p->proven)
		(void)snprintf(p->text, sizeof(p->text),
		    "verified %s: whole, in the log of %" PRIu64
		    " leaves with root %s, under the key %s",
		    now, a.log_size, a.root, p->key);
	else if (a.n_findings > 0)
		(void)snprintf(p->text, sizeof(p->text),
		    "NOT whole, as verified %s under the key %s: findings: %" PRIu64
		    ", the first at %s",
		    now, p->key, a.n_findings, a.first);
	else
		(void)snprintf(p->text, sizeof(p->text),
		    "not verified: the reader gave no answer: run bastionctl verify %s", sid);
}

void
export_proof_done(struct export_proof *p)
{
	rd_close(p->rd);
	p->rd = NULL;
}
