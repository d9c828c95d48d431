#!/bin/sh
# rsync: there, again with changes, and back.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need rsync
plan 11
ok 'up' interop_up
mkdir -p "$RIG/tree/a/b" && cp "$RIG/file" "$RIG/tree/a/b/file" && echo text >"$RIG/tree/with space"
ln -s a/b "$RIG/tree/link"
for way in plus t1; do
	via() { rsync -e "ssh -F $RIG/ssh_config" "$@"; }
	ok "rsync $way: up" via -a "$RIG/tree/" "$way:$RIG/far/$way"
	printf 'more' >>"$RIG/tree/a/b/file"
	ok "rsync $way: what changed" via -az --delete "$RIG/tree/" "$way:$RIG/far/$way"
	ok "rsync $way: down" via -a "$way:$RIG/far/$way/" "$RIG/near/$way"
	ok "rsync $way: the same" diff -r --no-dereference "$RIG/tree" "$RIG/near/$way"
	ok "rsync $way: recorded" recorded
done
tap_end
