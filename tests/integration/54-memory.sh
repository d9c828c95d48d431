#!/bin/sh
# Where the key of a sealed session is: while it runs in the recorder's guarded memory, once, and nowhere else; when it has
# ended, nowhere.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

[ "$(id -u)" = 0 ] || skip_all 'needs root'
dd if="/proc/$$/mem" bs=1 count=0 2>/dev/null || skip_all 'needs to read the memory of other processes'
plan 13
unset BASTION_AUDITOR_KEY
mkdir "$RIG/aud"
"$BASTIONCTL" auditor new anna --no-passphrase -o "$RIG/aud/anna.key" >"$RIG/aud/anna.pub" 2>/dev/null
rig_init && rig_target t1 && rig_policy || exit 1
sed -i -e "s|^recording:.*|recording:\n  auditors: ['$(cat "$RIG/aud/anna.pub")']|" "$RIG/b/bastiond.yaml"
ok 'a bastion with an auditor starts' rig_start
STORE=$(dirname "$(find "$RIG/b" -path '*/recorder/data.mdb')")
pid_of() { ctl status --json | jq -r ".children[] | select(.role == \"$1\") | .pid"; }
recorder=$(pid_of recorder)
is 'the recorder leaves no core' "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$recorder/limits")" '0 0'

mkfifo "$RIG/fifo"
b_exec "$(to t1)" 'echo running; cat' >"$RIG/live" 2>&1 <"$RIG/fifo" &
live=$!
exec 7>"$RIG/fifo"
ok 'a session runs' wait_for 10 grep -q running "$RIG/live"
sid=$(ctl sessions list --json | jq -r '.[] | select(.state == "open") | .id')
# What was typed and shown, and a head that was signed.
echo 'something typed' >&7
ok 'and does something' wait_for 10 grep -q 'something typed' "$RIG/live"
ctl export --format text "$sid" >/dev/null 2>&1
look() { "$BASTION_BIN/bastion-memory" "$STORE" "$RIG/aud/anna.key" "$sid" "$1"; }
all() { # of every process of the bastion but the recorder
	for pid in $(pgrep -P "$bastion_pid") "$bastion_pid"; do
		[ "$pid" = "$recorder" ] || look "$pid"
	done | awk '{ n += $2 } END { print (NR >= 18), n + 0 }'
}
look "$recorder" >"$RIG/found"
is 'the key is in the recorder, once, locked and in no dump' "$(sed -n 's/^key //p' "$RIG/found")" '1 1'
is 'what it was made of is not' "$(sed -n 's/^secret //p' "$RIG/found")" '0 0'
is 'nor what is made of it' "$(grep -c -E '^(blocks|journal|private|derived) 0 0$' "$RIG/found")" 4
is 'no other process has it' "$(all)" '1 0'

exec 7>&-
wait "$live"
ok 'the session ends' wait_for 10 session_closed "$sid"
is 'nothing of its key is left in the recorder' "$(look "$recorder" | awk '{ n += $2 } END { print NR, n + 0 }')" '6 0'
is 'nor anywhere else' "$(all)" '1 0'
is 'the recorder is the same process' "$(pid_of recorder)" "$recorder"
like 'and an auditor opens the session' "$(ctl export --auditor-key "$RIG/aud/anna.key" --format text "$sid" 2>&1)" 'something typed'
rig_stop
tap_end
