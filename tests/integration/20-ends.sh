#!/bin/sh
# Front and back alone, between a stock client and a stock sshd: bastion-ends plays broker, policy, vault and recorder, and
# OpenSSH's own agent judges what a back shows it of its target.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 67

rig_key "$RIG/alice"
rig_key "$RIG/fleet"
rig_key "$RIG/other"
agent_out=$(ssh-agent -a "$RIG/agent")
rig_pids=$(echo "$agent_out" | sed -n 's/^SSH_AGENT_PID=\([0-9]*\);.*/\1/p')
SSH_AUTH_SOCK=$RIG/agent ssh-add -q "$RIG/fleet" 2>/dev/null
rig_target t1
rig_target strange
rig_target closed
echo >"$RIG/closed/authorized_keys"
rig_direct_key t1

blob() { cut -d' ' -f2 "$1"; }
# shellcheck disable=SC2154 # set by rig_target
"$BASTION_BIN/bastion-ends" "$BASTION_BIN" "$RIG/agent" "$RIG/link.log" 300 \
	"t1=127.0.0.1:$rig_port_t1=$(blob "$RIG/t1/host_key.pub")" \
	"strange=127.0.0.1:$rig_port_strange=$(blob "$RIG/other.pub")" \
	"closed=127.0.0.1:$rig_port_closed=$(blob "$RIG/closed/host_key.pub")" \
	"away=127.0.0.1:1=$(blob "$RIG/other.pub")" \
	"self=0.0.0.0:22=$(blob "$RIG/other.pub")" >"$RIG/ends.out" 2>"$RIG/ends.log" &
ends_pid=$!
rig_pids="$ends_pid $rig_pids"
ok 'the ends have a driver' wait_for 10 grep -q '^ready' "$RIG/ends.out"
bastion_port=$(sed -n 's/^ready //p' "$RIG/ends.out")

ends_left() { pgrep -P "$ends_pid" -f 'bastiond-(front|back)'; }
no_ends_left() { [ -z "$(ends_left)" ]; }
# told LINE EXIT HOST [command]: what the user hears, on stderr and as exit status
told() {
	told_line=$1 told_exit=$2
	shift 2
	b_ssh -n "$@" >"$RIG/out" 2>"$RIG/err"
	told_got=$?
	[ "$(cat "$RIG/err")" = "$told_line" ] && [ $told_got = "$told_exit" ] && [ ! -s "$RIG/out" ] && return 0
	note "exit $told_got: $(cat "$RIG/err")"
	return 1
}

# Commands.
is 'output arrives' "$(b_ssh "$(to t1)" 'echo hello')" hello
for code in 0 7 255; do
	b_ssh "$(to t1)" "exit $code" 2>/dev/null
	is "exit status $code" $? $code
done
b_ssh "$(to t1)" 'kill -TERM $$' 2>/dev/null
is 'death by a signal ends ssh with 255, as it does directly' $? 255
ok 'the signal crossed as such' grep -q 'back type=27 channel=1 .*TERM' "$RIG/link.log"
b_ssh "$(to t1)" 'echo out; echo err >&2' >"$RIG/out" 2>"$RIG/err"
is 'stdout is apart' "$(cat "$RIG/out")" out
is 'stderr is apart' "$(cat "$RIG/err")" err
is 'half-close: the command goes on after its input ended' \
	"$(printf 'one two' | b_ssh "$(to t1)" 'cat | sha256sum; echo done')" \
	"$(printf "one two" | sha256sum; echo "done")"
# shellcheck disable=SC1010
is 'no input at all' "$(b_ssh -n "$(to t1)" 'cat; echo done')" done
is 'a variable crosses' "$(LC_TEST=x b_ssh -o SendEnv=LC_TEST "$(to t1)" 'echo $LC_TEST')" x
both() { # the same command with and without the bastion
	b_ssh "$(to t1)" "$1" >"$RIG/via.out" 2>"$RIG/via.err" </dev/null
	echo $? >>"$RIG/via.out"
	direct t1 "$1" >"$RIG/plain.out" 2>"$RIG/plain.err" </dev/null
	echo $? >>"$RIG/plain.out"
	cmp -s "$RIG/via.out" "$RIG/plain.out" && cmp -s "$RIG/via.err" "$RIG/plain.err"
}
ok 'many small pieces of both streams are as without the bastion' \
	both 'i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo out $i; echo err $i >&2; done; exit 3'
ok 'bytes of every value too' both 'head -c 3000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null'
ok 'a program that closes its output early' both 'exec >&- 2>&-; sleep 0.2; exit 9'
ok 'a program that the client stops reading' sh -c "ssh $(rig_opts) -p $bastion_port $(to t1) yes 2>/dev/null | head -n 1000 >/dev/null"

# Terminals.
tty_of() {
	TERM=xterm script -qec "stty rows 33 cols 101 -ixon iutf8 erase ^H; $*" /dev/null </dev/null | tr -d '\r'
}
cat >"$RIG/via" <<SH
#!/bin/sh
exec ssh $(rig_opts) -p $bastion_port -tt $(to t1) "\$@"
SH
cat >"$RIG/plain" <<SH
#!/bin/sh
exec ssh $(IDENTITY=$RIG/direct rig_opts) -p $rig_port_t1 -tt $rig_me@127.0.0.1 "\$@"
SH
chmod +x "$RIG/via" "$RIG/plain"
tty_of "$RIG/plain 'stty -a; echo \$TERM'" >"$RIG/modes.plain"
tty_of "$RIG/via 'stty -a; echo \$TERM'" >"$RIG/modes.via"
like 'the terminal has its size' "$(cat "$RIG/modes.via")" 'rows 33; columns 101'
is 'all terminal modes are as without the bastion' "$(cat "$RIG/modes.via")" "$(cat "$RIG/modes.plain")"
shows() { tmux -S "$RIG/tmux" capture-pane -p -t t | grep -q -- "$1"; }
tmux -S "$RIG/tmux" -f /dev/null new-session -d -s t -x 90 -y 24 "$RIG/via 'trap \"stty size\" WINCH; echo up; while :; do sleep 0.05; done'"
ok 'a terminal starts' wait_for 15 shows '^up'
tmux -S "$RIG/tmux" resize-window -t t -x 111 -y 31
ok 'a resize arrives' wait_for 10 shows '^31 111'
tmux -S "$RIG/tmux" send-keys -t t C-c
gone() { ! tmux -S "$RIG/tmux" has-session -t t; }
ok 'a key ends it' wait_for 10 gone

# Volume.
head -c 100000000 /dev/urandom >"$RIG/big"
big=$(sha256sum <"$RIG/big")
is '100 MB up' "$(b_ssh "$(to t1)" sha256sum <"$RIG/big")" "$big"
is '100 MB down' "$(b_ssh -n "$(to t1)" "cat $RIG/big" | sha256sum)" "$big"
is '20 MB both ways at once' "$(head -c 20000000 "$RIG/big" | b_ssh "$(to t1)" cat | sha256sum)" \
	"$(head -c 20000000 "$RIG/big" | sha256sum)"
is 'a slow reader loses nothing' \
	"$(b_ssh -n "$(to t1)" "head -c 20000000 $RIG/big" | (sleep 1; sha256sum))" \
	"$(head -c 20000000 "$RIG/big" | sha256sum)"
is 'new keys every megabyte' \
	"$(head -c 20000000 "$RIG/big" | b_ssh -o RekeyLimit=1M "$(to t1)" cat | sha256sum)" \
	"$(head -c 20000000 "$RIG/big" | sha256sum)"

# Files.
head -c 20000000 "$RIG/big" >"$RIG/file"
sftp_both() {
	# shellcheck disable=SC2046
	printf 'put %s %s\nget %s %s\n' "$RIG/file" "$RIG/put" "$RIG/put" "$RIG/get" |
		sftp -q -b - $(rig_opts) -P "$bastion_port" "$(to t1)" >/dev/null && cmp "$RIG/file" "$RIG/get"
}
ok 'sftp both ways' sftp_both
for mode in -s -O; do
	rm -f "$RIG/put" "$RIG/get"
	# shellcheck disable=SC2046
	scp -q $mode $(rig_opts) -P "$bastion_port" "$RIG/file" "$(to t1):$RIG/put" &&
		scp -q $mode $(rig_opts) -P "$bastion_port" "$(to t1):$RIG/put" "$RIG/get"
	ok "scp $mode both ways" cmp "$RIG/file" "$RIG/get"
done
rm -f "$RIG/put" "$RIG/get"

# Many channels.
mux() {
	# shellcheck disable=SC2046
	ssh $(rig_opts) -p "$bastion_port" -o ControlPath="$RIG/cm" "$@"
}
mux -o ControlMaster=yes -fN "$(to t1)"
ok 'a master connects' wait_for 10 test -S "$RIG/cm"
before=$(grep -c 'front type=31' "$RIG/link.log")
many() {
	many_bad=0
	for i in 1 2 3 4 5 6 7; do
		mux -n -o ControlMaster=no "$(to t1)" "head -c 4000000 /dev/zero | tr '\\0' $i; exit $i" >"$RIG/out.$i" &
		eval "many_$i=$!"
	done
	for i in 1 2 3 4 5 6 7; do
		eval "wait \$many_$i"
		[ $? = $i ] || many_bad=1
		[ "$(wc -c <"$RIG/out.$i")" = 4000000 ] && [ "$(tr -d $i <"$RIG/out.$i" | wc -c)" = 0 ] || many_bad=1
	done
	[ $many_bad = 0 ]
}
ok 'seven channels at once: own bytes, own exit status' many
ok 'and again, on new numbers' many
not_ok 'a forward is refused' mux -O forward -L "$RIG/fwd:127.0.0.1:22" -o ExitOnForwardFailure=yes "$(to t1)" -W 127.0.0.1:22 </dev/null 2>/dev/null
is 'all of them on one connection' "$(grep -c 'front type=31' "$RIG/link.log")" "$before"
mux -O exit "$(to t1)" 2>/dev/null
ok 'nothing is left when the master has gone' wait_for 10 no_ends_left

# Jumps: another connection in a channel of one without a host; many at once, both ways, to their ends.
cat >"$RIG/jump_config" <<EOF
Host *
	StrictHostKeyChecking no
	UserKnownHostsFile /dev/null
	LogLevel ERROR
	IdentityFile $RIG/alice
	IdentitiesOnly yes
	BatchMode yes
Host outer
	HostName 127.0.0.1
	Port $bastion_port
	User $rig_me
	ControlPath $RIG/outer.sock
Host t1 nowhere
	User $rig_me+t1
	ProxyJump outer
EOF
jump() { timeout 60 ssh -F "$RIG/jump_config" "$@"; }
is 'a session inside a jump' "$(jump t1 'echo inside')" inside
jump -n t1 'exit 7'
is 'its exit status' $? 7
like 'a jump that is refused' "$(jump -n -o LogLevel=INFO -o ProxyJump=none -o ProxyCommand="ssh -F $RIG/jump_config -o LogLevel=INFO -W %h:%p outer" nowhere true 2>&1)" 'administratively prohibited: no such target'
head -c 8000000 /dev/urandom >"$RIG/big"
is '8 MB come back as they went' "$(jump t1 cat <"$RIG/big" | sha256sum)" "$(sha256sum <"$RIG/big")"
ok 'a connection that has no channel stays' jump -fNM outer
is 'jumps share it' "$(jump t1 'echo first'; jump -o ProxyJump=none -o ProxyCommand="ssh -F $RIG/jump_config -W %h:%p outer" t1 'echo second')" 'first
second'
for i in 1 2 3 4 5 6; do
	jump t1 'cat | sha256sum' <"$RIG/big" >"$RIG/jump.$i" &
	jump_pids="$jump_pids $!"
done
# shellcheck disable=SC2086 # a list
wait $jump_pids
is 'six at once, through one connection' "$(cat "$RIG"/jump.[1-6] | uniq)" "$(sha256sum <"$RIG/big")"
like 'a session on it hears that there is no shell' "$(jump outer true 2>&1)" 'there is no shell here'
is 'and it goes on' "$(jump t1 'echo on')" on
ok 'it ends when its client wants' jump -O exit outer 2>/dev/null

# Refusals.
not_ok 'a refused login' b_ssh -n nobody+t1@127.0.0.1 true 2>/dev/null
ok 'no host, no shell' told 'bastiond: there is no shell here' 254 \
	"$rig_me@127.0.0.1" true
ok 'no link' told 'bastiond: no such host; reference 0123abcd' 255 "$(to shut)" true
ok 'a denied command' told 'bastiond: not this one' 254 "$(to t1)" 'denied really'
ok 'a target that is not there' told 'bastiond: away: connection refused; reference 0123abcd' 255 "$(to away)" true
ok 'an address that is none' \
	told 'bastiond: self: its address is no address of a host; reference 0123abcd' 255 "$(to self)" true
ok 'a target that lets the vault not in' \
	told "bastiond: closed: it refused the login of $rig_me with the bastion's key (it offers publickey): is the key in \
authorized_keys there?; reference 0123abcd" 255 "$(to closed)" true
b_ssh -n "$(to strange)" true 2>"$RIG/err"
is 'a target with another host key: exit status' $? 255
finger() { ssh-keygen -lf "$1" | cut -d' ' -f2; }
ok 'a target with another host key: both keys are named' grep -Fq \
	"host key of strange is not the pinned one: expected $(finger "$RIG/other.pub"), got $(finger "$RIG/strange/host_key.pub");" \
	"$RIG/err"
not_ok 'a target with another host key: it heard of no login' grep -q 'userauth\|Accepted\|Failed\|user ' "$RIG/sshd-strange.log"
like 'a forward at the target' "$(b_ssh -n -W "127.0.0.1:$rig_port_t1" "$(to t1)" | head -n 1)" '^SSH-2.0-'
# shellcheck disable=SC2046 # options are words
like 'one that the target refuses' "$(ssh $(rig_opts | sed 's/LogLevel=ERROR/LogLevel=INFO/') -p "$bastion_port" \
	-n -W 127.0.0.1:1 "$(to t1)" 2>&1)" 'open failed: connect failed: Connection refused'
ok 'and the record knows that too' wait_for 10 grep -q 'back type=18 channel=.*Connection refused' "$RIG/link.log"

# Sudden ends.
talk() {
	rm -f "$RIG/talk"
	# Not by a function: its subshell would be what is killed.
	# shellcheck disable=SC2046
	ssh -n $(rig_opts) -p "$bastion_port" "$(to t1)" 'i=0; while :; do i=$((i + 1)); echo "line $i"; done' >"$RIG/talk" 2>"$RIG/talk.err" &
	talk_pid=$!
	wait_for 10 test -s "$RIG/talk"
}
pid_of() { pgrep -P "$ends_pid" -f "bastiond-$1"; }
talk
kill -KILL $talk_pid
wait $talk_pid 2>/dev/null
ok 'client killed: nothing is left' wait_for 10 no_ends_left
talk
# shellcheck disable=SC2046,SC2154
kill -KILL $(tree "$rig_pid_t1" | tail -n +2)
wait $talk_pid
is 'target killed: the exit status' $? 255
like 'target killed: the user is told' "$(cat "$RIG/talk.err")" '^bastiond: t1: the target closed the connection; reference'
talk
kill -USR1 "$ends_pid"
wait $talk_pid
like 'recorder gone: the user is told' "$(cat "$RIG/talk.err")" '^bastiond: recording stopped: session ended; reference'
ok 'recorder gone: nothing is left' wait_for 10 no_ends_left
talk
kill -USR2 "$ends_pid"
wait $talk_pid
like 'the bastion stops: the user is told' "$(cat "$RIG/talk.err")" '^bastiond: the bastion is stopping'
ok 'the bastion stops: nothing is left' wait_for 10 no_ends_left
is 'the next session works' "$(b_ssh "$(to t1)" 'echo on')" on
ok 'every program ended in order' sh -c "! grep -E 'exit [1-9]|signal' '$RIG/link.log' | grep -v type="

tap_end
