#!/bin/sh
# sshfs: a mounted folder.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need sshfs fusermount3
[ -c /dev/fuse ] || skip_all 'no /dev/fuse here'
mkdir "$RIG/probe" "$RIG/probe-far"
plan 11
ok 'up' interop_up
for way in plus t1; do
	mkdir "$RIG/mnt-$way"
	ok "sshfs $way: mount" sshfs -F "$RIG/ssh_config" "$way:$RIG/far" "$RIG/mnt-$way"
	cp "$RIG/file" "$RIG/mnt-$way/fs-$way"
	ok "sshfs $way: write" same "$RIG/far/fs-$way"
	ok "sshfs $way: read" same "$RIG/mnt-$way/fs-$way"
	ok "sshfs $way: rename and remove" sh -c "mv '$RIG/mnt-$way/fs-$way' '$RIG/mnt-$way/x' && rm '$RIG/mnt-$way/x' && ! [ -e '$RIG/far/x' ]"
	fusermount3 -u "$RIG/mnt-$way"
	ok "sshfs $way: recorded" recorded
done
tap_end
