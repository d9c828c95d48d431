/* A whole back between a fake target and the test as broker, vault and recorder. The connection itself is a real one. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "bastiond/back/back.h"
#include "bastiond/broker/broker_proto.h"
#include "tests/lib/end_rig.h"
#include "tests/lib/test.h"

#define S CLOCK_NS_PER_S
#define PIN "\0\0\0\013ssh-ed25519\0\0\0\1k" /* a host key blob */

struct world {
	struct back b;
	int listener, target, broker, link, agent;
	uint16_t port;
};

static unsigned sandboxes; /* closed so far */
static int sandbox_result;

static int
close_sandbox(void)
{
	/* Not a byte of the target before that. */
	assert_null(wire_fake);
	sandboxes++;
	return sandbox_result;
}

static void
listen_here(struct world *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(w->listener, 4), 0);
	assert_int_equal(getsockname(w->listener, (struct sockaddr *)&sin, &len), 0);
	w->port = ntohs(sin.sin_port);
}

static void
init(struct world *w)
{
	struct back_fds fds;
	int pair[2];

	end_rig_clock();
	wire_fake = NULL; /* of a test that failed */
	*w = (struct world){ .target = -1 };
	listen_here(w);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	w->agent = pair[0];
	fds.agent = pair[1];
	fds.broker = end_rig_edge(&w->broker);
	fds.link = end_rig_edge(&w->link);
	assert_int_equal(back_init(&w->b, &fds, close_sandbox), 0);
	sandboxes = 0;
	sandbox_result = 0;
}

static void
done(struct world *w)
{
	back_done(&w->b);
	assert_null(wire_fake);
	close(w->listener);
	close(w->broker);
	close(w->agent);
	if (w->link >= 0)
		close(w->link);
	if (w->target >= 0)
		close(w->target);
	clock_override(NULL, NULL);
}

static struct rd_str
pin(void)
{
	return (struct rd_str){ (const uint8_t *)PIN, sizeof(PIN) - 1 };
}

/* A grant for web1 as root, with n pinned keys and n_cas CAs. */
static void
put_grant(struct buf *g, const char *address, uint32_t port, uint32_t n, uint32_t n_cas)
{
	int r = buf_put_cstr(g, "web1") | buf_put_cstr(g, address) | buf_put_u32(g, port) |
		buf_put_u8(g, 0) | buf_put_cstr(g, "root") | buf_put_u32(g, n);

	for (uint32_t i = 0; i < n; i++)
		r |= buf_put_str(g, pin().p, pin().len);
	r |= buf_put_u32(g, n_cas);
	for (uint32_t i = 0; i < n_cas; i++)
		r |= buf_put_str(g, pin().p, pin().len);
	assert_int_equal(r | buf_put_u64(g, 5 * S), 0);
}

static void
start_as(struct world *w, const char *address, uint32_t port, uint32_t n_pins, uint32_t n_cas)
{
	struct buf *g = buf_new(4096), *b = buf_new(4096);

	assert_non_null(g);
	assert_non_null(b);
	put_grant(g, address, port, n_pins, n_cas);
	assert_int_equal(buf_put_str(b, buf_ptr(g), buf_len(g)) | buf_put_u32(b, 1) |
			     buf_put_cstr(b, "127.0.0.1:1") | buf_put_u32(b, 0) |
			     buf_put_u64(b, 30 * S) | buf_put_u32(b, 2) | buf_put_u64(b, 60 * S) |
			     buf_put_u64(b, 8 * S),
	    0);
	assert_int_equal(
	    ipc_plain_send(w->broker, BRK_BACK_START, 1, buf_ptr(b), buf_len(b), NULL, 0), 0);
	buf_free(g);
	buf_free(b);
	end_rig_turn(w->b.loop);
}

static void
connected(struct world *w)
{
	init(w);
	start_as(w, "127.0.0.1", w->port, 1, 0);
	assert_non_null(wire_fake);
	assert_int_equal(wire_fake->role, WIRE_CLIENT);
	w->target = accept(w->listener, NULL, NULL);
	assert_true(w->target >= 0);
}

static void
prove(void)
{
	struct wire *w = wire_fake;

	assert_int_equal(w->ops->host_proof(w->arg, (const uint8_t *)"H", 1, pin().p, pin().len,
			     (const uint8_t *)"sig", 3),
	    0);
}

static void
want_bind(struct world *w)
{
	uint8_t got[512];
	size_t len;

	len = (size_t)recv(w->agent, got, sizeof(got), MSG_DONTWAIT);
	assert_int_equal(len, 4 + 1 + 28 + 4 + pin().len + 4 + 7 + 4 + 3 + 1);
	assert_memory_equal(got + 4, "\x1b\0\0\0\030session-bind@openssh.com", 29);
	assert_memory_equal(got + 37, PIN, pin().len);
	assert_memory_equal(got + 37 + pin().len, "\0\0\0\7session\0\0\0\3sig\0", 19);
}

/* The vault has said yes. */
static void
bound(struct world *w)
{
	connected(w);
	prove();
	assert_int_equal(write(w->agent, "\0\0\0\1\6", 5), 5);
	wire_fake_is_ready();
	end_rig_turn(w->b.loop);
	want_bind(w);
}

static void
want_connected(struct world *w)
{
	char where[64], print[HASH_FINGERPRINT_SIZE];

	(void)snprintf(where, sizeof(where), "127.0.0.1:%u", w->port);
	end_rig_want_frame(w->link, LINK_NOTE, 0, "bssss", LINK_NOTE_CONNECTED, where,
	    "SSH-2.0-peer", "some algorithms", hash_fingerprint(print, pin().p, pin().len));
}

static void
logged_in(struct world *w)
{
	bound(w);
	want_connected(w);
	wire_fake_login_done(0, NULL);
	end_rig_turn(w->b.loop);
	end_rig_want_frame(w->link, LINK_NOTE, 0, "b", LINK_NOTE_READY);
}

/* A program runs; the target's number is 9. */
static void
running(struct world *w)
{
	logged_in(w);
	end_rig_frame(w->b.loop, w->link, LINK_OPEN, 1, "s", "session");
	wire_fake_says("buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 1u, 9u, 2097152u, 32768u);
	end_rig_frame(w->b.loop, w->link, LINK_REQUEST, 1, "usbs", 1u, "exec", 0, "cmd");
	end_rig_turn(w->b.loop);
	end_rig_want_frame(w->link, LINK_OPEN_OK, 1, "");
	rig_log_clear(&wire_fake->sent);
}

static void
want_end(struct world *w, enum link_end code, const char *text)
{
	end_rig_turn(w->b.loop);
	end_rig_want_frame(w->link, LINK_END, 0, "bs", code, text);
	assert_int_equal(loop_run(w->b.loop), 0); /* it would hang if the loop were not stopped */
}

/* Reaching the target. */

static void
test_the_sandbox_closes_between_connecting_and_the_first_byte(void **state)
{
	struct world w;

	(void)state;
	connected(&w);
	assert_int_equal(sandboxes, 1);
	assert_string_equal(wire_fake->host_key_algs, "ssh-ed25519");
	done(&w);
}

static void
test_without_a_sandbox_nothing_is_read(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	sandbox_result = -EPERM;
	start_as(&w, "127.0.0.1", w.port, 1, 0);
	assert_null(wire_fake);
	end_rig_want_gone(w.broker);
	done(&w);
}

static void
test_a_refused_connection_is_told(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	close(w.listener);
	w.listener = -1;
	start_as(&w, "127.0.0.1", w.port, 1, 0);
	want_end(&w, LINK_END_CONNECT, "web1: connection refused");
	assert_int_equal(sandboxes, 0);
	done(&w);
}

static void
test_the_bastion_is_no_target(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	start_as(&w, "127.0.0.1", 1, 1, 0);
	want_end(&w, LINK_END_CONNECT, "web1: its address is the bastion's own");
	done(&w);
}

static void
test_a_name_is_not_looked_up_unasked(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	start_as(&w, "localhost", w.port, 1, 0);
	want_end(&w, LINK_END_CONNECT, "web1: its address is malformed");
	done(&w);
}

static void
test_nothing_is_connected_to_without_a_pinned_key(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	start_as(&w, "127.0.0.1", w.port, 0, 0);
	want_end(
	    &w, LINK_END_HOST_KEY, "host key of web1 is not pinned: bastionctl hosts pin web1");
	done(&w);
}

static void
test_a_malformed_start_ends_the_back(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	end_rig_say(w.b.loop, w.broker, BRK_BACK_START, -1, "ssssssssssss", "no", "grant", "at",
	    "all", "", "", "", "", "", "", "", "");
	assert_null(wire_fake);
	end_rig_want_gone(w.broker);
	done(&w);
}

/* Its identity. */

static void
test_another_host_key_ends_it_before_anything_is_asked(void **state)
{
	struct world w;
	struct wire *f;
	uint8_t byte;

	(void)state;
	connected(&w);
	f = wire_fake;
	assert_int_equal(
	    f->ops->host_proof(f->arg, (const uint8_t *)"H", 1,
		(const uint8_t *)"\0\0\0\013ssh-ed25519\0\0\0\1x", 20, (const uint8_t *)"sig", 3),
	    ERR_DENIED);
	wire_fake_ends(ERR_DENIED, "the owner refused");
	want_end(&w, LINK_END_HOST_KEY,
	    "host key of web1 is not the pinned one: expected "
	    "SHA256:PHdwgqARw8vUDCY6c4CtgQ6vf/kb1z7lSzi7lRO2xcg, got "
	    "SHA256:ezAj8vaYEfVdmf6j1ib4nKevYqit8KrUdF0OY3aQFVA; if it was changed on purpose: "
	    "bastionctl hosts pin web1");
	assert_int_equal(recv(w.agent, &byte, 1, MSG_DONTWAIT), -1);
	done(&w);
}

static void
test_the_vault_sees_the_proof_and_the_login_follows(void **state)
{
	struct world w;

	(void)state;
	bound(&w);
	assert_string_equal(wire_fake->user, "root");
	assert_true(wire_fake->agent_fd >= 0);
	want_connected(&w);
	end_rig_want_quiet(w.link);
	done(&w);
}

static void
test_a_vault_that_does_not_believe_the_host_ends_it(void **state)
{
	struct world w;

	(void)state;
	connected(&w);
	prove();
	assert_int_equal(write(w.agent, "\0\0\0\1\5", 5), 5);
	wire_fake_is_ready();
	want_connected(&w);
	want_end(&w, LINK_END_HOST_KEY, "web1: the vault does not accept its host key");
	done(&w);
}

static void
test_a_vault_that_is_gone_ends_it(void **state)
{
	struct world w;

	(void)state;
	connected(&w);
	prove();
	shutdown(w.agent, SHUT_RDWR);
	wire_fake_is_ready();
	want_connected(&w);
	want_end(&w, LINK_END_LOGIN, "web1: the vault does not answer");
	done(&w);
}

static void
test_a_refused_login_says_what_to_look_at(void **state)
{
	struct world w;

	(void)state;
	bound(&w);
	want_connected(&w);
	wire_fake_login_done(ERR_DENIED, "password\x1b");
	want_end(&w, LINK_END_LOGIN,
	    "web1: it refused the login of root with the bastion's key (it offers password\\x1b): "
	    "is "
	    "the key in authorized_keys there?");
	done(&w);
}

static void
test_a_vault_that_does_not_sign_is_told(void **state)
{
	struct world w;

	(void)state;
	bound(&w);
	want_connected(&w);
	wire_fake_login_done(ERR_NOT_FOUND, NULL);
	want_end(&w, LINK_END_LOGIN, "web1: the vault gave no signature for the login");
	done(&w);
}

static void
test_a_login_that_takes_too_long_ends(void **state)
{
	struct world w;

	(void)state;
	connected(&w);
	end_rig_later(w.b.loop, 6 * S);
	want_end(&w, LINK_END_CONNECT, "web1: no answer in time");
	done(&w);
}

/* Frames. */

static void
test_frames_wait_until_the_target_is_there(void **state)
{
	struct world w;
	struct rig_item it;

	(void)state;
	bound(&w);
	end_rig_frame(w.b.loop, w.link, LINK_OPEN, 1, "s", "session");
	assert_false(rig_take(&wire_fake->sent, &it));
	wire_fake_login_done(0, NULL);
	end_rig_turn(w.b.loop);
	rig_log_want(
	    &wire_fake->sent, "bsuuu", SSH_CHANNEL_OPEN, "session", 1u, LINK_CREDIT, 32768u);
	done(&w);
}

static void
test_data_goes_both_ways(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	end_rig_frame(w.b.loop, w.link, LINK_DATA, 1, "r", "in");
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 9u, "in");
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "out");
	wire_fake_says("busbu", SSH_CHANNEL_REQUEST, 1u, "exit-status", 0, 3u);
	end_rig_turn(w.b.loop);
	end_rig_want_frame(w.link, LINK_DATA, 1, "r", "out");
	end_rig_want_frame(w.link, LINK_EXIT_STATUS, 1, "u", 3u);
	done(&w);
}

static void
test_the_targets_own_requests_are_judged(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "eow@openssh.com", 0);
	wire_fake_says("busbb", SSH_CHANNEL_REQUEST, 1u, "xon-xoff", 0, 1);
	wire_fake_says("busbb", SSH_CHANNEL_REQUEST, 1u, "eow@openssh.com", 0, 7);
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "keepalive@openssh.com", 1);
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1);
	end_rig_turn(w.b.loop);
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usb", 1u, "eow@openssh.com", 0);
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usbb", 2u, "xon-xoff", 0, 1);
	end_rig_want_frame(
	    w.link, LINK_NOTE, 1, "bss", LINK_NOTE_REFUSED, "odd", "unknown request of the target");
	end_rig_want_quiet(w.link);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_FAILURE, 9u);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_FAILURE, 9u);
	done(&w);
}

static void
test_the_targets_global_requests_are_judged(void **state)
{
	struct world w;
	struct rig_item it;

	(void)state;
	running(&w);
	wire_fake_says("bsbs", SSH_GLOBAL_REQUEST, "hostkeys-00@openssh.com", 0, "a key");
	wire_fake_says("bsb", SSH_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	rig_log_want(&wire_fake->sent, "b", SSH_REQUEST_FAILURE);
	assert_false(rig_take(&wire_fake->sent, &it));
	end_rig_want_quiet(w.link);
	wire_fake_says("bsb", SSH_GLOBAL_REQUEST, "odd", 0);
	end_rig_turn(w.b.loop);
	end_rig_want_frame(w.link, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "odd", "global request");
	done(&w);
}

static void
test_a_banner_is_recorded_raw(void **state)
{
	struct world w;
	struct wire *f;

	(void)state;
	bound(&w);
	want_connected(&w);
	f = wire_fake;
	f->ops->banner(f->arg, "welcome\x1b[2J", 11);
	end_rig_turn(w.b.loop);
	end_rig_want_frame(w.link, LINK_NOTE, 0, "bs", LINK_NOTE_BANNER, "welcome\x1b[2J");
	done(&w);
}

/* Ends. */

static void
test_a_target_that_goes_is_told_after_its_last_data(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "last");
	wire_fake_ends(ERR_PEER_GONE, "closed by the peer");
	end_rig_turn(w.b.loop);
	end_rig_want_frame(w.link, LINK_DATA, 1, "r", "last");
	want_end(&w, LINK_END_TARGET, "web1: the target closed the connection");
	done(&w);
}

static void
test_a_target_that_breaks_the_rules_is_told_so(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 5u, "x");
	assert_int_equal(wire_fake->reason, SSH_DISCONNECT_PROTOCOL_ERROR);
	want_end(&w, LINK_END_PROTOCOL, "web1: the target closed the connection");
	done(&w);
	running(&w);
	wire_fake_ends(ERR_CRYPTO, "a packet that does not authenticate");
	want_end(&w, LINK_END_PROTOCOL, "web1: a packet that does not authenticate");
	done(&w);
}

static void
test_a_silent_target_is_given_up(void **state)
{
	struct world w;

	(void)state;
	running(&w); /* every 30 s, 2 may be missed */
	for (int i = 0; i < 3; i++)
		end_rig_later(w.b.loop, 30 * S);
	assert_true(wire_fake->over);
	want_end(&w, LINK_END_TARGET, "web1: no answer for too long");
	done(&w);
}

static void
test_what_the_client_sent_before_it_went_reaches_the_target(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake->backlog = MUX_BACKLOG;
	end_rig_frame(w.b.loop, w.link, LINK_DATA, 1, "r", "last words");
	end_rig_frame(w.b.loop, w.link, LINK_END, 0, "bs", LINK_END_CLIENT, "gone");
	assert_false(wire_fake->over);
	wire_fake->backlog = 0;
	end_rig_later(w.b.loop, 1);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 9u, "last words");
	assert_true(wire_fake->over);
	assert_int_equal(loop_run(w.b.loop), 0);
	done(&w);
}

static void
test_a_target_that_takes_nothing_is_not_waited_for_forever(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake->backlog = MUX_BACKLOG;
	end_rig_frame(w.b.loop, w.link, LINK_DATA, 1, "r", "last words");
	end_rig_frame(w.b.loop, w.link, LINK_END, 0, "bs", LINK_END_CLIENT, "gone");
	end_rig_later(w.b.loop, 3 * S);
	assert_true(wire_fake->over);
	done(&w);
}

static void
test_without_the_recorder_nothing_goes_on(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	close(w.link);
	w.link = -1;
	end_rig_turn(w.b.loop);
	assert_true(wire_fake->over);
	assert_int_equal(loop_run(w.b.loop), 0);
	done(&w);
}

static void
test_without_the_broker_the_leg_ends(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	close(w.broker);
	w.broker = -1;
	want_end(&w, LINK_END_INTERNAL, "the bastion is stopping");
	assert_true(wire_fake->over);
	done(&w);
}

static bool
has_sent(uint8_t type)
{
	for (size_t i = 0; i < wire_fake->sent.n; i++)
		if (wire_fake->sent.items[i].type == type)
			return true;
	return false;
}

static void
test_a_stuck_target_has_its_time_twice(void **state)
{
	struct world w;

	(void)state;
	logged_in(&w);
	end_rig_frame(w.b.loop, w.link, LINK_OPEN, 1, "s", "session");
	wire_fake_says("buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 1u, 9u, 0u, 32768u);
	end_rig_frame(w.b.loop, w.link, LINK_REQUEST, 1, "usb", 1u, "shell", 0);
	end_rig_frame(w.b.loop, w.link, LINK_DATA, 1, "r", "nobody takes this");
	end_rig_frame(w.b.loop, w.link, LINK_CLOSE, 1, "");
	rig_log_clear(&wire_fake->sent);
	/* It has 8 seconds: to take what it is sent, and then to answer. */
	end_rig_later(w.b.loop, 2 * S);
	end_rig_later(w.b.loop, 8 * S - 1);
	assert_false(has_sent(SSH_CHANNEL_CLOSE));
	end_rig_later(w.b.loop, 1);
	assert_false(has_sent(SSH_CHANNEL_CLOSE)); /* looked at four times in that */
	end_rig_later(w.b.loop, 2 * S);
	assert_true(has_sent(SSH_CHANNEL_CLOSE));
	end_rig_want_frame(w.link, LINK_OPEN_OK, 1, "");
	end_rig_later(w.b.loop, 2 * S);
	end_rig_later(w.b.loop, 10 * S);
	end_rig_want_frame(w.link, LINK_NOTE, 1, "bu", LINK_NOTE_UNCLOSED, 8u);
	end_rig_want_frame(w.link, LINK_CLOSE, 1, "");
	done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_sandbox_closes_between_connecting_and_the_first_byte),
		cmocka_unit_test(test_without_a_sandbox_nothing_is_read),
		cmocka_unit_test(test_a_refused_connection_is_told),
		cmocka_unit_test(test_the_bastion_is_no_target),
		cmocka_unit_test(test_a_name_is_not_looked_up_unasked),
		cmocka_unit_test(test_nothing_is_connected_to_without_a_pinned_key),
		cmocka_unit_test(test_a_malformed_start_ends_the_back),
		cmocka_unit_test(test_another_host_key_ends_it_before_anything_is_asked),
		cmocka_unit_test(test_the_vault_sees_the_proof_and_the_login_follows),
		cmocka_unit_test(test_a_vault_that_does_not_believe_the_host_ends_it),
		cmocka_unit_test(test_a_vault_that_is_gone_ends_it),
		cmocka_unit_test(test_a_refused_login_says_what_to_look_at),
		cmocka_unit_test(test_a_vault_that_does_not_sign_is_told),
		cmocka_unit_test(test_a_login_that_takes_too_long_ends),
		cmocka_unit_test(test_frames_wait_until_the_target_is_there),
		cmocka_unit_test(test_data_goes_both_ways),
		cmocka_unit_test(test_the_targets_own_requests_are_judged),
		cmocka_unit_test(test_the_targets_global_requests_are_judged),
		cmocka_unit_test(test_a_banner_is_recorded_raw),
		cmocka_unit_test(test_a_target_that_goes_is_told_after_its_last_data),
		cmocka_unit_test(test_a_target_that_breaks_the_rules_is_told_so),
		cmocka_unit_test(test_a_silent_target_is_given_up),
		cmocka_unit_test(test_what_the_client_sent_before_it_went_reaches_the_target),
		cmocka_unit_test(test_a_target_that_takes_nothing_is_not_waited_for_forever),
		cmocka_unit_test(test_without_the_recorder_nothing_goes_on),
		cmocka_unit_test(test_without_the_broker_the_leg_ends),
		cmocka_unit_test(test_a_stuck_target_has_its_time_twice),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
