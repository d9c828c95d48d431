#!/bin/sh
# Who can open a sealed session: from its bundle with every command that reads; handed on to somebody outside; and after the
# list of auditors has changed.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 47
unset BASTION_AUDITOR_KEY
AUD="$RIG/aud"
mkdir "$AUD"
for who in anna ben carl counsel witness eve; do
	"$BASTIONCTL" auditor new $who --no-passphrase -o "$AUD/$who.key" >"$AUD/$who.pub" 2>/dev/null
done
line() { sed -n 1p "$AUD/$1.pub"; }
quiet() { "$@" >/dev/null 2>&1; }
ends() { wait_for 10 session_closed "$1"; }
auditors() { # NAME ...: these from here on
	list=
	for who in "$@"; do list="$list${list:+, }'$(line "$who")'"; done
	sed -i -e '/^  auditors:/d' -e "s|^recording:.*|recording:\n  auditors: [$list]|" "$RIG/b/bastiond.yaml"
}

# Before there are auditors.
rig_init && rig_target t1 && rig_policy || exit 1
ok 'a bastion without auditors starts' rig_start
b_ssh "$(to t1)" 'echo qqOpen' >/dev/null
open=$(last_sid)
ok 'its session has ended' ends "$open"
ctl export "$open" --format bundle --for "$AUD/counsel.pub" --auditor-key "$AUD/anna.key" -o "$RIG/x" >"$RIG/out" 2>&1
is 'what is not sealed is not handed on' $? 1
like 'because everybody can read it' "$(cat "$RIG/out")" 'not sealed'
rig_stop
auditors anna ben
ok 'a bastion with two auditors starts' rig_start
is 'a session' "$(b_ssh "$(to t1)" 'echo qqSecret | tr q z; exit 7')" zzSecret
old=$(last_sid)
ok 'has ended' ends "$old"

# Its bundle, away from the bastion.
ok 'the bundle' ctl export "$old" --format bundle -o "$RIG/a.bundle"
cp "$RIG/b/state/recorder.pub" "$RIG/recorder.pub" 2>/dev/null || cp "$(find "$RIG/b" -name recorder.pub | head -n 1)" "$RIG/recorder.pub"
alone() { "$BASTIONCTL" "$@"; }
with() { # WHO BUNDLE COMMAND ...
	with_key="$AUD/$1.key" with_bundle="$2"
	shift 2
	"$BASTIONCTL" "$@" --bundle "$with_bundle" --auditor-key "$with_key"
}
command_in() { jq -r '.. | .command? // empty' | head -n 1; }
like 'list, with a key' "$(with ben "$RIG/a.bundle" sessions list)" qqSecret
is 'show' "$(with ben "$RIG/a.bundle" sessions show --json | command_in)" 'echo qqSecret | tr q z; exit 7'
like 'play' "$(with ben "$RIG/a.bundle" play </dev/null 2>&1)" zzSecret
like 'export' "$(with ben "$RIG/a.bundle" export --format text 2>&1)" zzSecret
like 'export of every event' "$(with ben "$RIG/a.bundle" export --format json 2>&1)" qqSecret
like 'search by what is known' "$(with ben "$RIG/a.bundle" search --identity "$(alone sessions show --json --bundle "$RIG/a.bundle" | jq -r .identity)" 2>&1)" "$(echo "$old" | cut -c 1-8)"
like 'verify' "$(with ben "$RIG/a.bundle" verify 2>&1)" '^yes'
like 'and without a key' "$(alone verify --bundle "$RIG/a.bundle" 2>&1)" '^yes'
is 'which shows no command' "$(alone sessions show --json --bundle "$RIG/a.bundle" | command_in)" ''
alone export --format text --bundle "$RIG/a.bundle" >"$RIG/out" 2>&1
is 'and no content' $? 3
not_ok 'none of it' grep -q zzSecret "$RIG/out"
with eve "$RIG/a.bundle" export --format text >"$RIG/out" 2>&1
is 'nor does somebody else'"'"'s key' $? 3

# Handed on.
alone export --format bundle --bundle "$RIG/a.bundle" -o "$RIG/x" >/dev/null 2>&1
is 'a bundle is not made of a bundle for nothing' $? 2
ctl export "$old" --format bundle --for "$AUD/counsel.pub" -o "$RIG/x" >/dev/null 2>&1
is 'without a key nobody hands on' $? 2
ctl export "$old" --format bundle --for nobody --auditor-key "$AUD/ben.key" -o "$RIG/x" >/dev/null 2>&1
is 'nor to what is no key' $? 2
ctl export "$old" --format text --for "$AUD/counsel.pub" --auditor-key "$AUD/ben.key" >/dev/null 2>&1
is 'nor in another form' $? 2
ctl export "$old" --format bundle --for "$AUD/counsel.pub" --auditor-key "$AUD/eve.key" -o "$RIG/x" >"$RIG/out" 2>&1
is 'nor does who cannot open it' $? 1
like 'which is said' "$(cat "$RIG/out")" 'only who can open it'
ctl export "$old" --format bundle --for "$AUD/anna.pub" --auditor-key "$AUD/ben.key" -o "$RIG/x" >/dev/null 2>&1
is 'nor to who can already' $? 1
is 'and no file is left of it' "$(find "$RIG" -maxdepth 1 -name 'x*' | wc -l)" 0
ok 'ben hands it on' ctl export "$old" --format bundle --for "$(line counsel)" --auditor-key "$AUD/ben.key" -o "$RIG/c.bundle"
is 'for its owner alone' "$(stat -c %a "$RIG/c.bundle")" 600
like 'the log has to whom' "$(ctl log "$old" | jq -c 'select(.what == "bundle") | .for' | tr '\n' ' ')" '"counsel"'
for who in anna ben counsel; do
	like "$who opens it" "$(with $who "$RIG/c.bundle" export --format text 2>&1)" zzSecret
done
is 'counsel sees the command' "$(with counsel "$RIG/c.bundle" sessions show --json | command_in)" 'echo qqSecret | tr q z; exit 7'
like 'and has every event checked' "$(with counsel "$RIG/c.bundle" verify 2>&1)" '^yes'
like 'without a key it verifies, too' "$(alone verify --bundle "$RIG/c.bundle" 2>&1)" '^yes'
like 'who cannot open it is told who can' "$(with eve "$RIG/c.bundle" export --format text 2>&1)" 'sealed to anna, ben, handed on to counsel'
ok 'counsel hands it on, from the bundle' with counsel "$RIG/c.bundle" export --format bundle --for "$AUD/witness.pub" -o "$RIG/w.bundle"
like 'a witness opens it' "$(with witness "$RIG/w.bundle" export --format text 2>&1)" zzSecret
like 'it verifies' "$(alone verify --bundle "$RIG/w.bundle" 2>&1)" '^yes'
not_ok 'the bastion knows none of them' quiet ctl export "$old" --format text --auditor-key "$AUD/counsel.key"

# Others in the list: anna has lost her key, carl is new.
rig_stop
auditors ben carl
ok 'a bastion with another list starts' rig_start
b_ssh "$(to t1)" 'echo qqNewer | tr q z' >/dev/null
new=$(last_sid)
ok 'a session of the new list' ends "$new"
is 'says so' "$(ctl sessions show --json "$new" | jq -c .sealed_to)$(ctl sessions show --json "$old" | jq -c .sealed_to)" '["ben","carl"]["anna","ben"]'
reads() { ctl export "$2" --format text --auditor-key "$AUD/$1.key" 2>/dev/null | grep -c zz; }
is 'who opens which' "$(for who in anna ben carl; do printf '%s%s ' "$(reads $who "$old")" "$(reads $who "$new")"; done)" '10 11 01 '
ok 'all of it verifies' ctl verify
rig_stop
tap_end
