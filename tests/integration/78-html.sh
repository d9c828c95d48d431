#!/bin/sh
# export --format html: a page that plays in a browser with no network, says who and whether it is whole, and in which nothing of
# a recording is anything but text.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"
. "$BASTION_SRC/tests/html/rig.sh"

html_need
plan 31
ok 'a bastion and its target start' rig_up

# shellcheck disable=SC2046
timeout 60 script -qec "stty cols 80 rows 24; ssh $(rig_opts | tr '\n' ' ') -p $bastion_port -tt $(to t1) \
'printf \"\\033[31mred\\033[0m \\342\\202\\254uro\\r\\n\"; ls -l /usr | cat; printf \"the end\"; exit 4'" \
	/dev/null </dev/null >"$RIG/seen" 2>&1
sid=$(last_sid)
ok 'the session ends' wait_for 10 session_closed "$sid"
not_ok 'without the player there is no page' ctl export "$sid" --format html --player "$RIG" -o "$RIG/none.html"
like 'and the way to it is said, in one line' "$(ctl export "$sid" --format html --player "$RIG" 2>&1)" '^bastionctl: .*contrib/get-player.*$'
ctl export "$sid" --format asciicast-v3 --player "$PLAYER" >/dev/null 2>&1
is '--player is for pages' "$?" 2
ctl export "$sid" --format html --player "$PLAYER" -o "$RIG/real.html" 2>"$RIG/note"
is 'a page is written' "$?" 0
is 'for its owner alone' "$(stat -c %a "$RIG/real.html")" 600
ctl export "$sid" --format raw --stream out >"$RIG/x.raw"
html_look "{\"shot\": \"$RIG/real.png\"}" "$RIG/real.html" >"$RIG/real.json"
# shellcheck disable=SC2317
real() { jq -c "$1" "$RIG/real.json"; }
is 'it plays to the end and shows what a terminal shows' \
	"$(jq -r '.lines[]' "$RIG/real.json" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}')" "$(tmux_shows "$RIG/x.raw" 80 24)"
is 'no request left it' "$(real .requests)" '[]'
is 'its own policy stopped nothing' "$(real .violations)" '[]'
is 'nothing went wrong' "$(real '[.errors[], .dialogs[]]')" '[]'
is 'who, as whom, where' "$(real '.facts | [.Person, .Login, .Host, .["Exit status"]]')" "[\"alice\",\"$rig_me\",\"t1\",\"4\"]"
like 'it says that the record is whole, and under which key' "$(real .facts.Record)" "verified .*whole.*$(cut -c1-30 "$RIG/b/state/recorder.pub" | sed 's/[+]/./g')"
like 'commands are chapters' "$(real .chapters)" '0:00:0[0-9]exec: printf'
is 'printed, it has its facts and chapters and no buttons' "$(real '.printed | [.facts, .index, .bar]')" '[true,true,false]'
ok 'a picture of it was made' test -s "$RIG/real.png"

# A recording that attacks its reader: markup in output, input, command, names of files, host and person; titles, links.
cat >"$RIG/hostile.feed" <<'FEED'
open al<img/src=x/onerror=pwned1=1>ice root </title><script>pwned2=1</script>
begin 1
pty 1 xterm</script><script>pwned3=1</script> 80 24
exec 1 </script><script>pwned4=1;alert(4)</script><!--<script>
wait 100
out 1 </script><script>pwned5=1;alert(5)</script><svg/onload=pwned6=1>\r\n
out 1 <!--<script>\r\n\xe2\x80\xae\xe2\x80\xa8\xe2\x81\xa6turned\r\n
out 1 \e]0;</script><script>pwned7=1</script>\x07\e]8;;javascript:pwned8=1\e\\link\e]8;;\e\\\r\n
out 1 \ePq#0;2;0;0;0#0~~@@\e\\\e_Gf=100;AAAA\e\\\e]1337;File=inline=1:AAAA\x07\e]52;c;cHduZWQ=\x07image\r\n
out 1 "}</script>]\\u003c/script>\\\r\n'); pwned9=1; ('\r\n
in 1 <script>pwned10=1</script>\r
deny 1 </script><script>pwned11=1</script>
out 1 \xff\xfe\x00end\r\n
signal 1 X</script><script>pwned12=1</script>
eof 1
close 1
end
FEED
mkdir "$RIG/h"
ok 'a hostile store is made' sh -c "'$BASTION_BIN/bastion-feed' '$RIG/h' <'$RIG/hostile.feed' >'$RIG/h.sid'"
hostile_sid=$(cat "$RIG/h.sid")
ctl export "$hostile_sid" --store "$RIG/h" --format html --player "$PLAYER" -o "$RIG/hostile.html" 2>"$RIG/note"
is 'its page is written' "$?" 0
html_look '{"chapter": 0, "dark": true}' "$RIG/hostile.html" >"$RIG/hostile.json"
hostile() { jq -c "$1" "$RIG/hostile.json"; }
is 'nothing of it ran' "$(hostile .marks)" '[]'
is 'nothing of it spoke' "$(hostile .dialogs)" '[]'
is 'no request left the page' "$(hostile .requests)" '[]'
is 'nothing was tried that the policy had to stop' "$(hostile .violations)" '[]'
is 'nothing of it became an element' "$(hostile '[.elements.img, .elements.a, .elements.iframe, .elements.script]')" '[0,0,0,3]'
is 'the names are shown as they are' "$(hostile '[.facts.Person, .facts.Host]')" \
	'["al<img/src=x/onerror=pwned1=1>ice","</title><script>pwned2=1</script>"]'
is 'its screen is text' "$(hostile '.lines[0]')" '"</script><script>pwned5=1;alert(5)</script><svg/onload=pwned6=1>"'
is 'what would turn text around is not there' "$(hostile '.lines[2]')" "\"$(printf '\357\277\275\357\277\275\357\277\275')turned\""
like 'the rest is there' "$(hostile .lines)" 'image.*end'
like 'a chapter is reached by the keyboard' "$(hostile .chapters)" 'pwned4'

# A byte of the record changed: the page says so.
cp -r "$RIG/h" "$RIG/t"
ok 'a byte of the record is changed' "$BASTION_BIN/bastion-tamper" flip "$RIG/t/recorder" last
ctl export "$hostile_sid" --store "$RIG/t" --format html --player "$PLAYER" -o "$RIG/t.html" 2>"$RIG/note"
unlike 'its page does not say that it is whole' "$(cat "$RIG/t.html")" '<tr class="good">'
# No public key beside the store.
rm -f "$RIG/h/recorder.pub" "$RIG/h/recorder/recorder.pub"
ctl export "$hostile_sid" --store "$RIG/h" --format html --player "$PLAYER" -o "$RIG/nokey.html" 2>"$RIG/note"
like 'without a key it says that it was not verified' "$(cat "$RIG/nokey.html")" '<tr class="bad">.*not verified: .*recorder.pub'
tap_end
