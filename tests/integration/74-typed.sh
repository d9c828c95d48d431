#!/bin/sh
# Secrets that are typed on a terminal never reach the store: real programs, key by key and in one piece, in one session each.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 21
ok 'a bastion and its target start' rig_up
rig_target pw - <<'CONF'
PasswordAuthentication yes
CONF
mkdir "$RIG/typed" && chmod 700 "$RIG/typed"
eval "port=\$rig_port_pw"
TYPED_DIR="$RIG/typed" TYPED_PORT=$port TYPED_USER=$rig_me
export TYPED_DIR TYPED_PORT TYPED_USER

# type_in MODE: all scenes in a shell on the target; $RIG/MODE.typed has what was typed and is no secret.
type_in() {
	mkdir -p "$RIG/transcripts"
	cat >"$RIG/client" <<-SH
		#!/bin/sh
		exec ssh $(rig_opts) -p $bastion_port -tt $(to t1) 'HISTFILE= bash --norc -i'
	SH
	chmod +x "$RIG/client"
	TERM=xterm python3 "$BASTION_SRC/tests/lib/typist.py" "$BASTION_SRC/tests/lib/typed_scenes.py" "$1" "$RIG/$1.typed" \
		--transcripts "$RIG/transcripts" -- "$RIG/client"
}

# secrets_in FILE: how many of them a record has, also in base64, also a piece of one.
secrets_in() {
	python3 - "$1" <<-'PY'
		import base64, re, sys
		data = open(sys.argv[1], "rb").read()
		parts = [data] + [base64.b64decode(m) for m in re.findall(rb'"(?:data|payload)": "([A-Za-z0-9+/=]*)"', data)]
		joined = b"".join(parts[1:])
		print(sum(p.count(b"Zq7") + p.count(b"W9k") for p in parts) + joined.count(b"Zq7") + joined.count(b"W9k"))
	PY
}

for mode in slow chunk; do
	rm -rf "$RIG/typed"/*
	ok "$mode: every program asks, and gets its answer" type_in $mode
	sid=$(last_sid)
	ok "$mode: the session ends" wait_for 60 session_closed "$sid"
	for format in json text asciicast-v2; do
		ctl export "$sid" --format $format -o "$RIG/$mode.$format" 2>/dev/null
		is "$mode: no secret in $format" "$(secrets_in "$RIG/$mode.$format")" 0
	done
	ctl export "$sid" --format raw --stream in -o "$RIG/$mode.in" 2>/dev/null
	is "$mode: no secret in what was typed" "$(secrets_in "$RIG/$mode.in")" 0
	missing=$(python3 - "$RIG/$mode.typed" "$RIG/$mode.in" <<-'PY'
		import sys
		want, got = (open(f, "rb").read() for f in sys.argv[1:3])
		print(sum(1 for line in want.split(b"\r") if line not in got))
	PY
	)
	is "$mode: everything else that was typed is there" "$missing" 0
	ok "$mode: the record says where something is hidden" grep -q '(hidden)' "$RIG/$mode.text"
	ok "$mode: it verifies" ctl verify "$sid"
done

# What nothing shows, also not its length: two secrets of a different length leave the same events.
events() { ctl export "$1" --format json | python3 -c '
import json, sys
s = json.load(sys.stdin)
print([(e["way"], e["type"], len(e.get("data", ""))) for e in s["events"]
       if e["type"] in ("hidden", "veil", "shown") or e["type"] == "window" or e["way"] == "front" and e["type"] == "data"])'; }
ask() {
	cat >"$RIG/scene.py" <<-PY
		def scenes(mode):
		    yield "ask", [("wait", "assword: \$"), ("secret", "$1\\r"), ("wait", "done")]
	PY
	cat >"$RIG/client" <<-SH
		#!/bin/sh
		exec ssh $(rig_opts) -p $bastion_port -tt $(to t1) "python3 -c 'import getpass; getpass.getpass(); print(\"done\")'"
	SH
	chmod +x "$RIG/client"
	TERM=xterm python3 "$BASTION_SRC/tests/lib/typist.py" "$RIG/scene.py" slow "$RIG/ask.typed" -- "$RIG/client" 2>&1
	sid=$(last_sid)
	wait_for 60 session_closed "$sid" || echo "$1 did not end"
	events "$sid"
}
short=$(ask Zq7) long=$(ask Zq7W9kZq7W9kZq7W9kZq7W9k)
is 'the length of a secret is not in the record' "$short" "$long"
sid=$(last_sid)
is 'nor in its counts' "$(ctl sessions show "$sid" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["channels"][0]["bytes_in"])')" 0
tap_end
