#!/bin/sh
# The same certificates, shown by the same ssh, to Debian's sshd and to a bastion: both say the same, but where a reason is written.
# What ssh itself does not read, and so cannot show (a wrong CA signature, a type 3, 257 principals, a nested certificate, a tail, a
# cut), is in tests/unit/test_cert_vectors.c; no sshd was ever seen to take one of them.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

rig_init || exit 1
mkdir "$RIG/v"
"${BASTION_CERT_TOOL:-$BASTION_BIN/bastion-cert}" "$RIG/v" "$rig_me" || exit 1
# Without it ssh does not find the key that goes with a certificate.
ssh-keygen -y -f "$RIG/v/key" >"$RIG/v/key.pub"
cp "$RIG/v/ca.pub" "$RIG/b/user_ca.pub"
printf 'serial: 99\nid: revoked\n' >"$RIG/spec"
ssh-keygen -q -k -f "$RIG/b/revoked.krl" -s "$RIG/v/ca.pub" "$RIG/spec"
printf '%s\n' "TrustedUserCAKeys $RIG/v/ca.pub" "RevokedKeys $RIG/b/revoked.krl" "AuthorizedKeysFile none" >"$RIG/t1.more"
rig_target t1 - <"$RIG/t1.more" || exit 1
rig_target t2 || exit 1
sed -i '/^ *# *user_ca:/d; /^ *# *revoked:/d' "$RIG/b/bastiond.yaml"
if grep -q '^login:' "$RIG/b/bastiond.yaml"; then
	sed -i 's|^login:.*|login:\n  user_ca: [user_ca.pub]\n  revoked: revoked.krl|' "$RIG/b/bastiond.yaml"
else
	printf 'login:\n  user_ca: [user_ca.pub]\n  revoked: revoked.krl\n' >>"$RIG/b/bastiond.yaml"
fi
echo "  person: {principals: [$rig_me, bob], groups: [sre]}" >"$RIG/users.yaml"
rig_policy

# name, what sshd says, what the bastion says, and why they differ
cat >"$RIG/table" <<'EOF'
good yes yes
host no no
second-of-256 yes yes
no-principal no no
empty-principal no no
list-in-one no no
star no no
other no no
expired no no
early no no
before-0 no no
for-ever yes yes
unsigned yes yes
after-unsigned no no
unknown-critical no no
unknown-extension yes yes
force yes yes
force-twice no no
force-empty yes no an empty forced command is a shell for most targets
force-tail no no
force-nul no no
order yes yes
verify-required yes no nobody verified a person: a plain key cannot, and the CA asked for it
source-here yes yes
source-twice no no
source-other no no
source-list yes yes
source-six no no
source-mapped no yes a mapped address is the IPv4 address that it names
source-any-six no no
source-33 no no
source-host-bits no no
source-empty no no
source-name no no
source-short yes no 127.1 is 127.0.0.1 to some programs and nothing to others
source-blank no no
source-spoiled no no
self-signed no no
unknown-ca no no
revoked-serial no no
revoked-id no no
odd-id yes yes
long-id yes no more than 1024 bytes: records name a certificate by it
EOF
plan $(($(wc -l <"$RIG/table") * 2 + 2))
ok 'a bastion starts' rig_start

try() { # NAME PORT LOGIN
	# shellcheck disable=SC2046 # options are words
	if timeout 60 ssh $(IDENTITY=$RIG/v/key rig_opts) -o "CertificateFile=$RIG/v/$1-cert.pub" -p "$2" "$3@127.0.0.1" true \
		>/dev/null 2>&1 </dev/null; then
		echo yes
	else
		echo no
	fi
}
while read -r name sshd ours why; do
	# shellcheck disable=SC2154
	is "sshd, $name: $sshd" "$(try "$name" "$rig_port_t1" "$rig_me")" "$sshd"
	is "bastion, $name: $ours${why:+ ($why)}" "$(try "$name" "$bastion_port" "$rig_me+t2")" "$ours"
done <"$RIG/table"
is 'where they differ there is a reason' "$(awk '$2 != $3 && NF < 6' "$RIG/table")" ''

tap_end
