#!/bin/sh
# Whoever stands still holds up only what must not go on without them: a recorder, a reader with a snapshot.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 31
verified() { ctl verify --all "$@" >"$RIG/verify.txt" 2>&1; }
rig_init && rig_target t1 && rig_policy || exit 1
sed -i 's/^  stall_timeout:.*/  stall_timeout: 6s\n  reader_timeout: 2s/' "$RIG/b/bastiond.yaml"
ok 'a bastion starts' rig_start
flow() { # NAME
	b_exec "$(to t1)" 'i=0; while :; do i=$((i + 1)); echo "line $i of the truth"; done' >"$RIG/$1" 2>"$RIG/$1.err" &
	flow_pid=$!
	wait_for 10 test -s "$RIG/$1"
}
size() { stat -c %s "$RIG/$1"; }
still() {
	still_a=$(size "$1")
	sleep 0.3
	[ "$(size "$1")" = "$still_a" ]
}
grows() {
	grows_a=$(size "$1")
	sleep 0.1
	[ "$(size "$1")" -gt "$grows_a" ]
}
refused() { ! b_ssh "$(to t1)" true >"$RIG/refused" 2>&1; }
seen_is_recorded() { # NAME SID
	ctl export "$2" --format raw --stream out >"$RIG/$1.record" 2>/dev/null &&
		head -c "$(size "$1")" "$RIG/$1.record" | cmp -s - "$RIG/$1"
}

# Shorter than stall_timeout: nothing happens to anybody.
ok 'output flows' flow one
sid=$(ctl sessions list --json | jq -r '.[-1].id')
recorder=$(role_pid recorder)
kill -STOP "$recorder"
ok 'the recorder stands still: so does the output' wait_for 10 still one
sleep 1
kill -CONT "$recorder"
ok 'it goes on: so does the output' wait_for 10 grows one
is 'with the same recorder' "$(role_pid recorder)" "$recorder"
ok 'and new sessions' wait_for 10 b_ssh "$(to t1)" true

# Half of it: nobody new gets in, with a line.
kill -STOP "$recorder"
at=$(size one)
silent() { ctl status --json | jq -r '.problems[]' | grep -q 'does not answer'; }
ok 'status says that it does not answer' wait_for 10 silent
ok 'nobody new gets in' refused
like 'and is told why' "$(cat "$RIG/refused")" 'recorder.*does not answer'
at_most 'what still came is within a window' "$(($(size one) - at))" 4194304
kill -CONT "$recorder"
ok 'it goes on: so does the output' wait_for 10 grows one
ok 'and new sessions' wait_for 10 b_ssh "$(to t1)" true
is 'with the same recorder' "$(role_pid recorder)" "$recorder"

# All of it: sessions end, with a line.
kill -STOP "$recorder"
start=$(date +%s)
wait "$flow_pid"
isnt 'the session ends' $? 0
ok 'not before stall_timeout' test $(($(date +%s) - start)) -ge 5
at_most 'not long after it' $(($(date +%s) - start)) 20
like 'with one clear line' "$(cat "$RIG/one.err")" 'cannot record'
new_recorder() { [ -n "$(role_pid recorder)" ] && [ "$(role_pid recorder)" != "$recorder" ]; }
ok 'another recorder starts' wait_for 15 new_recorder
ok 'and records' wait_for 15 b_ssh "$(to t1)" true
ok 'what the client saw is in the record' seen_is_recorded one "$sid"
audited() { ctl log | jq -r .event | grep -q '^recorder[.]stalled$'; }
ok 'it is in the log' wait_for 10 audited

# A reader that stands still with a snapshot: its store does not grow for ever.
b_ssh "$(to t1)" 'head -c 60000000 /dev/urandom | base64' >/dev/null
big=$(last_sid)
wait_for 10 session_closed "$big"
ok 'output flows' flow two
# Stopped in the middle of the walk over a large recording, where it holds a snapshot.
ctl verify "$big" >/dev/null 2>&1 &
verify_pid=$!
lags() { [ "$(ctl status --json | jq -r .recorder.status.reader_lag)" -gt 0 ]; }
lags_not() { ! lags; }
catch() {
	p=$(role_pid reader)
	[ -n "$p" ] && kill -STOP "$p" && wait_for 3 lags && return 0
	[ -n "$p" ] && kill -CONT "$p"
	kill -0 "$verify_pid" 2>/dev/null || { ctl verify "$big" >/dev/null 2>&1 & verify_pid=$!; }
	return 1
}
ok 'a reader stands still and pins the store' wait_for 40 catch
reader=$p
ended() { ! kill -0 "$reader" 2>/dev/null; }
ok 'it is ended' wait_for 20 ended
ok 'which the log says' wait_for 10 sh -c "$BASTIONCTL -f $RIG/b/bastiond.yaml log | grep -q '\"reader.ended\"'"
wait $verify_pid
isnt 'who waited for it learns of it' $? 0
ok 'nobody else was held up' wait_for 10 grows two
kill "$flow_pid"
wait "$flow_pid"
ok 'everything verifies' verified
ok 'no reader is left behind' wait_for 10 lags_not

# An auditor's slow pipe is no snapshot: the reader waits without one.
mkfifo "$RIG/slow"
ctl export "$big" --format raw --stream out >"$RIG/slow" 2>/dev/null &
slow_pid=$!
exec 8<"$RIG/slow"
dd bs=4096 count=1 <&8 >/dev/null 2>&1
sleep 6
ok 'a slow export is not ended' kill -0 $slow_pid
exec 8<&-
wait $slow_pid
ok 'and pins nothing' wait_for 10 lags_not
tap_end
