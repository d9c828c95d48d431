#!/bin/sh
# Files: sftp and scp, in both of its protocols, there and back.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 9
ok 'a bastion and its target start' rig_up
mkdir "$RIG/far"
head -c 3000000 /dev/urandom >"$RIG/file"
# shellcheck disable=SC2046
b_scp() { scp -q $(rig_opts) -P "$bastion_port" "$@"; }

ok 'scp up' b_scp "$RIG/file" "$(to t1):$RIG/far/a"
ok 'scp down' b_scp "$(to t1):$RIG/far/a" "$RIG/a"
ok 'scp -O up' b_scp -O "$RIG/file" "$(to t1):$RIG/far/b"
ok 'scp -O down' b_scp -O "$(to t1):$RIG/far/b" "$RIG/b.back"
mkdir -p "$RIG/tree/sub" && echo 1 >"$RIG/tree/one" && echo 2 >"$RIG/tree/sub/two"
ok 'scp -r' b_scp -r "$RIG/tree" "$(to t1):$RIG/far/tree"
printf 'put %s %s\nget %s %s\n' "$RIG/file" "$RIG/far/c" "$RIG/far/c" "$RIG/c" >"$RIG/batch"
# shellcheck disable=SC2046
b_sftp() { sftp -q $(rig_opts) -P "$bastion_port" -b "$RIG/batch" "$(to t1)" >/dev/null; }
ok 'sftp put and get' b_sftp
same() {
	for f in a b.back c far/a far/b far/c; do cmp -s "$RIG/file" "$RIG/$f" || return 1; done
	diff -r "$RIG/tree" "$RIG/far/tree" >/dev/null
}
ok 'all copies are the same' same
ok 'everything verifies' ctl verify --all

tap_end
