/* Verdicts: every request and channel type from both sides, certificates' options, rules that change meanwhile. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/ask.h"
#include "recorder/link_proto.h"

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
	char *file = calloc(1, 8192), err[SET_ERR_SIZE] = "";

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
		assert_int_equal(buf_put_u32(b, 9), 0);
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
		{ false, LINK_OPEN, "direct-tcpip", { "localhost" }, POL_DENY, "port forwarding" },
		{ false, LINK_OPEN, "direct-streamlocal@openssh.com", { "x" }, POL_DENY,
		    "port forwarding" },
		{ false, LINK_OPEN, "tun@openssh.com", { NULL }, POL_DENY, "tunnels" },
		{ true, LINK_OPEN, "x11", { NULL }, POL_DENY, "X11" },
		{ true, LINK_OPEN, "auth-agent@openssh.com", { NULL }, POL_DENY, "agent" },
		{ true, LINK_OPEN, "forwarded-tcpip", { NULL }, POL_DENY, "port forwarding" },
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
		{ false, LINK_REQUEST, "env", { "LANG", "C" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "env", { "LC_ALL", "C" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "env", { "LD_PRELOAD", "x" }, POL_DENY, "LD_PRELOAD" },
		{ false, LINK_REQUEST, "env", { "SSH_ORIGINAL_COMMAND", "x" }, POL_DENY,
		    "not passed on" },
		{ false, LINK_REQUEST, "window-change", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "signal", { "TERM" }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "break", { NULL }, POL_ALLOW, NULL },
		{ true, LINK_REQUEST, "xon-xoff", { NULL }, POL_ALLOW, NULL },
		{ true, LINK_REQUEST, "eow@openssh.com", { NULL }, POL_ALLOW, NULL },
		{ false, LINK_REQUEST, "auth-agent-req@openssh.com", { NULL }, POL_DENY,
		    "agent forwarding" },
		{ false, LINK_REQUEST, "x11-req", { NULL }, POL_DENY, "X11 forwarding" },
		{ false, LINK_REQUEST, "nonesuch@example.com", { NULL }, POL_DENY,
		    "the request nonesuch@example.com" },
		{ true, LINK_REQUEST, "exec", { "id" }, POL_DENY, "the request exec" },
		{ false, LINK_GLOBAL, "tcpip-forward", { "x" }, POL_DENY, "port forwarding" },
		{ false, LINK_GLOBAL, "streamlocal-forward@openssh.com", { "x" }, POL_DENY,
		    "port forwarding" },
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

/* C27: one request with a forced command: what crosses instead. */
static void
forced(const struct set *s, const char *force, const char *name, const char *field,
    enum pol_verdict want, const char *want_name, const char *want_field)
{
	struct leg leg = make_leg();
	char command[256];
	struct buf *b = frame(LINK_REQUEST, name, &field, field != NULL ? 1 : 0);
	struct buf *replacement = buf_new(ASK_FRAME_MAX);
	struct ask_verdict v;

	strcpy(command, force);
	leg.by_cert = true;
	leg.force_command = command;
	judge(&leg, s, false, LINK_REQUEST, b, &v, replacement);
	assert_int_equal(v.verdict, want);
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

static void
test_forced_commands(void **state)
{
	struct set *all = make_set(RULE("shell, exec, sftp, scp"));
	struct set *shell = make_set(RULE("shell"));
	struct set *sftp = make_set(RULE("sftp"));
	struct set *one = make_set(RULE("{exec: [\"id -u\"]}"));

	(void)state;
	forced(all, "id", "shell", NULL, POL_REPLACE, "exec", "id");
	forced(all, "id", "exec", "rm -rf /", POL_REPLACE, "exec", "id");
	forced(all, "id", "subsystem", "sftp", POL_REPLACE, "exec", "id");
	forced(all, "id", "exec", "mosh-server new", POL_REPLACE, "exec", "id");
	forced(all, "internal-sftp", "subsystem", "sftp", POL_ALLOW, NULL, NULL);
	forced(all, "internal-sftp", "shell", NULL, POL_REPLACE, "subsystem", "sftp");
	forced(all, "internal-sftp", "exec", "id", POL_REPLACE, "subsystem", "sftp");
	forced(all, "scp -t /in", "exec", "id", POL_REPLACE, "exec", "scp -t /in");
	/* The certificate cannot give what the rules do not. */
	forced(shell, "id", "shell", NULL, POL_DENY, NULL, NULL);
	forced(shell, "internal-sftp", "shell", NULL, POL_DENY, NULL, NULL);
	forced(sftp, "internal-sftp", "shell", NULL, POL_REPLACE, "subsystem", "sftp");
	forced(sftp, "id", "subsystem", "sftp", POL_DENY, NULL, NULL);
	forced(one, "id -u", "exec", "id", POL_REPLACE, "exec", "id -u");
	forced(one, "id -g", "exec", "id -u", POL_DENY, NULL, NULL);
	set_free(all);
	set_free(shell);
	set_free(sftp);
	set_free(one);
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
		cmocka_unit_test(test_the_policy_of_now),
		cmocka_unit_test(test_permit_pty),
		cmocka_unit_test(test_forced_commands),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_nul_in_a_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
