#!/usr/bin/env python3
"""Runs a test with an end: deadline.py COMMAND...

A test that hangs would hang all that come after it. After BASTION_DEADLINE seconds (900 when it is not set) this says
which processes the test still has, ends them and fails. A test that ends and leaves processes behind that hold its output
open fails too, as they keep the test's driver waiting; others, such as commands that an sshd of the test had started, are
ended. Only descendants are looked at: orphans come here, not to init.
"""
import ctypes
import os
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
DEADLINE = 900  # seconds
GRACE = 20  # seconds that a test has to end when it is told to
LINGER = 10  # seconds that its processes have to end after it
PAUSE = 0.05  # seconds between two looks


class TooLong(Exception):
    """The deadline passed."""


class Told(Exception):
    """Somebody ends the whole run."""


def stat_of(pid):
    """(parent, state) of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0]


def descendants():
    """All processes below this one that still run, parents first."""
    children = {}
    for name in os.listdir("/proc"):
        stat = stat_of(name) if name.isdigit() else None
        if stat and stat[1] not in "ZX":
            children.setdefault(stat[0], []).append(int(name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += below
    return found


def output():
    """What the output of the test is, as /proc tells it."""
    links = {os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)}
    return links - {"/dev/null"}


def holds_output(pid):
    """Whether a process has the test's output open; one that cannot be looked into is taken to have it."""
    wanted = output()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{name}") in wanted:
                return True
    except FileNotFoundError:
        return False
    except OSError:
        return stat_of(pid) is not None
    return False


def holders():
    """The processes below that hold the test's output."""
    return [pid for pid in descendants() if holds_output(pid)]


def describe(pid):
    """One line about a process: what it is and where it waits."""
    def read(name):
        try:
            with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""
    command = " ".join(read("cmdline").split("\0")).strip()
    parent, state = stat_of(pid) or ("?", "?")
    return f"# {pid} of {parent} {state} {read('wchan') or '-'}: {command[:200]}"


def say(line):
    """One line of TAP; a reader that is gone is no reason to stay."""
    try:
        print(line, flush=True)
    except OSError:
        pass


def reap(child, status):
    """Takes what ended; the child's wait status once it is known."""
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = ended


def wait_empty(child, status, seconds, left=descendants):
    """Waits until nothing is left below, at most so long."""
    end = time.monotonic() + seconds
    while True:
        status = reap(child, status)
        if not left() or time.monotonic() > end:
            return status
        time.sleep(PAUSE)


def end_all(child, status):
    """SIGTERM, time to clean up, SIGKILL."""
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, number)
            except OSError:
                pass
        status = wait_empty(child, status, seconds)
    return status


def wait_child(child, seconds):
    """The child's wait status; TooLong after the deadline."""
    def late(_number, _frame):
        raise TooLong

    def told(number, _frame):
        raise Told(number)
    signal.signal(signal.SIGALRM, late)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, told)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return status


def limit():
    """BASTION_DEADLINE in seconds."""
    text = os.environ.get("BASTION_DEADLINE", str(DEADLINE))
    if not text.isdigit() or int(text) == 0:
        sys.exit(f"deadline.py: BASTION_DEADLINE: \"{text}\" is not a number of seconds above 0")
    return int(text)


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: deadline.py COMMAND...")
    seconds = limit()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    start = time.monotonic()
    # Python ignores these two; a test has them as every program has.
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ,
                            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    try:
        status = wait_child(child, seconds)
    except TooLong:
        say(f"not ok - {sys.argv[-1]} did not end within {seconds} s; still running:")
        for pid in descendants():
            say(describe(pid))
        end_all(child, None)
        return 124
    except Told as told:
        end_all(child, None)
        return 128 + told.args[0]
    wait_empty(child, status, LINGER, holders)
    say(f"# took {time.monotonic() - start:.0f} s")
    left = holders()
    if left:
        say(f"not ok - {sys.argv[-1]} left processes behind:")
        for pid in left:
            say(describe(pid))
        end_all(child, status)
        return 125
    end_all(child, status)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
