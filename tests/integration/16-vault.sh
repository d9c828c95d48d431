#!/bin/sh
# The vault in use: keys of every kind log in, keys come and go while it runs, it dies and comes back, a passphrase seals it.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

quiet() { "$@" >/dev/null 2>&1; }
plan 44
rig_init && rig_target t1 || exit 1
for t in ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072; do ctl keys generate "k-$t" --type "$t" >>"$RIG/t1/authorized_keys"; done
rig_key "$RIG/brought" && ssh-keygen -q -t rsa -b 3072 -m PEM -N 'open sesame' -f "$RIG/brought-pem"
is 'an OpenSSH key file is taken in: its public half is what ssh-keygen says' \
	"$(ctl keys import brought "$RIG/brought" | cut -d' ' -f1,2)" "$(cut -d' ' -f1,2 "$RIG/brought.pub")"
is 'and an encrypted PEM file with its passphrase' \
	"$(echo 'open sesame' | ctl keys import brought-pem "$RIG/brought-pem" --passphrase | cut -d' ' -f1,2)" \
	"$(cut -d' ' -f1,2 "$RIG/brought-pem.pub")"
text=$(echo 'open barley' | ctl keys import other "$RIG/brought-pem" --passphrase 2>&1)
is 'not with another one' $? 3
like 'which it says' "$text" 'passphrase is missing or wrong'
cat "$RIG/brought.pub" "$RIG/brought-pem.pub" >>"$RIG/t1/authorized_keys"
pin=$(cut -d' ' -f1,2 "$RIG/t1/host_key.pub")
for k in k-ecdsa-256 k-ecdsa-384 k-ecdsa-521 k-rsa-3072 brought brought-pem nobody; do
	# shellcheck disable=SC2154
	echo "  with-$k: {address: 127.0.0.1, port: $rig_port_t1, labels: {env: test}, key: $k, host_keys: [\"$pin\"]}"
done >>"$RIG/hosts.yaml"
rig_policy
ok 'a bastion starts' rig_start
for k in k-ecdsa-256 k-ecdsa-384 k-ecdsa-521 k-rsa-3072 brought brought-pem; do
	is "a login with $k" "$(b_ssh "$(to "with-$k")" 'echo in')" in
done
text=$(b_ssh "$(to with-nobody)" true 2>&1)
is 'a key that the vault does not have: no session' $? 255
isnt 'and a line that says so' "$text" ''

# While it runs.
is 'keys list --json has every key' "$(ctl keys list --json | jq -r '.[].name' | sort | tr '\n' ' ')" \
	'brought brought-pem fleet host host-ca jump k-ecdsa-256 k-ecdsa-384 k-ecdsa-521 k-rsa-3072 '
before=$(ctl keys public fleet)
ok 'rotate' quiet ctl keys rotate fleet
isnt 'another key' "$(ctl keys public fleet)" "$before"
is 'the old one beside it' "$(ctl keys public fleet.old | cut -d' ' -f1,2)" "$(echo "$before" | cut -d' ' -f1,2)"
not_ok 'hosts that know the old one only let nobody in' quiet b_ssh "$(to t1)" true
ctl keys public fleet >>"$RIG/t1/authorized_keys"
is 'until they know the new one' "$(b_ssh "$(to t1)" 'echo in')" in
ok 'remove' ctl keys remove k-ecdsa-256
not_ok 'what is removed logs nobody in' quiet b_ssh "$(to with-k-ecdsa-256)" true
like 'changes are in the audit log' "$(ctl log)" '"keys.changed".*rotated fleet ed25519 SHA256:'

# The vault dies in the middle.
mkfifo "$RIG/fifo"
b_exec "$(to t1)" 'read x; echo "still $x"' <"$RIG/fifo" >"$RIG/long" 2>&1 &
long_pid=$!
exec 9>"$RIG/fifo"
running() { [ "$(ctl sessions list --json --state open | jq length)" = 1 ]; }
ok 'a session runs' wait_for 10 running
old_keys=$(role_pid keys)
kill -KILL "$old_keys"
back_again() { new=$(role_pid keys) && [ -n "$new" ] && [ "$new" != "$old_keys" ] && ctl status >/dev/null; }
ok 'the vault was killed and comes back' wait_for 20 back_again
echo here >&9
exec 9>&-
wait "$long_pid"
is 'the session went on' "$(cat "$RIG/long")" 'still here'
is 'and new ones begin' "$(b_ssh "$(to t1)" 'echo in')" in
unlike 'without an alarm' "$(grep 'keys.alarm' "$RIG/bastiond.log")" .
rig_stop

# What clients need to know behind ssh -J.
ca=$(ctl hosts ca)
like 'hosts ca: for every host' "$ca" '^@cert-authority \* ssh-ed25519 AAAA'
is 'or for a pattern' "$(ctl hosts ca '*.lab' | cut -d' ' -f2)" '*.lab'
not_ok 'which is one word' quiet ctl hosts ca 'a b'
known=$(ctl hosts known t1)
like 'hosts known: name and address' "$known" '^t1,\[t1\]:[0-9]+,127\.0\.0\.1,\[127\.0\.0\.1\]:[0-9]+ ssh-ed25519 AAAA'
like 'of every host' "$(ctl hosts known | cut -d, -f1 | tr '\n' ' ')" 't1 '
not_ok 'not of strangers' quiet ctl hosts known nobody
ctl keys rotate host-ca >/dev/null
isnt 'another CA' "$(ctl hosts ca)" "$ca"
is 'the same keys' "$(ctl hosts known t1)" "$known"
ctl keys rotate jump >/dev/null
isnt 'other keys' "$(ctl hosts known t1)" "$known"
not_ok 'they are not removed' quiet ctl keys remove jump

# A passphrase seals it.
mv "$RIG/b" "$RIG/first"
phrase='correct horse battery'
echo "$phrase" | "$BASTIONCTL" init "$RIG/b" --listen 127.0.0.1:0 --passphrase >"$RIG/init2.log" 2>&1
rig_policy
ok 'a sealed bastion starts' rig_start
is 'status says that something is wrong' "$(ctl status >"$RIG/status.txt"; echo $?)" 1
like 'and what to do' "$(cat "$RIG/status.txt")" 'bastionctl keys unlock'
not_ok 'nobody is let in' quiet b_ssh -o ConnectTimeout=5 "$(to t1)" true
is 'a wrong passphrase' "$(echo 'correct horse batterY' | ctl keys unlock 2>/dev/null; echo $?)" 1
ok 'the right one' sh -c 'echo "$1" | "$2" -f "$3" keys unlock >/dev/null' sh "$phrase" "$BASTIONCTL" "$RIG/b/bastiond.yaml"
ctl keys public fleet >>"$RIG/t1/authorized_keys"
rm -f "$RIG/known_hosts"
is 'and everybody is' "$(b_ssh "$(to t1)" 'echo in')" in

tap_end
