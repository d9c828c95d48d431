#!/bin/sh
# Ansible: ping and copy, with pipelining and ControlPersist.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need ansible
plan 9
ok 'up' interop_up
export HOME="$RIG" ANSIBLE_HOST_KEY_CHECKING=True ANSIBLE_NOCOLOR=1
mkdir -p "$RIG/cp"
cat >"$RIG/ansible.cfg" <<CONF
[defaults]
remote_tmp = $RIG/far/tmp
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
ssh_args = -F $RIG/ssh_config -o ControlMaster=auto -o ControlPersist=10s
control_path_dir = $RIG/cp
CONF
export ANSIBLE_CONFIG="$RIG/ansible.cfg"
for way in plus t1; do
	play() { ansible -i "$way," "$way" "$@" >"$RIG/ansible.log" 2>&1 || { cat "$RIG/ansible.log"; false; }; }
	ok "ansible $way: ping" play -m ping
	ok "ansible $way: copy" play -m copy -a "src=$RIG/file dest=$RIG/far/$way"
	ok "ansible $way: without pipelining" env ANSIBLE_PIPELINING=False ansible -i "$way," "$way" -m command -a 'true' -o
	ssh -F "$RIG/ssh_config" -o ControlPath="$RIG/cp/%C" -O exit "$way" 2>/dev/null
	for c in "$RIG"/cp/*; do [ -S "$c" ] && ssh -F "$RIG/ssh_config" -o ControlPath="$c" -O exit "$way" 2>/dev/null; done
	ok "ansible $way: the same, and recorded" sh -c "cmp '$RIG/file' '$RIG/far/$way'"
done
tap_end
