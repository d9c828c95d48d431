#!/bin/sh
# One recording is erased: nobody reads it any more, everybody sees that, by whom and why, and the log verifies as before.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 51
ok 'a bastion and its target start' rig_up
secret=the-quick-brown-zebra
b_ssh "$(to t1)" "echo $secret; head -c 3000000 /dev/urandom | base64" >/dev/null
a=$(last_sid)
wait_for 10 session_closed "$a"
b_ssh "$(to t1)" 'echo the other one' >/dev/null
b=$(last_sid)
wait_for 10 session_closed "$b"

mkfifo "$RIG/hold"
b_exec "$(to t1)" 'echo runs; cat' <"$RIG/hold" >"$RIG/running" 2>/dev/null &
run_pid=$!
exec 9>"$RIG/hold"
ok 'a session runs' wait_for 10 grep -q runs "$RIG/running"
r=$(ctl sessions list --json --state open | jq -r '.[-1].id')
ctl checkpoint -o "$RIG/before"

quiet() { "$@" >"$RIG/said"; }
verified() { ctl verify --all "$@" >"$RIG/verify.txt" 2>&1; }
field() { ctl sessions show "$1" --json | jq -r "$2"; }

# What is not done.
text=$(ctl sessions erase "$a" 2>&1)
is 'without a reason: usage' $? 2
like 'and it asks for one' "$text" 'say why'
ctl sessions erase "$a" --why '' >/dev/null 2>&1
is 'an empty reason is none' $? 2
ctl sessions erase ffffffffffffffffffffffffffffffff --why no >/dev/null 2>&1
is 'an unknown session: no' $? 1
text=$(ctl sessions erase "$r" --why no 2>&1)
is 'one that runs: no' $? 1
like 'and why not' "$text" 'it runs'
text=$(ctl sessions release "$a" --why no 2>&1)
is 'one that is not held is not let go' $? 1
ok 'a session is held' quiet ctl sessions hold "$a" --why 'case 17'
is 'its JSON says so' "$(field "$a" .held.why)" 'case 17'
like 'and by whom' "$(field "$a" .held.by)" "uid $(id -u)"
like 'the list says so' "$(ctl sessions list | grep "$(echo "$a" | cut -c1-8)")" held
text=$(ctl sessions erase "$a" --why no 2>&1)
is 'a held one is not erased' $? 1
like 'in one clear line' "$text" 'held.*release'
is 'it is one line' "$(echo "$text" | wc -l)" 1
is 'nothing was erased' "$(field "$a" .erased)" null
ok 'it still plays' ctl export "$a" --format raw --stream out -o "$RIG/a.raw"
ok 'whole' grep -q "$secret" "$RIG/a.raw"

# What is.
ok 'it is let go' quiet ctl sessions release "$a" --why 'case closed'
is 'its JSON says so, too' "$(field "$a" .held)" null
text=$(ctl sessions erase "$a" --why 'article 17' 2>&1)
is 'it is erased' $? 0
like 'which is said' "$text" 'key is destroyed'
is 'its JSON says why' "$(field "$a" .erased.why)" 'article 17'
like 'by whom' "$(field "$a" .erased.by)" "uid $(id -u)"
like 'when' "$(field "$a" .erased.at)" '^20[0-9-]*T'
is 'who, where and when it was stays' "$(field "$a" .identity)" alice
like 'the list says so' "$(ctl sessions list | grep "$(echo "$a" | cut -c1-8)")" erased
text=$(ctl play "$a" </dev/null 2>&1)
is 'it does not play' $? 1
like 'and says why' "$text" 'erased on purpose.*article 17'
text=$(ctl export "$a" --format raw --stream out 2>&1)
is 'it is not exported' $? 1
gone() { [ "$(ctl status --json | jq -r .recorder.status.erasing)" = 0 ]; }
ok 'its data goes' wait_for 20 gone
text=$(ctl sessions erase "$a" --why again 2>&1)
is 'twice is once' $? 1
ok 'the other one plays' ctl export "$b" --format raw --stream out -o "$RIG/b.raw"
is 'as it was' "$(cat "$RIG/b.raw")" 'the other one'
ok 'everything verifies' verified
ok 'against the checkpoint from before, too' verified --checkpoint "$RIG/before"
is 'the log has all of it in order' \
	"$(ctl log "$a" | jq -r 'select(.event | test("^session[.](held|released|erased)$")) | .event' | tr '\n' ' ')" \
	'session.held session.released session.erased '
is 'with the reasons' "$(ctl log "$a" | jq -r 'select(.event == "session.erased") | .why')" 'article 17'

# Somebody looks at one meanwhile, slowly.
b_ssh "$(to t1)" 'head -c 6000000 /dev/urandom | base64' >/dev/null
seen=$(last_sid)
wait_for 10 session_closed "$seen"
mkfifo "$RIG/look"
ctl export "$seen" --format raw --stream out >"$RIG/look" 2>"$RIG/look.err" &
look_pid=$!
exec 8<"$RIG/look"
is 'a look begins' "$(head -c 1000 <&8 | wc -c)" 1000
ok 'what is looked at is erased' quiet ctl sessions erase "$seen" --why 'under their hands'
ok 'and gone' wait_for 20 gone
cat <&8 >/dev/null
exec 8<&-
wait $look_pid
is 'the look ends' $? 1
like 'for that reason, not as damage' "$(cat "$RIG/look.err")" 'erased on purpose.*under their hands'

# In the middle of it the recorder dies.
b_ssh "$(to t1)" 'head -c 60000000 /dev/urandom | base64' >/dev/null
big=$(last_sid)
wait_for 10 session_closed "$big"
recorder=$(role_pid recorder)
ok 'a long one is erased' quiet ctl sessions erase "$big" --why size
kill -KILL "$recorder"
new_recorder() { [ -n "$(role_pid recorder)" ] && [ "$(role_pid recorder)" != "$recorder" ]; }
ok 'while the recorder is killed' wait_for 15 new_recorder
ok 'the next one is there' wait_for 15 b_ssh "$(to t1)" true
ok 'and finishes it' wait_for 20 gone
is 'it is erased' "$(field "$big" .erased.why)" size
exec 9>&-
wait $run_pid
ok 'everything verifies' verified
rig_stop
ok 'when it has stopped, too' verified
tap_end
