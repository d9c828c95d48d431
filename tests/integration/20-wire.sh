#!/bin/sh
# The SSH transport alone against stock OpenSSH: both roles, every cipher, key exchange again and again, certificates.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

tool=${BASTION_TOOLS:-$BASTION_BIN/../tests/integration}/wire_tool
size=${WIRE_BULK-20000000}
user=$(id -un)
[ -x "$tool" ] || skip_all 'wire_tool is not built'

serve() { # N [options]: wire_tool as a server for N connections; sets wport
	n=$1
	shift
	rm -f "$RIG/serve.out"
	timeout 300 "$tool" -s "$@" serve "$n" >"$RIG/serve.out" 2>>"$RIG/serve.log" &
	rig_pids="$rig_pids $!"
	wait_for 10 grep -q ssh-ed25519 "$RIG/serve.out" || return 1
	read -r wport wkey <"$RIG/serve.out"
	echo "[127.0.0.1]:$wport $wkey" >"$RIG/known"
}

w_ssh() { # [ssh options] COMMAND
	timeout 120 ssh -F none -o UserKnownHostsFile="$RIG/known" -o StrictHostKeyChecking=yes -o BatchMode=yes \
		-o LogLevel=ERROR -p "$wport" "$@"
}

# An sshd of ours, and an agent that holds one key; sets sport.
daemon() { # [sshd_config lines on stdin]
	rig_key "$RIG/host"
	rig_key "$RIG/ca"
	rig_key "$RIG/user"
	ssh-keygen -q -N '' -t rsa -b 3072 -f "$RIG/host_rsa"
	ssh-keygen -q -N '' -t ecdsa -b 384 -f "$RIG/host_ecdsa"
	ssh-keygen -q -s "$RIG/ca" -I host -h -n 127.0.0.1 "$RIG/host.pub" "$RIG/host_rsa.pub" "$RIG/host_ecdsa.pub"
	cp "$RIG/user.pub" "$RIG/authorized"
	if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi
	try=0
	while :; do
		sport=$(rig_port)
		cat >"$RIG/sshd_config" <<-CONF
			Port $sport
			ListenAddress 127.0.0.1
			HostKey $RIG/host
			HostKey $RIG/host_rsa
			HostKey $RIG/host_ecdsa
			HostCertificate $RIG/host-cert.pub
			HostCertificate $RIG/host_rsa-cert.pub
			HostCertificate $RIG/host_ecdsa-cert.pub
			PidFile $RIG/sshd.pid
			AuthorizedKeysFile $RIG/authorized
			StrictModes no
			UsePAM no
			PermitRootLogin yes
			PasswordAuthentication no
			Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr
		CONF
		cat "$RIG/sshd_more" >>"$RIG/sshd_config" 2>/dev/null
		/usr/sbin/sshd -D -e -f "$RIG/sshd_config" 2>"$RIG/sshd.log" &
		dpid=$!
		rig_pids="$rig_pids $dpid"
		wait_for 5 grep -q 'Server listening' "$RIG/sshd.log" && break
		try=$((try + 1))
		[ $try -lt 5 ] || return 1
	done
	eval "$(ssh-agent -s)" >/dev/null || return 1
	rig_pids="$rig_pids $SSH_AGENT_PID"
	ssh-add -q "$RIG/user"
}

run() { # [options] run PORT USER COMMAND
	timeout 120 "$tool" "$@"
}

ciphers='chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes128-gcm@openssh.com aes256-ctr'

plan 41
head -c "$size" /dev/urandom >"$RIG/blob"
sum=$(sha256sum <"$RIG/blob")

# The server role.
ok 'a server' serve 12
is 'what goes in comes out' "$(echo hello | w_ssh u@127.0.0.1 cat)" hello
w_ssh u@127.0.0.1 'exit 7' </dev/null
is 'the exit status arrives' $? 7
for c in $ciphers; do
	is "$c: a client's bytes there and back" "$(w_ssh -c "$c" u@127.0.0.1 cat <"$RIG/blob" | sha256sum)" "$sum"
done
for c in $ciphers; do
	is "$c: the same with a new key every 1 MB" \
		"$(w_ssh -c "$c" -o RekeyLimit=1M u@127.0.0.1 cat <"$RIG/blob" | sha256sum)" "$sum"
done
is 'hmac-sha2-512-etm' \
	"$(w_ssh -c aes256-ctr -m hmac-sha2-512-etm@openssh.com u@127.0.0.1 cat <"$RIG/blob" | sha256sum)" "$sum"
ok 'a server that asks for new keys every 64 KiB' serve 4 -r 65536
is 'its bytes' "$(w_ssh u@127.0.0.1 cat <"$RIG/blob" | sha256sum)" "$sum"
is 'and both asking' "$(w_ssh -o RekeyLimit=64K u@127.0.0.1 cat <"$RIG/blob" | sha256sum)" "$sum"
like 'a cipher that is not offered is refused' "$(timeout 20 ssh -F none -o UserKnownHostsFile="$RIG/known" \
	-o BatchMode=yes -p "$wport" -c aes128-cbc u@127.0.0.1 cat </dev/null 2>&1)" 'no matching cipher'
not_ok 'strict key exchange is used' grep -q no-strict-kex "$RIG/serve.log"
if command -v dbclient >/dev/null; then
	is "dropbear's client" "$(timeout 60 dbclient -y -y -p "$wport" u@127.0.0.1 cat <"$RIG/blob" 2>"$RIG/db.log" |
		sha256sum)" "$sum"
else
	pass "dropbear's client # SKIP dbclient is not installed"
fi

# The client role.
ok 'an sshd and an agent' daemon
is 'the login and a command' "$(run run "$sport" "$user" 'echo hello' </dev/null)" hello
run run "$sport" "$user" 'exit 9' </dev/null
is 'its exit status' $? 9
for c in $ciphers; do
	is "$c: bytes to a target and back" "$(run -c "$c" run "$sport" "$user" cat <"$RIG/blob" | sha256sum)" "$sum"
done
is 'new keys every 64 KiB' "$(run -r 65536 run "$sport" "$user" cat <"$RIG/blob" | sha256sum)" "$sum"
is 'the same with a host certificate' \
	"$(run -s -r 65536 -a ssh-ed25519-cert-v01@openssh.com run "$sport" "$user" cat <"$RIG/blob" 2>"$RIG/cert" |
		sha256sum)" "$sum"
is 'the certificate arrives whole' "$(sed -n 's/^hostkey=//p' "$RIG/cert")" "$(cut -d' ' -f2 "$RIG/host-cert.pub")"
like 'and is what was agreed on' "$(cat "$RIG/cert")" '^algorithms=.* ssh-ed25519-cert-v01@openssh.com$'
for a in rsa-sha2-512 rsa-sha2-256 ecdsa-sha2-nistp384; do
	is "a host key for $a" "$(run -a $a run "$sport" "$user" 'echo in' </dev/null)" in
	is "and its certificate" \
		"$(run -r 65536 -a $a-cert-v01@openssh.com run "$sport" "$user" 'head -c 300000 /dev/zero' </dev/null | wc -c)" 300000
done
for t in rsa ecdsa; do
	ssh-add -q -D
	ssh-keygen -q -N '' -t $t -f "$RIG/$t"
	cat "$RIG/$t.pub" >>"$RIG/authorized"
	ssh-add -q "$RIG/$t"
	is "a key of type $t logs in" "$(run run "$sport" "$user" 'echo in' </dev/null)" in
done
ssh-add -q -D
ssh-keygen -q -s "$RIG/ca" -I user -n "$user" "$RIG/mallory.pub" 2>/dev/null || {
	rig_key "$RIG/mallory"
	ssh-keygen -q -s "$RIG/ca" -I user -n "$user" "$RIG/mallory.pub"
}
ssh-add -q "$RIG/mallory" # the key and its certificate; the agent lists the key first
run run "$sport" "$user" true </dev/null 2>"$RIG/denied"
is 'a key that the target does not know' $? 254
like 'is a denial with what is left to try' "$(cat "$RIG/denied")" 'publickey'

# A bastion does not start with a libssh that does not fit.
ok 'the self-test passes' "$BASTION_BIN/bastiond-front" --selftest
"$BASTIONCTL" init "$RIG/b" --listen 127.0.0.1:0 >"$RIG/init.log" 2>&1
mkdir "$RIG/bin"
cp "$BASTION_BIN"/bastiond* "$RIG/bin"
cp /bin/false "$RIG/bin/bastiond-back"
like 'a back that fails it is found at the start' \
	"$("$RIG/bin/bastiond" -t -f "$RIG/b/bastiond.yaml" 2>&1)" '^bastiond: bastiond-back cannot be used'

tap_end
