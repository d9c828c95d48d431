#!/bin/sh
# Small truths: how programs end, who reads no more, who says nothing for long, what a target says first. Each is held
# against the same client without the bastion.
# shellcheck disable=SC2046 # options are words
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 31

rig_init
printf 'keepalive: {interval: 1s, missed: 2}\n' >>"$RIG/b/bastiond.yaml"
printf 'Authorized people only.\r\n\n\033[31mNo others.\n' >"$RIG/banner"
printf '%s\n' 'Ciphers aes128-ctr,aes256-ctr' 'MACs hmac-sha1,hmac-sha2-512,hmac-sha2-256' >"$RIG/old.more"
rig_target old - <"$RIG/old.more"
printf '%s\n' "Banner $RIG/banner" 'ClientAliveInterval 1' 'ClientAliveCountMax 2' >"$RIG/t1.more"
rig_target t1 - <"$RIG/t1.more"
rig_direct_key t1
rig_policy
rig_start || exit 1

# same NAME COMMAND [input]: output, errors and exit status are as without the bastion
same() {
	same_name=$1
	printf '%s' "${3-}" | direct t1 "$2" >"$RIG/d.out" 2>"$RIG/d.err"
	same_direct=$?
	printf '%s' "${3-}" | timeout 60 ssh $(rig_opts) -p "$bastion_port" "$(to t1)" "$2" >"$RIG/b.out" 2>"$RIG/b.err"
	is "$same_name" "exit $?, $(sha256sum <"$RIG/b.out" | cut -c1-16)$(sha256sum <"$RIG/b.err" | cut -c1-16)" \
		"exit $same_direct, $(sha256sum <"$RIG/d.out" | cut -c1-16)$(sha256sum <"$RIG/d.err" | cut -c1-16)"
	cat "$RIG/b.err" >>"$RIG/err.log"
}
b_ssh -n "$(to t1)" true 2>/dev/null # the host key is known from here on
direct t1 true 2>/dev/null </dev/null

# A host with CTR ciphers and no MAC of the newer kind.
is 'an old host is reached' "$(b_ssh -n "$(to old)" 'head -c 100000 /dev/zero | md5sum')" "$(head -c 100000 /dev/zero | md5sum)"
# agreed: what the last session's back has agreed on with its host, from the record
agreed() {
	agreed_sid=$(last_sid)
	wait_for 10 session_closed "$agreed_sid"
	ctl export "$agreed_sid" --format json |
		jq -r '.events[] | select(.type == "note" and .way == "back") | .payload | @base64d' | tr -d '\0'
}
like 'by what it has' "$(agreed)" 'aes256-ctr hmac-sha2-256( |$)'
b_ssh -n "$(to t1)" true
like 'a newer one gets better' "$(agreed)" 'aes[0-9]*-gcm@openssh.com '

same 'nothing at all' true
same 'a status' 'exit 7'
same 'a signal' 'kill -KILL $$'
same 'both streams' 'echo out; echo err >&2; echo out again'
same 'output after the exit status' '(sleep 1; echo late; echo later >&2) & exit 3'
same 'the end of output before the end' 'exec >&- 2>&-; sleep 1; exit 5'
same 'one stream ends before the other' 'exec >&-; sleep 1; echo err >&2; exit 4'
same 'input that nobody reads' 'exit 2' "$(head -c 100000 /dev/zero | tr '\0' x)"
same 'input to its end' 'cat; echo end' 'without a newline'
same 'input that is read in part' 'head -c 3' 'abcdefgh'
same 'no input' 'cat | wc -c'
same 'bytes of all kinds' 'head -c 300000 /dev/zero; printf "\000\377\r\n\033[2J"'
same 'one byte at a time' 'for i in 1 2 3 4 5 6 7 8 9; do printf $i; sleep 0.02; done'
same 'a command with every byte of a name' "printf '%s' 'a\"b\$c\`d é \\'"

# The client writes on while the program reads no more: it is told, and ends.
is 'an endless writer is told that nobody reads' "$(yes | timeout 20 ssh $(rig_opts) -p "$bastion_port" "$(to t1)" 'head -n 1; exit 6'
	echo "$?")" 'y
6'
# The client reads no more: the program is told.
is 'an endless reader is left' "$(timeout 20 ssh -n $(rig_opts) -p "$bastion_port" "$(to t1)" 'yes' | head -n 1)" y
is 'a client that closes its output gets the status' "$(timeout 20 ssh -n $(rig_opts) -p "$bastion_port" "$(to t1)" 'sleep 1; exit 9' >&-
	echo "$?")" 9

# A client that reads slowly: nothing is lost, and nobody else waits.
(timeout 60 ssh -n $(rig_opts) -p "$bastion_port" "$(to t1)" 'head -c 12000000 /dev/zero' |
	python3 -c 'import sys, time, hashlib
h = hashlib.sha256(); n = 0
while True:
    d = sys.stdin.buffer.read(1000000)
    if not d: break
    h.update(d); n += len(d); time.sleep(0.2)
print(n)' >"$RIG/slow") &
slow=$!
started=$(date +%s)
is 'while one reads slowly' "$(b_ssh -n "$(to t1)" 'echo quick')" quick
ok 'others do not' [ $(($(date +%s) - started)) -lt 3 ]
wait "$slow"
is 'and it gets everything' "$(cat "$RIG/slow")" 12000000

# Signs of life in all four directions: client, bastion, target each ask every second.
is 'silence is not death' "$(b_ssh -n -o ServerAliveInterval=1 -o ServerAliveCountMax=2 "$(to t1)" 'sleep 5; echo alive')" alive
# A target that is stopped is one that is dead.
b_exec -n "$(to t1)" 'sleep 100' >"$RIG/dead.out" 2>"$RIG/dead.err" &
client=$!
rig_pids="$client $rig_pids"
running() { pgrep -f "^sleep 100$" >/dev/null; }
ok 'a session' wait_for 10 running
# shellcheck disable=SC2154 # set by rig_target
stopped=$(for p in $(tree "$rig_pid_t1"); do [ "$p" = "$rig_pid_t1" ] || echo "$p"; done)
# shellcheck disable=SC2086 # a list
kill -STOP $stopped
ended() { ! kill -0 "$client" 2>/dev/null; }
ok 'a dead target is noticed within the time that is configured' wait_for 8 ended
wait "$client"
is 'its status' $? 255
like 'its line' "$(cat "$RIG/dead.err")" 'no answer for too long'
# shellcheck disable=SC2086
kill -CONT $stopped 2>/dev/null

# What a target says at the login.
is 'a terminal shows it in plain' "$(b_ssh -tt "$(to t1)" true 2>&1 </dev/null | tr -d '\r' | head -n 3)" 'Authorized people only.

?[31mNo others.'
is 'a pipe does not' "$(b_ssh -n "$(to t1)" true 2>&1)" ''
is 'but the record has it' "$(wait_for 10 session_closed "$(last_sid)"; ctl export "$(last_sid)" --format json 2>/dev/null | grep -c 'Authorized')" 1
