#!/bin/sh
# The player on a real terminal (tmux): keys, places, search, sizes, hostile recordings; and sessions watched while they run.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 64
rig_init && rig_target t1 && rig_policy || exit 1
TZ=UTC
export TZ

"$BASTION_BIN/bastion-feed" "$RIG/state" >"$RIG/ids" <<'SCRIPT'
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
open mallory root web1
begin 1
pty 1 xterm 80 24
shell 1
out 1 \e]0;evil title\x07\e]2;evil\e\\\e]52;c;ZXZpbCBjbGlwYm9hcmQ=\x07\e]8;;http://evil.example/\e\\link\e]8;;\e\\
out 1 \ePq#0;2;0;0;0~~@@\e\\\eP$q"p\e\\\e_Gf=24;AAAA\e\\\e^x\e\\\ektmux title\e\\
out 1 \e[?1000h\e[?1002h\e[?1003h\e[?1006h\e[?1004h\e[?2004h\e[?1h\e=\e[?25l\e[?5h\e[?7l\e[4h\e[20h
out 1 \e[6n\e[c\e[>c\e[5n\e[21t\e[8;50;50t\e[?1$p\e[>4;2m\e[>1u\e[4i\e[!p
out 1 \e[5;10r\e(0\x0e\e[31;41mstill here\r\n
wait 60000
out 1 end\r\n
close 1
end
SCRIPT
{ read -r alice && read -r mallory; } <"$RIG/ids"

tmux -S "$RIG/tmux" -f /dev/null new-session -d -s keep "while kill -0 $$; do sleep 1; done"
tmux -S "$RIG/tmux" set-option -s set-clipboard on
# term NAME COLUMNS ROWS BASTIONCTL-ARGUMENTS: its settings before and after are in files
term() {
	cat >"$RIG/term-$1" <<SH
#!/bin/sh
trap : INT
stty -a | sed 's/rows.*columns [0-9]*//' >"$RIG/before-$1"
"$BASTIONCTL" $4
code=\$?
stty -a | sed 's/rows.*columns [0-9]*//' >"$RIG/after-$1"
echo "ended with \$code"
exec sleep 60
SH
	chmod +x "$RIG/term-$1"
	tmux -S "$RIG/tmux" new-session -d -s "$1" -x "$2" -y "$3" "$RIG/term-$1"
}
screen() { tmux -S "$RIG/tmux" capture-pane -p -t "$1"; }
shows() { screen "$1" | grep -Eq -- "$2"; }
lacks() { ! shows "$@"; }
asks() { tmux -S "$RIG/tmux" display-message -p -t "$1" "$2"; }
keys() {
	keys_t=$1
	shift
	tmux -S "$RIG/tmux" send-keys -t "$keys_t" "$@"
}
away() { tmux -S "$RIG/tmux" kill-session -t "$1"; }
# The player below the shell of a terminal.
player() { ps -o pid= --ppid "$(asks "$1" '#{pane_pid}')" | tr -d ' '; }
modes='#{alternate_on}#{mouse_any_flag}#{mouse_sgr_flag}#{keypad_flag}#{keypad_cursor_flag}#{insert_flag}#{origin_flag} #{cursor_flag}#{wrap_flag} #{scroll_region_upper}'
# back NAME: the terminal is as it was
back() {
	wait_for 10 shows "$1" 'ended with' && cmp -s "$RIG/before-$1" "$RIG/after-$1" &&
		[ "$(asks "$1" "$modes")" = '0000000 11 0' ]
}

store="--store $RIG/state"
term a 80 20 "$store play $alice"
ok 'it plays' wait_for 10 shows a 'first line'
ok 'with a line about where it is' shows a 'PLAY +0:00:0[0-9]/0:01:00'
ok 'on a screen of its own' [ "$(asks a '#{alternate_on}')" = 1 ]
keys a Space
ok 'space stops it' wait_for 5 shows a 'STOP'
keys a Right
ok 'on by 5 seconds' wait_for 5 shows a 'second Needle'
keys a Left Left
ok 'back: what came later is gone' wait_for 5 lacks a 'second Needle'
keys a ':' 1m Enter
ok 'to a time' wait_for 5 shows a 'third line'
ok 'exactly' shows a '0:01:00/'
keys a Home
ok 'to the start' wait_for 5 lacks a 'first line'
keys a .
ok 'one step' wait_for 5 shows a 'first line'
ok 'and no more' lacks a 'second'
keys a / needle Enter
ok 'a search goes to the first hit' wait_for 5 shows a '1 of 2: second Needle'
keys a n
ok 'and to the next one' wait_for 5 shows a 'fourth needle'
keys a N
ok 'and back' wait_for 5 lacks a 'third line'
keys a m
ok 'the next marker' wait_for 5 shows a 'window-change: 60x12'
keys a l
ok 'the list of markers' wait_for 5 shows a 'channel 2: exec: uname -a'
ok 'the present one is marked' shows a '^> .*window-change'
keys a Down Enter
ok 'and one can go there' wait_for 5 shows a 'fourth needle'
keys a c
ok 'the other channel' wait_for 5 shows a 'channel 2'
keys a End
ok 'has its own output' wait_for 5 shows a 'other channel'
keys a c '?'
ok 'help' wait_for 5 shows a 'next, previous hit'
keys a x
ok 'and away' wait_for 5 lacks a 'next, previous hit'
keys a Home Space + +
ok 'faster' wait_for 5 shows a '4x'
tmux -S "$RIG/tmux" resize-window -t a -x 40 -y 6
ok 'a smaller terminal shows a part' wait_for 5 shows a 'PLAY|STOP|END'
ok 'none of it is broken' sh -c "[ \"\$(tmux -S '$RIG/tmux' capture-pane -p -t a | wc -l)\" = 6 ]"
tmux -S "$RIG/tmux" resize-window -t a -x 100 -y 30
ok 'a larger one shows all' wait_for 5 shows a 'first line'
keys a q
ok 'q ends it and the terminal is as it was' back a
away a

term z 80 20 "$store play $alice --at 1m5s --idle-limit 1s --speed 2"
ok 'it begins at a moment' wait_for 10 shows z 'third line'
ok 'a pause that was cut is said' wait_for 5 shows z 'fourth needle'
kill -TERM "$(player z)"
ok 'a signal ends it and the terminal is as it was' back z
away z
is 'a time in the session' "$("$BASTIONCTL" --store "$RIG/state" play "$alice" --at 2026-01-02T03:04:40Z --no-wait </dev/null | tr -d '\r' | grep -c needle)" 1
"$BASTIONCTL" --store "$RIG/state" play "$alice" --at 2027-01-02T03:04:40Z --no-wait >/dev/null 2>"$RIG/err" </dev/null
is 'a time outside it is no' $? 1
like 'and it is said' "$(cat "$RIG/err")" 'did not run then'

# A search by reading, by reading for another one, by the index, and by the index for another one: the same hits, which are all there are.
"$BASTION_BIN/bastion-feed" "$RIG/found" >/dev/null <<'SCRIPT'
open alice root web1
begin 1
pty 1 xterm 20 4
shell 1
wait 1000
out 1 Hay one\r\n
wait 1000
out 1 hay
wait 1000
out 1 \rover it\r\n
wait 1000
out 1 a very long line that wraps and has hay in it\r\n
wait 1000
out 1 STRASSE \xc3\x84PFEL HAY\r\n\e[2J\e[Hnothing\r\n
begin 2
exec 2 cat hay
out 2 hay of another channel\n
close 2
size 1 60 4
wait 1000
out 1 \e[31mh\e[0may in colours
wait 1000
out 1 \e[4;1Hhay on another row
wait 1000
exit 1 0
close 1
end
SCRIPT
# hits NAME KEYS...: what the line below says at each hit, after these keys
hits() {
	hits_t=$1
	shift
	keys "$hits_t" "$@"
	hits_k=1
	while [ $hits_k -le 6 ]; do
		wait_for 10 shows "$hits_t" "STOP .* $hits_k of 6: " || return 1
		screen "$hits_t" | grep -o "STOP .* $hits_k of 6: .*"
		hits_k=$((hits_k + 1))
		keys "$hits_t" n
	done
	wait_for 10 shows "$hits_t" 'no hit behind this'
}
term r 80 8 "--store $RIG/found play last --at 0"
wait_for 10 shows r 'PLAY|END' && keys r Space
wait_for 10 shows r STOP
hits r Home / hay Enter >"$RIG/hits-read"
ok 'reading finds all' [ "$(grep -c 'of 6' "$RIG/hits-read")" = 6 ]
hits r Home / hay Enter >"$RIG/hits-kept"
is 'text that is kept has the same hits' "$(cat "$RIG/hits-kept")" "$(cat "$RIG/hits-read")"
away r
"$BASTIONCTL" --store "$RIG/found" index rebuild >/dev/null 2>&1
is 'the session is indexed' "$("$BASTIONCTL" --store "$RIG/found" index status --json | jq .indexed)" 1
term r 80 8 "--store $RIG/found play last --at 0"
wait_for 10 shows r 'PLAY|END' && keys r Space
wait_for 10 shows r STOP
hits r Home / hay Enter >"$RIG/hits-index"
is 'the index has the same hits' "$(cat "$RIG/hits-index")" "$(cat "$RIG/hits-read")"
away r

# A recording that wants the terminal.
term h 90 26 "$store play $mallory"
ok 'a hostile recording is shown' wait_for 10 shows h 'still here|@@|link'
before=$(asks h '#{pane_title}')
keys h Space
wait_for 5 shows h STOP
is 'it sets no modes while it plays' "$(asks h '#{mouse_any_flag}#{mouse_sgr_flag}#{keypad_flag}#{keypad_cursor_flag}#{insert_flag}#{origin_flag}')" 000000
unlike 'nor a title' "$before$(asks h '#{pane_title} #{window_name} #{session_name}')" 'evil|tmux title'
is 'nor the clipboard' "$(tmux -S "$RIG/tmux" list-buffers | wc -l)" 0
is 'nor a size' "$(asks h '#{pane_width}x#{pane_height}')" 90x26
keys h q
ok 'and leaves the terminal as it was' back h
ok 'nothing was typed for it' sh -c "! tmux -S '$RIG/tmux' capture-pane -p -t h | grep -Eq '\\[\\?|;[0-9]+R|\\^\\['"
away h

# Live.
ok 'a bastion starts' rig_start
mkfifo "$RIG/typed"
# shellcheck disable=SC2046
ssh $(rig_opts) -p "$bastion_port" -tt "$(to t1)" 'stty -echo; echo ready; exec cat' <"$RIG/typed" >"$RIG/user" 2>&1 &
user_pid=$!
rig_pids="$user_pid $rig_pids"
exec 9>"$RIG/typed"
ok 'a session runs' wait_for 20 grep -q ready "$RIG/user"
sid=$(ctl sessions list --json --state open | jq -r '.[0].id')
conf="-f $RIG/b/bastiond.yaml"
term w1 80 24 "$conf sessions watch $sid"
term w2 50 10 "$conf play $sid --follow"
ok 'a watcher is live' wait_for 10 shows w1 'LIVE'
ok 'and has what was before' shows w1 'ready'
ok 'a second one, too' wait_for 10 shows w2 'LIVE'
echo 'typed now' >&9
ok 'what comes is seen' wait_for 5 shows w1 'typed now'
ok 'by both' wait_for 5 shows w2 'typed now'
is 'each view is an event' "$(ctl log | jq -r 'select(.event == "record.viewed" and .what == "watch") | .session' | sort | uniq -c | tr -s ' ')" " 2 $sid"
# Milliseconds from the user's own screen to a watcher's: the 50th percentile and the worst of 20.
"$BASTIONCTL" -f "$RIG/b/bastiond.yaml" sessions watch "$sid" >"$RIG/plain" 2>/dev/null </dev/null &
plain_pid=$!
rig_pids="$plain_pid $rig_pids"
python3 - "$RIG" >"$RIG/latency" <<'PY'
import sys, time
rig = sys.argv[1]
out, late = open(rig + "/typed", "wb", buffering=0), []
def seen(name, what, until):
    while time.time() < until:
        if what in open(rig + "/" + name, "rb").read():
            return time.time()
        time.sleep(0.001)
    return None
end = time.time() + 20
while time.time() < end and not seen("plain", b"begun", time.time() + 0.2):
    out.write(b"begun\n")
for i in range(20):
    mark = b"mark%d." % i
    out.write(mark + b"\n")
    a, b = seen("user", mark, end + 20), seen("plain", mark, end + 20)
    late.append(9999 if a is None or b is None else max(0, int((b - a) * 1000)))
late.sort()
print(late[10], late[-1])
PY
read -r p50 worst <"$RIG/latency"
note "latency ms: p50 $p50, worst $worst"
at_most 'a watcher sees it within 100 ms' "$p50" 100
at_most 'and never much later' "$worst" 1000
kill -KILL "$plain_pid"
kill -KILL "$(player w2)"
echo 'after the kill' >&9
ok 'a watcher that is killed disturbs nobody' wait_for 5 shows w1 'after the kill'
away w2
keys w1 Space Home
ok 'a watcher may go back' wait_for 5 shows w1 'STOP +0:00:00'
keys w1 Space End
ok 'and to the present' wait_for 5 shows w1 'LIVE'
kill -KILL "$(role_pid reader)"
ok 'a reader that dies ends the watching and the terminal is as it was' back w1
ok 'and says so' shows w1 'reader ended'
away w1
term w3 80 24 "$conf sessions watch $sid --from-start"
ok 'from the start' wait_for 10 shows w3 'LIVE'
keys w3 C-c
ok 'control-C leaves the watched session alone' back w3
away w3
echo 'still there' >&9
ok 'it goes on' wait_for 5 grep -q 'still there' "$RIG/user"
term w4 80 24 "$conf sessions watch $sid"
wait_for 10 shows w4 'LIVE'
ctl sessions kill "$sid"
ok 'a session that ends ends the watching, and how is said' wait_for 10 shows w4 'the session has ended: '
ok 'the terminal is as it was' back w4
away w4
exec 9>&-

tap_end
