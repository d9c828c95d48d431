#!/bin/sh
# Limits: time to log in, tries, connections of one source, channels, penalties.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 9
rig_init && rig_target t1 && rig_policy || exit 1
sed -i '/^limits:/d; s/^  grace: .*/  grace: 2s/; /^penalties:/d' "$RIG/b/bastiond.yaml"
cat >>"$RIG/b/bastiond.yaml" <<'YAML'
limits: {connections: 100, per_source: 3, channels: 2, auth_tries: 3}
penalties: {auth_failure: 20s, from: 15s, exempt: ["127.0.0.2/32"]}
YAML
ok 'a bastion starts' rig_start

# A client that connects and says nothing.
silent() {
	python3 -c 'import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
start = time.monotonic()
while s.recv(4096): pass
print(int(time.monotonic() - start))' "$bastion_port"
}
took=$(silent)
at_most 'a silent client is ended after its grace time' "$took" 5
ok 'and not before' test "$took" -ge 1

for i in 1 2 3; do
	b_exec "$(to t1)" 'echo in; exec sleep 30' >"$RIG/s$i" 2>&1 &
	eval "p$i=$!"
	wait_for 10 grep -q in "$RIG/s$i"
done
b_ssh "$(to t1)" true 2>/dev/null
isnt 'a fourth connection of one source is refused' $? 0
# shellcheck disable=SC2154
kill "$p1" "$p2" "$p3"
wait "$p1" "$p2" "$p3" 2>/dev/null
ok 'when they have ended there is room again' wait_for 10 b_ssh "$(to t1)" true

# shellcheck disable=SC2046
mux() { exec ssh $(rig_opts) -p "$bastion_port" -o ControlPath="$RIG/cm" "$@"; }
(mux -o ControlMaster=yes -fN "$(to t1)")
wait_for 10 test -S "$RIG/cm"
mux "$(to t1)" 'echo in; sleep 30' >"$RIG/c1" 2>&1 &
c1=$!
mux "$(to t1)" 'echo in; sleep 30' >"$RIG/c2" 2>&1 &
c2=$!
both() { grep -q in "$RIG/c1" && grep -q in "$RIG/c2"; }
wait_for 10 both
# Without a way to connect anew: what the master refuses is refused.
(mux -o ProxyCommand=false "$(to t1)" 'echo in') >"$RIG/c3" 2>&1
unlike 'a third channel is refused' "$(cat "$RIG/c3")" '^in'
kill $c1 $c2
wait $c1 $c2 2>/dev/null
(mux -O exit "$(to t1)" 2>/dev/null)

for i in 1 2 3 4 5 6 7; do rig_key "$RIG/k$i"; done
# shellcheck disable=SC2046
text=$(IDENTITY=$RIG/k1 ssh $(IDENTITY=$RIG/k1 rig_opts) -p "$bastion_port" -i "$RIG/k2" -i "$RIG/k3" -i "$RIG/k4" -i "$RIG/k5" \
	-i "$RIG/k6" -i "$RIG/k7" -o "IdentityFile=$RIG/mallory" "$(to t1)" true 2>&1)
like 'too many tries end the connection' "$text" 'Too many authentication failures|Permission denied|closed|reset'
penalised() { ! b_ssh "$(to t1)" true 2>/dev/null; }
ok 'a source that failed waits' wait_for 5 penalised
# shellcheck disable=SC2046
is 'another source does not' "$(ssh $(rig_opts) -b 127.0.0.2 -p "$bastion_port" "$(to t1)" 'echo in')" in

tap_end
