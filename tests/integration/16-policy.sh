#!/bin/sh
# The policy at work: what a rule gives and no more, what people are told, revocation, and bastionctl policy.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 48
rig_init && rig_target t1 && rig_target t2 || exit 1
rig_key "$RIG/bob"
rig_key "$RIG/ca"
cp "$RIG/ca.pub" "$RIG/b/user_ca.pub"
sed -i 's|^login:.*|login:\n  user_ca: [user_ca.pub]\n  revoked: revoked.krl|' "$RIG/b/bastiond.yaml"
grep -q '^  user_ca: \[user_ca.pub\]' "$RIG/b/bastiond.yaml" ||
	printf 'login:\n  user_ca: [user_ca.pub]\n  revoked: revoked.krl\n' >>"$RIG/b/bastiond.yaml"
ssh-keygen -q -k -f "$RIG/b/revoked.krl"
echo "  bob: {keys: [\"$(cut -d' ' -f1,2 "$RIG/bob.pub")\"], groups: [contractors]}" >"$RIG/users.yaml"
cat >"$RIG/rules.yaml" <<YAML
  - name: sre
    who: {groups: [sre]}
    where: {labels: {env: test}}
    as: [$rig_me]
    may: [shell, exec, sftp, scp, rsync]
  - name: some-commands
    who: {groups: [contractors], source: [127.0.0.0/8]}
    where: {hosts: [t1]}
    as: [$rig_me, operator]
    may: [{exec: ["echo *", "cat '/etc/**'"]}, sftp-read, {forward: ["localhost:5432", "*:8000-8099"]}]
  - {name: no-operator, deny: true, who: {users: [alice]}, as: [operator]}
  - {name: not-that-port, deny: true, may: [{forward: ["*:8080"]}]}
YAML
rig_policy
ok 'the policy is good' ctl policy check
like 'and counted' "$(ctl policy check)" 'policy.yaml: good: 2 users, 2 hosts, 4 rules'
ok 'a bastion starts' rig_start

bob() { IDENTITY=$RIG/bob b_ssh "$@" 2>&1; }
is 'a command that a pattern holds' "$(bob "$(to t1)" 'echo hello')" hello
is 'another pattern' "$(bob "$(to t1)" "cat '/etc/hostname'")" "$(cat /etc/hostname)"
like 'a command that none holds' "$(bob "$(to t1)" id)" '^bastiond: this command is not allowed'
like 'more than the pattern' "$(bob "$(to t1)" 'echo a; id')" 'this command is not allowed'
like 'out of the folder' "$(bob "$(to t1)" "cat '/etc/../root/x'")" 'this command is not allowed'
bob "$(to t1)" id >/dev/null
is 'a refusal ends with 254' $? 254
like 'no shell' "$(bob "$(to t1)" </dev/null)" 'a shell is not allowed'
like 'no scp in the old protocol' "$(bob "$(to t1)" 'scp -t /tmp/x')" 'scp is not allowed'
printf 'pwd\n' >"$RIG/batch"
# shellcheck disable=SC2046
bob_sftp() { sftp -q $(IDENTITY=$RIG/bob rig_opts) -P "$bastion_port" -b "$RIG/batch" "$(to t1)" >/dev/null 2>&1; }
ok 'but sftp' bob_sftp
like 'another host is refused' "$(bob "$(to t2)" 'echo x')" 'Permission denied'
like 'mosh is told why' "$(b_ssh "$(to t1)" mosh-server new 2>&1)" 'mosh is not possible here'
like 'a forward that no rule gives' "$(b_ssh -W 127.0.0.1:1 "$(to t1)" 2>&1)" 'stdio forwarding failed'
like 'a remote forward' "$(b_ssh -o ExitOnForwardFailure=yes -R 0:127.0.0.1:1 "$(to t1)" true 2>&1)" \
	'remote port forwarding failed'
wait_for 10 sh -c "\"$BASTIONCTL\" -f \"$RIG/b/bastiond.yaml\" log | grep -q channel.denied"
is 'each refusal inside a session is an event' \
	"$(ctl log | jq -r 'select(.event == "channel.denied" and .identity == "bob" and .what == "exec") | .reason' | sort -u | wc -l)" 2

like 'several logins: told which' "$(bob bob+t1@127.0.0.1 'echo x')" 'bob\+LOGIN\+t1'
is 'one login: found' "$(b_ssh alice+t1@127.0.0.1 'echo in')" in
is 'the long form' "$(b_ssh "alice+$rig_me+t1@127.0.0.1" 'echo in')" in
is 'with the port' "$(b_ssh "alice+$rig_me+t1+$rig_port_t1@127.0.0.1" 'echo in')" in
is 'an ssh:// address, where a plus becomes a space' "$(b_ssh "ssh://alice+$rig_me+t1@127.0.0.1:$bastion_port" 'echo in')" in
like 'another form: a proved person is told the right one' "$(b_ssh -l alice:t1 127.0.0.1 true 2>&1)" 'write alice\+t1 instead'
like 'a stranger is not' "$(IDENTITY=$RIG/mallory b_ssh -l alice:t1 127.0.0.1 true 2>&1)" 'Permission denied'
like 'no host: told how one is named' "$(b_ssh alice@127.0.0.1 true 2>&1)" 'true: not a command of the bastion .*ssh LOGIN\+HOST@BASTION true'
b_ssh alice@127.0.0.1 true >/dev/null 2>&1
is 'and that is wrong usage' $? 2

rig_key "$RIG/c"
ssh-keygen -q -s "$RIG/ca" -I one -n alice -z 7 "$RIG/c.pub"
by_cert() { IDENTITY=$RIG/c b_ssh -o "CertificateFile=$RIG/c-cert.pub" "$(to t1)" 'echo in' 2>&1; }
is 'a certificate' "$(by_cert)" in
echo 'serial: 7' >"$RIG/krl.spec"
ssh-keygen -q -k -f "$RIG/b/revoked.krl" -s "$RIG/ca.pub" "$RIG/krl.spec"
kill -HUP "$bastion_pid"
revoked() { [ "$(by_cert)" != in ]; }
ok 'a serial is revoked by a reload' wait_for 10 revoked
like 'and the reason is in the log' "$(ctl log | jq -r 'select(.reason == "revoked") | .detail')" serial
echo garbage >"$RIG/b/revoked.krl"
text=$("$BASTIOND" -t -f "$RIG/b/bastiond.yaml" 2>&1)
is 'a garbled list is no good configuration' $? 1
like 'in clear words' "$text" 'revoked.krl.*key revocation list'
kill -HUP "$bastion_pid"
wait_for 10 grep -q 'revoked.krl' "$RIG/bastiond.log"
like 'and the one before stays' "$(by_cert)" 'Permission denied'

ctl policy explain bob t1 --login operator >"$RIG/out"
is 'explain: yes' $? 0
like 'by which rule' "$(cat "$RIG/out")" 'rule: some-commands'
like 'with its rights' "$(cat "$RIG/out")" 'may: exec sftp-read forward'
like 'and what they are held to' "$(cat "$RIG/out")" 'forward only: localhost:5432'
like 'and what is taken' "$(cat "$RIG/out")" 'forward never: \*:8080'
is 'the same as JSON' "$(ctl policy explain bob t1 --login operator --json | jq -c '[.may, .only.forward, .never, .files]')" \
	'[["exec","sftp-read","forward"],["localhost:5432","*:8000-8099"],{"forward":["*:8080"]},"hash"]'
is 'sftp is both of its rights' "$(ctl policy explain alice t1 --login "$rig_me" --json | jq -r '.may | join(" ")')" 'shell exec sftp scp rsync'
ctl policy explain alice t1 --login operator --json >"$RIG/out"
is 'explain: no' $? 1
is 'by which rule, as JSON' "$(jq -r '[.allowed, .rule, .reason] | join(" ")' "$RIG/out")" 'false no-operator host-denied-by-rule'
is 'at another source' "$(ctl policy explain bob t1 --source 10.0.0.1 --json | jq -r '.rules[1].why')" 'who.source: another address'
sed 's/deny: true/dney: true/' "$RIG/b/policy.yaml" >"$RIG/wrong.yaml"
text=$(ctl policy check "$RIG/wrong.yaml" 2>&1)
is 'check: no' $? 1
like 'where, and what was meant' "$text" 'wrong.yaml:[0-9]+:[0-9]+: rules\[2\].dney: expected a known key \(did you mean "deny"\?\)'
sed 's/sftp-read,/sftp_read,/' "$RIG/b/policy.yaml" >"$RIG/wrong.yaml"
like 'a wrong right' "$(ctl policy check "$RIG/wrong.yaml" 2>&1)" \
	'rules\[1\].may\[1\]: expected one of the rights shell, .* \(did you mean "sftp-read"\?\), found "sftp_read"'
sed 's/sftp-read,/{sftp: [\/srv\/..\/etc]},/' "$RIG/b/policy.yaml" >"$RIG/wrong.yaml"
like 'a path that leads out' "$(ctl policy check "$RIG/wrong.yaml" 2>&1)" 'rules\[1\].may\[1\].sftp\[0\]: expected an absolute path'
sed 's/sftp, scp, rsync/{sftp: [\/srv]}, scp/' "$RIG/b/policy.yaml" >"$RIG/odd.yaml"
like 'rights that lead around a path are warned of' "$(ctl policy check "$RIG/odd.yaml" 2>&1)" \
	'rule sre: shell is not held to the paths of sftp'
examples() { for f in "$BASTION_SRC"/contrib/policies/*.yaml; do ctl policy check "$f" || return 1; done; }
ok 'the example policies are good' examples

tap_end
