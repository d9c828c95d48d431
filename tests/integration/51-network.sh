#!/bin/sh
# The network goes away without a word: the session ends within the configured time, on the client's side and on the target's.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

[ "$(id -u)" = 0 ] || skip_all 'needs root'
ns=bastion-$$
ip netns add "$ns" 2>/dev/null || skip_all 'needs network namespaces'
trap 'ip netns del "$ns"; rig_end' EXIT
n=$(($$ % 250))
ip link add "bt$$" type veth peer name eth0 netns "$ns" || exit 1
ip addr add "10.213.$n.1/24" dev "bt$$" && ip link set "bt$$" up
ip -n "$ns" addr add "10.213.$n.2/24" dev eth0 && ip -n "$ns" link set eth0 up && ip -n "$ns" link set lo up

plan 8
rig_init && rig_target t1 || exit 1
sed -i "s|^listen:.*|listen: [\"127.0.0.1:0\", \"10.213.$n.1:0\"]|" "$RIG/b/bastiond.yaml"
echo 'keepalive: {interval: 1s, missed: 2}' >>"$RIG/b/bastiond.yaml"
rig_policy
ok 'a bastion starts' rig_start
far_port=$(sed -n "s/.*ready listen=.*10\.213\.$n\.1:\([0-9]*\).*/\1/p" "$RIG/bastiond.log" | tail -n 1)

# Not "ip netns exec": that mounts things, which a container or a chroot may forbid.
# shellcheck disable=SC2046
nsenter --net="/run/netns/$ns" ssh $(rig_opts) -p "$far_port" "$rig_me+t1@10.213.$n.1" 'echo in; exec sleep 300' >"$RIG/far" 2>&1 &
far_pid=$!
ok 'a client in another network gets in' wait_for 15 grep -q in "$RIG/far"
sid=$(last_sid)
is 'its session is open' "$(ctl sessions list --json | jq -r --arg id "$sid" '.[] | select(.id == $id) | .state')" open
sleep 3
is 'a quiet session is not ended' \
	"$(ctl sessions list --json | jq -r --arg id "$sid" '.[] | select(.id == $id) | .state')" open
ip link set "bt$$" down
ok 'when its network is gone the session ends' wait_for 15 session_closed "$sid"
is 'and the record says why' \
	"$(ctl sessions list --json | jq -r --arg id "$sid" '.[] | select(.id == $id) | .end_reason')" client
no_back() { [ -z "$(role_pid back)$(role_pid front)" ]; }
ok 'no process is left' wait_for 10 no_back
kill $far_pid 2>/dev/null
wait $far_pid 2>/dev/null
ok 'everything verifies' ctl verify --all

tap_end
