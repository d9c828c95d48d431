#!/bin/sh
# Every command that looks at recordings, on a store made from a script, without a bastion.
. "$BASTION_SRC/tests/lib/tap.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-test.XXXXXX")
trap '[ -n "${BASTION_KEEP-}" ] || rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
TZ=UTC
export TZ
unset BASTIOND_CONFIG

ctl() { "$BASTION_BIN/bastionctl" --store "$dir/state" "$@"; }
# code COMMAND...: its exit status
code() {
	"$@" >"$dir/out" 2>"$dir/err" </dev/null
	echo $?
}
say() { cat "$dir/out" "$dir/err"; }

"$BASTION_BIN/bastion-feed" "$dir/state" >"$dir/ids" <<'SCRIPT'
audit {"event":"auth.allowed","conn":3,"identity":"alice"}
open alice root web1
begin 1
pty 1 xterm 101 33
shell 1
wait 500
out 1 $\x20
in 1 ls\r
out 1 ls\r\ncaf\xc3
out 1 \xa9 \e[31mred\e[0m \xff end\e]0;title\x07\eP$q"p\e\\\e[6n\e[c\r\n
size 1 120 40
wait 20000
out 1 later\r\n
exit 1 3
close 1
end
wait 3600000
open bob deploy db1
begin 1
exec 1 uname -a; echo \e[2J
err 1 oops\n
out 1 Linux\n
signal 1 TERM
close 1
begin 2
sub 2 sftp
fill 2 300000
close 2
begin 3
exec 3 rm -rf /
deny 3 exec
close 3
end
open carol root web2
begin 1
exec 1 sleep 100
out 1 partial
crash
open dave root web3
begin 1
exec 1 tail -f log
out 1 live\n
SCRIPT
{ read -r alice && read -r bob && read -r carol && read -r dave; } <"$dir/ids"
cp -a "$dir/state" "$dir/whole"

plan 99

# sessions list and show
is 'list: yes' "$(code ctl sessions list)" 0
like 'list: a table' "$(say)" "^$(echo "$alice" | cut -c1-8)  2026-01-02 03:04:05  alice +root@web1 +closed +20.5s  shell"
unlike 'list: nothing in it acts on a terminal' "$(say | tr -d '\n' | od -An -c)" '033'
is 'list: it fits 80 columns' "$(script -qec "stty cols 80; '$BASTION_BIN/bastionctl' --store '$dir/state' sessions list" /dev/null </dev/null |
	tr -d '\r' | awk 'length > 80' | wc -l)" 0
is 'list --json: exactly the fields' "$(ctl sessions list --json | jq -c '.[0] | keys_unsorted')" \
	'["id","identity","login","host","address","source","started_at","ended_at","state","end_reason","channels","files","files_total","credential","rule","sealed_to","typed","masks","masks_sha256","hidden","masked","erased","held"]'
is 'list --json: and of a channel' "$(ctl --json sessions list | jq -c '.[0].channels[0] | keys_unsorted')" \
	'["n","kind","command","exit_status","bytes_in","bytes_out","bytes_err"]'
is 'list --json: and of a credential' "$(ctl --json sessions list | jq -c '.[0].credential | keys_unsorted')" \
	'["type","fingerprint","key_id","serial","methods","subject"]'
is 'list --json: values' "$(ctl sessions --json list | jq -c '.[] | [.identity, .host, .state, .started_at, .end_reason, .files, (.channels | length)]' | head -n 1)" \
	'["alice","web1","closed","2026-01-02T03:04:05.000000006Z","client",[],1]'
is 'list --json: exit status, and none of a signal' "$(ctl sessions list --json | jq -c '[.[0:2][].channels[0].exit_status]')" '[3,null]'
is 'list --json: an open one has no end' "$(ctl sessions list --json | jq -c '.[3] | [.state, .ended_at, .end_reason]')" '["open",null,null]'
is 'list: by identity' "$(ctl sessions list --json --identity 'b*' | jq -r '.[].id')" "$bob"
is 'list: by host' "$(ctl sessions list --json --host web2 | jq -r '.[].id')" "$carol"
is 'list: by state' "$(ctl sessions list --json --state open | jq -r '.[].id')" "$dave"
is 'list: since' "$(ctl sessions list --json --since '2026-01-02 03:30:00' | jq -r '.[0].id')" "$bob"
is 'list: until' "$(ctl sessions list --json --until 2026-01-02T03:30:00Z | jq -r '.[].id')" "$alice"
is 'list: nothing found is no' "$(code ctl sessions list --identity nobody)" 1
is 'list --json: nothing found is an empty list' "$(ctl sessions list --json --host nowhere | jq -c .)" '[]'
is 'list: a state that there is not' "$(code ctl sessions list --state gone)" 2
is 'list: a time that is none' "$(code ctl sessions list --since yesterday)" 2
is 'show: by the first digits' "$(ctl sessions show "$(echo "$bob" | cut -c1-8)" --json | jq -r .id)" "$bob"
is 'show: last' "$(ctl sessions show last --json | jq -r .id)" "$dave"
like 'show: for people' "$(ctl sessions show "$bob")" '^ +1 +exec +SIGTERM .*uname -a; echo .x1b\[2J'
is 'show: none such is no' "$(code ctl sessions show ffffffffffffffffffffffffffffffff)" 1
is 'show: not an id is no' "$(code ctl sessions show '../../etc')" 1
is 'show: without an id' "$(code ctl sessions show)" 2

# export
is 'raw: every byte' "$(ctl export "$bob" --format raw --stream out --channel 2 | sha256sum | cut -d' ' -f1)" \
	"$(python3 -c '
import hashlib
s, o = 1, bytearray()
for i in range(300000):
    s = (s * 1664525 + 1013904223) & 0xffffffff
    o.append(s >> 24)
print(hashlib.sha256(bytes(o)).hexdigest())')"
is 'raw: the only channel with such bytes needs no name' "$(ctl export "$alice" --format raw --stream in | od -An -c | tr -d ' ')" 'ls\r'
is 'raw: stderr apart, with what the bastion said' "$(ctl export "$bob" --format raw --stream err --channel 3)" "$(printf 'bastiond: no rule allows it\r')"
is 'raw: several channels: which one?' "$(code ctl export "$bob" --format raw --stream out)" 2
like 'raw: and it names them' "$(say)" 'channels 1, 2 '
is 'raw: which stream?' "$(code ctl export "$bob" --format raw)" 2
is 'raw: a channel that there is not' "$(code ctl export "$bob" --format raw --stream out --channel 9)" 1
rig_tty() { script -qec "$1" /dev/null </dev/null; }
like 'raw: not to a terminal' "$(rig_tty "'$BASTION_BIN/bastionctl' --store '$dir/state' export $alice --format raw --stream out")" 'not for a terminal'
is 'asciicast-v2: into a file' "$(code ctl export "$alice" --format asciicast-v2 -o "$dir/x.cast")" 0
like 'asciicast-v2: what it cannot hold is said' "$(say)" '1 bytes that are not UTF-8.*exit status'
is 'asciicast-v2: the file is for its owner' "$(stat -c %a "$dir/x.cast")" 600
is 'asciicast-v2: header' "$(head -n 1 "$dir/x.cast" | jq -c '[.version, .width, .height, .timestamp, .title, .env.TERM]')" \
	'[2,101,33,1767323045,"alice as root on web1","xterm"]'
is 'asciicast-v2: every line is JSON' "$(tail -n +2 "$dir/x.cast" | jq -c 'length' | sort -u)" 3
is 'asciicast-v2: the size changes' "$(tail -n +2 "$dir/x.cast" | jq -r 'select(.[1] == "r") | .[2]' | tail -n 1)" 120x40
if command -v asciinema >/dev/null; then
	# It asks for a terminal, even to write to a pipe.
	HOME=$dir LC_ALL=C.UTF-8 script -qec "asciinema cat '$dir/x.cast' >'$dir/cat'" /dev/null </dev/null
	ctl export "$alice" --format raw --stream out | sed "s/$(printf '\377')/$(printf '\357\277\275')/" >"$dir/raw"
	ok 'asciicast-v2: asciinema shows the same bytes' cmp "$dir/cat" "$dir/raw"
else
	pass 'asciicast-v2: asciinema shows the same bytes # SKIP no asciinema'
fi
is 'text: a transcript' "$(ctl export "$alice" --format text 2>/dev/null | sed '1,/^$/d' | grep -E ' (in|out) ')" "$(
	cat <<TEXT
0:00:00.500  1 out | \$ ls
0:00:00.500  1 in  | ls
0:00:00.500  1 out | $(printf 'caf\303\251 red \357\277\275 end')
0:00:20.500  1 out | later
TEXT
)"
like 'text: what was denied' "$(ctl export "$bob" --format text 2>/dev/null)" 'denied exec: no rule allows it'
is 'json: one document, every event' "$(ctl export "$alice" --format json | jq -c '[.session.id, (.events | length), .events[-1].type]')" \
	"[\"$alice\",13,\"close\"]"
is 'json: bytes as they are' "$(ctl export "$alice" --format json --stream out | jq -r '.events[] | select(.stream == "out") | .data' |
	while read -r d; do echo "$d" | base64 -d; done | sha256sum)" "$(ctl export "$alice" --format raw --stream out | sha256sum)"
is 'bundle: not to a terminal or a pipe' "$(code ctl export "$alice" --format bundle)" 2
like 'bundle: in these words' "$(say)" 'needs a file: -o FILE'
is 'export: a format is needed' "$(code ctl export "$alice")" 2
is 'export: a disk that is full' "$(code ctl export "$bob" --format json -o /dev/full)" 3
is 'export: a folder that there is not' "$(code ctl export "$bob" --format json -o "$dir/no/x")" 3
is 'export: a session that runs' "$(ctl export "$dave" --format raw --stream out)" live

# play
is 'play: yes' "$(code ctl play "$alice" --no-wait)" 0
unlike 'play: no title, no query, no string' "$(od -An -c <"$dir/out" | tr -d ' \n')" '033\]|033P|033\[6n|033\[c|title'
like 'play: what the terminal showed' "$(cat "$dir/out")" 'red'
like 'play: the terminal is brought back' "$(od -An -c <"$dir/out" | tr -d ' \n')" '033\[m0337033\[r0338$'
is 'play: another channel' "$(ctl play "$bob" --channel 1 --no-wait)" "$(printf 'oops\nLinux')"
is 'play: raw into a pipe' "$(ctl play "$alice" --raw --no-wait | sha256sum)" "$(ctl export "$alice" --format raw --stream out | sha256sum)"
like 'play: raw not to a terminal' "$(rig_tty "'$BASTION_BIN/bastionctl' --store '$dir/state' play --raw $alice")" 'a terminal acts on them'
is 'play: long pauses cut' "$(timeout 10 "$BASTION_BIN/bastionctl" --store "$dir/state" play "$alice" --idle-limit 100ms >/dev/null && echo played)" played
is 'play: from a moment on' "$(timeout 10 "$BASTION_BIN/bastionctl" --store "$dir/state" play "$alice" --at 20.4 >/dev/null && echo played)" played
for bad in '--speed 0' '--speed x' '--at -1' '--idle-limit 5' '--channel 0' '--json'; do
	# shellcheck disable=SC2086 # options are words
	is "play: $bad" "$(code ctl play "$alice" $bad)" 2
done
is 'play: in a terminal: keys, and its settings back' "$(python3 - "$BASTION_BIN/bastionctl" "$dir/state" "$alice" 2>&1 <<'PY'
import os, pty, select, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["bastionctl", "--store", sys.argv[2], "play", sys.argv[3]])
before = termios.tcgetattr(fd)
seen, end, sent = b"", time.time() + 20, []
keys = [b" ", b" ", b"+", b"\033[D", b"\033[C", b"\033[C", b"\033[C", b"\033[C", b"\033[F", b"q"]
while time.time() < end:
    r, _, _ = select.select([fd], [], [], 0.1)
    if r:
        try:
            d = os.read(fd, 65536)
        except OSError:
            break
        if not d:
            break
        seen += d
    elif b"end" in seen and keys:
        os.write(fd, keys.pop(0))
if time.time() >= end:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
print("status", status, "later" in seen.decode("utf-8", "replace"), b"\033[H\033[2J" in seen)
PY
)" 'status 0 True True'

# verify, checkpoint, log
is 'verify: yes' "$(code ctl verify --all)" 0
like 'verify: each session' "$(say)" "^whole +$carol"
is 'verify: one' "$(code ctl verify "$bob")" 0
is 'verify --json: yes in words' "$(ctl verify --json | jq -c '[.ok, (.sessions | length), .findings, .result.open, .result.truncated]')" '[true,4,[],1,1]'
ctl checkpoint -o "$dir/checkpoint"
is 'checkpoint: the same on standard output' "$(ctl checkpoint | sha256sum)" "$(sha256sum <"$dir/checkpoint")"
is 'checkpoint: verifies against itself' "$(code ctl verify --checkpoint "$dir/checkpoint")" 0
is 'checkpoint: not a checkpoint' "$(code ctl verify --checkpoint "$dir/ids")" 1
is 'verify: no key' "$(code ctl verify --public-key "$dir/nothing")" 3
is 'verify: not a key' "$(code ctl verify --public-key "$dir/ids")" 3
"$BASTION_BIN/bastion-feed" "$dir/other" </dev/null
is 'verify: another key: no' "$(code ctl verify --public-key "$dir/other/recorder.pub")" 1
is 'verify: a bundle that is not there' "$(code "$BASTION_BIN/bastionctl" verify --bundle "$dir/nothing")" 3
is 'verify: all or one' "$(code ctl verify --all "$bob")" 2
for how in flip cut swap remove; do
	rm -rf "$dir/state" && cp -a "$dir/whole" "$dir/state"
	"$BASTION_BIN/bastion-tamper" $how "$dir/state/recorder" "$bob"
	is "verify: $how: no" "$(code ctl verify --all)" 1
	like "verify: $how: and which session" "$(say)" "$bob"
done
for how in half empty zeros; do
	rm -rf "$dir/broken" && cp -a "$dir/whole" "$dir/broken"
	size=$(stat -c %s "$dir/broken/recorder/data.mdb")
	case $how in
	half) truncate -s $((size / 2)) "$dir/broken/recorder/data.mdb" ;;
	empty) : >"$dir/broken/recorder/data.mdb" ;;
	zeros) head -c "$size" /dev/zero >"$dir/broken/recorder/data.mdb" ;;
	esac
	is "verify: a file that is $how: not found out" "$(code "$BASTION_BIN/bastionctl" --store "$dir/broken" verify)" 3
	is "list: a file that is $how: not found out" "$(code "$BASTION_BIN/bastionctl" --store "$dir/broken" sessions list)" 3
done
is 'verify: no store at all: not found out' "$(code "$BASTION_BIN/bastionctl" --store "$dir/nothing" verify)" 3
is 'list: goes on beside a removed session' "$(ctl sessions list --json | jq length)" 3
rm -rf "$dir/state" && cp -a "$dir/whole" "$dir/state"
is 'log: JSON lines' "$(ctl log | jq -r .event | sort -u | tr '\n' ' ')" 'auth.allowed recorder.recovery session.closed session.opened '
is 'log: of one session' "$(ctl log "$bob" | jq -r .event | tr '\n' ' ')" 'session.opened session.closed '
is 'log: of one connection' "$(ctl log 3 | jq -r .identity)" alice

# what is not there
for c in 'requests list' 'nothing'; do
	# shellcheck disable=SC2086 # words
	is "no command: $c" "$(code ctl $c)" 2
done

tap_end
