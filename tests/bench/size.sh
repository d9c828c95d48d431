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
python3 - "$RIG/copy" "$BASTIONCTL" "$n" <<'PY'
import gzip, json, os, subprocess, sys

copy, ctl, n = sys.argv[1:]


def run(*args):
    return subprocess.run([ctl, *args, "--store", copy], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


rows = []
for s in json.loads(run("sessions", "list", "--json")):
    show = json.loads(run("sessions", "show", s["id"], "--json"))
    out = sum(c["bytes_out"] + c["bytes_err"] for c in s["channels"])
    cast = run("export", s["id"], "--format", "asciicast-v2")
    rows.append((out, show["stored_bytes"], len(gzip.compress(cast, 6)), len(cast)))
rows.sort()
print(f"{'output up to':<14}{'sessions':>9}{'output':>10}{'blocks B/B':>12}{'gzip B/B':>10}{'ratio':>7}")
for lo, hi in ((0, 4096), (4096, 65536), (65536, 262144), (262144, 1 << 40), (0, 1 << 40)):
    some = [r for r in rows if lo <= r[0] < hi]
    if some:
        out, stored, gz = (sum(r[i] for r in some) for i in range(3))
        name = "all" if (lo, hi) == (0, 1 << 40) else "more" if hi == 1 << 40 else str(hi)
        print(f"{name:<14}{len(some):>9}{out:>10}{stored / out:>12.3f}{gz / out:>10.3f}{stored / gz:>7.2f}")
out, gz = sum(r[0] for r in rows), sum(r[2] for r in rows)
size = os.stat(os.path.join(copy, "recorder/data.mdb")).st_size
print(f"whole file: {size} bytes, {size / out:.3f} B/B, {size / gz:.2f} of gzip -6 of the asciicasts ({n} sessions ended well)")
PY
