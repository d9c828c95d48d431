#!/bin/sh
# make bench: bastiond, `ssh -J` through OpenSSH's sshd, and direct ssh, in one run on one machine, alternating.
# Prints one line a figure: name, unit, direct, jump, bastion, bastion/jump, bastion/direct; medians of BENCH_ROUNDS.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

rig_init && rig_target t1 && rig_target jump && rig_policy || exit 1
sed -i 's|^limits:.*|limits: {connections: 2000, per_source: 2000, startups: "500:30:1000"}|' "$RIG/b/bastiond.yaml"
grep -q '^limits:' "$RIG/b/bastiond.yaml" ||
	echo 'limits: {connections: 2000, per_source: 2000, startups: "500:30:1000"}' >>"$RIG/b/bastiond.yaml"
rig_start || exit 1
rig_direct_key t1 jump

# The algorithms are the same for all three: the cipher is what would be compared otherwise.
algs='-o Ciphers=aes128-gcm@openssh.com -o KexAlgorithms=curve25519-sha256'
common="-F none -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=no
-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR $algs"
BENCH_COMMON=$(echo "$common" | tr '\n' ' ')
export BENCH_COMMON BENCH_USER="$rig_me" BENCH_DIRECT_KEY="$RIG/direct" BENCH_ALICE_KEY="$RIG/alice"
# shellcheck disable=SC2154
export BENCH_TARGET_PORT="$rig_port_t1" BENCH_JUMP_PORT="$rig_port_jump" BENCH_BASTION_PORT="$bastion_port"
export BENCH_BASTION_PID="$bastion_pid" BENCH_CTL="$BASTIONCTL" BENCH_CONF="$RIG/b/bastiond.yaml" BENCH_DIR="$RIG"
python3 "$BASTION_SRC/tests/bench/bench.py" "$@"
