"""Recorders of terminals on the same input in one run, alternating; see peers.sh.

For each way: CPU of the recorder per MB of output (without what the terminal and the program cost: for programs that bring
their own terminal, the user and system time of everything below them, less that of a run that keeps nothing), bytes on disk per
byte of output, events a second. Medians of ROUNDS.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

PEER, TAPE, DIR, CTL = sys.argv[1:5]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LINES = 1500


def size(path):
    if os.path.isfile(path):
        return os.stat(path).st_size
    return sum(size(os.path.join(path, name)) for name in os.listdir(path))


def below(argv):
    """Run it; wall and CPU seconds of it and all below it."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=120, env={**os.environ, "HOME": DIR, "SHELL": "/bin/sh"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - start, sum(after[:2]) - sum(before[:2])


def own(way, command):
    out = os.path.join(DIR, "out")
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out, 0o700)
    where = out if way == "bastiond" else os.path.join(out, "file")
    told = json.loads(subprocess.run([PEER, way, where, *command], check=True, stdin=subprocess.DEVNULL, timeout=120,
                                     stdout=subprocess.PIPE).stdout)
    if way == "bastiond":
        told["disk"] = os.stat(os.path.join(out, "recorder/data.mdb")).st_size
        start = time.monotonic()
        subprocess.run([CTL, "verify", "--store", out], check=True, stdout=subprocess.DEVNULL)
        told["verify_s"] = time.monotonic() - start
    elif way != "null":
        told["disk"] = size(out)
    return told


def program(argv, out, command):
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out, 0o700)
    wall, cpu = below(argv)
    return {"wall_s": wall, "cpu_s": cpu, "disk": size(out)}


def ways(command):
    line = " ".join(command)
    out = os.path.join(DIR, "out")
    yield "bastiond", lambda: own("bastiond", command)
    yield "script", lambda: program(["script", "-q", "-O", out + "/typescript", "-T", out + "/timing", "-c", line], out, command)
    # asciinema and tlog-rec want a terminal of their own to stand on; script gives one and its log goes nowhere.
    if shutil.which("asciinema"):
        yield "asciinema", lambda: program(["script", "-qec", f"asciinema rec -q -c '{line}' {out}/x.cast", "/dev/null"], out, command)
    if shutil.which("tlog-rec") and os.path.exists("/run/utmp"):
        yield "tlog-rec", lambda: program(["script", "-qec", f"tlog-rec --writer=file --file-path={out}/x.json {line}",
                                           "/dev/null"], out, command)
    yield "jsonl", lambda: own("jsonl", command)
    yield "jsonl, fdatasync", lambda: own("jsonl-sync", command)


def base_cpu():
    """What script itself costs around a program that prints nothing much."""
    return statistics.median(below(["script", "-qec", "true", "/dev/null"])[1] for _ in range(ROUNDS))


def table(name, command):
    nulls = [own("null", command) for _ in range(ROUNDS)]
    total, events = nulls[0]["bytes"], statistics.median(n["events"] for n in nulls)
    null_all = statistics.median(below([PEER, "null", "-", *command])[1] for _ in range(ROUNDS))
    null_self = statistics.median(n["cpu_s"] for n in nulls)
    runs = {}
    for _ in range(ROUNDS):
        for way, run in ways(command):
            runs.setdefault(way, []).append(run())
    print(f"\n{name}: {total} bytes in {events:.0f} events\n{'way':<18}{'CPU ms/MB':>12}{'us/event':>10}{'disk B/B':>10}{'events/s':>10}")
    for way, all_runs in runs.items():
        med = {k: statistics.median(r[k] for r in all_runs) for k in all_runs[0]}
        net = med["cpu_s"] if way == "bastiond" else max(0, med["cpu_s"] - (null_self if "jsonl" in way else null_all))
        print(f"{way:<18}{net * 1e9 / total:>12.1f}{net * 1e6 / events:>10.1f}{med['disk'] / total:>10.3f}{events / med['wall_s']:>10.0f}")
        if way == "bastiond":
            extra = (f"bastiond: commit p50 {med['commit_p50_us']:.0f} us, p99 {med['commit_p99_us']:.0f} us, {med['commits']:.0f} commits;"
                     f" verify {total / 1e6 / med['verify_s']:.0f} MB/s with its start")
    print(extra)


table("burst", ["cat", TAPE])
table("drip", [PEER, "drip", str(LINES)])
