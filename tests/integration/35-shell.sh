#!/bin/sh
# The bastion's own shell: ssh alice@bastion, with commands and, on a terminal (tmux), a picker; both legs recorded.
# shellcheck disable=SC2029 # what is meant to expand here expands here
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 78
rig_init && rig_target t1 || exit 1
rig_key "$RIG/bob"
rig_key "$RIG/carol"
key=$(cut -d' ' -f1,2 "$RIG/t1/host_key.pub")
# t2 is nobody's, t4 cannot be reached, nothing listens for t5; web9 asks for a login; the pattern is t1 under other names.
{
	echo "  t2: {address: 127.0.0.1, port: $rig_port_t1, labels: {env: secret}, key: fleet, host_keys: [\"$key\"]}"
	echo "  t4: {address: 127.0.0.1, port: $rig_port_t1, labels: {env: test}, key: fleet}"
	echo "  t5: {address: 127.0.0.1, port: 1, labels: {env: test}, key: fleet, host_keys: [\"$key\"]}"
	echo "  web9: {address: 127.0.0.1, port: $rig_port_t1, labels: {env: web}, key: fleet, host_keys: [\"$key\"]}"
	echo "  noshell: {address: 127.0.0.1, port: $rig_port_t1, labels: {env: exec}, key: fleet, host_keys: [\"$key\"]}"
} >>"$RIG/hosts.yaml"
{
	echo "  bob: {keys: [\"$(cut -d' ' -f1,2 "$RIG/bob.pub")\"]}"
	echo "  carol: {keys: [\"$(cut -d' ' -f1,2 "$RIG/carol.pub")\"]}"
} >"$RIG/users.yaml"
cat >"$RIG/rules.yaml" <<YAML
  - {name: tests, who: {groups: [sre]}, where: {labels: {env: test}}, as: [$rig_me], may: [shell, exec]}
  - {name: web, who: {groups: [sre]}, where: {labels: {env: web}}, as: [$rig_me, deploy], may: [shell]}
  - {name: exec, who: {users: [carol]}, where: {labels: {env: exec}}, as: [$rig_me], may: [exec]}
YAML
rig_policy
ok 'a bastion starts' rig_start

b() { b_ssh -T alice@127.0.0.1 "$@" </dev/null; }
as() { # KEY NAME COMMAND
	as_key=$1 as_name=$2
	shift 2
	IDENTITY=$RIG/$as_key b_ssh -T "$as_name@127.0.0.1" "$@" </dev/null
}

# The server of the terminals ends with its last session; one that starts at that moment would be lost.
tmux -S "$RIG/tmux" -f /dev/null new-session -d -s keep "while kill -0 $$; do sleep 1; done"

# A terminal: term NAME COLUMNS ROWS KEY USER, keys for it, what it shows.
term() {
	cat >"$RIG/term-$1" <<SH
#!/bin/sh
ssh $(IDENTITY=$RIG/$4 rig_opts) -p $bastion_port $5@127.0.0.1
echo "ended with \$?"
exec sleep 60
SH
	chmod +x "$RIG/term-$1"
	tmux -S "$RIG/tmux" -f /dev/null new-session -d -s "$1" -x "$2" -y "$3" "$RIG/term-$1"
}
screen() { tmux -S "$RIG/tmux" capture-pane -p -t "$1"; }
shows() { screen "$1" | grep -Eq -- "$2"; }
lacks() { ! shows "$@"; }
keys() {
	keys_t=$1
	shift
	tmux -S "$RIG/tmux" send-keys -t "$keys_t" "$@"
}
away() { tmux -S "$RIG/tmux" kill-session -t "$1"; }

# Without a terminal: what is refused.
out=$(as bob bob hosts 2>&1)
is 'nobody has hosts for nothing: 1' $? 1
is 'and a line that says so' "$out" 'bastiond: no host is open to you at the moment'
is 'as JSON an empty list' "$(as bob bob hosts --json)" '[]'
unknown=$(b explain nowhere)
is 'explain an unknown host: 1' $? 1
is 'explain one of others: the same words' "$(b explain t2 | sed 's/t2/nowhere/')" "$unknown"
is 'and one that lacks its pin' "$(b explain t4 | sed 's/t4/nowhere/')" "$unknown"
is 'a login that is not theirs: the same words' "$(b explain root2+t1 | sed 's/root2+t1/nowhere/')" "$unknown"
like 'as JSON it says no more' "$(b explain t2 --json | jq -c 'keys')" '^\["allowed","at","host","identity","source","text"\]$'
like 'a name that is none: how it is written' "$(b explain a:b 2>&1)" 'write alice\+a\+b instead'
b explain a:b 2>/dev/null
is 'is wrong usage' $? 2
out=$(b uptime -p 2>&1)
is 'a command for a host: 2' $? 2
like 'and how hosts are named, and the commands' "$out" '^bastiond: uptime -p: .*hosts, whoami, explain TARGET, sessions, help.*ssh LOGIN\+HOST@BASTION uptime -p$'
is 'in one line' "$(printf '%s\n' "$out" | wc -l)" 1
for c in 'hosts x' 'explain' 'explain a b' 'whoami --all' "$(printf 'x%.0s' $(seq 1 3000))"; do
	b "$c" >/dev/null 2>&1
	is "wrong usage: $(printf %.12s "$c")" $? 2
done
# shellcheck disable=SC2046
out=$(sftp $(rig_opts) -P "$bastion_port" alice@127.0.0.1 </dev/null 2>&1)
isnt 'sftp to the bastion itself fails' $? 0
like 'with a line that says where to' "$out" 'the bastion keeps no files: name a host'
like 'a tunnel needs a host' "$(b_ssh -o ExitOnForwardFailure=yes -R 0:127.0.0.1:1 alice@127.0.0.1 whoami 2>&1)" 'remote port forwarding failed'

# What is there.
like 'hosts: only those that can be reached' "$(b hosts)" "^t1 +$rig_me +shell,exec +env=test"
is 'and no others' "$(b hosts --json | jq -r '.[].host' | sort | tr '\n' ' ')" 't1 t5 web9 '
is 'with all logins' "$(b hosts --json | jq -r '.[] | select(.host == "web9") | .logins[].login' | sort | tr '\n' ' ')" \
	"$(printf '%s\n' deploy "$rig_me" | sort | tr '\n' ' ')"
is 'whoami' "$(b whoami --json | jq -r '.identity, .groups[0], .credential.type')" "alice
sre
key"
like 'explain' "$(b explain t1)" "^yes: alice may log in as $rig_me on t1 \(127.0.0.1 port $rig_port_t1\)"
is 'explain with login and port' "$(b explain "$rig_me+t1+$rig_port_t1" --json | jq -r '.allowed, .rule')" "true
tests"
like 'as written elsewhere' "$(b explain "$rig_me@t1")" '^yes: '
like 'help' "$(b help)" '^hosts '
out=$(printf 'whoami\n\nhosts\nnonsense\n' | b_ssh -T alice@127.0.0.1 2>"$RIG/lines.err")
is 'commands on the input, the last one counts' $? 2
like 'each is answered' "$out" "^identity +alice"
like 'in order' "$(printf '%s\n' "$out" | tail -n 3)" '^t1 '
is 'an unfinished last line counts' "$(printf 'whoami --json' | b_ssh -T alice@127.0.0.1 | jq -r .identity)" alice
is 'nothing asked: 0' "$(b_ssh -T alice@127.0.0.1 </dev/null; echo $?)" 0
like 'with a terminal, lines begin at the left' "$(b_ssh -tt alice@127.0.0.1 hosts </dev/null | od -c | head -20)" '\\r +\\n'

# Sessions: one's own, noted before they are shown.
is 'sessions: all are alice'"'"'s' "$(b sessions --json | jq -r '.[].identity' | sort -u)" alice
is 'bob sees his' "$(as bob bob sessions --json | jq -r '.[].identity' | sort -u)" bob
like 'in lines' "$(b sessions)" '^[0-9a-f]{8}  .* bastion +closed +exec hosts'
is 'every view is an event' "$(ctl log | jq -r 'select(.event == "record.viewed" and .by == "bob") | .of' | head -n 1)" bob

# The picker.
term nobody 80 24 bob bob
ok 'no hosts: the terminal gets the line' wait_for 10 shows nobody 'no host is open to you'
ok 'and 1' wait_for 10 shows nobody 'ended with 1'
away nobody

term a 80 24 alice alice
ok 'the picker shows the hosts' wait_for 10 shows a '3 of 3 hosts'
ok 'one is marked' shows a '^> t1 '
keys a Down
ok 'down' wait_for 5 shows a '^> t5 '
keys a C-n
ok 'control-N' wait_for 5 shows a '^> web9 '
keys a Up
ok 'up' wait_for 5 shows a '^> t5 '
keys a we9
ok 'typing finds nothing' wait_for 5 shows a '0 of 3 hosts'
keys a BSpace
keys a b
ok 'and then something' wait_for 5 shows a '1 of 3 hosts'
tmux -S "$RIG/tmux" resize-window -t a -x 20 -y 5
ok 'a small terminal shows it too' wait_for 5 shows a '^> web9'
tmux -S "$RIG/tmux" resize-window -t a -x 90 -y 30
keys a Escape
ok 'escape leaves: 0' wait_for 10 shows a 'ended with 0'
ok 'and nothing of it stays' lacks a 'hosts|> web9'
away a

term b 80 24 alice alice
wait_for 10 shows b '3 of 3 hosts'
keys b t5 Enter
ok 'a host that does not answer: told, and 255' wait_for 20 shows b 'ended with 255'
away b

term c 100 30 alice alice
wait_for 10 shows c '3 of 3 hosts'
keys c web Enter
ok 'several logins: it asks' wait_for 5 shows c 'Login on web9'
keys c "$rig_me" Enter
keys c 'PS1="rea""dy> "; echo st""arted' Enter
ok 'a shell on the host' wait_for 15 shows c '^started'
keys c 'stty size' Enter
ok 'it has the size of the terminal' wait_for 10 shows c '^30 100'
tmux -S "$RIG/tmux" resize-window -t c -x 111 -y 31
resized() { keys c 'stty size' Enter && sleep 0.2 && shows c '^31 111'; }
ok 'a resize arrives' wait_for 10 resized
keys c 'head -c 3000000 /dev/zero | tr "\0" x | md5sum; head -c 9000000 /dev/zero | tr "\0" "\n"; echo wh""ole' Enter
ok 'output flows' wait_for 60 shows c '^whole'
keys c 'trap "echo caught" INT; sleep 20' Enter
sleep 0.5
keys c C-c
ok 'control-C is the program'"'"'s' wait_for 10 shows c 'caught'
keys c 'exit 7' Enter
ok 'its exit status is the connection'"'"'s' wait_for 10 shows c 'ended with 7'
away c
closed_both() { [ "$(ctl sessions list --json | jq -r '.[] | select(.state == "open") | .id' | wc -l)" = 0 ]; }
ok 'both sessions end' wait_for 10 closed_both
sid=$(ctl sessions list --json | jq -r '[.[] | select(.host == "web9")] | last | .id')
like 'the one on the host is its own, with its host and rule' \
	"$(ctl sessions show "$sid" --json | jq -r '[.identity, .login, .host, .rule, .channels[0].exit_status] | join(" ")')" \
	"^alice $rig_me web9 web 7$"
like 'and its replay shows it' "$(ctl play "$sid" --no-wait </dev/null | tr -d '\r')" 'started'
is 'the connect is an event' "$(ctl log | jq -r 'select(.event == "connect.allowed" and .host == "web9") | .login')" "$rig_me"

# A host that takes the connection and says nothing.
term f 80 24 alice alice
wait_for 10 shows f '3 of 3 hosts'
# shellcheck disable=SC2154 # set by rig_target
kill -STOP "$rig_pid_t1"
keys f t1 Enter
opening() { [ -n "$(ctl sessions list --json | jq -r '.[] | select(.host == "t1" and .state == "open") | .id')" ]; }
wait_for 10 opening
keys f C-c
ok 'control-C while it is connected to leads back to the picker' wait_for 10 shows f 'bastiond: cancelled'
closed() { ! opening; }
ok 'and ends that session' wait_for 10 closed
kill -CONT "$rig_pid_t1"
keys f Enter
keys f 'echo st""arted' Enter
ok 'the next try is a new one' wait_for 15 shows f '^started'
away f

# What goes wrong in the middle.
term d 80 24 alice alice
wait_for 10 shows d '3 of 3 hosts'
sed -i 's/name: tests, who/name: tests, deny: true, who/; s/, as: \['"$rig_me"'\], may: \[shell, exec\]}/}/' "$RIG/b/policy.yaml"
kill -HUP "$bastion_pid"
wait_for 10 grep -q 'reload' "$RIG/bastiond.log"
denied() { [ "$(b explain t1)" = "$(echo "$unknown" | sed s/nowhere/t1/)" ]; }
ok 'a policy without the host' wait_for 10 denied
keys d t1 Enter
ok 'what was shown before is refused as unknown' wait_for 10 shows d 'there is no such host, or it is not open to you'
ok 'and the picker is there again' wait_for 10 shows d '> t1'
is 'that is an event, too' "$(ctl log | jq -r 'select(.event == "connect.denied") | .reason' | tail -n 1)" host-denied-by-rule
kill -KILL "$(role_pid shell)"
ok 'a shell that dies ends its connection' wait_for 10 shows d 'ended with 255'
like 'in one line' "$(screen d)" 'bastiond: '
away d
is 'and nobody else'"'"'s' "$(b whoami --json | jq -r .identity)" alice
rig_policy
kill -HUP "$bastion_pid"
allowed() { b explain t1 >/dev/null; }
wait_for 10 allowed

term e 80 24 alice alice
wait_for 10 shows e '3 of 3 hosts'
keys e t1 Enter
keys e 'echo st""arted' Enter
wait_for 10 shows e '^started'
kill -KILL "$(role_pid recorder)"
ok 'no record, no session' wait_for 15 shows e 'ended with 255'
ok 'and it says so' shows e 'record'
away e
again() { [ "$(b whoami --json 2>/dev/null | jq -r .identity)" = alice ]; }
ok 'with a new recorder all works again' wait_for 20 again
ok 'everything verifies' ctl verify --all

tap_end
