#!/bin/sh
# Commands that somebody types where the record does not show them: by a prompt that asks for a password, or without echo. The record
# says that it was done, how often, and that it did something; a rule can keep all that is typed.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 19
ok 'a bastion is made' rig_init
ok 'a target starts' rig_target t1
ok 'another starts' rig_target t2
cat >"$RIG/rules.yaml" <<YAML
  - {name: hides, who: {groups: [sre]}, where: {hosts: [t1]}, as: [$rig_me], may: [shell, exec]}
  - {name: keeps, who: {groups: [sre]}, where: {hosts: [t2]}, as: [$rig_me], may: [shell, exec], how: {typed: keep}}
YAML
rig_policy
ok 'the bastion starts' rig_start

# type_on HOST STEPS: in a shell there; the session is $sid then.
type_on() {
	cat >"$RIG/scene.py" <<-PY
		def scenes(mode):
		    yield "hidden", [("wait", r"[\$#>] \$"), ("type", "PS1='ready> '\\r"), ("wait", "ready> \$"), $2]
	PY
	cat >"$RIG/client" <<-SH
		#!/bin/sh
		exec ssh $(rig_opts) -p $bastion_port -tt $(to "$1") 'HISTFILE= bash --norc -i'
	SH
	chmod +x "$RIG/client"
	TERM=xterm python3 "$BASTION_SRC/tests/lib/typist.py" "$RIG/scene.py" slow "$RIG/typed" -- "$RIG/client" || return 1
	sid=$(last_sid)
	wait_for 60 session_closed "$sid"
}
hidden() { ctl sessions show "$sid" --json | jq -c "[.hidden.$1]" | sed "s/^.//; s/.\$//"; }

prompt='("type", "PS1=\"Password: \"\r"), ("wait", "assword: $")'
ok 'a shell whose prompt asks for a password' type_on t1 "$prompt"', ("secret", "seq 2\r"), ("wait", "1\r\n2\r\n(.|\r|\n)*Password: $"),
	("secret", "seq 3\r"), ("wait", "3\r\n(.|\r|\n)*Password: $"), ("secret", "exit\r")'
is 'three lines were hidden' "$(hidden prompt)" 3
is 'two of them did something, in a row' "$(hidden answered) $(hidden row_answered)" '2 2'
is 'that is suspect' "$(hidden suspect)" true
like 'people are warned' "$(ctl sessions show "$sid")" '^warning .*commands may have been typed'
like 'and see how often' "$(ctl sessions show "$sid")" '^hidden .*3 lines: 3 behind a prompt for a secret; 2 followed by output'
is 'the record has a mark at each place' "$(ctl export "$sid" --format text | grep -c '(hidden)')" 5

ok 'a shell without echo' type_on t1 '("type", "stty -echo\r"), ("wait", "stty -echo\r\n(.|\r|\n)*ready> $"), ("secret", "seq 3\r"),
	("wait", "3\r\n(.|\r|\n)*ready> $"), ("secret", "exit\r")'
is 'a line that nobody asked for did something' "$(hidden silent_answered) $(hidden suspect)" '1 true'

ok 'real questions for a secret' type_on t1 '("type", "read -s -p \"Password: \" x; seq 5\r"), ("wait", "assword: $"), ("secret", "Zq7\r"),
	("wait", "5\r\n(.|\r|\n)*ready> $"), ("type", "exit\r")'
is 'are hidden and not suspect' "$(hidden lines) $(hidden suspect)" '1 false'

ok 'the same where the rule keeps what is typed' type_on t2 "$prompt"', ("secret", "seq 2\r"), ("wait", "1\r\n2\r\n(.|\r|\n)*Password: $"),
	("secret", "exit\r")'
like 'has the commands' "$(ctl export "$sid" --format raw --stream in | tr '\r' ' ')" 'seq 2 exit'
is 'and nothing is hidden' "$(hidden lines) $(hidden suspect)" '0 false'
ok 'everything verifies' ctl verify --all
tap_end
