"""Run a program on a terminal, key by key, and keep its output up to each step: PREFIX.1, PREFIX.2, ...
usage: screens.py PREFIX COLUMNS ROWS TEXT KEYS [TEXT KEYS ...] -- COMMAND...
Each step waits for TEXT in the output since the last one, keeps all that came, and sends KEYS."""
import fcntl, os, pty, select, struct, sys, termios, time

prefix, size = sys.argv[1], struct.pack("HHHH", int(sys.argv[3]), int(sys.argv[2]), 0, 0)
cut = sys.argv.index("--")
words, argv = sys.argv[4:cut], sys.argv[cut + 1 :]
steps = list(zip(words[::2], words[1::2]))
out, seen = b"", 0


def raw(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def more(fd, seconds):
    """What the program writes in that time; None: it is over."""
    if not select.select([fd], [], [], seconds)[0]:
        return b""
    try:
        return os.read(fd, 65536) or None
    except OSError:
        return None


pid, fd = pty.fork()
if pid == 0:
    os.read(0, 1)  # until the size is there
    os.execvp(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, size)
os.write(fd, b"\n")
failed = None
for n, (text, keys) in enumerate(steps, 1):
    end, data = time.monotonic() + 20, b""
    while data is not None and raw(text) not in out[seen:] and time.monotonic() < end:
        data = more(fd, 0.5)
        out += data or b""
    if raw(text) not in out[seen:]:
        failed = "step %d: no %r in %r" % (n, text, out[seen:][-300:])
        break
    while data:
        data = more(fd, 0.1)
        out += data or b""
    with open("%s.%d" % (prefix, n), "wb") as f:
        f.write(out)
    seen = len(out)
    os.write(fd, raw(keys))
os.kill(pid, 9)
os.close(fd)
os.waitpid(pid, 0)
sys.exit(failed)
