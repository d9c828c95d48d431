#!/bin/sh
# As root every role has a user of its own; every process is closed in: seccomp, no new privileges, no core.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

[ "$(id -u)" = 0 ] || skip_all 'needs root'
plan 9
ok 'a bastion and its target start' rig_up
b_ssh "$(to t1)" 'echo in; exec sleep 60' >"$RIG/long" 2>&1 &
wait_for 10 grep -q in "$RIG/long"

uid() { awk '/^Uid:/ {print $2}' "/proc/$(role_pid "$1")/status"; }
uids=$(for r in front back recorder keys policy; do uid $r; done)
is 'five roles, five users' "$(echo "$uids" | sort -u | wc -l)" 5
unlike 'none of them is root' "$uids" '^0$'
field() { # NAME VALUE: all children have it
	for r in front back recorder keys policy; do
		[ "$(awk -v f="$1:" '$1 == f {print $2}' "/proc/$(role_pid $r)/status")" = "$2" ] || {
			note "$r: $1 is not $2"
			return 1
		}
	done
}
ok 'seccomp filters are on' field Seccomp 2
ok 'no new privileges' field NoNewPrivs 1
no_caps() { field CapEff 0000000000000000; }
ok 'no capabilities' no_caps
no_core() {
	for r in front back recorder keys policy; do
		grep -Eq 'Max core file size +0 +0' "/proc/$(role_pid $r)/limits" || return 1
	done
}
ok 'no core files' no_core
is 'the vault belongs to the role that keeps it' "$(stat -c %u "$RIG/b/state/keys/vault")" "$(uid keys)"
is 'the store belongs to the recorder' "$(stat -c %u "$RIG/b/state/recorder/data.mdb")" "$(uid recorder)"

tap_end
