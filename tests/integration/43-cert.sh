#!/bin/sh
# Certificates and what becomes of the sessions that they opened: forced commands, permits, expiry, revocation, a clock that goes back.
# (Vectors C21, C22, C23, C27, C28, C31, C33, C34; the others are in tests/unit/test_cert_vectors.c.)
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 62
rig_init && rig_target t1 || exit 1
for k in ca ca2 bob; do rig_key "$RIG/$k"; done
cat "$RIG/ca.pub" >"$RIG/b/user_ca.pub"
ssh-keygen -q -k -f "$RIG/b/revoked.krl"
sed -i '/^ *# *user_ca:/d; /^ *# *revoked:/d' "$RIG/b/bastiond.yaml"
if grep -q '^login:' "$RIG/b/bastiond.yaml"; then
	sed -i 's|^login:.*|login:\n  user_ca: [user_ca.pub]\n  revoked: revoked.krl|' "$RIG/b/bastiond.yaml"
else
	printf 'login:\n  user_ca: [user_ca.pub]\n  revoked: revoked.krl\n' >>"$RIG/b/bastiond.yaml"
fi
echo '  bob: {principals: [bob], groups: [sre]}' >"$RIG/users.yaml"
cat >"$RIG/rules.yaml" <<YAML
  - name: tests
    who: {groups: [sre]}
    where: {labels: {env: test}}
    as: [$rig_me]
    may: [shell, exec, sftp, scp, rsync, agent, {forward: ["localhost:*", "127.0.0.1:*"]}]
YAML
rig_policy
ok 'a bastion starts' rig_start

n=0
# cert [ssh-keygen options]: a new certificate for bob's key in $RIG/cN
cert() {
	n=$((n + 1))
	cp "$RIG/bob" "$RIG/c$n" && cp "$RIG/bob.pub" "$RIG/c$n.pub"
	ssh-keygen -q -s "${CA:-$RIG/ca}" -I "cert$n" -z "$n" -n bob "$@" "$RIG/c$n.pub"
}
c_opts() { printf '%s ' -o "IdentityFile=$RIG/c$n" -o "CertificateFile=$RIG/c$n-cert.pub"; }
# shellcheck disable=SC2046 # options are words
login() { IDENTITY=$RIG/c$n b_ssh $(c_opts) "$@" 2>&1; }
run() { login "$(to t1)" "$@"; }
reload() {
	reloads=$(grep -c 'reload[.]\(done\|refused\)' "$RIG/bastiond.log")
	kill -HUP "$bastion_pid"
	wait_for 10 reloaded
}
# shellcheck disable=SC2317,SC2329 # called by wait_for
reloaded() { [ "$(grep -c 'reload[.]\(done\|refused\)' "$RIG/bastiond.log")" -gt "$reloads" ]; }
events() { ctl log | jq -r "select(.event == \"$1\") | $2"; }
has_event() { [ -n "$(events "$1" "$2")" ]; }
newest() { ctl sessions list --json | jq -r "sort_by(.started_at) | last | $1"; }
with_policy() { # LINE: policy.yaml with it in front
	rig_policy
	printf '%s\n' "$1" | cat - "$RIG/b/policy.yaml" >"$RIG/p" && cp "$RIG/p" "$RIG/b/policy.yaml"
	reload
}
denied='Permission denied'

# C27: the forced command, whatever is asked for; what was asked for is in the record.
cert -O force-command='echo forced; exit 5' -O permit-port-forwarding
is 'C27 another command: the forced one' "$(run 'echo asked')" forced
run true >/dev/null
is 'with its exit status' $? 5
is 'the record has what was asked for' \
	"$(ctl export "$(last_sid)" --format json | jq -r '.events[] | select(.type == "request") | .way + " " + .text')" \
	"$(printf 'front exec: true\nto-back exec: echo forced; exit 5')"
like 'C27 the bastion itself has no such command' "$(login bob@127.0.0.1 whoami)" 'echo forced; exit 5: not a command of the bastion'
is 'C27 a shell: the forced one' "$(login -tt "$(to t1)" | tr -d '\r')" forced
like 'C27 sftp: the forced one' "$(IDENTITY=$RIG/c$n sftp -q -b /dev/null -o "CertificateFile=$RIG/c$n-cert.pub" \
	-o "IdentityFile=$RIG/c$n" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new \
	-o "UserKnownHostsFile=$RIG/known_hosts" -P "$bastion_port" "$(to t1)" 2>&1)" 'Received message too long|Connection closed'
is 'which is an exec of the forced command, not sftp' "$(newest '.channels[0].kind')" exec
like 'C27 a forward: refused' "$(login -W "127.0.0.1:$rig_port_t1" "$(to t1)" </dev/null)" 'open failed|stdio forwarding failed'

# C28: each right that is not in the certificate is not there, though the rule gives it.
cert -O clear
like 'C28 no permit-pty' "$(login -tt "$(to t1)" tty)" 'PTY allocation request failed|not a tty'
like 'C28 no permit-port-forwarding' "$(login -W "127.0.0.1:$rig_port_t1" "$(to t1)" </dev/null)" 'open failed|stdio forwarding failed'
eval "$(ssh-agent -s -a "$RIG/agent.sock" 2>/dev/null)" >/dev/null
rig_pids="$rig_pids $SSH_AGENT_PID"
# shellcheck disable=SC2046
agent() { IDENTITY=$RIG/c$n ssh -A -o "IdentityAgent=$RIG/agent.sock" $(IDENTITY=$RIG/c$n rig_opts) $(c_opts) -p "$bastion_port" "$(to t1)" "test -S \"\$SSH_AUTH_SOCK\" && echo agent || echo none"; }
is 'C28 no permit-agent-forwarding' "$(agent)" none
cert -O clear -O permit-pty -O permit-port-forwarding -O permit-agent-forwarding
like 'with them: a terminal' "$(login -tt "$(to t1)" tty)" '/dev/pts'
unlike 'a forward' "$(login -W "127.0.0.1:$rig_port_t1" "$(to t1)" </dev/null)" 'failed'
is 'and the agent' "$(agent)" agent

# C31: a key id of any text stays one JSON document and one line.
n=$((n + 1))
cp "$RIG/bob" "$RIG/c$n" && cp "$RIG/bob.pub" "$RIG/c$n.pub"
ssh-keygen -q -s "$RIG/ca" -I "$(printf 'a\nb\033[31m"')" -z "$n" -n bob "$RIG/c$n.pub"
is 'C31 a key id with a newline' "$(run 'echo in')" in
like 'C31 sessions list --json' "$(newest '.credential.key_id')" '^a.+b'
ctl log >"$RIG/log.json"
is 'C31 every line of the log is one object' "$(jq -c . <"$RIG/log.json" | wc -l)" "$(wc -l <"$RIG/log.json")"

# C21: a list that is written anew holds from the reload on; one that cannot be read changes nothing.
cert
first=$n
is 'C21 good before' "$(run 'echo in')" in
ssh-keygen -q -k -u -f "$RIG/b/revoked.krl" -s "$RIG/ca.pub" -z 2 - <<EOF
serial: $n
EOF
is 'not yet read' "$(run 'echo in')" in
reload
like 'C21 revoked by serial after the reload' "$(run 'echo in')" "$denied"
# ssh goes on with the key alone, which is another attempt.
is 'the reason is in the log' "$(events auth.denied '.reason' | tail -n 2 | head -n 1)" revoked
cert
is 'another one still gets in' "$(run 'echo in')" in
cp "$RIG/b/revoked.krl" "$RIG/krl.good"
head -c 60 "$RIG/krl.good" >"$RIG/b/revoked.krl"
reload
ok 'C21 a cut list is refused' grep -q 'reload.refused.*revoked.krl: expected a key revocation list' "$RIG/bastiond.log"
n=$first
like 'and the list before it holds on' "$(run 'echo in')" "$denied"
rm "$RIG/b/revoked.krl"
reload
ok 'C21 a list that is gone is refused' grep -q 'reload.refused.*login.revoked: expected a file that can be read' "$RIG/bastiond.log"
n=$first
like 'and the one before it holds on' "$(run 'echo in')" "$denied"
not_ok 'C21 nothing starts without the list' "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
cp "$RIG/krl.good" "$RIG/b/revoked.krl"
reload

# C23: a CA of 2048 bits is taken where the policy says so, and nowhere else.
ssh-keygen -q -t rsa -b 2048 -N '' -C '' -f "$RIG/rsa"
cat "$RIG/ca.pub" "$RIG/rsa.pub" >"$RIG/b/user_ca.pub"
CA=$RIG/rsa cert
reload
ok 'C23 a CA of RSA 2048 is refused' grep -q 'reload.refused.*user_ca.pub:2:1: expected an RSA key of.*compat: .rsa-2048.' "$RIG/bastiond.log"
not_ok 'C23 nothing starts with it' "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
like 'C23 and its certificate opens nothing' "$(run 'echo in')" "$denied"
with_policy 'compat: [rsa-2048]'
is 'C23 with compat it does' "$(run 'echo in')" in
is 'C23 as a certificate of that CA' "$(events auth.allowed .credential.ca | tail -n 1)" "$(ssh-keygen -lf "$RIG/rsa.pub" | cut -d' ' -f2)"
cat "$RIG/ca.pub" >"$RIG/b/user_ca.pub"
rig_policy
reload

# C22: the CA leaves. Sessions stay, and that is an event; on_revoked: close ends them.
live() { # NAME: a session that stays, until its output is asked for
	# shellcheck disable=SC2046
	{ IDENTITY=$RIG/c$n b_exec $(c_opts) "$(to t1)" 'echo up; exec sleep 300' >"$RIG/$1.out" 2>"$RIG/$1.err"; } &
	live_pid=$!
	rig_pids="$rig_pids $live_pid"
	wait_for 20 grep -q up "$RIG/$1.out"
}
is_over() { ! kill -0 "$live_pid" 2>/dev/null; }
cert
ok 'a session runs' live one
cat "$RIG/ca2.pub" >"$RIG/b/user_ca.pub"
reload
like 'C22 its CA leaves: no new login' "$(run 'echo in')" "$denied"
ok 'C22 the session is flagged' wait_for 10 has_event credential.revoked .reason
is 'with its reason' "$(events credential.revoked '[.reason, .session] | join(" ")' | tail -n 1)" 'unknown-ca kept'
not_ok 'and stays' is_over
with_policy 'certificates: {on_revoked: close}'
ok 'C22 on_revoked: close ends it' wait_for 20 is_over
like 'with a line' "$(cat "$RIG/one.err")" 'no longer accepted'
is 'which is an event' "$(events credential.revoked .session | tail -n 1)" closed
cat "$RIG/ca.pub" >"$RIG/b/user_ca.pub"
with_policy 'certificates: {longest: 1d}'

# C08
cert -V always:forever
like 'C08 longest: not one for ever' "$(run 'echo in')" "$denied"
cert -V -1m:+1h
is 'a short one' "$(run 'echo in')" in
with_policy 'certificates: {on_expiry: keep}'

# C33: it expires while a session runs. The session stays, no new target is reached with it.
soon() { date -u -d "@$(($(date +%s) + $1))" +%Y%m%d%H%M%S; }
export TZ=UTC
cert -V "$(soon -60):$(soon 12)"
ok 'C33 a session runs' live two
# shellcheck disable=SC2046
{ IDENTITY=$RIG/c$n b_exec $(c_opts) -N -M -S "$RIG/mux" bob@127.0.0.1 2>"$RIG/mux.log"; } &
mux=$!
rig_pids="$rig_pids $mux"
ok 'and a connection without a host' wait_for 20 test -S "$RIG/mux"
through() { # -J over the connection that stands
	# shellcheck disable=SC2046
	IDENTITY=none ssh $(IDENTITY=none rig_opts) -o "ProxyCommand=ssh -F none -S $RIG/mux -W %h:%p bob@127.0.0.1" \
		"$rig_me@t1" "$@" 2>&1
}
is 'through which t1 is reached' "$(through echo in)" in
ok 'C33 it expires: an event' wait_for 30 has_event certificate.expired .reason
is 'the session is kept' "$(events certificate.expired .session | sort -u)" kept
not_ok 'and runs' is_over
unlike 'C33 no new target with it' "$(through echo in)" '^in$'
like 'no new login with it' "$(run 'echo in')" "$denied"
with_policy 'certificates: {on_expiry: close}'
ok 'C33 on_expiry: close ends it' wait_for 20 is_over
like 'with a line' "$(cat "$RIG/two.err")" 'has expired'
cert -V "$(soon -60):$(soon 6)"
ok 'C33 another one' live three
ok 'C33 ends by itself' wait_for 30 is_over
kill "$mux" 2>/dev/null
wait "$mux" 2>/dev/null
unset TZ

# C34: the latest moment that was ever seen stays, also over a restart.
cert -V -1h:+2d
rig_stop
ok 'C34 the moment is kept' test "$(cat "$RIG/b/state/clock")" -ge "$(($(date +%s) - 5))"
later=$(($(date +%s) + 3 * 86400))
echo "$later" >"$RIG/b/state/clock"
rig_start
like 'C34 it was later once: expired stays expired' "$(run 'echo in')" "$denied"
ok 'C34 which is an alarm' has_event clock.back .by_s
rig_stop
ok 'C34 and stays so' test "$(cat "$RIG/b/state/clock")" -ge "$later"
echo nonsense >"$RIG/b/state/clock"
not_ok 'C34 a file that holds no moment: no start' timeout 20 "$BASTIOND" -D -f "$RIG/b/bastiond.yaml"
rm "$RIG/b/state/clock"
rig_start
is 'C34 an operator who removes it has said so' "$(run 'echo in')" in
ok 'everything verifies' ctl verify --all

tap_end
