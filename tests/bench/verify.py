"""How fast recordings are verified, beside what hashes and unpacks the same bytes; see make bench-verify.

One recording of VERIFY_MB MiB of terminal output, the same sealed to an auditor whose key is not here, and a store of
VERIFY_SESSIONS small sessions. Each command is run in turn, ROUNDS times over, whole processes with their start. Prints
name, unit, median, the lowest and the highest.
"""

import json
import os
import statistics
import subprocess
import sys
import time

BIN, DIR = sys.argv[1:3]
CTL, FEED = BIN + "/bastionctl", BIN + "/bastion-feed"
MB = int(os.environ.get("VERIFY_MB", "512"))
SESSIONS = int(os.environ.get("VERIFY_SESSIONS", "5000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LARGE = f"open alice root web1\nbegin 1\npty 1 xterm 132 43\nshell 1\nwork 1 {MB}\nexit 1 0\nclose 1\nend\n"
SMALL = "open alice root web1\nbegin 1\npty 1 xterm 80 24\nshell 1\nout 1 hello\nexit 1 0\nclose 1\nend\n"


def feed(name, script, auditors=()):
    where = os.path.join(DIR, name)
    subprocess.run([FEED, where, *auditors], input=script.encode(), check=True, stdout=subprocess.PIPE, timeout=900)
    return where


def run(argv):
    start = time.monotonic()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=600)
    return time.monotonic() - start


def main():
    key = DIR + "/bench.auditor"
    subprocess.run([CTL, "auditor", "new", "bench", "--no-passphrase", "-o", key], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    auditor = subprocess.run([CTL, "auditor", "public", key], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    large, sealed = feed("large", LARGE), feed("sealed", LARGE, [auditor])
    many = feed("many", SMALL * SESSIONS)
    raw = DIR + "/raw"
    with open(raw, "wb") as f:
        listed = subprocess.run([CTL, "--json", "sessions", "list", "--store", large], check=True,
                                stdout=subprocess.PIPE).stdout
        sid = json.loads(listed)[0]["id"]
        subprocess.run([CTL, "export", sid, "--format", "raw", "--stream", "out", "--store", large], check=True, stdout=f)
    size = os.stat(raw).st_size / 1e6
    subprocess.run(["zstd", "-q", "-1", raw, "-o", raw + ".zst"], check=True)
    rows = [
        ("verify", "MB/s", size, [CTL, "verify", "--all", "--store", large]),
        ("verify_without_its_key", "MB/s", size, [CTL, "verify", "--all", "--store", sealed]),
        ("sha256sum", "MB/s", size, ["sha256sum", raw]),
        ("zstd_test", "MB/s", size, ["zstd", "-q", "-t", raw + ".zst"]),
        ("verify_sessions", "1/s", SESSIONS, [CTL, "verify", "--all", "--store", many]),
    ]
    times = {row[0]: [] for row in rows}
    for _ in range(ROUNDS):
        for name, _unit, _n, argv in rows:
            times[name].append(run(argv))
    for name, unit, n, _argv in rows:
        v = [n / t for t in times[name]]
        print(f"{name}\t{unit}\t{statistics.median(v):.0f}\t{min(v):.0f}\t{max(v):.0f}", flush=True)


main()
