#!/bin/sh
# pam_bastion_oidc.so in a plain PAM program, against a real OpenID provider with TLS and a CA of its own.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/oidc/rig.sh"

[ -f "$BASTION_BIN/pam_bastion_oidc.so" ] || skip_all 'built without pam_bastion_oidc.so'
oidc_need
# In a sanitizer build: LeakSanitizer itself crashes now and then in a program that unloaded a library whose threads have ended
# (libcurl's resolver). Everything else is still looked for.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
export ASAN_OPTIONS
plan 87

ok 'the provider is up' oidc_up
mkdir "$RIG/pam.d"

# service NAME CLIENT [module arguments] [- and more configuration on stdin]
service() {
	service_name=$1 service_client=$2
	shift 2
	if [ "${1-}" = - ]; then
		oidc_conf "$RIG/$service_name.yaml" "$service_client" -
		shift
	else
		oidc_conf "$RIG/$service_name.yaml" "$service_client"
	fi
	echo "auth required $BASTION_BIN/pam_bastion_oidc.so config=$RIG/$service_name.yaml $*" >"$RIG/pam.d/$service_name"
}
# ask SERVICE USER [RHOST [NAME=VALUE...]]: the driver in the background; sets asker, answer is for its prompts.
ask() {
	rm -f "$RIG/out" # so that nobody takes the last one's link
	timeout 40 "$BASTION_BIN/bastion-pam" "$RIG/pam.d" "$@" <"${answers:-/dev/null}" >"$RIG/out" 2>"$RIG/err" &
	asker=$!
}
# Until it shows a link: sets url.
shown() {
	wait_for 10 grep -q 'https://.*user_code=' "$RIG/out" || return 1
	url=$(sed -n 's/^ *\(https:[^ ]*\)$/\1/p' "$RIG/out" | head -n 1)
}
# Its end: sets out and err.
ended() {
	wait "$asker"
	ended_status=$?
	out=$(cat "$RIG/out") err=$(cat "$RIG/err") all=$(cat "$RIG/out" "$RIG/err" | tr '\n' ' ')
	return $ended_status
}
# login SERVICE USER PERSON [deny]: a whole login, which the person confirms or denies.
login() {
	ask "$1" "$2" 203.0.113.5
	shown && oidc_person "$url" "$3" ${4+"$4"} >"$RIG/page"
	ended
}
fault() { # PATH KIND [TIMES]
	oidc_rig "{\"fault\": {\"path\": \"$1\", \"kind\": \"$2\"${3:+, \"times\": $3}}}" >/dev/null
}
no_fault() { oidc_rig '{"fault": null}' >/dev/null; }

# Approved.
service oidc bastiond
ask oidc alice 203.0.113.5 BASTION_TARGET=web1 BASTION_REFERENCE=r1
ok 'the link is shown at once' shown
like 'with the name, the host, the source, and the code' "$(tr '\n' ' ' <"$RIG/out")" \
	'log in as alice on web1 \(asked from 203.0.113.5\), open .*confirm the code [A-Z]{4}-[A-Z]{4} within 5 minutes'
page=$(oidc_person "$url" alice)
like 'the provider can show who asks' "$page" '^asked: alice on web1 from 203.0.113.5$'
like 'and who for' "$page" '^hint: alice$'
is 'the code is the same on both' "code: $(sed -n 's/.*confirm the code \([^ ]*\) .*/\1/p' "$RIG/out")" \
	"$(echo "$page" | grep '^code')"
ok 'approved' ended
like 'the name stays' "$out" '^user: alice$'
like 'groups are passed on, odd ones are not' "$out" '^env: BASTION_GROUPS=sre,db-admins$'
like 'and that is logged' "$err" '2 groups are not passed on.* first a,b'
like 'issuer and subject are passed on' "$out" "^env: BASTION_SUBJECT=$oidc_issuer alice\$"
unlike 'whether the person is there was asked' "$out" '^rounds: 0$'
login oidc alice alice
like 'another program gets no empty texts' "$out" '^rounds: 0$'

# Every signature and kind of client.
printf 'made for tests: a+b/c=d%%e\n' >"$RIG/secret"
chmod 600 "$RIG/secret"
for client in c-ps c-es c-es384 c-ed; do
	service $client $client
	ok "signature of $client" login $client alice alice
done
echo "client_secret_file: $RIG/secret" | service basic c-basic -
ok 'a confidential client, client_secret_basic' login basic alice alice
printf 'client_secret_file: %s\nclient_auth: client_secret_post\n' "$RIG/secret" | service post c-post -
ok 'a confidential client, client_secret_post' login post alice alice
chmod 640 "$RIG/secret"
not_ok 'a secret that others may read' login basic alice alice
like 'is none' "$err" "secret: others may read it"
printf 'wrong' >"$RIG/secret2"
chmod 600 "$RIG/secret2"
echo "client_secret_file: $RIG/secret2" | service wrong c-basic -
not_ok 'a wrong secret' login wrong alice alice
like 'is told as one' "$err" 'device authorization: invalid_client'

# Not approved, and somebody else.
not_ok 'denied' login oidc alice alice deny
like 'is told' "$out" '^error: The login was denied at the identity provider.'
not_ok 'somebody else confirms' login oidc alice bob
like 'is denied' "$out" '^error: Denied: the identity provider does not vouch for this login.'
like 'and logged' "$err" "the provider says bob, the login is alice's"
service any bastiond set_user
ok 'set_user: whoever confirms' login any whoever bob
like 'is who they are' "$out" '^user: bob$'
like 'with their groups' "$out" '^env: BASTION_GROUPS=dev$'
not_ok 'set_user: a name that is none' login any whoever root
like 'is refused' "$err" 'preferred_username is -oProxyCommand=x, which is no user name'
echo 'require: {amr: mfa}' | service mfa bastiond -
not_ok 'a required claim that is not there' login mfa alice alice
like 'is named in the log' "$err" 'claim amr is not what is required'
echo 'require_email_verified: true' | service verified bastiond -
not_ok 'an email that is not verified' login verified bob bob
printf 'identity_claim: email\nstrip_domain: example.test\nrequire_email_verified: true\n' | service mail bastiond -
ok 'the name by email, without its domain' login mail alice alice

# The number from the browser.
echo 'confirm: true' | service confirm bastiond -
mkfifo "$RIG/typed"
answers=$RIG/typed
ask confirm alice
exec 7>"$RIG/typed"
shown
number=$(oidc_person "$url" alice | sed -n 's/^number: //p')
wait_for 5 grep -q '^ask: Number' "$RIG/out"
echo "$number" | sed 's/^.../& /' >&7
exec 7>&-
ok 'confirm: the number that the page shows' ended
ask confirm alice
exec 7>"$RIG/typed"
shown && oidc_person "$url" alice >/dev/null
wait_for 5 grep -q '^ask: Number' "$RIG/out"
echo 000 >&7
exec 7>&-
not_ok 'confirm: another one' ended
like 'once, then it is over' "$out" '^error: Denied: that is not the number that the browser shows.'
answers=

# Tokens that prove nothing.
while read -r kind why; do
	fault /token "$kind"
	login oidc alice alice
	like "a token: $kind" "$all" "does not prove who you are.*$why"
done <<'EOT'
aud for another client \(aud\)
iss another issuer's \(iss\)
exp expired
iat from the future
old older than this login
none signed with none
hs256 signed with HS256
tamper signature does not verify
EOT
no_fault

# Keys that change, and that cannot be had.
keys=$(echo "$RIG"/op/state/keys-*.json)
aged() { # SECONDS: as if the keys had been fetched so long ago
	jq -c ".fetched_at = (now | floor) - $1" "$keys" >"$keys.new" && chmod 600 "$keys.new" && mv "$keys.new" "$keys"
}
ok 'keys are kept' test -s "$keys"
is 'for us alone' "$(stat -c %a "$keys")" 600
oidc_rig '{"rotate": true}' >/dev/null
aged 10
not_ok 'new keys of the provider, a moment after the old ones' login oidc alice alice
like 'are not asked for again at once' "$err" 'publishes no key rs-2'
aged 61
ok 'a minute later they are' login oidc alice alice
fault /jwks 500
aged 400
ok 'the provider gives no keys: kept ones do' login oidc alice alice
like 'and that is logged' "$err" 'keys: HTTP status 503; keys of 4[0-9][0-9] s ago are used'
aged 100000
not_ok 'but not for ever' login oidc alice alice
fault /jwks big
not_ok '10 MB of keys' login oidc alice alice
like 'are no answer' "$err" 'keys: the answer is longer than 65536 bytes'
no_fault

# A provider in trouble.
fault /token 500 1
ok 'a poll that fails is repeated' login oidc alice alice
fault /token slow_down 1
oidc_rig '{}' >/dev/null
ask oidc alice
shown
wait_for 10 oidc_rig '{}'
while :; do
	polls=$(oidc_rig '{}' | jq '.polls | length')
	[ "$polls" = 0 ] || break
done
slowed=$(date +%s)
oidc_person "$url" alice >/dev/null
ok 'slow_down: approved' ended
ok 'after 5 seconds more' test $(($(date +%s) - slowed)) -ge 5
while read -r path kind said why; do
	fault "$path" "$kind"
	ask oidc alice
	ended
	like "$path $kind" "$all" "$said.*$why"
done <<'EOT'
/.well-known/openid-configuration 500 does.not.answer discovery: HTTP status 503
/.well-known/openid-configuration hang does.not.answer discovery: .*timed out
/.well-known/openid-configuration big cannot.be.used discovery: the answer is longer
/.well-known/openid-configuration garbage cannot.be.used discovery: the answer is not JSON
/.well-known/openid-configuration redirect not.set.up discovery: HTTP status 302
/.well-known/openid-configuration issuer not.set.up the provider calls itself https://localhost/other
/.well-known/openid-configuration endpoint cannot.be.used token_endpoint is not an https URL
/device/auth 500 does.not.answer device authorization: HTTP status 503
/device/auth cut does.not.answer device authorization:
/device/auth garbage cannot.be.used device authorization: the answer is not JSON
EOT
no_fault
fault /token big
not_ok 'a token of 10 MB' login oidc alice alice
no_fault

# The page in a real browser.
skipped() { # WHY NAME...
	skipped_why=$1
	shift
	for name in "$@"; do pass "$name # SKIP $skipped_why"; done
}
if command -v chromium >/dev/null; then
	ask oidc alice 203.0.113.5 BASTION_TARGET=web1
	shown
	page=$(timeout 30 node "$RIG/op/browser.mjs" "$url" alice "$RIG/op/op.pem" 2>"$RIG/browser.log")
	like 'Chromium shows who asks' "$page" '^asked: alice on web1 from 203.0.113.5$'
	ok 'Chromium: approved' ended
else
	skipped 'needs chromium: contrib/install-deps --test' 'Chromium shows who asks' 'Chromium: approved'
fi

# Another program for the same grant, Debian's sssd-idp, comes to the same end with this provider.
child=/usr/libexec/sssd/oidc_child
run_child() { # WHAT: with the answer of the step before on stdin
	timeout 20 "$child" "$1" --issuer-url="$oidc_issuer" --client-id=bastiond --ca-db="$RIG/op/ca.pem" \
		--scope='openid profile email groups' --logger=stderr 2>>"$RIG/child.log"
}
if [ -x "$child" ]; then
	run_child --get-device-code >"$RIG/device" </dev/null
	url=$(sed -n 's/^oauth2 //p' "$RIG/device" | jq -r .verification_uri_complete)
	oidc_person "$url" alice >/dev/null
	is "sssd's oidc_child: the same person" "$(head -n 1 "$RIG/device" | run_child --get-access-token)" alice
	login oidc alice alice
	like 'by the same subject' "$out" "^env: BASTION_SUBJECT=$oidc_issuer alice\$"
else
	skipped 'needs sssd-idp: contrib/install-deps --test' "sssd's oidc_child: the same person" 'by the same subject'
fi

# People who leave, and limits.
GONE=1 ask oidc alice 203.0.113.5 BASTION_REFERENCE=r1
not_ok 'somebody who left' ended
like 'is not waited for' "$err" 'the person left'
oidc_per_source=2 oidc_per_person=3
service limit bastiond
sed -i "s|^state:.*|state: $RIG/op/limits|" "$RIG/limit.yaml"
first=
for n in 1 2; do
	timeout 40 "$BASTION_BIN/bastion-pam" "$RIG/pam.d" limit alice 198.51.100.7 </dev/null >"$RIG/limit.$n" 2>&1 &
	first="$first $!"
	wait_for 10 grep -q user_code "$RIG/limit.$n"
done
ask limit carol 198.51.100.7
not_ok 'a third code for one source' ended
like 'waits for one of the two' "$out" '^error: Too many logins were begun'
ask limit alice 198.51.100.8
ok 'another source has its own' shown
for p in $first $asker; do kill "$p"; done
for p in $first $asker; do wait "$p" 2>/dev/null; done
ask limit carol 198.51.100.7
ok 'whose login is over counts no more' shown
kill "$asker"
wait "$asker" 2>/dev/null
ask limit alice 198.51.100.9
not_ok 'a fourth code for one person in an hour' ended

# Nobody there, and nobody in time.
oidc_down
ask oidc alice
not_ok 'the provider is down' ended
like 'and that is said' "$out" '^error: The identity provider does not answer. Try again later, or log in another way.'
oidc_up DEVICE_TTL=2
oidc_per_source='' oidc_per_person=''
service oidc bastiond
ask oidc alice
not_ok 'nobody confirms' ended
like 'in time' "$out" '^error: Nobody confirmed the login in time.'
tap_end
