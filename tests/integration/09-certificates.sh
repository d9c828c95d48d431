#!/bin/sh
# OpenSSH user certificates: who gets in with which, and what they still may do.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 24
rig_init && rig_target t1 || exit 1
rig_key "$RIG/ca"
rig_key "$RIG/ca2"
rig_key "$RIG/bob"
cp "$RIG/ca.pub" "$RIG/b/user_ca.pub"
sed -i 's|^ *# *user_ca:.*||; s|^login:.*|login:\n  user_ca: [user_ca.pub]|' "$RIG/b/bastiond.yaml"
grep -q 'user_ca: \[user_ca.pub\]' "$RIG/b/bastiond.yaml" ||
	printf 'login:\n  user_ca: [user_ca.pub]\n' >>"$RIG/b/bastiond.yaml"
echo '  bob: {principals: [bob], groups: [sre]}' >"$RIG/users.yaml"
rig_policy
ok 'a bastion starts' rig_start

n=0
# cert [ssh-keygen options]: a new certificate for bob's key in $RIG/cN
cert() {
	n=$((n + 1))
	cp "$RIG/bob" "$RIG/c$n" && cp "$RIG/bob.pub" "$RIG/c$n.pub"
	ssh-keygen -q -s "$RIG/ca" -I "cert$n" -z "$n" "$@" "$RIG/c$n.pub"
}
login() { # command
	IDENTITY=$RIG/c$n b_ssh -o "CertificateFile=$RIG/c$n-cert.pub" "$(to t1)" "$@" 2>&1
}
denied='Permission denied'

cert -n bob
is 'good' "$(login 'echo in')" in
is 'the record names the certificate' \
	"$(ctl sessions list --json | jq -r 'last | [.identity, .credential.type, .credential.key_id, (.credential.serial | tostring)] | join(" ")')" \
	'bob certificate cert1 1'
cert -n other,bob
is 'good: second of two principals' "$(login 'echo in')" in
cert -n bob -V -2h:-1h
like 'expired' "$(login 'echo in')" "$denied"
cert -n bob -V +1h:+2h
like 'not yet valid' "$(login 'echo in')" "$denied"
cert -n carol
like 'wrong principal' "$(login 'echo in')" "$denied"
cert -n 'bo*'
like 'a principal is not a pattern' "$(login 'echo in')" "$denied"
cert
like 'no principal' "$(login 'echo in')" "$denied"
cert -h -n bob
like 'a host certificate' "$(login 'echo in')" "$denied"
cert -n bob -O critical:unheard@of=1
like 'unknown critical option' "$(login 'echo in')" "$denied"
cert -n bob -O extension:unheard@of=1
is 'unknown extension' "$(login 'echo in')" in
cert -n bob -O source-address=10.0.0.0/8
like 'another source address' "$(login 'echo in')" "$denied"
cert -n bob -O source-address=127.0.0.0/8
is 'the right source address' "$(login 'echo in')" in
cert -n bob -O force-command='echo forced'
is 'the forced command runs instead' "$(login 'echo in')" forced
# The bastion's own shell: the command is one of its own, or nothing.
own() { IDENTITY=$RIG/c$n b_ssh -T -o "CertificateFile=$RIG/c$n-cert.pub" bob@127.0.0.1 "$@" 2>&1 </dev/null; }
cert -n bob -O force-command='whoami --json'
is 'and in the bastion'"'"'s own shell, whatever was asked for' "$(own hosts --json | jq -r .identity)" bob
is 'also when it was its picker' "$(IDENTITY=$RIG/c$n b_ssh -tt -o "CertificateFile=$RIG/c$n-cert.pub" bob@127.0.0.1 2>/dev/null </dev/null | jq -r .identity)" bob
cert -n bob -O force-command=uptime
like 'one that is not a command of the bastion' "$(own hosts)" '^bastiond: uptime: not a command of the bastion'
cert -n bob -O force-command=internal-sftp
is 'and sftp needs a host' "$(own hosts)" 'bastiond: the certificate permits sftp alone, for which a host has to be named'
cert -n bob -O clear
is 'without permit-pty a command runs' "$(login 'echo in')" in
like 'but no terminal is given' "$(IDENTITY=$RIG/c$n b_ssh -tt -o "CertificateFile=$RIG/c$n-cert.pub" "$(to t1)" tty 2>&1)" 'PTY allocation request failed|not a tty'
n=$((n + 1))
cp "$RIG/bob" "$RIG/c$n" && cp "$RIG/bob.pub" "$RIG/c$n.pub"
ssh-keygen -q -s "$RIG/ca2" -I foreign -n bob "$RIG/c$n.pub"
like 'signed by another CA' "$(login 'echo in')" "$denied"
like 'the key without its certificate' "$(IDENTITY=$RIG/bob b_ssh "$(to t1)" 'echo in' 2>&1)" "$denied"
ok 'everything verifies' ctl verify --all

tap_end
