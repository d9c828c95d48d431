#!/bin/sh
# No record, no bytes: a recorder that stands still, and one that dies.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 16
rig_init && rig_target t1 && rig_policy || exit 1
ok 'a bastion starts' rig_start

b_exec "$(to t1)" 'i=0; while :; do i=$((i + 1)); echo "line $i of the truth"; done' >"$RIG/flow" 2>"$RIG/flow.err" &
flow_pid=$!
ok 'output flows' wait_for 10 test -s "$RIG/flow"
sid=$(last_sid)
recorder=$(role_pid recorder)

size() { stat -c %s "$RIG/flow"; }
# Still when two looks half a second apart see the same size.
still() {
	still_a=$(size)
	sleep 0.5
	[ "$(size)" = "$still_a" ]
}
grows() {
	grows_a=$(size)
	sleep 0.1
	[ "$(size)" -gt "$grows_a" ]
}
ok 'it grows' grows
kill -STOP "$recorder"
stopped_at=$(size)
ok 'recorder stopped: the output stands still' wait_for 10 still
at_most 'within one window of credit' "$(($(size) - stopped_at))" 4194304
kill -CONT "$recorder"
ok 'recorder continued: the output goes on' wait_for 10 grows

kill -KILL "$recorder"
wait $flow_pid
isnt 'recorder killed: the client learns of it' $? 0
like 'in one clear line' "$(cat "$RIG/flow.err")" 'record'
new_recorder() { [ -n "$(role_pid recorder)" ] && [ "$(role_pid recorder)" != "$recorder" ]; }
ok 'a new recorder starts' wait_for 15 new_recorder
ok 'new sessions work again' wait_for 15 b_ssh "$(to t1)" true
is 'the session is marked truncated' \
	"$(ctl sessions list --json | jq -r --arg id "$sid" '.[] | select(.id == $id) | .state')" truncated
ctl export "$sid" --format raw --stream out >"$RIG/flow.record"
ok 'what the client saw is in the record' test "$(stat -c %s "$RIG/flow.record")" -ge "$(size)"
# shellcheck disable=SC2094
head -c "$(size)" "$RIG/flow.record" >"$RIG/flow.prefix"
ok 'byte for byte' cmp -s "$RIG/flow.prefix" "$RIG/flow"
ok 'everything verifies' ctl verify --all

recorder=$(role_pid recorder)
kill -STOP "$recorder"
start=$(date +%s)
# shellcheck disable=SC2046
timeout 60 ssh $(rig_opts) -p "$bastion_port" -o ConnectTimeout=5 "$(to t1)" 'echo in' >"$RIG/refused" 2>&1 &
refused_pid=$!
sleep 1
is 'recorder stopped: no new session gets through' "$(grep -c '^in$' "$RIG/refused")" 0
kill -CONT "$recorder"
wait $refused_pid
note "took $(($(date +%s) - start)) s"
is 'recorder continued: it does' "$(cat "$RIG/refused")" in

tap_end
