#!/bin/sh
# Checkpoints leave the machine: into a file, to a command, an HTTPS server and syslog; what fails is said, and nobody waits
# for it. With what was brought out, yesterday's store put back is caught.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 39
quiet() { "$@" >/dev/null; }

# A CA, a server's certificate, and one of somebody else.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$RIG/ca.key" -out "$RIG/ca.pem" -days 2 -subj /CN=test-ca 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout "$RIG/server.key" -out "$RIG/server.csr" -subj /CN=localhost 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$RIG/ext"
openssl x509 -req -in "$RIG/server.csr" -CA "$RIG/ca.pem" -CAkey "$RIG/ca.key" -CAcreateserial -days 2 \
	-extfile "$RIG/ext" -out "$RIG/server.pem" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$RIG/other.key" -out "$RIG/other.pem" -days 2 -subj /CN=localhost \
	-addext 'subjectAltName=IP:127.0.0.1' 2>/dev/null
echo 'the-token' >"$RIG/token"
chmod 644 "$RIG/token"

# It answers as $RIG/mode says (ok, 500, hang) and keeps what it got; the second listener shows the other certificate.
cat >"$RIG/server.py" <<'PY'
import http.server, ssl, sys, threading, time
rig = sys.argv[1]
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = open(rig + "/mode").read().strip()
        if mode == "hang":
            time.sleep(60)
        with open(rig + "/requests", "a") as f:
            print(mode, self.path, self.headers["Content-Type"], self.headers["Authorization"], len(body), file=f)
        if mode == "ok":
            open(rig + "/posted", "ab").write(body)
        self.send_response(200 if mode == "ok" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *a):
        pass
for name in ("server", "other"):
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
    s.daemon_threads = True
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(f"{rig}/{name}.pem", f"{rig}/{name}.key")
    s.socket = c.wrap_socket(s.socket, server_side=True)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    open(f"{rig}/{name}.port", "w").write(str(s.server_address[1]))
open(rig + "/server.ready", "w").write("1")
time.sleep(600)
PY
# A log daemon's socket.
cat >"$RIG/syslog.py" <<'PY'
import os, socket, sys
rig = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(rig + "/log")
os.chmod(rig + "/log", 0o666)
while True:
    data = s.recv(65536)
    open(rig + "/syslog", "ab").write(data + b"\n")
PY
# A program of somebody's own; it may write no file, so it sends.
cat >"$RIG/command.sh" <<SH
#!/bin/sh
exec /usr/bin/python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(sys.stdin.buffer.read())' "\$1"
SH
chmod 755 "$RIG/command.sh"
cat >"$RIG/taker.py" <<'PY'
import socket, sys
rig = sys.argv[1]
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(8)
open(rig + "/taker.port", "w").write(str(s.getsockname()[1]))
while True:
    c, _ = s.accept()
    data = b""
    while part := c.recv(65536):
        data += part
    open(rig + "/taken", "ab").write(data)
PY
echo ok >"$RIG/mode"
: >"$RIG/requests"
for p in server syslog taker; do
	python3 "$RIG/$p.py" "$RIG" 2>"$RIG/$p.log" &
	rig_pids="$rig_pids $!"
done
wait_for 20 test -s "$RIG/server.ready" && wait_for 20 test -S "$RIG/log" && wait_for 20 test -s "$RIG/taker.port"
port=$(cat "$RIG/server.port")

ok 'a bastion is made' rig_init
rig_target t1
rig_policy
# Whoever the pushing program runs as writes here.
mkdir -m 1777 "$RIG/out"
chmod 755 "$RIG"
# What init writes about recording, but for the key itself, which follows below.
sed '/^recording:/,/^  stall_timeout:/d' "$RIG/b/bastiond.yaml" >"$RIG/plain.yaml"
conf() { # [more of a URL's entry]
	cat "$RIG/plain.yaml" - >"$RIG/b/bastiond.yaml" <<-YAML
		recording:
		  checkpoint_every: 1s
		  checkpoints:
		    - file: $RIG/out/checkpoints
		    - command: [$RIG/command.sh, "$(cat "$RIG/taker.port")"]
		    - {url: "https://127.0.0.1:$1/notes", ca: $RIG/ca.pem, token: $RIG/token}
		    - {syslog: local3, socket: $RIG/log}
	YAML
}
conf "$port"
ok 'the configuration is good' "$BASTIOND" -t -f "$RIG/b/bastiond.yaml"
if rig_start; then pass 'it starts'; else
	fail 'it starts'
	exit 1
fi
ok 'the file gets the first checkpoint' wait_for 20 test -s "$RIG/out/checkpoints"
ok 'the server gets it' wait_for 20 test -s "$RIG/posted"
ok 'the command gets it' wait_for 20 test -s "$RIG/taken"
ok 'syslog gets it' wait_for 20 test -s "$RIG/syslog"
is 'as text, with the token' "$(head -n 1 "$RIG/requests" | cut -d' ' -f1-6)" 'ok /notes text/plain; charset=utf-8 Bearer the-token'
like 'with facility and level' "$(head -n 1 "$RIG/syslog")" '^<157>bastiond: checkpoint: '
sed -n '1s/^<157>bastiond: checkpoint: //p' "$RIG/syslog" >"$RIG/line"
printf '%b' "$(cat "$RIG/line")" >"$RIG/from-syslog"
ok 'each is the signed note: syslog' quiet ctl verify --checkpoint "$RIG/from-syslog"
for f in out/checkpoints posted taken; do
	ok "each is the signed note: $f" quiet ctl verify --checkpoint "$RIG/$f"
done
before=$(wc -c <"$RIG/out/checkpoints")
grown() { [ "$(wc -c <"$RIG/out/checkpoints")" -gt "$before" ]; }
b_ssh "$(to t1)" 'echo one' >/dev/null
ok 'a session makes it grow' wait_for 20 grown
ok 'what was there is still there' quiet ctl verify --checkpoint "$RIG/out/checkpoints"
like 'status tells' "$(ctl status --json | jq -r '.checkpoints[] | .to + " " + .state')" "file $RIG/out/checkpoints ok"

like 'and people are told' "$(ctl status)" "file $RIG/out/checkpoints +ok +[0-9]+ s ago"
ok 'with the age of what got there' sh -c "'$BASTIONCTL' -f '$RIG/b/bastiond.yaml' status --json | jq -e 'all(.checkpoints[]; .age < 60)' >/dev/null"

# A server that fails, and one that does not answer; sessions go on.
alarmed() { ctl status --json | jq -e '.problems[] | select(contains("checkpoints do not get to url"))' >/dev/null; }
echo 500 >"$RIG/mode"
b_ssh "$(to t1)" 'echo two' >/dev/null
ok 'failing is a problem in status' wait_for 40 alarmed
like 'with its reason' "$(ctl status)" 'the server answers 500'
like 'and in the log' "$(ctl log)" '"checkpoint.push_failed".*answers 500'
is 'people do not notice' "$(b_ssh "$(to t1)" 'echo three')" three
echo ok >"$RIG/mode"
worked() { ! alarmed; }
ok 'it works again' wait_for 60 worked
ok 'which the log has' wait_for 10 sh -c "'$BASTIONCTL' -f '$RIG/b/bastiond.yaml' log | grep -q checkpoint.pushed_again"
echo hang >"$RIG/mode"
is 'nor do they of one that hangs' "$(b_ssh "$(to t1)" 'echo four')" four
sid=$(last_sid)
wait_for 10 session_closed "$sid"
echo ok >"$RIG/mode"
rig_stop
ok 'what was newest at the end is in the file' sh -c "'$BASTIONCTL' -f '$RIG/b/bastiond.yaml' checkpoint --store '$RIG/b/state' >'$RIG/last' && tail -n \$(wc -l <'$RIG/last') '$RIG/out/checkpoints' | cmp -s - '$RIG/last'"
cp -a "$RIG/b" "$RIG/yesterday"

# Somebody else's certificate.
conf "$(cat "$RIG/other.port")"
posted=$(wc -c <"$RIG/posted")
rig_start
b_ssh "$(to t1)" 'echo five' >/dev/null
ok 'a wrong certificate is a failure' wait_for 40 alarmed
like 'and says so' "$(ctl status)" '[Cc]ertificate|SSL'
is 'nothing was sent' "$(wc -c <"$RIG/posted")" "$posted"
rig_stop

# The right one again: every place gets what today had.
conf "$port"
posted=$(wc -c <"$RIG/posted") taken=$(wc -c <"$RIG/taken") said=$(wc -l <"$RIG/syslog")
rig_start
b_ssh "$(to t1)" 'echo six' >/dev/null
sid=$(last_sid)
wait_for 10 session_closed "$sid"
rig_stop
all_grown() { [ "$(wc -c <"$RIG/posted")" -gt "$posted" ] && [ "$(wc -c <"$RIG/taken")" -gt "$taken" ] && [ "$(wc -l <"$RIG/syslog")" -gt "$said" ]; }
ok 'all of them got more' wait_for 20 all_grown
sed -n '$s/^<157>bastiond: checkpoint: //p' "$RIG/syslog" >"$RIG/line"
printf '%b' "$(cat "$RIG/line")" >"$RIG/from-syslog"

# Yesterday's store, whole and well signed.
ok 'the store of today has all of it' quiet ctl verify --all --checkpoint "$RIG/out/checkpoints"
rm -rf "$RIG/b"
cp -a "$RIG/yesterday" "$RIG/b"
ok 'the store of yesterday is good by itself' quiet ctl verify --all
text=$(ctl verify --all --checkpoint "$RIG/out/checkpoints")
is 'but not for whoever kept the checkpoints' $? 1
like 'which is said' "$text" 'older checkpoint: cut'
for f in posted taken from-syslog; do
	not_ok "nor for whoever kept those of $f" quiet ctl verify --all --checkpoint "$RIG/$f"
done
# Somebody cuts the last note that was kept: what is kept of it is no checkpoint, and those before it still count.
head -c -20 "$RIG/posted" >"$RIG/cut"
text=$(ctl verify --all --checkpoint "$RIG/cut")
is 'a note that is cut is none' $? 1
like 'which is said, too' "$text" 'older checkpoint: flipped: it is not a readable checkpoint'

tap_end
