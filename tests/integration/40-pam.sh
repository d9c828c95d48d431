#!/bin/sh
# Login through PAM with stock ssh: conversations, modules that misbehave, groups and names that come from the stack.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

[ -x "$BASTION_BIN/bastiond-auth" ] || skip_all 'built without PAM'
plan 57
rig_init && rig_target t1 || exit 1
rig_direct_key t1
mkdir "$RIG/pam" "$RIG/locks"
# The rig's folder is for its owner only.
as=
if [ "$(id -u)" = 0 ]; then as=', user: root'; fi
cp "$BASTION_BIN/../tests/pam/pam_play.so" "$RIG/pam/" || exit 1

# Answers by prompt; what was asked is written down.
cat >"$RIG/askpass" <<SH
#!/bin/sh
echo "\$1" >>"$RIG/prompts"
case \$1 in
*Password:*) echo geheim ;;
*Token:*) echo '12 34' ;;
*) echo wrong ;;
esac
SH
chmod +x "$RIG/askpass"

# configure METHODS PAM-SETTINGS [LOGIN-SETTINGS]
conf=$RIG/b/bastiond.yaml
cp "$conf" "$RIG/plain.yaml"
configure() {
	awk '/^login:/ {skip = 1; next} /^[^ ]/ {skip = 0} !skip' "$RIG/plain.yaml" >"$conf.new"
	echo "login: {methods: $1, pam: {service: test, confdir: $RIG/pam, write: [$RIG/locks]$as$2}$3}" >>"$conf.new"
	mv "$conf.new" "$conf"
}
# stack AUTH-ARGUMENTS [ACCOUNT-ARGUMENTS]: what our module does in each stage
stack() {
	echo "auth required $RIG/pam/pam_play.so $1" >"$RIG/pam/test"
	echo "account required $RIG/pam/pam_play.so ${2-}" >>"$RIG/pam/test"
}
# p_ssh [options] LOGIN+HOST [command]: text on both streams in $text, status in $status, questions in $prompts
p_ssh() {
	: >"$RIG/prompts"
	# shellcheck disable=SC2046 # options are words
	text=$(SSH_ASKPASS=$RIG/askpass SSH_ASKPASS_REQUIRE=force timeout 60 ssh -o BatchMode=no -o LogLevel=INFO \
		-o NumberOfPasswordPrompts=1 -o "PreferredAuthentications=${METHODS:-keyboard-interactive}" \
		$(rig_opts) -p "$bastion_port" "$@" 2>&1 </dev/null)
	status=$?
	prompts=$(sed 's/^([^)]*) //' "$RIG/prompts" | tr '\n' '|')
}
no_auth_left() { [ -z "$(pgrep -P "$bastion_pid" -f bastiond-auth)" ]; }
last_denied() { ctl log | jq -r 'select(.event == "auth.denied") | .reason' | tail -n 1; }
# alice's rule is by group; the stack's group has another.
cat >"$RIG/rules.yaml" <<YAML
  - {name: staff, who: {groups: [sre]}, where: {labels: {env: test}}, as: [$rig_me], may: [shell, exec, sftp, scp]}
  - {name: called, who: {groups: [oncall]}, where: {labels: {env: test}}, as: [$rig_me], may: [exec]}
YAML
echo '  bob: {keys: [], groups: []}' >"$RIG/users.yaml"
rig_policy
me=alice+$rig_me+t1@127.0.0.1
bob=bob+$rig_me+t1@127.0.0.1

configure '[publickey, keyboard-interactive]' ', timeout: 4s'
stack '[info:Welcome to staff] [echo:Token: =12 34] [hidden:Password: =geheim]'
ok 'a bastion with a PAM stack of its own starts' rig_start

# Conversations.
p_ssh "$me" 'echo in; exit 7'
is 'a conversation with text, echo and without lets in' $status 7
like 'the command ran' "$text" '^in$'
like 'the text was shown' "$text" 'Welcome to staff'
is 'and was no question' "$prompts" 'Token: |Password: |'
ok 'the process has gone' wait_for 5 no_auth_left
is 'the record says by what' "$(ctl sessions list --json | jq -r '.[-1].credential.type')" pam

stack '[hidden:Other: =geheim]'
p_ssh "$me" 'echo in'
is 'a wrong answer does not' $status 255
like 'with the usual words' "$text" 'Permission denied'
ok 'as one event' test "$(ctl log | jq -c 'select(.event == "auth.denied")' | wc -l)" = 1
stack '[hidden:Password: =geheim]' 'return:13'
p_ssh "$me" 'echo in'
is 'an expired account does not' $status 255
stack '[hidden:Password: =geheim]' 'return:12'
p_ssh "$me" 'echo in'
is 'nor a password that has to be changed' $status 255
like 'and that is said' "$text" 'not possible through the bastion'
stack 'hex:1b5d303b6f776e656407 [hidden:Password: =geheim]'
p_ssh "$me" 'echo in'
is 'what a module says' $status 0
unlike 'does not reach the terminal as it is' "$text" "$(printf '\033')"

# Text comes at once: while the module still waits.
stack '[info:Look here] hang:'
# shellcheck disable=SC2046
ssh -o BatchMode=no -o LogLevel=INFO -o PreferredAuthentications=keyboard-interactive $(rig_opts) -p "$bastion_port" \
	"$me" true >"$RIG/at-once.log" 2>&1 </dev/null &
client=$!
rig_pids="$client $rig_pids"
ok 'a text is shown before anything is asked' wait_for 3 grep -q 'Look here' "$RIG/at-once.log"
ok 'there is a process for it' test -n "$(pgrep -P "$bastion_pid" -f bastiond-auth)"
kill "$client"
ok 'which ends when the client does' wait_for 10 no_auth_left

# Modules that misbehave.
misbehaves() { # NAME AUTH-ARGUMENTS
	stack "$2"
	p_ssh "$me" 'echo in'
	is "a module that $1: nobody gets in" "$status" 255
	ok 'and nothing is left' wait_for 10 no_auth_left
}
misbehaves crashes 'crash:'
like 'the event says that it was the stack' "$(last_denied)" 'pam-broken'
misbehaves 'leaves by exit' 'exit:0'
misbehaves 'closes all descriptors' 'close: hang:'
misbehaves 'sleeps for ever' 'hang:'
misbehaves 'changes the user' 'user:bob'
like 'and that is the reason' "$(last_denied)" 'pam-user-changed'
misbehaves 'asks what no terminal has' 'binary:x'
stack "megabyte:x noise: [hidden:Password: =geheim]"
p_ssh "$me" 'echo in'
is 'one that prints megabytes is cut' $status 0
is 'and the text has a bound' "$(echo "$text" | awk '{n = length($0) > n ? length($0) : n} END {print (n <= 8192)}')" 1
unlike 'the log has nothing of it' "$(cat "$RIG/bastiond.log")" '0000000000'
stack "child:own:$RIG/pam/lock"
p_ssh "$me" 'echo in'
is 'a module writes nowhere' $status 255
stack "child:own:$RIG/locks/lock"
p_ssh "$me" 'echo in'
is 'but where it was said that it may' $status 0
# As long as the child lives the file is locked.
ok 'a child that it leaves in a session of its own is ended' wait_for 10 flock -n "$RIG/locks/lock" true
stack '[hidden:Password: =geheim]'
p_ssh "$me" 'echo in'
is 'after all of that the bastion lets in as before' $status 0
is 'in its first life' "$(ctl status --json | jq '[.children[].restarts] | add')" 0

# Several factors, without a terminal.
configure '[[publickey, keyboard-interactive]]' ', groups_from_pam: true, timeout: 4s'
ctl reload >/dev/null 2>&1 || kill -HUP "$bastion_pid"
both() { METHODS=publickey,keyboard-interactive p_ssh "$@"; }
only_key() { b_ssh "$me" true 2>/dev/null; [ $? = 255 ]; }
ok 'with both factors asked for a key is not enough' wait_for 10 only_key
p_ssh "$me" 'echo in'
is 'nor is PAM' $status 255
both "$me" 'echo in'
is 'both are' $status 0
IDENTITY=$RIG/mallory both "$me" 'echo in'
is 'a wrong key and PAM are not' $status 255
is 'and PAM is not even asked' "$prompts" ''
echo content >"$RIG/file"
# shellcheck disable=SC2046
SSH_ASKPASS=$RIG/askpass SSH_ASKPASS_REQUIRE=force scp -q -o BatchMode=no \
	-o PreferredAuthentications=publickey,keyboard-interactive $(rig_opts) -P "$bastion_port" \
	"$RIG/file" "$me:$RIG/copied" </dev/null 2>"$RIG/scp.log"
is 'scp asks as well' $? 0
is 'and copies' "$(cat "$RIG/copied" 2>/dev/null)" content

# Groups from the stack.
configure '[keyboard-interactive]' ', groups_from_pam: true, timeout: 4s'
kill -HUP "$bastion_pid"
stack '[env:BASTION_GROUPS=oncall,other]'
bob_in() { p_ssh "$bob" 'echo in'; [ $status = 0 ]; }
ok 'a group that the stack names counts' wait_for 10 bob_in
stack '[env:BASTION_GROUPS=other]'
p_ssh "$bob" 'echo in'
is 'without it there is no rule' $status 255
stack '[env-many:BASTION_GROUPS:300]'
p_ssh "$bob" 'echo in'
is 'more groups than anybody has are no login' $status 255

# Names from the stack.
configure '[keyboard-interactive]' ', identity_from_pam: true, groups_from_pam: true, timeout: 4s'
kill -HUP "$bastion_pid"
stack '[env:BASTION_GROUPS=oncall] user:carol'
carol_in() { p_ssh "$rig_me+t1@127.0.0.1" 'echo in'; [ $status = 0 ]; }
ok 'the identity is what the stack says' wait_for 10 carol_in
is 'in the record, too' "$(ctl sessions list --json | jq -r 'sort_by(.started_at) | last | .identity')" carol

# Modules that are not ours.
for matrix in /usr/lib/*/pam_wrapper/pam_matrix.so; do :; done
if [ -f "$matrix" ]; then
	cp "$matrix" "$RIG/pam/"
	echo 'alice:geheim:test' >"$RIG/pam/passdb"
	echo 'alice' >"$RIG/pam/people"
	echo 'Not for you alone' >"$RIG/pam/motd"
	cat >"$RIG/pam/test" <<-PAM
		auth requisite pam_listfile.so item=user sense=allow file=$RIG/pam/people onerr=fail
		auth optional pam_echo.so file=$RIG/pam/motd
		auth required $RIG/pam/pam_matrix.so passdb=$RIG/pam/passdb
		account required $RIG/pam/pam_matrix.so passdb=$RIG/pam/passdb
	PAM
	p_ssh "$me" 'echo in'
	is 'another stack: pam_listfile, pam_echo and pam_matrix let in' $status 0
	like 'with the text of one' "$text" 'Not for you alone'
	sed -i s/geheim/anders/ "$RIG/pam/passdb"
	p_ssh "$me" 'echo in'
	is 'a wrong password does not' $status 255
else
	for i in 1 2 3; do pass "another stack $i # SKIP there is no pam_matrix.so (libpam-wrapper)"; done
fi
rm "$RIG/pam/test"
p_ssh "$me" 'echo in'
is 'a stack that is not there lets nobody in' $status 255

ok 'everything verifies' ctl verify --all
tap_end
