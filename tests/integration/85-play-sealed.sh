#!/bin/sh
# The player on the auditor's side: the same recording once sealed and once not, the same keys, the same screens.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 29
unset BASTION_AUDITOR_KEY
TZ=UTC
export TZ
"$BASTIONCTL" auditor new anna --no-passphrase -o "$RIG/anna.key" >"$RIG/anna.pub" 2>/dev/null
cat >"$RIG/script" <<'SCRIPT'
open alice root web1
begin 1
pty 1 xterm 60 10
shell 1
wait 1000
out 1 first line\r\n
wait 4000
out 1 second Needle\r\n
wait 20000
size 1 60 12
wait 5000
out 1 third line\r\n
wait 30000
out 1 fourth needle\r\n
exit 1 3
close 1
begin 2
exec 2 uname -a
out 2 other channel\n
close 2
end
SCRIPT
"$BASTION_BIN/bastion-feed" "$RIG/open" <"$RIG/script" >"$RIG/open.id"
"$BASTION_BIN/bastion-feed" "$RIG/sealed" "$(cat "$RIG/anna.pub")" <"$RIG/script" >"$RIG/sealed.id"
open="$BASTIONCTL --store $RIG/open play $(cat "$RIG/open.id")"
sealed="$BASTIONCTL --store $RIG/sealed play $(cat "$RIG/sealed.id")"
sh -c "$sealed" >"$RIG/out" 2>&1 </dev/null
is 'without a key it does not play' $? 3
sealed="$sealed --auditor-key $RIG/anna.key"
is 'with one it plays the same bytes' "$(sh -c "$sealed --no-wait" </dev/null | sha256sum)" \
	"$(sh -c "$open --no-wait" </dev/null | sha256sum)"

tmux -S "$RIG/tmux" -f /dev/null new-session -d -s keep "while kill -0 $$; do sleep 1; done"
term() { tmux -S "$RIG/tmux" new-session -d -s "$1" -x 80 -y 20 "$2; echo ended with \$?; exec sleep 60"; }
screen() { tmux -S "$RIG/tmux" capture-pane -p -t "$1"; }
shows() { screen "$1" | grep -Eq -- "$2"; }
both() { # TEXT REGEXP KEY ...: the keys to both, then both show it
	both_text=$1 both_re=$2
	shift 2
	for t in open sealed; do
		[ $# = 0 ] || tmux -S "$RIG/tmux" send-keys -t $t "$@"
	done
	for t in open sealed; do ok "$both_text ($t)" wait_for 10 shows $t "$both_re"; done
}
same() { # all rows but the line about where it is, which has the id
	[ "$(screen open | sed '$d' | sed "s/$(cut -c 1-8 "$RIG/open.id")//")" = "$(screen sealed | sed '$d' | sed "s/$(cut -c 1-8 "$RIG/sealed.id")//")" ]
}
term open "$open"
term sealed "$sealed"
both 'it plays' 'first line'
both 'and stops' STOP Space
both 'to a time' 'third line' : 1m Enter
both 'exactly' '0:01:00/'
ok 'the same screen' same
both 'a search goes to the first hit' '1 of 2: second Needle' Home / needle Enter
both 'and to the next one' 'fourth needle' n
ok 'the same screen there' same
both 'the list of markers' 'channel 2: exec: uname -a' l
ok 'the same list' same
both 'and one can go there' 'STOP' Enter
ok 'the same screen there, too' same
both 'the other channel' 'channel 2' c
both 'has its own output' 'other channel' End
both 'the end of it' 'ended with 0' q
for t in open sealed keep; do tmux -S "$RIG/tmux" kill-session -t $t; done

# Without a terminal.
like 'seeking finds what was shown then' "$(sh -c "$sealed --at 1m --no-wait" </dev/null 2>&1 | tr -d '\r')" 'fourth needle'
tap_end
