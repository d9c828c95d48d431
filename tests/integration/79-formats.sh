#!/bin/sh
# Exports for other people's players: Debian's asciinema repeats v2 byte by byte, npm's asciinema-player shows v2 and v3 as a
# terminal shows the session; v3's lines are what its description says.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/html/rig.sh"

html_need
plan 17
ok 'a bastion and its target start' rig_up

# Real programs on a terminal of a known size, one that changes.
cat >"$RIG/work.sh" <<'SH'
printf '\033[1;32mgreen\033[0m caf\303\251 \344\270\255\346\226\207 \033[7mreverse\033[0m\n'
ls -l /usr/bin | head -n 30
seq 1 200
vim -u NONE -i NONE -n -c 'set nomore' -c 'normal ihello from vim' -c 'redraw' -c 'q!' /dev/null
printf 'tabs\there\r\n\033[5;10Hplaced\033[20;1H'
printf 'last line'
exit 3
SH
# shellcheck disable=SC2046
timeout 60 script -qec "stty cols 80 rows 24; ssh $(rig_opts | tr '\n' ' ') -p $bastion_port -tt $(to t1) TERM=xterm sh $RIG/work.sh" \
	/dev/null </dev/null >"$RIG/seen" 2>&1
sid=$(last_sid)
ok 'the session ends' wait_for 10 session_closed "$sid"
ctl export "$sid" --format raw --stream out >"$RIG/x.raw"
# ssh says in the end that the connection is closed, on the same terminal.
ok 'what was recorded is what was seen' sh -c "head -c \$(stat -c %s '$RIG/x.raw') '$RIG/seen' | cmp -s - '$RIG/x.raw'"

ok 'v2 is written' ctl export "$sid" --format asciicast-v2 -o "$RIG/x2.cast"
HOME=$RIG timeout 60 script -qec "asciinema cat '$RIG/x2.cast' >'$RIG/cat.out'" /dev/null </dev/null >"$RIG/cat.log" 2>&1
ok 'asciinema of Debian repeats v2 byte by byte' cmp -s "$RIG/cat.out" "$RIG/x.raw"
ctl export "$sid" --format asciicast-v3 -o "$RIG/x3.cast" 2>"$RIG/x3.note"
is 'v3 holds all of it but what is said' "$(sed 's/[0-9]*//g' "$RIG/x3.note")" \
	'bastionctl: asciicast-v cannot hold:  requests and marks; json can'
is 'v3: its header' "$(head -n 1 "$RIG/x3.cast" | jq -c '[.version, .term.cols, .term.rows, .tags[0], .tags[3]]')" \
	'[3,80,24,"bastiond","host:t1"]'
is 'v3: the session is named in a comment' "$(sed -n 2p "$RIG/x3.cast")" "# session $sid"
is 'v3: how it ended is the last event' "$(tail -n 1 "$RIG/x3.cast" | jq -c '.[1:]')" '["x","3"]'
is 'v3 and v2 have the same events' "$(grep '^\[' "$RIG/x3.cast" | jq -c 'select(.[1] | IN("o", "i", "r")) | .[1:]' | sha256sum)" \
	"$(tail -n +2 "$RIG/x2.cast" | jq -c '.[1:]' | sha256sum)"
# Sums of intervals against times, in microseconds.
is 'v3: no rounding adds up' "$(python3 - "$RIG/x2.cast" "$RIG/x3.cast" <<'PY'
import json, sys
v2 = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8").read().split("\n")[1:] if l]
v3, at = [], 0.0
for l in open(sys.argv[2], encoding="utf-8").read().split("\n")[1:]:
    if l and l[0] != "#":
        dt, code, data = json.loads(l)
        assert dt >= 0 and code in "oirmx"
        at += dt
        if code in "oir":
            v3.append(at)
print(len(v2) == len(v3) and max(abs(a[0] - b) for a, b in zip(v2, v3)) < 2e-6)
PY
)" True

tmux_shows "$RIG/x.raw" 80 24 >"$RIG/want"
like 'tmux shows its end' "$(cat "$RIG/want")" 'last line'
html_look '{"cast": true}' "$RIG/x2.cast" "$RIG/x3.cast" >"$RIG/played"
# The screen as the reference has it: lines below the last that is not empty do not count.
player_lines() { jq -r ".[$1].lines[]" "$RIG/played" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'; }
is 'asciinema-player shows v2 as tmux does' "$(player_lines 0)" "$(cat "$RIG/want")"
is 'asciinema-player shows v3 as tmux does' "$(player_lines 1)" "$(cat "$RIG/want")"
is 'and says no error' "$(jq -c '[.[].errors[]]' "$RIG/played")" '[]'

# Without a terminal lines end with a line feed alone; a player has a terminal.
b_ssh "$(to t1)" 'printf "one\ntwo\n"' >/dev/null
sid=$(last_sid)
ok 'an exec without a terminal ends' wait_for 10 session_closed "$sid"
is 'v3: its lines begin at the left' "$(ctl export "$sid" --format asciicast-v3 2>/dev/null | grep '"o"' | jq -s -c 'map(.[2]) | join("")')" \
	'"one\r\ntwo\r\n"'
tap_end
