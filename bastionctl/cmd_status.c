/* status: what runs, what is wrong, and what to do about it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/out.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/file.h"
#include "lib/json.h"

static void
status_head(const struct json_node *root)
{
	const struct json_node *listen = json_get(root, "listen");

	printf("bastiond %s, pid %llu, up %llu s\n", json_str(json_get(root, "version"), "?"),
	    (unsigned long long)json_u64(json_get(root, "pid"), 0),
	    (unsigned long long)json_u64(json_get(root, "uptime"), 0));
	for (size_t i = 0; i < json_n(listen); i++)
		printf("listening on %s\n", json_str(json_at(listen, i), "?"));
	printf("%llu connections, %llu jumps through them, %llu legs\n\n",
	    (unsigned long long)json_u64(json_get(root, "connections"), 0),
	    (unsigned long long)json_u64(json_get(root, "jumps"), 0),
	    (unsigned long long)json_u64(json_get(root, "legs"), 0));
}

/* How many children are not up. */
static size_t
status_children(const struct json_node *root)
{
	static const struct out_column columns[] = { { "ROLE", false, false },
		{ "PID", true, false }, { "STATE", false, false }, { "RESTARTS", true, false } };
	struct out_table *t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const struct json_node *children = json_get(root, "children");
	size_t down = 0;

	for (size_t i = 0; t != NULL && i < json_n(children); i++) {
		const struct json_node *child = json_at(children, i);
		const char *state = json_str(json_get(child, "state"), "?");
		char pid[24], restarts[24];
		const char *cells[] = { json_str(json_get(child, "role"), "?"), pid, state,
			restarts };

		snprintf(pid, sizeof(pid), "%llu",
		    (unsigned long long)json_u64(json_get(child, "pid"), 0));
		snprintf(restarts, sizeof(restarts), "%llu",
		    (unsigned long long)json_u64(json_get(child, "restarts"), 0));
		if (strcmp(state, "ready") != 0)
			down++;
		if (out_table_row(t, cells) != 0)
			break;
	}
	if (t != NULL)
		out_table_print(t, stdout, out_width(stdout));
	out_table_free(t);
	return down;
}

/* Where checkpoints are brought, and how old the newest is that got there. */
static void
status_places(const struct json_node *root)
{
	static const struct out_column columns[] = { { "CHECKPOINTS TO", false, false },
		{ "STATE", false, false }, { "LAST", true, false } };
	struct out_table *t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const struct json_node *places = json_get(root, "checkpoints");

	for (size_t i = 0; t != NULL && i < json_n(places); i++) {
		const struct json_node *place = json_at(places, i);
		uint64_t age = json_u64(json_get(place, "age"), UINT64_MAX);
		char last[32] = "never";
		const char *cells[] = { json_str(json_get(place, "to"), "?"),
			json_str(json_get(place, "state"), "?"), last };

		if (age != UINT64_MAX)
			(void)snprintf(last, sizeof(last), "%llu s ago", (unsigned long long)age);
		if (out_table_row(t, cells) != 0)
			break;
	}
	if (t != NULL && json_n(places) > 0) {
		putchar('\n');
		out_table_print(t, stdout, out_width(stdout));
	}
	out_table_free(t);
}

static int
status_people(const struct json_node *root, bool quiet)
{
	const struct json_node *recorder = json_get(root, "recorder"),
			       *problems = json_get(root, "problems");
	const char *health = json_str(json_get(recorder, "health"), "ok");
	size_t wrong = json_n(problems);

	if (!quiet) {
		status_head(root);
		wrong += status_children(root);
		status_places(root);
		putchar('\n');
		for (size_t i = 0; i < json_n(problems); i++) {
			out_text(stdout, json_str(json_at(problems, i), "?"));
			putchar('\n');
		}
	}
	if (strcmp(health, "ok") != 0) {
		wrong++;
		if (!quiet) {
			printf("recorder: %s: ", health);
			out_text(stdout, json_str(json_get(recorder, "text"), "see the log"));
			putchar('\n');
		}
	}
	if (!quiet && wrong == 0)
		puts("all is well");
	return wrong == 0 ? CMD_YES : CMD_NO;
}

static int
status_show(const struct cmd_ctx *c, const char *text)
{
	struct json_node *root = NULL;
	char *pretty = NULL;
	size_t len;
	int code;

	if (json_parse(text, strlen(text), &root) != 0)
		return cmd_fail(CMD_UNSURE, "bastiond: an answer that was not understood");
	code = status_people(root, c->json);
	if (c->json && json_node_text(root, true, &pretty, &len) == 0)
		puts(pretty);
	free(pretty);
	json_node_free(root);
	return code;
}

static int
status_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct ctl_answer answer;
	int code, r;

	(void)n_args;
	(void)args;
	if ((r = ctl_request(c->broker_fd, CTL_STATUS, NULL, 0, &answer)) != 0)
		return cmd_fail(CMD_UNSURE, "bastiond: no answer: %s; see its log", err_str(r));
	if (answer.code == CMD_YES)
		code = status_show(c, answer.text);
	else
		code = cmd_fail(answer.code, "%s", answer.text);
	ctl_answer_done(&answer);
	return code;
}

const struct cmd cmd_status = { "status", NULL, "", "what runs, what is wrong, and what to do",
	CMD_BROKER, 0, 0, NULL, status_run };
