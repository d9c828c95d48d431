#!/bin/sh
# Dropbear's client.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need dbclient dropbearconvert
plan 9
ok 'up' interop_up
export HOME="$RIG" # its known_hosts
dropbearconvert openssh dropbear "$RIG/alice" "$RIG/alice.db" 2>/dev/null
db="dbclient -y -i $RIG/alice.db"
for way in plus jump; do
	case $way in
	plus) with() { $db -p "$bastion_port" "$rig_me+t1@127.0.0.1" "$@" 2>/dev/null; } ;;
	jump) with() { $db -J "$db -p $bastion_port -B t1:22 alice@127.0.0.1" "$rig_me@t1" "$@" 2>/dev/null; } ;;
	esac
	is "dbclient $way: output" "$(with 'echo out' </dev/null)" out
	is "dbclient $way: status" "$(with 'exit 7' </dev/null; echo $?)" 7
	is "dbclient $way: input" "$(with sha256sum <"$RIG/file")" "$(sha256sum <"$RIG/file")"
	ok "dbclient $way: recorded" recorded
done
tap_end
