#!/bin/sh
# Messages in every order that a client or a target may choose, tests/lib/raw.script: the same answers as from sshd itself,
# nothing stuck, nothing lost, nothing left behind, and nobody else disturbed.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

raw=$BASTION_BIN/bastion-raw
scripts=$BASTION_SRC/tests/lib/raw.script
[ -x "$raw" ] || skip_all 'bastion-raw is not built'
plan $(($("$raw" count "$scripts" direct) + $("$raw" count "$scripts" via) + 11))

started() {
	rig_init || return 1
	rig_target t1 - <<-CONF || return 1
		AcceptEnv *
	CONF
	rig_direct_key t1
	echo 'session: {close_wait: 2s}' >>"$RIG/b/bastiond.yaml"
	mkdir "$RIG/got"
	timeout 600 "$raw" -o "$RIG/got" serve "$scripts" >"$RIG/raw.port" 2>"$RIG/raw.log" &
	rig_pids="$rig_pids $!"
	wait_for 10 grep -q ssh-ed25519 "$RIG/raw.port" || return 1
	read -r rport rkey <"$RIG/raw.port"
	rig_host raw "$rport" "$rkey"
	rig_policy
	rig_start
}

# agent KEY: an agent that holds this one key
agent() {
	eval "$(ssh-agent -s)" >/dev/null || return 1
	rig_pids="$rig_pids $SSH_AGENT_PID"
	ssh-add -q "$1" 2>/dev/null
}

# each MODE PORT USER: one test a script; of those that the bastion was shown, the names stay in $RIG/ran
each() {
	timeout 500 "$raw" -p "$2" -t "$rig_me+raw" -o "$RIG/got" run "$scripts" "$1" "$3" "$4" >"$RIG/$1.out" 2>>"$RIG/raw.log"
	while read -r verdict name; do
		case $verdict in
		ok) pass "$1: $name" ;;
		not) fail "$1: ${name#ok }" ;;
		esac
	done <"$RIG/$1.out"
}

# no_more FILE1 FILE2: the first is the beginning of the second
no_more() {
	cmp -s -n "$(wc -c <"$1")" "$1" "$2" && [ "$(wc -c <"$1")" -le "$(wc -c <"$2")" ]
}

# Each stream that somebody saw is the beginning of what the record has, which in turn is no more than was sent.
recorded() { # STREAM SEEN
	checked=0
	for f in "$RIG"/got/*."$2"; do
		[ -e "$f" ] || continue
		base=${f##*/}
		channel=${base%."$2"}
		script=${channel%.*}
		channel=${channel##*.}
		sid=$(awk -v s="$script" '$1 == s { print $2 }' "$RIG/sids")
		if [ -z "$sid" ] || [ ! -s "$f" ]; then continue; fi
		# What the bastion itself says of an end is in the record as the end.
		if [ "$2" = err ] && grep -q 'bastiond: \|raw: ' "$f"; then continue; fi
		# A connection that broke early has no channel on record: nothing crossed.
		ctl export "$sid" --format raw --stream "$1" --channel "$channel" >"$RIG/record" 2>"$RIG/export.log" || :
		if [ "$2" = sent ]; then no_more "$RIG/record" "$f"; else no_more "$f" "$RIG/record"; fi || {
			note "$base: $(wc -c <"$f") bytes; the record has $(wc -c <"$RIG/record")"
			return 1
		}
		checked=$((checked + 1))
	done
	[ $checked -gt 2 ]
}

all_closed() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "open")] | length')" = 0 ]; }

ok 'a bastion, an sshd and a target that does what scripts say' started
agent "$RIG/direct"
each direct 0 "$rig_port_t1" "$rig_me"
rm -f "$RIG"/got/*
agent "$RIG/alice"
each via "$bastion_pid" "$bastion_port" "$rig_me+t1"

ok 'all sessions end' wait_for 20 all_closed
# The first session is the one beside which all others ran.
ctl sessions list --json | jq -r 'sort_by(.started_at) | .[1:] | .[].id' >"$RIG/ids"
sed -n 's/^not ok \([^:]*\).*/\1/p; s/^ok //p' "$RIG/via.out" | paste -d' ' - "$RIG/ids" >"$RIG/sids"
is 'each script is a session of its own' "$(wc -l <"$RIG/ids")" "$(wc -l <"$RIG/via.out")"
ok 'what clients saw of stdout is in the record' recorded out out
ok 'what they saw of stderr too' recorded err err
ok 'what the target saw too' recorded in target
ok 'the record has nothing that was not sent' recorded in sent
# noted SCRIPT: who left a CLOSE unanswered
noted() {
	ctl export "$(awk -v s="$1" '$1 == s { print $2 }' "$RIG/sids")" --format json |
		jq -r '.. | .text? // empty' 2>/dev/null | grep 'CLOSE was not answered'
}
like 'a target that did not close is noted' "$(noted target-never-closes-and-the-client-stays)" 'waited: 2'
like 'so is a client' "$(noted client-never-closes)" 'waited: 2'
not_ok 'nobody complained about a process that died' grep -q 'crashed\|killed' "$RIG/bastiond.log"
verified() { ctl verify --all >/dev/null; }
ok 'everything verifies' verified

tap_end
