#!/bin/sh
# A disk that is really full: new sessions are refused, then bytes stop, then sessions end with a line, and their ends are
# on disk, in the room that was held back for them.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

[ "$(id -u)" = 0 ] || skip_all 'needs root'
mkdir "$RIG/disk"
mount -t tmpfs -o size=160m,mode=755 none "$RIG/disk" 2>/dev/null || skip_all 'needs to mount a tmpfs'
unmount_end() {
	umount -l "$RIG/disk"
	rig_end
}
trap unmount_end EXIT
plan 25
quiet() { "$@" >"$RIG/said" 2>&1; }
verified() { ctl verify --all "$@" >"$RIG/verify.txt" 2>&1; }
health() { ctl status --json | jq -r .recorder.health; }
status_of() { ctl status --json | jq -r ".recorder.status.$1"; }
rig_init && rig_target t1 && rig_policy || exit 1
rm -rf "$RIG/b/state/recorder"
mv "$RIG/b/state" "$RIG/disk/state"
sed -i "s|^state:.*|state: $RIG/disk/state|; s/^  stall_timeout:.*/  stall_timeout: 5s/" "$RIG/b/bastiond.yaml"
ok 'a bastion starts on a small disk' rig_start
free() { df -B1 --output=avail "$RIG/disk" | tail -n 1; }
# leave BYTES: somebody else fills the disk up to there.
leave() {
	leave_n=$(($(free) - $1))
	[ "$leave_n" -le 0 ] || head -c "$leave_n" /dev/zero >>"$RIG/disk/filler" 2>/dev/null
}
refused() { ! b_ssh "$(to t1)" true >"$RIG/refused" 2>&1; }
works() { b_ssh "$(to t1)" true >/dev/null 2>&1; }
is_health() { [ "$(health)" = "$1" ]; }

mkfifo "$RIG/hold"
b_exec "$(to t1)" 'cat' <"$RIG/hold" >"$RIG/cat" 2>"$RIG/cat.err" &
cat_pid=$!
exec 9>"$RIG/hold"
echo one >&9
ok 'a session runs' wait_for 10 grep -q one "$RIG/cat"
cat_sid=$(ctl sessions list --json | jq -r '.[-1].id')

leave 12000000
ok 'little room: no new sessions' wait_for 10 is_health no-new-sessions
ok 'who comes is refused' wait_for 5 refused
like 'and told why' "$(cat "$RIG/refused")" 'no room for recordings'
like 'status says what to do' "$(ctl status)" 'make room on the disk'
echo two >&9
ok 'who is there goes on' wait_for 10 grep -q two "$RIG/cat"
rm "$RIG/disk/filler"
ok 'room again: all is well' wait_for 10 is_health ok
ok 'and new sessions' wait_for 10 works

# Full to the last byte.
leave 0
ok 'not a byte is free' test "$(free)" -eq 0
ok 'it is full: bytes stop' wait_for 10 is_health failed
like 'and status says so' "$(ctl status)" 'sessions stand still'
echo three >&9
wait $cat_pid
isnt 'after stall_timeout the session ends' $? 0
like 'with a line that says why' "$(cat "$RIG/cat.err")" 'disk is full'
not_ok 'nothing crossed that is not recorded' grep -q three "$RIG/cat"
closed() { [ "$(ctl sessions show "$cat_sid" --json | jq -r .state)" = closed ]; }
ok 'its end is signed, on a full disk' wait_for 10 closed
is 'by the same recorder' "$(grep -c 'service.died' "$RIG/bastiond.log")" 0
rm "$RIG/disk/filler"
ok 'room again: new sessions' wait_for 15 works

# It fills up at full speed; nobody waits for a tick.
b_exec "$(to t1)" 'head -c 400000000 /dev/urandom' >"$RIG/flow" 2>"$RIG/flow.err" &
flow_pid=$!
wait $flow_pid
isnt 'a session that fills it ends' $? 0
like 'with the same line' "$(cat "$RIG/flow.err")" 'disk is full'
sid=$(ctl sessions list --json | jq -r 'sort_by(.started_at) | last | .id')
ok 'its end is signed' wait_for 10 session_closed "$sid"
is 'the recorder lives' "$(grep -c 'service.died' "$RIG/bastiond.log")" 0
ok 'everything verifies' verified
ok 'erasing makes room' quiet ctl sessions erase "$sid" --why 'the disk is full'
ctl store status >"$RIG/status.txt"
rig_stop
ok 'and everything verifies' verified
tap_end
