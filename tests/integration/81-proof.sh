#!/bin/sh
# The log in the eyes of others: a verifier in Python that was written from the formats, and Go's sumdb libraries. The first
# half needs no bastion; the second one shows that signing keys follow each other in a bastion that runs.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 89
dir=$RIG/feed
"$BASTION_BIN/bastion-feed" "$dir" >"$RIG/ids" <<'SCRIPT'
audit {"event":"a"}
open alice root web1
begin 1
shell 1
out 1 first epoch\n
close 1
end
rotate
open bob root web1
begin 1
shell 1
out 1 second epoch\n
close 1
end
rotate
audit {"event":"b"}
open carol root web1
begin 1
shell 1
out 1 third epoch, and it stays open\n
SCRIPT
sid() { sed -n "$1p" "$RIG/ids"; }
feed() { "$BASTIONCTL" --store "$dir" "$@"; }
# logcheck [OPTION ...]: with what every call needs
logcheck() { python3 "$BASTION_SRC/tests/lib/logcheck.py" --key "$dir/recorder.pub" --leaves "$RIG/leaves" "$@"; }
checked() { logcheck "$@" >"$RIG/said"; }

ok 'a store with three epochs verifies' feed verify --all
like 'and says so' "$(feed verify)" 'each signed by the one before it: 3'
feed log --leaves >"$RIG/leaves"
feed checkpoint -o "$RIG/checkpoint"
feed checkpoint --vkey -o "$RIG/newest"
is 'leaves are there' "$(jq -rs 'map(.type) | join(" ")' "$RIG/leaves")" \
	'init key audit open close key open close key audit open'
isnt 'the newest key is not the first one' "$(cat "$RIG/newest")" "$(cat "$dir/recorder.pub")"
ok 'each of them verifies the store' feed verify --all --public-key "$RIG/newest"
for i in 1 2 3; do
	ok "proof of session $i" feed checkpoint --proof "$(sid $i)" -o "$RIG/proof$i"
done
for n in 1 2 4 7 8 11; do
	ok "growth from $n" feed checkpoint --from $n -o "$RIG/growth$n"
done
feed checkpoint --proof ffffffffffffffffffffffffffffffff >/dev/null 2>&1
is 'no proof of a session that was never' $? 1
feed checkpoint --from 99 >/dev/null 2>&1
is 'no growth from more than there is' $? 1

# The other verifier.
ok 'in Python: leaves and succession' checked --newest "$RIG/newest"
ok 'the checkpoint' checked --checkpoint "$RIG/checkpoint"
for i in 1 2 3; do
	ok "proof of session $i" checked --proof "$RIG/proof$i"
done
ok 'growth from every size' checked --growth "$RIG/growth1" --growth "$RIG/growth2" --growth "$RIG/growth4" \
	--growth "$RIG/growth7" --growth "$RIG/growth8" --growth "$RIG/growth11"

# And where it says no, else its yes is worth nothing. Each changes one thing.
sed 's/^index 4$/index 3/' "$RIG/proof1" >"$RIG/bad"
not_ok 'a proof of another leaf: no' checked --proof "$RIG/bad"
awk 'NR == 4 { print substr($0, 2) substr($0, 1, 1); next } { print }' "$RIG/proof1" >"$RIG/bad"
not_ok 'a proof with another hash: no' checked --proof "$RIG/bad"
sed 's/^old 4$/old 5/' "$RIG/growth4" >"$RIG/bad"
not_ok 'growth from another size: no' checked --growth "$RIG/bad"
sed 's/^11$/10/' "$RIG/checkpoint" >"$RIG/bad"
not_ok 'a checkpoint with another size: no' checked --checkpoint "$RIG/bad"
cp "$RIG/leaves" "$RIG/leaves.good"
sed '3d' "$RIG/leaves.good" >"$RIG/leaves"
not_ok 'a leaf removed: no' checked
jq -c 'if .leaf == 2 then .data |= (.[0:20] + (if .[20:21] == "A" then "B" else "A" end) + .[21:]) else . end' \
	"$RIG/leaves.good" >"$RIG/leaves"
not_ok 'a leaf changed: no' checked
like 'and it is the next key that shows it' "$(cat "$RIG/said")" '^no: leaf 5:'
cp "$RIG/leaves.good" "$RIG/leaves"
ok 'all as it was: yes' checked --checkpoint "$RIG/checkpoint"

# A checkpoint that went through hands and mail programs: refused with one line that says what it is, never taken by half.
# kept WHAT EXIT LINE: $RIG/kept is such a one.
kept() {
	feed verify --all --checkpoint "$RIG/kept" >"$RIG/said" 2>&1
	is "a checkpoint $1: exit $2" $? "$2"
	if [ "$2" = 0 ]; then
		like "a checkpoint $1: counted" "$(cat "$RIG/said")" "$3"
	else
		is "a checkpoint $1: one line" "$(grep -Ec 'DAMAGED|^bastionctl:' "$RIG/said")" 1
		like "a checkpoint $1: which one" "$(grep -E 'DAMAGED|^bastionctl:' "$RIG/said")" "$3"
	fi
}
change() { "$@" <"$RIG/checkpoint" >"$RIG/kept"; }
unread='older checkpoint: flipped: it is not a readable checkpoint'
change cat
kept 'as it is' 0 'that it extends: 1$'
change sed 's/$/\r/'
kept 'with CRLF' 1 "$unread"
change sed '/^$/d'
kept 'without its empty line' 1 "$unread"
change sed 's/^$/\n/'
kept 'with two empty lines' 1 "$unread"
change head -c -1
kept 'without its last newline' 1 "$unread"
change sed '$a trailing'
kept 'with a line behind it' 1 "$unread"
change sed 's/^\xe2\x80\x94/-/'
kept 'with another dash' 1 "$unread"
change sed '3a extension'
kept 'with a line more in its text' 1 'older checkpoint: signature: its signature does not verify'
change sed '2s/^/0/'
kept 'with a zero in front of its size' 1 "$unread"
change sed '1s/^/\xef\xbb\xbf/'
kept 'with a byte order mark' 1 'older checkpoint: foreign: it is of another log'
change sed '1s/^/> /'
kept 'quoted' 1 'older checkpoint: foreign: it is of another log'
: >"$RIG/kept"
kept 'without anything' 3 'not a file of checkpoints'
change tr '\n' '\0'
kept 'with NULs' 3 'not a file of checkpoints'
# Witnesses' lines (the one that c2sp.org/tlog-cosignature publishes): whoever is not known decides nothing.
witness=$(printf '\342\200\224 witness.example.com/w1 %s' \
	jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==)
change sed "\$a $witness"
kept 'with a witness behind' 0 'that it extends: 1$'
change sed "4a $witness"
kept 'with a witness in front' 0 'that it extends: 1$'
change sed "5s|.*|$witness|"
kept 'with a witness alone' 1 'older checkpoint: other-key'

# Go's checksum database is such a log; its libraries take ours.
gocheck() {
	GO111MODULE=off GOFLAGS='' GOPATH="$RIG/go:/usr/share/gocode" GOCACHE="$RIG/go-cache" GOTOOLCHAIN=local \
		go run "$BASTION_SRC/tests/lib/notecheck.go" "$@" >"$RIG/go.log" 2>&1
}
if command -v go >/dev/null 2>&1 && [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]; then
	ok 'Go says yes' gocheck "$RIG/newest" "$RIG/leaves" "$RIG/checkpoint" "$RIG/proof1" "$RIG/growth4"
	not_ok 'and no with the first key, which signs no more' \
		gocheck "$dir/recorder.pub" "$RIG/leaves" "$RIG/checkpoint" "$RIG/proof1" "$RIG/growth4"
	sed 's/^index 4$/index 3/' "$RIG/proof1" >"$RIG/bad"
	not_ok 'and no to a proof of another leaf' \
		gocheck "$RIG/newest" "$RIG/leaves" "$RIG/checkpoint" "$RIG/bad" "$RIG/growth4"
else
	for i in 1 2 3; do pass "# SKIP no Go with golang.org/x/mod (contrib/install-deps --test)"; done
fi

# A bastion that runs, with an epoch of a second.
rig_init && rig_target t1 && rig_policy
sed -i 's/^recording:.*/&\n  epoch: 1s/' "$RIG/b/bastiond.yaml"
ok 'a bastion with short epochs starts' rig_start
mkfifo "$RIG/hold"
b_exec "$(to t1)" 'echo runs; cat' <"$RIG/hold" >"$RIG/running" 2>/dev/null &
run_pid=$!
exec 9>"$RIG/hold"
ok 'a session runs over several of them' wait_for 10 grep -q runs "$RIG/running"
n_keys() { ctl log --leaves | grep -c '"type":"key"'; }
several() { ctl checkpoint >>"$RIG/pushed" && [ "$(n_keys)" -ge 4 ]; }
ok 'keys follow each other' wait_for 20 several
ok 'it verifies while the session runs' ctl verify --all
exec 9>&-
wait $run_pid
ok 'the session ends' wait_for 10 session_closed "$(last_sid)"
ctl checkpoint >>"$RIG/pushed"
ctl verify --all --checkpoint "$RIG/pushed" >"$RIG/said"
pushed=$?
is 'the session did not end before its time' "$(ctl sessions show last --json | jq -r .state)" closed
is 'the recorder was not started again' "$(grep -c 'service.died' "$RIG/bastiond.log")" 0
is 'every checkpoint on the way is a prefix' $pushed 0
like 'all were looked at' "$(cat "$RIG/said")" 'checkpoints from elsewhere that it extends: ([2-9]|[1-9][0-9])'
rig_stop
is 'one key is left in sign.key' "$(grep -c PRIVATE "$RIG/b/state/recorder/sign.key")" 1
isnt 'and it is not the first' "$(sed -n 's/^PRIVATE+KEY+[^+]*+\([0-9a-f]*\)+.*/\1/p' \
	"$RIG/b/state/recorder/sign.key")" "$(cut -d+ -f2 "$RIG/b/state/recorder.pub")"
tap_end
