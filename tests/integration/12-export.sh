#!/bin/sh
# Exports: asciicast that Debian's asciinema plays, text, raw, JSON; replay is safe to look at.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 9
ok 'a bastion and its target start' rig_up
rig_tty() { script -qec "$1" /dev/null </dev/null; }
# shellcheck disable=SC2046
rig_tty "ssh $(rig_opts) -p $bastion_port -tt $(to t1) 'printf \"caf\\303\\251 \\033[31mred\\033[0m \\377 end\\r\\n\"'" >"$RIG/seen"
sid=$(last_sid)
ok 'the session ends' wait_for 10 session_closed "$sid"
ctl export "$sid" --format asciicast-v2 -o "$RIG/x.cast" 2>"$RIG/x.note"
is 'asciicast v2 has its header' "$(head -n 1 "$RIG/x.cast" | jq .version)" 2
like 'asciinema plays it' "$(HOME=$RIG rig_tty "asciinema cat '$RIG/x.cast'" 2>&1)" 'red'
like 'what it cannot hold is said' "$(cat "$RIG/x.note")" 'UTF-8'
like 'text' "$(ctl export "$sid" --format text)" 'red'
ctl export "$sid" --format raw --stream out >"$RIG/x.raw"
ok 'raw is exact' cmp -s "$RIG/x.raw" "$RIG/seen"
ok 'json is one document' sh -c "'$BASTIONCTL' -f '$RIG/b/bastiond.yaml' export $sid --format json | jq -e .events >/dev/null"
b_ssh "$(to t1)" 'printf "\033]0;title\007\033P$q\"p\033\\\\\033[6n\033[c ok\n"' >/dev/null
unlike 'a replay asks the terminal nothing and sets no title' \
	"$(ctl play "$(last_sid)" --no-wait </dev/null | od -An -c | tr -d ' \n')" '033\]|033P|6n|033\[c'

tap_end
