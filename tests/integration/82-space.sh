#!/bin/sh
# Erased space is used again and can be given back; who exports slowly does not make the store grow.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 23
quiet() { "$@" >"$RIG/said" 2>&1; }
verified() { ctl verify --all "$@" >"$RIG/verify.txt" 2>&1; }
number() { ctl store status --json | jq -r ".$1"; }
session() { # BYTES
	b_ssh "$(to t1)" "head -c $1 /dev/urandom" >/dev/null
	sid=$(last_sid)
	wait_for 10 session_closed "$sid"
}
gone() { [ "$(ctl status --json | jq -r .recorder.status.erasing)" = 0 ]; }

ok 'a bastion and its target start' rig_up
session 1000
kept=$sid
for i in 1 2 3; do
	session 20000000
	eval "s$i=$sid"
done
file=$(number file_bytes)
at_most 'the file is what was recorded, and the journal' "$file" 160000000
is 'four sessions' "$(number sessions)" 4
is 'the oldest is the first' "$(number oldest | cut -c1-10)" "$(date -u +%F)"
ctl store status >"$RIG/table"
like 'a person reads it, too' "$(cat "$RIG/table")" 'free inside'
quiet ctl sessions hold "$kept" --why test
is 'one is held' "$(number held)" 1
# shellcheck disable=SC2154
for s in "$s1" "$s2" "$s3"; do quiet ctl sessions erase "$s" --why test; done
ok 'three are erased' wait_for 30 gone
is 'and counted' "$(number erased)" 3
ok 'what they held is free inside' test "$(number free_bytes)" -gt 60000000
for i in 1 2 3; do session 20000000; done
at_most 'as much again: the file has not grown' "$(number file_bytes)" $((file + file / 4))

# The reader of a slow export holds no snapshot: as much is written meanwhile as is erased, again and again.
big=$sid
mkfifo "$RIG/slow"
ctl export "$big" --format raw --stream out >"$RIG/slow" 2>/dev/null &
slow_pid=$!
exec 8<"$RIG/slow"
dd bs=4096 count=1 <&8 >/dev/null 2>&1
for i in 1 2 3; do
	session 20000000
	quiet ctl sessions erase "$sid" --why test
	wait_for 30 gone
	dd bs=65536 count=1 <&8 >/dev/null 2>&1
done
at_most 'during a slow export it grows by one session at most' "$(number file_bytes)" $((file + file / 4 + 45000000))
ok 'which is still under way' kill -0 $slow_pid
exec 8<&-
wait $slow_pid

ctl checkpoint -o "$RIG/before"
is 'a store in use is not compacted' "$(ctl store compact 2>&1 | grep -c 'stop it first')" 1
rig_stop
used=$(number used_bytes)
file=$(number file_bytes)
ok 'status works when it has stopped, too' test "$used" -gt 0
ok 'it is compacted' ctl store compact
at_most 'to what is used' "$(stat -c %s "$RIG/b/state/recorder/data.mdb")" $((used + used / 16))
ok 'which is less' test "$(stat -c %s "$RIG/b/state/recorder/data.mdb")" -lt "$file"
is 'nothing is left beside it' "$(find "$RIG/b/state/recorder" -name compact)" ''
ok 'everything verifies, the checkpoint from before included' verified --checkpoint "$RIG/before"
ok 'a bastion starts on it' rig_start
session 1000
ok 'and records' verified
is 'what was held is held' "$(ctl sessions show "$kept" --json | jq -r .held.why)" test
ok 'and plays' quiet ctl export "$kept" --format raw --stream out
tap_end
