# paramiko's keyboard-interactive: kbd.py PORT USER COMMAND. Shows what it is told, answers nothing, prints the command's output.
import sys

import paramiko

port, user, command = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def handler(title, instructions, prompts):
    sys.stderr.write(title + instructions + "\n")
    sys.stderr.flush()
    return ["" for _ in prompts]


t = paramiko.Transport(("127.0.0.1", port))
t.start_client(timeout=20)
t.auth_interactive(user, handler)
channel = t.open_session()
channel.exec_command(command)
sys.stdout.write(channel.makefile().read().decode())
status = channel.recv_exit_status()
t.close()
sys.exit(status)
