#!/bin/sh
# Looking at sessions of a running bastion: they can be watched up to now, killed, and every look is in the log.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 20
ok 'a bastion and its target start' rig_up
is 'no session yet: no' "$(ctl sessions list >/dev/null 2>&1; echo $?)" 1
is 'no session yet: nothing to play' "$(ctl play last >/dev/null 2>&1; echo $?)" 1

# shellcheck disable=SC2046
ssh $(rig_opts) -p "$bastion_port" "$(to t1)" 'printf "begun\n"; sleep 60' >"$RIG/long" 2>&1 &
ssh_pid=$!
rig_pids="$rig_pids $ssh_pid"
ok 'a session runs' wait_for 10 grep -q begun "$RIG/long"
sid=$(last_sid)
is 'it is listed as open' "$(ctl sessions list --json --state open | jq -r '.[].id')" "$sid"
is 'what it said so far can be played' "$(ctl play last --no-wait)" begun
is 'and exported' "$(ctl export "$sid" --format raw --stream out)" begun
ok 'and verified' ctl verify "$sid"
is 'play ends at the last byte that is recorded' "$(timeout 10 "$BASTIONCTL" -f "$RIG/b/bastiond.yaml" play "$sid" >/dev/null; echo $?)" 0
is 'the store of a running bastion is not a copy' "$(ctl --store "$RIG/b/state" sessions list >/dev/null 2>&1; echo $?)" 3
is 'but anybody may verify it' "$(ctl --store "$RIG/b/state" verify >/dev/null 2>&1; echo $?)" 0

is 'kill: a session that there is not' "$(ctl sessions kill 00000000000000000000000000000000 >/dev/null 2>&1; echo $?)" 1
is 'kill: what names no session' "$(ctl sessions kill ../../etc >/dev/null 2>&1 || echo refused)" refused
ok 'kill: this one, by the digits that are listed' ctl sessions kill "$(echo "$sid" | cut -c1-8)"
gone() { ! kill -0 "$ssh_pid" 2>/dev/null; }
ok 'kill: its client is told and gone' wait_for 10 gone
ok 'kill: it ends in the record' wait_for 10 session_closed "$sid"
is 'kill: and the record says why, and by whom' \
	"$(ctl sessions show "$sid" --json | jq -r '[.state, .end_reason, (.end_by | length > 0)] | join(" ")')" 'closed killed true'

like 'every look is in the log' "$(ctl log | jq -r 'select(.event == "record.viewed") | .what' | sort -u | tr '\n' ' ')" '^events find list log show verify '
is 'with the session that was looked at' "$(ctl log "$sid" | jq -r 'select(.event == "record.viewed") | .what' | sort -u | tr '\n' ' ')" 'events log show verify '
ok 'everything verifies' ctl verify --all

tap_end
