#!/bin/sh
# What real programs draw looks on our screen as on another terminal's (tmux), after each step.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

for tool in tmux vim less man top; do
	command -v "$tool" >/dev/null || skip_all "$tool is not installed: contrib/install-deps --test"
done
plan 45

LC_ALL=C.UTF-8
TERM=xterm
export LC_ALL TERM
unset COLUMNS LINES MANPAGER PAGER LESS VIMINIT TMUX
printf 'set -g status off\nset -g remain-on-exit on\n' >"$RIG/tmux.conf"
tm() { tmux -u -S "$RIG/tmux" -f "$RIG/tmux.conf" "$@"; }
tm new-session -d -s keep "while kill -0 $$; do sleep 1; done"

# The rows of a terminal of tmux's.
theirs() { tm capture-pane -p -t pane | sed 's/ *$//'; }
same() { grep -q . "$RIG/ours" && [ "$(theirs)" = "$(cat "$RIG/ours")" ]; }

# compare NAME COLUMNS ROWS STEPS: the outputs $RIG/NAME.1 and so on, each from the start
compare() {
	cols=$2 rows=$3 step=0
	while [ $step -lt "$4" ]; do
		step=$((step + 1))
		"$BASTION_BIN/bastion-screen" "$cols" "$rows" <"$RIG/$1.$step" >"$RIG/ours"
		tm new-session -d -s pane -x "$cols" -y "$rows" "stty raw -echo; cat '$RIG/$1.$step'; exec sleep 60"
		if wait_for 5 same; then
			pass "$1, step $step of $4"
		else
			fail "$1, step $step of $4"
			note "$(theirs | diff - "$RIG/ours")"
		fi
		tm kill-session -t pane
	done
}

# run NAME COLUMNS ROWS TEXT KEYS [TEXT KEYS ...] -- COMMAND...: see screens.py
run() {
	name=$1
	shift
	python3 "$BASTION_SRC/tests/lib/screens.py" "$RIG/$name" "$@"
}

# Text with wide characters and such that combine.
{
	for n in $(seq 60); do echo "line $n of plain text that goes on for a while"; done
	printf '漢字とカナ %s\n' 'mixed with words' 'and more of them'
	printf 'e\314\201 and o\314\210 combine, \tafter a tab\n'
	printf '%0150d\n' 7
	echo 'the marmot sleeps'
	for n in $(seq 60); do echo "$n: 漢字 filler line"; done
} >"$RIG/notes.txt"

# A shell: what it draws itself, and every sequence that real programs scroll, shift and save with. Left out is what tmux has its
# own ideas of: half a wide character that is overwritten, and lines drawn with the other character set, which it gives as letters.
cat >"$RIG/draw.sh" <<'END'
p() { printf "$@"; }
case $1 in
wide) p '漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字x漢字漢字\r\n\344\270\200\b\bab e\314\201o\314\210\033[D!\r\n' ;;
edge) p '%39s漢|\r\n%40s|\r\n%41s|\r\n' '' '' '' ;;
region) p '\033[2J\033[H1\r\n2\r\n3\r\n4\r\n5\r\n6\033[2;5r\033[5;1Ha\nb\nc\033[2;1H\033Mtop\033[r\033[8;1H' ;;
lines) p '\033[2J\033[Hone\r\ntwo\r\nthree\r\nfour\033[2;1H\033[L+\033[4;1H\033[M\033[2S\033[T\033[8;1H' ;;
chars) p 'abcdefghij\r\033[3C\033[2P\033[@\033[2@\033[4D\033[2X\r\n漢字漢字\r\033[2C\033[2P|\r\n\033[4hin\rserted\033[4l\r\n' ;;
save) p '\033[5;10H\0337\033[HHome\0338saved\033[s\033[2;2Hx\033[uagain\033[9;1H' ;;
erase) p 'xxxxxxxxxxxx\033[5D\033[K\r\nyyyyyyyyyyyy\033[5D\033[1K\r\nzzzzzz\033[A\033[J\r\n' ;;
alternate) p 'before\0337\033[?1049h\033[2J\033[3;3Hother 漢字' ;;
back) p '\033[?1049lafter\r\n' ;;
tabs) p 'a\tb\tc\033[3g\r\033[5C\033H\rx\ty\r\n' ;;
nowrap) p '\033[?7l%060d|\033[?7h\r\n' 0 ;;
origin) p '\033[2J\033[3;6r\033[?6h\033[1;1Horigin\033[9;1Hlast\033[?6l\033[r\033[8;1H' ;;
long) p '%0100d\033[A\033[3D^\r\n\n\n' 3 ;;
scroll) for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "scrolled 漢 $n"; done ;;
esac
echo "drawn $1"
END

# Each step waits for what the one before has drawn.
set -- ' ' "sh $RIG/draw.sh wide\\r"
last=wide
for what in edge region lines chars save erase alternate back tabs nowrap origin long scroll; do
	set -- "$@" "drawn $last" "sh $RIG/draw.sh $what\\r"
	last=$what
done
set -- "$@" "drawn $last" ''
ok 'a shell' python3 "$BASTION_SRC/tests/lib/screens.py" "$RIG/shell" 40 10 "$@" -- sh -i
compare shell 40 10 15

ok 'vim' run vim 60 16 'line 1 ' 'G' 'filler' '/marmot\r' 'marmot' 'Onew line 漢字\x1b' 'new line' ':split\r' 'notes' \
	'dd' 'marmot' 'u' '' '\x06' '' ':set nu nowrap\r' '' '10\x19' '' ':only\r' '' '' -- \
	vim -u NONE -N -n -c 'set ruler' "$RIG/notes.txt"
compare vim 60 16 11

ok 'less' run less 50 12 'line 1 ' ' ' 'line 1' 'G' 'END' '?marmot\r' 'marmot' 'kkk' '' '50%' '' 'q' -- less "$RIG/notes.txt"
compare less 50 12 6

ok 'man' run man 72 20 'NAME' ' ' ':' '/search\r' 'search' 'b' '' 'G' '' 'q' -- man -l "$BASTION_SRC/doc/man/bastionctl.1"
compare man 72 20 5

ok 'top' run top 80 20 'PID' ' ' 'top - ' 'M' 'top - ' 'q' -- top -d 1
compare top 80 20 3

tm kill-server
tap_end
