# For the tests with other people's clients: a bastion, a target, and two ways to it. Source after tap.sh and bastion.sh.
#   plus   the target in the user name: root+t1 at the bastion
#   jump   the bastion as a jump host: root at t1, behind alice at the bastion
# Clients that read ssh_config find both in $RIG/ssh_config as hosts `plus` and `t1`.
# shellcheck shell=sh disable=SC2034,SC2154

# need COMMAND...: what contrib/install-deps --test installs
need() {
	for n in "$@"; do
		command -v "$n" >/dev/null 2>&1 || skip_all "$n is not installed: contrib/install-deps --test"
	done
}

interop_config() {
	cat >"$RIG/ssh_config" <<-CONF
		Host bastion
		  HostName 127.0.0.1
		  Port $bastion_port
		  User alice
		Host plus
		  HostName 127.0.0.1
		  Port $bastion_port
		  User $rig_me+t1
		Host t1
		  User $rig_me
		  ProxyJump bastion
		Host *
		  IdentityFile $RIG/alice
		  IdentitiesOnly yes
		  IdentityAgent none
		  BatchMode yes
		  LogLevel ERROR
		  ConnectTimeout 20
		  UserKnownHostsFile $RIG/known_hosts
		  StrictHostKeyChecking yes
	CONF
	{
		printf '[127.0.0.1]:%s ' "$bastion_port"
		ctl keys public host | cut -d' ' -f1,2
		ctl hosts ca t1
	} >"$RIG/known_hosts"
	# For clients that know no certificates.
	{
		printf '[127.0.0.1]:%s ' "$bastion_port"
		ctl keys public host | cut -d' ' -f1,2
		ctl hosts known t1 | sed 's/^[^ ]*/t1/'
	} >"$RIG/plain_hosts"
}

# interop_up: everything runs; $RIG/file is something to send, $RIG/far a folder at the target.
interop_up() {
	rig_up && interop_config && mkdir "$RIG/far" "$RIG/near" && head -c 1500000 /dev/urandom >"$RIG/file"
}

same() { cmp -s "$RIG/file" "$1"; }

# newest FIELD: of the session list
newest() { ctl sessions list --json | jq -r "sort_by(.started_at) | last | .$1"; }

# recorded: the newest session is alice's, at the target, and everything verifies
recorded() {
	wait_for 10 closed && [ "$(newest identity) $(newest login) $(newest host)" = "alice $rig_me t1" ] && quiet ctl verify --all
}
closed() { [ "$(newest state)" = closed ]; }
quiet() { "$@" >/dev/null 2>&1; }
