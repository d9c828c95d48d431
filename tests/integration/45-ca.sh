#!/bin/sh
# bastionctl ca: a CA in the vault issues, lists and revokes; stock ssh logs in with what it made, and then no longer.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 70
rig_init && rig_target t1 || exit 1
sed -i '/^ *# *user_ca:/d; /^ *# *revoked:/d' "$RIG/b/bastiond.yaml"
echo '  bob: {principals: [bob], groups: [sre]}' >"$RIG/users.yaml"
rig_policy
login_keys() {
	if grep -q '^login:' "$RIG/b/bastiond.yaml"; then
		sed -i 's|^login:.*|login:\n  user_ca: [user-ca.site.pub]\n  revoked: revoked.krl|' "$RIG/b/bastiond.yaml"
	else
		printf 'login:\n  user_ca: [user-ca.site.pub]\n  revoked: revoked.krl\n' >>"$RIG/b/bastiond.yaml"
	fi
}
b=$RIG/b
events() { ctl log | jq -r "select(.event == \"$1\") | $2"; }

# Before there is one.
ctl ca issue bob --key "$RIG/alice.pub" 2>"$RIG/err"
is 'nothing is issued without a CA' $? 1
like 'which says what to do' "$(cat "$RIG/err")" 'bastionctl ca new NAME'
is 'an empty list is a list' "$(ctl --json ca list)" '[]'
for name in '' '../x' 'a/b' '.x' '-' 'a b' 'a.b'; do
	ctl ca new -- "$name" 2>/dev/null && break
done
isnt 'a CA is not called so' $? 0

made=$(ctl ca new site)
is 'a CA is made' $? 0
like 'it says what comes next' "$made" 'user_ca: \[user-ca.site.pub\]'
is 'its public key is in a file' "$(cut -d' ' -f1,2 "$b/user-ca.site.pub")" "$(ctl keys public user-ca.site | cut -d' ' -f1,2)"
not_ok 'no private key is' grep -rlE 'BEGIN .*PRIVATE' "$b"
not_ok 'a CA is not made twice' ctl ca new site 2>/dev/null
ok 'with an empty list of what is revoked' sh -c "ssh-keygen -Q -f '$b/revoked.krl' '$RIG/alice.pub' >/dev/null"
login_keys
ok 'a bastion starts with it' rig_start
is 'ca public prints the line' "$(ctl ca public site | grep -v '^#' | cut -d' ' -f1,2)" "$(cut -d' ' -f1,2 "$b/user-ca.site.pub")"
ctl ca public >"$RIG/handed.pub"
ok 'what it prints is a user_ca file as it stands' sh -c "ssh-keygen -l -f '$RIG/handed.pub' >/dev/null"

# Keys of every kind that ssh-keygen makes; each logs in.
n=0
key() { # [ssh-keygen options]
	n=$((n + 1))
	ssh-keygen -q -N '' -C '' -f "$RIG/k$n" "$@"
}
with() { # N COMMAND...
	k=$1
	shift
	IDENTITY=$RIG/k$k b_ssh -o "CertificateFile=$RIG/k$k-cert.pub" "$(to t1)" "$@" 2>&1
}
for t in 'ed25519' 'ecdsa -b 256' 'ecdsa -b 384' 'ecdsa -b 521' 'rsa -b 3072'; do
	# shellcheck disable=SC2086 # words
	key -t $t
	ctl ca issue bob --key "$RIG/k$n.pub" 2>/dev/null
	is "$t: a certificate that stock ssh logs in with" "$(with "$n" 'echo in')" in
	like "$t: ssh-keygen reads it" "$(ssh-keygen -L -f "$RIG/k$n-cert.pub")" "Serial: $n"
done
is 'the record names it' "$(ctl sessions list --json | jq -r 'last | [.identity, .credential.key_id, (.credential.serial | tostring)] | join(" ")')" \
	'bob bob/5 5'
is 'each issue is an event with its uid' "$(events keys.changed .what | grep -c '^issued by user-ca.site: serial [1-5], key id "bob/[1-5]", principal bob, until ')" 5

# What is no order.
bad() { # NAME ARGS...
	bad_name=$1
	shift
	ctl ca issue "$@" -o "$RIG/never" </dev/null >/dev/null 2>"$RIG/err"
	is "$bad_name" "$? $(ls "$RIG/never" 2>/dev/null)" '2 '
}
bad 'a principal with a comma at its end' bob --key "$RIG/k1.pub" -n 'bob,'
bad 'a principal that is a pattern' bob --key "$RIG/k1.pub" -n 'b*'
bad 'a person with a blank' 'b ob' --key "$RIG/k1.pub"
bad 'a validity without a unit' bob --key "$RIG/k1.pub" -V 8
bad 'no validity at all' bob --key "$RIG/k1.pub" -V 0s
bad 'a source with host bits' bob --key "$RIG/k1.pub" --source 127.0.0.1/8
bad 'a command of two lines' bob --key "$RIG/k1.pub" --force-command "$(printf 'a\nb')"
bad 'a certificate in place of a key' bob --key "$RIG/k1-cert.pub"
ssh-keygen -q -t rsa -b 2048 -N '' -f "$RIG/short"
bad 'an RSA key that no login takes' bob --key "$RIG/short.pub"
like 'with the reason' "$(cat "$RIG/err")" 'at least 3072 bits'
is 'nothing of this has a number' "$(ctl --json ca list | jq length)" 5
not_ok 'a key that is no CA signs nothing' ctl ca issue bob --ca fleet --key "$RIG/k1.pub" 2>/dev/null
# A CA is no key towards hosts, whatever policy.yaml says.
# shellcheck disable=SC2317,SC2329 # called by wait_for
reloaded() { [ "$(grep -c reload.done "$RIG/bastiond.log")" -gt "$reloads" ]; }
reload() {
	reloads=$(grep -c reload.done "$RIG/bastiond.log")
	kill -HUP "$bastion_pid"
	wait_for 10 reloaded
}
cp "$b/policy.yaml" "$RIG/p.old"
sed -i 's/key: fleet/key: user-ca.site/' "$b/policy.yaml"
cut -d' ' -f1,2 "$b/user-ca.site.pub" >>"$RIG/t1/authorized_keys"
ok 'policy.yaml may name it' reload
unlike 'but nobody gets to a host with it' "$(with 1 'echo in')" '^in$'
cp "$RIG/p.old" "$b/policy.yaml"
reload

# What it limits.
key -t ed25519
ctl ca issue bob --key "$RIG/k$n.pub" --source 10.0.0.0/8,::1 2>/dev/null
like 'a source address that is another' "$(with $n 'echo in')" 'Permission denied'
key -t ed25519
ctl ca issue bob --key "$RIG/k$n.pub" --source 127.0.0.0/8 --force-command 'echo forced' -n bob,deploy -V 30m -I 'ticket 17' 2>/dev/null
is 'the right one, and a forced command' "$(with $n 'echo in')" forced
key -t ed25519
ctl ca issue bob --key "$RIG/k$n.pub" --clear 2>/dev/null
like 'without permits: no terminal' "$(IDENTITY=$RIG/k$n b_ssh -tt -o "CertificateFile=$RIG/k$n-cert.pub" "$(to t1)" tty 2>&1)" \
	'PTY allocation request failed|not a tty'
key -t ed25519
ctl ca issue mallory --key "$RIG/k$n.pub" 2>/dev/null
like 'a person whom the policy does not know' "$(with $n 'echo in')" 'Permission denied'
key -t ed25519
ctl ca issue bob <"$RIG/k$n.pub" >"$RIG/k$n-cert.pub"
is 'through stdin and stdout' "$(with $n 'echo in')" in
like 'ca list shows them' "$(ctl ca list)" 'site +7 +bob +ticket 17 .* good'
is 'ca list --json' "$(ctl --json ca list | jq -r '[.[] | .serial] | join(" ")')" '1 2 3 4 5 6 7 8 9 10'

# Revoked: by serial, key id, file, person; the running bastion takes it at once.
revoked() { ctl --json ca list | jq -r '[.[] | select(.state == "revoked") | .serial] | join(" ")'; }
ctl ca revoke 1 >/dev/null
is 'revoke by serial' $? 0
like 'it no longer logs in' "$(with 1 'echo in')" 'Permission denied'
is 'the others do' "$(with 2 'echo in')" in
ok 'ssh-keygen -Q agrees' sh -c "! ssh-keygen -Q -f '$b/revoked.krl' '$RIG/k1-cert.pub' >/dev/null && ssh-keygen -Q -f '$b/revoked.krl' '$RIG/k2-cert.pub' >/dev/null"
ctl ca revoke bob/2 >/dev/null
like 'revoke by key id' "$(with 2 'echo in')" 'Permission denied'
ctl ca revoke "$RIG/k3-cert.pub" >/dev/null
like 'revoke by file' "$(with 3 'echo in')" 'Permission denied'
is 'the list says so' "$(revoked)" '1 2 3'
ssh-keygen -q -k -u -f "$b/revoked.krl" -s "$b/user-ca.site.pub" - <<EOF
serial: 4
EOF
is 'ssh-keygen extends it as well' "$(revoked)" '1 2 3 4'
ctl ca revoke "$RIG/k5.pub" >/dev/null
like 'revoke a plain key, with all its certificates' "$(with 5 'echo in')" 'Permission denied'
is 'in every list' "$(revoked)" '1 2 3 4 5'
pids=
for i in 6 7 8; do
	ctl ca revoke $i >/dev/null 2>&1 &
	pids="$pids $!"
done
# shellcheck disable=SC2086 # several
wait $pids
is 'several at once: each is in the list' "$(revoked)" '1 2 3 4 5 6 7 8'
# Beside their private key, as people keep it.
mkdir "$RIG/beside" && echo 'a private key' >"$RIG/beside/bob"
(cd "$RIG/beside" && ctl ca revoke bob) >/dev/null
is 'revoke a person, also beside a file of that name' "$(revoked)" '1 2 3 4 5 6 7 8 10'
like 'with all of them' "$(with 10 'echo in')" 'Permission denied'
ctl ca revoke 77 2>/dev/null
is 'a serial that was never issued' $? 1
ctl ca revoke "$RIG/t1/sshd_config" 2>/dev/null
is 'a file that holds no key' $? 3
cp "$b/revoked.krl" "$RIG/krl"
echo nonsense >"$b/revoked.krl"
not_ok 'a list that cannot be read is not overwritten' ctl ca revoke 9 2>/dev/null
is 'and stays as it was' "$(cat "$b/revoked.krl")" nonsense
cp "$RIG/krl" "$b/revoked.krl"

# A second CA, and numbers that go on.
ctl ca new other >/dev/null
ctl ca issue bob --key "$RIG/k1.pub" -o - >/dev/null 2>&1
is 'with two CAs one must be named' $? 2
ctl ca issue bob --ca site --key "$RIG/k1.pub" -o "$RIG/k1-cert.pub" 2>/dev/null
is 'numbers are never used twice' "$(ctl --json ca show "$RIG/k1-cert.pub" | jq .serial)" 11
is 'and it logs in' "$(with 1 'echo in')" in

# ca show and ssh-keygen -L say the same, of ours and of foreign ones.
view() { # FILE: type, key id, serial, principals, options, as both say it
	ssh-keygen -L -f "$1" | awk '
		/^        Type:/ { print $2, $3 }
		/^        Public key:/ { print $4 }
		/^        Signing CA:/ { print $4 }
		/^        Key ID:/ { sub(/^[^"]*"/, ""); sub(/"$/, ""); print }
		/^        Serial:/ { print $2 }
		/^        Valid:/ { part = ""; print ($2 == "forever" ? "always forever" : $2 == "before" ? "always " $3 : $2 == "after" ? $3 " forever" : $3 " " $5) }
		/^        [A-Z][a-zA-Z ]*: *$/ { part = $1; next }
		/^                / && part != "" { sub(/^ */, ""); print part, $0 }' >"$RIG/theirs"
	TZ=UTC ctl --json ca show "$1" | jq -r 'def t: if . == null then null else .[0:19] end;
		"\(.type) \(.kind) certificate", .public_key, .ca, .key_id, .serial,
		"\(.valid_after | t // "always") \(.valid_before | t // "forever")",
		(.principals[] | "Principals: \(.)"),
		(.critical_options | to_entries[] | "Critical " + if .value == true then .key else .key + " " +
			(if .value | type == "array" then .value | join(",") else .value end) end),
		(.extensions[] | "Extensions: \(.)")' | sed 's/^\([^ ]*\) \(user\|host\) certificate$/\1 \2/' >"$RIG/ours"
}
rig_key "$RIG/ca"
export TZ=UTC
same=0
for options in '-n bob' '-n bob,root,deploy -z 18446744073709551615' '-n bob -V always:forever' '-n bob -V 20260102030405:forever' \
	'-n bob -V always:20300101000000' '-h -n web1,*.example' '-n bob -O clear' '-n bob -O clear -O permit-pty -O no-touch-required' \
	'-n bob -O source-address=10.0.0.0/8,192.0.2.7,2001:db8::/32' '-n bob -O verify-required -O force-command=id'; do
	# shellcheck disable=SC2086 # words
	(set -f; ssh-keygen -q -s "$RIG/ca" -I "id 17" $options "$RIG/k4.pub")
	view "$RIG/k4-cert.pub"
	sed 's/^\([^ ]*\) \(user\|host\).*/\1 \2/' "$RIG/theirs" | grep -v ' (none)$' | sed 's/^Critical Options: /Critical /' | sort >"$RIG/a"
	sort "$RIG/ours" >"$RIG/o"
	if cmp -s "$RIG/a" "$RIG/o"; then same=$((same + 1)); else note "$options"; diff "$RIG/a" "$RIG/o" | sed 's/^/# /'; fi
done
is 'ca show says what ssh-keygen -L says' "$same" 10
like 'for people too' "$(ctl ca show "$RIG/k4-cert.pub")" 'forced command +id'
not_ok 'a plain key is no certificate' ctl ca show "$RIG/k4.pub" 2>/dev/null
unset TZ
ok 'everything verifies' ctl verify --all

tap_end
