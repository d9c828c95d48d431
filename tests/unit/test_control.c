/* The control socket: one request at a time, only words of the protocol, no view before its event is on disk. */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "bastiond/broker/control.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/wiring_rig.h"

static struct rig rig;
static struct control *control;
static char dir[64];
static unsigned n_reloads;
static struct rig_msg msg;

static void
on_reload(void *arg)
{
	(void)arg;
	n_reloads++;
}

static void
fill_status(void *arg, struct json *status)
{
	(void)arg;
	json_put_str(status, "config", "b.yaml");
}

static int
set_up(void **state)
{
	struct control_conf conf = { .reload = on_reload, .fill_status = fill_status };

	(void)state;
	n_reloads = 0;
	rig_open(&rig, NULL);
	rig_start(&rig);
	snprintf(dir, sizeof(dir), "/tmp/test-control.XXXXXX");
	assert_non_null(mkdtemp(dir));
	conf.loop = rig.loop;
	conf.wiring = rig.w;
	return control_new(dir, &conf, &control);
}

static int
tear_down(void **state)
{
	char path[128];

	(void)state;
	rig_msg_done(&msg);
	control_free(control);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	rig_close(&rig);
	return 0;
}

static int
client(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", dir);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(ipc_plain_hello(fd), 0);
	rig_run(&rig);
	return fd;
}

/* Exit code and text of the reply. */
static int
reply(int fd, char *text, size_t size)
{
	struct buf *b;
	uint8_t code;

	rig_expect(&rig, fd, CTL_REPLY, &msg);
	b = buf_view(msg.data, msg.len);
	assert_non_null(b);
	assert_int_equal(buf_get_u8(b, &code), 0);
	assert_int_equal(buf_get_cstr(b, text, size), 0);
	assert_int_equal(buf_end(b), 0);
	buf_free(b);
	return code;
}

static void
ask_read(int fd, const char *const *args, uint32_t n)
{
	struct buf *b = buf_new(4096);

	assert_non_null(b);
	assert_int_equal(buf_put_u32(b, n), 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(buf_put_cstr(b, args[i]), 0);
	rig_send(&rig, fd, CTL_READ, 7, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static bool
is_closed(int fd)
{
	struct rig_msg m = { .n_fds = 0 };
	char byte;

	while (rig_take(&rig, fd, &m))
		;
	rig_msg_done(&m);
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void
test_the_socket_is_for_its_owner(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
test_a_view_waits_for_its_event(void **state)
{
	static const char *const args[] = { "events", "0123456789abcdef0123456789abcdef" };
	int fd = client();

	(void)state;
	ask_read(fd, args, 2);
	rig_expect(&rig, rig_fake(&rig, "recorder")->fds[0], REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "\"record.viewed\""));
	assert_non_null(strstr((const char *)msg.data, "\"events\""));
	assert_non_null(strstr((const char *)msg.data, "\"0123456789abcdef0123456789abcdef\""));
	assert_non_null(strstr((const char *)msg.data, "\"by\":\"uid "));
	rig_run(&rig);
	assert_null(rig_fake(&rig, "reader"));
	rig_send(&rig, rig_fake(&rig, "recorder")->fds[0], REC_AUDIT_DONE, msg.id, NULL, 0);
	assert_non_null(rig_fake(&rig, "reader"));
	assert_string_equal(rig_fake(&rig, "reader")->argv,
	    "--store recorder events 0123456789abcdef0123456789abcdef ");
	rig_expect(&rig, fd, CTL_EDGE, &msg);
	assert_int_equal(msg.id, 7);
	/* It leads to the reader. */
	assert_int_equal(ipc_plain_send(msg.fds[0], 5, 0, "x", 1, NULL, 0), 0);
	rig_expect(&rig, rig_fake(&rig, "reader")->fds[0], 5, &msg);
	fd_close(&fd);
}

static void
test_no_event_no_view(void **state)
{
	static const char *const args[] = { "list" };
	char text[256];
	int fd = client();

	(void)state;
	ask_read(fd, args, 1);
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGKILL);
	assert_int_equal(reply(fd, text, sizeof(text)), 3);
	assert_null(rig_fake(&rig, "reader"));
	ask_read(fd, args, 1);
	assert_int_equal(reply(fd, text, sizeof(text)), 3);
	assert_non_null(strstr(text, "recorder"));
	assert_null(rig_fake(&rig, "reader"));
	fd_close(&fd);
}

static void
test_other_words_reach_no_reader(void **state)
{
	static const char *const bad[][2] = { { "erase", "0123456789abcdef0123456789abcdef" },
		{ "events", "--store" }, { "--store", "/" } };
	char text[256];
	int fd = client();

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		ask_read(fd, bad[i], 2);
		assert_int_equal(reply(fd, text, sizeof(text)), 2);
	}
	/* A NUL inside would end the argument early. */
	rig_send(&rig, fd, CTL_READ, 7, "\0\0\0\1\0\0\0\11show\0last", 17);
	assert_int_equal(reply(fd, text, sizeof(text)), 2);
	rig_send(&rig, fd, CTL_READ, 7, "\377\377\377\377", 4);
	assert_int_equal(reply(fd, text, sizeof(text)), 2);
	rig_expect_no(&rig, rig_fake(&rig, "recorder")->fds[0], REC_AUDIT);
	assert_null(rig_fake(&rig, "reader"));
	fd_close(&fd);
}

static void
test_one_request_at_a_time(void **state)
{
	static const char *const args[] = { "list" };
	int fd = client();

	(void)state;
	ask_read(fd, args, 1);
	rig_send(&rig, fd, CTL_STATUS, 8, NULL, 0);
	assert_true(is_closed(fd));
	fd_close(&fd);
	/* What the one who is gone asked for comes to nothing. */
	rig_expect(&rig, rig_fake(&rig, "recorder")->fds[0], REC_AUDIT, &msg);
	rig_send(&rig, rig_fake(&rig, "recorder")->fds[0], REC_AUDIT_DONE, msg.id, NULL, 0);
	assert_null(rig_fake(&rig, "reader"));
}

static void
test_broken_requests_end_the_client(void **state)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t len;
	} rows[] = { { CTL_STATUS, "x", 1 }, { CTL_READ, "\0\0\0", 3 }, { 99, "", 0 },
		{ CTL_REPLY, "\0\0\0\0\0", 5 }, { CTL_KILL, "\0\0", 2 } };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		int fd = client();

		rig_send(&rig, fd, rows[i].type, 1, rows[i].data, rows[i].len);
		assert_true(is_closed(fd));
		fd_close(&fd);
	}
}

static void
test_status_is_complete_and_does_not_wait_for_ever(void **state)
{
	char text[4096];
	int fd = client();

	(void)state;
	(void)rig_login(&rig, "192.0.2.1");
	rig_send(&rig, fd, CTL_STATUS, 1, NULL, 0);
	rig_expect(&rig, rig_fake(&rig, "policy")->fds[0], POL_STATUS, &msg);
	rig_send(
	    &rig, rig_fake(&rig, "policy")->fds[0], POL_STATUS_REPLY, msg.id, "{\"rules\":3}", 11);
	rig_expect(&rig, rig_fake(&rig, "recorder")->fds[0], REC_STATUS, &msg);
	rig_send(&rig, rig_fake(&rig, "recorder")->fds[0], REC_STATUS_REPLY, msg.id, "not json", 8);
	assert_false(rig_take(&rig, fd, &msg) && msg.type == CTL_REPLY);
	/* The vault says nothing. */
	rig_pass_time(&rig, CLOCK_NS_PER_S);
	assert_int_equal(reply(fd, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"policy\":{\"rules\":3}"));
	assert_non_null(strstr(text, "\"role\":\"keys\",\"state\":\"ready\""));
	assert_non_null(strstr(text, "\"health\":\"ok\""));
	assert_non_null(strstr(text, "\"connections\":1"));
	assert_non_null(strstr(text, "\"identity\":\"alice\""));
	assert_non_null(strstr(text, "\"config\":\"b.yaml\""));
	assert_non_null(strstr(text, "\"keys\":null"));
	/* Its late answer belongs to nobody. */
	rig_expect(&rig, rig_fake(&rig, "keys")->fds[0], KEYS_STATUS, &msg);
	rig_send(&rig, rig_fake(&rig, "keys")->fds[0], KEYS_STATUS_REPLY, msg.id, "{}", 2);
	fd_close(&fd);
}

static void
test_a_client_that_leaves_while_it_waits(void **state)
{
	int fd = client();

	(void)state;
	rig_send(&rig, fd, CTL_STATUS, 1, NULL, 0);
	fd_close(&fd);
	rig_run(&rig);
	rig_pass_time(&rig, 2 * CLOCK_NS_PER_S);
	fd = client();
	rig_send(&rig, fd, CTL_RELOAD, 1, NULL, 0);
	fd_close(&fd);
	rig_run(&rig);
	control_reloaded(control, true, "fine");
}

static void
test_reload_is_answered_by_its_outcome(void **state)
{
	char text[256];
	int a = client(), b = client();

	(void)state;
	rig_send(&rig, a, CTL_RELOAD, 1, NULL, 0);
	rig_send(&rig, b, CTL_RELOAD, 1, NULL, 0);
	assert_int_equal(n_reloads, 2);
	assert_false(rig_take(&rig, a, &msg) && msg.type == CTL_REPLY);
	control_reloaded(control, false, "b.yaml:1:1: wrong");
	assert_int_equal(reply(a, text, sizeof(text)), 1);
	assert_string_equal(text, "b.yaml:1:1: wrong");
	assert_int_equal(reply(b, text, sizeof(text)), 1);
	/* And the next request may come. */
	rig_send(&rig, a, CTL_RELOAD, 2, NULL, 0);
	control_reloaded(control, true, "");
	assert_int_equal(reply(a, text, sizeof(text)), 0);
	fd_close(&a);
	fd_close(&b);
}

static void
test_the_vault_hears_who_asks(void **state)
{
	char text[256];
	int fd = client();

	(void)state;
	rig_send(&rig, fd, CTL_KEYS, 1, NULL, 0);
	rig_expect(&rig, fd, CTL_EDGE, &msg);
	rig_expect(&rig, rig_fake(&rig, "keys")->fds[0], KEYS_ADMIN, &msg);
	assert_int_equal(msg.n_fds, 1);
	assert_memory_equal(msg.data + 4, "uid ", 4);
	rig_end(&rig, rig_fake(&rig, "keys"), SIGKILL);
	rig_run(&rig);
	rig_send(&rig, fd, CTL_KEYS, 1, NULL, 0);
	assert_int_equal(reply(fd, text, sizeof(text)), 3);
	fd_close(&fd);
}

static void
test_kill(void **state)
{
	char text[256];
	int fd = client();

	(void)state;
	rig_send_text(&rig, fd, CTL_KILL, 1, "02020202020202020202020202020202");
	assert_int_equal(reply(fd, text, sizeof(text)), 1);
	rig_send_text(&rig, fd, CTL_KILL, 1, "nonsense");
	assert_int_equal(reply(fd, text, sizeof(text)), 1);
	rig_grant(&rig, rig_login(&rig, "192.0.2.1"), 1);
	rig_opened(&rig, 1);
	rig_send_text(&rig, fd, CTL_KILL, 1, "02020202020202020202020202020202");
	assert_int_equal(reply(fd, text, sizeof(text)), 0);
	rig_expect(&rig, rig_fake(&rig, "recorder")->fds[0], REC_KILL, &msg);
	fd_close(&fd);
}

static void
test_clients_are_limited(void **state)
{
	int fds[CONTROL_CLIENTS_MAX + 1];

	(void)state;
	for (size_t i = 0; i <= CONTROL_CLIENTS_MAX; i++)
		fds[i] = client();
	assert_true(is_closed(fds[CONTROL_CLIENTS_MAX]));
	assert_false(is_closed(fds[0]));
	for (size_t i = 0; i <= CONTROL_CLIENTS_MAX; i++)
		fd_close(&fds[i]);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_the_socket_is_for_its_owner),
		T(test_a_view_waits_for_its_event),
		T(test_no_event_no_view),
		T(test_other_words_reach_no_reader),
		T(test_one_request_at_a_time),
		T(test_broken_requests_end_the_client),
		T(test_status_is_complete_and_does_not_wait_for_ever),
		T(test_a_client_that_leaves_while_it_waits),
		T(test_reload_is_answered_by_its_outcome),
		T(test_the_vault_hears_who_asks),
		T(test_kill),
		T(test_clients_are_limited),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
