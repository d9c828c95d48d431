#!/bin/sh
# The broker itself: in the background and back, restarts of what dies, listeners over a reload, refusals in words, the vault
# locked and unlocked, an interrupt at the terminal, what the service manager hears.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 44
rig_init && rig_target t1 && rig_policy || exit 1
conf=$RIG/b/bastiond.yaml
state=$RIG/b/state

# --- In the background.
rig_pids_before=$rig_pids
text=$("$BASTIOND" -f "$conf" 2>&1 </dev/null)
is 'without -D the first process ends with 0' $? 0
like 'and shows the ready line' "$text" 'notice: ready listen=127\.0\.0\.1:[0-9]+'
bastion_pid=$(cat "$state/bastiond.pid")
rig_pids="$bastion_pid $rig_pids"
bastion_port=$(printf '%s\n' "$text" | sed -n 's/.*ready listen=127\.0\.0\.1:\([0-9]*\).*/\1/p')
is 'the daemon leads no session' "$(ps -o sid= -p "$bastion_pid" | tr -d ' ')" "$(ps -o pgid= -p "$bastion_pid" | tr -d ' ')"
isnt 'and is not its leader' "$(ps -o sid= -p "$bastion_pid" | tr -d ' ')" "$bastion_pid"
is 'it has no terminal' "$(ps -o tty= -p "$bastion_pid" | tr -d ' ')" '?'
is 'a session works' "$(b_ssh "$(to t1)" 'echo in')" in
like 'its messages are in the log of the state' "$(cat "$state/bastiond.log")" 'session.opened'
text=$("$BASTIOND" -f "$conf" 2>&1)
is 'a second one on the same state is refused' $? 1
like 'in words' "$text" 'another bastiond runs on this state'
kill "$bastion_pid"
gone() { ! kill -0 "$bastion_pid" 2>/dev/null; }
ok 'SIGTERM ends it' wait_for 10 gone
not_ok 'its pid file goes with it' test -e "$state/bastiond.pid"
rig_pids=$rig_pids_before

cp "$RIG/b/policy.yaml" "$RIG/policy.good"
echo 'rulez: []' >>"$RIG/b/policy.yaml"
text=$("$BASTIOND" -f "$conf" 2>&1)
is 'a start that fails is told by the first process' $? 1
like 'with the reason' "$text" 'policy.yaml:[0-9]+:[0-9]+:.*rulez'
cp "$RIG/policy.good" "$RIG/b/policy.yaml"

# --- What dies comes back, and what it did not touch goes on.
ok 'a bastion starts' rig_start
b_exec "$(to t1)" 'echo in; read line; echo "$line"; exit 5' <"$RIG/alice" >"$RIG/short" 2>&1 &
wait $!
is 'a session works' $? 5
mkfifo "$RIG/in"
b_exec "$(to t1)" 'echo in; read line; echo "got $line"; exit 5' <"$RIG/in" >"$RIG/long" 2>&1 &
long_pid=$!
exec 8>"$RIG/in"
wait_for 10 grep -q in "$RIG/long"
new_one() { [ -n "$(role_pid "$1")" ] && [ "$(role_pid "$1")" != "$2" ]; }
for role in keys policy; do
	old=$(role_pid $role)
	kill -KILL "$old"
	ok "$role killed: a new one within two seconds" wait_for 2 new_one $role "$old"
	ok "$role killed: logins work again" wait_for 5 b_ssh "$(to t1)" true
done
kill -0 $long_pid
is 'the session that was running still is' $? 0
echo enough >&8
exec 8>&-
wait $long_pid
is 'and ends as it should' "$?:$(tail -n 1 "$RIG/long")" '5:got enough'
is 'status counts the restarts' "$(ctl status --json | jq -c '[.children[] | {(.role): .restarts}] | add | [.recorder, .keys, .policy]')" '[0,1,1]'
is 'deaths are in the record' "$(ctl log | jq -r 'select(.event == "service.died") | .role' | sort | tr '\n' ' ')" 'keys policy '

b_exec "$(to t1)" 'echo in; exec sleep 60' >"$RIG/long2" 2>&1 &
long_pid=$!
wait_for 10 grep -q in "$RIG/long2"
front=$(role_pid front)
kill -SEGV "$front"
wait $long_pid
isnt 'a front that crashes ends its client' $? 0
crashed() { ctl log | grep -q '"front.crashed".*"identity":"alice"'; }
ok 'and is an event' wait_for 5 crashed

recorder=$(role_pid recorder)
kill -KILL "$recorder"
ok 'the next recorder lets people in' wait_for 10 b_ssh "$(to t1)" true

# --- Nothing is left of what ended.
fds() { find "/proc/$bastion_pid/fd" | wc -l; }
settled() { [ "$(ctl status --json | jq '.connections + .legs')" = 0 ]; }
wait_for 10 settled
before=$(fds)
i=0
while [ $i -lt 15 ]; do
	b_ssh "$(to t1)" true
	i=$((i + 1))
done
wait_for 10 settled
at_most 'descriptors of the broker after 15 more sessions' "$(($(fds) - before))" 0

# --- Listeners over a reload.
b_exec "$(to t1)" 'echo in; exec sleep 60' >"$RIG/long3" 2>&1 &
long_pid=$!
wait_for 10 grep -q in "$RIG/long3"
sed -i 's|^listen:.*|listen: ["127.0.0.1:0", "127.0.0.2:0"]|' "$conf"
kill -HUP "$bastion_pid"
ok 'reload with another address' wait_for 10 grep -q 'reload.done listen=127.0.0.1:[0-9]*,127.0.0.2:' "$RIG/bastiond.log"
second=$(sed -n 's/.*reload.done .*127\.0\.0\.2:\([0-9]*\).*/\1/p' "$RIG/bastiond.log")
is 'the old port stayed' "$(b_ssh "$(to t1)" 'echo in')" in
# shellcheck disable=SC2046
is 'the new one is there' "$(ssh $(rig_opts) -p "$second" "$rig_me+t1@127.0.0.2" 'echo in')" in
sed -i "s|^listen:.*|listen: [\"127.0.0.1:0\", \"127.0.0.1:$bastion_port\"]|" "$conf"
kill -HUP "$bastion_pid"
ok 'a port that is taken keeps the old configuration' wait_for 10 grep -q 'reload.refused.*cannot listen on' "$RIG/bastiond.log"
sed -i 's|^listen:.*|listen: ["127.0.0.1:0"]|' "$conf"
echo 'state: elsewhere' >>"$conf"
sed -i '0,/^state:/{/^state:/d}' "$conf"
kill -HUP "$bastion_pid"
ok 'what needs a new start is said' wait_for 10 grep -q 'reload.refused.*state was changed: that needs a new start' "$RIG/bastiond.log"
sed -i 's/^state: elsewhere/state: state/' "$conf"
ctl_reload() { # bastionctl has no word for it: the signal is the interface
	n=$(grep -c 'reload\.' "$RIG/bastiond.log")
	kill -HUP "$bastion_pid"
	more() { [ "$(grep -c 'reload\.' "$RIG/bastiond.log")" -gt "$n" ]; }
	wait_for 10 more
}
i=0
while [ $i -lt 20 ]; do
	if [ $((i % 5)) = 4 ]; then echo 'nonsense: 1' >>"$conf"; else sed -i '/^nonsense/d' "$conf"; fi
	ctl_reload
	i=$((i + 1))
done
sed -i '/^nonsense/d' "$conf"
is 'twenty reloads, every fifth of a wrong file' "$(grep -c 'reload.refused.*nonsense' "$RIG/bastiond.log")" 4
kill -0 $long_pid
is 'a session that was running all the time still is' $? 0

# --- An interrupt at the terminal reaches everybody in the group, and still sessions end in order.
kill -INT "$bastion_pid"
wait "$bastion_pid"
is 'an interrupt ends it with 0' $? 0
wait $long_pid
isnt 'and its sessions' $? 0

# --- The service manager.
cat >"$RIG/manager.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().strip().split("\n")[0], flush=True)
PY
python3 "$RIG/manager.py" "$RIG/notify" >"$RIG/manager.txt" &
rig_pids="$! $rig_pids"
wait_for 5 test -S "$RIG/notify"
export NOTIFY_SOCKET="$RIG/notify"
sed -i '/^vault:/d' "$conf"
ok 'under a service manager' rig_start
unset NOTIFY_SOCKET
ok 'it hears that we are ready' wait_for 5 grep -q READY=1 "$RIG/manager.txt"
ctl_reload
rig_stop
ok 'and of reload and stop' wait_for 5 grep -q STOPPING=1 "$RIG/manager.txt"
is 'in this order' "$(grep -v WATCHDOG "$RIG/manager.txt" | tr '\n' ' ')" 'READY=1 RELOADING=1 READY=1 STOPPING=1 '

# --- A log that does not verify would have shown long before; here the record of all of the above.
ok 'a last start' rig_start
ok 'everything verifies' ctl verify --all
events() { ctl log | jq -r --arg e "bastiond.$1" 'select(.event == $e) | .pid' | wc -l; }
is 'every start is in the record' "$(events started)" 4
is 'and every stop' "$(events stopped)" 3

tap_end
