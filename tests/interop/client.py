"""Other people's SSH libraries for Python as clients: client.py LIBRARY WAY WHAT PORT LOGIN RIG. Prints one line."""
import asyncio
import os
import sys

library, way, what, port, login, rig = sys.argv[1:7]
PORT = int(port)
KEY = os.path.join(rig, "alice")
FILE = os.path.join(rig, "file")
FAR = os.path.join(rig, "far", f"{library}-{way}")
NEAR = os.path.join(rig, "near", f"{library}-{way}")
EXEC = "echo out; exit 7"


def same():
    with open(FILE, "rb") as a, open(NEAR, "rb") as b:
        return "same" if a.read() == b.read() else "different"


def use_paramiko():
    import paramiko

    def connect(user, host, to, sock=None):
        c = paramiko.SSHClient()
        c.load_host_keys(os.path.join(rig, "plain_hosts"))
        c.set_missing_host_key_policy(paramiko.RejectPolicy())
        c.connect(host, to, user, key_filename=KEY, allow_agent=False, look_for_keys=False, sock=sock, timeout=20)
        return c

    clients = []
    if way == "plus":
        clients.append(connect(f"{login}+t1", "127.0.0.1", PORT))
    else:
        clients.append(connect("alice", "127.0.0.1", PORT))
        sock = clients[0].get_transport().open_channel("direct-tcpip", ("t1", 22), ("127.0.0.1", 0))
        clients.append(connect(login, "t1", 22, sock))
    c = clients[-1]
    try:
        if what == "exec":
            _, out, _ = c.exec_command(EXEC)
            return f"{out.read().decode().strip()} {out.channel.recv_exit_status()}"
        if what == "pty":
            ch = c.get_transport().open_session()
            ch.get_pty("vt100", 100, 31)
            ch.exec_command("stty size | (read r c; echo $c $r)")
            return ch.makefile().read().decode().strip()
        if what == "sftp":
            s = c.open_sftp()
            s.put(FILE, FAR)
            s.get(FAR, NEAR)
            return same()
        try:
            c.get_transport().open_channel("direct-tcpip", ("127.0.0.1", 1), ("127.0.0.1", 0))
        except paramiko.ChannelException as e:
            return "refused" if e.code == 1 else f"code {e.code}"
        return "open"
    finally:
        for x in reversed(clients):
            x.close()


async def use_asyncssh():
    import asyncssh

    def connect(user, host, to, tunnel=()):
        return asyncssh.connect(host, to, username=user, client_keys=[KEY], agent_path=None, tunnel=tunnel,
                                known_hosts=os.path.join(rig, "known_hosts"), config=None)

    outer = None
    if way == "plus":
        c = await connect(f"{login}+t1", "127.0.0.1", PORT)
    else:
        outer = await connect("alice", "127.0.0.1", PORT)
        c = await connect(login, "t1", 22, outer)
    try:
        if what == "exec":
            r = await c.run(EXEC)
            return f"{r.stdout.strip()} {r.exit_status}"
        if what == "pty":
            r = await c.run("stty size | (read r c; echo $c $r)", term_type="vt100", term_size=(100, 31))
            return r.stdout.strip()
        if what == "sftp":
            async with c.start_sftp_client() as s:
                await s.put(FILE, FAR)
                await s.get(FAR, NEAR)
            return same()
        try:
            await c.open_connection("127.0.0.1", 1)
        except asyncssh.ChannelOpenError as e:
            return "refused" if e.code == 1 else f"code {e.code}"
        return "open"
    finally:
        c.close()
        await c.wait_closed()
        if outer is not None:
            outer.close()
            await outer.wait_closed()


def use_conch():
    from twisted.conch.client.knownhosts import KnownHostsFile
    from twisted.conch.endpoints import SSHCommandClientEndpoint
    from twisted.conch.ssh.keys import Key
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol
    from twisted.python.filepath import FilePath

    result = []

    class Out(Protocol):
        def connectionMade(self):
            self.got = b""

        def dataReceived(self, data):
            self.got += data

        def connectionLost(self, reason):
            result.append(f"{self.got.decode().strip()} {getattr(reason.value, 'exitCode', 0)}")
            reactor.stop()

    class Nobody:
        def prompt(self, text):
            raise RuntimeError(text)

        def warn(self, text):
            pass

    def failed(reason):
        print(reason, file=sys.stderr)
        reactor.stop()

    # It looks hosts up without their port.
    hosts = KnownHostsFile(FilePath(os.path.join(rig, "conch_hosts")))
    with open(os.path.join(rig, "plain_hosts"), "rb") as lines:
        hosts.addHostKey(b"127.0.0.1", Key.fromString(lines.readline().split(b" ", 1)[1]))
    end = SSHCommandClientEndpoint.newConnection(
        reactor, EXEC.encode(), f"{login}+t1".encode(), b"127.0.0.1", PORT, keys=[Key.fromFile(KEY)],
        knownHosts=hosts, ui=Nobody())
    end.connect(Factory.forProtocol(Out)).addErrback(failed)
    reactor.callLater(30, reactor.stop)
    reactor.run()
    return result[0] if result else "nothing"


print({"paramiko": use_paramiko, "asyncssh": lambda: asyncio.run(use_asyncssh()), "conch": use_conch}[library]())
