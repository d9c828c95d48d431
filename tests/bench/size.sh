#!/bin/sh
# make bench-size: what 48 real sessions on terminals take on disk, beside gzip -6 of their asciicasts: shell work, editors, pagers,
# listings, a build, half of them of a few lines only. And whether a minute without a key costs a commit. About three minutes.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

rig_init && rig_target t1 - <<CONF && rig_policy && rig_start || exit 1
SetEnv REPO=$BASTION_SRC WORK=$RIG
CONF
none_open() { [ "$(ctl sessions list --json | jq '[.[] | select(.state == "open")] | length')" = 0 ]; }
# shellcheck disable=SC2046
n=$(python3 "$BASTION_SRC/tests/bench/sessions.py" "${BENCH_SESSIONS:-48}" -- ssh $(rig_opts) -tt -p "$bastion_port" "$(to t1)")
wait_for 10 none_open

# One that waits for its person.
# shellcheck disable=SC2046
sleep 90 | script -qec "ssh $(rig_opts | tr '\n' ' ') -tt -p $bastion_port $(to t1)" /dev/null >/dev/null 2>&1 &
idle=$!
sleep 5
commits() { ctl status --json | jq 'first(.. | objects | .commits // empty)'; }
before=$(commits)
sleep 60
echo "commits in a minute of an idle session: $(($(commits) - before))"
kill "$idle" 2>/dev/null

# The store as it is; what is looked at below is noted in it.
rig_stop
cp -a "$RIG/b/state" "$RIG/copy"
python3 "$BASTION_SRC/tests/bench/size.py" "$RIG/copy" "$BASTIONCTL"
echo "sessions that ended well: $n"
