#!/bin/sh
# OpenSSH's own regression tests through the bastion: the scripts of Debian's openssh-tests, unchanged, with a client that
# takes another way (regress-via). regress.list says which ones mean something here, and why the others do not.
# Some of them: REGRESS_ONLY="transfer rekey". BASTION_KEEP=1 keeps their folders when one fails.
# A script that fails beside others runs once more, alone; only that counts, and what the first said is printed.
# REGRESS_LONG=1 runs the longest, too, and REGRESS_LIMIT is a script's time in seconds (on a slow machine).
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

suite=/usr/lib/openssh/regress
list=$BASTION_SRC/tests/interop/regress.list
limit=${REGRESS_LIMIT:-400} # seconds for one script; most need less than 20
workers=6 # most of them sleep most of the time
again_max=5 # scripts that are run once more when they fail: where more fail, it is not for their company

[ -f $suite/test-exec.sh ] || skip_all 'openssh-tests is not installed: contrib/install-deps --test'
need socat sshd nc flock

# scripts: the names of all tests of the package
scripts() {
	for s in "$suite"/*.sh; do
		case ${s##*/} in
		# What tests are made of.
		test-exec.sh | scp-ssh-wrapper.sh | sshd-log-wrapper.sh | ssh2putty.sh | valgrind-unit.sh) ;;
		*) basename "$s" .sh ;;
		esac
	done
}

# entry NAME FIELD: 2 is the verdict, 3 its options; "-" when there is none
entry() { awk -v n="$1" -v f="$2" '$1 == n { print $f == "" ? "-" : $f; exit }' "$list"; }
option() { case ",$(entry "$1" 3)," in *",$2,"*) true ;; *) false ;; esac; }
# text NAME KEY: the lines "KEY: text" that follow the entry
text() { awk -v n="$1" -v k="$2: " '/^[^#[:space:]]/ { mine = $1 == n; next }
	{ sub(/^[[:space:]]+/, "") } mine && index($0, k) == 1 { print substr($0, length(k) + 1) }' "$list"; }
runs() { [ "$(entry "$1" 2)" = run ] && { ! option "$1" long || [ -n "${REGRESS_LONG-}" ]; }; }
# reason NAME: why it does not run
reason() {
	sed -n "s/^${1}[[:space:]]*no[[:space:]]*//p" "$list"
	text "$1" long
}

ways() {
	echo plus
	if option "$1" jump; then echo jump; fi
}

# ten free ports in a row: the test's own, those after it that scripts use, the real sshd's, and that of sshd -i
ports() {
	python3 -c '
import random, socket
while True:
	base = random.randrange(12000, 32000, 10)
	try:
		held = [socket.socket() for _ in range(10)]
		for i, s in enumerate(held): s.bind(("127.0.0.1", base + i))
	except OSError: continue
	print(base)
	break'
}

# prepare NAME WAY: its folder, its ports, its two targets
prepare() {
	p_host=$(echo "$1-$2" | tr _ -)
	p_obj=$RIG/$p_host
	p_base=$(ports)
	cp -a "$RIG/template" "$p_obj"
	rig_host "live-$p_host" $((p_base + 8)) "$host_key"
	rig_host "inetd-$p_host" $((p_base + 9)) "$host_key"
	echo "$1 $2 $p_host $p_base" >>"$RIG/jobs"
}

# The user keys and host keys, made once by the suite itself.
template() {
	mkdir "$RIG/template"
	for f in "$suite"/*; do
		case ${f##*/} in unittests) ;; *) cp -a "$f" "$RIG/template" ;; esac
	done
	rm -rf "$RIG/template/misc/fuzz-harness"
	cp "$BASTION_SRC/tests/interop/regress-via" "$RIG/template"
	echo 'tid=keys' >"$RIG/template/keys-only.sh"
	: >"$RIG/template/via.env"
	for n in ssh sshd sftp agent greet greeted; do ln -s regress-via "$RIG/template/via-$n"; done
	(cd "$RIG/template" && TEST_SHELL=sh BUILDDIR=$RIG/template TEST_SSH_UNSAFE_PERMISSIONS=1 \
		sh ./test-exec.sh "$RIG/template" "$RIG/template/keys-only.sh") >"$RIG/template.log" 2>&1
}

# offered KIND LINE: what the bastion offers, from the client's account of its first packet
offered() {
	awk -v what="debug2: $2: " '/peer server KEXINIT/ { on = 1 }
		on && index($0, what) == 1 { n = split(substr($0, length(what) + 1), a, ","); for (i = 1; i <= n; i++) print a[i]; exit }' \
		"$RIG/offer.log" | tr -d '\r' >"$RIG/offer-$1"
	[ -s "$RIG/offer-$1" ]
}

setup() {
	rig_init && template || return 1
	ctl keys import regress "$RIG/template/ssh-ed25519" >/dev/null || return 1
	host_key=$(cut -d' ' -f1,2 "$RIG/template/ssh-ed25519.pub")
	: >"$RIG/jobs"
	for s in $todo; do
		for w in $(ways "$s"); do prepare "$s" "$w"; done
	done
	sed -i 's/key: fleet/key: regress/' "$RIG/hosts.yaml"
	unix=
	while read -r _ _ h _; do
		for i in 1 2 3; do unix="$unix, \"unix:$RIG/$h/unix-$i.fwd\""; done
	done <"$RIG/jobs"
	cat >"$RIG/rules.yaml" <<-YAML
		  - name: tests
		    who: {groups: [sre]}
		    where: {labels: {env: test}}
		    as: [$rig_me]
		    may: [shell, exec, sftp, scp, rsync, agent, x11, {forward: ["*:*"$unix]}, {remote_forward: ["*:*"$unix]}]
	YAML
	echo 'session: {env: [_XXX_TEST, "_XXX_TEST_*"]}' >>"$RIG/b/bastiond.yaml"
	rig_policy && rig_start || return 1
	{
		printf 'bastion '
		ctl keys public host | cut -d' ' -f1,2
		ctl hosts ca '*'
	} >"$RIG/known_hosts"
	cat >"$RIG/jump_config" <<-CONF
		Host bastion
		  HostName 127.0.0.1
		  HostKeyAlias bastion
		  Port $bastion_port
		  User alice
		  IdentityFile $RIG/alice
		  IdentitiesOnly yes
		  IdentityAgent none
		  BatchMode yes
		  LogLevel ERROR
		  UserKnownHostsFile $RIG/known_hosts
		  GlobalKnownHostsFile /dev/null
		  ConnectTimeout 20
	CONF
	ssh -vv -F "$RIG/jump_config" bastion true 2>"$RIG/offer.log" >/dev/null
	offered kex 'KEX algorithms' && offered cipher 'ciphers stoc' && offered mac 'MACs stoc'
}

# mine OBJ: the processes that a script left behind, by a variable that only they have
mine() { grep -lzFx "REGRESS_OBJ=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3; }

# run NAME WAY HOST BASE: one script; its output goes to OBJ/output, its status to OBJ/status
run() {
	r_obj=$RIG/$3
	r_limit=$limit
	if option "$1" long; then r_limit=$((limit * 3)); fi
	(
		unset SSH_CONNECTION SSH_CLIENT SSH_AUTH_SOCK SSH_TTY SUDO
		printf '%s\n' "RIG=$RIG" "BASTION_PORT=$bastion_port" "REGRESS_WAY=$2" "REGRESS_HOST=$3" "REGRESS_OBJ=$r_obj" \
			"REGRESS_PORT=$4" "REGRESS_BACK=$(($4 + 8))" >"$r_obj/via.env"
		export REGRESS_OBJ="$r_obj" TMPDIR="$RIG/tmp" PATH="$RIG/path:$PATH"
		export TEST_SHELL=sh BUILDDIR="$r_obj" TEST_SSH_PORT="$4" TEST_SSH_UNSAFE_PERMISSIONS=1 TEST_SSH_IPV6=yes TEST_SSH_ECC=yes
		export TEST_SSH_SSH="$r_obj/via-ssh" TEST_SSH_SSHD="$r_obj/via-sshd" TEST_SSH_SFTPSERVER="$r_obj/via-sftp"
		if option "$1" fleet; then
			export TEST_SSH_SSHD_CONFOPTS="AuthorizedKeysCommand /bin/cat $RIG/template/ssh-ed25519.pub
AuthorizedKeysCommandUser $rig_me"
		fi
		if option "$1" small; then export TEST_SSH_SSHAGENT="$r_obj/via-agent"; fi
		cd "$r_obj" || exit 3
		socat "TCP-LISTEN:$(($4 + 9)),bind=127.0.0.1,fork,reuseaddr,backlog=64" \
			"EXEC:sh $r_obj/sshd-log-wrapper.sh $r_obj/sshd.log /usr/sbin/sshd -i -f $r_obj/sshd_proxy,pipes" 2>>"$r_obj/socat.log" &
		s1=$!
		socat "TCP-LISTEN:$4,bind=127.0.0.1,fork,reuseaddr,backlog=64" "EXEC:$r_obj/via-greeted $(($4 + 8))" 2>>"$r_obj/socat.log" &
		s2=$!
		timeout -k 5 "$r_limit" sh ./test-exec.sh "$r_obj" "$r_obj/$1.sh" </dev/zero >"$r_obj/output" 2>&1
		echo $? >"$r_obj/status"
		kill $s1 $s2 2>/dev/null
	)
	for pid in $(cat "$r_obj/pidfile" 2>/dev/null) $(mine "$r_obj"); do kill "$pid" 2>/dev/null; done
}

# take NAME WAY HOST BASE: unless another worker has it. Those with a port in common wait for each other.
take() {
	mkdir "$RIG/$3/taken" 2>/dev/null || return 0
	(
		if option "$1" shared; then flock 9; fi
		t=$(date +%s)
		run "$@" </dev/null 9>&-
		echo $(($(date +%s) - t)) >"$RIG/$3/seconds"
	) 9>>"$RIG/lock"
}

# worker N: first those of its lane, which have ports of their own; then what nobody has, and no lane.
worker() {
	while read -r name way host base; do
		if option "$name" "lane$1"; then take "$name" "$way" "$host" "$base"; fi
	done <"$RIG/jobs"
	while read -r name way host base; do
		if ! option "$name" lane1 && ! option "$name" lane2; then take "$name" "$way" "$host" "$base"; fi
	done <"$RIG/jobs"
}

# failures HOST: what its script complained about, each with the part of the script in which it did: "PART: MESSAGE"
failures() {
	[ -f "$RIG/$1/failed-regress.log" ] || return 0
	awk 'FILENAME == ARGV[1] { if (sub(/^FAIL: /, "")) bad[$0] = 1; next }
		{ sub(/^FATAL: /, "") }
		$0 in bad { print part ": " $0; next }
		!/\/|^bastiond: / { part = $0 }' "$RIG/$1/failed-regress.log" "$RIG/$1/output" | sort -u
}
# expected NAME WAY: what it must complain about
expected() { { text "$1" "differs $2"; text "$1" 'differs both'; } | sort -u; }
# crossed HOST: it went through the bastion at all
crossed() { jq -e --arg h "$1" 'any(.[]; .host == "live-" + $h or .host == "inetd-" + $h)' "$RIG/sessions.json" >/dev/null; }

# verdict NAME WAY HOST: why it is not as it must be; nothing when it is
verdict() {
	v_status=$(cat "$RIG/$3/status" 2>/dev/null)
	v_got=$(failures "$3")
	v_want=$(expected "$1" "$2")
	if [ "$v_status" = 124 ] || [ "$v_status" = 137 ]; then
		echo "not done after $(cat "$RIG/$3/seconds") s"
	elif ! crossed "$3"; then
		echo 'no session of it is on record'
	elif [ "$v_got" != "$v_want" ] || { [ -z "$v_want" ] && [ "$v_status" != 0 ]; }; then
		printf '%s\n' "status $v_status; the script's failures:" "$v_got" "expected:" "$v_want"
		[ -n "$v_got" ] || tail -n 5 "$RIG/$3/output"
	fi
}

# again NAME WAY HOST BASE: once more, with nothing else running. These scripts wait by the clock ("sleep 1", and then look),
# which holds for one at a time; several of them share the processors only to be done sooner.
again() {
	mv "$RIG/$3" "$RIG/$3.first"
	cp -a "$RIG/template" "$RIG/$3"
	take "$@"
}

# judge NAME WAY HOST
judge() {
	j_title="$1 $([ "$2" = jump ] && echo 'behind ssh -J' || echo 'as user+host') ($(cat "$RIG/$3/seconds") s)"
	j_why=$(verdict "$1" "$2" "$3")
	if [ -n "$j_why" ]; then
		fail "$j_title"
		note "$j_why"
	else
		pass "$j_title"
		[ -z "$(expected "$1" "$2")" ] || note "differs: $(text "$1" because)"
	fi
	[ ! -f "$RIG/$3/company" ] || note "beside others, the first time: $(cat "$RIG/$3/company")"
}

all=$(scripts)
runs=
for s in $all; do
	if runs "$s"; then runs="$runs $s"; fi
done
todo=${REGRESS_ONLY:-$(for s in $runs; do option "$s" slow && echo "$s"; done; for s in $runs; do option "$s" slow || echo "$s"; done)}

setup || exit 1
mkdir "$RIG/tmp" "$RIG/path"
# login-timeout.sh holds a connection open with it, and cannot fail without.
printf '#!/bin/sh\nexec nc "$@"\n' >"$RIG/path/telnet"
chmod +x "$RIG/path/telnet"
pids=
for w in $(seq $workers); do
	worker "$w" &
	pids="$pids $!"
done
for p in $pids; do wait "$p"; done
ctl sessions list --json >"$RIG/sessions.json"
while read -r name way host base; do
	why=$(verdict "$name" "$way" "$host")
	if [ -z "$why" ] || [ $again_max -eq 0 ]; then continue; fi
	again_max=$((again_max - 1))
	again "$name" "$way" "$host" "$base" </dev/null
	printf '%s\n' "$why" >"$RIG/$host/company"
done <"$RIG/jobs"
ctl sessions list --json >"$RIG/sessions.json"

others=
if [ -z "${REGRESS_ONLY-}" ]; then
	for s in $all; do runs "$s" || others="$others $s"; done
fi
# shellcheck disable=SC2086 # names
plan $(($(wc -l <"$RIG/jobs") + $(echo $others | wc -w) + 1))
while read -r name way host base; do
	judge "$name" "$way" "$host"
done <"$RIG/jobs"
for s in $others; do
	if [ -n "$(reason "$s")" ]; then
		tap_n=$((tap_n + 1))
		echo "ok $tap_n - $s # SKIP $(reason "$s")"
	else
		fail "$s"
		note 'it is not in regress.list'
	fi
done
ok 'everything is recorded' quiet ctl verify --all
tap_end
