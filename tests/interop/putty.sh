#!/bin/sh
# PuTTY: plink, pscp, psftp.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

need plink pscp psftp puttygen
plan 13
ok 'up' interop_up
export HOME="$RIG" # where it keeps its settings
puttygen "$RIG/alice" -O private -o "$RIG/alice.ppk"
fingerprint() { ssh-keygen -lf - | cut -d' ' -f2; }
own=$(ctl keys public host | fingerprint)
t1=$(ctl hosts known t1 | cut -d' ' -f2,3 | fingerprint)
proxy="plink -batch -i $RIG/alice.ppk -hostkey $own -P $bastion_port -nc %host:%port alice@127.0.0.1"
for way in plus jump; do
	# with PROGRAM ARGUMENT...
	case $way in
	plus) at="$rig_me+t1@127.0.0.1"; with() { p=$1; shift; "$p" -batch -i "$RIG/alice.ppk" -hostkey "$own" -P "$bastion_port" "$@"; } ;;
	jump) at="$rig_me@t1"; with() { p=$1; shift; "$p" -batch -i "$RIG/alice.ppk" -hostkey "$t1" -proxycmd "$proxy" "$@"; } ;;
	esac
	is "plink $way: output" "$(with plink "$at" 'echo out' </dev/null)" out
	is "plink $way: status" "$(with plink "$at" 'exit 7' </dev/null; echo $?)" 7
	ok "pscp $way: up" quiet with pscp "$RIG/file" "$at:$RIG/far/$way"
	ok "pscp -scp $way: down" quiet with pscp -scp "$at:$RIG/far/$way" "$RIG/near/$way"
	printf 'put %s %s\nget %s %s\n' "$RIG/file" "$RIG/far/p-$way" "$RIG/far/p-$way" "$RIG/near/p-$way" >"$RIG/batch"
	ok "psftp $way: there and back" quiet with psftp -b "$RIG/batch" "$at"
	ok "psftp $way: the same, and pscp" sh -c "cmp '$RIG/file' '$RIG/near/$way' && cmp '$RIG/file' '$RIG/near/p-$way'"
done
tap_end
