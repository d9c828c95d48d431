#!/bin/sh
# Real sessions on terminals take less on disk than gzip makes of their asciicasts, short ones too. make bench-size has more of them.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 7
rig_init && rig_target t1 - <<CONF && rig_policy || exit 1
SetEnv REPO=$BASTION_SRC WORK=$RIG
CONF
ok 'a bastion starts' rig_start
none_open() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "open")] | length')" = 0 ]; }
# shellcheck disable=SC2046
well=$(python3 "$BASTION_SRC/tests/bench/sessions.py" 20 -- ssh $(rig_opts) -tt -p "$bastion_port" "$(to t1)")
ok 'sessions end well' test "$well" -ge 15
ok 'all are over' wait_for 10 none_open
rig_stop
python3 "$BASTION_SRC/tests/bench/size.py" "$RIG/b/state" "$BASTIONCTL" >"$RIG/table"
sed 's/^/# /' "$RIG/table"
below() { awk -v class="$1" '$1 == class && $6 < 1 { found = 1 } END { exit !found }' "$RIG/table"; }
ok 'sessions of a few lines' below 4096
ok 'sessions of some work' below 65536
ok 'all of them' below all
is 'no class is above' "$(awk 'NF == 6 && $6 + 0 >= 1' "$RIG/table")" ''
tap_end
