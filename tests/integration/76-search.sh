#!/bin/sh
# What was on a screen, typed, run or moved is found, with the moment to look at; what was never seen is not.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 57
ok 'a bastion and its target start' rig_up

# A terminal of 80 columns, and what is typed into it, which waits until the other side has shown PROMPT.
cat >"$RIG/term.py" <<'END'
import os, pty, select, struct, sys, fcntl, termios, time
prompt, keys, argv = sys.argv[1].encode(), sys.argv[2].encode().decode("unicode_escape").encode("latin1"), sys.argv[3:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
seen, end = b"", time.monotonic() + 30
while time.monotonic() < end:
    if not select.select([fd], [], [], 1)[0]:
        continue
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    if keys and prompt in seen:
        os.write(fd, keys)
        keys = b""
os.kill(pid, 1)
os.waitpid(pid, 0)
END
term() { # PROMPT KEYS COMMAND
	# shellcheck disable=SC2046 # options are words
	TERM=xterm python3 "$RIG/term.py" "$1" "$2" ssh $(rig_opts) -tt -p "$bastion_port" "$(to t1)" "$3" >"$RIG/term.out" 2>&1
}
hits() { ctl search "$@" --json 2>/dev/null | jq '.hits | length'; }
first() { # FIELD SEARCH...
	field=$1
	shift
	ctl search "$@" --json 2>/dev/null | jq -r ".hits[0].$field"
}
indexed() { [ "$(ctl index status --json | jq '.ended == .indexed')" = true ]; }
# Sessions of every kind.
b_ssh "$(to t1)" 'echo plain-zebra-line; exit 3' >/dev/null
exec_sid=$(last_sid)
wait_for 10 session_closed "$exec_sid"

term none '' 'printf "pre\033[31mpay\033[1mro\033[0mll-table\n"; printf "\033]0;only-in-the-title\007"; sleep 0.4'
esc_sid=$(last_sid)
wait_for 10 session_closed "$esc_sid"

printf 'one\ntwo\nthe marmot sleeps\n' >"$RIG/notes.txt"
for n in $(seq 200); do echo "filler line $n"; done >>"$RIG/notes.txt"
term NONESUCH ':wq\r' "vim -u NONE -n -c 'set noswapfile' -c 'file NONESUCH' -c 'r $RIG/notes.txt' -c 'file $RIG/vim.txt' -c 'echo \"NONESUCH\"' $RIG/vim0.txt"
vim_sid=$(last_sid)
wait_for 10 session_closed "$vim_sid"
term 'marmot' q "less $RIG/notes.txt"
less_sid=$(last_sid)
wait_for 10 session_closed "$less_sid"

term 'load average' q 'top -d 1'
top_sid=$(last_sid)
wait_for 10 session_closed "$top_sid"

term 'ok:' 'ls paroll\x7f\x7f\x7f\x7fyroll\rexit\r' 'PS1=ok: sh -i'
typed_sid=$(last_sid)
wait_for 10 session_closed "$typed_sid"

term none '' 'printf "%070d"; echo the wrapped caterpillar walks on'
wrap_sid=$(last_sid)
wait_for 10 session_closed "$wrap_sid"

echo content >"$RIG/quokka-report.csv"
# shellcheck disable=SC2046
sftp $(rig_opts) -P "$bastion_port" -b - "$(to t1)" >"$RIG/sftp.out" 2>&1 <<END
put $RIG/quokka-report.csv $RIG/stored-quokka.csv
END
file_sid=$(last_sid)
wait_for 10 session_closed "$file_sid"

b_ssh "$(to t1)" 'printf "Gr\303\266\303\237e der Stra\303\237e\n"' >/dev/null
uni_sid=$(last_sid)
wait_for 10 session_closed "$uni_sid"

all_the_same() { # NAME: of this run through everything
	is "$1: output of a command" "$(first id plain-zebra-line --in screen)" "$exec_sid"
	is "$1: whatever its case" "$(first id PLAIN-Zebra-LINE --in screen)" "$exec_sid"
	is "$1: but for --case" "$(hits PLAIN-Zebra-LINE --case)" 0
	is "$1: the command itself" "$(first id 'echo plain-zebra' --in command)" "$exec_sid"
	is "$1: escapes inside a word hide nothing" "$(first id prepayroll-table)" "$esc_sid"
	is "$1: a title was on no screen" "$(hits only-in-the-title --in screen)" 0
	is "$1: what vim showed" "$(first id 'vim.txt" [New File] 204 lines' --in screen)" "$vim_sid"
	is "$1: what less showed" "$(first id 'the marmot sleeps')" "$less_sid"
	is "$1: what top showed" "$(first id 'load average:' --in screen)" "$top_sid"
	is "$1: a line that was typed, as it was sent" "$(first line payroll --in typed)" 'ls payroll'
	is "$1: what was rubbed out was not" "$(hits paroll --in typed)" 0
	is "$1: a line that the terminal wrapped" "$(first id 'the wrapped caterpillar walks on')" "$wrap_sid"
	is "$1: a file's name" "$(first id stored-quokka --in file)" "$file_sid"
	is "$1: letters with accents in other case" "$(first id 'GRÖSSE DER')" null
	is "$1: and those that have one" "$(first id 'GRÖßE DER STRAßE')" "$uni_sid"
	is "$1: a pattern" "$(first id 'pl[a-z]in-z.*-line$' --regex --in screen)" "$exec_sid"
}
all_the_same rendered
ok 'all that has ended comes into the index' wait_for 30 indexed
all_the_same indexed

# Where and when.
at=$(first at_ns 'the marmot sleeps')
is 'a hit says who' "$(first identity 'the marmot sleeps')" alice
like 'and when' "$(first time 'the marmot sleeps')" '^20[0-9-]*T[0-9:.]*Z$'
text=$(ctl search 'the marmot sleeps' -C 1)
is 'found is 0' $? 0
like 'for people: the way to see it' "$text" "bastionctl play $(echo "$less_sid" | cut -c1-12) --at [0-9.]*"
like 'with the lines around it' "$text" '^    two$'
offset=$(echo "$text" | sed -n 's/.* --at //p')
at_most 'which is the moment, to the next millisecond' "$(jq -n "($offset * 1000 - $at / 1000000) | fabs | ceil")" 1

# By what is known of sessions.
is 'by exit status' "$(ctl search --exit 3 --json | jq -r '.sessions[0].id')" "$exec_sid"
is 'by person and host' "$(ctl search --identity 'al*' --host t1 --json | jq '.sessions | length')" \
	"$(ctl sessions list --json | jq length)"
is 'nothing of a stranger' "$(ctl search plain-zebra-line --identity mallory --json 2>/dev/null | jq '.hits | length')" 0
ctl search plain-zebra-line --until 2001-01-01 >/dev/null 2>&1
is 'nothing of other times, which is 1' $? 1
is 'the newest first, and no more than wanted' "$(ctl search e --limit 2 --json | jq '[.hits | length, .[0].time >= .[1].time]' | tr -d ' \n')" '[2,true]'

# What goes wrong.
text=$(ctl search '(' --regex 2>&1)
is 'a pattern that is none: usage' $? 2
like 'in one clear line' "$text" 'pattern is wrong at character'
text=$(ctl search '(x+x+)+y|((a|aa)+)+$|(.*)*b' --regex 2>&1)
code=$?
ok 'a hostile pattern comes to an end' test "$code" -le 3
ctl search >/dev/null 2>&1
is 'no words at all: all sessions' $? 0
ctl search x --in cellar >/dev/null 2>&1
is 'a place that is none: usage' $? 2

# Looked at, noted, made anew.
ok 'a search is an event with its words' sh -c "$BASTION_BIN/bastionctl -f $RIG/b/bastiond.yaml log | grep record.viewed | grep -q 'stored-quokka'"
ok 'the index is made anew' ctl index rebuild
ok 'and is whole again' wait_for 30 indexed
is 'with the same answers' "$(first id 'the wrapped caterpillar walks on')" "$wrap_sid"
pid=$(role_pid indexer)
kill -9 "$pid"
other() { p=$(role_pid indexer) && [ -n "$p" ] && [ "$p" != "$pid" ] && [ "$p" != 0 ]; }
ok 'an indexer that dies is started again' wait_for 20 other
ctl sessions erase "$file_sid" --why test >/dev/null 2>&1
is 'what was erased is not found' "$(hits stored-quokka --in file)" 0
rig_stop
printf garbage | dd of="$RIG/b/state/recorder/derived/data.mdb" bs=1 seek=20 conv=notrunc 2>/dev/null
is 'a damaged index changes no answer' \
	"$(ctl search plain-zebra-line --in screen --store "$RIG/b/state" --json 2>/dev/null | jq -r '.hits[0].id')" "$exec_sid"
