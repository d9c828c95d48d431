#!/bin/sh
# Masks: what a rule names is taken out of the record, never of what crosses; however it comes.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 22
ok 'a bastion and its target are made' rig_init
ok 'a target starts' rig_target t1
cat >"$RIG/rules.yaml" <<YAML
  - name: tests
    who: {groups: [sre]}
    where: {labels: {env: test}}
    as: [$rig_me]
    may: [shell, exec]
    how: {mask: [defaults, ticket]}
masks:
  ticket: 'TICKET-[0-9]{4,8}'
YAML
rig_policy
ok 'policy takes masks' rig_start

# recorded SID: everything that exports say of it.
recorded() {
	for format in json text asciicast-v2; do ctl export "$1" --format $format 2>/dev/null; done
	for stream in in out err; do ctl export "$1" --format raw --stream $stream 2>/dev/null; done
	ctl sessions show "$1" --json
}

# decoded SID: the same with what is in base64.
decoded() {
	recorded "$1" | python3 -c '
import base64, re, sys
data = sys.stdin.buffer.read()
out = [data] + [base64.b64decode(m) for m in re.findall(rb"\"(?:data|payload)\": \"([A-Za-z0-9+/=]*)\"", data)]
sys.stdout.buffer.write(b"\n".join(out) + b"\n" + b"".join(out[1:]))'
}

ssh-keygen -q -t ed25519 -N '' -f "$RIG/secret_key"
tok=gh; tok=${tok}p_abcdefghijABCDEFGHIJ0123456789xyzw12
{
	echo "a line before"
	cat "$RIG/secret_key"
	echo "token $tok end; TICKET-123456 is ours"
	echo 'postgres://bob:hunter2@db/x'
	echo "a line behind"
} >"$RIG/text"
cp "$RIG/text" "$RIG/t1/text"

b_ssh "$(to t1)" "cat '$RIG/t1/text'" >"$RIG/got"
ok 'what crosses is byte-identical' cmp -s "$RIG/text" "$RIG/got"
sid=$(last_sid)
wait_for 10 session_closed "$sid"
decoded "$sid" >"$RIG/rec"
not_ok 'no key block is in the record' grep -qF "$(sed -n 2p "$RIG/secret_key")" "$RIG/rec"
not_ok 'nor a token' grep -qF "$tok" "$RIG/rec"
not_ok 'nor a password of a URL' grep -q hunter2 "$RIG/rec"
not_ok 'nor what the own rule names' grep -q 'TICKET-123456' "$RIG/rec"
ok 'the record says what is masked' grep -q '(masked) private-key 1' "$RIG/rec"
ok 'and keeps the rest' grep -q 'a line behind' "$RIG/rec"
like 'the record counts what is masked' "$(ctl sessions show "$sid" --json | jq -c .masked)" '{"rule":"private-key","places":1}.*{"rule":"ticket","places":1}'
like 'people see it' "$(ctl sessions show "$sid")" 'masked .*1 private-key.*1 url-password'
is 'nothing is hidden' "$(ctl sessions show "$sid" --json | jq -c '[.hidden.lines, .hidden.suspect]')" '[0,false]'
like 'the description names the rules and their digest' "$(ctl sessions show "$sid" --json)" '"masks": *"defaults,ticket"'

# In pieces, with time between them: longer than anything waits.
b_ssh "$(to t1)" "printf 'postgres://bob:'; sleep 0.2; printf 'hun'; sleep 0.2; printf 'ter2@db/x TICKET'; printf '%s' '-'; sleep 0.01; echo 9876" >"$RIG/got"
is 'pieces cross as they are' "$(cat "$RIG/got")" 'postgres://bob:hunter2@db/x TICKET-9876'
sid=$(last_sid)
wait_for 10 session_closed "$sid"
ctl export "$sid" --format raw --stream out >"$RIG/out" 2>/dev/null
not_ok 'a place over pieces is masked' grep -q 'TICKET-9876' "$RIG/out"

# A command itself, and input.
b_ssh "$(to t1)" "true; : mysql -u root -pSw0rdfish db; cat >/dev/null" <<'IN'
Authorization: Bearer abcdefgh12345678
IN
sid=$(last_sid)
wait_for 10 session_closed "$sid"
decoded "$sid" >"$RIG/rec"
not_ok 'no password of a command is in the record' grep -q Sw0rdfish "$RIG/rec"
ok 'the command is' grep -q 'mysql -u root -p\[masked command-password\] db' "$RIG/rec"
not_ok 'nothing of the input either' grep -q abcdefgh12345678 "$RIG/rec"

# Nothing else is touched: much output, the same in the record.
b_ssh "$(to t1)" "ls -lR /usr/share/doc 2>/dev/null | head -c 3000000; head -c 200000 /bin/ls | base64" >"$RIG/got"
sid=$(last_sid)
wait_for 20 session_closed "$sid"
ctl export "$sid" --format raw --stream out -o "$RIG/out" 2>/dev/null
ok 'listings and base64 are not masked' cmp -s "$RIG/got" "$RIG/out"
ok 'the session verifies' ctl verify "$sid"

# Policy refuses what cannot be held.
sed -i "s/TICKET-\[0-9\]{4,8}/TICKET-[0-9]*|x*/" "$RIG/b/policy.yaml"
like 'a pattern that is everywhere is refused with its place' "$("$BASTIONCTL" -f "$RIG/b/bastiond.yaml" policy check 2>&1)" \
	'policy.yaml:[0-9]*:[0-9]*: masks.ticket: .*empty string'
tap_end
