#!/bin/sh
# Under load one process after the other is killed at a random moment. Each time: what each client saw is a prefix of its
# record, everything verifies, also against the checkpoint from before, and the bastion works again.
# BASTION_KILLS: rounds, and the seed that makes the same choices again; without a seed another one each time.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

# shellcheck disable=SC2086 # two words
set -- ${BASTION_KILLS:-10}
rounds=$1
seed=${2:-$(date +%N | sed 's/^0*//')}
# draw BELOW: the next random number
draw() {
	seed=$(awk -v s="$seed" 'BEGIN {printf "%d", (s * 16807) % 2147483647}')
	drawn=$((seed % $1))
}
note "BASTION_KILLS=\"$rounds $seed\""
seed=$((seed % 2147483646 + 1))
plan $((2 + 4 * rounds))
quiet() { "$@" >"$RIG/said" 2>&1; }
verified() { ctl verify --all "$@" >"$RIG/verify.txt" 2>&1; }

rig_init && rig_target t1 && rig_policy || exit 1
sed -i 's/^  stall_timeout:.*/  stall_timeout: 10s/' "$RIG/b/bastiond.yaml"
ok 'a bastion starts' rig_start

# Each client sees lines that are like no other's, and none twice.
client() { # NUMBER
	b_exec "$(to t1)" "i=0; while :; do i=\$((i + 1)); echo \"$round.$1 line \$i of the truth\"; done" \
		>"$RIG/seen.$1" 2>"$RIG/seen.$1.err" &
	client_pids="$client_pids $!"
}
# One that types and is answered.
typist() {
	(i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "$round typed $i"; sleep 0.01; done) |
		b_ssh "$(to t1)" cat >"$RIG/seen.typist" 2>/dev/null &
	client_pids="$client_pids $!"
}
all_see() {
	for n in 1 2 3 typist; do [ -s "$RIG/seen.$n" ] || return 1; done
}
load() {
	client_pids=
	rm -f "$RIG"/seen.*
	for n in 1 2 3; do client $n; done
	typist
	wait_for 15 all_see
}
unload() {
	for p in $client_pids; do kill "$p" 2>/dev/null; done
	# shellcheck disable=SC2086
	wait $client_pids 2>/dev/null
}

# victim: sets pid and what, of those that run.
victim() {
	draw 8
	case $drawn in
	0) what=recorder pid=$(role_pid recorder) ;;
	1) what=policy pid=$(role_pid policy) ;;
	2) what=keys pid=$(role_pid keys) ;;
	3) what=front pid=$(role_pid front) ;;
	4) what=back pid=$(role_pid back) ;;
	5)
		what=reader
		ctl verify --all >/dev/null 2>&1 &
		client_pids="$client_pids $!"
		reader_there() { pid=$(role_pid reader) && [ -n "$pid" ]; }
		wait_for 2 reader_there
		;;
	6) what=bastiond pid=$bastion_pid ;;
	7) what=indexer pid=$(role_pid indexer) ;;
	esac
}

works() { b_ssh "$(to t1)" true >/dev/null 2>&1; }
start_again() {
	rig_try=0
	# The children of the one that was killed end with it, and hold the state until then.
	while ! rig_start && [ $rig_try -lt 10 ]; do
		rig_try=$((rig_try + 1))
		sleep 0.5
	done
	[ $rig_try -lt 10 ]
}

# What every client of this round saw is how its recording begins.
seen_is_recorded() {
	for n in 1 2 3 typist; do
		size=$(stat -c %s "$RIG/seen.$n")
		first=$(head -n 1 "$RIG/seen.$n")
		found=no
		for id in $(ctl sessions list --json | jq -r '.[-12:] | .[].id'); do
			ctl export "$id" --format raw --stream out >"$RIG/record" 2>/dev/null || continue
			[ "$(head -n 1 "$RIG/record")" = "$first" ] || continue
			head -c "$size" "$RIG/record" | cmp -s - "$RIG/seen.$n" && found=yes
			break
		done
		[ $found = yes ] || { note "client $n saw $size bytes that are not in a recording"; return 1; }
	done
}

round=0
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	ctl checkpoint -o "$RIG/before" 2>"$RIG/checkpoint.err" || : >"$RIG/before"
	ok "round $round: four clients work" load
	draw 500
	sleep "0.$(printf %03d "$drawn")"
	victim
	kill -KILL "$pid" 2>/dev/null
	if [ "$what" = bastiond ]; then
		wait "$bastion_pid" 2>/dev/null
		unload
		start_again
	fi
	ok "round $round: after the end of $what it works again" wait_for 30 works
	unload
	ok "round $round: what they saw is recorded" seen_is_recorded
	if [ -s "$RIG/before" ]; then set -- --checkpoint "$RIG/before"; else set --; fi
	if verified "$@"; then
		pass "round $round: everything verifies"
	else
		fail "round $round: everything verifies"
		head -n 5 "$RIG/verify.txt" | sed 's/^/# /'
	fi
done
rig_stop
ok 'everything verifies when it has stopped' verified
tap_end
