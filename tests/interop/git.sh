#!/bin/sh
# git: push, clone, fetch.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need git
plan 11
ok 'up' interop_up
export GIT_SSH_COMMAND="ssh -F $RIG/ssh_config" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example
git init -q -b main "$RIG/repo" && cp "$RIG/file" "$RIG/repo/" && git -C "$RIG/repo" add . && git -C "$RIG/repo" commit -q -m one
for way in plus t1; do
	git init -q --bare -b main "$RIG/far/$way.git"
	ok "git $way: push" git -C "$RIG/repo" push -q "$way:$RIG/far/$way.git" main
	ok "git $way: clone" git clone -q "$way:$RIG/far/$way.git" "$RIG/near/$way"
	git -C "$RIG/repo" commit -q --allow-empty -m "for $way"
	ok "git $way: push more" git -C "$RIG/repo" push -q "$way:$RIG/far/$way.git" main
	ok "git $way: pull" git -C "$RIG/near/$way" pull -q --ff-only
	ok "git $way: recorded" recorded
done
tap_end
