#!/bin/sh
# What every test runs below: one that hangs ends and says where; one that leaves processes behind fails.
. "$BASTION_SRC/tests/lib/tap.sh"

plan 17
deadline=$BASTION_SRC/tests/lib/deadline.py
dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-test.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

run() { # SECONDS COMMAND...
	BASTION_DEADLINE=$1
	export BASTION_DEADLINE
	shift
	timeout -k 5 60 "$deadline" "$@" >"$dir/out" 2>&1
	echo $?
}
gone() { ! kill -0 "$1" 2>/dev/null; }

# shellcheck disable=SC2016 # for the shells below
{
	is 'the status is the command'"'"'s' "$(run 30 sh -c 'echo ok; exit 3')" 3
	like 'its output too' "$(cat "$dir/out")" '^ok$'
	like 'and how long it took' "$(cat "$dir/out")" '^# took [0-9]+ s$'
	is 'a signal that ended it' "$(run 30 sh -c 'kill -KILL $$')" 137
	is 'SIGPIPE is not ignored' "$(run 30 sh -c 'sh -c "kill -PIPE \$\$"; exit $?')" 141

	is 'one that hangs fails' "$(run 1 sh -c "trap 'echo cleaned; exit 0' TERM; echo \$\$ >$dir/pid; sleep 7001 & wait")" 124
	like 'says so' "$(cat "$dir/out")" '^not ok - .* did not end within 1 s; still running:$'
	like 'names what still ran' "$(cat "$dir/out")" '^# [0-9]+ of [0-9]+ S .*: sleep 7001$'
	like 'could clean up' "$(cat "$dir/out")" '^cleaned$'
	ok 'and is gone' gone "$(cat "$dir/pid")"

	is 'one that leaves a process behind fails' "$(run 30 sh -c "(sleep 7002 & echo \$! >$dir/pid); exit 0")" 125
	like 'which is named' "$(cat "$dir/out")" '^# [0-9]+ of [0-9]+ S .*: sleep 7002$'
	ok 'and ended' gone "$(cat "$dir/pid")"

	is 'one whose output is elsewhere is no fault' "$(run 30 sh -c "(sleep 7003 >/dev/null 2>&1 & echo \$! >$dir/pid); exit 0")" 0
	ok 'it is ended as well' gone "$(cat "$dir/pid")"

	"$deadline" sh -c "echo \$\$ >$dir/pid; echo on; sleep 7004" >"$dir/out" 2>&1 &
	pid=$!
	wait_for 20 grep -q on "$dir/out"
	kill "$pid"
	wait "$pid"
	is 'one that is told to end' $? 143
	ok 'ends the test, too' gone "$(cat "$dir/pid")"
}

tap_end
