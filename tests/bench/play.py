"""make bench-play: how long the player takes to open a long recording and to go anywhere in it, on a terminal of its own.

play.py STORE WHAT N: one line a figure: name, unit, p50, p99, n. A seek is from the key to the line below that says it is there.
"""
import os, pty, random, re, select, struct, subprocess, sys, fcntl, termios, time

store, what, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
ctl = os.environ["BASTION_BIN"] + "/bastionctl"


def start(*args):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(ctl, ["bastionctl", "--store", store, "play", "last", *args])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 140, 0, 0))
    return pid, fd


def until(fd, wanted, limit=60):
    """Read until the bytes match; the time that they came, and the bytes."""
    seen, end = b"", time.monotonic() + limit
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.5)[0]:
            seen += os.read(fd, 1 << 20)
            if re.search(wanted, seen):
                return time.monotonic(), seen
    raise SystemExit("no %r in %r" % (wanted, seen[-200:]))


def show(name, times):
    times = sorted(t * 1000 for t in times)
    print("%s\tms\t%.1f\t%.1f\t%d" % (name, times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)], len(times)))


def stop(pid, fd):
    os.write(fd, b"q")
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)


opened = []
for i in range(5):
    begin = time.monotonic()
    pid, fd = start()
    opened.append(until(fd, rb"PLAY  0:00:0")[0] - begin)
    stop(pid, fd)
show("play.open." + what, opened)

total = float(subprocess.check_output([ctl, "--store", store, "sessions", "show", "last", "--json"]).decode().split('"duration_ns"')[1].split(":")[1].split(",")[0]) / 1e9
random.seed(7)
pid, fd = start()
until(fd, rb"PLAY")
os.write(fd, b" ")
until(fd, rb"STOP")
seeks, missing = [], 0
for i in range(n):
    to = int(random.random() * total)
    os.write(fd, b":%d" % to)
    until(fd, rb"go to [^\x1b]*%d" % to)
    begin = time.monotonic()
    os.write(fd, b"\r")
    at, seen = until(fd, rb"STOP  %d:%02d:%02d/" % (to // 3600, to // 60 % 60, to % 60))
    seeks.append(at - begin)
    missing += b"parts may be missing" in seen
show("play.seek." + what, seeks)
print("play.seek.%s.incomplete\tscreens\t%d\t\t%d" % (what, missing, n))
stop(pid, fd)

# From the key that ends the text to the hit near the end of the recording; then once more in the same replay.
first, again = [], []
for i in range(3):
    pid, fd = start()
    until(fd, rb"PLAY")
    os.write(fd, b" ")
    until(fd, rb"STOP")
    for times in (first, again):
        os.write(fd, b"g/needle")
        until(fd, rb"search [^\x1b]*needle")
        begin = time.monotonic()
        os.write(fd, b"\r")
        times.append(until(fd, rb"STOP  [0-9:]*  1 of 1: the needle", 900)[0] - begin)
    stop(pid, fd)
show("play.search." + what, first)
show("play.search.again." + what, again)
