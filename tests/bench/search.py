"""How fast things are found, beside ripgrep and grep; see make bench-search.

A store of BENCH_SESSIONS sessions (10000) and a long one of BENCH_MB of output (64), two thirds of its lines those of real programs of
this machine. Every class of search is run as a user does it, BENCH_ROUNDS times in turn: name, unit, median, p99, and the
median of its CPU time with that of its reader. Then the scan alone, over BENCH_TEXT_MB (128) of the real lines, beside
ripgrep and grep on the same file: lines found, and GB per second of CPU; all of them must find the same lines.
"""

import ctypes
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

BIN, BENCH, SRC, DIR = sys.argv[1:5]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
TEXT_MB = int(os.environ.get("BENCH_TEXT_MB", "128"))
ENV = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"}
PAGES = ["bash", "rsync", "git-config", "ssh_config", "sshd_config", "curl", "find", "git-log", "openssl", "tmux", "mount"]
PROGRAMS = [
    ["ls", "-lR", "/usr"],
    ["git", "-C", SRC, "log", "-p", "--no-color"],
    ["dmesg"],
    ["cat", "/var/log/dpkg.log", "/var/log/apt/term.log"],
    ["make", "-C", DIR, "-f", SRC + "/tests/bench/sessions.mk"],
    ["dpkg", "-l"],
    ["find", "/etc", "/usr/share", "-type", "f"],
    *[["man", "-P", "cat", page] for page in PAGES],
]

# These files are in the text as well: no word that is looked for stands in them.
OLDEST = f"oldest-{7:05}"
ABSENT = f"absent-{7:05}"

# name, whether something is found, words
CLASSES = [
    ("identity", True, ["--identity", "user7"]),
    ("host", True, ["--host", "web1*"]),
    ("rule", True, ["--rule", "rule3"]),
    ("exit_status", True, ["--exit", "42"]),
    ("text_frequent", True, ["connection"]),
    ("text_oldest", True, [OLDEST]),
    ("text_miss", False, [ABSENT]),
    ("two_letters", True, ["ok"]),
    ("two_letters_miss", False, ["\u00f8\u0142"]),
    ("command", True, ["unit-00009", "--in", "command"]),
    ("file_name", True, ["report-00008.csv", "--in", "file"]),
    ("regex_literal", True, [OLDEST[:-1] + "[0-9]$", "--regex"]),
    ("regex_no_literal", True, ["[0-9]{2}:[0-9]{2}", "--regex"]),
    ("regex_literal_miss", False, [ABSENT[:-1] + "[0-9]$", "--regex"]),
    ("regex_miss", False, ["(qzx|xqz)[0-9]+j", "--regex"]),
    ("regex_miss_digits", False, ["[0-9]{5}j[0-9]{5}", "--regex"]),
]

# name, query, ripgrep's and grep's words
SCANS = [
    ("text", {"text": "zebra", "case": True}, ["-F", "zebra"], ["-F", "zebra"]),
    ("text_any_case", {"text": "zebra"}, ["-i", "-F", "zebra"], ["-i", "-F", "zebra"]),
    ("text_frequent", {"text": "root", "case": True}, ["-F", "root"], ["-F", "root"]),
    ("regex_literal", {"text": "static [a-z]+ zebra", "case": True, "regex": True}, ["static [a-z]+ zebra"],
     ["-E", "static [a-z]+ zebra"]),
    ("regex_alternatives", {"text": "(zebra|giraffe)[0-9]", "case": True, "regex": True}, ["(zebra|giraffe)[0-9]"],
     ["-E", "(zebra|giraffe)[0-9]"]),
    ("regex_digits", {"text": "[0-9]{5}x[0-9]", "case": True, "regex": True}, ["[0-9]{5}x[0-9]"],
     ["-E", "[0-9]{5}x[0-9]"]),
]


def say(*fields):
    print("\t".join(str(f) for f in fields), flush=True)


def output_of(argv):
    """What a program prints, as lines of a screen: no tabs, no escapes, nothing that is not UTF-8. Empty: it is not here."""
    try:
        out = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV,
                             timeout=120, check=False).stdout
    except FileNotFoundError:
        return b""
    text = re.sub("\x1b\\[[0-9;]*[A-Za-z]|.\b", "", out.decode("utf-8", "replace")).expandtabs()
    lines = re.sub("[^\n -~\u00a0-\ufffc]", "", text).split("\n")
    return "\n".join(line[:4000].rstrip() for line in lines).encode()[:16 << 20] + b"\n"


def make_text(path):
    parts = [output_of(argv) for argv in PROGRAMS]
    for argv, part in zip(PROGRAMS, parts):
        say("text: " + " ".join(argv).replace(SRC, ".").replace(DIR, "."), "MB", f"{len(part) / 1e6:.2f}")
    with open(path, "wb") as f:
        f.write(b"".join(parts))
    return os.stat(path).st_size


def repeat(path, to, size):
    with open(path, "rb") as f, open(to, "wb") as out:
        data = f.read()
        for _ in range(max(1, TEXT_MB * 1000000 // size)):
            out.write(data)


def run(argv):
    """Exit code, output, seconds, seconds of CPU, its reader's with it: that becomes a child of this process."""
    start = time.monotonic()
    r, w = os.pipe()
    pid = os.posix_spawnp(argv[0], argv, ENV, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, w, 1), (os.POSIX_SPAWN_CLOSE, r)])
    os.close(w)
    with os.fdopen(r, "rb") as f:
        out = f.read()
    cpu, code, took = 0.0, None, None
    while True:
        try:
            ended, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return code, out, took, cpu
        cpu += usage.ru_utime + usage.ru_stime
        if ended == pid:
            took, code = time.monotonic() - start, os.waitstatus_to_exitcode(status)


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


def searches(store, text_mb):
    took = {name: [] for name, _, _ in CLASSES}
    for _ in range(ROUNDS):
        for name, found, words in CLASSES:
            code, _, wall, cpu = run([BIN + "/bastionctl", "search", "--store", store, *words])
            if code != (0 if found else 1):
                raise SystemExit(f"{name}: exit {code}")
            took[name].append((wall, cpu))
    for name, _, _ in CLASSES:
        walls, cpus = zip(*took[name])
        say(name, "ms", f"{statistics.median(walls) * 1e3:.0f}", f"{p99(walls) * 1e3:.0f}",
            f"{statistics.median(cpus) * 1e3:.0f}")
    for name in ("two_letters_miss", "regex_miss", "regex_miss_digits"):
        say(name + ", of the index's text", "GB/s", f"{text_mb / 1e3 / statistics.median(w for w, _ in took[name]):.2f}")


def scans(text):
    size = os.stat(text).st_size
    tools = [tool for tool in ("rg", "grep") if shutil.which(tool)]
    for tool in sorted({"rg", "grep"} - set(tools)):
        say(tool, "is not here", "-")
    for name, query, *words in SCANS:
        gb = {tool: [] for tool in ["bastiond", *tools]}
        found = {}
        for _ in range(ROUNDS):
            code, out, _, _ = run([BENCH, "scan", text, json.dumps(query)])
            found["bastiond"], _, ns = (int(x) for x in out.split())
            gb["bastiond"].append(size / ns)
            for tool, args in zip(("rg", "grep"), words):
                if tool in tools:
                    code, out, _, cpu = run([tool, "-c", *args, text])
                    found[tool] = int(out or b"0")
                    gb[tool].append(size / 1e9 / cpu)
        if len(set(found.values())) != 1:
            raise SystemExit(f"scan {name}: not the same lines: {found}")
        say("scan_" + name, "GB/CPU-s", found["bastiond"], *[f"{tool} {statistics.median(v):.2f}" for tool, v in gb.items()])


def main():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    text, large, store = DIR + "/text", DIR + "/large", DIR + "/store"
    os.mkdir(store, 0o700)
    say("load", "1 min", f"{os.getloadavg()[0]:.1f}", f"{os.cpu_count()} processors")
    size = make_text(text)
    made = subprocess.run([BENCH, "make", store, text], check=True, stdout=subprocess.PIPE).stdout.decode()
    print(made, end="")
    searches(store, float(re.search("index_text\tMB\t(.*)", made).group(1)))
    repeat(text, large, size)
    scans(large)
    say("load", "1 min", f"{os.getloadavg()[0]:.1f}")


main()
