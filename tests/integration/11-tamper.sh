#!/bin/sh
# What was changed, cut, swapped or removed is named.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 13
ok 'a bastion and its target start' rig_up
for i in 1 2 3; do
	b_ssh "$(to t1)" "echo session $i; head -c 300000 /dev/urandom | base64" >/dev/null
done
sid=$(ctl sessions list --json | jq -r 'sort_by(.started_at) | .[1].id')
wait_for 10 session_closed "$(last_sid)"
ok 'all verify while the bastion runs' ctl verify --all
ctl checkpoint -o "$RIG/checkpoint"
rig_stop
ok 'all verify when it has stopped' ctl verify --all
is 'the verdict is yes in words' "$(ctl verify --all --json | jq -r '.ok')" true

# tamper NAME COMMAND...: on a copy
copy() {
	rm -rf "$RIG/copy"
	cp -a "$RIG/b" "$RIG/copy"
}
verify_copy() {
	"$BASTIONCTL" -f "$RIG/copy/bastiond.yaml" verify "$@"
}
copy
ok 'a copy verifies' verify_copy --all
"$BASTION_TAMPER" flip "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'one flipped byte: no' $? 1
like 'and it names the session' "$text" "$sid"
copy
"$BASTION_TAMPER" cut "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'a cut tail: no' $? 1
copy
"$BASTION_TAMPER" swap "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'two swapped events: no' $? 1
copy
"$BASTION_TAMPER" remove "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'a removed session: no' $? 1
like 'and it names it' "$text" 'missing|removed|deleted'
copy
"$BASTION_TAMPER" rollback "$RIG/copy/state/recorder"
not_ok 'rolled back behind a checkpoint that was taken: no' verify_copy --all --checkpoint "$RIG/checkpoint"
copy
rig_key "$RIG/forged"
not_ok 'another public key: no' verify_copy --all --public-key "$RIG/forged.pub"

tap_end
