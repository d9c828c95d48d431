#!/bin/sh
# A recorder that is killed while somebody types: what was shown is recorded, what was not is nowhere on disk.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 14
ok 'a bastion and its target start' rig_up

# typing PROGRAM TEXT DONE: types TEXT key by key into what runs on the target's terminal, until DONE (of the shell, here) says
# that it got there; kills the recorder with SIGKILL, and puts what the client saw into $RIG/seen.
typing() {
	cat >"$RIG/client" <<-SH
		#!/bin/sh
		exec ssh $(rig_opts) -p $bastion_port -tt $(to t1) '$1'
	SH
	chmod +x "$RIG/client"
	recorder=$(role_pid recorder)
	TERM=xterm python3 - "$RIG/client" "$2" "$3" "$recorder" "$RIG/seen" <<-'PY'
		import os, pty, select, signal, subprocess, sys, time

		client, text, done, recorder, seen_file = sys.argv[1:]
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(client, [client])
		seen = b""
		end = time.monotonic() + 30


		def read(timeout):
		    global seen
		    if fd in select.select([fd], [], [], timeout)[0]:
		        try:
		            data = os.read(fd, 65536)
		        except OSError:
		            return False
		        seen += data
		        return data != b""
		    return True


		while b"ready> " not in seen and time.monotonic() < end:
		    read(0.1)
		seen = b""
		for ch in text:
		    os.write(fd, ch.encode())
		    read(0.002)
		got = False
		while not got and time.monotonic() < end:
		    read(0.02)
		    with open(seen_file, "wb") as f:
		        f.write(seen)
		    got = subprocess.run(["sh", "-c", done], check=False).returncode == 0
		os.kill(int(recorder), signal.SIGKILL)
		while time.monotonic() < end and read(0.1):
		    pass
		os.close(fd)
		os.waitpid(pid, 0)
		sys.exit(not got)
	PY
}
new_recorder() { [ -n "$(role_pid recorder)" ] && [ "$(role_pid recorder)" != "$recorder" ]; }
works() { b_ssh "$(to t1)" true >/dev/null 2>&1; }
# The newest session that a stop ended, in $sid; false: it is none, or the one before.
cut_off() {
	sid=$(ctl sessions list --json 2>/dev/null | jq -r 'map(select(.state == "truncated")) | max_by(.started_at).id // ""')
	[ -n "$sid" ] && [ "$sid" != "$old" ]
}
typed() { ctl export "$1" --format raw --stream in 2>/dev/null; }

# A line that the target echoes, not ended yet.
ok 'keys are shown, the recorder is killed' \
	typing "PS1=\"ready> \" HISTFILE= bash --norc -i" 'echo what-everybody-saw' "grep -q 'echo what-everybody-saw' '$RIG/seen'"
ok 'a new one starts' wait_for 15 new_recorder
old=
ok 'the session is truncated' wait_for 10 cut_off
like 'what was typed and shown is in the record' "$(typed "$sid")" 'echo what-everybody-saw'
ok 'it verifies' ctl verify "$sid"
ok 'sessions work again' wait_for 15 works

# A question that nobody knows, without echo: the target has it all, and nothing has shown it.
cat >"$RIG/quiet.sh" <<SH
stty -echo -icanon
printf 'ready> '
cat >"$RIG/got"
SH
ok 'a secret has crossed, the recorder is killed' typing "sh $RIG/quiet.sh" Zq7-nobody-saw "grep -q Zq7-nobody-saw '$RIG/got'"
ok 'a new one starts again' wait_for 15 new_recorder
old=$sid
ok 'the session is truncated, too' wait_for 10 cut_off
ctl export "$sid" --format json >"$RIG/json"
is 'the secret is not in the record, in no part' "$(typed "$sid" | wc -c) $(grep -c 'Zq7\|nobody' "$RIG/json")" '0 0'
ok 'that something was typed is' test "$(jq '[.events[] | select(.type == "veil" and (.data // "") == "")] | length' "$RIG/json")" -gt 0
ok 'it verifies' ctl verify "$sid"
rig_stop
is 'and the secret is in no file of the state' "$(grep -rlaE 'Zq7|nobody-saw' "$RIG/b/state" | wc -l)" 0
tap_end
