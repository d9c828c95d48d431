#!/bin/sh
# Many channels on one connection.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 8
ok 'a bastion and its target start' rig_up
mux() {
	# shellcheck disable=SC2046
	ssh $(rig_opts) -p "$bastion_port" -o ControlPath="$RIG/cm" "$@"
}
mux -o ControlMaster=yes -fN "$(to t1)"
ok 'a master connects' wait_for 10 test -S "$RIG/cm"
for i in 1 2 3; do
	mux -o ControlMaster=no "$(to t1)" "head -c 5000000 /dev/zero | tr '\\0' $i; exit $i" >"$RIG/out.$i" &
	eval "pid$i=$!"
done
for i in 1 2 3; do
	eval "wait \$pid$i"
	eval "status$i=$?"
done
# shellcheck disable=SC2154
is 'each channel has its own exit status' "$status1 $status2 $status3" '1 2 3'
whole() {
	for i in 1 2 3; do
		[ "$(wc -c <"$RIG/out.$i")" = 5000000 ] && [ "$(tr -d $i <"$RIG/out.$i" | wc -c)" = 0 ] || return 1
	done
}
ok 'each channel has its own bytes, all of them' whole
mux -O exit "$(to t1)" 2>/dev/null
sid=$(last_sid)
ok 'the session ends with the master' wait_for 10 session_closed "$sid"
is 'one session with three channels' \
	"$(ctl sessions list --json | jq -c --arg id "$sid" '.[] | select(.id == $id) | [.channels[].exit_status] | sort')" '[1,2,3]'
is 'the bytes of each are in the record' \
	"$(for n in 1 2 3; do ctl export "$sid" --format raw --stream out --channel "$n" | wc -c; done | sort -u)" 5000000
ok 'everything verifies' ctl verify --all

tap_end
