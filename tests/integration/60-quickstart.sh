#!/bin/sh
# contrib/quickstart as a person uses it: on a terminal, with the lines it prints, until it is ended. Then nothing is left.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 45
mkdir "$RIG/tmp" "$RIG/home" "$RIG/cwd"
# A terminal's keyboard has no end of file.
mkfifo "$RIG/keys" "$RIG/typed"
exec 3<>"$RIG/keys" 4<>"$RIG/typed"
cd "$RIG/cwd" || exit 1

# On a terminal of its own, typed on through descriptor 3. A background job would begin with Ctrl-C ignored, one under nohup with SIGHUP.
begin() {
	: >"$RIG/pid" && : >"$RIG/demo.log"
	TMPDIR=$RIG/tmp HOME=$RIG/home SHELL=/bin/sh env --default-signal=INT,QUIT,HUP,TERM script -qefc \
		"echo \$\$ >$RIG/pid; exec '$BASTION_SRC/contrib/quickstart'" "$RIG/demo.log" <"$RIG/keys" >"$RIG/demo.out" 2>&1 &
	terminal=$!
	rig_pids="$rig_pids $terminal"
	wait_for 60 grep -q 'runs until Ctrl-C' "$RIG/demo.log"
}
# printed PATTERN: the one line that it printed, indented, to be typed
printed() { tr -d '\r' <"$RIG/demo.log" | sed -n "/try it yourself/,\$ s|^  \($1.*\)|\1|p" | head -n 1; }
typed_in() {
	SHELL=/bin/sh script -qec "$line" /dev/null <"$RIG/typed" &
	rig_pids="$rig_pids $!"
	printf '%s\n' "$1" 'exit 5' >&4
	wait $!
}
# A zombie is gone: who takes it is not the matter here.
none_left() {
	for p in $all; do
		if grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$p/status" 2>/dev/null; then
			note "left: $(tr '\0' ' ' <"/proc/$p/cmdline")"
			return 1
		fi
	done
}
none_listen() { [ -z "$(for p in $ports; do ss -Hltn "sport = :$p"; done)" ]; }
no_files() { [ -z "$(find "$RIG/tmp" "$RIG/home" "$RIG/cwd" -mindepth 1)" ]; }

# try NAME: what is printed works as printed; leaves a session open.
try() {
	ok "$1: it comes to the last lines" begin
	line=$(printed 'ssh -F') play=$(printed '/.* play last')
	out=$(typed_in 'echo typed $((6 * 7))')
	is "$1: the ssh line, as printed: a shell and its exit status" $? 5
	like "$1: and it answers" "$out" 'typed 42'
	ports=$(sed -n 's/.*ready on .*:\([0-9]*\).*/\1/p; s/.*listening on 127.0.0.1:\([0-9]*\);.*/\1/p' "$RIG/demo.log")
	is "$1: two ports are open" "$(for p in $ports; do ss -Hltn "sport = :$p"; done | wc -l)" 2
	replay() { eval "$play --no-wait" | grep -q 'typed 42'; }
	ok "$1: the play line shows what was typed" wait_for 10 replay
	: >"$RIG/open"
	SHELL=/bin/sh script -qefc "$line -tt 'echo op\"\"en; exec sleep 300'" "$RIG/open" </dev/null >/dev/null 2>&1 &
	rig_pids="$rig_pids $!"
	wait_for 10 grep -q open "$RIG/open"
	leader=$(cat "$RIG/pid")
	all=$(tree "$leader")
	like "$1: a session is open at the end" "$(for p in $all; do tr '\0' ' ' <"/proc/$p/cmdline"; echo; done)" 'sleep 300'
}
# gone NAME STATUS
gone() {
	if wait_for 15 none_left; then
		pass "$1: no process is left"
	else
		fail "$1: no process is left"
		# shellcheck disable=SC2086 # process ids are words
		kill -KILL "$terminal" $all 2>/dev/null
	fi
	ok "$1: no port listens" wait_for 1 none_listen
	ok "$1: no file is left" wait_for 1 no_files
	wait "$terminal"
	is "$1: how it ended" $? "$2"
}

touch "$RIG/before"
try 'Ctrl-C'
tr -d '\r' <"$RIG/demo.log" | sed -n '/^  Host /,/^  \$/ s/^  \([^$]\)/\1/p' >"$RIG/ssh_config"
short=$(printed '\$ ssh')
is 'the short name works too' "$(ssh -F "$RIG/ssh_config" "${short##* }" 'echo short')" short
printf '\003' >&3
gone 'Ctrl-C' 130

try 'again, SIGTERM'
kill -TERM "$leader"
gone 'SIGTERM' 143

try 'SIGINT'
kill -INT "$leader"
gone 'SIGINT' 130

try 'the terminal closes'
kill -KILL "$terminal"
gone 'the terminal closes' 137

ended=$(BASTION_BIN=/nonexistent TMPDIR=$RIG/tmp "$BASTION_SRC/contrib/quickstart" 2>&1)
is 'without programs it says so' $? 1
like 'and names what failed' "$ended" 'bastionctl init failed'
ok 'and leaves nothing' no_files
is 'the build is as it was' "$(find "$BASTION_BIN" -newer "$RIG/before" -type f)" ''

tap_end
