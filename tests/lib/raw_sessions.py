"""Sessions that are played twice, without the bastion and through it, for tests/integration/37-differential.sh.

usage: raw_sessions.py count | play DIR

DIR/direct and DIR/via are programs that run ssh with the options that follow, to the same account. Each case leaves
DIR/N.NAME.out and .err, what the client put out through the bastion. A line a case: "ok NAME" or "not ok NAME: why".
"""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

ROWS, COLUMNS = 24, 80
DEADLINE = 60
RANDOM = bytes((i * i * 31 + i // 251 * 7 + i // 65536) & 255 for i in range(2000000))
ALL = bytes(range(256))


class Case:
    """command: a list of ssh's arguments. fed: stdin of a case without terminal. typed: what is waited for, and then typed.
    steady: the program says the same each time. least: seconds that it takes."""

    def __init__(self, name, command, fed=b"", typed=None, options=(), steady=True, least=0, status=None):
        self.name, self.fed, self.typed, self.options = name, fed, typed, list(options)
        self.command = [command] if isinstance(command, str) else command
        self.steady, self.least, self.status = steady, least, status


ENV = ["-o", "SendEnv=LC_*", "-o", "SendEnv=LANG", "-o", "SendEnv=OTHER"]
BYTES = 'i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i+1)); done'
BASH = "exec bash --norc --noprofile --noediting"

CASES = [
    Case("true", "true", status=0),
    Case("status", "exit 77", status=77),
    Case("streams", "for i in 1 2 3; do echo out $i; echo err $i >&2; done; exit 9", status=9),
    Case("streams-in-turn", 'i=0; while [ $i -lt 1500 ]; do echo "o $i"; echo "e $i" >&2; i=$((i+1)); done'),
    Case("no-newline", "printf abc; printf def >&2"),
    Case("all-bytes", BYTES),
    Case("unicode", "printf 'gr\\303\\274n \\342\\202\\254 \\360\\237\\220\\232 \\330\\247\\331\\204 e\\314\\201\\n'"),
    Case("unicode-command", "echo gr\u00fcn \u20ac \U0001f41a \u0627\u0644"),
    Case("not-utf8", "printf '\\377\\376\\200\\300\\301\\365 \\355\\240\\200\\n' | tee /dev/stderr"),
    Case("nul", "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2"),
    Case("large", "seq 1 400000"),
    Case("large-on-stderr", "seq 1 200000 >&2; exit 2", status=2),
    Case("large-on-both", "seq 1 200000 >&2 & seq 1 200000; wait"),
    Case("stdin", "cat", fed=RANDOM),
    Case("stdin-hash", "sha256sum", fed=RANDOM),
    Case("stdin-unread", "head -c 5; exit 3", fed=RANDOM[:50000], status=3),
    Case("stdin-refused", "exec <&-; exit 4", fed=RANDOM, status=4),
    Case("stdin-ends-first", "cat; echo after the end", fed=b"some input"),
    Case("killed", "kill -KILL $$", status=255),
    Case("terminated", "echo before; kill -TERM $$", status=255),
    Case("aborted", "ulimit -c 0; kill -ABRT $$", status=255),
    Case("not-found", "/nonexistent/program", status=127),
    Case("syntax", "if then"),
    Case("here-document", "cat <<X\nline one\n  $((6*7)) \\$HOME \\\\\nX\n"),
    Case("background", "sleep 1 & echo started", least=1),
    Case("background-speaks", "(sleep 0.5; echo late) & echo early", least=0.5),
    Case("background-apart", "sleep 30 >/dev/null 2>&1 </dev/null & echo gone"),
    Case("background-and-status", "sleep 0.5 & exit 31", status=31, least=0.5),
    Case("closes-stdout", "exec >&-; echo still >&2; exit 4", status=4),
    Case("closes-stderr", "exec 2>&-; echo still; exit 5", status=5),
    Case("closes-both", "exec >&- 2>&-; sleep 0.2; exit 6", status=6),
    Case("env", 'echo "[$LC_A][$LC_B][$LANG][$OTHER]"', options=ENV),
    Case("env-many", 'env | grep "^LC_V" | sort', options=ENV),
    Case("no-terminal", "tty; test -t 0 || echo no"),
    Case("blanks", "   echo   '  a   b  '  \t"),
    Case("arguments", ["printf", "'<%s>\\n'", "a b", "'c  d'", "*.nothing", "\"$((1+1))\""]),
    Case("quotes", "echo \"it's\" '\"x\"' `echo sub` $(echo sub2) \\\\ '\\n' \"\\$HOME\""),
    Case("many-lines", "\n".join("echo line %d" % i for i in range(3000))),
    Case("long-command", "echo " + "x" * 60000 + " | wc -c"),
    Case("longer-command", "echo " + "x" * 120000 + " | wc -c"),
    Case("shell-that-is-fed", [], fed=b"echo in a shell\nfalse\necho $?\nexit 12\n", status=12),
    Case("empty-command", [""], fed=b"echo empty\nexit 13\n", status=13),
    Case("blank-command", [" "], fed=b"unread"),
    Case("not-stdin", "cat; echo end", fed=b"unread", options=["-n"]),
    Case("tty", "test -t 0 && test -t 1 && test -t 2 && stty size", typed=[]),
    Case("tty-modes", "stty -a; stty -g", typed=[]),
    Case("tty-modes-of-others", "stty -a; stty -g", typed=["-ixon", "iutf8"]),
    Case("tty-status", "echo bye; exit 44", typed=[], status=44),
    Case("tty-killed", "echo up; kill -KILL $$", typed=[], status=255),
    Case("tty-one-stream", "echo out; echo err >&2; echo out", typed=[]),
    Case("tty-control", "printf 'a\\nb\\rc\\n\\n\\td\\b\\007e\\033[1mf\\033[0m\\n'", typed=[]),
    Case("tty-unicode", "stty iutf8; printf 'gr\\303\\274n \\342\\202\\254 \\360\\237\\220\\232\\n'", typed=[]),
    Case("tty-all-bytes", "stty raw -echo; " + BYTES, typed=[]),
    Case("tty-large", "seq 1 50000", typed=[]),
    Case("tty-terminal-type", 'echo "$TERM"', typed=[]),
    Case("tty-empty-type", 'echo "[$TERM]"', typed=["TERM="]),
    Case("tty-long-type", 'echo "[$TERM]"', typed=["TERM=" + "x" * 200]),
    Case("tty-echo", 'echo ask; read x; echo "got $x"', typed=[(b"ask\r\n", b"hello\r")]),
    Case("tty-no-echo", 'stty -echo; echo ask; read x; stty echo; echo "got $x"', typed=[(b"ask\r\n", b"hello\r")]),
    Case("tty-8-bit-in", "stty raw -echo; printf ready; dd bs=1 count=256 2>/dev/null | od -An -v -tx1",
         typed=[(b"ready", ALL)], options=["-e", "none"]),
    Case("tty-eof", "echo up; cat; echo end", typed=[(b"up\r\n", b"line\r"), (b"line\r\nline\r\n", b"\4")]),
    Case("tty-interrupt", "trap 'echo stopped; exit 3' INT; echo up; while :; do sleep 0.05; done",
         typed=[(b"up\r\n", b"\3")], status=3),
    Case("tty-shell", [], typed=[(None, b"exec env -i PATH=$PATH PS1=P: sh\r"), (b"P:", b"echo go$((1))\r"),
                                 (b"go1\r\n", b"exit 21\r")], steady=False, status=21),
    Case("tty-job-control", BASH + " -i", typed=[
        (None, b"PS1=P: ; stty -echo; echo go$((1))\r"), (b"go1\r\nP:", b"sh -c 'echo up; exec sleep 60'\r"),
        (b"up\r\n", b"\x1a"),
        (b"Stopped", b"jobs %1; bg; kill %1; wait; echo over$((1))\r"), (b"over1\r\n", b"exit 22\r")],
         steady=False, status=22),
    Case("tty-less", "LESS= less -X $HOME/text", typed=[(b"three", b"q")]),
    Case("tty-less-scrolls", "LESS= less -X $HOME/lines", typed=[(b"line 23", b" "), (b"line 46", b"G"), (b"line 400", b"q")]),
    Case("tty-vi", "vi -u NONE -n -i NONE $HOME/text", typed=[(b"three", b"Ofour\033"), (b"four", b":q!\r")]),
    Case("tty-top", "top -b -n 1 | head -n 3", typed=[], steady=False),
    Case("tty-tmux", "exec tmux -L diff$$ -f /dev/null new-session \"printf 'in tmux\\n'; read x; exit 0\"",
         typed=[(b"in tmux", b"\r")], steady=False),
    Case("tty-alternate-screen", "tput smcup; tput cup 3 4; echo there; tput rmcup", typed=["TERM=xterm"]),
]


class Wrong(Exception):
    pass


def environment(case):
    env = {k: v for k, v in os.environ.items() if not k.startswith("LC_") and k != "LANG"}
    env.update(TERM="vt100", LC_A="a  b", LC_B="\u00fc", LANG="C", OTHER="hidden")
    env.update({"LC_V%d" % i: "value %d" % i for i in range(100)})
    for word in case.typed or []:
        if isinstance(word, str) and word.startswith("TERM="):
            env["TERM"] = word[5:]
    return env


def wait_for(fd, seen, at, want, end):
    """Until want appears behind at; what came is appended to seen. None for want: the first byte."""
    while True:
        found = (0 if len(seen) > at else -1) if want is None else seen.find(want, at)
        if found >= 0:
            return len(seen) if want is None else found + len(want)
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise Wrong("no %r in time; %r" % (want, bytes(seen[-200:])))
        try:
            piece = os.read(fd, 65536)
        except OSError:
            piece = b""
        if not piece:
            raise Wrong("the end instead of %r; %r" % (want, bytes(seen[-200:])))
        seen += piece


def run_terminal(program, case):
    modes = [w for w in case.typed if isinstance(w, str) and not w.startswith("TERM=")]
    pid, fd = pty.fork()
    if pid == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            subprocess.run(["stty"] + modes + ["erase", "^H"], check=True)
            os.execve(program, [program, "-tt"] + case.options + ["--"] + case.command, environment(case))
        finally:
            os._exit(126)
    end = time.monotonic() + DEADLINE
    seen, at = bytearray(), 0
    try:
        for want, text in [w for w in case.typed if not isinstance(w, str)]:
            at = wait_for(fd, seen, at, want, end)
            os.write(fd, text)
        try:
            wait_for(fd, seen, at, b"\0" * 300, end)
        except Wrong as e:
            if not str(e).startswith("the end"):
                raise
    except Wrong:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(fd)
        status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), bytes(seen), b""


def run_plain(program, case):
    done = subprocess.run([program] + case.options + ["--"] + case.command, input=case.fed, capture_output=True,
                          timeout=DEADLINE, env=environment(case), check=False)
    return done.returncode, done.stdout, done.stderr


def run(program, case):
    start = time.monotonic()
    result = run_plain(program, case) if case.typed is None else run_terminal(program, case)
    took = time.monotonic() - start
    if took < case.least:
        raise Wrong("it took %.2f s, not %.2f" % (took, case.least))
    if case.status is not None and result[0] != case.status:
        raise Wrong("exit status %d; %r %r" % (result[0], result[1][-200:], result[2][-200:]))
    return result


def differ(name, a, b):
    if a == b:
        return
    if isinstance(a, int):
        raise Wrong("%s: %d direct, %d through the bastion" % (name, a, b))
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    raise Wrong("%s: %d and %d bytes; at %d: %r direct, %r through the bastion" %
                (name, len(a), len(b), at, a[at:at + 60], b[at:at + 60]))


def play(folder, case):
    direct = run(os.path.join(folder, "direct"), case)
    via = run(os.path.join(folder, "via"), case)
    for name, data in (("out", via[1]), ("err", via[2])):
        with open(os.path.join(folder, "%s.%s" % (case.name, name)), "wb") as f:
            f.write(data)
    differ("status", direct[0], via[0])
    if case.steady:
        differ("stdout", direct[1], via[1])
        differ("stderr", direct[2], via[2])


def main():
    if sys.argv[1:] == ["count"]:
        print(len(CASES))
        return
    only = sys.argv[3:]
    for case in CASES:
        if only and case.name not in only:
            continue
        try:
            play(sys.argv[2], case)
            print("ok " + case.name, flush=True)
        except (Wrong, subprocess.TimeoutExpired) as e:
            print("not ok %s: %s" % (case.name, e), flush=True)


main()
