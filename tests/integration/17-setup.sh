#!/bin/sh
# From nothing to a first session with bastionctl alone: init, hosts add, scan, pin; nothing is overwritten, comments stay.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

quiet() { "$@" >/dev/null 2>&1; }
plan 48
rig_key "$RIG/alice"
rig_key "$RIG/other"
: >"$RIG/hosts.yaml"
"$BASTIONCTL" init "$RIG/b" --listen 127.0.0.1:0 --user alice --key "$RIG/alice.pub" >"$RIG/init.log" 2>&1
is 'init' $? 0
for next in 'hosts add' 'hosts pin' 'bastiond -t' 'bastiond -D' 'ssh -p'; do
	like "it says what comes next: $next" "$(cat "$RIG/init.log")" "$next"
done
port_said() { "$BASTIONCTL" init "$RIG/port" "$@" | sed -n 's/.*ssh -p \([^ ]*\).*/\1/p'; rm -rf "$RIG/port"; }
is 'it names the port that was asked for' "$(port_said --listen '[::1]:2022')" 2022
is 'and the usual one' "$(port_said)" 2222
ok 'what it made is a configuration' quiet "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
like 'the vault and its key are for their owner only' \
	"$(stat -c %a "$RIG/b/state/keys" "$RIG/b/state/keys/vault" "$RIG/b/state/keys/unlock.key" | tr '\n' ' ')" '^700 600 600 $'
sum() { find "$RIG/b" -type f -exec sha256sum {} + | sort | sha256sum; }
before=$(sum)
"$BASTIONCTL" init "$RIG/b" >/dev/null 2>"$RIG/again.log"
is 'a second init is refused' $? 1
is 'and changes nothing' "$(sum)" "$before"
is 'init with a key that is none' "$("$BASTIONCTL" init "$RIG/c" --user bob --key "$RIG/alice" >/dev/null 2>&1; echo $?)" 2
not_ok 'and makes nothing' [ -e "$RIG/c/bastiond.yaml" ]

# The inventory, edited as text.
echo '# a comment that matters' >>"$RIG/b/policy.yaml"
ctl keys public fleet >"$RIG/fleet.pub"
rig_target t1 || exit 1
# shellcheck disable=SC2154
ok 'hosts add' quiet ctl hosts add t1 --address 127.0.0.1 --port "$rig_port_t1" --label env=test
is 'twice is refused' "$(ctl hosts add t1 --address 127.0.0.1 >/dev/null 2>&1; echo $?)" 1
before=$(sum)
for wrong in '--address 127.0.0.1 --port 0' '--address 127.0.0.1 --port 22x' '--address a,b' '--address 127.0.0.1 --label x' ''; do
	# shellcheck disable=SC2086
	is "refused: hosts add t2 ${wrong:-without an address}" "$(ctl hosts add t2 $wrong >/dev/null 2>&1; echo $?)" 2
done
is 'a name of digits is refused' "$(ctl hosts add 1234 --address 127.0.0.1 >/dev/null 2>&1; echo $?)" 2
text=$(ctl hosts add t2 --address 'not:an:address' 2>&1)
is 'what the policy would refuse is not written' $? 1
like 'and the line says what and where' "$text" 'nothing was changed: .*policy.yaml:[0-9]+:[0-9]+: hosts.t2.address'
is 'and nothing was changed by all this' "$(sum)" "$before"
fingerprint=$(ssh-keygen -lf "$RIG/t1/host_key.pub" | cut -d' ' -f2)
is 'hosts scan shows the host key' "$(ctl hosts scan t1 | cut -d' ' -f1)" "$fingerprint"
is 'without a word from the operator nothing is pinned' "$(ctl hosts pin t1 </dev/null >/dev/null 2>&1; echo $?)" 2
is 'nor another key than the one named' \
	"$(ctl hosts pin t1 --fingerprint "$(ssh-keygen -lf "$RIG/other.pub" | cut -d' ' -f2)" >/dev/null 2>&1; echo $?)" 1
is 'and nothing was changed by that' "$(sum)" "$before"
ok 'hosts pin with the fingerprint' quiet ctl hosts pin t1 --fingerprint "$fingerprint"
is 'hosts list knows it' "$(ctl hosts list --json | jq -r '.[] | .name + " " + .host_keys[0]')" "t1 $fingerprint"
like 'the comment is still there' "$(cat "$RIG/b/policy.yaml")" 'a comment that matters'
ok 'and it is a policy' quiet "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
echo "  - {name: all, who: {users: [alice]}, where: {labels: {env: test}}, as: [$rig_me], may: [shell, exec]}" >"$RIG/rule"
{ echo 'rules:' && cat "$RIG/rule"; } >>"$RIG/b/policy.yaml"
is 'status without a bastiond' "$(ctl status >/dev/null 2>&1; echo $?)" 3
# What reads recordings, before there are any: one line that says so, on stderr alone.
for reads in checkpoint verify 'verify --json' log 'sessions list' 'sessions list --json' 'sessions show last' 'play last' \
	'export last --format text'; do
	# shellcheck disable=SC2086
	ctl $reads >"$RIG/out.log" 2>"$RIG/err.log"
	is "before the first start: $reads" "$? $(cat "$RIG/out.log" "$RIG/err.log")" \
		"3 bastionctl: $RIG/b/state/recorder: no store is here: this bastion has never been started, so there is nothing to read: start it with bastiond -f $RIG/b/bastiond.yaml"
done
ok 'it starts' rig_start
is 'and the first session runs' "$(b_ssh "$(to t1)" 'echo in')" in
is 'status with one' "$(ctl status >/dev/null; echo $?)" 0
# A host that comes while it runs.
ctl hosts add t2 --address 127.0.0.1 --port "$rig_port_t1" --label env=test >/dev/null 2>&1
not_ok 'a host without a pinned key lets nobody in' quiet b_ssh "$(to t2)" true
ctl hosts pin t2 --yes >/dev/null 2>&1
ok 'pinned, it is in force at once' wait_for 10 b_ssh "$(to t2)" true

tap_end
