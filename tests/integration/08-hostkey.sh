#!/bin/sh
# The target must be the one whose key is pinned; targets that cannot be reached are named.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 9
rig_init && rig_target t1 || exit 1
rig_key "$RIG/other"
# shellcheck disable=SC2154
rig_host imposter "$rig_port_t1" "$(cut -d' ' -f1,2 "$RIG/other.pub")"
rig_host closed "$(rig_port)" "$(cut -d' ' -f1,2 "$RIG/other.pub")"
rig_policy
ok 'a bastion starts' rig_start

text=$(b_ssh "$(to imposter)" 'echo in' 2>&1)
is 'another host key: no session' $? 255
like 'the line names the host and the reason' "$text" 'host key of imposter is not the pinned one'
unlike 'nothing ran' "$text" '^in$'
before=$(grep -c 'Accepted publickey' "$RIG/sshd-t1.log")
is 'the login was never tried' "$before" 0
text=$(b_ssh "$(to closed)" 'echo in' 2>&1)
is 'a closed port: no session' $? 255
like 'the line says so' "$text" 'closed.*refused'
is 'the right one works' "$(b_ssh "$(to t1)" 'echo in')" in
ok 'everything verifies' ctl verify --all

tap_end
