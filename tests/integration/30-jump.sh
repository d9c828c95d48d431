#!/bin/sh
# ssh -J: native user, host and port fields through the bastion, with stock OpenSSH; recorded like everything else.
# shellcheck disable=SC2029 # what is meant to expand here expands here
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 71
rig_init && rig_target t1 || exit 1
rig_key "$RIG/bob"
# t2 is nobody's, t3 is bob's alone; t6 is t1 by its other address; the pattern finds nothing without the network.
key=$(cut -d' ' -f1,2 "$RIG/t1/host_key.pub")
{
	echo "  t2: {address: 127.0.0.2, port: $rig_port_t1, labels: {env: secret}, key: fleet, host_keys: [\"$key\"]}"
	echo "  t3: {address: 127.0.0.3, port: $rig_port_t1, labels: {env: bobs}, key: fleet, host_keys: [\"$key\"]}"
	echo "  t4: {address: 127.0.0.4, port: $rig_port_t1, labels: {env: test}, key: fleet}"
	echo "  t6: {address: \"::1\", port: $rig_port_t1, labels: {env: test}, key: fleet, host_keys: [\"$key\"]}"
} >>"$RIG/hosts.yaml"
echo "  bob: {keys: [\"$(cut -d' ' -f1,2 "$RIG/bob.pub")\"]}" >"$RIG/users.yaml"
cat >"$RIG/rules.yaml" <<YAML
  - {name: tests, who: {groups: [sre]}, where: {labels: {env: test}}, as: [$rig_me], may: [shell, exec, sftp, scp, rsync]}
  - {name: bobs, who: {users: [bob]}, where: {labels: {env: [test, bobs]}}, as: [$rig_me, bobslogin], may: [shell, exec]}
YAML
rig_policy
ok 'a bastion starts' rig_start

cat >"$RIG/ssh_config" <<CONF
Host bastion
	HostName 127.0.0.1
	Port $bastion_port
	User alice
	IdentityFile $RIG/alice
	LogLevel INFO
Host inventory
	HostName t1
	User $rig_me
	ProxyJump bastion
Host piped
	HostName t1
	User $rig_me
	ProxyCommand ssh -F $RIG/ssh_config -W [%h]:%p bastion
Host *
	IdentityFile none
	IdentitiesOnly yes
	IdentityAgent none
	BatchMode yes
	StrictHostKeyChecking yes
	UserKnownHostsFile $RIG/known
	LogLevel ERROR
	ConnectTimeout 20
CONF
{
	printf '[127.0.0.1]:%s ' "$bastion_port"
	ctl keys public host | cut -d' ' -f1,2
	ctl hosts ca
} >"$RIG/known"

j() { # [ssh options] DESTINATION [COMMAND]: with the outer connection that ssh makes itself
	ssh -F "$RIG/ssh_config" -J bastion "$@"
}
sessions() { ctl sessions list --json | jq length; }
newest() { ctl sessions list --json | jq -r "sort_by(.started_at) | last | .$1"; }
events() { ctl log | jq -r "select(.event == \"$1\") | $2"; }
jumps() { ctl status --json | jq .jumps; }
no_jumps() { [ "$(jumps)" = 0 ]; }

# Who is refused, and how.
told() { # TEXT: the one line about the host
	printf '%s\n' "$1" | grep 'open failed' | sed 's/.*open failed: //'
}
unknown=$(j "$rig_me@nohost" true 2>&1)
status=$?
is 'an unknown host is refused' $status 255
like 'with a line that says so' "$unknown" 'administratively prohibited: no host that you can reach here has this name and port'
is 'a forbidden host: the same line' "$(told "$(j "$rig_me@t2" true 2>&1)")" "$(told "$unknown")"
is 'by its address too' "$(told "$(j "$rig_me@127.0.0.2" true 2>&1)")" "$(told "$unknown")"
is 'a host of others: the same line' "$(told "$(j "$rig_me@t3" true 2>&1)")" "$(told "$unknown")"
is 'a host that nobody can reach: the same line' "$(told "$(j "$rig_me@t4" true 2>&1)")" "$(told "$unknown")"
is 'another port of a host: the same line' "$(told "$(j -p 2 "$rig_me@t1" true 2>&1)")" "$(told "$unknown")"
is 'the bastion itself is no host: the same line' \
	"$(told "$(j -p "$bastion_port" "$rig_me@127.0.0.1" true 2>&1)")" "$(told "$unknown")"
is 'localhost neither' "$(told "$(j "$rig_me@localhost" true 2>&1)")" "$(told "$unknown")"
like 'a login that is not theirs is refused as logins are' "$(j nologin@t1 true 2>&1)" 'nologin@t1: Permission denied \(publickey\)'
like 'a name in the form of the bastion gets a hint' "$(j "$rig_me+t1@t1" true 2>&1)" "behind ssh -J the user name is the login alone: write $rig_me"
# Bob may be bobslogin there. He is not the one who is logged in outside.
like 'the key of another person proves nothing inside' "$(j -i "$RIG/bob" bobslogin@t1 true 2>&1)" 'Permission denied'
is 'it is refused as another person' "$(events auth.denied .reason | grep -c another-identity)" 1
like 'who does not get in outside gets nowhere' \
	"$(ssh -F "$RIG/ssh_config" -J "mallory@127.0.0.1:$bastion_port" "$rig_me@t1" true 2>&1)" 'Permission denied'
is 'of all that no session came' "$(sessions)" 0
is 'each refused host is one event' "$(events jump.denied .reason | sort | uniq -c | awk '{print $2 "=" $1}' | tr '\n' ' ')" \
	'host-not-allowed=3 host-not-pinned=1 port-not-allowed=2 unknown-host=2 '
is 'that says who' "$(events jump.denied .identity | sort -u)" alice
mv "$RIG/known" "$RIG/known.good"
grep -v cert-authority "$RIG/known.good" >"$RIG/known"
like 'a host key that nobody vouches for is not trusted' "$(j "$rig_me@t1" true 2>&1)" 'Host key verification failed'
echo "@cert-authority * $(cut -d' ' -f1,2 "$RIG/bob.pub")" >>"$RIG/known"
like 'nor by another CA' "$(j "$rig_me@t1" true 2>&1)" 'Host key verification failed|not signed by a trusted'
mv "$RIG/known.good" "$RIG/known"

# Ways in.
is 'ssh -J' "$(j "$rig_me@t1" 'echo out; exit 7'; echo $?)" "$(printf 'out\n7')"
is 'what comes on stderr stays there' "$(j "$rig_me@t1" 'echo err >&2' 2>&1 >/dev/null)" err
is 'ProxyJump in ssh_config' "$(ssh -F "$RIG/ssh_config" inventory echo in)" in
is 'ProxyCommand with ssh -W' "$(ssh -F "$RIG/ssh_config" piped echo in)" in
is 'the host in capitals' "$(j "$rig_me@T1" echo in)" in
is 'with a dot at its end' "$(j "$rig_me@t1." echo in)" in
is 'the name with its port' "$(j -p "$rig_port_t1" "$rig_me@t1" echo in)" in
is 'as ssh://' "$(j "ssh://$rig_me@t1:$rig_port_t1" echo in)" in
is 'an IPv4 address with its port' "$(j -p "$rig_port_t1" "$rig_me@127.0.0.1" echo in)" in
is 'and without' "$(j "$rig_me@127.0.0.1" echo in)" in
is 'the host of that address is named in the record' "$(newest host)" t1

# An IPv6 address leads to its host: this target does not listen there, and says so.
like 'an IPv6 address' "$(j "$rig_me@::1" true 2>&1)" 't6'
is 'is a host of the inventory' "$(newest host)" t6
like 'with its port' "$(j -p "$rig_port_t1" "$rig_me@::1" true 2>&1)" 't6'

# Host keys: a CA that is trusted, or keys that are known; also where the host itself was known before.
(
	printf '[127.0.0.1]:%s ' "$bastion_port"
	ctl keys public host | cut -d' ' -f1,2
	ctl hosts known t1
) >"$RIG/known.plain"
is 'known_hosts lines in place of the CA' "$(j -o "UserKnownHostsFile=$RIG/known.plain" "$rig_me@t1" echo in)" in
{
	grep -v cert-authority "$RIG/known"
	echo "t1 $key"
} >"$RIG/known.real"
like "the host's own key is another one" "$(j -o "UserKnownHostsFile=$RIG/known.real" "$rig_me@t1" true 2>&1)" \
	'Host key verification failed'
ctl hosts ca >>"$RIG/known.real"
is 'with the CA beside it that is no matter' "$(j -o "UserKnownHostsFile=$RIG/known.real" "$rig_me@t1" echo in)" in
is 'who trusts at first sight' "$(j -o "UserKnownHostsFile=$RIG/new" -o StrictHostKeyChecking=accept-new "$rig_me@t1" echo in)" in
is 'sees the same key every time' "$(j -o "UserKnownHostsFile=$RIG/new" "$rig_me@t1" echo in)" in

# The record.
head -c 3000000 /dev/urandom >"$RIG/file"
n=$(sessions)
is 'bytes arrive' "$(j "$rig_me@t1" 'tee /dev/stderr 2>/dev/null | sha256sum' <"$RIG/file")" "$(sha256sum <"$RIG/file")"
is 'and come back' "$(j "$rig_me@t1" cat <"$RIG/file" | sha256sum)" "$(sha256sum <"$RIG/file")"
ok 'the session ends' wait_for 10 session_closed "$(last_sid)"
is 'two of them, two sessions' "$(sessions)" $((n + 2))
sid=$(last_sid)
is 'the record names who, as whom, where and why' "$(newest identity) $(newest login) $(newest host) $(newest rule)" "alice $rig_me t1 tests"
like 'and from where' "$(newest source)" '^127\.0\.0\.1:'
is 'and with what' "$(newest credential.fingerprint)" "$(ssh-keygen -lf "$RIG/alice.pub" | cut -d' ' -f2)"
is 'the input is in the record' "$(ctl export "$sid" --format raw --stream in | sha256sum)" "$(sha256sum <"$RIG/file")"
is 'and the output' "$(ctl export "$sid" --format raw --stream out | sha256sum)" "$(sha256sum <"$RIG/file")"
is 'the login names the outer connection' "$(events auth.allowed 'select(.jump != null) | .jump.conn' | tail -n 1)" \
	"$(events auth.allowed 'select(.jump == null) | .conn' | tail -n 1)"

# Programs.
mkdir "$RIG/far" "$RIG/near"
ok 'scp' sh -c "scp -q -F '$RIG/ssh_config' '$RIG/file' inventory:'$RIG/far/scp' && cmp -s '$RIG/file' '$RIG/far/scp'"
printf 'get %s %s\n' "$RIG/file" "$RIG/near/sftp" >"$RIG/batch"
ok 'sftp' sh -c "sftp -q -F '$RIG/ssh_config' -b '$RIG/batch' inventory >/dev/null && cmp -s '$RIG/file' '$RIG/near/sftp'"
ok 'rsync' sh -c "rsync -e 'ssh -F $RIG/ssh_config' '$RIG/file' inventory:'$RIG/far/rsync' && cmp -s '$RIG/file' '$RIG/far/rsync'"
git -c init.defaultBranch=main init -q "$RIG/repo"
git -C "$RIG/repo" -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m one
ok 'git' env GIT_SSH_COMMAND="ssh -F $RIG/ssh_config" git clone -q "inventory:$RIG/repo" "$RIG/near/repo"

# Keys are exchanged anew inside while they are outside.
again=$(ssh -v -F "$RIG/ssh_config" -o RekeyLimit=1M -o "ProxyCommand=ssh -v -E $RIG/outer.v -F $RIG/ssh_config -o RekeyLimit=1M -W [%h]:%p bastion" \
	"$rig_me@t1" cat <"$RIG/file" 2>"$RIG/inner.v" | sha256sum)
is 'new keys inside and outside lose nothing' "$again" "$(sha256sum <"$RIG/file")"
many() { [ "$(grep -c 'SSH2_MSG_NEWKEYS received' "$1")" -ge 3 ]; }
ok 'inside they were exchanged more than once' many "$RIG/inner.v"
ok 'and outside' many "$RIG/outer.v"

# One outer connection, several inside, masters on both.
control() { # NAME [OPTIONS]
	ssh -F "$RIG/ssh_config" -o "ControlPath=$RIG/m.$1" "$@"
}
shared="-F $RIG/ssh_config -o ControlPath=$RIG/outer"
# shellcheck disable=SC2086
ssh $shared -E "$RIG/master" -o ControlMaster=yes -o ControlPersist=yes -N -f bastion
in_one() { ssh -F "$RIG/ssh_config" -o "ProxyCommand=ssh $shared -W [%h]:%p bastion" "$@"; }
in_one -o "ControlPath=$RIG/inner" -o ControlMaster=yes -o ControlPersist=yes -N -f "$rig_me@t1"
is 'three at once through one outer and one inner connection' "$(for i in 1 2 3; do
	ssh -F "$RIG/ssh_config" -o "ControlPath=$RIG/inner" "$rig_me@t1" "echo $i" &
done | sort | tr '\n' ' ')" '1 2 3 '
mkfifo "$RIG/hold"
(in_one "$rig_me@t1" 'echo second; cat' <"$RIG/hold" >"$RIG/second") &
second=$!
exec 8>"$RIG/hold"
ok 'a second one runs beside it' wait_for 10 grep -q second "$RIG/second"
is 'status tells them from connections' "$(ctl status --json | jq -c '[.connections, .jumps]')" '[1,2]'
in_one "$rig_me@nohost" true 2>/dev/null
is 'what is refused is refused as before' "$(told "$(cat "$RIG/master")")" "$(told "$unknown")"

# The end of an inner front is its own; the outer's is everybody's.
front_of() { ctl status --json | jq "[.open[] | select($1)] | sort_by(.id) | .[0].pid"; }
kill -KILL "$(front_of '.through != null')"
wait_for 10 test "$(jumps)" = 1
is 'an inner front that dies takes nobody along' "$(jumps)" 1
is 'the other goes on' "$(echo more >&8; wait_for 10 grep -q more "$RIG/second" && echo yes)" yes
kill -KILL "$(front_of '.through == null')"
exec 8>&-
wait "$second"
ok 'with the outer one all end' wait_for 10 no_jumps
all_closed() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "open")] | length')" = 0 ]; }
ok 'every session is closed' wait_for 15 all_closed
like 'both deaths are events' "$(events front.crashed .reason | wc -l)" '^2$'

# Limits.
sed -i 's/^limits:.*/limits: {per_source: 1, channels: 10, auth_tries: 6}/' "$RIG/b/bastiond.yaml"
kill -HUP "$bastion_pid"
ok 'a new limit is taken' wait_for 10 grep -q 'reload.done' "$RIG/bastiond.log"
# shellcheck disable=SC2086
ssh $shared -E "$RIG/master" -o ControlMaster=yes -o ControlPersist=yes -N -f bastion
exec 8<>"$RIG/hold"
(in_one "$rig_me@t1" 'echo third; cat' <"$RIG/hold" >"$RIG/third") &
ok 'what runs in a connection is none more of its source' wait_for 10 grep -q third "$RIG/third"
like 'one beside it is refused with the limit' "$(b_ssh "$(to t1)" true 2>&1)" 'Too many connections from this address'
# shellcheck disable=SC2086
ssh $shared -O exit bastion 2>/dev/null
exec 8>&-
ok 'its end is the end of what runs in it' wait_for 10 no_jumps
ok 'and of the record of it' wait_for 15 all_closed
ok 'everything verifies' ctl verify --all

tap_end
