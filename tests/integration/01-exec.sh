#!/bin/sh
# Commands: exit status, death by signal, the two output streams, what the record says about them.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 20
rig_narrow() { rig_init && echo 'session: {env: [LANG, "LC_T*"]}' >>"$RIG/b/bastiond.yaml" && rig_target t1 && rig_policy && rig_start; }
ok 'a bastion and its target start' rig_narrow

is 'output arrives' "$(b_ssh "$(to t1)" 'echo hello')" hello
for code in 0 1 7 255; do
	b_ssh "$(to t1)" "exit $code" 2>/dev/null
	is "exit status $code" $? $code
done
b_ssh "$(to t1)" 'kill -TERM $$' 2>/dev/null
is 'death by a signal ends ssh with 255, as it does directly' $? 255

b_ssh "$(to t1)" 'echo out; echo err >&2' >"$RIG/out" 2>"$RIG/err"
is 'stdout is apart' "$(cat "$RIG/out")" out
is 'stderr is apart' "$(cat "$RIG/err")" err
is 'half-close: the command goes on after its input ended' \
	"$(printf 'one two' | b_ssh "$(to t1)" 'cat; echo " three"')" 'one two three'
# shellcheck disable=SC1010
is 'no input at all' "$(b_ssh -n "$(to t1)" 'cat; echo done')" done
is 'an allowed variable crosses' "$(LC_TEST=x b_ssh -o SendEnv=LC_TEST "$(to t1)" 'echo $LC_TEST')" x
# The target would take it: LC_* is all that it asks for, and ours is narrower.
is 'another variable does not' "$(LC_EVIL=x b_ssh -o SendEnv=LC_EVIL "$(to t1)" 'echo "[$LC_EVIL]"')" '[]'
sid=$(last_sid)
ok 'that session ends' wait_for 10 session_closed "$sid"
like 'the record says so' "$(ctl export "$sid" --format text)" 'denied env: not an allowed variable'
is 'and an audit event names it' "$(ctl log | jq -r 'select(.event == "request.refused") | .what')" 'env LC_EVIL'

b_ssh "$(to t1)" 'printf abc; printf de >&2; exit 7' >/dev/null 2>&1
sid=$(last_sid)
ok 'the session ends' wait_for 10 session_closed "$sid"
ctl sessions list --json >"$RIG/list.json"
is 'the record: kind, command, exit status, bytes of each stream' \
	"$(jq -c --arg id "$sid" '.[] | select(.id == $id) | .channels[0] |
		[.kind, .command, .exit_status, .bytes_in, .bytes_out, .bytes_err]' "$RIG/list.json")" \
	'["exec","printf abc; printf de >&2; exit 7",7,0,3,2]'
is 'the record: who, where, how' \
	"$(jq -r --arg id "$sid" '.[] | select(.id == $id) | [.identity, .host, .state, .rule, .credential.type] | join(" ")' \
		"$RIG/list.json")" 'alice t1 closed tests key'
ok 'everything verifies' ctl verify --all

tap_end
