#!/bin/sh
# pam_unix with this system's passwords: as root where login.pam.user says so, and nobody where it does not.
. "$BASTION_SRC/tests/lib/tap.sh"

[ -x "${BASTION_BIN:?}/bastiond-auth" ] || skip_all 'built without PAM'
[ "$(id -u)" = 0 ] || skip_all 'needs root'
unshare -m true 2>/dev/null || skip_all 'needs mount namespaces'
# The people exist in a mount namespace of its own only.
if [ -z "${BASTION_PEOPLE-}" ]; then
	BASTION_PEOPLE=$(mktemp -d "${TMPDIR:-/tmp}/bastion-people.XXXXXX") || exit 1
	export BASTION_PEOPLE
	trap 'rm -rf "$BASTION_PEOPLE"' EXIT
	unshare -m sh "$0"
	exit
fi
. "$BASTION_SRC/tests/lib/bastion.sh"
hash=$(openssl passwd -6 -salt bastiontest geheim)
today=$(($(date +%s) / 86400))
cp /etc/passwd "$BASTION_PEOPLE/passwd"
cp /etc/shadow "$BASTION_PEOPLE/shadow"
n=61980
person() { # NAME LAST-CHANGE EXPIRES
	n=$((n + 1))
	echo "$1:x:$n:$n::/nonexistent:/bin/sh" >>"$BASTION_PEOPLE/passwd"
	echo "$1:$hash:$2:0:99999:7::$3:" >>"$BASTION_PEOPLE/shadow"
}
person alice "$today" ''
person expired "$today" $((today - 5))
person stale 0 ''
chmod 0640 "$BASTION_PEOPLE/shadow"
mount --bind "$BASTION_PEOPLE/passwd" /etc/passwd || skip_all 'may not mount'
mount --bind "$BASTION_PEOPLE/shadow" /etc/shadow || skip_all 'may not mount'

plan 18
rig_init && rig_target t1 || exit 1
# The modules' user has to get to the stack.
chmod 0711 "$RIG"
mkdir -m 0755 "$RIG/pam"
printf '%s required pam_unix.so\n' auth account >"$RIG/pam/test"
chmod 0644 "$RIG/pam/test"
for who in expired stale; do echo "  $who: {keys: [], groups: [sre]}"; done >"$RIG/users.yaml"
rig_policy
configure() { # [more of login.pam]
	sed "s|^  methods:.*|  methods: [keyboard-interactive]\\n  pam: {service: test, confdir: $RIG/pam$1}|" \
		"$RIG/plain.yaml" >"$RIG/b/bastiond.yaml"
}
cp "$RIG/b/bastiond.yaml" "$RIG/plain.yaml"
# shellcheck disable=SC2016 # for the other shell
printf '#!/bin/sh\nif [ -n "$HOLD" ]; then : >"$HOLD"; while [ -e "$HOLD" ]; do sleep 0.1; done; fi\necho "$PASSWORD"\n' \
	>"$RIG/askpass"
chmod +x "$RIG/askpass"
p_ssh() { # PERSON [PASSWORD]
	# shellcheck disable=SC2046,SC2154
	text=$(PASSWORD=${2-geheim} HOLD=${HOLD-} SSH_ASKPASS=$RIG/askpass SSH_ASKPASS_REQUIRE=force timeout 60 \
		ssh -o BatchMode=no -o LogLevel=INFO -o NumberOfPasswordPrompts=1 \
		-o PreferredAuthentications=keyboard-interactive $(rig_opts) -p "$bastion_port" \
		"$1+root+t1@127.0.0.1" 'echo in' 2>&1 </dev/null)
	status=$?
}

configure ', user: root'
ok 'a bastion whose modules are root starts' rig_start
p_ssh alice
is 'the password of this machine lets in' $status 0
p_ssh alice wrong
is 'another does not' $status 255
p_ssh expired
is 'nor into an account that has expired' $status 255
like 'which pam_unix says' "$text" 'account has expired'
p_ssh stale
is 'nor with a password that has to be changed' $status 255
like 'which the bastion says' "$text" 'not possible through the bastion'
ok 'it ends' rig_stop

# As its own user pam_unix asks its helper, which cannot gain the right to look.
configure ''
ok 'a bastion whose modules have their own user starts' rig_start
p_ssh alice
is 'pam_unix lets nobody in' $status 255
p_ssh alice wrong
is 'with whatever password' $status 255
like 'and the event says that PAM is broken, not the person wrong' \
	"$(ctl log | jq -r 'select(.event == "auth.denied") | .reason' | tail -n 1)" 'pam-broken'
cat >"$RIG/pam/test" <<-PAM
	auth required $RIG/pam/pam_play.so [hidden:Password: =geheim]
	account required pam_permit.so
PAM
install -m 0644 "$BASTION_BIN/../tests/pam/pam_play.so" "$RIG/pam/"
HOLD=$RIG/hold p_ssh alice &
client=$!
wait_for 10 test -e "$RIG/hold"
halves=$(tree "$bastion_pid" | while read -r p; do
	grep -q '^Name:.*bastiond-auth' "/proc/$p/status" 2>/dev/null && echo "$p"
done)
is 'it is two processes' "$(echo "$halves" | wc -w)" 2
all() { # FIELD VALUE
	for p in $halves; do
		[ "$(awk -v f="$1:" '$1 == f {print $2}' "/proc/$p/status")" = "$2" ] || return 1
	done
}
uid=$(id -u bastiond-auth 2>/dev/null || echo 61707)
ok 'both have the user of the role' all Uid "$uid"
ok 'no capabilities' all CapEff 0000000000000000
ok 'no new privileges' all NoNewPrivs 1
ok 'and filters' all Seccomp 2
rm -f "$RIG/hold"
wait "$client"
p_ssh alice
is 'with their own user others let in' $status 0

tap_end
