#!/bin/sh
# Programs that move files: curl, lftp, sshfs.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need curl lftp
plan 12
ok 'up' interop_up
# libssh2 reads plain host keys and the older form of private keys.
ssh-keygen -q -t rsa -b 3072 -m PEM -N '' -f "$RIG/rsa"
url="127.0.0.1:$bastion_port/$RIG/far"
c() { curl -sS --insecure --key "$RIG/alice" --pubkey "$RIG/alice.pub" -u "$rig_me+t1:" "$@"; }
for p in sftp scp; do
	ok "curl $p plus: up" c -T "$RIG/file" "$p://$url/curl-$p"
	ok "curl $p plus: down" c -o "$RIG/near/curl-$p" "$p://$url/curl-$p"
	ok "curl $p plus: the same" same "$RIG/near/curl-$p"
done
for way in plus t1; do
	l() { lftp -c "set sftp:connect-program 'ssh -a -x -F $RIG/ssh_config'; set net:max-retries 1; open sftp://$way; $1"; }
	ok "lftp $way: there and back" l "put $RIG/file -o $RIG/far/lftp-$way; get $RIG/far/lftp-$way -o $RIG/near/lftp-$way"
	ok "lftp $way: the same" same "$RIG/near/lftp-$way"
done
ok 'recorded' recorded
tap_end
