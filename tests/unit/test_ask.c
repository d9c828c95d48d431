/* Verdicts: every request and channel type from both sides, certificates' options, rules that change meanwhile. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/ask.h"
#include "recorder/link_proto.h"

#define NUMBER 9u /* of every request */
#define HOSTS                                                                                      \
	"users: {alice: {}}\n"                                                                     \
	"hosts: {web1: {address: 10.0.0.1, key: fleet, host_keys: [\"ssh-ed25519 "                 \
	"AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}}\n"
#define RULE(may)                                                                                  \
	"rules:\n  - {name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: "   \
	"[" may "]}\n"

static struct set *
make_set(const char *rules)
{
	struct set *s = set_new();
	char *file = calloc(1, 65536), err[SET_ERR_SIZE] = "";

	assert_non_null(file);
	assert_non_null(s);
	strcpy(file, HOSTS);
	strcat(file, rules);
	if (set_add_file(s, POL_FILE_POLICY, "p", file, strlen(file), NULL, err) != 0)
		fail_msg("%s", err);
	free(file);
	return s;
}

static struct leg
make_leg(void)
{
	return (struct leg){ .id = 1,
		.conn = 2,
		.identity = "alice",
		.login = "root",
		.host = "web1",
		.address = "10.0.0.1",
		.port = 22 };
}

/* A frame: shape is b byte, u u32 (one digit), s string, after the name (and number and want_reply). */
static struct buf *
frame(uint16_t type, const char *name, const char *const *strings, size_t n_strings)
{
	struct buf *b = buf_new(65536);

	if (type != LINK_OPEN)
		assert_int_equal(buf_put_u32(b, NUMBER), 0);
	assert_int_equal(buf_put_cstr(b, name), 0);
	if (type != LINK_OPEN)
		assert_int_equal(buf_put_u8(b, 1), 0);
	for (size_t i = 0; i < n_strings; i++)
		assert_int_equal(buf_put_cstr(b, strings[i]), 0);
	return b;
}

static void
judge(struct leg *leg, const struct set *s, bool from_back, uint16_t type, const struct buf *b,
    struct ask_verdict *v, struct buf *replacement)
{
	struct ask a = { .from_back = from_back,
		.type = type,
		.data = buf_ptr(b),
		.len = buf_len(b),
		.now_ns = 1795428000ull * 1000000000u };

	struct buf *terms = buf_new(POL_TERMS_MAX);

	assert_int_equal(ask_judge(leg, s, &a, replacement, terms, v), 0);
	buf_free(terms);
}

struct row {
	bool from_back;
	uint16_t type;
	const char *name;
	const char *strings[2];
	enum pol_verdict want;
	const char *text; /* in the text of a denial */
};

static void
check_rows(struct leg *leg, const struct set *s, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t n_strings = rows[i].strings[0] == NULL	? 0
				   : rows[i].strings[1] == NULL ? 1
								: 2;
		struct buf *b = frame(rows[i].type, rows[i].name, rows[i].strings, n_strings);
		struct buf *replacement = buf_new(ASK_FRAME_MAX);
		struct ask_verdict v;

		judge(leg, s, rows[i].from_back, rows[i].type, b, &v, replacement);
		if (v.verdict != rows[i].want ||
		    (rows[i].text != NULL && strstr(v.text, rows[i].text) == NULL))
			fail_msg("row %zu %s %s: verdict %d, %s", i, rows[i].name,
			    rows[i].strings[0] != NULL ? rows[i].strings[0] : "", v.verdict,
			    v.text);
		buf_free(replacement);
		buf_free(b);
	}
}
#define CHECK(leg, s, rows) check_rows((leg), (s), (rows), sizeof(rows) / sizeof((rows)[0]))

static void
test_what_every_type_needs(void **state)
{
	static const struct row rows[] = {
		{ false, LINK_OPEN, "session", { NULL }, POL_ALLOW, NULL },
		{ true, LINK_OPEN, "session", { NULL }, POL_DENY, "channel type session" },
		{ false, LINK_OPEN, "session", { "x" }, POL_DENY, "malformed" },
		{ false, LINK_OPEN, "tun@openssh.com", { NULL }, POL_DENY, "tunnels" },
		{ false, LINK_OPEN, "forwarded-tcpip", { NULL }, POL_DENY, "forwarded-tcpip" },
		{ false, LINK_OPEN, "nonesuch", { NULL }, POL_DENY,
		    "the channel type nonesuch is not allowed" },
		{ false, LINK_OPEN, "bad\x1b[31m", { NULL }, POL_DENY, "bad\\x1b[31m" },
		{ false, LINK_REQUEST, "pty-req", { "xterm" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "shell", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "shell", { "x" }, POL_DENY, "malformed" },
		{ true, LINK_REQUEST, "shell", { NULL }, POL_DENY, "shell" },
		{ false, LINK_REQUEST, "exec", { "id" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "exec", { "id", "x" }, POL_DENY, "malformed" },
		{ false, LINK_REQUEST, "exec", { NULL }, POL_DENY, "malformed" },
		{ false, LINK_REQUEST, "exec", { "scp -t x" }, POL_DENY,
		    "scp is not allowed for root on web1" },
		{ false, LINK_REQUEST, "exec", { "scp -t x; id" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "exec", { "rsync --server -e.i . x" }, POL_DENY,
		    "rsync is not allowed" },
		{ false, LINK_REQUEST, "exec", { "mosh-server new" }, POL_DENY,
		    "mosh is not possible here" },
		{ false, LINK_REQUEST, "subsystem", { "sftp" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "subsystem", { "netconf" }, POL_DENY,
		    "the subsystem netconf is not allowed" },
		{ false, LINK_REQUEST, "subsystem", { "sftp", "x" }, POL_DENY, "malformed" },
		{ true, LINK_REQUEST, "env", { "LANG", "C" }, POL_DENY,
		    "the request env is not allowed" },
		{ false, LINK_REQUEST, "window-change", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "signal", { "TERM" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "break", { NULL }, POL_ALLOW, NULL },
		{ true, LINK_REQUEST, "xon-xoff", { NULL }, POL_ALLOW, NULL },
		{ true, LINK_REQUEST, "eow@openssh.com", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "nonesuch@example.com", { NULL }, POL_DENY,
		    "the request nonesuch@example.com" },
		{ true, LINK_REQUEST, "exec", { "id" }, POL_DENY, "the request exec" },
		{ false, LINK_GLOBAL, "no-more-sessions@openssh.com", { NULL }, POL_ALLOW, NULL },
		{ true, LINK_GLOBAL, "hostkeys-00@openssh.com", { "x" }, POL_DENY, "host keys" },
		{ false, LINK_GLOBAL, "nonesuch", { NULL }, POL_DENY,
		    "the global request nonesuch" },
		{ false, LINK_DATA, "x", { NULL }, POL_DENY, "unknown frame" },
		{ false, 0, "x", { NULL }, POL_DENY, "unknown frame" },
	};
	struct set *s = make_set(RULE("shell, exec, sftp"));
	struct leg leg = make_leg();

	(void)state;
	CHECK(&leg, s, rows);
	set_free(s);
}

static void
test_without_rights(void **state)
{
	static const struct row files_only[] = {
		{ false, LINK_OPEN, "session", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "pty-req", { NULL }, POL_DENY, "a terminal is not allowed" },
		{ false, LINK_REQUEST, "shell", { NULL }, POL_DENY,
		    "a shell is not allowed for root on web1" },
		{ false, LINK_REQUEST, "exec", { "id" }, POL_DENY, "this command is not allowed" },
		{ false, LINK_REQUEST, "exec", { "scp -t x" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "exec", { "scp -t x; id" }, POL_DENY, "this command" },
		{ false, LINK_REQUEST, "exec", { "rsync --server -e.i . x" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "subsystem", { "sftp" }, POL_DENY, "sftp is not allowed" },
	};
	static const struct row commands[] = {
		{ false, LINK_REQUEST, "pty-req", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "exec", { "systemctl status nginx" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "exec", { "systemctl status nginx;id" }, POL_DENY,
		    "this command" },
		{ false, LINK_REQUEST, "exec", { "systemctl restart nginx" }, POL_DENY,
		    "this command" },
		{ false, LINK_REQUEST, "shell", { NULL }, POL_DENY, "a shell" },
	};
	struct leg leg = make_leg();
	struct set *s = make_set(RULE("scp, rsync"));

	(void)state;
	CHECK(&leg, s, files_only);
	set_free(s);
	s = make_set(RULE("{exec: [\"systemctl status *\"]}"));
	CHECK(&leg, s, commands);
	set_free(s);
}

/* As long as a frame carries, which is more than a channel's data in one. */
static void
test_a_long_command_is_judged_like_a_short_one(void **state)
{
	static const size_t lens[] = { 100, 35990, 36000, 60000, 64980 };
	static char command[65000];
	struct leg leg = make_leg();
	struct set *s = make_set(RULE("exec"));

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct row rows[] = { { false, LINK_REQUEST, "exec", { command }, POL_ALLOW,
		    NULL } };

		memset(command, 'x', lens[i]);
		command[lens[i]] = '\0';
		CHECK(&leg, s, rows);
	}
	set_free(s);
}

/* What was right at login may be wrong now. */
static void
test_the_policy_of_now(void **state)
{
	static const struct row gone[] = {
		{ false, LINK_OPEN, "session", { NULL }, POL_DENY, "nothing is allowed any more" },
		{ false, LINK_REQUEST, "shell", { NULL }, POL_DENY, "a shell" },
		{ false, LINK_REQUEST, "exec", { "id" }, POL_DENY, "this command" },
		{ false, LINK_REQUEST, "window-change", { NULL }, POL_ALLOW, NULL },
	};
	struct leg leg = make_leg();
	struct set *s = make_set("rules: []\n");

	(void)state;
	CHECK(&leg, s, gone);
	CHECK(&leg, NULL, gone);
	set_free(s);
	s = make_set(RULE("shell, exec"));
	strcpy(leg.identity, "nobody");
	CHECK(&leg, s, gone);
	leg = make_leg();
	strcpy(leg.host, "web9");
	CHECK(&leg, s, gone);
	leg = make_leg();
	strcpy(leg.login, "deploy");
	CHECK(&leg, s, gone);
	set_free(s);
}

static void
test_permit_pty(void **state)
{
	static const struct row no[] = { { false, LINK_REQUEST, "pty-req", { NULL }, POL_DENY,
	    "the certificate does not permit a terminal" } };
	static const struct row yes[] = { { false, LINK_REQUEST, "pty-req", { NULL }, POL_ALLOW,
	    NULL } };
	struct leg leg = make_leg();
	struct set *s = make_set(RULE("shell"));

	(void)state;
	leg.by_cert = true;
	leg.permits = CERT_PERMIT_AGENT_FORWARDING;
	CHECK(&leg, s, no);
	leg.permits = CERT_PERMIT_PTY;
	CHECK(&leg, s, yes);
	set_free(s);
}

/* A tab stands for a space. */
static void
put_word(struct buf *b, char *word)
{
	for (char *p = word; *p != '\0'; p++)
		*p = *p == '\t' ? ' ' : *p;
	assert_int_equal(buf_put_cstr(b, word), 0);
}

/*
 * Frames with typed fields: words with a space between; a number is a u32, "!7" a byte, "-" an empty string, everything else a
 * string.
 */
static struct buf *
typed(uint16_t type, const char *name, const char *fields)
{
	struct buf *b = frame(type, name, NULL, 0);
	char copy[512], *rest = copy, *word;

	(void)snprintf(copy, sizeof(copy), "%s", fields);
	while ((word = strsep(&rest, " ")) != NULL) {
		if (*word == '\0')
			continue;
		if (*word == '!')
			assert_int_equal(buf_put_u8(b, (uint8_t)atoi(word + 1)), 0);
		else if (strspn(word, "0123456789") == strlen(word))
			assert_int_equal(buf_put_u32(b, (uint32_t)strtoul(word, NULL, 10)), 0);
		else
			put_word(b, strcmp(word, "-") == 0 ? word + 1 : word);
	}
	return b;
}

/* Terms in words: "sftp hash rw /a | /b". */
static char *
show_terms(const struct buf *terms, char *dst, size_t size)
{
	static const char *const streams[] = { "plain", "sftp", "scp", "rsync", "agent",
		"forward" };
	struct buf *b = buf_view(buf_ptr(terms), buf_len(terms));
	uint8_t stream, files, rights;
	uint32_t n;

	*dst = '\0';
	if (buf_len(b) > 0) {
		assert_int_equal(buf_get_u8(b, &stream), 0);
		assert_int_equal(buf_get_u8(b, &files), 0);
		assert_int_equal(buf_get_u8(b, &rights), 0);
		assert_true(stream > 0 && stream < 6 && (files == 1 || files == 2) && rights < 4);
		(void)snprintf(dst, size, "%s %s %s%s", streams[stream],
		    files == POL_FILES_KEEP ? "keep" : "hash",
		    (rights & POL_FILES_READ) != 0 ? "r" : "",
		    (rights & POL_FILES_WRITE) != 0 ? "w" : "");
		for (int list = 0; list < 2; list++) {
			strcat(dst, list > 0 ? " |" : "");
			assert_int_equal(buf_get_u32(b, &n), 0);
			while (n-- > 0) {
				char path[600];

				assert_int_equal(buf_get_cstr(b, path, sizeof(path)), 0);
				assert_true(strlen(dst) + strlen(path) + 2 < size);
				strcat(strcat(dst, " "), path);
			}
		}
	}
	assert_int_equal(buf_end(b), 0);
	buf_free(b);
	return dst;
}

struct step {
	bool from_back;
	uint16_t type;
	const char *name, *fields;
	enum pol_verdict want;
	const char *text; /* of the denial, in whole; or the terms */
};

/* One after another, on one leg. */
static void
check_steps(struct leg *leg, const struct set *s, const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct step *t = &steps[i];
		struct buf *b = typed(t->type, t->name, t->fields);
		struct buf *replacement = buf_new(ASK_FRAME_MAX), *terms = buf_new(POL_TERMS_MAX);
		struct ask a = { .from_back = t->from_back,
			.type = t->type,
			.data = buf_ptr(b),
			.len = buf_len(b),
			.now_ns = 1795428000ull * 1000000000u };
		struct ask_verdict v;
		char shown[2048];

		assert_int_equal(ask_judge(leg, s, &a, replacement, terms, &v), 0);
		show_terms(terms, shown, sizeof(shown));
		if (v.verdict != t->want ||
		    strcmp(t->want == POL_DENY ? v.text : shown, t->text) != 0)
			fail_msg("step %zu %s %s: verdict %d \"%s\", terms \"%s\"", i, t->name,
			    t->fields, v.verdict, v.text, shown);
		if (v.verdict == POL_DENY)
			assert_int_equal(buf_len(terms), 0);
		buf_free(terms);
		buf_free(replacement);
		buf_free(b);
	}
}
#define STEPS(leg, s, steps) check_steps((leg), (s), (steps), sizeof(steps) / sizeof((steps)[0]))

static void
test_forwards(void **state)
{
	static const struct step steps[] = {
		{ false, LINK_OPEN, "direct-tcpip", "localhost 5432 127.0.0.1 50000", POL_ALLOW,
		    "forward hash  |" },
		{ false, LINK_OPEN, "direct-tcpip", "LocalHost 5432 - 0", POL_ALLOW,
		    "forward hash  |" },
		{ false, LINK_OPEN, "direct-tcpip", "localhost 5433 ::1 50000", POL_DENY,
		    "a forward to localhost:5433 is not allowed for root on web1" },
		{ false, LINK_OPEN, "direct-tcpip", "2001:db8::1 80 ::1 50000", POL_DENY,
		    "a forward to [2001:db8::1]:80 is not allowed for root on web1" },
		{ false, LINK_OPEN, "direct-tcpip", "bad\x1b[31m 80 ::1 50000", POL_DENY,
		    "a forward to bad\\x1b[31m:80 is not allowed for root on web1" },
		{ false, LINK_OPEN, "direct-tcpip", "localhost 70968 ::1 50000", POL_DENY,
		    "malformed direct-tcpip channel" },
		{ false, LINK_OPEN, "direct-tcpip", "localhost 5432 ::1", POL_DENY,
		    "malformed direct-tcpip channel" },
		{ false, LINK_OPEN, "direct-tcpip", "localhost 5432 ::1 5 6", POL_DENY,
		    "malformed direct-tcpip channel" },
		{ true, LINK_OPEN, "direct-tcpip", "localhost 5432 ::1 5", POL_DENY,
		    "the channel type direct-tcpip is not allowed" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/run/app.sock - 0",
		    POL_ALLOW, "forward hash  |" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/run/docker.sock - 0",
		    POL_DENY,
		    "a forward to the socket /run/docker.sock is not allowed for root on web1" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/run/../run/app.sock - 0",
		    POL_DENY,
		    "a forward to the socket /run/../run/app.sock is not allowed for root on "
		    "web1" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/run/app.sock -", POL_DENY,
		    "malformed direct-streamlocal channel" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 8080", POL_DENY,
		    "listening on localhost:8080 is not allowed for root on web1" },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "", POL_DENY,
		    "agent forwarding is not allowed for root on web1" },
		{ false, LINK_REQUEST, "x11-req", "!0 MIT-MAGIC-COOKIE-1 abcd 0", POL_DENY,
		    "X11 forwarding is not allowed for root on web1" },
		{ false, LINK_REQUEST, "shell", "", POL_DENY,
		    "a shell is not allowed for root on web1" },
		{ false, LINK_OPEN, "session", "", POL_ALLOW, "" },
	};
	struct set *s = make_set(RULE("{forward: [\"localhost:5432\", \"unix:/run/app.sock\"]}"));
	struct leg leg = make_leg();

	(void)state;
	STEPS(&leg, s, steps);
	assert_int_equal(leg.listens.n, 0);
	assert_int_equal(leg.asked, 0);
	set_free(s);
	s = make_set(RULE("{forward: [\"*:*\"]}"));
	STEPS(&leg, s,
	    ((const struct step[]){
		{ false, LINK_OPEN, "direct-tcpip", "Anything 1 - 0", POL_ALLOW,
		    "forward hash  |" },
		{ false, LINK_OPEN, "direct-tcpip", "x 0 - 0", POL_DENY,
		    "a forward to x:0 is not allowed for root on web1" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/run/docker.sock - 0",
		    POL_DENY,
		    "a forward to the socket /run/docker.sock is not allowed for root on web1" },
	    }));
	set_free(s);
}

/* The target may open what was asked for, and nothing else. */
static void
test_remote_forwards(void **state)
{
	static const struct step steps[] = {
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 8080 10.0.0.9 4", POL_DENY,
		    "nobody asked the target to listen on localhost:8080" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 8080", POL_DENY,
		    "there is no remote forward of localhost:8080" },
		{ false, LINK_GLOBAL, "tcpip-forward", "- 8080", POL_DENY,
		    "listening on :8080 is not allowed for root on web1" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 0", POL_DENY,
		    "listening on localhost:0 is not allowed for root on web1" },
		{ true, LINK_OPEN, "forwarded-tcpip", "- 8080 10.0.0.9 4", POL_DENY,
		    "nobody asked the target to listen on :8080" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 8080", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-tcpip", "127.0.0.1 8080 10.0.0.9 4", POL_ALLOW,
		    "forward hash  |" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 8081 10.0.0.9 4", POL_DENY,
		    "nobody asked the target to listen on localhost:8081" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 8080 10.0.0.9", POL_DENY,
		    "malformed forwarded-tcpip channel" },
		{ true, LINK_OPEN, "forwarded-streamlocal@openssh.com", "localhost -", POL_DENY,
		    "nobody asked the target to listen on localhost" },
		{ true, LINK_GLOBAL, "tcpip-forward", "localhost 8080", POL_DENY,
		    "the global request tcpip-forward is not allowed" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost", POL_DENY,
		    "malformed tcpip-forward request" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 8080 1", POL_DENY,
		    "malformed tcpip-forward request" },
		{ false, LINK_GLOBAL, "tcpip-forward", "10.0.0.1 0", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-tcpip", "10.0.0.1 40123 10.0.0.9 4", POL_ALLOW,
		    "forward hash  |" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "10.0.0.1 0", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-tcpip", "10.0.0.1 40123 10.0.0.9 4", POL_DENY,
		    "nobody asked the target to listen on 10.0.0.1:40123" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 8080", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 8080 10.0.0.9 4", POL_DENY,
		    "nobody asked the target to listen on localhost:8080" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost", POL_DENY,
		    "malformed cancel-tcpip-forward request" },
		{ false, LINK_GLOBAL, "streamlocal-forward@openssh.com", "/run/y", POL_DENY,
		    "listening on the socket /run/y is not allowed for root on web1" },
		{ false, LINK_GLOBAL, "streamlocal-forward@openssh.com", "/run/x", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-streamlocal@openssh.com", "/run/x -", POL_ALLOW,
		    "forward hash  |" },
		{ true, LINK_OPEN, "forwarded-streamlocal@openssh.com", "/run/x", POL_DENY,
		    "malformed forwarded-streamlocal channel" },
		{ true, LINK_OPEN, "forwarded-streamlocal@openssh.com", "/run/y -", POL_DENY,
		    "nobody asked the target to listen on /run/y" },
		{ false, LINK_GLOBAL, "cancel-streamlocal-forward@openssh.com", "/run/y", POL_DENY,
		    "there is no remote forward of /run/y" },
		{ false, LINK_GLOBAL, "cancel-streamlocal-forward@openssh.com", "/run/x", POL_ALLOW,
		    "" },
		{ true, LINK_OPEN, "forwarded-streamlocal@openssh.com", "/run/x -", POL_DENY,
		    "nobody asked the target to listen on /run/x" },
		{ false, LINK_OPEN, "direct-tcpip", "localhost 8080 - 0", POL_DENY,
		    "a forward to localhost:8080 is not allowed for root on web1" },
	};
	struct set *s =
	    make_set(RULE("{remote_forward: [\"8080\", \"10.0.0.1:0\", \"unix:/run/x\"]}"));
	struct set *none = make_set("rules: []\n");
	struct leg leg = make_leg();

	(void)state;
	STEPS(&leg, s, steps);
	assert_int_equal(leg.listens.n, 0);
	/* Asked for while it was allowed. */
	STEPS(&leg, s,
	    ((const struct step[]){
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 8080", POL_ALLOW, "" } }));
	STEPS(&leg, none,
	    ((const struct step[]){
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 8080 - 4", POL_DENY,
		    "remote forwarding is not allowed for root on web1" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 8080", POL_ALLOW, "" } }));
	listens_done(&leg.listens);
	set_free(s);
	set_free(none);
}

/* As a client takes back what `-R 0` got: by the port that the target told. */
static void
test_a_port_that_the_target_picked(void **state)
{
	static const struct step ask[] = { { false, LINK_GLOBAL, "tcpip-forward", "localhost 0",
	    POL_ALLOW, "" } };
	static const struct step told[] = {
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 40001 - 4", POL_ALLOW,
		    "forward hash  |" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 40002 - 4", POL_DENY,
		    "nobody asked the target to listen on localhost:40002" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 40002", POL_DENY,
		    "there is no remote forward of localhost:40002" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 40001", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 40001 - 4", POL_DENY,
		    "nobody asked the target to listen on localhost:40001" },
	};
	struct set *s = make_set(RULE("{remote_forward: [\"localhost:0\"]}"));
	struct leg leg = make_leg();

	(void)state;
	STEPS(&leg, s, ask);
	listens_answered(&leg.listens, NUMBER + 1, true, 40009); /* to something else */
	listens_answered(&leg.listens, 0, true, 40009);
	listens_answered(&leg.listens, NUMBER, true, 40001);
	listens_answered(&leg.listens, NUMBER, false, 0); /* there is one answer */
	STEPS(&leg, s, told);
	assert_int_equal(leg.listens.n, 0);
	/* Refused by the target: nothing may come. */
	STEPS(&leg, s, ask);
	listens_answered(&leg.listens, NUMBER, false, 0);
	assert_int_equal(leg.listens.n, 0);
	/* Two at once are two, each with its own answer. */
	STEPS(&leg, s, ask);
	STEPS(&leg, s, ask);
	listens_answered(&leg.listens, NUMBER, true, 40001);
	listens_answered(&leg.listens, NUMBER, true, 40002);
	assert_int_equal(leg.listens.n, 2);
	STEPS(&leg, s,
	    ((const struct step[]){
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 40002", POL_ALLOW, "" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 40001 - 4", POL_ALLOW,
		    "forward hash  |" } }));
	assert_int_equal(leg.listens.n, 1);
	listens_done(&leg.listens);
	set_free(s);
}

static void
test_too_many_remote_forwards(void **state)
{
	struct set *s = make_set(RULE("{remote_forward: [\"*\"]}"));
	struct leg leg = make_leg();

	(void)state;
	for (unsigned i = 1; i <= LISTENS_MAX + 1; i++) {
		char fields[64];
		const struct step step = { false, LINK_GLOBAL, "tcpip-forward", fields,
			i <= LISTENS_MAX ? POL_ALLOW : POL_DENY,
			i <= LISTENS_MAX ? ""
					 : "at most 32 remote forwards at a time are possible" };

		(void)snprintf(fields, sizeof(fields), "localhost %u", i);
		check_steps(&leg, s, &step, 1);
	}
	assert_int_equal(leg.listens.n, LISTENS_MAX);
	listens_done(&leg.listens);
	set_free(s);
}

static void
test_agent_and_x11(void **state)
{
	static const struct step steps[] = {
		{ true, LINK_OPEN, "auth-agent@openssh.com", "", POL_DENY,
		    "nobody asked the target for agent forwarding" },
		{ true, LINK_OPEN, "x11", "127.0.0.1 4", POL_DENY,
		    "nobody asked the target for X11 forwarding" },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "1", POL_DENY,
		    "malformed auth-agent-req request" },
		{ true, LINK_REQUEST, "auth-agent-req@openssh.com", "", POL_DENY,
		    "the request auth-agent-req@openssh.com is not allowed" },
		{ true, LINK_OPEN, "auth-agent@openssh.com", "", POL_DENY,
		    "nobody asked the target for agent forwarding" },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "", POL_ALLOW, "" },
		{ true, LINK_OPEN, "auth-agent@openssh.com", "", POL_ALLOW, "agent hash  |" },
		{ true, LINK_OPEN, "auth-agent@openssh.com", "1", POL_DENY,
		    "malformed auth-agent channel" },
		{ false, LINK_OPEN, "auth-agent@openssh.com", "", POL_DENY,
		    "the channel type auth-agent@openssh.com is not allowed" },
		{ true, LINK_OPEN, "x11", "127.0.0.1 4", POL_DENY,
		    "nobody asked the target for X11 forwarding" },
		{ false, LINK_REQUEST, "x11-req", "!0 MIT-MAGIC-COOKIE-1 abcd", POL_DENY,
		    "malformed x11-req request" },
		{ false, LINK_REQUEST, "x11-req", "!0 MIT-MAGIC-COOKIE-1 abcd 0", POL_ALLOW, "" },
		{ true, LINK_OPEN, "x11", "127.0.0.1 4", POL_ALLOW, "" },
		{ true, LINK_OPEN, "x11", "127.0.0.1", POL_DENY, "malformed x11 channel" },
	};
	struct set *s = make_set(RULE("agent, x11")), *none = make_set("rules: []\n");
	struct leg leg = make_leg();

	(void)state;
	STEPS(&leg, s, steps);
	STEPS(&leg, none,
	    ((const struct step[]){
		{ true, LINK_OPEN, "auth-agent@openssh.com", "", POL_DENY,
		    "agent forwarding is not allowed for root on web1" },
		{ true, LINK_OPEN, "x11", "127.0.0.1 4", POL_DENY,
		    "X11 forwarding is not allowed for root on web1" },
	    }));
	set_free(s);
	set_free(none);
}

/* A certificate gives none of these by itself, and takes each by not permitting it. */
static void
test_what_certificates_permit(void **state)
{
	static const struct step no[] = {
		{ false, LINK_OPEN, "direct-tcpip", "db 80 - 0", POL_DENY,
		    "the certificate does not permit port forwarding" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/x - 0", POL_DENY,
		    "the certificate does not permit port forwarding" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 80", POL_DENY,
		    "the certificate does not permit port forwarding" },
		{ false, LINK_GLOBAL, "streamlocal-forward@openssh.com", "/x", POL_DENY,
		    "the certificate does not permit port forwarding" },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "", POL_DENY,
		    "the certificate does not permit agent forwarding" },
		{ false, LINK_REQUEST, "x11-req", "!0 a b 0", POL_DENY,
		    "the certificate does not permit X11 forwarding" },
	};
	static const struct step forwards[] = {
		{ false, LINK_OPEN, "direct-tcpip", "db 80 - 0", POL_ALLOW, "forward hash  |" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/x - 0", POL_ALLOW,
		    "forward hash  |" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 80", POL_ALLOW, "" },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "", POL_DENY,
		    "the certificate does not permit agent forwarding" },
	};
	static const struct step others[] = {
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "", POL_ALLOW, "" },
		{ false, LINK_REQUEST, "x11-req", "!0 a b 0", POL_ALLOW, "" },
		{ true, LINK_OPEN, "auth-agent@openssh.com", "", POL_ALLOW, "agent hash  |" },
		{ true, LINK_OPEN, "x11", "a 1", POL_ALLOW, "" },
	};
	struct set *s = make_set(RULE("{forward: [\"*:*\", \"unix:/x\"]}, {remote_forward: "
				      "[\"*:*\", \"unix:/x\"]}, agent, x11"));
	struct set *none = make_set(RULE("shell"));
	static const char forces[] =
	    "the certificate forces a command, and permits nothing beside it";
	struct leg leg = make_leg();
	char command[] = "id";

	(void)state;
	leg.by_cert = true;
	leg.permits = CERT_PERMIT_PTY | CERT_PERMIT_USER_RC;
	STEPS(&leg, s, no);
	/* C27 */
	leg.permits = CERT_PERMIT_PORT_FORWARDING;
	leg.force_command = command;
	STEPS(&leg, s,
	    ((const struct step[]){
		{ false, LINK_OPEN, "direct-tcpip", "db 80 - 0", POL_DENY, forces },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/x - 0", POL_DENY, forces },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 80", POL_DENY, forces } }));
	leg.force_command = NULL;
	leg.permits = CERT_PERMIT_PORT_FORWARDING;
	STEPS(&leg, s, forwards);
	leg.permits = 0;
	STEPS(&leg, s,
	    ((const struct step[]){ { true, LINK_OPEN, "forwarded-tcpip", "localhost 80 - 0",
		POL_DENY, "remote forwarding is not allowed for root on web1" } }));
	listens_done(&leg.listens);
	leg.permits = CERT_PERMIT_AGENT_FORWARDING | CERT_PERMIT_X11_FORWARDING;
	STEPS(&leg, s, others);
	leg.permits |= CERT_PERMIT_PORT_FORWARDING;
	STEPS(&leg, none,
	    ((const struct step[]){ { false, LINK_OPEN, "direct-tcpip", "db 80 - 0", POL_DENY,
		"a forward to db:80 is not allowed for root on web1" } }));
	set_free(s);
	set_free(none);
}

#define KEEP(may)                                                                                  \
	"rules:\n  - {name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: "   \
	"[" may "], how: {files: keep}}\n"
#define ONE(name, fields, want, text)                                                              \
	((const struct step[]){ { false, LINK_REQUEST, name, fields, want, text } })

/* What the recorder is told about files. */
static void
test_terms_of_files(void **state)
{
	static const struct {
		const char *rules, *name, *fields;
		const char *terms;
	} rows[] = {
		{ RULE("sftp"), "subsystem", "sftp", "sftp hash rw |" },
		{ RULE("sftp-read"), "subsystem", "sftp", "sftp hash r |" },
		{ RULE("sftp-write"), "subsystem", "sftp", "sftp hash w |" },
		{ KEEP("sftp"), "subsystem", "sftp", "sftp keep rw |" },
		{ RULE("{sftp: [/srv/, /var/log]}"), "subsystem", "sftp",
		    "sftp hash rw /srv /var/log | /srv /var/log" },
		{ RULE("{sftp-read: [/]}, {sftp-write: [/srv/in]}"), "subsystem", "sftp",
		    "sftp hash rw / | /srv/in" },
		{ RULE("{sftp-write: [/srv/in]}, shell"), "subsystem", "sftp",
		    "sftp hash w | /srv/in" },
		{ RULE("scp"), "exec", "scp\t-t\tx", "scp hash  |" },
		{ KEEP("scp"), "exec", "scp\t-f\tx", "scp keep  |" },
		{ RULE("rsync"), "exec", "rsync\t--server\t-e.i\t.\tx", "rsync hash  |" },
		{ RULE("exec, scp, sftp"), "exec", "scp\t-t\tx;\tbash", "" },
		{ RULE("exec, rsync"), "exec", "rsync\t--daemon", "" },
		{ RULE("exec"), "exec", "/usr/lib/openssh/sftp-server", "" },
		{ KEEP("shell, sftp"), "shell", "", "" },
		/* Of two rules: rights and paths of both, and the fuller record. */
		{ RULE("{sftp-read: [/a]}") "  - {name: s, who: {users: [alice]}, where: {hosts: "
					    "[web1]}, as: [root], may: [{sftp-read: [/b]}, "
					    "{sftp-write: [/b]}], how: {files: keep}}\n",
		    "subsystem", "sftp", "sftp keep rw /a /b | /b" },
		{ RULE("{sftp: [/a]}") "  - {name: s, who: {users: [alice]}, where: {hosts: "
				       "[web1]}, as: [root], may: [sftp-read]}\n",
		    "subsystem", "sftp", "sftp hash rw | /a" },
		{ RULE("sftp") "  - {name: s, who: {users: [alice]}, where: {hosts: [web1]}, as: "
			       "[root], may: [shell], how: {files: keep}}\n",
		    "subsystem", "sftp", "sftp hash rw |" },
		{ RULE("{sftp: [/a]}") "  - {name: n, deny: true, may: [sftp-write]}\n",
		    "subsystem", "sftp", "sftp hash r /a | /a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct set *s = make_set(rows[i].rules);
		struct leg leg = make_leg();
		const struct step step = { false, LINK_REQUEST, rows[i].name, rows[i].fields,
			POL_ALLOW, rows[i].terms };

		check_steps(&leg, s, &step, 1);
		set_free(s);
	}
}

/* More than a message holds is not cut short: nothing is allowed, and it is said why. */
static void
test_too_many_paths(void **state)
{
	char *rules = calloc(1, 60000);
	struct leg leg = make_leg();
	struct set *s;
	size_t at;

	(void)state;
	assert_non_null(rules);
	at = (size_t)snprintf(rules, 60000, "rules:\n");
	for (unsigned r = 0; r < 2; r++) {
		at += (size_t)snprintf(rules + at, 60000 - at,
		    "  - {name: r%u, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], "
		    "may: [{sftp: [",
		    r);
		for (unsigned i = 0; i < MODEL_PATHS_MAX; i++)
			at +=
			    (size_t)snprintf(rules + at, 60000 - at, "/%u/%060u/%060u, ", r, i, i);
		at += (size_t)snprintf(rules + at, 60000 - at, "]}]}\n");
	}
	s = make_set(rules);
	STEPS(
	    &leg, s, ONE("subsystem", "sftp", POL_DENY, "the rules list too many paths for sftp"));
	set_free(s);
	free(rules);
}

/* C27: one request with a forced command: what crosses instead. */
static void
forced(const struct set *s, const char *force, const char *name, const char *field,
    enum pol_verdict want, const char *want_name, const char *want_field, const char *want_terms)
{
	struct leg leg = make_leg();
	char command[256], shown[256];
	struct buf *b = frame(LINK_REQUEST, name, &field, field != NULL ? 1 : 0);
	struct buf *replacement = buf_new(ASK_FRAME_MAX), *terms = buf_new(POL_TERMS_MAX);
	struct ask a = { .type = LINK_REQUEST, .data = buf_ptr(b), .len = buf_len(b), .now_ns = 1 };
	struct ask_verdict v;

	strcpy(command, force);
	leg.by_cert = true;
	leg.force_command = command;
	assert_int_equal(ask_judge(&leg, s, &a, replacement, terms, &v), 0);
	assert_int_equal(v.verdict, want);
	assert_string_equal(show_terms(terms, shown, sizeof(shown)), want_terms);
	buf_free(terms);
	if (want == POL_REPLACE) {
		char got[256];
		uint32_t number;
		uint8_t reply;

		assert_int_equal(buf_get_u32(replacement, &number), 0);
		assert_int_equal(number, 9);
		assert_int_equal(buf_get_cstr(replacement, got, sizeof(got)), 0);
		assert_string_equal(got, want_name);
		assert_int_equal(buf_get_u8(replacement, &reply), 0);
		assert_int_equal(reply, 1);
		assert_int_equal(buf_get_cstr(replacement, got, sizeof(got)), 0);
		assert_string_equal(got, want_field);
	}
	assert_int_equal(buf_end(replacement), 0);
	buf_free(replacement);
	buf_free(b);
}

/* The same in the bastion's own shell, where no rule is asked. */
static void
forced_shell(const char *force, const char *name, const char *field, enum pol_verdict want,
    const char *want_text)
{
	struct leg leg = make_leg();
	char command[256], want_frame[300];
	struct buf *b = frame(LINK_REQUEST, name, &field, field != NULL ? 1 : 0);
	struct buf *replacement = buf_new(ASK_FRAME_MAX);
	struct ask a = { .type = LINK_REQUEST, .data = buf_ptr(b), .len = buf_len(b), .now_ns = 1 };
	struct ask_verdict v;
	size_t len = strlen(force);

	strcpy(command, force);
	leg.back = POL_BACK_SHELL;
	leg.by_cert = true;
	leg.permits = CERT_PERMIT_PTY;
	leg.force_command = command;
	assert_int_equal(ask_judge_shell(&leg, &a, replacement, &v), 0);
	assert_int_equal(v.verdict, want);
	assert_string_equal(v.text, want_text);
	if (want == POL_REPLACE) {
		memcpy(want_frame, "\0\0\0\11\0\0\0\4exec\1\0\0\0", 16);
		want_frame[16] = (char)len;
		memcpy(want_frame + 17, force, len);
		assert_int_equal(buf_len(replacement), 17 + len);
		assert_memory_equal(buf_ptr(replacement), want_frame, 17 + len);
	} else {
		assert_int_equal(buf_len(replacement), 0);
	}
	buf_free(replacement);
	buf_free(b);
}

static void
test_forced_commands_in_the_bastions_own_shell(void **state)
{
	static const char other[] = "the certificate forces another command than the one asked for";
	static const char sftp[] =
	    "the certificate permits sftp alone, for which a host has to be named";

	(void)state;
	forced_shell("hosts", "shell", NULL, POL_REPLACE, other);
	forced_shell("hosts", "exec", "sessions", POL_REPLACE, other);
	forced_shell("uptime", "exec", "hosts", POL_REPLACE, other);
	forced_shell("hosts", "subsystem", "sftp", POL_REPLACE, other);
	forced_shell("internal-sftp", "shell", NULL, POL_DENY, sftp);
	forced_shell("internal-sftp", "exec", "hosts", POL_DENY, sftp);
	forced_shell("hosts", "window-change", NULL, POL_ALLOW, "");
	forced_shell("hosts", "pty-req", NULL, POL_ALLOW, "");
	forced_shell("hosts", "odd", NULL, POL_DENY, "the bastion's own shell has no such request");
}

static void
test_forced_commands(void **state)
{
	struct set *all = make_set(RULE("shell, exec, sftp, scp"));
	struct set *shell = make_set(RULE("shell"));
	struct set *sftp = make_set(RULE("sftp"));
	struct set *one = make_set(RULE("{exec: [\"id -u\"]}"));
	struct set *read = make_set(RULE("{sftp-read: [/srv]}"));

	(void)state;
	forced(all, "id", "shell", NULL, POL_REPLACE, "exec", "id", "");
	forced(all, "id", "exec", "rm -rf /", POL_REPLACE, "exec", "id", "");
	forced(all, "id", "subsystem", "sftp", POL_REPLACE, "exec", "id", "");
	forced(all, "id", "exec", "mosh-server new", POL_REPLACE, "exec", "id", "");
	forced(all, "internal-sftp", "subsystem", "sftp", POL_ALLOW, NULL, NULL, "sftp hash rw |");
	forced(read, "internal-sftp", "shell", NULL, POL_REPLACE, "subsystem", "sftp",
	    "sftp hash r /srv |");
	forced(all, "internal-sftp", "shell", NULL, POL_REPLACE, "subsystem", "sftp",
	    "sftp hash rw |");
	forced(
	    all, "internal-sftp", "exec", "id", POL_REPLACE, "subsystem", "sftp", "sftp hash rw |");
	forced(all, "scp -t /in", "exec", "id", POL_REPLACE, "exec", "scp -t /in", "scp hash  |");
	/* The certificate cannot give what the rules do not. */
	forced(shell, "id", "shell", NULL, POL_DENY, NULL, NULL, "");
	forced(shell, "internal-sftp", "shell", NULL, POL_DENY, NULL, NULL, "");
	forced(sftp, "internal-sftp", "shell", NULL, POL_REPLACE, "subsystem", "sftp",
	    "sftp hash rw |");
	forced(sftp, "id", "subsystem", "sftp", POL_DENY, NULL, NULL, "");
	forced(one, "id -u", "exec", "id", POL_REPLACE, "exec", "id -u", "");
	forced(one, "id -g", "exec", "id -u", POL_DENY, NULL, NULL, "");
	set_free(all);
	set_free(shell);
	set_free(sftp);
	set_free(one);
	set_free(read);
}

/* Every cut of every good frame is denied and never read over. */
static void
test_cut_anywhere(void **state)
{
	static const struct {
		uint16_t type;
		const char *name, *field;
	} rows[] = { { LINK_OPEN, "session", NULL }, { LINK_REQUEST, "exec", "id" },
		{ LINK_REQUEST, "subsystem", "sftp" }, { LINK_REQUEST, "shell", NULL },
		{ LINK_GLOBAL, "no-more-sessions@openssh.com", NULL } };
	struct set *s = make_set(RULE("shell, exec, sftp"));
	struct leg leg = make_leg();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf *whole =
		    frame(rows[i].type, rows[i].name, &rows[i].field, rows[i].field != NULL);

		for (size_t n = 0; n < buf_len(whole); n++) {
			uint8_t *cut = malloc(n > 0 ? n : 1);
			struct buf *replacement = buf_new(64), *view;
			struct ask_verdict v;

			memcpy(cut, buf_ptr(whole), n);
			view = buf_view(cut, n);
			judge(&leg, s, false, rows[i].type, view, &v, replacement);
			assert_int_equal(v.verdict, POL_DENY);
			assert_true(v.text[0] != '\0');
			buf_free(view);
			buf_free(replacement);
			free(cut);
		}
		buf_free(whole);
	}
	set_free(s);
}

/* And nothing of it is noted. */
static void
test_cut_forwards(void **state)
{
	static const struct {
		bool from_back;
		uint16_t type;
		const char *name, *fields;
	} rows[] = {
		{ false, LINK_OPEN, "direct-tcpip", "localhost 80 127.0.0.1 4" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", "/x - 0" },
		{ true, LINK_OPEN, "forwarded-tcpip", "localhost 80 127.0.0.1 4" },
		{ true, LINK_OPEN, "forwarded-streamlocal@openssh.com", "/x -" },
		{ true, LINK_OPEN, "x11", "127.0.0.1 4" },
		{ true, LINK_OPEN, "auth-agent@openssh.com", "" },
		{ false, LINK_GLOBAL, "tcpip-forward", "localhost 80" },
		{ false, LINK_GLOBAL, "cancel-tcpip-forward", "localhost 80" },
		{ false, LINK_GLOBAL, "streamlocal-forward@openssh.com", "/x" },
		{ false, LINK_GLOBAL, "cancel-streamlocal-forward@openssh.com", "/x" },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", "" },
		{ false, LINK_REQUEST, "x11-req", "!0 a b 0" },
	};
	struct set *s = make_set(RULE("{forward: [\"*:*\", \"unix:/x\"]}, {remote_forward: "
				      "[\"*:*\", \"unix:/x\"]}, agent, x11"));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf *whole = typed(rows[i].type, rows[i].name, rows[i].fields);

		for (size_t n = 0; n < buf_len(whole); n++) {
			uint8_t *cut = malloc(n > 0 ? n : 1);
			struct buf *replacement = buf_new(64), *view;
			struct leg leg = make_leg();
			struct ask_verdict v;

			memcpy(cut, buf_ptr(whole), n);
			view = buf_view(cut, n);
			judge(&leg, s, rows[i].from_back, rows[i].type, view, &v, replacement);
			if (v.verdict != POL_DENY || v.text[0] == '\0')
				fail_msg("%s cut at %zu: %d", rows[i].name, n, v.verdict);
			assert_true(leg.listens.n == 0 && leg.asked == 0);
			buf_free(view);
			buf_free(replacement);
			free(cut);
		}
		buf_free(whole);
	}
	set_free(s);
}

/* A rule that asks for a second factor came after the login: what a wider rule gives is no way around it. */
static void
test_a_second_factor_that_is_asked_for_since(void **state)
{
	static const struct row without[] = {
		{ false, LINK_OPEN, "session", { NULL }, POL_DENY, "nothing is allowed any more" },
		{ false, LINK_REQUEST, "shell", { NULL }, POL_DENY, "a shell is not allowed" },
		{ false, LINK_REQUEST, "exec", { "id" }, POL_DENY, "this command is not allowed" },
		{ false, LINK_REQUEST, "subsystem", { "sftp" }, POL_DENY, "sftp is not allowed" },
	};
	static const struct row with[] = {
		{ false, LINK_OPEN, "session", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "shell", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "subsystem", { "sftp" }, POL_ALLOW, NULL },
	};
	struct set *s = make_set(RULE("shell, exec") "  - {name: narrow, who: {users: [alice]}, "
						     "where: {hosts: [web1]}, as: [root], may: "
						     "[sftp], how: {mfa: true}}\n");
	struct leg leg = make_leg();

	(void)state;
	CHECK(&leg, s, without);
	leg.mfa = true;
	CHECK(&leg, s, with);
	set_free(s);
}

static void
test_nul_in_a_command(void **state)
{
	struct set *s = make_set(RULE("exec"));
	struct leg leg = make_leg();
	struct buf *b = buf_new(256), *replacement = buf_new(64);
	struct ask_verdict v;

	(void)state;
	assert_int_equal(buf_put_u32(b, 1), 0);
	assert_int_equal(buf_put_cstr(b, "exec"), 0);
	assert_int_equal(buf_put_u8(b, 1), 0);
	assert_int_equal(buf_put_str(b, "id\0rm", 5), 0);
	judge(&leg, s, false, LINK_REQUEST, b, &v, replacement);
	assert_int_equal(v.verdict, POL_DENY);
	buf_free(b);
	buf_free(replacement);
	set_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_every_type_needs),
		cmocka_unit_test(test_without_rights),
		cmocka_unit_test(test_a_long_command_is_judged_like_a_short_one),
		cmocka_unit_test(test_the_policy_of_now),
		cmocka_unit_test(test_permit_pty),
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_remote_forwards),
		cmocka_unit_test(test_a_port_that_the_target_picked),
		cmocka_unit_test(test_too_many_remote_forwards),
		cmocka_unit_test(test_agent_and_x11),
		cmocka_unit_test(test_what_certificates_permit),
		cmocka_unit_test(test_terms_of_files),
		cmocka_unit_test(test_too_many_paths),
		cmocka_unit_test(test_forced_commands_in_the_bastions_own_shell),
		cmocka_unit_test(test_forced_commands),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_cut_forwards),
		cmocka_unit_test(test_a_second_factor_that_is_asked_for_since),
		cmocka_unit_test(test_nul_in_a_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
