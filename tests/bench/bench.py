"""Measures three ways to one target: direct ssh, ssh -J through sshd, and bastiond; see bench.sh.

Every figure is taken in rounds that alternate between the ways, and the median of the rounds is printed together with
the ratios, so that a noisy machine is noisy for all of them. Loads are bounded and go to 127.0.0.1 only.
"""

import asyncio
import json
import os
import pty
import select
import shlex
import signal
import statistics
import subprocess
import sys
import time
import tty

ENV = os.environ
ROUNDS = int(ENV.get("BENCH_ROUNDS", "5"))
BULK = int(ENV.get("BENCH_BULK", str(256 << 20)))
KEYS = int(ENV.get("BENCH_KEYS", "200"))
SESSIONS = int(ENV.get("BENCH_SESSIONS", "200"))
USER = ENV["BENCH_USER"]
DIR = ENV["BENCH_DIR"]
WAYS = ("direct", "jump", "bastion")


def ssh(way, port=None, options=()):
    """The argument list that reaches the target's login in this way; port replaces the first hop's."""
    common = ["ssh", *shlex.split(ENV["BENCH_COMMON"]), *options]
    if way == "bastion":
        return common + ["-i", ENV["BENCH_ALICE_KEY"], "-p", str(port or ENV["BENCH_BASTION_PORT"]),
                         f"{USER}+t1@127.0.0.1"]
    key = ["-i", ENV["BENCH_DIRECT_KEY"]]
    if way == "direct":
        return common + key + ["-p", str(port or ENV["BENCH_TARGET_PORT"]), f"{USER}@127.0.0.1"]
    # -J passes no options on to the jump, so the same is spelled as ProxyCommand: this is what -J runs.
    hop = ["ssh", *shlex.split(ENV["BENCH_COMMON"]), *key, "-p", str(port or ENV["BENCH_JUMP_PORT"]),
           "-W", "[%h]:%p", f"{USER}@127.0.0.1"]
    return common + key + ["-o", "ProxyCommand=" + shlex.join(hop), "-p", ENV["BENCH_TARGET_PORT"],
                           f"{USER}@127.0.0.1"]


RESULTS = []


def report(name, unit, values):
    """values: {way: [figures]}; prints the medians and the two ratios."""
    med = {w: statistics.median(v) for w, v in values.items() if v}
    cells = [f"{med[w]:.3g}" if w in med else "-" for w in WAYS]
    b = med.get("bastion")
    ratio = [f"{b / med[w]:.2f}" if b is not None and med.get(w) else "-" for w in ("jump", "direct")]
    print("\t".join([name, unit, *cells, *ratio]), flush=True)
    RESULTS.append((name, med))


def one(name, unit, value):
    print("\t".join([name, unit, "-", "-", f"{value:.3g}", "-", "-"]), flush=True)


def alternate(measure, rounds=ROUNDS, ways=WAYS):
    values = {w: [] for w in ways}
    for i in range(rounds):
        order = ways[i % len(ways):] + ways[:i % len(ways)]
        for way in order:
            values[way].append(measure(way))
    return values


def bulk_files():
    random = os.path.join(DIR, "bulk.random")
    text = os.path.join(DIR, "bulk.text")
    with open(random, "wb") as f:
        for _ in range(BULK >> 20):
            f.write(os.urandom(1 << 20))
    line = b"".join(b"%08d drwxr-xr-x 2 root root 4096 Nov 21 12:%02d file-%d.txt\n" % (i, i % 60, i * 7919)
                    for i in range(16000))
    with open(text, "wb") as f:
        while f.tell() < BULK:
            f.write(line)
        f.truncate(BULK)
    return {"random": random, "text": text}


def rate_down(way, path):
    start = time.monotonic()
    with subprocess.Popen([*ssh(way), f"cat {path}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as p:
        n = 0
        while True:
            got = os.read(p.stdout.fileno(), 1 << 20)
            if not got:
                break
            n += len(got)
    if n != BULK or p.returncode != 0:
        raise SystemExit(f"{way}: received {n} of {BULK} bytes, status {p.returncode}")
    return BULK / (1 << 20) / (time.monotonic() - start)


def rate_up(way, path, port=None, size=BULK):
    start = time.monotonic()
    with open(path, "rb") as f:
        out = subprocess.run([*ssh(way, port), f"head -c {size} | wc -c"], stdin=f, stdout=subprocess.PIPE,
                             check=True).stdout
    if int(out) != size:
        raise SystemExit(f"{way}: the target received {out!r} of {size} bytes")
    return size / (1 << 20) / (time.monotonic() - start)


def role_pids():
    """{pid: role} of the bastion's processes."""
    found = {int(ENV["BENCH_BASTION_PID"]): "broker"}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                ppid = int(f.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{pid}/cmdline") as f:
                name = f.read().split("\0")[0]
        except OSError:
            continue
        if ppid == int(ENV["BENCH_BASTION_PID"]):
            found[int(pid)] = os.path.basename(name).removeprefix("bastiond-")
    return found


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def last_session():
    """The newest session's description, once it has ended."""
    for _ in range(100):
        out = subprocess.run([ENV["BENCH_CTL"], "-f", ENV["BENCH_CONF"], "sessions", "show", "last", "--json"],
                             stdout=subprocess.PIPE, check=True).stdout
        session = json.loads(out)
        if session["state"] != "open":
            return session
        time.sleep(0.1)
    raise SystemExit("the session does not end")


def bulk():
    files = bulk_files()
    recorder = next(p for p, r in role_pids().items() if r == "recorder")
    for kind, path in files.items():
        for name, rate in (("down", rate_down), ("up", rate_up)):
            report(f"bulk_{name}_{kind}", "MiB/s", alternate(lambda w: rate(w, path)))
        cpu = cpu_s(recorder)
        rate_down("bastion", path)
        session = last_session()
        one(f"recorder_cpu_{kind}", "s/GB", (cpu_s(recorder) - cpu) / (BULK / 1e9))
        one(f"disk_{kind}", "bytes/byte", session["stored_bytes"] / BULK)
    return files


class Echo:
    """A terminal session in which the far end sends every byte back at once."""

    def __init__(self, way):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            args = ssh(way, options=("-tt",)) + ["stty raw -echo; echo go; exec cat"]
            os.execvp(args[0], args)
        tty.setraw(self.fd)
        seen = b""
        while b"go" not in seen:
            seen += self.read(30)
        self.read(0.3, must=False)

    def read(self, wait, must=True):
        if not select.select([self.fd], [], [], wait)[0]:
            if must:
                raise SystemExit("no echo: the session hangs")
            return b""
        return os.read(self.fd, 4096)

    def key(self):
        start = time.monotonic()
        os.write(self.fd, b"x")
        while b"x" not in self.read(10):
            pass
        return (time.monotonic() - start) * 1e3

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def echo(label):
    times = {w: [] for w in WAYS}
    sessions = {w: Echo(w) for w in WAYS}
    for _ in range(KEYS):
        for way in WAYS:
            times[way].append(sessions[way].key())
        time.sleep(0.005)
    for s in sessions.values():
        s.end()
    report(f"echo_p50_{label}", "ms", {w: [statistics.median(t)] for w, t in times.items()})
    report(f"echo_p99_{label}", "ms", {w: [sorted(t)[int(len(t) * 0.99)]] for w, t in times.items()})


def first_output(way):
    start = time.monotonic()
    with subprocess.Popen([*ssh(way), "echo x"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as p:
        os.read(p.stdout.fileno(), 1)
        took = (time.monotonic() - start) * 1e3
    return took


def logins(way, n=20, width=4):
    start = time.monotonic()
    left, running = n, []
    while left or running:
        while left and len(running) < width:
            running.append(subprocess.Popen([*ssh(way), "true"], stdin=subprocess.DEVNULL))
            left -= 1
        p = running.pop(0)
        if p.wait() != 0:
            raise SystemExit(f"{way}: a login failed")
    return n / (time.monotonic() - start)


def memory():
    n = 20
    before = sum(pss_kib(p) for p in role_pids())
    idle = [subprocess.Popen([*ssh("bastion"), "echo x; exec sleep 60"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE) for _ in range(n)]
    for p in idle:
        os.read(p.stdout.fileno(), 1)
    time.sleep(1)
    one("idle_session_pss", "MiB", (sum(pss_kib(p) for p in role_pids()) - before) / 1024 / n)
    for p in idle:
        p.terminate()
        p.wait()


async def relay_pipe(reader, writer, delay):
    queue = asyncio.Queue(4096)
    loop = asyncio.get_running_loop()

    async def send():
        while (item := await queue.get()) is not None:
            due, data = item
            await asyncio.sleep(max(0, due - loop.time()))
            writer.write(data)
            await writer.drain()
        writer.close()

    sender = asyncio.create_task(send())
    try:
        while data := await reader.read(65536):
            await queue.put((loop.time() + delay, data))
    except ConnectionError:
        pass
    await queue.put(None)
    await sender


def wan(files):
    """Upload through a relay that holds everything for 20 ms in each direction."""
    size = min(BULK, 64 << 20)
    ports = {"direct": ENV["BENCH_TARGET_PORT"], "jump": ENV["BENCH_JUMP_PORT"], "bastion": ENV["BENCH_BASTION_PORT"]}
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        async def serve():
            listening = {}
            for way, port in ports.items():
                async def connected(reader, writer, port=port):
                    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(port))
                    await asyncio.gather(relay_pipe(reader, far_writer, 0.02), relay_pipe(far_reader, writer, 0.02),
                                         return_exceptions=True)
                server = await asyncio.start_server(connected, "127.0.0.1", 0)
                listening[way] = server.sockets[0].getsockname()[1]
            os.write(w, (" ".join(f"{k}={v}" for k, v in listening.items()) + "\n").encode())
            await asyncio.sleep(600)
        asyncio.run(serve())
        os._exit(0)
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(r, 4096)
    relay = dict(x.split("=") for x in line.decode().split())
    try:
        report("up_40ms", "MiB/s", alternate(lambda way: rate_up(way, files["random"], relay[way], size), 3))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def busy():
    """200 sessions that each print a line a second, beside the ones measured; without new processes at the target:
    it is the bastion that is to be busy."""
    lines = "exec python3 -SEu -c 'import time\nwhile True: print(time.time(), \"a line of output\"); time.sleep(1)'"
    procs = []
    for i in range(SESSIONS):
        procs.append(subprocess.Popen([*ssh("bastion"), lines], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        if i % 8 == 7:
            time.sleep(0.5)
    time.sleep(15)  # the logins are over
    alive = sum(p.poll() is None for p in procs)
    one("busy_sessions", "n", alive)
    try:
        echo("busy")
    finally:
        for p in procs:
            p.terminate()
        for p in procs:
            p.wait()


def main():
    parts = sys.argv[1:] or ["echo", "setup", "logins", "memory", "bulk", "wan", "busy"]
    print("\t".join(["name", "unit", *WAYS, "bastion/jump", "bastion/direct"]))
    files = None
    for part in parts:
        if part == "echo":
            echo("idle")
        elif part == "setup":
            report("connect_to_output", "ms", alternate(first_output, 2 * ROUNDS))
        elif part == "logins":
            report("logins", "1/s", alternate(logins, 3))
        elif part == "memory":
            memory()
        elif part == "bulk":
            files = bulk()
        elif part == "wan":
            wan(files or bulk_files())
        elif part == "busy":
            busy()
        else:
            raise SystemExit(f"no such part: {part}")


main()
