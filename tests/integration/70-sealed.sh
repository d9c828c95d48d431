#!/bin/sh
# Recordings sealed to two auditors: nothing of what was shown, typed or named lies on the bastion's disk, each auditor alone
# can open it, the bastion cannot, and whoever has no key can still verify it.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 53
unset BASTION_AUDITOR_KEY
mkdir "$RIG/aud"
AUD="$RIG/aud"

# auditors
text=$(printf 'short\n' | "$BASTIONCTL" auditor new anna -o "$AUD/anna.key" 2>&1)
is 'a short passphrase is refused' $? 2
like 'and it is said' "$text" 'at least 12 bytes'
not_ok 'and nothing was written' test -e "$AUD/anna.key"
printf 'correct horse battery\n' | "$BASTIONCTL" auditor new anna -o "$AUD/anna.key" >"$AUD/anna.pub" 2>"$AUD/err"
is 'an auditor with a passphrase' $? 0
is 'the secret key is the auditor'"'"'s alone' "$(stat -c %a "$AUD/anna.key")" 600
"$BASTIONCTL" auditor new ben --no-passphrase -o "$AUD/ben.key" >"$AUD/ben.pub" 2>>"$AUD/err"
"$BASTIONCTL" auditor new eve --no-passphrase -o "$AUD/eve.key" >"$AUD/eve.pub" 2>>"$AUD/err"
not_ok 'a key is never overwritten' "$BASTIONCTL" auditor new ben --no-passphrase -o "$AUD/ben.key"
is 'the public line comes again from the secret key' "$("$BASTIONCTL" auditor public "$AUD/ben.key")" "$(cat "$AUD/ben.pub")"
not_ok 'a wrong passphrase opens nothing' sh -c "printf 'wrong horse battery\n' | '$BASTIONCTL' auditor public '$AUD/anna.key'"

rig_init && rig_target t1 && rig_policy || exit 1
anna_line=$(cat "$AUD/anna.pub")
cp "$AUD/ben.pub" "$RIG/b/ben.pub"
auditors() { sed -i -e '/^  auditors:/d' -e "s|^recording:.*|recording:\n  auditors: [$1]|" "$RIG/b/bastiond.yaml"; }
auditors "'$anna_line', '$anna_line'"
text=$("$BASTIOND" -t -f "$RIG/b/bastiond.yaml" 2>&1)
is 'the same auditor twice is refused' $? 1
like 'with its place' "$text" 'bastiond.yaml:[0-9]+:[0-9]+: recording.auditors\[1\]'
auditors "'$anna_line', ben.pub"
ok 'a line and a file with one' "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
ok 'a bastion starts' rig_start
STATE="$RIG/b/state"
[ -d "$STATE/recorder" ] || STATE=$(dirname "$(find "$RIG/b" -name data.mdb | head -n 1)")/..

# A session with words that stand nowhere else.
cat >"$RIG/batch" <<BATCH
put $RIG/batch $RIG/qqFileNameqq
BATCH
is 'an exec session' "$(b_ssh "$(to t1)" 'echo qqCommandqq | tr q z; cat' <<IN
qqTypedqq
IN
)" 'zzCommandzz
qqTypedqq'
# shellcheck disable=SC2046
sftp $(rig_opts) -q -P "$bastion_port" -b "$RIG/batch" "$(to t1)" >/dev/null 2>&1
is 'a file operation' $? 0
rm -f "$RIG/qqFileNameqq"
closed() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "closed")] | length')" = "$1" ]; }
ok 'both have ended' wait_for 10 closed 2
none() { # no word of the sessions anywhere under the state
	! grep -rEaq 'qqCommandqq|zzCommandzz|qqTypedqq|qqFileNameqq' "$STATE"
}
ok 'nothing of them lies on the disk' none
exec_id=$(ctl sessions list --json | jq -r '.[] | select(.channels[0].kind == "exec") | .id')
sftp_id=$(ctl sessions list --json | jq -r '.[] | select(.channels[0].kind == "subsystem") | .id')
is 'listings have the kind, the status and the counts' \
	"$(ctl sessions list --json | jq -c ".[] | select(.id == \"$exec_id\").channels[0] | [.kind, .command, .exit_status, .bytes_in]")" \
	'["exec",null,0,10]'
is 'and the names of who can open it' "$(ctl sessions show --json "$exec_id" | jq -c .sealed_to)" '["anna","ben"]'

# The bastion alone cannot.
text=$(ctl export --format text "$exec_id" 2>&1)
is 'without a key nothing is exported' $? 3
like 'one line names who can' "$text" 'sealed to anna, ben'
text=$(ctl export --auditor-key "$AUD/eve.key" --format text "$exec_id" 2>&1)
is 'with somebody else'"'"'s key neither' $? 3
like 'which is said, too' "$text" 'this key is none of theirs'

# Each auditor alone can.
text=$(ctl export --auditor-key "$AUD/ben.key" --format text "$exec_id" 2>&1)
like 'ben exports it' "$text" 'zzCommandzz'
is 'ben sees the command' \
	"$(ctl sessions show --auditor-key "$AUD/ben.key" --json "$exec_id" | jq -r '.channels[0].command')" 'echo qqCommandqq | tr q z; cat'
like 'ben sees the file' "$(ctl sessions show --auditor-key "$AUD/ben.key" --json "$sftp_id" | jq -c .files)" 'qqFileNameqq'
like 'ben plays it' "$(ctl play --auditor-key "$AUD/ben.key" "$exec_id" 2>&1 </dev/null)" 'qqTypedqq'
BASTION_AUDITOR_KEY="$AUD/anna.key"
export BASTION_AUDITOR_KEY
like 'anna exports it' "$(printf 'correct horse battery\n' | ctl export --format text "$exec_id" 2>&1)" 'zzCommandzz'
like 'anna lists it' "$(printf 'correct horse battery\n' | ctl sessions list)" 'qqCommandqq'
unset BASTION_AUDITOR_KEY
ok 'verify says yes without a key' ctl verify

# More files than a record keeps.
mkdir "$RIG/many"
i=0
while [ $i -lt 100 ]; do
	echo "put $RIG/batch $RIG/many/qqMany$i"
	i=$((i + 1))
done >"$RIG/batch100"
# shellcheck disable=SC2046
sftp $(rig_opts) -q -P "$bastion_port" -b "$RIG/batch100" "$(to t1)" >/dev/null 2>&1
is 'a hundred files' $? 0
ok 'that session has ended, too' wait_for 10 closed 3
many_id=$(ctl sessions list --json | jq -r '.[] | select(.files_total >= 100) | .id')
is 'without a key they are a number' "$(ctl sessions show --json "$many_id" | jq -c '[.files_total >= 100, .files]')" '[true,[]]'
is 'with one they are all there' \
	"$(ctl sessions show --auditor-key "$AUD/ben.key" --json "$many_id" | jq '[.files_total == (.files | length), ([.files[].path] | any(endswith("qqMany99")))] | all')" true
is 'which is told of the look at it' \
	"$(ctl log "$many_id" | jq -c 'select(.event == "record.viewed" and .what == "show") | .blocks' | tr '\n' ' ')" 'null true '

# A session that runs can be watched through the bastion.
mkfifo "$RIG/fifo"
b_exec "$(to t1)" 'echo qqLiveqq | tr q y; cat' >"$RIG/live" 2>&1 <"$RIG/fifo" &
live_pid=$!
exec 7>"$RIG/fifo"
ok 'a session runs' wait_for 10 grep -q yyLiveyy "$RIG/live"
live_id=$(ctl sessions list --json | jq -r '.[] | select(.state == "open") | .id')
sees() { ctl export --format text "$live_id" 2>&1 | grep -q yyLiveyy; }
ok 'who may ask the bastion sees it' wait_for 10 sees
is 'and its command' "$(ctl sessions show --json "$live_id" | jq -r '.channels[0].command')" 'echo qqLiveqq | tr q y; cat'
not_ok 'a copy of the store does not show it' sh -c "
	rm -rf '$RIG/copy'; mkdir '$RIG/copy'
	cp '$STATE/recorder/data.mdb' '$STATE/recorder/session.keys' '$STATE/recorder.pub' '$RIG/copy/'
	'$BASTIONCTL' --store '$RIG/copy' export --format text '$live_id' 2>&1 | grep -q yyLiveyy"
like 'to an auditor it does' \
	"$("$BASTIONCTL" --store "$RIG/copy" export --auditor-key "$AUD/ben.key" --format text "$live_id" 2>&1)" yyLiveyy

# The recorder is killed in its middle: what it had is closed without its key, which nobody has any more.
recorder_pid=$(ctl status --json | jq -r '.children[] | select(.role == "recorder") | .pid')
kill -9 "$recorder_pid"
exec 7>&-
wait "$live_pid"
is_truncated() { [ "$(ctl sessions show --json "$live_id" 2>/dev/null | jq -r .state)" = truncated ]; }
ok 'after kill -9 of the recorder the session has its end' wait_for 20 is_truncated
gone() { ! grep -rEaq 'qqLiveqq|yyLiveyy' "$STATE"; }
ok 'and nothing of it lies on the disk' gone
ctl export --format text "$live_id" >"$RIG/out" 2>&1
is 'the bastion cannot open it any more' $? 3
like 'each auditor can' "$(ctl export --auditor-key "$AUD/ben.key" --format text "$live_id" 2>&1)" yyLiveyy
is 'its record, without a key, has no names' "$(ctl sessions show --json "$live_id" | jq -c .channels)" '[]'
is 'with a key it has what it did' \
	"$(ctl sessions list --auditor-key "$AUD/ben.key" --json | jq -r ".[] | select(.id == \"$live_id\").channels[0] | [.kind, .command] | join(\" \")")" \
	'exec echo qqLiveqq | tr q y; cat'
ok 'verify says yes' ctl verify

# Away from the bastion.
rig_stop
rm -rf "$RIG/copy"
mkdir "$RIG/copy"
cp "$STATE/recorder/data.mdb" "$STATE/recorder.pub" "$RIG/copy/"
text=$("$BASTIONCTL" --store "$RIG/copy" export --auditor-key "$AUD/ben.key" --format text "$exec_id" 2>&1)
is 'a copy without session.keys does not open' $? 3
like 'which it says in one line' "$text" 'session.keys is not there'
like 'verify names it as what is missing' "$("$BASTIONCTL" --store "$RIG/copy" verify 2>&1)" 'session.keys: missing'
cp "$STATE/recorder/session.keys" "$RIG/copy/"
ok 'with it and an auditor every event is checked' "$BASTIONCTL" --store "$RIG/copy" verify --auditor-key "$AUD/ben.key"
ok 'a bundle' "$BASTIONCTL" --store "$RIG/copy" export --format bundle -o "$RIG/one.bundle" "$exec_id"
like 'opens on an auditor'"'"'s laptop' \
	"$("$BASTIONCTL" export --bundle "$RIG/one.bundle" --auditor-key "$AUD/ben.key" --format text 2>&1)" 'zzCommandzz'

# Another store's keys.
head -c 64 "$STATE/recorder/session.keys" | tr '\000' '\001' >"$RIG/foreign"
tail -c +65 "$STATE/recorder/session.keys" >>"$RIG/foreign"
printf 'bastiond-keys-1\n' | dd of="$RIG/foreign" conv=notrunc status=none
printf 'somebody elses..' | dd of="$RIG/foreign" bs=1 seek=16 conv=notrunc status=none
cp "$RIG/foreign" "$STATE/recorder/session.keys"
"$BASTIOND" -D -f "$RIG/b/bastiond.yaml" >"$RIG/foreign.log" 2>&1 &
foreign_pid=$!
rig_pids="$foreign_pid $rig_pids"
ok 'a recorder refuses the keys of another store in clear words' \
	wait_for 20 grep -q 'session.keys belongs to another store' "$RIG/foreign.log"
kill "$foreign_pid" 2>/dev/null
wait "$foreign_pid"
tap_end
