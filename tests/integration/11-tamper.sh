#!/bin/sh
# What was changed, cut, swapped or removed is named.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 19
ok 'a bastion and its target start' rig_up
b_ssh "$(to t1)" 'echo before' >/dev/null
wait_for 10 session_closed "$(last_sid)"
rig_stop
cp -a "$RIG/b" "$RIG/yesterday"
rig_start
for i in 1 2 3; do
	b_ssh "$(to t1)" "echo session $i; head -c 300000 /dev/urandom | base64" >/dev/null
done
sid=$(ctl sessions list --json | jq -r 'sort_by(.started_at) | .[2].id')
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
"$BASTION_BIN/bastion-tamper" flip "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'one flipped byte: no' $? 1
like 'and it names the session, the block and the kind' "$text" "DAMAGED $sid block [0-9]+: flipped: "
like 'when that was recorded' "$text" '^  when  20[0-9T:.-]+Z to 20'
like 'and what to do' "$text" '^  do    keep the store as it is'
is 'in JSON, too' "$(verify_copy --all --json | jq -r '.findings[0] | [.kind, .session, (.from < .to), (.do | length > 0)] | join(" ")')" "flipped $sid true true"
copy
"$BASTION_BIN/bastion-tamper" cut "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'a cut tail: no' $? 1
like 'and it says where it ends' "$text" "DAMAGED $sid block [0-9]+: cut: the recording ends here; signed were"
copy
"$BASTION_BIN/bastion-tamper" swap "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'two swapped events: no' $? 1
copy
"$BASTION_BIN/bastion-tamper" remove "$RIG/copy/state/recorder" "$sid"
text=$(verify_copy --all 2>&1)
is 'a removed session: no' $? 1
like 'and it names it' "$text" 'missing|removed|deleted'
unlike 'not as one that was erased' "$text" '^erased '
rm -rf "$RIG/copy"
cp -a "$RIG/yesterday" "$RIG/copy"
ok 'the state of yesterday alone verifies' verify_copy --all
not_ok 'but not against a checkpoint of today' verify_copy --all --checkpoint "$RIG/checkpoint"
copy
# The same name, another key: id and key fit each other, as somebody who signs anew would have it.
python3 - "$RIG/copy/state/recorder.pub" >"$RIG/forged.pub" <<'PY'
import base64, hashlib, os, sys
name = open(sys.argv[1]).read().split("+")[0]
key = b"\x01" + os.urandom(32)
key_id = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
print("+".join([name, key_id, base64.b64encode(key).decode()]))
PY
verify_copy --all --public-key "$RIG/forged.pub" >/dev/null 2>&1
is 'another public key: no' $? 1

tap_end
