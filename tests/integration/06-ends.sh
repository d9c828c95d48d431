#!/bin/sh
# Sudden ends: the client, the target, a front, a back; the record is always a verified prefix of the truth.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 17
ok 'a bastion and its target start' rig_up

# talk NAME: a client that receives numbered lines as fast as it can, its output kept in $RIG/NAME.
talk() {
	b_exec "$(to t1)" 'i=0; while :; do i=$((i + 1)); echo "line $i of the truth"; done' >"$RIG/$1" 2>"$RIG/$1.err" &
	talk_pid=$!
	wait_for 10 test -s "$RIG/$1"
	talk_sid=$(last_sid)
}
# What the client saw is how the record begins.
prefix() { # NAME
	ctl export "$talk_sid" --format raw --stream out >"$RIG/$1.record" &&
		[ "$(wc -c <"$RIG/$1.record")" -ge "$(wc -c <"$RIG/$1")" ] &&
		head -c "$(wc -c <"$RIG/$1")" "$RIG/$1.record" | cmp -s - "$RIG/$1"
}
none_left() { [ -z "$(role_pid front)$(role_pid back)" ]; }

talk client
kill -KILL $talk_pid
wait $talk_pid 2>/dev/null
ok 'client killed: the session ends' wait_for 10 session_closed "$talk_sid"
ok 'client killed: what it saw is recorded' prefix client
ok 'client killed: no process is left' wait_for 10 none_left

talk front
kill -KILL "$(role_pid front)"
wait $talk_pid 2>/dev/null
ok 'front killed: the session ends' wait_for 15 session_closed "$talk_sid"
ok 'front killed: what the client saw is recorded' prefix front
ok 'front killed: no process is left' wait_for 10 none_left

talk back
kill -KILL "$(role_pid back)"
wait $talk_pid
isnt 'back killed: the client learns of it' $? 0
ok 'back killed: the session ends' wait_for 15 session_closed "$talk_sid"
ok 'back killed: what the client saw is recorded' prefix back
ok 'back killed: no process is left' wait_for 10 none_left

talk target
# All of the target's processes for this connection, and not its listener: an sshd that is not root has two of them.
# shellcheck disable=SC2046,SC2154
kill -KILL $(tree "$rig_pid_t1" | tail -n +2)
wait $talk_pid
isnt 'target killed: the client learns of it' $? 0
ok 'target killed: the session ends' wait_for 15 session_closed "$talk_sid"
ok 'target killed: what the client saw is recorded' prefix target
ok 'target killed: no process is left' wait_for 10 none_left

is 'the next session works' "$(b_ssh "$(to t1)" 'echo on')" on
ok 'everything verifies' ctl verify --all

tap_end
