#!/bin/sh
# Sealed sessions are found on the auditor's side, as others are; without a key, or with another one, it is said how many were not
# looked through; the auditor's cache spares rendering, tells nobody anything, and never an answer that is not so any more.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 50
unset BASTION_AUDITOR_KEY BASTION_AUDITOR_CACHE
AUD="$RIG/aud"
mkdir "$AUD"
for who in anna ben eve; do
	"$BASTIONCTL" auditor new $who --no-passphrase -o "$AUD/$who.key" >"$AUD/$who.pub" 2>/dev/null
done
rig_init && rig_target t1 && rig_policy || exit 1
# Before any auditor: a session that everybody may search.
ok 'a bastion starts' rig_start
b_ssh "$(to t1)" 'echo open-zebra-line' >/dev/null
open_sid=$(last_sid)
wait_for 10 session_closed "$open_sid"
rig_stop
cp "$AUD/anna.pub" "$RIG/b/anna.pub"
cp "$AUD/ben.pub" "$RIG/b/ben.pub"
sed -i -e 's|^recording:.*|recording:\n  auditors: [anna.pub, ben.pub]|' "$RIG/b/bastiond.yaml"
ok 'and again, with two auditors' rig_start

# Sealed sessions of several kinds.
b_ssh "$(to t1)" 'for i in 1 2 3; do echo filler $i; done; echo sealed-zebra-line; echo behind; exit 3' >/dev/null
exec_sid=$(last_sid)
wait_for 10 session_closed "$exec_sid"
b_ssh "$(to t1)" 'for i in $(seq 30000); do echo "line $i of the long walrus"; done' >/dev/null
long_sid=$(last_sid)
wait_for 10 session_closed "$long_sid"
echo content >"$RIG/quokka.csv"
# shellcheck disable=SC2046
sftp $(rig_opts) -P "$bastion_port" -b - "$(to t1)" >"$RIG/sftp.out" 2>&1 <<END
put $RIG/quokka.csv $RIG/sealed-quokka.csv
END
file_sid=$(last_sid)
wait_for 10 session_closed "$file_sid"

find_json() { ctl search "$@" --json 2>"$RIG/err"; }
hits() { find_json "$@" | jq '.hits | length'; }
first() { # FIELD SEARCH...
	field=$1
	shift
	find_json "$@" | jq -r ".hits[0].$field"
}
sum() { # FIELD SEARCH...
	field=$1
	shift
	find_json "$@" | jq -r ".summary.$field"
}
ben="--auditor-key $AUD/ben.key"

# Without a key.
is 'without a key what is open is found' "$(first id open-zebra-line --in screen)" "$open_sid"
is 'what is sealed is not' "$(hits sealed-zebra-line)" 0
is 'and how many were not searched is in the summary' "$(sum sealed sealed-zebra-line)" 3
ctl search sealed-zebra-line >/dev/null 2>"$RIG/err"
is 'nothing found is 1' $? 1
like 'and people are told' "$(cat "$RIG/err")" '3 sealed sessions were not searched: only the key of one of their auditors opens them'
is 'with somebody else'"'"'s key neither' "$(hits zebra --auditor-key "$AUD/eve.key" --in screen)" 1
is 'and it is counted' "$(sum sealed zebra --auditor-key "$AUD/eve.key")" 3

# With one.
the_same() { # NAME OPTION...
	name=$1
	shift
	is "$name: output of a sealed command" "$(first id sealed-zebra-line --in screen "$@")" "$exec_sid"
	is "$name: the command" "$(first id 'echo sealed-zebra' --in command "$@")" "$exec_sid"
	is "$name: a file's name" "$(first id sealed-quokka --in file "$@")" "$file_sid"
	is "$name: a pattern" "$(first id 'se[a-z]led-z.*-line$' --regex --in screen "$@")" "$exec_sid"
	is "$name: sealed and open together, newest first" \
		"$(find_json zebra-line --in screen "$@" | jq -c '[.hits[].id]')" "[\"$exec_sid\",\"$open_sid\"]"
	is "$name: no more than wanted, the last ones" \
		"$(find_json walrus --in screen --limit 3 "$@" | jq -c '[[.hits[].line], .summary.more]')" \
		'[["line 30000 of the long walrus","line 29999 of the long walrus","line 29998 of the long walrus"],true]'
	is "$name: one line far from the end" "$(first line 'line 777 of' --in screen "$@")" 'line 777 of the long walrus'
	is "$name: with the lines around it" \
		"$(find_json sealed-zebra-line --in screen -C 1 "$@" | jq -c '.hits[0] | [.before, .after]')" '[["filler 3"],["behind"]]'
	is "$name: nothing of it was left out" "$(find_json zebra "$@" | jq -c '.summary | [.sealed, .sealed_searched]')" '[0,3]'
	is "$name: what is nowhere" "$(hits no-such-word-at-all "$@")" 0
}
# shellcheck disable=SC2086
the_same rendered $ben
# shellcheck disable=SC2086
text=$(ctl search sealed-zebra-line --in screen $ben)
offset=$(echo "$text" | sed -n 's/.* --at //p')
like 'a hit says how to see it' "$text" "bastionctl play $(echo "$exec_sid" | cut -c1-12) --at [0-9.]*"
at_most 'at its moment' "$(jq -n "$offset | ceil")" 60
BASTION_AUDITOR_KEY="$AUD/anna.key"
export BASTION_AUDITOR_KEY
is 'the key of another auditor, from the environment' "$(first id sealed-zebra-line --in screen)" "$exec_sid"
unset BASTION_AUDITOR_KEY
# shellcheck disable=SC2086
is 'sessions by what is known of them come with their commands' \
	"$(ctl search --exit 3 --json $ben 2>/dev/null | jq -r '.sessions[0].channels[0].command' | cut -c1-8)" 'for i in'
like 'what was looked for is noted, and not the key' \
	"$(ctl log | grep record.viewed | grep sealed-zebra-line | tail -n 1)" 'sealed-zebra-line'

# The cache.
CACHE="$AUD/cache"
# shellcheck disable=SC2086
find_json zebra $ben --cache "$CACHE" >/dev/null
is 'a cache is the auditor'"'"'s alone' "$(stat -c %a "$CACHE")" 600
size=$(stat -c %s "$CACHE")
not_ok 'nothing in it is readable' grep -Eaq 'zebra|walrus|quokka' "$CACHE"
# shellcheck disable=SC2086
is 'without it each is rendered each time' "$(sum sealed_rendered zebra $ben)" 3
# shellcheck disable=SC2086
is 'with it none' "$(sum sealed_rendered zebra $ben --cache "$CACHE")" 0
# shellcheck disable=SC2086
the_same cached $ben --cache "$CACHE"
is 'and it grew by nothing' "$(stat -c %s "$CACHE")" "$size"
head -c $((size - 100)) "$CACHE" >"$CACHE.cut"
# shellcheck disable=SC2086
is 'one that was cut answers the same' "$(first id sealed-zebra-line --in screen $ben --cache "$CACHE.cut")" "$exec_sid"
is 'and is whole again' "$(stat -c %s "$CACHE.cut")" "$size"
dd if=/dev/urandom of="$CACHE.cut" bs=1 seek=$((size / 2)) count=64 conv=notrunc 2>/dev/null
# shellcheck disable=SC2086
is 'one that was changed, too' "$(first line 'line 777 of' --in screen $ben --cache "$CACHE.cut")" 'line 777 of the long walrus'
# shellcheck disable=SC2086
ctl search zebra $ben --cache "$RIG/quokka.csv" >/dev/null 2>"$RIG/err"
is 'another kind of file is refused' $? 3
is 'and stays as it is' "$(cat "$RIG/quokka.csv")" content

# A session that runs.
mkfifo "$RIG/fifo"
b_exec "$(to t1)" 'echo live-badger-line; cat' >"$RIG/live" 2>&1 <"$RIG/fifo" &
live_pid=$!
exec 7>"$RIG/fifo"
wait_for 10 grep -q live-badger-line "$RIG/live"
live_id=$(ctl sessions list --json | jq -r '.[] | select(.state == "open") | .id')
finds_live() { # shellcheck disable=SC2086
	[ "$(first id live-badger-line --in screen $ben --cache "$CACHE")" = "$live_id" ]
}
ok 'a session that runs is searched as far as it is' wait_for 10 finds_live
is 'and not kept' "$(stat -c %s "$CACHE")" "$size"
exec 7>&-
wait "$live_pid"
wait_for 10 session_closed "$live_id"
# shellcheck disable=SC2086
is 'when it is over it is' "$(first id live-badger-line --in screen $ben --cache "$CACHE")" "$live_id"
ok 'which makes the cache longer' test "$(stat -c %s "$CACHE")" -gt "$size"

# Away from the bastion, and one that is erased.
ctl export --format bundle -o "$RIG/one.bundle" "$exec_sid" >/dev/null 2>&1
"$BASTIONCTL" search sealed-zebra-line --in screen --bundle "$RIG/one.bundle" --auditor-key "$AUD/ben.key" --json >"$RIG/out" 2>"$RIG/err"
is 'in a bundle' "$(jq -r '.hits[0].id' <"$RIG/out")" "$exec_sid"
ctl sessions erase "$exec_sid" --why test >/dev/null 2>&1
# shellcheck disable=SC2086
is 'what was erased is in no answer, cached or not' "$(hits sealed-zebra-line $ben --cache "$CACHE")" 0
rig_stop
tap_end
