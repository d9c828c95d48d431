#!/bin/sh
# OpenSSH: ssh, scp, sftp, ControlMaster.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/interop/lib.sh"

plan 21
ok 'up' interop_up
for way in plus t1; do
	F="-F $RIG/ssh_config"
	# shellcheck disable=SC2086
	{
		is "ssh $way: output" "$(ssh $F $way 'echo out; echo err >&2' 2>/dev/null)" out
		is "ssh $way: status" "$(ssh $F $way 'exit 7'; echo $?)" 7
		is "ssh $way: input" "$(ssh $F $way sha256sum <"$RIG/file")" "$(sha256sum <"$RIG/file")"
		ok "scp $way: up" scp -q $F "$RIG/file" "$way:$RIG/far/scp-$way"
		ok "scp $way: down" scp -q $F "$way:$RIG/far/scp-$way" "$RIG/near/scp-$way"
		ok "scp -O $way: there and back" sh -c "scp -q -O $F '$RIG/file' '$way:$RIG/far/o' && scp -q -O $F '$way:$RIG/far/o' '$RIG/near/o'"
		printf 'put %s %s\nget %s %s\n' "$RIG/file" "$RIG/far/sftp-$way" "$RIG/far/sftp-$way" "$RIG/near/sftp-$way" >"$RIG/batch"
		ok "sftp $way: there and back" quiet sftp -q $F -b "$RIG/batch" $way
		M="-o ControlPath=$RIG/m-$way"
		ssh $F $M -o ControlMaster=yes -o ControlPersist=yes -N -f $way
		# shellcheck disable=SC2029
		is "ControlMaster $way: three at once" "$(for i in 1 2 3; do ssh $F $M $way "echo $i" & done | sort | tr '\n' ' '; wait)" '1 2 3 '
		ssh $F $M -O exit $way 2>/dev/null
		ok "$way: every copy is the same" sh -c "for f in '$RIG'/near/*; do cmp -s '$RIG/file' \"\$f\" || exit 1; done"
		ok "$way: recorded" recorded
	}
done
tap_end
