#!/bin/sh
# npm's ssh2.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need node npm
: "${BASTION_NPM:=${TMPDIR:-/tmp}/bastion-npm-$(id -u)}" # kept between runs
mkdir -p "$BASTION_NPM"
if ! [ -d "$BASTION_NPM/node_modules/ssh2" ]; then
	(cd "$BASTION_NPM" && npm install --no-audit --no-fund --silent --ignore-scripts ssh2@1 >"$RIG/npm.log" 2>&1) ||
		skip_all 'npm cannot install ssh2'
fi
plan 7
ok 'up' interop_up
client() {
	NODE_PATH="$BASTION_NPM/node_modules" node "$BASTION_SRC/tests/interop/client.js" "$1" "$2" "$bastion_port" "$rig_me" "$RIG"
}
for way in plus jump; do
	is "ssh2 $way: output and status" "$(client $way exec)" 'out 7'
	is "ssh2 $way: sftp there and back" "$(client $way sftp)" same
	ok "ssh2 $way: recorded" recorded
done
tap_end
