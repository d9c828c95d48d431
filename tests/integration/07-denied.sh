#!/bin/sh
# Who is refused, and that all refusals look the same.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 18
rig_init && rig_target t1 || exit 1
cp "$RIG/hosts.yaml" "$RIG/hosts.one"
printf '  t2: {address: 127.0.0.1, port: 1, labels: {env: secret}, key: fleet, host_keys: ["%s"]}\n' \
	"$(cut -d' ' -f1,2 "$RIG/t1/host_key.pub")" >>"$RIG/hosts.yaml"
rig_policy
ok 'a bastion starts' rig_start

try() { # IDENTITY DESTINATION: message and milliseconds
	try_start=$(date +%s%3N)
	try_text=$(IDENTITY=$1 b_ssh "$2" 'echo in' 2>&1)
	try_status=$?
	try_ms=$(($(date +%s%3N) - try_start))
}
try "$RIG/alice" "$rig_me+t1@127.0.0.1"
is 'the right key gets in' "$try_text" in

try "$RIG/mallory" "$rig_me+t1@127.0.0.1"
is 'a wrong key is refused' $try_status 255
wrong_key=$try_text wrong_key_ms=$try_ms
like 'with the usual words' "$wrong_key" 'Permission denied \(publickey\)'
try "$RIG/alice" "$rig_me+nohost@127.0.0.1"
is 'unknown host: the same words' "$(echo "$try_text" | sed 's/+nohost@/+t1@/')" "$wrong_key"
ms_host=$try_ms
try "$RIG/alice" "nobody+$rig_me+t1@127.0.0.1"
is 'unknown user: the same words' "$(echo "$try_text" | sed "s/nobody+$rig_me+t1@/$rig_me+t1@/")" "$wrong_key"
ms_user=$try_ms
try "$RIG/alice" "$rig_me+t2@127.0.0.1"
is 'forbidden host: the same words' "$(echo "$try_text" | sed 's/+t2@/+t1@/')" "$wrong_key"
ms_forbidden=$try_ms
try "$RIG/alice" "nologin+t1@127.0.0.1"
is 'forbidden login: the same words' "$(echo "$try_text" | sed "s/nologin+t1@/$rig_me+t1@/")" "$wrong_key"
ms_login=$try_ms

near() { # all within 150 ms of the first: the machine is shared
	for ms in $ms_host $ms_user $ms_forbidden $ms_login; do
		d=$((ms - wrong_key_ms))
		[ ${d#-} -le 150 ] || return 1
	done
}
note "wrong key $wrong_key_ms ms, host $ms_host, user $ms_user, forbidden $ms_forbidden, login $ms_login"
ok 'and the same time' near

events() { ctl log | jq -c 'select(.event == "auth.denied")' | wc -l; }
is 'each refusal is one audit event' "$(events)" 5
is 'no session was opened by a refused one' "$(ctl sessions list --json | jq length)" 1
like 'the reasons are in the log' "$(ctl log | jq -r 'select(.event == "auth.denied") | .reason')" 'host'
ref=$(ctl log | jq -r 'select(.reason == "unknown-key") | .ref' | head -n 1)
is 'one login by its reference' "$(ctl log "$ref" | jq -r '.event + " " + .reason' | sort -u)" 'auth.denied unknown-key'
like 'what the reason means' "$(ctl log "$ref" | jq -r .meaning)" 'no user has this key'
like 'and what to do' "$(ctl log "$ref" | jq -r .next)" 'policy.yaml'
is 'a list of all explains nothing' "$(ctl log | jq -r 'select(.meaning) | .event')" ''
not_ok 'a reference that is none: nothing found' ctl log 0000000000000000
ok 'everything verifies' ctl verify --all

tap_end
