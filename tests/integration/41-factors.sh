#!/bin/sh
# Several factors with stock clients, without a terminal of their own: chains, rules that ask for a second one, and what the
# first one forbids. PAM is a stack of the test's.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

[ -x "$BASTION_BIN/bastiond-auth" ] || skip_all 'built without PAM'
plan 70
rig_init && rig_target t1 && rig_target safe || exit 1
mkdir "$RIG/pam"
as=
if [ "$(id -u)" = 0 ]; then as=', user: root'; fi
cp "$BASTION_BIN/../tests/pam/pam_play.so" "$RIG/pam/" || exit 1
cat >"$RIG/pam/test" <<PAM
auth required $RIG/pam/pam_play.so [hidden:Code: =4711]
account required $RIG/pam/pam_play.so
PAM
cat >"$RIG/askpass" <<SH
#!/bin/sh
echo "\$1" >>"$RIG/prompts"
cat "$RIG/code"
SH
chmod +x "$RIG/askpass"
echo 4711 >"$RIG/code"
rig_key "$RIG/ca"

conf=$RIG/b/bastiond.yaml
cp "$conf" "$RIG/plain.yaml"
# configure METHODS [LOGIN-SETTINGS]
configure() {
	awk '/^login:/ {skip = 1; next} /^[^ ]/ {skip = 0} !skip' "$RIG/plain.yaml" >"$conf.new"
	echo "login: {methods: $1, user_ca: [$RIG/ca.pub], pam: {service: test, confdir: $RIG/pam$as}${2-}}" >>"$conf.new"
	mv "$conf.new" "$conf"
	if [ -n "${bastion_pid-}" ]; then
		n=$(reloads)
		kill -HUP "$bastion_pid"
		ok "$1 is in force" wait_for 10 reloaded_after "$n"
	fi
}
reloads() { grep -c 'reload.done' "$RIG/bastiond.log"; }
reloaded_after() { [ "$(reloads)" -gt "$1" ]; }
cat >"$RIG/rules.yaml" <<YAML
  - {name: plain, who: {groups: [sre]}, where: {hosts: [t1]}, as: [$rig_me], may: [shell, exec, sftp, scp, rsync]}
  - {name: mfa, who: {groups: [sre]}, where: {hosts: [safe]}, as: [$rig_me], may: [shell, exec, sftp, scp, rsync],
     how: {mfa: true}}
  - {name: wide, who: {users: ["*"]}, where: {hosts: [safe]}, as: [$rig_me], may: [sftp]}
YAML
rig_policy
me=alice+$rig_me+t1@127.0.0.1
safe=alice+$rig_me+safe@127.0.0.1

# ask PROGRAM [arguments]: with answers instead of a terminal; text in $text, status in $status, questions in $asked
ask() {
	: >"$RIG/prompts"
	text=$(SSH_ASKPASS=$RIG/askpass SSH_ASKPASS_REQUIRE=force timeout 60 "$@" 2>&1 </dev/null)
	status=$?
	asked=$(grep -c . "$RIG/prompts")
}
f_opts() {
	printf '%s ' -o BatchMode=no -o LogLevel=INFO -o NumberOfPasswordPrompts=1 \
		-o "PreferredAuthentications=${METHODS:-publickey,keyboard-interactive}"
	rig_opts
}
# shellcheck disable=SC2046 # options are words
f_ssh() { ask ssh $(f_opts) -p "$bastion_port" "$@"; }
certify() { # NAME [options]
	rm -f "$RIG/$1" "$RIG/$1.pub" "$RIG/$1-cert.pub"
	rig_key "$RIG/$1"
	name=$1
	shift
	ssh-keygen -q -s "$RIG/ca" -I "$name" -n alice "$@" "$RIG/$name.pub"
}
last() { ctl sessions list --json | jq -r "sort_by(.started_at) | last | $1"; }
events() { ctl log | jq -r "select(.event == \"$1\") | $2"; }
last_event() { events "$1" "$2" | tail -n 1; }

# A chain.
configure '[[publickey, keyboard-interactive]]'
ok 'a bastion that asks for both starts' rig_start
METHODS=publickey f_ssh "$me" 'echo in'
is 'a key alone is not enough' $status 255
METHODS=keyboard-interactive f_ssh "$me" 'echo in'
is 'nor is PAM' $status 255
is 'which was not asked' "$asked" 0
echo wrong >"$RIG/code"
f_ssh "$me" 'echo in'
is 'nor is a key and a wrong answer' $status 255
is 'the event says so' "$(last_event auth.denied .reason)" pam-denied
like 'the person is told a reference' "$text" 'access denied; reference [0-9a-f]*'
is 'by which the login is found' "$(last_event auth.denied .ref)" "$(echo "$text" | sed -n 's/.*reference \([0-9a-f]*\).*/\1/p')"
echo 4711 >"$RIG/code"
IDENTITY=$RIG/mallory f_ssh "$me" 'echo in'
is 'nor is another key and the right answer' "$status $asked" '255 0'
f_ssh "$me" 'echo in; exit 7'
is 'both are' $status 7
is 'one question was asked' "$asked" 1
is 'the record names both' "$(last .credential.methods)" publickey,keyboard-interactive
is 'and what the first was' "$(last .credential.type)" key
is 'so does the event' "$(last_event auth.allowed .methods)" publickey,keyboard-interactive
echo content >"$RIG/file"
# shellcheck disable=SC2046
ask scp $(f_opts) -P "$bastion_port" "$RIG/file" "$me:$RIG/by-scp"
is 'scp asks and copies' "$status $(cat "$RIG/by-scp")" '0 content'
ask rsync -e "ssh $(f_opts) -p $bastion_port" "$RIG/file" "$me:$RIG/by-rsync"
is 'rsync does' "$status $(cat "$RIG/by-rsync")" '0 content'
# shellcheck disable=SC2046
ask sftp $(f_opts) -b /dev/null -P "$bastion_port" "$me"
is 'sftp does' "$status $asked" '0 1'

# C20: a certificate that does not hold here is no first factor: PAM is not reached behind it. One that does is.
certify far -O source-address=10.0.0.0/8
certify near -O source-address=127.0.0.0/8
denials=$(events auth.denied .reason | grep -c '^source-address$')
IDENTITY=$RIG/far f_ssh "$me" 'echo in'
is 'C20 source-address: not from here, and PAM is not asked' "$status $asked" '255 0'
is 'C20 that is the reason' "$(events auth.denied .reason | grep -c '^source-address$')" $((denials + 1))
IDENTITY=$RIG/near f_ssh "$me" 'echo in'
is 'C20 one for this address: asked, and in' "$status $asked" '0 1'

# The order is the chain's.
configure '[[keyboard-interactive, publickey]]'
f_ssh "$me" 'echo in'
is 'the other way round works as well' "$status $(last .credential.methods)" '0 keyboard-interactive,publickey'
IDENTITY=$RIG/far f_ssh "$me" 'echo in'
is 'C20 source-address: PAM before it does not help' "$status $asked" '255 1'
METHODS=publickey f_ssh "$me" 'echo in'
is 'a key does not come first there' $status 255

# A rule asks.
configure '[publickey]'
METHODS=publickey f_ssh "$me" 'echo in'
is 'a host whose rule does not ask takes a key alone' $status 0
METHODS=publickey f_ssh "$safe" 'echo in'
is 'one whose rule asks does not' $status 255
METHODS=keyboard-interactive f_ssh "$safe" 'echo in'
is 'and takes no PAM alone' "$status $asked" '255 0'
f_ssh "$safe" 'echo in'
is 'both together do' "$status $asked" '0 1'
like 'and the command ran' "$text" '^in$'
is 'by that rule' "$(last .rule)" mfa
echo wrong >"$RIG/code"
f_ssh "$safe" 'echo in'
is 'a wrong answer does not' $status 255
# shellcheck disable=SC2046
ask sftp $(f_opts) -o BatchMode=no -P "$bastion_port" "$safe"
is 'not even for what a wide rule would give' $status 255
echo 4711 >"$RIG/code"
# shellcheck disable=SC2046
ask scp $(f_opts) -P "$bastion_port" "$RIG/file" "$safe:$RIG/by-scp2"
[ "$status" = 0 ] || note "$text"
is 'scp asks for it, too' "$status $asked $(cat "$RIG/by-scp2")" '0 1 content'
is 'explain says that one is needed' "$(ctl policy explain alice safe --json | jq -c '[.allowed, .mfa]')" '[true,true]'
is 'and where none is' "$(ctl policy explain alice t1 --json | jq -c '[.allowed, .mfa]')" '[true,false]'

# One connection for several sessions.
: >"$RIG/prompts"
# shellcheck disable=SC2046
SSH_ASKPASS=$RIG/askpass SSH_ASKPASS_REQUIRE=force ssh $(f_opts) -p "$bastion_port" -o ControlMaster=yes \
	-o "ControlPath=$RIG/mux" -f -N "$safe" </dev/null 2>"$RIG/mux.log"
is 'a master asks' "$? $(grep -c . "$RIG/prompts")" '0 1'
for n in 1 2; do
	is "and session $n does not" "$(b_ssh -o "ControlPath=$RIG/mux" "$safe" "echo $n")" "$n"
done
is 'it was one question' "$(grep -c . "$RIG/prompts")" 1
ssh -o "ControlPath=$RIG/mux" -O exit "$safe" 2>>"$RIG/mux.log"

# ssh -J: the inner login asks for what the outer one did not have.
cat >"$RIG/ssh_config" <<CONF
Host jump
	HostName 127.0.0.1
	Port $bastion_port
	User alice
Host t1 safe
	User $rig_me
	ProxyJump jump
Host *
	IdentityFile $RIG/alice
	IdentitiesOnly yes
	IdentityAgent none
	StrictHostKeyChecking accept-new
	UserKnownHostsFile $RIG/known_hosts
	NumberOfPasswordPrompts 1
	PreferredAuthentications publickey,keyboard-interactive
CONF
ask ssh -F "$RIG/ssh_config" t1 'echo in'
is '-J to a host that does not ask' "$status $asked" '0 0'
ask ssh -F "$RIG/ssh_config" safe 'echo in'
is '-J to one that asks: a question' "$status $asked" '0 1'
is 'the record names both methods' "$(last '[.rule, .credential.methods] | join(" ")')" 'mfa publickey,keyboard-interactive'
echo wrong >"$RIG/code"
ask ssh -F "$RIG/ssh_config" safe 'echo in'
is 'and a wrong answer is none' $status 255
echo 4711 >"$RIG/code"
ask ssh -F "$RIG/ssh_config" -o KbdInteractiveAuthentication=no safe 'echo in'
is 'nor is no answer' "$status" 255

# What a certificate forbids holds behind the second factor.
IDENTITY=$RIG/far f_ssh "$safe" 'echo in'
is 'source-address: not from here' "$status $asked" '255 0'
certify forced -O force-command='echo forced'
IDENTITY=$RIG/forced f_ssh "$safe" 'echo in'
is 'force-command: that runs, and nothing else' "$status $asked $(echo "$text" | tail -n 1)" '0 1 forced'
certify bare -O clear
IDENTITY=$RIG/bare f_ssh -tt "$safe" 'echo in'
like 'no permit-pty: no terminal' "$text" 'PTY allocation request failed'
certify soon -V -1m:+3s
# Not before it is over is the question answered.
cat >"$RIG/askpass-late" <<SH
#!/bin/sh
echo "\$1" >>"$RIG/prompts"
while ! ssh-keygen -L -f "$RIG/soon-cert.pub" | awk '/Valid:/ {print \$5}' | { read -r t; [ "\$(date +%Y-%m-%dT%H:%M:%S)" \> "\$t" ]; }; do sleep 0.2; done
cat "$RIG/code"
SH
chmod +x "$RIG/askpass-late"
: >"$RIG/prompts"
# shellcheck disable=SC2046
text=$(IDENTITY=$RIG/soon && SSH_ASKPASS=$RIG/askpass-late SSH_ASKPASS_REQUIRE=force timeout 60 ssh $(f_opts) \
	-p "$bastion_port" "$safe" 'echo in' 2>&1 </dev/null)
is 'one that expires while PAM asks lets nobody in' "$? $(grep -c . "$RIG/prompts")" '255 1'
is 'and that is the reason' "$(last_event auth.denied .reason)" certificate-time

# The same person: PAM was asked about who the key proved, and stays with that.
cat >"$RIG/pam/test" <<PAM
auth required $RIG/pam/pam_play.so user:mallory
account required $RIG/pam/pam_play.so
PAM
f_ssh "$safe" 'echo in'
is 'PAM that names another one: no' "$status $(last_event auth.denied .reason)" '255 pam-user-changed'
cat >"$RIG/pam/test" <<PAM
auth required $RIG/pam/pam_play.so [hidden:Code: =4711]
account required $RIG/pam/pam_play.so
PAM

# From the list of hosts: asked for on its terminal, once for the connection.
cat >"$RIG/term" <<SH
#!/bin/sh
ssh -tt $(rig_opts) -p $bastion_port alice@127.0.0.1
exec sleep 60
SH
chmod +x "$RIG/term"
t_mux() { tmux -S "$RIG/tmux" "$@"; }
shows() { t_mux capture-pane -p -t a | grep -Eq -- "$1"; }
asks() { t_mux capture-pane -p -t a | grep . | tail -n 1 | grep -q '^Code:'; }
keys() { t_mux send-keys -t a "$@"; }
if command -v tmux >/dev/null; then
	t_mux -f /dev/null new-session -d -s a -x 80 -y 24 "$RIG/term"
	ok 'a list of hosts' wait_for 10 shows '2 of 2 hosts'
	keys safe Enter
	ok 'a host whose rule asks is asked for' wait_for 10 asks
	keys 0815 Enter
	ok 'a wrong answer leads back to the list' wait_for 10 shows 'second factor was not accepted; reference'
	unlike 'and was not shown' "$(t_mux capture-pane -p -t a)" 0815
	ok 'where it can be chosen again' wait_for 10 shows '> safe'
	keys Enter
	ok 'asked anew' wait_for 10 asks
	keys 4711 Enter
	on_host() {
		keys 'echo $((6 * 7))on' Enter
		wait_for 2 shows '^42on'
	}
	ok 'the right one connects' wait_for 15 on_host
	is 'both methods are in the record' "$(ctl sessions list --json | jq -r '[.[] | select(.state == "open" and .host == "safe")][-1].credential.methods')" publickey,keyboard-interactive
	t_mux kill-session -t a
else
	for n in 1 2 3 4 5 6 7 8; do pass "the list of hosts $n # SKIP there is no tmux"; done
fi

# Who has nothing but unknown keys.
IDENTITY=$RIG/mallory f_ssh "$me" 'echo in'
unlike 'is told nothing' "$text" 'reference'
configure '[publickey]' ', explain: true'
IDENTITY=$RIG/mallory f_ssh "$me" 'echo in'
like 'but the reference with login.explain' "$text" 'access denied; reference [0-9a-f]*'
is 'and is asked nothing' "$asked" 0
f_ssh "$me" 'echo in'
is 'who has a key gets in as before' "$status $asked" '0 0'

# Other clients.
configure '[keyboard-interactive]'
if command -v dbclient >/dev/null; then
	# It wants a terminal: script(1) has one.
	text=$( { sleep 2; echo 4711; sleep 2; } | HOME=$RIG timeout 30 script -qec \
		"dbclient -y -y -p $bastion_port $me 'echo by dbclient'" /dev/null 2>&1)
	like 'dbclient' "$text" 'by dbclient'
else
	pass 'dbclient # SKIP not installed'
fi
if command -v plink >/dev/null; then
	key=$(ssh-keygen -lf "$RIG/known_hosts" 2>/dev/null | awk '/ED25519/ {print $2; exit}')
	text=$(echo 4711 | HOME=$RIG timeout 30 plink -hostkey "$key" -P "$bastion_port" "$me" 'echo by plink' 2>&1)
	like 'plink' "$text" 'by plink'
	cat >"$RIG/pam/test" <<-PAM
		auth required $RIG/pam/pam_play.so [info:Only a text]
		account required $RIG/pam/pam_play.so
	PAM
	text=$(HOME=$RIG timeout 30 plink -batch -hostkey "$key" -P "$bastion_port" "$me" 'echo by plink' 2>&1 </dev/null)
	like 'plink -batch, where nothing is asked' "$text" 'by plink'
	like 'and it shows the text' "$text" 'Only a text'
else
	for n in 1 2 3; do pass "plink $n # SKIP not installed"; done
fi
METHODS=keyboard-interactive f_ssh "$me" 'echo in'
ok 'everything verifies' ctl verify --all
tap_end
