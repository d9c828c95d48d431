#!/bin/sh
# Fronts and backs that lie, tests/hostile/: each lie comes to nothing, is an event with its reason, and neither whose session runs
# meanwhile nor who logs in next is disturbed by it.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

liar=$BASTION_BIN/bastion-hostile
[ -x "$liar" ] || skip_all 'bastion-hostile is not built'
# Conversations are where bastiond-auth is.
{
	"$liar" list
	if [ -x "$BASTION_BIN/bastiond-auth" ]; then "$liar" list talk; fi
} | grep -E "${HOSTILE_ONLY:-.}" >"$RIG/modes"
plan $(($(wc -l <"$RIG/modes") + 9))

# The programs are opened in the folder of the daemon: one where front and back are others.
programs() {
	mkdir "$RIG/bin"
	for p in "$BASTION_BIN"/bastiond*; do
		ln "$p" "$RIG/bin/${p##*/}" 2>/dev/null || cp "$p" "$RIG/bin/${p##*/}" || return 1
	done
	for p in front back; do
		rm "$RIG/bin/bastiond-$p"
		cp "$BASTION_BIN/hostile-$p" "$RIG/bin/bastiond-$p" || return 1
	done
	chmod 711 "$RIG" "$RIG/bin"
	BASTIOND=$RIG/bin/bastiond
}

# Lies are charged to where they come from, 127.66.0.0/16; who logs in comes from 127.0.0.1.
started() {
	rig_init || return 1
	sed -i 's|^penalties:.*|penalties: {exempt: ["127.0.0.0/24"]}|' "$RIG/b/bastiond.yaml"
	if [ -x "$BASTION_BIN/bastiond-auth" ]; then
		mkdir "$RIG/pam.d"
		printf 'auth required pam_unix.so\naccount required pam_permit.so\n' >"$RIG/pam.d/asks"
		sed -i "s|^  methods:.*|  methods: [publickey, keyboard-interactive]\n  pam: {service: asks, confdir: $RIG/pam.d}|" \
			"$RIG/b/bastiond.yaml"
	fi
	rig_target t1 || return 1
	"$liar" keys "$RIG/secret" eve bob h1 h2 >"$RIG/keys" || return 1
	hport=$(rig_port)
	while read -r name type blob; do
		case $name in
		h?) rig_host "$name" "$hport" "$type $blob" ;;
		*) echo "  $name: {keys: [\"$type $blob\"], groups: [sre]}" >>"$RIG/users.yaml" ;;
		esac
	done <"$RIG/keys"
	rig_policy
	programs
	rig_start
}

# said EVENT CONN LEG TEXT: there is such an event of this connection or leg, and its reason has this text
said() {
	ctl log | jq -e -n --arg e "$1" --argjson c "$2" --argjson l "$3" --arg t "$4" \
		'[inputs | select(.event == $e and (.conn == $c or .leg == $l or .jump.conn == $c))
		| [.reason, .detail] | map(strings) | join(" ") | select(test($t))] | length > 0' >/dev/null
}

in_next() { [ "$(b_ssh "$(to t1)" "echo in")" = in ]; }
beside() { # that a session which began before them all still answers
	beside_n=$((beside_n + 1))
	echo "$beside_n" >&9
	wait_for 10 grep -qx "$beside_n" "$RIG/beside"
}

lie() { # MODE EVENT CHARGED TEXT
	lie_n=$((lie_n + 1))
	from=127.66.$((lie_n / 200)).$((lie_n % 200 + 1))
	if ! timeout 60 "$liar" run "$RIG/secret" "$RIG/b/state" "$bastion_port" "$from" "$rig_me" "$hport" "$1" \
		>"$RIG/out" 2>"$RIG/err"; then
		note "$(cat "$RIG/err")"
		return 1
	fi
	conn=$(sed -n 's/^conn=\([0-9]*\) .*/\1/p' "$RIG/out") leg=$(sed -n 's/.* leg=\([0-9]*\)$/\1/p' "$RIG/out")
	[ "$leg" != 0 ] || leg=-1
	if [ "$2" != - ] && ! wait_for 2 said "$2" "$conn" "$leg" "$4"; then
		note "no event $2 of connection $conn or leg $leg that says $4"
		ctl log | tail -n 5 | while read -r l; do note "$l"; done
		return 1
	fi
	if [ "$3" = yes ] && ! wait_for 10 grep -q "penalty.refused source=$from.*last=alarm" "$RIG/bastiond.log"; then
		note "its source is not charged"
		return 1
	fi
	if [ "$3" = no ] && grep -q "penalty.refused source=$from" "$RIG/bastiond.log"; then
		note "its source is charged"
		return 1
	fi
	if ! in_next; then
		note "who logs in next is not let in"
		return 1
	fi
	if ! beside; then
		note "a session beside it does not go on"
		return 1
	fi
}

ok 'a bastion whose fronts and backs may be anybody'"'"'s' started
mkfifo "$RIG/pipe"
b_exec "$(to t1)" cat <"$RIG/pipe" >"$RIG/beside" 2>"$RIG/beside.err" &
rig_pids="$rig_pids $!"
exec 9>"$RIG/pipe"
beside_n=0 lie_n=0
ok 'a session that lasts' beside
ok 'and one that does not' in_next

while read -r mode event charged text <&8; do
	ok "$mode" lie "$mode" "$event" "$charged" "$text"
done 8<"$RIG/modes"

exec 9>&-
all_closed() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "open")] | length')" = 0 ]; }
ok 'all sessions end' wait_for 30 all_closed
not_ok 'no process but theirs died' grep -q 'service.died\|crashed' "$RIG/bastiond.log"
verified() { ctl verify --all >/dev/null; }
ok 'everything verifies' verified
is 'nobody got to a host in a lie'"'"'s name' \
	"$(ctl sessions list --json | jq '[.[] | select(.identity == "bob")] | length')" 0
no_bytes() {
	[ "$(ctl sessions list --json | jq '[.[] | select(.host == "h1" or .host == "h2") | .channels[] | .bytes_out + .bytes_err] | add // 0')" = 0 ]
}
ok 'and nothing came from one' no_bytes
is 'the vault gave one login signature a session at most' \
	"$(ctl log | jq -s '[.[] | select(.event == "keys.signed") | .leg] | group_by(.) | map(select(length > 1)) | length')" 0

tap_end
