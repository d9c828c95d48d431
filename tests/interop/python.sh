#!/bin/sh
# Python: paramiko, asyncssh, Twisted Conch.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need /usr/bin/python3 # Debian's, which has the libraries of Debian
for m in paramiko asyncssh twisted.conch; do
	/usr/bin/python3 -c "import $m" 2>/dev/null || skip_all "Python's $m is not installed: contrib/install-deps --test"
done
plan 22
ok 'up' interop_up
# client LIBRARY WAY WHAT
client() {
	/usr/bin/python3 "$BASTION_SRC/tests/interop/client.py" "$1" "$2" "$3" "$bastion_port" "$rig_me" "$RIG" 2>"$RIG/client.log" || cat "$RIG/client.log" >&2
}
for way in plus jump; do
	for lib in paramiko asyncssh; do
		is "$lib $way: output and status" "$(client $lib $way exec)" 'out 7'
		is "$lib $way: a terminal" "$(client $lib $way pty)" '100 31'
		is "$lib $way: sftp there and back" "$(client $lib $way sftp)" same
		is "$lib $way: forwarding is refused" "$(client $lib $way forward)" refused
		ok "$lib $way: recorded" recorded
	done
done
# Conch has no way to speak over a channel of another connection but its endpoints' own agents: plus only.
is 'conch plus: output and status' "$(client conch plus exec)" 'out 7'
tap_end
