#!/bin/sh
# The same sessions without the bastion and through it, tests/lib/raw_sessions.py: the same bytes for the client on each stream,
# the same status, and the record has exactly them.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

sessions=$BASTION_SRC/tests/lib/raw_sessions.py
plan $((2 * $(python3 "$sessions" count) + 4))

started() {
	rig_init || return 1
	# A home without anybody's start-up files.
	rig_target t1 - <<-CONF || return 1
		SetEnv HOME=$RIG/home
	CONF
	rig_policy && rig_start || return 1
	rig_direct_key t1
	mkdir "$RIG/home" "$RIG/got"
	printf 'one\ntwo\nthree\n' >"$RIG/home/text"
	seq -f 'line %g' 1 400 >"$RIG/home/lines"
	cat >"$RIG/got/direct" <<-SH
		#!/bin/sh
		exec ssh $(IDENTITY=$RIG/direct rig_opts) -p $rig_port_t1 -l $rig_me "\$@"
	SH
	cat >"$RIG/got/via" <<-SH
		#!/bin/sh
		exec ssh $(rig_opts) -p $bastion_port -l $rig_me+t1 "\$@"
	SH
	# The host comes before the command: in the place of "--".
	for way in direct via; do
		sed -i 's/"\$@"/$words 127.0.0.1 "$@"/
			2i words=; while [ "$1" != -- ]; do words="$words $1"; shift; done; shift' "$RIG/got/$way"
		chmod +x "$RIG/got/$way"
	done
}

ended() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "open")] | length')" = 0 ]; }

# The n-th session is that of the n-th case.
in_record() { # SID NAME
	for part in out err; do
		ctl export "$1" --format raw --stream $part >"$RIG/record" || return 1
		cmp -s "$RIG/record" "$RIG/got/$2.$part" && continue
		note "$2: the record has $(wc -c <"$RIG/record") bytes of $part, the client $(wc -c <"$RIG/got/$2.$part")"
		return 1
	done
}

ok 'a bastion and its target start' started
timeout 500 python3 "$sessions" play "$RIG/got" >"$RIG/played"
while read -r verdict name; do
	case $verdict in
	ok) pass "$name" ;;
	*) fail "${name#ok }" ;;
	esac
done <"$RIG/played"
ok 'all sessions end' wait_for 20 ended
ctl sessions list --json | jq -r 'sort_by(.started_at) | .[].id' >"$RIG/ids"
is 'each case is a session of its own' "$(wc -l <"$RIG/ids")" "$(wc -l <"$RIG/played")"
sed 's/^not //; s/^ok \([^:]*\).*/\1/' "$RIG/played" | paste -d' ' "$RIG/ids" - >"$RIG/sids"
while read -r sid name; do
	ok "$name: the record has what the client put out" in_record "$sid" "$name"
done <"$RIG/sids"
verified() { ctl verify --all >/dev/null; }
ok 'everything verifies' verified

tap_end
