# TAP for shell tests. Source it, then: plan N; ok/is/like ... ; the exit status is that of the plan.
# shellcheck shell=sh disable=SC2034

tap_n=0
tap_failed=0
tap_planned=0

plan() {
	tap_planned=$1
	echo "1..$1"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

pass() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}

fail() {
	tap_n=$((tap_n + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_n - $1"
}

# ok NAME COMMAND...: the command succeeds
ok() {
	tap_name=$1
	shift
	if "$@"; then pass "$tap_name"; else fail "$tap_name"; fi
}

# not_ok NAME COMMAND...: the command fails
not_ok() {
	tap_name=$1
	shift
	if "$@"; then fail "$tap_name"; else pass "$tap_name"; fi
}

# is NAME GOT EXPECTED
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1"
		note "got:      $2"
		note "expected: $3"
	fi
}

# isnt NAME GOT UNWANTED
isnt() {
	if [ "$2" != "$3" ]; then
		pass "$1"
	else
		fail "$1"
		note "got: $2"
	fi
}

# like NAME TEXT EXTENDED-REGEX
like() {
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		pass "$1"
	else
		fail "$1"
		note "got:         $2"
		note "not matched: $3"
	fi
}

# unlike NAME TEXT EXTENDED-REGEX
unlike() {
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		fail "$1"
		note "got:     $2"
		note "matched: $3"
	else
		pass "$1"
	fi
}

# at_most NAME GOT LIMIT (integers)
at_most() {
	if [ "$2" -le "$3" ]; then
		pass "$1"
	else
		fail "$1"
		note "got $2, at most $3"
	fi
}

# wait_for SECONDS COMMAND...: until the command succeeds, at most so long. Asks 20 times a second.
wait_for() {
	tap_left=$(($1 * 20))
	shift
	while [ "$tap_left" -gt 0 ]; do
		if "$@" >/dev/null 2>&1; then return 0; fi
		tap_left=$((tap_left - 1))
		sleep 0.05
	done
	return 1
}

tap_end() {
	if [ "$tap_n" != "$tap_planned" ]; then
		note "ran $tap_n of $tap_planned"
		return 1
	fi
	[ "$tap_failed" = 0 ]
}
