#!/bin/sh
# Inside ssh -J: forwards both ways and the agent, as without it; a host at an IPv6 address; keys of others that are shown first.
# shellcheck disable=SC2029,SC2154 # what is meant to expand here expands here; set by the rig
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

tool=${BASTION_TOOLS:-$BASTION_BIN/../tests/integration}/wire_tool
[ -x "$tool" ] || skip_all 'wire_tool is not built'
has6=$(python3 -c 'import socket
s = socket.socket(socket.AF_INET6)
s.bind(("::1", 0))
print("yes")' 2>/dev/null)
plan 22

# A port that sends back in capitals what comes, and a client for any port.
cat >"$RIG/upper.py" <<'PY'
import socket, threading
def serve(c):
    while True:
        d = c.recv(65536)
        if not d:
            break
        c.sendall(d.upper())
    c.close()
t = socket.socket()
t.bind(("127.0.0.1", 0))
t.listen(64)
print("ready", t.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(t.accept()[0],), daemon=True).start()
PY
python3 "$RIG/upper.py" >"$RIG/upper.out" 2>"$RIG/upper.log" &
rig_pids=$!
wait_for 10 grep -q '^ready' "$RIG/upper.out"
up=$(cut -d' ' -f2 "$RIG/upper.out")
talk() { printf '%s' "$2" | timeout 30 python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while True:
    d = s.recv(65536)
    if not d:
        break
    sys.stdout.buffer.write(d)' "$1" 2>/dev/null; }
listens() { python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)' "$1" 2>/dev/null; }

rig_init && rig_target t1 && rig_target t2 || exit 1
rig_key "$RIG/bob"
echo "  bob: {keys: [\"$(cut -d' ' -f1,2 "$RIG/bob.pub")\"], groups: [sre]}" >"$RIG/users.yaml"
# The same sshd once more, where it listens on IPv6.
if [ "$has6" = yes ]; then
	sed "s/^ListenAddress .*/ListenAddress ::1/; s|^PidFile .*|PidFile $RIG/six.pid|" "$RIG/t1/sshd_config" >"$RIG/six_config"
	/usr/sbin/sshd -D -e -f "$RIG/six_config" 2>"$RIG/sshd-six.log" &
	rig_pids="$rig_pids $!"
	wait_for 5 grep -q 'Server listening on ::1' "$RIG/sshd-six.log"
fi
echo "  six: {address: \"::1\", port: $rig_port_t1, labels: {env: test}, key: fleet, host_keys: [\"$(cut -d' ' -f1,2 "$RIG/t1/host_key.pub")\"]}" >>"$RIG/hosts.yaml"
fixed=$(rig_port)
cat >"$RIG/rules.yaml" <<YAML
  - name: inside
    who: {groups: [sre]}
    where: {hosts: [t1, six]}
    as: [$rig_me]
    may: [shell, exec, agent, {forward: ["127.0.0.1:$up"]}, {remote_forward: ["localhost:$fixed"]}]
  - {name: plain, who: {groups: [sre]}, where: {hosts: [t2]}, as: [$rig_me], may: [shell, exec]}
YAML
rig_policy
ok 'a bastion starts' rig_start
cat >"$RIG/ssh_config" <<CONF
Host bastion
	HostName 127.0.0.1
	Port $bastion_port
	User alice
	IdentityFile $RIG/alice
	IdentityAgent none
Host *
	IdentityFile none
	IdentitiesOnly yes
	BatchMode yes
	StrictHostKeyChecking yes
	UserKnownHostsFile $RIG/known
	ConnectTimeout 20
CONF
{
	printf '[127.0.0.1]:%s ' "$bastion_port"
	ctl keys public host | cut -d' ' -f1,2
	ctl hosts ca
} >"$RIG/known"
j() { ssh -F "$RIG/ssh_config" -J bastion "$@"; }
# hold LOG [ssh options]: a client behind -J in the background, until let_go
hold() {
	hold_log=$1
	shift
	(exec ssh -F "$RIG/ssh_config" -o ExitOnForwardFailure=yes "$@" >"$hold_log" 2>&1 </dev/null) &
	held=$!
	rig_pids="$held $rig_pids"
}
let_go() {
	kill "$held" 2>/dev/null
	wait "$held" 2>/dev/null
}
closed_last() { session_closed "$(last_sid)"; }
kinds() { ctl sessions show "$(last_sid)" --json | jq -r '.channels[].kind' | sort -u | tr '\n' ' '; }

# Forwards.
here=$(rig_port)
hold "$RIG/L.log" -J bastion -N -L "$here:127.0.0.1:$up" "$rig_me@t1"
ok '-L listens' wait_for 20 listens "$here"
is '-L reaches what a rule allows' "$(talk "$here" one)" ONE
let_go
wait_for 10 closed_last
is 'and is in the record of the inner session' "$(kinds)" 'direct-tcpip '
hold "$RIG/R.log" -J bastion -N -R "$fixed:127.0.0.1:$up" "$rig_me@t1"
ok '-R listens at the target' wait_for 20 listens "$fixed"
is '-R' "$(talk "$fixed" two)" TWO
let_go
wait_for 10 closed_last
is 'it is in the record, too' "$(kinds)" 'forwarded-tcpip '
here=$(rig_port)
hold "$RIG/L2.log" -J bastion -N -L "$here:127.0.0.1:$up" "$rig_me@t2"
wait_for 20 listens "$here"
is 'by default -L carries nothing' "$(talk "$here" one)" ''
like 'with a line that says why' "$(cat "$RIG/L2.log")" 'administratively prohibited: .*not allowed'
let_go
like 'by default -R is refused' "$(j -n -o ExitOnForwardFailure=yes -R "$fixed:127.0.0.1:$up" "$rig_me@t2" true 2>&1)" \
	'remote port forwarding failed'

# The agent.
eval "$(ssh-agent -s -a "$RIG/agent")" >/dev/null
rig_pids="$rig_pids $SSH_AGENT_PID"
ssh-add -q "$RIG/bob" 2>/dev/null
is 'the agent is there inside' "$(j -A -o "IdentityAgent=$RIG/agent" "$rig_me@t1" ssh-add -L 2>/dev/null | cut -d' ' -f1,2)" \
	"$(cut -d' ' -f1,2 "$RIG/bob.pub")"
wait_for 10 closed_last
like 'its channel is in the record' "$(kinds)" 'auth-agent@openssh.com'
isnt 'by default it is not' "$(j -A -o "IdentityAgent=$RIG/agent" "$rig_me@t2" 'ssh-add -L' 2>/dev/null | cut -d' ' -f1,2)" \
	"$(cut -d' ' -f1,2 "$RIG/bob.pub")"

# IPv6.
if [ "$has6" = yes ]; then
	is 'a host at an IPv6 address, by that' "$(j "$rig_me@::1" echo six 2>&1)" six
	is 'it is the host of the inventory' "$(ctl sessions show "$(last_sid)" --json | jq -r .host)" six
	is 'by its name' "$(j "$rig_me@six" echo six 2>&1)" six
	is 'with the port' "$(j -p "$rig_port_t1" "$rig_me@::1" echo six 2>&1)" six
else
	for what in 'by that' 'the host' 'by its name' 'with the port'; do pass "IPv6: $what # SKIP there is no ::1"; done
fi

# A client that shows a key at once, without asking what is possible first. A jump channel is where -L leads on a login
# without a host.
inner=$(rig_port)
hold "$RIG/inner.log" -N -L "$inner:t1:22" bastion
ok 'a way to the inner front' wait_for 20 listens "$inner"
shows() { SSH_AUTH_SOCK=$RIG/agent timeout 30 "$tool" run "$inner" "$rig_me" 'echo in' </dev/null 2>&1; }
denied() { ctl log | jq -r 'select(.event == "auth.denied") | .reason' | tail -n 1; }
unlike 'the key of somebody who may go there, too, lets nobody in' "$(shows)" '^in$'
is 'because it is another person' "$(denied)" another-identity
ssh-add -q -D 2>/dev/null
ssh-add -q "$RIG/mallory" 2>/dev/null
unlike 'nor one that nobody knows' "$(shows)" '^in$'
ssh-add -q -D 2>/dev/null
ssh-add -q "$RIG/alice" 2>/dev/null
is 'her own does' "$(shows)" in
let_go

tap_end
