#!/bin/sh
# A session in one file: made on the bastion, which notes it, and verified where there is nothing but the file and the key.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 52
quiet() { "$@" >/dev/null 2>&1; }
ok 'a bastion and its target start' rig_up
b_ssh "$(to t1)" 'echo first; seq 1 20000' >/dev/null
a=$(last_sid)
ctl play last --no-wait >/dev/null 2>&1 || rig_play_failed=1
ctl sessions show "$(echo "$a" | cut -c1-9)" >/dev/null 2>&1 || rig_show_failed=1
b_ssh "$(to t1)" 'echo second' >/dev/null
b=$(last_sid)
wait_for 10 session_closed "$a" && wait_for 10 session_closed "$b"
ctl sessions show "$a" >/dev/null

# On the bastion.
ok 'a session becomes a bundle' ctl export "$a" --format bundle -o "$RIG/a.bundle"
is 'its file is for its owner alone' "$(stat -c %a "$RIG/a.bundle")" 600
like 'the log has who took it' "$(ctl log "$a")" '"record.viewed".*"what":"bundle"'
sum=$(sha256sum <"$RIG/a.bundle")
not_ok 'none is overwritten' quiet ctl export "$b" --format bundle -o "$RIG/a.bundle"
is 'and stays as it is' "$(sha256sum <"$RIG/a.bundle")" "$sum"
ok 'another one' ctl export "$b" --format bundle -o "$RIG/b.bundle"
ctl export "$a" --format bundle >/dev/null 2>&1
is 'not to standard output' $? 2
ctl export "$a" --format bundle --channel 1 -o "$RIG/x" >/dev/null 2>&1
is 'not one channel of it' $? 2
ctl export "$a" --format bundle -o "$RIG/no/such/x" >/dev/null 2>&1
is 'not into a folder that is not there' $? 3
ctl export 0123456789abcdef0123456789abcdef --format bundle -o "$RIG/x" >/dev/null 2>&1
is 'not of a session that is not there' $? 1
b_exec "$(to t1)" 'echo running; sleep 60' >"$RIG/running" &
rig_running=$!
wait_for 20 grep -q running "$RIG/running"
ctl export last --format bundle -o "$RIG/x" >"$RIG/x.log" 2>&1
is 'not of a session that runs' $? 1
like 'which is said' "$(cat "$RIG/x.log")" 'still runs'
kill "$rig_running"
is 'nothing half is left behind' "$(find "$RIG" -maxdepth 1 -name 'x*' ! -name x.log | wc -l)" 0
# What was erased still has a bundle: that it was there, and who erased it.
ok 'a session is erased' quiet ctl sessions erase "$b" --why 'a test'
ok 'and becomes a bundle' ctl export "$b" --format bundle -o "$RIG/erased.bundle"
cp "$RIG/b/state/recorder.pub" "$RIG/key"
rig_stop

# Elsewhere: an empty folder, no configuration, no environment.
mkdir "$RIG/laptop"
cp "$RIG/a.bundle" "$RIG/b.bundle" "$RIG/erased.bundle" "$RIG/laptop"
cp "$RIG/key" "$RIG/laptop/recorder.pub"
rm -rf "$RIG/b"
cd "$RIG/laptop" || exit 1
alone() { env -i "$BASTIONCTL" "$@"; }
ok 'it verifies alone' quiet alone verify --bundle a.bundle
alone verify --bundle a.bundle >"$RIG/yes"
like 'whose' "$(cat "$RIG/yes")" 'who     alice'
like 'and which' "$(cat "$RIG/yes")" "$a"
like 'yes in words' "$(cat "$RIG/yes")" '^yes: '
is 'yes in JSON, and whose' "$(alone verify --bundle a.bundle --json | jq -r '[.ok, .bundle.session.identity, .sessions[0].id] | join(" ")')" \
	"true alice $a"
mkdir other
mv recorder.pub other/key
ok 'with a key from elsewhere' quiet alone verify --bundle a.bundle --public-key other/key
alone verify --bundle a.bundle >/dev/null 2>&1
is 'without a key it cannot be told' $? 3
mv other/key recorder.pub
ok 'an erased one verifies' quiet alone verify --bundle erased.bundle
like 'and says so' "$(alone verify --bundle erased.bundle)" '^erased  .*a test'
like 'replay' "$(alone play --bundle a.bundle --no-wait </dev/null)" 'first'
is 'an export of it' "$(alone export --bundle a.bundle --format raw --stream out | tail -n 1)" 20000
like 'what is known of it' "$(alone sessions show --bundle a.bundle)" "$a"
is 'a list of one' "$(alone sessions list --bundle a.bundle --json | jq -r '.[].id')" "$a"
like 'who looked at it' "$(alone log --bundle a.bundle)" 'record.viewed'
is 'also who said last and meant it' "${rig_play_failed:-0} $(alone log --bundle a.bundle | jq -r 'select(.event == "record.viewed" and .what == "events") | .session')" "0 $a"
is 'and who gave the first digits only' "${rig_show_failed:-0} $(alone log --bundle a.bundle | jq -r 'select(.event == "record.viewed" and .what == "show") | .session' | sort -u)" "0 $a"
unlike 'nothing of another session' "$(alone log --bundle a.bundle; alone sessions list --bundle a.bundle --json)" "$b"
alone play --bundle a.bundle "$b" --no-wait >/dev/null 2>&1
is 'another session is not in it' $? 1
for how in 'verify --store . --bundle a.bundle' 'verify --bundle a.bundle --checkpoint recorder.pub' \
	"verify --bundle a.bundle $a" 'export --bundle a.bundle --format bundle -o c'; do
	# shellcheck disable=SC2086
	alone $how >/dev/null 2>&1
	is "makes no sense: ${how%% "$a"}" $? 2
done

# What somebody could do to it.
change() {
	how=$1
	shift
	python3 "$BASTION_SRC/tests/lib/bundle.py" "$how" a.bundle bad.bundle "$@"
	env -i "$BASTIONCTL" verify --bundle bad.bundle
}
python3 "$BASTION_SRC/tests/lib/bundle.py" list a.bundle >"$RIG/list"
is 'another program reads the format' $? 0
no() { # NAME PATTERN HOW ARGUMENT...
	no_name=$1 no_want=$2
	shift 2
	text=$(change "$@" 2>&1)
	if [ $? = 1 ]; then like "$no_name" "$text" "$no_want"; else fail "$no_name"; note "$text"; fi
}
no 'a byte of an event' 'DAMAGED .* block 0: flipped' flip 3 0 100
no 'a block that is not there' 'missing' drop 3 0
no 'the record' 'metadata' flip 1 0 60
no 'a leaf' 'leaf 0: log' flip 6 0 12
no 'a proof' 'leaf 0: log' flip 64 0 3
no 'an audit event' 'audit event was changed' flip 7 0 40
no 'the checkpoint' 'checkpoint: ' flip 0 0 40
no 'two sessions in one' 'foreign' merge b.bundle
no 'something more in it' 'foreign' add 66 00 'extra'
head -c -1 a.bundle >bad.bundle
alone verify --bundle bad.bundle >/dev/null 2>&1
is 'a cut one is none' $? 3
{ head -c 4000 a.bundle; printf X; tail -c +4002 a.bundle; } >bad.bundle
like 'a byte that changed on its way' "$(alone verify --bundle bad.bundle 2>&1)" 'file: flipped'

# Large ones take no more memory: 64 MiB are enough for 200 MiB.
{
	printf 'open alice root web1\nbegin 1\n'
	i=0
	while [ $i -lt 50 ]; do
		echo 'fill 1 4194304'
		i=$((i + 1))
	done
	echo end
} | "$BASTION_BIN/bastion-feed" "$RIG/large" >/dev/null
small() { sh -c 'ulimit -d 65536 && exec "$@"' sh "$@"; }
ok 'a large session becomes a bundle' small "$BASTIONCTL" export --store "$RIG/large" last --format bundle -o large.bundle
is 'and verifies' "$(small "$BASTIONCTL" verify --bundle large.bundle --public-key "$RIG/large/recorder.pub" --json | jq .result.raw_bytes)" \
	"$(small "$BASTIONCTL" verify --store "$RIG/large" --json | jq .result.raw_bytes)"

tap_end
