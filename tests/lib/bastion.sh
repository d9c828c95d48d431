# A bastion, its targets and its people, all on loopback, all in one folder that goes at the end.
# Source after tap.sh. Everything is made new for each test: keys, configuration, state, ports.
# shellcheck shell=sh

: "${BASTION_BIN:?set it to the folder of the built programs}"
: "${BASTION_SRC:?set it to the source folder}"
# An installed tree keeps the daemon elsewhere.
: "${BASTIOND:=$BASTION_BIN/bastiond}"
: "${BASTIONCTL:=$BASTION_BIN/bastionctl}"

RIG=$(mktemp -d "${TMPDIR:-/tmp}/bastion-test.XXXXXX")
export RIG
rig_me=$(id -un)
rig_pids=

# Ends only what the rig started.
rig_end() {
	status=$?
	trap - EXIT INT TERM
	for p in $rig_pids; do kill -CONT "$p" 2>/dev/null; kill "$p" 2>/dev/null; done
	for p in $rig_pids; do
		rig_n=0
		while kill -0 "$p" 2>/dev/null && [ $rig_n -lt 100 ]; do
			rig_n=$((rig_n + 1))
			sleep 0.05
		done
		kill -KILL "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	if [ "$status" != 0 ] || [ "${tap_failed:-0}" != 0 ]; then
		for f in "$RIG"/*.log; do
			if [ -f "$f" ]; then
				note "--- ${f##*/}"
				tail -n 200 "$f" | sed 's/^/# /'
			fi
		done
		if [ -n "${BASTION_KEEP-}" ]; then note "kept: $RIG"; else rm -rf "$RIG"; fi
	else
		rm -rf "$RIG"
	fi
	exit "$status"
}
trap rig_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A port that was free a moment ago, on both families.
rig_port() {
	python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

rig_key() { # FILE [ssh-keygen options]
	rig_file=$1
	shift
	ssh-keygen -q -N '' -t ed25519 -f "$rig_file" -C "${rig_file##*/}" "$@"
}

# rig_init [bastiond.yaml lines on stdin]: a fresh state with alice and her key; no hosts yet.
rig_init() {
	rig_key "$RIG/alice"
	rig_key "$RIG/mallory"
	"$BASTIONCTL" init "$RIG/b" --listen 127.0.0.1:0 >"$RIG/init.log" 2>&1 || return 1
	# Tests fail to log in on purpose and often, all from one address.
	echo 'penalties: {exempt: ["127.0.0.0/8", "::1/128"]}' >>"$RIG/b/bastiond.yaml"
	"$BASTIONCTL" -f "$RIG/b/bastiond.yaml" keys public fleet >"$RIG/fleet.pub" || return 1
	: >"$RIG/hosts.yaml"
}

# rig_target NAME [sshd_config lines on stdin when $2 is -]: an sshd with a host key of its own that lets the fleet key in.
rig_target() {
	rig_name=$1
	mkdir -p "$RIG/$rig_name"
	rig_key "$RIG/$rig_name/host_key"
	cp "$RIG/fleet.pub" "$RIG/$rig_name/authorized_keys"
	rig_try=0
	while :; do
		rig_p=$(rig_port)
		{
			if [ "${2-}" = - ]; then cat; fi
			cat <<-CONF
				Port $rig_p
				ListenAddress 127.0.0.1
				HostKey $RIG/$rig_name/host_key
				PidFile $RIG/$rig_name/pid
				AuthorizedKeysFile $RIG/$rig_name/authorized_keys
				StrictModes no
				UsePAM no
				PasswordAuthentication no
				KbdInteractiveAuthentication no
				PermitRootLogin yes
				MaxStartups 200
				MaxSessions 200
				AcceptEnv LANG LC_*
				Subsystem sftp internal-sftp
				LogLevel VERBOSE
			CONF
		} >"$RIG/$rig_name/sshd_config"
		if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi
		/usr/sbin/sshd -D -e -f "$RIG/$rig_name/sshd_config" 2>"$RIG/sshd-$rig_name.log" &
		rig_pid=$!
		if wait_for 5 grep -q 'Server listening' "$RIG/sshd-$rig_name.log"; then break; fi
		kill "$rig_pid" 2>/dev/null
		rig_try=$((rig_try + 1))
		if [ $rig_try -ge 5 ]; then return 1; fi
	done
	rig_pids="$rig_pids $rig_pid"
	eval "rig_pid_$rig_name=$rig_pid rig_port_$rig_name=$rig_p"
	rig_host "$rig_name" "$rig_p" "$(cut -d' ' -f1,2 "$RIG/$rig_name/host_key.pub")"
}

rig_host() { # NAME PORT HOSTKEY
	cat >>"$RIG/hosts.yaml" <<-YAML
		  $1: {address: 127.0.0.1, port: $2, labels: {env: test}, key: fleet, host_keys: ["$3"]}
	YAML
}

# rig_policy: writes policy.yaml from $RIG/hosts.yaml, $RIG/users.yaml (more users) and $RIG/rules.yaml (other rules).
rig_policy() {
	{
		echo 'users:'
		echo "  alice: {keys: [\"$(cut -d' ' -f1,2 "$RIG/alice.pub")\"], principals: [alice], groups: [sre]}"
		if [ -f "$RIG/users.yaml" ]; then cat "$RIG/users.yaml"; fi
		echo 'hosts:'
		cat "$RIG/hosts.yaml"
		echo 'rules:'
		if [ -f "$RIG/rules.yaml" ]; then
			cat "$RIG/rules.yaml"
		else
			cat <<-YAML
				  - name: tests
				    who: {groups: [sre]}
				    where: {labels: {env: test}}
				    as: [$rig_me]
				    may: [shell, exec, sftp, scp, rsync]
			YAML
		fi
	} >"$RIG/b/policy.yaml"
}

# rig_start: run the bastion until the ready line; sets bastion_pid and bastion_port.
rig_start() {
	# The redirection below happens in the child: the ready line of an earlier run must be gone before.
	: >"$RIG/bastiond.log"
	"$BASTIOND" -D -f "$RIG/b/bastiond.yaml" >"$RIG/bastiond.log" 2>&1 &
	bastion_pid=$!
	rig_pids="$bastion_pid $rig_pids"
	if ! wait_for 20 grep -q 'ready listen=' "$RIG/bastiond.log"; then
		note "bastiond did not become ready"
		return 1
	fi
	bastion_port=$(sed -n 's/.*ready listen=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$RIG/bastiond.log" | tail -n 1)
}

rig_stop() {
	kill "$bastion_pid"
	wait "$bastion_pid"
}

# rig_up: the usual bastion with one target t1.
rig_up() {
	rig_init && rig_target t1 && rig_policy && rig_start
}

ctl() {
	"$BASTIONCTL" -f "$RIG/b/bastiond.yaml" "$@"
}

# Options for every OpenSSH client of the rig; $IDENTITY names another key.
rig_opts() {
	printf '%s ' -F none -o "IdentityFile=${IDENTITY:-$RIG/alice}" -o IdentitiesOnly=yes -o IdentityAgent=none \
		-o BatchMode=yes -o StrictHostKeyChecking=accept-new -o "UserKnownHostsFile=$RIG/known_hosts" \
		-o LogLevel=ERROR -o ConnectTimeout=20
}

# b_ssh [ssh options] LOGIN+HOST [command]: through the bastion
b_ssh() {
	# shellcheck disable=SC2046 # options are words
	ssh $(rig_opts) -p "$bastion_port" "$@"
}

# The same as the process itself, for use with &: then $! is the client.
b_exec() {
	# shellcheck disable=SC2046
	exec ssh $(rig_opts) -p "$bastion_port" "$@"
}

# to HOST: the destination "login+host@bastion" as the test's own user
to() {
	echo "$rig_me+$1@127.0.0.1"
}

# direct HOST [command]: without the bastion, with the same key that the vault uses, for comparisons
rig_direct_key() {
	rig_key "$RIG/direct"
	for t in "$@"; do cat "$RIG/direct.pub" >>"$RIG/$t/authorized_keys"; done
}

direct() {
	eval "rig_p=\$rig_port_$1"
	shift
	# shellcheck disable=SC2046,SC2154
	IDENTITY=$RIG/direct ssh $(IDENTITY=$RIG/direct rig_opts) -p "$rig_p" "$rig_me@127.0.0.1" "$@"
}

# last_sid: the id of the newest session, once it has ended
last_sid() {
	ctl sessions list --json | jq -r 'sort_by(.started_at) | last | .id'
}

session_closed() { # SID
	[ "$(ctl sessions list --json | jq -r --arg id "$1" '.[] | select(.id == $id) | .state')" != open ]
}

# The pid of a role's process under the bastion, or its n-th one.
role_pid() { # ROLE
	# shellcheck disable=SC2009 # pgrep -P knows no name with a dash beyond 15 characters
	ps -e -o pid=,ppid=,args= | awk -v p="$bastion_pid" -v r="bastiond-$1" '$2 == p && $3 ~ r {print $1}' | tail -n 1
}

# tree PID: it and all below it
tree() {
	echo "$1"
	for rig_child in $(ps -o pid= --ppid "$1"); do tree "$rig_child"; done
}
