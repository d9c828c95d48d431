#!/bin/sh
# Old recordings go by age and by space, oldest first, as signed events; what is held or runs stays. A reload is enough.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 25
quiet() { "$@" >"$RIG/said"; }
verified() { ctl verify --all "$@" >"$RIG/verify.txt" 2>&1; }
# retain WHAT: new values, taken by a reload.
retain() {
	sed -i '/^  retain:/d' "$RIG/b/bastiond.yaml"
	sed -i "s/^recording:.*/&\\n  retain: $1/" "$RIG/b/bastiond.yaml"
	"$BASTIOND" -t -f "$RIG/b/bastiond.yaml" >"$RIG/t" 2>&1 || return 1
	kill -HUP "$bastion_pid"
}
erased() { ctl sessions show "$1" --json | jq -r '.erased.why // "no"'; }
is_erased() { [ "$(erased "$1")" != no ]; }
session() { # BYTES
	b_ssh "$(to t1)" "head -c $1 /dev/urandom" >/dev/null
	sid=$(last_sid)
	wait_for 10 session_closed "$sid"
}

ok 'a bastion and its target start' rig_up
not_ok 'an age without a unit is refused' retain '{for: 400}'
like 'with its place' "$(cat "$RIG/t")" 'retain.for'
not_ok 'so is a space that nothing fits in' retain '{space: 1K}'
not_ok 'and what is not known' retain '{count: 7}'
session 200000
old=$sid
session 200000
held=$sid
ok 'one is held' quiet ctl sessions hold "$held" --why 'case 17'
mkfifo "$RIG/hold"
b_exec "$(to t1)" 'echo runs; cat' <"$RIG/hold" >"$RIG/running" 2>/dev/null &
run_pid=$!
exec 9>"$RIG/hold"
ok 'one runs' wait_for 10 grep -q runs "$RIG/running"
runs=$(ctl sessions list --json --state open | jq -r '.[-1].id')
ok 'an age is taken by a reload' retain '{for: 1s}'
ok 'the old one goes' wait_for 30 is_erased "$old"
like 'for its age' "$(erased "$old")" 'ended more than 1 s ago'
is 'by retention' "$(ctl sessions show "$old" --json | jq -r .erased.by)" retention
is 'the held one stays' "$(erased "$held")" no
is 'so does the one that runs' "$(erased "$runs")" no
audited() { ctl log | jq -r 'select(.event == "record.retired") | .for_age' | grep -q '^1$'; }
ok 'one event sums it up' wait_for 20 audited
ok 'it verifies' verified

ok 'then only space counts' retain '{space: 6M}'
for i in 1 2 3 4 5; do
	session 3000000
	eval "s$i=$sid"
done
# shellcheck disable=SC2154
ok 'the oldest goes for space' wait_for 90 is_erased "$s1"
# shellcheck disable=SC2154
like 'and says so' "$(erased "$s1")" 'bytes were used'
ok 'the next oldest, too' wait_for 90 is_erased "$s3"
used() { [ "$(ctl status --json | jq -r .recorder.status.kept_bytes)" -le 6291456 ]; }
ok 'until it is enough' wait_for 60 used
# shellcheck disable=SC2154
is 'the newest stays' "$(erased "$s5")" no
is 'the held one stays' "$(erased "$held")" no
is 'status tells' "$(ctl status --json | jq -r '.recorder.status.retain.space')" 6291456
exec 9>&-
wait $run_pid
rig_stop
ok 'everything verifies' verified
is 'and says what is missing on purpose' "$(ctl sessions show --store "$RIG/b" "$s1" --json | jq -r .erased.by)" retention
tap_end
