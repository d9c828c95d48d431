#!/bin/sh
# Clients that prove nothing, tests/hostile/offer_modes.c: nobody is in, nothing is opened, one event says why, and the address
# pays. And who is refused cannot tell why, neither by what comes nor by when.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

client=$BASTION_BIN/bastion-offer
[ -x "$client" ] || skip_all 'bastion-offer is not built'
"$client" list | grep -E "${OFFER_ONLY:-.}" >"$RIG/modes"
"$client" list partial | grep -E "${OFFER_ONLY:-.}" >"$RIG/partial"
tries=40
plan $(($(cat "$RIG/modes" "$RIG/partial" | wc -l) + 17))

hosts() { # PREFIX ENV: one for each try
	i=0
	while [ $i -lt $tries ]; do
		echo "  $1$i: {address: 127.0.0.1, port: 1, labels: {env: $2}, key: fleet, host_keys: [\"$3\"]}"
		i=$((i + 1))
	done
}

# A single end without a login, of either kind, is enough to be refused, so that each shows in the log.
started() {
	rig_init || return 1
	sed -i 's|^penalties:.*|penalties: {exempt: ["127.0.0.0/24"], auth_failure: 20s, no_auth: 20s}|' "$RIG/b/bastiond.yaml"
	rig_target t1 || return 1
	"$BASTION_BIN/bastion-hostile" keys "$RIG/secret" eve bob carol ca h1 >"$RIG/keys" || return 1
	grep '^ca ' "$RIG/keys" | cut -d' ' -f2,3 >"$RIG/b/user_ca.pub"
	sed -i '/^login:/,/^  grace:/d' "$RIG/b/bastiond.yaml"
	echo 'login: {user_ca: [user_ca.pub]}' >>"$RIG/b/bastiond.yaml"
	for name in eve bob; do
		echo "  $name: {keys: [\"$(sed -n "s/^$name //p" "$RIG/keys")\"], groups: [sre]}" >>"$RIG/users.yaml"
	done
	echo '  carol: {principals: [carol], groups: [sre]}' >>"$RIG/users.yaml"
	hosts mine test "$(sed -n 's/^h1 //p' "$RIG/keys")" >>"$RIG/hosts.yaml"
	hosts theirs secret "$(sed -n 's/^h1 //p' "$RIG/keys")" >>"$RIG/hosts.yaml"
	rig_policy
	rig_start
}

# Of the events of this address: how many, and the last one with its reason
said() { # SOURCE COUNT EVENT TEXT
	ctl log | jq -e -n --arg s "$1:" --argjson n "$2" --arg e "$3" --arg t "$4" \
		'[inputs | select((.source // "") | startswith($s))] |
		if $e == "*" then length <= $n and all((.reason // "") | test($t))
		else length == $n and ($n == 0 or (last | .event == $e and ((.reason // "") | test($t)))) end' >/dev/null
}

try() { # MODE EVENT COUNT PENALTY TEXT
	try_n=$((try_n + 1))
	from=127.67.$((try_n / 200)).$((try_n % 200 + 1))
	if ! "$client" run "$RIG/secret" "$bastion_port" "$from" "$rig_me" "$1" 2>"$RIG/err"; then
		note "$(cat "$RIG/err")"
		return 1
	fi
	if ! wait_for 5 grep -Eq "penalty.refused source=$from:.*last=($4) " "$RIG/bastiond.log"; then
		note "its source is not charged with $4: $(grep "penalty.refused source=$from:" "$RIG/bastiond.log")"
		return 1
	fi
	if ! wait_for 2 said "$from" "$3" "$2" "$5"; then
		note "not $3 events, the last one $2 that says $5:"
		ctl log | jq -c --arg s "$from:" 'select((.source // "") | startswith($s)) | [.event, .reason, .detail]' |
			while read -r l; do note "$l"; done
		return 1
	fi
}

each() { # FILE
	while read -r mode event count penalty text <&8; do
		ok "$mode" try "$mode" "$event" "$count" "$penalty" "$text"
	done 8<"$1"
}

n_sessions() { ctl sessions list --json | jq length; }

ok 'a bastion' started
is 'who proves it gets in' "$(b_ssh "$(to t1)" 'echo in')" in
is 'one session' "$(n_sessions)" 1
try_n=0
each "$RIG/modes"
is 'nobody else has had one' "$(n_sessions)" 1
not_ok 'nothing was opened' grep -q 'identity="\(eve\|bob\|carol\)"' "$RIG/bastiond.log"
is 'who proves it still gets in' "$(b_ssh "$(to t1)" 'echo in')" in

# What a refusal looks like, and when it comes, for names that differ with each try. A failure is due 5 to 9.3 ms after its
# request, at a time of its own for each name, so medians of as many names are alike: half that spread is six times their
# standard error. A machine that is busy adds to that: then once or twice more, which a difference between the kinds survives.
spread_us=2150
measured() { # KIND...: tries of each, in turn
	"$client" time "$RIG/secret" "$bastion_port" 127.0.0.1 "$rig_me" $tries "$@" >"$RIG/times" || return 1
	note "medians in us: $(cut -d' ' -f1 "$RIG/times" | tr '\n' ' ')"
}
alike() {
	sort -n "$RIG/times" | awk -v most="$spread_us" 'NR == 1 { least = $1 } END { exit !($1 - least <= most) }'
}
same() {
	for _ in 1 2 3; do
		measured "$@" || return 1
		alike && return 0
	done
	return 1
}
refused_alike() { # WHAT KIND...
	what=$1
	shift
	ok "$what: unknown user, unknown host, forbidden host and unknown key take as long" same "$@"
	is "$what: the same messages of the same length, in the same order" "$(cut -d' ' -f2 "$RIG/times" | sort -u | wc -l)" 1
	unlike "$what: in every try" "$(cat "$RIG/times")" differs
	ok "$what: not less than the least time of a refusal" awk '$1 < 5000 { bad = 1 } END { exit bad }' "$RIG/times"
}
refused_alike offered "nobody:nobody%+$rig_me+t1" "eve:nobody%+$rig_me+t1" "eve:$rig_me+nohost%" "eve:$rig_me+theirs%" \
	"nobody:$rig_me+mine%"
# Of a signed request that is refused the person may learn a reference; whose it is and what is wrong makes no difference.
refused_alike signed "nobody/nobody:nobody%+$rig_me+t1" "eve/eve:nobody%+$rig_me+t1" "eve/eve:$rig_me+nohost%" \
	"eve/eve:$rig_me+theirs%" "nobody/nobody:$rig_me+mine%" "eve/bob:$rig_me+mine%"

# Two methods asked for: the first one alone is no login. Not every build has a second one.
two() { sed 's|^login:.*|login: {user_ca: [user_ca.pub], methods: [[publickey, keyboard-interactive]]}|' "$RIG/b/bastiond.yaml"; }
two >"$RIG/b/two.yaml"
if "$BASTIOND" -t -f "$RIG/b/two.yaml" >/dev/null 2>&1; then
	mv "$RIG/b/two.yaml" "$RIG/b/bastiond.yaml"
	kill -HUP "$bastion_pid"
	ok 'now two methods are asked for' wait_for 20 grep -q 'reload.done' "$RIG/bastiond.log"
	each "$RIG/partial"
	is 'nobody has had a session by one of them' "$(n_sessions)" 2
else
	for mode in reload $(cut -d' ' -f1 "$RIG/partial") sessions; do
		pass "$mode # SKIP keyboard-interactive is not built in"
	done
fi
ok 'everything verifies' ctl verify --all

tap_end
