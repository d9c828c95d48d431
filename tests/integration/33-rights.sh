#!/bin/sh
# Rights at work, each with the stock client and its own words: files, programs, forwards; what a rule gives and no more.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 74
far=$RIG/far
mkdir -p "$far/in/deep" "$far/out" "$far/infix"
head -c 200000 /dev/urandom >"$RIG/a"
cp "$RIG/a" "$far/in/x"
cp "$RIG/a" "$far/out/y"
cp "$RIG/a" "$far/infix/z"
ln -s "$far/out" "$far/in/link"

# One sshd under several names, each with rules of its own.
one() { # NAME HOST RIGHTS [more lines]
	cat <<-YAML
		  - name: $1
		    who: {groups: [sre]}
		    where: {hosts: [$2]}
		    as: [$rig_me]
		    may: $3
	YAML
}
up() {
	rig_init && rig_target shell || return 1
	key=$(cut -d' ' -f1,2 "$RIG/shell/host_key.pub")
	# shellcheck disable=SC2154 # set by rig_target
	for h in read write paths scp rsync exec sum fwd agent; do rig_host "$h" "$rig_port_shell" "$key"; done
	{
		one shell shell '[shell]'
		one read read '[sftp-read]'
		one write write '[sftp-write]'
		one paths paths "[{sftp-read: [$far/in, $far/out]}, {sftp-write: [$far/in/]}]"
		one scp scp '[scp]'
		one rsync rsync '[rsync]'
		one exec exec '[{exec: ["echo *", "cat **"]}]'
		one sum1 sum "[{sftp-read: [$far/in]}]"
		one sum2 sum "[{sftp: [$far/out]}]"
		one fwd fwd "[{forward: [\"localhost:$open\", \"*:$shut\", \"unix:$RIG/in.sock\"]}, {remote_forward: [$far_port, \"unix:$RIG/far.sock\"]}]"
		one agent agent '[{exec: ["ssh-add -l"]}, agent]'
		echo "  - {name: not-there, deny: true, may: [{forward: [\"*:$shut\"]}]}"
	} >"$RIG/rules.yaml"
	cp "$RIG/ca.pub" "$RIG/b/user_ca.pub" && sed -i 's|^login:.*|login:\n  user_ca: [user_ca.pub]|' "$RIG/b/bastiond.yaml"
	rig_policy && rig_start
}
rig_key "$RIG/ca"
open=$(rig_port) shut=$(rig_port) far_port=$(rig_port) near_port=$(rig_port)
up || exit 1
pass 'a bastion with these rules starts'

# shellcheck disable=SC2046
b_sftp() { # HOST [sftp options]; commands on stdin. Its words are in $words.
	h=$1
	shift
	words=$(sftp -q $(rig_opts) -P "$bastion_port" -b - "$@" "$(to "$h")" 2>&1 >"$RIG/sftp.out")
}
# shellcheck disable=SC2046
b_scp() { words=$(scp -q $(rig_opts) -P "$bastion_port" "$@" 2>&1); }
b_rsync() { words=$(rsync -e "ssh $(rig_opts) -p $bastion_port" "$@" 2>&1); }
b_words() { words=$(b_ssh "$@" 2>&1 </dev/null); }
refusals() { # EVENT FILTER: how many events say so
	ctl log | jq -r --arg e "$1" "select(.event == \$e) | select($2) | .event" | wc -l
}
some() { [ "$(refusals "$@")" -gt 0 ]; }

# Reading.

ok 'sftp-read: get' b_sftp read <<-SFTP
	get $far/in/x $RIG/x
SFTP
ok 'what came is the file' cmp "$RIG/a" "$RIG/x"
b_sftp read <<-SFTP
	-put $RIG/a $far/in/n
	-rm $far/in/x
	-rename $far/in/x $far/in/z
	-mkdir $far/in/d
	-rmdir $far/in/deep
	-chmod 600 $far/in/x
	-ln $far/in/x $far/in/h
	-ln -s $far/in/x $far/in/s
	ls $far/in
	get $far/in/x $RIG/again
SFTP
is 'the session goes on after every refusal' $? 0
is 'each is refused in the words of the client' "$(printf '%s\n' "$words" | sed "s|$far|FAR|g" | grep -c 'Permission denied')" 8
like 'put' "$words" "dest open \"$far/in/n\": Permission denied"
like 'rm' "$words" 'remote delete.*: Permission denied|delete file: Permission denied'
like 'mkdir' "$words" 'remote mkdir .*: Permission denied|create directory: Permission denied'
is 'nothing happened' "$(ls "$far/in")" "$(printf 'deep\nlink\nx')"
ok 'and reading goes on' cmp "$RIG/a" "$RIG/again"
eight() { [ "$(refusals file.refused true)" = 8 ]; }
ok 'each is an event' wait_for 10 eight

# Writing.

ok 'sftp-write: put, mkdir, rename, rm' b_sftp write <<-SFTP
	put $RIG/a $far/in/n
	chmod 600 $far/in/n
	mkdir $far/in/d
	rename $far/in/n $far/in/d/n
	rm $far/in/d/n
	rmdir $far/in/d
SFTP
b_sftp write <<-SFTP
	get $far/in/x $RIG/stolen
SFTP
like 'get' "$words" "open \"$far/in/x\": Permission denied"
ok 'nothing came' test ! -s "$RIG/stolen"
b_sftp write <<-SFTP
	reput $RIG/a $far/in/x
SFTP
ok 'a file is still whole after another try to go on with it' cmp "$RIG/a" "$far/in/x"

# Paths.

ok 'paths: reading there' b_sftp paths <<-SFTP
	get $far/out/y $RIG/y
	ls -l $far/in
SFTP
ok 'and writing there' b_sftp paths <<-SFTP
	put $RIG/a $far/in/deep/n
	rename $far/in/deep/n $far/in/n
	rm $far/in/n
SFTP
refused() { # COMMAND...: one batch; the last command is refused
	for c; do echo "$c"; done >"$RIG/batch"
	if b_sftp paths <"$RIG/batch"; then
		note "not refused: $*"
		return 1
	fi
	if printf '%s\n' "$words" | grep -Eq 'Permission denied|not found'; then return 0; fi
	note "$*: $words"
	return 1
}
ok 'not elsewhere' refused "get /etc/hostname $RIG/no"
ok 'not in a folder whose name begins the same' refused "get $far/infix/z $RIG/no"
ok 'not above' refused "ls $far"
ok 'not writing where only reading is allowed' refused "put $RIG/a $far/out/n"
ok 'not by a rename' refused "rename $far/in/x $far/out/x"
ok 'not by another name for the same file' refused "ln $far/out/y $far/in/y"
ok 'not with ..' refused "get $far/in/../../a $RIG/no"
ok 'not with .. behind a folder to write to' refused "put $RIG/a $far/in/../out/n"
ok 'not with .. through a link' refused "put $RIG/a $far/in/link/../n"
ok 'not relative to where one stands' refused "cd $far/in" "put $RIG/a ../out/n"
ok 'not relative to home' refused 'get .profile'
ok 'not with //' refused "get //etc/hostname $RIG/no"
ok 'not with /./' refused "get $far/in/./../../a $RIG/no"
ok 'no link is made' refused "ln -s /etc $far/in/etc"
ok 'relative to where one stands, inside' b_sftp paths <<-SFTP
	cd $far/in/deep
	put $RIG/a n
	rm n
SFTP
ok 'a link that is there leads where it leads' b_sftp paths <<-SFTP
	get $far/in/link/y $RIG/linked
SFTP
is 'nothing was written elsewhere' "$(ls "$far/out" "$far/in/deep")" "$(printf '%s:\n\n%s:\ny' "$far/in/deep" "$far/out")"
ok 'nothing was read from elsewhere' test ! -s "$RIG/no"
ok 'scp of today is held to them, too' b_scp "$RIG/a" "$(to paths):$far/in/deep/s"
b_scp "$RIG/a" "$(to paths):$far/out/s"
like 'in its words' "$words" "scp: dest open \"$far/out/s\": Permission denied"
rm -f "$far/in/deep/s"
ok 'two rules add up' b_sftp sum <<-SFTP
	get $far/in/x $RIG/x
	get $far/out/y $RIG/y
	put $RIG/a $far/out/sum
	rm $far/out/sum
SFTP
b_sftp sum <<-SFTP
	put $RIG/a $far/in/sum
SFTP
like 'each right with its own paths' "$words" "dest open \"$far/in/sum\": Permission denied"

# scp in its old protocol.

both_ways() { b_scp -O "$RIG/a" "$(to scp):$far/out/o" && b_scp -O "$(to scp):$far/out/o" "$RIG/o" && cmp "$RIG/a" "$RIG/o"; }
ok 'scp without sftp: both ways' both_ways
rm -f "$far/out/o"
b_scp "$RIG/a" "$(to scp):$far/out/o"
like 'scp over SFTP is refused' "$words" 'sftp is not allowed for|subsystem request failed'
b_sftp scp </dev/null
like 'so is sftp' "$words" 'sftp is not allowed for|subsystem request failed'
b_words "$(to scp)" "scp -t $far/out/o; id"
like 'something behind it is a command' "$words" "^bastiond: this command is not allowed for $rig_me on scp"
b_words "$(to scp)" id
like 'and there are none' "$words" "^bastiond: this command is not allowed for $rig_me on scp"
b_scp -O "$RIG/a" "$(to read):$far/in/n"
like 'sftp without scp' "$words" "scp is not allowed for $rig_me on read"
ok 'nothing crossed' test ! -e "$far/in/n"

# rsync.

mkdir "$RIG/tree" && cp "$RIG/a" "$RIG/tree/a" && echo b >"$RIG/tree/b c"
pulled() { b_rsync -a "$RIG/tree/" "$(to rsync):$far/out/tree/" && b_rsync -a "$(to rsync):$far/out/tree/" "$RIG/back/" && diff -r "$RIG/tree" "$RIG/back"; }
ok 'rsync without exec: both ways' pulled
b_words "$(to rsync)" id
like 'and no commands' "$words" "^bastiond: this command is not allowed for $rig_me on rsync"
b_rsync -a --rsync-path='id; rsync' "$RIG/tree/" "$(to rsync):$far/out/tree/"
like 'also not before rsync' "$words" "bastiond: this command is not allowed for $rig_me on rsync"
b_rsync -a "$RIG/tree/" "$(to scp):$far/out/other/"
like 'no rsync without the right' "$words" "bastiond: rsync is not allowed for $rig_me on scp"
ok 'and nothing crossed' test ! -e "$far/out/other"

# Commands and shells.

is 'a command that a pattern holds' "$(b_ssh "$(to exec)" 'echo yes')" yes
b_words "$(to exec)" 'echo yes; id'
is 'more than it holds ends with 254' $? 254
is 'and one line' "$words" "bastiond: this command is not allowed for $rig_me on exec"
b_words "$(to exec)" 'cat /etc/../etc/hostname'
like 'no .. in a pattern' "$words" 'this command is not allowed'
b_words "$(to exec)"
like 'no shell' "$words" "^bastiond: a shell is not allowed for $rig_me on exec"
b_sftp exec -s /usr/lib/openssh/sftp-server </dev/null
like 'no sftp by its program' "$words" 'this command is not allowed'
is 'a shell' "$(echo 'echo in' | b_ssh -T "$(to shell)" 2>/dev/null)" in
b_words "$(to shell)" id
like 'is no command' "$words" 'this command is not allowed'

# Forwards.

cat >"$RIG/echo.py" <<'PY'
import os, socket, sys, threading
def serve(s):
    while True:
        c, _ = s.accept()
        c.sendall(b"hello\n"); c.close()
socks = []
for arg in sys.argv[1:]:
    if arg.startswith("/"):
        s = socket.socket(socket.AF_UNIX); s.bind(arg)
    else:
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(arg)))
    s.listen(); socks.append(s)
for s in socks: threading.Thread(target=serve, args=(s,), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
PY
python3 "$RIG/echo.py" "$open" "$shut" "$near_port" "$RIG/in.sock" "$RIG/out.sock" >"$RIG/echo.out" &
rig_pids="$rig_pids $!"
wait_for 10 grep -q ready "$RIG/echo.out"
# shellcheck disable=SC2046
b_w() { words=$(timeout 20 ssh $(rig_opts | sed 's/LogLevel=ERROR/LogLevel=INFO/') -p "$bastion_port" "$@" 2>&1 </dev/null); }
b_w -W "localhost:$open" "$(to fwd)"
like 'a forward that the rule names' "$words" hello
b_w -W "127.0.0.1:$open" "$(to fwd)"
like 'not the same place in other words' "$words" "a forward to 127.0.0.1:$open is not allowed for $rig_me on fwd"
b_w -W "localhost:$shut" "$(to fwd)"
like 'not what a deny rule takes' "$words" "a forward to localhost:$shut is not allowed for $rig_me on fwd"
b_w -W "localhost:$open" "$(to shell)"
like 'not without the right' "$words" "a forward to localhost:$open is not allowed for $rig_me on shell"

tunnel() { # NAME [ssh options]: one that stays; ends with the rig
	t=$1
	shift
	b_exec -N -o ExitOnForwardFailure=yes "$@" "$(to "$t")" 2>"$RIG/tunnel.err" &
	tunnel_pid=$!
	rig_pids="$tunnel_pid $rig_pids"
}
said() { python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX if sys.argv[1].startswith("/") else socket.AF_INET); s.settimeout(10)
s.connect(sys.argv[1] if sys.argv[1].startswith("/") else ("127.0.0.1", int(sys.argv[1]))); print(s.recv(99).decode(), end="")' "$1" 2>/dev/null; }
says() { [ "$(said "$1")" = hello ]; }
tunnel fwd -L "$RIG/l1:$RIG/in.sock" -L "$RIG/l2:$RIG/out.sock"
ok 'a socket by its name' wait_for 10 says "$RIG/l1"
is 'and no other' "$(said "$RIG/l2")" ''
kill "$tunnel_pid"
tunnel fwd -R "$far_port:127.0.0.1:$near_port"
ok 'a remote forward of the port that the rule names' wait_for 10 says "$far_port"
kill "$tunnel_pid"
b_w -N -o ExitOnForwardFailure=yes -R "$shut:127.0.0.1:$near_port" "$(to fwd)"
like 'not of another' "$words" "remote port forwarding failed for listen port $shut"
b_w -N -o ExitOnForwardFailure=yes -R "*:$far_port:127.0.0.1:$near_port" "$(to fwd)"
like 'not on all addresses' "$words" "remote port forwarding failed for listen port $far_port"
tunnel fwd -R "$RIG/far.sock:127.0.0.1:$near_port"
ok 'a remote socket by its name' wait_for 10 says "$RIG/far.sock"
kill "$tunnel_pid"
eval "$(ssh-agent -a "$RIG/agent.sock")" >/dev/null
rig_pids="$rig_pids $SSH_AGENT_PID"
ssh-add -q "$RIG/mallory" 2>/dev/null
# Keys of the agent are for the target, not for the login.
# shellcheck disable=SC2046 # the first option of a name counts
with_agent() { ssh -A -o "IdentityAgent=$RIG/agent.sock" $(rig_opts) -p "$bastion_port" "$@" 2>&1 </dev/null; }
like 'the agent' "$(with_agent "$(to agent)" 'ssh-add -l')" ED25519
with_agent "$(to exec)" 'echo x' >/dev/null
wait_for 10 some channel.denied '.reason | startswith("agent forwarding is not allowed")'
ok 'not without the right' some channel.denied '.host == "exec" and (.reason | startswith("agent forwarding is not allowed"))'
rig_key "$RIG/c"
ssh-keygen -q -s "$RIG/ca" -I no-forwards -n alice -O clear -O permit-pty "$RIG/c.pub"
IDENTITY=$RIG/c b_w -o "CertificateFile=$RIG/c-cert.pub" -W "localhost:$open" "$(to fwd)"
like 'a certificate that does not permit it' "$words" 'the certificate does not permit port forwarding'
wait_for 10 some channel.denied '.reason == "the certificate does not permit port forwarding"'
ok 'is in the log' some channel.denied '.reason == "the certificate does not permit port forwarding"'
ok 'everything verifies' sh -c '"$1" -f "$2" verify --all >/dev/null' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml"
tap_end
