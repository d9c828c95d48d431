#!/bin/sh
# Reload, limits, IPv6, clean ends, a wrong configuration.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 15
rig_init && rig_target t1 && rig_policy || exit 1
sed -i 's|^listen:.*|listen: ["127.0.0.1:0", "[::1]:0"]|' "$RIG/b/bastiond.yaml"
ok 'the configuration is good' "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
ok 'a bastion starts' rig_start
port6=$(sed -n 's/.*ready listen=.*\[::1\]:\([0-9]*\).*/\1/p' "$RIG/bastiond.log")
# shellcheck disable=SC2046
is 'IPv6' "$(ssh $(rig_opts) -p "$port6" "$rig_me+t1@::1" 'echo six')" six

cp "$RIG/b/policy.yaml" "$RIG/good.yaml"
echo 'rulez: []' >>"$RIG/b/policy.yaml"
text=$("$BASTIOND" -t -f "$RIG/b/bastiond.yaml" 2>&1)
is '-t says no' $? 1
like '-t says where' "$text" 'policy.yaml:[0-9]+:[0-9]+:.*rulez'
not_ok 'a second bastion on the same state is refused' "$BASTIOND" -D -f "$RIG/b/bastiond.yaml"
kill -HUP "$bastion_pid"
ok 'reload of a wrong file: the log says where' wait_for 10 grep -Eq 'policy.yaml:[0-9]+:[0-9]+' "$RIG/bastiond.log"
is 'and the old one stays' "$(b_ssh "$(to t1)" 'echo on')" on
sed 's/as: \[.*\]/as: [nobody-at-all]/' "$RIG/good.yaml" >"$RIG/b/policy.yaml"
kill -HUP "$bastion_pid"
refused() { ! b_ssh "$(to t1)" true 2>/dev/null; }
ok 'reload of a good file: in force for the next login' wait_for 10 refused
cp "$RIG/good.yaml" "$RIG/b/policy.yaml"
kill -HUP "$bastion_pid"
ok 'and back' wait_for 10 b_ssh "$(to t1)" true

ok 'status' ctl status
like 'status names the processes' "$(ctl status --json | jq -r '.children[].role' | sort | tr '\n' ' ')" 'keys policy recorder'

b_ssh "$(to t1)" 'echo begun; sleep 60' >"$RIG/long" 2>&1 &
long_pid=$!
wait_for 10 grep -q begun "$RIG/long"
kill "$bastion_pid"
wait "$bastion_pid"
is 'SIGTERM: the bastion ends in order' $? 0
wait $long_pid
isnt 'and its sessions with it' $? 0
ok 'everything verifies' ctl verify --all

tap_end
