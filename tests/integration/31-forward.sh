#!/bin/sh
# Forwards with stock ssh: each that a rule allows works and is in the record; each that none allows is refused with a line.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 55

# What is reached: what comes is sent back in capitals, until it ends. A port and a socket; and a client for both.
cat >"$RIG/upper.py" <<'PY'
import os, socket, sys, threading
def serve(c):
    while True:
        d = c.recv(65536)
        if not d:
            break
        c.sendall(d.upper())
    c.close()
def listen(s):
    s.listen(64)
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
t = socket.socket()
t.bind(("127.0.0.1", 0))
u = socket.socket(socket.AF_UNIX)
u.bind(sys.argv[1])
threading.Thread(target=listen, args=(u,), daemon=True).start()
print("ready", t.getsockname()[1], flush=True)
listen(t)
PY
cat >"$RIG/talk.py" <<'PY'
import socket, sys
where = sys.argv[1]
s = socket.socket(socket.AF_UNIX if where.startswith("/") else socket.AF_INET)
s.settimeout(20)
s.connect(where if where.startswith("/") else ("127.0.0.1", int(where)))
data = sys.stdin.buffer.read()
import threading
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while True:
    d = s.recv(65536)
    if not d:
        break
    sys.stdout.buffer.write(d)
PY
python3 "$RIG/upper.py" "$RIG/up.sock" >"$RIG/upper.out" 2>"$RIG/upper.log" &
rig_pids=$!
ok 'something to reach' wait_for 10 grep -q '^ready' "$RIG/upper.out"
up=$(cut -d' ' -f2 "$RIG/upper.out")
talk() { printf '%s' "$2" | timeout 30 python3 "$RIG/talk.py" "$1" 2>/dev/null; }
is 'it answers' "$(talk "$up" hello)" HELLO

rig_init
for t in t1 t2; do
	printf '%s\n' 'X11Forwarding yes' 'X11UseLocalhost yes' "SetEnv XAUTHORITY=$RIG/$t.xauth" \
		'StreamLocalBindUnlink yes' >"$RIG/$t.more"
	rig_target "$t" - <"$RIG/$t.more"
done
fixed=$(rig_port)
other=$(rig_port)
cat >"$RIG/rules.yaml" <<YAML
  - name: forwards
    who: {groups: [sre]}
    where: {hosts: [t1]}
    as: [$rig_me]
    may:
      - shell
      - exec
      - agent
      - x11
      - {forward: ["127.0.0.1:$up", "127.0.0.1:$other", "127.0.0.1:$rig_port_t1", "unix:$RIG/up.sock"]}
      - {remote_forward: ["localhost:$fixed", "localhost:0", "unix:$RIG/there.sock"]}
  - name: plain
    who: {groups: [sre]}
    where: {hosts: [t2]}
    as: [$rig_me]
    may: [shell, exec]
YAML
rig_policy
rig_start || exit 1
is 'a session' "$(b_ssh "$(to t1)" echo here)" here

# loud_ssh and agent_ssh: with what a client says about forwards; with the agent
# shellcheck disable=SC2046 # options are words
loud_ssh() { ssh $(rig_opts | sed 's/LogLevel=ERROR/LogLevel=INFO/') -p "$bastion_port" "$@"; }
# shellcheck disable=SC2046
agent_ssh() { ssh $(rig_opts | sed "s|IdentityAgent=none|IdentityAgent=$RIG/agent|") -A -p "$bastion_port" "$@"; }

# hold LOG [ssh options]: a client in the background, until let_go
hold() {
	hold_log=$1
	shift
	# shellcheck disable=SC2046
	(exec ssh $(rig_opts | sed 's/LogLevel=ERROR/LogLevel=INFO/') -o ExitOnForwardFailure=yes -p "$bastion_port" \
		"$@" >"$hold_log" 2>&1 </dev/null) &
	held=$!
	rig_pids="$held $rig_pids"
}
let_go() {
	kill "$held" 2>/dev/null
	wait "$held" 2>/dev/null
}
listens() { python3 -c 'import socket, sys
p = sys.argv[1]
s = socket.socket(socket.AF_UNIX if p.startswith("/") else socket.AF_INET)
s.connect(p if p.startswith("/") else ("127.0.0.1", int(p)))' "$1" 2>/dev/null; }
# kinds: the channels of the newest session
kinds() { ctl sessions show "$(last_sid)" --json | jq -r '.channels[].kind' | sort | uniq -c | sed 's/^ *//'; }
closed_last() { session_closed "$(last_sid)"; }

# -W
is '-W reaches what a rule allows' "$(printf 'through' | b_ssh -W "127.0.0.1:$up" "$(to t1)")" THROUGH
wait_for 20 closed_last
is 'it is in the record as a channel' "$(kinds)" '1 direct-tcpip'
is 'with its bytes' "$(ctl sessions show "$(last_sid)" --json | jq -r '.channels[0] | "\(.bytes_in) \(.bytes_out)"')" '7 7'
like 'by default it does not' "$(loud_ssh -n -W "127.0.0.1:$up" "$(to t2)" 2>&1)" \
	'administratively prohibited: .*not allowed'
like 'nor to another port' "$(loud_ssh -n -W 127.0.0.1:1 "$(to t1)" 2>&1)" \
	'administratively prohibited: .*not allowed'
like "a target's own refusal is told as it is" "$(loud_ssh -n -W "127.0.0.1:$other" "$(to t1)" 2>&1)" \
	'connect failed: Connection refused'

# -L
here=$(rig_port)
hold "$RIG/L.log" -N -L "$here:127.0.0.1:$up" -L "$RIG/here.sock:$RIG/up.sock" "$(to t1)"
ok '-L listens' wait_for 20 listens "$here"
is '-L' "$(talk "$here" one)" ONE
is '-L with sockets' "$(talk "$RIG/here.sock" two)" TWO
head -c 3000000 /dev/zero | tr '\0' a >"$RIG/big"
is '3 MB both ways' "$(timeout 60 python3 "$RIG/talk.py" "$here" <"$RIG/big" | sha256sum)" "$(tr a A <"$RIG/big" | sha256sum)"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	talk "$here" "many $i" >"$RIG/many.$i" &
	many="${many-} $!"
done
# shellcheck disable=SC2086,SC2154 # a list; ports of rig_target
wait $many
is 'twelve at once' "$(cat "$RIG"/many.*)" 'MANY 1MANY 10MANY 11MANY 12MANY 2MANY 3MANY 4MANY 5MANY 6MANY 7MANY 8MANY 9'
let_go
wait_for 20 closed_last
like 'channels of both kinds are in the record' "$(kinds)" '1 direct-streamlocal@openssh.com
1[45] direct-tcpip'
here=$(rig_port)
hold "$RIG/L2.log" -N -L "$here:127.0.0.1:$up" "$(to t2)"
ok 'by default -L listens' wait_for 20 listens "$here"
is 'and carries nothing' "$(talk "$here" one)" ''
like 'with a line that says why' "$(cat "$RIG/L2.log")" 'administratively prohibited: .*not allowed'
let_go

# A session that is over does not end the connections through it.
here=$(rig_port)
hold "$RIG/outlive.log" -L "$here:127.0.0.1:$up" "$(to t1)" \
	"until [ -e $RIG/enough ]; do sleep 0.1; done; : >$RIG/over"
wait_for 20 listens "$here"
cat >"$RIG/patient.py" <<'PY'
import os, socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(b"before "); a = s.recv(100)
open(sys.argv[2] + "/enough", "w").close()
for i in range(200):
    if os.path.exists(sys.argv[2] + "/over"): break
    time.sleep(0.05)
time.sleep(0.5)
s.sendall(b"after"); print((a + s.recv(100)).decode())
PY
is 'a forward outlives its session' "$(python3 "$RIG/patient.py" "$here" "$RIG")" 'BEFORE AFTER'
gone() { ! kill -0 "$held" 2>/dev/null; }
ok 'and then the client ends' wait_for 10 gone

# -D
here=$(rig_port)
hold "$RIG/D.log" -N -D "$here" "$(to t1)"
ok '-D listens' wait_for 20 listens "$here"
cat >"$RIG/socks.py" <<'PY'
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(b"\x05\x01\x00"); s.recv(2)
h = sys.argv[2].encode()
s.sendall(b"\x05\x01\x00\x03" + bytes([len(h)]) + h + struct.pack(">H", int(sys.argv[3])))
r = s.recv(10)
if len(r) < 2 or r[1] != 0:
    print("refused"); sys.exit(1)
s.sendall(b"socks"); s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
PY
is '-D' "$(python3 "$RIG/socks.py" "$here" 127.0.0.1 "$up")" SOCKS
isnt '-D to elsewhere' "$(python3 "$RIG/socks.py" "$here" 127.0.0.1 1 2>/dev/null)" SOCKS
like 'has a line' "$(cat "$RIG/D.log")" 'administratively prohibited: .*not allowed'
let_go

# An SSH session inside a forward would pass by the record.
isnt 'SSH inside a forward does not work' "$(b_ssh -n -W "127.0.0.1:$rig_port_t1" "$(to t1)" 2>/dev/null | head -c 3)" SSH
here=$(rig_port)
hold "$RIG/inner.log" -L "$here:127.0.0.1:$rig_port_t1" "$(to t1)" 'sleep 60'
ok 'beside a session' wait_for 20 listens "$here"
talk "$here" '' >/dev/null
ok 'it says to use -J' wait_for 20 grep -q 'use ssh -J' "$RIG/inner.log"
let_go

# -R
hold "$RIG/R.log" -N -R "$fixed:127.0.0.1:$up" -R "$RIG/there.sock:$RIG/up.sock" "$(to t1)"
ok '-R listens at the target' wait_for 20 listens "$fixed"
is '-R' "$(talk "$fixed" three)" THREE
is '-R with sockets' "$(talk "$RIG/there.sock" four)" FOUR
let_go
wait_for 20 closed_last
like 'channels that the target opened are in the record' "$(kinds)" '1 forwarded-streamlocal@openssh.com
[12] forwarded-tcpip'
hold "$RIG/R0.log" -N -R "0:127.0.0.1:$up" "$(to t1)"
ok '-R 0 learns its port' wait_for 20 grep -q 'Allocated port' "$RIG/R0.log"
taken=$(sed -n 's/.*Allocated port \([0-9]*\).*/\1/p' "$RIG/R0.log")
is 'and serves it' "$(talk "$taken" five)" FIVE
let_go
# Asked for and taken back, on a connection that is there.
hold "$RIG/master.log" -N -M -S "$RIG/cm" "$(to t1)"
wait_for 20 test -S "$RIG/cm"
master() { ssh -F none -S "$RIG/cm" "$@" x >/dev/null 2>&1; }
ok 'a forward is added' master -O forward -R "$fixed:127.0.0.1:$up"
is 'and works' "$(talk "$fixed" six)" SIX
ok 'it is taken back' master -O cancel -R "$fixed:127.0.0.1:$up"
quiet() { ! listens "$fixed"; }
ok 'and nobody listens' wait_for 10 quiet
# Ports that the target picks: each is a forward of its own until it is taken back, and there may be 32 of them.
turns() {
	for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34; do
		if ! master -O forward -R "0:127.0.0.1:$up" || ! master -O cancel -R "0:127.0.0.1:$up"; then
			note "turn $n"
			return 1
		fi
	done
}
ok 'a port that the target picked is given back, over and over' turns
not_ok 'one that no rule allows' master -O forward -R "$other:127.0.0.1:$up"
let_go
like 'by default -R is refused' "$(loud_ssh -n -o ExitOnForwardFailure=yes -R "$fixed:127.0.0.1:$up" "$(to t2)" true 2>&1)" \
	'remote port forwarding failed'
like 'and a session says why' "$(b_ssh -n -R "$fixed:127.0.0.1:$up" "$(to t2)" true 2>&1)" 'bastiond: .*not allowed'

# The agent.
agent_out=$(ssh-agent -a "$RIG/agent")
rig_pids="$(echo "$agent_out" | sed -n 's/^SSH_AGENT_PID=\([0-9]*\);.*/\1/p') $rig_pids"
rig_key "$RIG/hop"
hop=$(ssh-keygen -lf "$RIG/hop.pub" | cut -d' ' -f2 | tr + .) # as a pattern
cat "$RIG/hop.pub" >>"$RIG/t2/authorized_keys"
SSH_AUTH_SOCK=$RIG/agent ssh-add -q "$RIG/hop" 2>/dev/null
like 'the agent at the target' "$(agent_ssh -n "$(to t1)" ssh-add -l 2>&1)" \
	"$hop"
is 'a second hop with it' "$(agent_ssh -n "$(to t1)" \
	"ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p $rig_port_t2 $rig_me@127.0.0.1 echo hopped" 2>&1)" hopped
wait_for 20 closed_last
like 'its channels are in the record' "$(kinds)" '[0-9] auth-agent@openssh.com
1 exec'
like 'and who signed what' "$(ctl log | grep agent.signed)" "agent.signed.*$hop"
like 'by default there is none' "$(agent_ssh -n "$(to t2)" 'ssh-add -l' 2>&1)" 'Could not open|no agent|Error connecting'
like 'and a terminal says why' "$(agent_ssh -tt "$(to t2)" true 2>&1 </dev/null)" 'bastiond: .*agent.*not allowed'
is 'but a pipe does not' "$(agent_ssh -n "$(to t2)" true 2>&1)" ''

# X11, with a server that only tells the cookie it was shown.
if command -v xauth >/dev/null 2>&1; then
	cat >"$RIG/x.py" <<'PY'
import socket
for n in range(50, 200):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", 6000 + n))
        break
    except OSError:
        pass
s.listen(5)
print("ready", n, flush=True)
while True:
    c, _ = s.accept()
    d = c.recv(4096)
    c.sendall(b"seen %d" % len(d))
    c.close()
PY
	cat >"$RIG/xclient.sh" <<'SH'
xauth list "$DISPLAY" | awk '{print $3}' >"$XAUTHORITY.cookie"
python3 -c 'import os, socket, struct, sys
n = int(os.environ["DISPLAY"].split(":")[1].split(".")[0])
cookie = bytes.fromhex(open(os.environ["XAUTHORITY"] + ".cookie").read().split()[0])
name = b"MIT-MAGIC-COOKIE-1"
s = socket.create_connection(("localhost", 6000 + n), 20)
s.sendall(b"l\0" + struct.pack("<HHHHH", 11, 0, len(name), len(cookie), 0) + name + b"\0\0" + cookie)
print(s.recv(100).decode())'
SH
	python3 "$RIG/x.py" >"$RIG/x.out" 2>"$RIG/x.log" &
	rig_pids="$! $rig_pids"
	ok 'a display' wait_for 10 grep -q '^ready' "$RIG/x.out"
	DISPLAY=127.0.0.1:$(cut -d' ' -f2 "$RIG/x.out")
	XAUTHORITY=$RIG/own.xauth
	export DISPLAY XAUTHORITY
	xauth -q add "$DISPLAY" MIT-MAGIC-COOKIE-1 00112233445566778899aabbccddeeff 2>/dev/null
	is '-Y' "$(b_ssh -n -Y "$(to t1)" "sh $RIG/xclient.sh" 2>"$RIG/x.err")" 'seen 48'
	wait_for 20 closed_last
	is 'its channel is in the record' "$(kinds)" '1 exec
1 x11'
	like 'by default there is none' "$(b_ssh -n -Y "$(to t2)" "echo \"\${DISPLAY-none}\"" 2>&1)" 'X11 forwarding request failed.*|none'
	unset DISPLAY XAUTHORITY
else
	for what in 1 2 3 4; do pass "no xauth here $what"; done
fi

# What is not known is not opened; the connection lives on.
not_ok 'a tunnel device' b_ssh -n -w any:any -o ExitOnForwardFailure=yes "$(to t1)" true 2>/dev/null
is 'a session, still' "$(b_ssh "$(to t1)" echo here)" here
ok 'nothing broke the rules of the link' sh -c "! grep -q 'link.violation\|end.broken' '$RIG/bastiond.log'"
