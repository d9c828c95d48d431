#!/bin/sh
# Commands longer than one frame of the link: run, recorded and judged whole; and one line for what is longer than that.
# shellcheck disable=SC2046 # options are words
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 19
ok 'a bastion and its target start' rig_up
rig_direct_key t1

# words N: a command of N bytes
words() {
	python3 -c 'import sys
n = int(sys.argv[1])
sys.stdout.write(": " + "".join(chr(97 + i % 23) for i in range(n - 11)) + "; echo ok")' "$1"
}
# asked SID: the bytes of its program request as they were sent, from the record
asked() {
	ctl export "$1" --format json |
		jq -r '.events[] | select(.way == "front" and (.type == "request" or .type == "more")) | .payload' |
		while read -r piece; do printf '%s' "$piece" | base64 -d; done
}
# holds SID FILE: the command in the record is that of the file
holds() {
	asked "$1" | tail -c "$(wc -c <"$2")" | cmp -s - "$2"
}

for n in 60000 65450 65455 65456 65460 100000 130000; do
	words $n >"$RIG/command"
	is "a command of $n bytes does what it does without the bastion" \
		"$(b_ssh -n "$(to t1)" "$(cat "$RIG/command")" 2>&1)" "$(direct t1 "$(cat "$RIG/command")" </dev/null 2>&1)"
	sid=$(last_sid)
	wait_for 10 session_closed "$sid"
	ok 'it is in the record whole' holds "$sid" "$RIG/command"
done
is 'the list shows its beginning' "$(ctl sessions show "$sid" --json | jq -r '.channels[0].command' | cut -c1-10)" ': abcdefgh'

# Programs at the host take no argument as long as this: that is the host's answer, not ours.
words 100000 >"$RIG/command"
is 'two words of 100000 bytes: the host says what it thinks of them' \
	"$(b_ssh -n "$(to t1)" "$(cat "$RIG/command")" "$(cat "$RIG/command")" 2>&1)" \
	"$(direct t1 "$(cat "$RIG/command")" "$(cat "$RIG/command")" </dev/null 2>&1)"

# What the link does not carry.
words 130550 >"$RIG/command"
said=$(b_ssh -n "$(to t1)" "$(cat "$RIG/command")" "$(cat "$RIG/command")" 2>&1)
is 'over the limit: one line, 254' "$? $said" '254 bastiond: the command is too long'
ok 'all of it verifies' ctl verify --all

tap_end
