#!/bin/sh
# Login with an OpenID provider through the bastion, with stock clients that nobody presses a key at.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/oidc/rig.sh"

for program in pam_bastion_oidc.so bastiond-auth; do
	[ -f "$BASTION_BIN/$program" ] || skip_all "built without $program"
done
oidc_need
plan 57

ok 'the provider is up' oidc_up
mkdir "$RIG/pam.d" "$RIG/op/state"
chmod 0700 "$RIG/op/state"
oidc_conf "$RIG/op/oidc.yaml" bastiond
cat >"$RIG/pam.d/bastiond" <<-CONF
	auth required $BASTION_BIN/pam_bastion_oidc.so config=$RIG/op/oidc.yaml
	account required pam_permit.so
CONF
# What root starts becomes somebody else, who does not reach this folder.
user=
[ "$(id -u)" != 0 ] || user=', user: root'
settings() { # MORE
	sed -i "s|^  methods:.*|  methods: [keyboard-interactive]\n  pam: {service: bastiond, confdir: $RIG/pam.d, read: [$BASTION_BIN, $RIG/op], write: [$RIG/op/state]$user$1}|" "$RIG/b/bastiond.yaml"
}
rules() {
	cat >"$RIG/rules.yaml" <<-YAML
		  - name: by-provider
		    who: {groups: [db-admins]}
		    where: {labels: {env: test}}
		    as: [$rig_me]
		    may: [shell, exec, sftp, scp]
	YAML
}
ok 'a bastion' rig_init
rules
settings ', groups_from_pam: true'
ok 'a target' rig_target t1
rig_policy
ok 'which asks the provider' rig_start
at=alice+$rig_me+t1@127.0.0.1
export HOME="$RIG"
opts() {
	printf '%s ' -F none -o IdentityAgent=none -o StrictHostKeyChecking=accept-new -o "UserKnownHostsFile=$RIG/known_hosts" \
		-o PreferredAuthentications=keyboard-interactive -o ConnectTimeout=20
}
# run COMMAND...: in the background, nobody at the keyboard; sets client.
run() {
	rm -f "$RIG/err"
	timeout 60 "$@" </dev/null >"$RIG/out" 2>"$RIG/err" &
	client=$!
}
shown_in() { # FILE
	wait_for 10 grep -q 'https://.*user_code=[A-Z]*-[A-Z]\{4\}' "$1" || return 1
	url=$(tr -d '\r' <"$1" | sed -n 's/.*\(https:[^ ]*user_code=[A-Z-]*\).*/\1/p' | head -n 1)
}
shown() { shown_in "$RIG/err"; }
ended() {
	wait "$client"
	ended_status=$?
	out=$(cat "$RIG/out") err=$(tr -d '\r' <"$RIG/err")
	return $ended_status
}
# through NAME COMMAND...: the link is there, alice confirms, and the command works
through() {
	through_name=$1
	shift
	run "$@"
	ok "$through_name: the link is shown, no key pressed" shown
	oidc_person "$url" alice >"$RIG/page"
	ok "$through_name: logged in" ended
}
# shellcheck disable=SC2046 # options are words
oidc_ssh() { ssh $(opts) -p "$bastion_port" "$at" "$@"; }
fault() { # PATH KIND [TIMES]
	oidc_rig "{\"fault\": {\"path\": \"$1\", \"kind\": \"$2\"${3:+, \"times\": $3}}}" >/dev/null
}
no_fault() { oidc_rig '{"fault": null}' >/dev/null; }

reload() {
	reloads=$(grep -c 'reload\.done' "$RIG/bastiond.log")
	kill -HUP "$bastion_pid"
	wait_for 10 reloaded
}
reloaded() { [ "$(grep -c 'reload\.done' "$RIG/bastiond.log")" -gt "$reloads" ]; }

# Clients.
# shellcheck disable=SC2046
through ssh ssh $(opts) -p "$bastion_port" "$at" 'echo out; exit 0'
is 'ssh: output' "$out" out
like 'the person is told who asks' "$err" "log in as alice on ($rig_me@)?t1.* \\(asked from 127.0.0.1\\)"
like 'and the page says the same' "$(cat "$RIG/page")" "^asked: alice on ($rig_me@)?t1.* from 127.0.0.1\$"
head -c 100000 /dev/urandom >"$RIG/file"
# shellcheck disable=SC2046
through scp scp $(opts) -P "$bastion_port" "$RIG/file" "$at:$RIG/copy"
ok 'scp: the same file' cmp -s "$RIG/file" "$RIG/copy"
if command -v plink >/dev/null; then
	own=$(ctl keys public host | ssh-keygen -lf - | cut -d' ' -f2)
	through plink plink -batch -hostkey "$own" -P "$bastion_port" "$at" 'echo out'
else
	pass 'plink: # SKIP not installed' && pass 'plink: logged in # SKIP not installed'
fi
if command -v dbclient >/dev/null; then
	through dbclient dbclient -y -p "$bastion_port" "$at" 'echo out'
else
	pass 'dbclient: # SKIP not installed' && pass 'dbclient: logged in # SKIP not installed'
fi
if /usr/bin/python3 -c 'import paramiko' 2>/dev/null; then
	through paramiko /usr/bin/python3 "$BASTION_SRC/tests/oidc/kbd.py" "$bastion_port" "${at%@*}" 'echo out'
else
	pass 'paramiko: # SKIP not installed' && pass 'paramiko: logged in # SKIP not installed'
fi

# ssh_login PERSON [deny]: a login with ssh; sets out and err
ssh_login() {
	# shellcheck disable=SC2046
	run ssh $(opts) -o NumberOfPasswordPrompts=1 -p "$bastion_port" "$at" 'echo out'
	shown && oidc_person "$url" "$@" >"$RIG/page"
	ended
}
not_ok 'denied at the provider' ssh_login alice deny
like 'is told' "$err" 'The login was denied at the identity provider'
not_ok 'somebody else confirms' ssh_login bob
like 'is denied' "$err" 'does not vouch for this login'
fault /token aud
not_ok 'a token for somebody else' ssh_login alice
like 'proves nothing' "$err" 'does not prove who you are'
no_fault
oidc_rig '{"rotate": true}' >/dev/null
rm -f "$RIG"/op/state/keys-*
ok 'new keys of the provider' ssh_login alice
fault /token 500 1
ok 'a poll that fails' ssh_login alice
fault /token slow_down 1
ok 'slow_down' ssh_login alice
fault /token big
not_ok 'a token of 10 MB' ssh_login alice
like 'cannot be used' "$err" 'gave an answer that cannot be used'
fault /device/auth hang
not_ok 'a provider that hangs' ssh_login alice
like 'does not answer' "$err" 'does not answer'
no_fault

# Somebody who leaves: nothing goes on polling.
# shellcheck disable=SC2046
run ssh $(opts) -p "$bastion_port" "$at" true
shown
auth=$(role_pid auth)
isnt 'one conversation runs' "$auth" ''
kill "$client"
wait "$client" 2>/dev/null
gone() { ! kill -0 "$auth" 2>/dev/null; }
ok 'who leaves takes it along' wait_for 10 gone

# Without groups from PAM the rule is nobody's.
sed -i 's/, groups_from_pam: true//' "$RIG/b/bastiond.yaml"
ok 'reload' reload
not_ok 'groups of the provider count only where that is said' ssh_login alice

# Whoever the provider names.
sed -i 's/^auth required.*/& set_user/' "$RIG/pam.d/bastiond"
sed -i 's/  pam: {service/  pam: {identity_from_pam: true, groups_from_pam: true, service/' "$RIG/b/bastiond.yaml"
ok 'reload for identities' reload
ok 'the identity is the token'\''s' ssh_login alice
is 'and recorded' "$(ctl sessions list --json | jq -r 'sort_by(.started_at) | last | .identity')" alice

# The number from the browser, typed where the login began.
echo 'confirm: true' >>"$RIG/op/oidc.yaml"
cat >"$RIG/typist" <<-'SH'
	#!/bin/sh
	n=0
	until grep -q . "$RIG/number" || [ $n -ge 200 ]; do n=$((n + 1)); sleep 0.05; done
	echo "$1" >>"$RIG/asked"
	cat "$RIG/number"
SH
chmod 755 "$RIG/typist"
typed() { # WHAT: ssh asks a program, as it does without a terminal
	: >"$RIG/number"
	: >"$RIG/asked"
	# shellcheck disable=SC2046
	run env SSH_ASKPASS="$RIG/typist" SSH_ASKPASS_REQUIRE=force ssh $(opts) -o NumberOfPasswordPrompts=1 \
		-p "$bastion_port" "$at" 'echo out'
	shown && oidc_person "$url" alice >"$RIG/page"
	if [ "$1" = right ]; then sed -n 's/^number: //p' "$RIG/page" >"$RIG/number"; else echo "$1" >"$RIG/number"; fi
	ended
}
ok 'the number from the page' typed right
like 'was asked for' "$(cat "$RIG/asked")" 'Number that the browser shows now:'
not_ok 'another number' typed 000
sed -i '/^confirm/d' "$RIG/op/oidc.yaml"

# As the second factor that a rule asks for: behind ssh -J, and on the terminal of the bastion's own shell.
sed -i 's/^  methods:.*/  methods: [publickey]/' "$RIG/b/bastiond.yaml"
cp "$RIG/rules.yaml" "$RIG/rules.before"
echo "  - {name: mfa, who: {groups: [sre]}, where: {labels: {env: test}}, as: [$rig_me], may: [shell, exec], how: {mfa: true}}" >>"$RIG/rules.yaml"
rig_policy
ok 'reload for a second factor' reload
cat >"$RIG/ssh_config" <<CONF
Host jump
	HostName 127.0.0.1
	Port $bastion_port
	User alice
Host t1
	User $rig_me
	ProxyJump jump
Host *
	IdentityFile $RIG/alice
	IdentitiesOnly yes
	IdentityAgent none
	StrictHostKeyChecking accept-new
	UserKnownHostsFile $RIG/known_hosts
	NumberOfPasswordPrompts 1
CONF
methods() { ctl sessions list --json | jq -r 'sort_by(.started_at) | last | .credential.methods'; }
run ssh -F "$RIG/ssh_config" t1 'echo out'
shown && oidc_person "$url" alice deny >"$RIG/page"
not_ok 'ssh -J, denied at the provider' ended
through 'ssh -J' ssh -F "$RIG/ssh_config" t1 'echo out'
is 'ssh -J: both are in the record' "$out $(methods)" 'out publickey,keyboard-interactive'
mkfifo "$RIG/keys"
exec 5<>"$RIG/keys"
# shellcheck disable=SC2046
ssh -tt $(rig_opts) -p "$bastion_port" alice@127.0.0.1 <"$RIG/keys" >"$RIG/screen" 2>"$RIG/err" &
client=$!
rig_pids="$rig_pids $client"
on_screen() { grep -q "$1" "$RIG/screen"; }
ok 'the list of hosts' wait_for 10 on_screen t1
printf '\r' >&5
ok 'the link is on its terminal' shown_in "$RIG/screen"
oidc_person "$url" alice >"$RIG/page"
on_host() {
	printf 'echo $((6 * 7))on\r' >&5
	wait_for 2 on_screen 42on
}
ok 'which leads to the host' wait_for 10 on_host
is 'with both in the record' "$(methods)" publickey,keyboard-interactive
exec 5>&-
kill "$client"
wait "$client" 2>/dev/null
cp "$RIG/rules.before" "$RIG/rules.yaml"
rig_policy
sed -i 's/^  methods:.*/  methods: [keyboard-interactive]/' "$RIG/b/bastiond.yaml"
ok 'reload without it' reload

# Nobody in time.
oidc_down
oidc_up DEVICE_TTL=2
oidc_conf "$RIG/op/oidc.yaml" bastiond
# shellcheck disable=SC2046
run ssh $(opts) -o NumberOfPasswordPrompts=1 -p "$bastion_port" "$at" true
not_ok 'nobody confirms' ended
like 'in time' "$err" 'Nobody confirmed the login in time'

# Nobody there: keys go on working.
oidc_down
sed -i 's/^  methods:.*/  methods: [publickey, keyboard-interactive]/' "$RIG/b/bastiond.yaml"
echo "  - {name: by-key, who: {groups: [sre]}, where: {labels: {env: test}}, as: [$rig_me], may: [exec]}" >>"$RIG/rules.yaml"
rig_policy
ok 'reload for keys' reload
# shellcheck disable=SC2046
run ssh $(opts) -o NumberOfPasswordPrompts=1 -p "$bastion_port" "$at" true
not_ok 'the provider is down' ended
like 'and that is said' "$err" 'The identity provider does not answer'
is 'a key works' "$(b_ssh "$(to t1)" 'echo out')" out
tap_end
