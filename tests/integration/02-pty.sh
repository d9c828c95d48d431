#!/bin/sh
# Terminals: modes, size, resize, keystrokes, in a real terminal (tmux).
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 9
ok 'a bastion and its target start' rig_up
rig_direct_key t1

# script(1) gives both sides the same terminal to start from.
tty_of() {
	TERM=xterm script -qec "stty rows 33 cols 101 -ixon iutf8 erase ^H; $*" /dev/null </dev/null | tr -d '\r'
}
cat >"$RIG/via" <<SH
#!/bin/sh
exec ssh $(rig_opts) -p $bastion_port -tt $(to t1) "\$@"
SH
cat >"$RIG/plain" <<SH
#!/bin/sh
exec ssh $(IDENTITY=$RIG/direct rig_opts) -p $rig_port_t1 -tt $rig_me@127.0.0.1 "\$@"
SH
chmod +x "$RIG/via" "$RIG/plain"
tty_of "$RIG/plain 'stty -a; echo \$TERM'" >"$RIG/modes.plain"
tty_of "$RIG/via 'stty -a; echo \$TERM'" >"$RIG/modes.via"
like 'the terminal has its size' "$(cat "$RIG/modes.via")" 'rows 33; columns 101'
is 'all terminal modes are as without the bastion' "$(cat "$RIG/modes.via")" "$(cat "$RIG/modes.plain")"

screen() { tmux -S "$RIG/tmux" capture-pane -p -t t; }
shows() { screen | grep -q -- "$1"; }
tmux -S "$RIG/tmux" -f /dev/null new-session -d -s t -x 90 -y 24 "$RIG/via"
keys() { tmux -S "$RIG/tmux" send-keys -t t "$@"; }
keys 'PS1="ready> "; echo st""arted' Enter
ok 'a shell answers keystrokes' wait_for 15 shows started
keys 'stty size' Enter
ok 'it has the size of the terminal' wait_for 10 shows '24 90'
tmux -S "$RIG/tmux" resize-window -t t -x 111 -y 31
resized() { keys 'stty size' Enter && sleep 0.2 && shows '31 111'; }
ok 'a resize arrives' wait_for 10 resized
keys 'exit 3' Enter
gone() { ! tmux -S "$RIG/tmux" has-session -t t; }
ok 'the shell ends the session' wait_for 10 gone

sid=$(last_sid)
ok 'the session ends' wait_for 10 session_closed "$sid"
like 'the replay shows what the terminal showed' "$(ctl play "$sid" --no-wait </dev/null | tr -d '\r')" 'started'

tap_end
