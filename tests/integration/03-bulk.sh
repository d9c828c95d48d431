#!/bin/sh
# Every byte: 100 MB each way, and the export equals what was sent and what was received.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 9
ok 'a bastion and its target start' rig_up
size=${BASTION_BULK-104857600}

head -c "$size" /dev/urandom >"$RIG/blob"
sum=$(sha256sum <"$RIG/blob" | cut -d' ' -f1)
is 'up: the target hashes the same' "$(b_ssh "$(to t1)" sha256sum <"$RIG/blob" | cut -d' ' -f1)" "$sum"
up=$(last_sid)
is 'down: the client receives the same' "$(b_ssh "$(to t1)" "cat $RIG/blob" | sha256sum | cut -d' ' -f1)" "$sum"
down=$(last_sid)
isnt 'these are two sessions' "$up" "$down"
ok 'both end' wait_for 20 session_closed "$down"
is 'the export of what went in is the same' \
	"$(ctl export "$up" --format raw --stream in | sha256sum | cut -d' ' -f1)" "$sum"
is 'the export of what came out is the same' \
	"$(ctl export "$down" --format raw --stream out | sha256sum | cut -d' ' -f1)" "$sum"
is 'a slow reader loses nothing' \
	"$(b_ssh "$(to t1)" "head -c 20000000 $RIG/blob" | (sleep 2; sha256sum) | cut -d' ' -f1)" \
	"$(head -c 20000000 "$RIG/blob" | sha256sum | cut -d' ' -f1)"
ok 'everything verifies' ctl verify --all

tap_end
