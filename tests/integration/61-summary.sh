#!/bin/sh
# What tests/run prints after a step: the reasons of failures, cut, and a line for what was skipped.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/summary.sh"

plan 18
dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-test.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tests/unit" "$dir/tests/integration" "$dir/tests/interop"

cat >"$dir/tests/unit/test_a.log" <<'LOG'
1..4
ok 1 - fine
PASS: tests/unit/test_a 1 - fine
ERROR: row 3
not ok 2 - rows
FAIL: tests/unit/test_a 2 - rows
# 0x1 != 0x2
# ../tests/unit/test_a.c:6: error: Failure!
ok 3 - fine too
# a remark about something that is well
not ok 4 # SKIP later
SKIP: tests/unit/test_a 4 # SKIP later
# not ok - tests
ERROR: tests/unit/test_a - exited with status 1
LOG
{
	echo 'not ok 1 - long'
	i=0
	while [ $i -lt 100 ]; do i=$((i + 1)) && echo "# line $i"; done
} >"$dir/tests/integration/99-b.log"
echo 'Segmentation fault' >"$dir/tests/integration/98-c.log"
{
	echo 'PASS: tests/unit/test_ok 1 - x'
	echo 'FAIL: tests/unit/test_a 2 - rows'
	echo 'SKIP: tests/unit/test_a 4 # SKIP later'
	echo 'ERROR: tests/unit/test_a - exited with status 1'
	echo 'FAIL: tests/integration/99-b.sh 1 - long'
	echo 'ERROR: tests/integration/98-c.sh - missing test plan'
	echo 'SKIP: tests/interop/regress.sh 1 - one # SKIP why one'
	echo 'SKIP: tests/interop/regress.sh 2 - two # SKIP why two'
	echo 'SKIP: tests/unprivileged: needs root'
	echo '05-mux: not ok 2 - as somebody else'
	echo '05-mux: ok 3 - more'
	echo '05-mux: not ok 4 - the last'
	echo '05-mux: # got:      x'
	echo 'FAIL: 05-mux as an ordinary user'
	# The log of what failed, as automake prints it.
	printf '# TOTAL: 9\n# PASS: 5\n# SKIP: 3\n# FAIL: 2\n# ERROR: 2\n'
	echo 'FAIL: tests/integration/99-b'
	echo 'SKIP: tests/interop/regress'
	echo 'SKIP: tests/interop/regress.sh 2 - two # SKIP why two'
	echo 'Testsuite summary for bastiond'
	printf '# TOTAL: 12\n# PASS: 5\n# SKIP: 3\n# XFAIL: 1\n# FAIL: 2\n# XPASS: 0\n# ERROR: 2\n'
} >"$dir/step.log"
: >"$dir/tests/interop/regress.log"
summary_failed "$dir/step.log" "$dir" >"$dir/failed"
summary_skipped "$dir/step.log" "$dir" >"$dir/skipped"

of() { sed -n "\\|^FAIL $1: |,\\|^FAIL |{\\|^FAIL $1: |p;\\|^   |p}" "$dir/failed"; }
is 'a failed unit test: the test, what was compared, where' "$(of tests/unit/test_a)" \
	"FAIL tests/unit/test_a: $dir/tests/unit/test_a.log
   ERROR: row 3
   not ok 2 - rows
   # 0x1 != 0x2
   # ../tests/unit/test_a.c:6: error: Failure!
   ERROR: tests/unit/test_a - exited with status 1"
is 'a long one is cut' "$(of tests/integration/99-b | wc -l)" 42
like 'and says so' "$(of tests/integration/99-b)" '^   \.\.\. and 61 lines more$'
unlike 'behind what it cut' "$(of tests/integration/99-b)" 'line 40'
is 'one that said nothing: the end of its output' "$(of tests/integration/98-c)" \
	"FAIL tests/integration/98-c: $dir/tests/integration/98-c.log
   Segmentation fault"
is 'as an ordinary user' "$(of 05-mux)" "FAIL 05-mux: $dir/step.log
   not ok 2 - as somebody else
   not ok 4 - the last
   # got:      x"
is 'each script once' "$(grep -c '^FAIL ' "$dir/failed")" 4
unlike 'nothing of what is well' "$(cat "$dir/failed")" 'fine|remark|3 - more|SKIP'
is 'every result counts once' "$(summary_count "$dir/step.log" 'FAIL|ERROR|XPASS')" 4
is 'those that were expected to fail count as passed' "$(summary_count "$dir/step.log" 'PASS|XFAIL')" 6
is 'skipped: one line a script' "$(wc -l <"$dir/skipped")" 3
like 'how many, and where the reasons are' "$(cat "$dir/skipped")" "^SKIP tests/interop/regress: 2 skipped: $dir/tests/interop/regress.log$"
like 'one of a program' "$(cat "$dir/skipped")" "^SKIP tests/unit/test_a: 1 skipped: $dir/tests/unit/test_a.log$"
like 'one that has no log of its own' "$(cat "$dir/skipped")" "^SKIP tests/unprivileged: 1 skipped: $dir/step.log$"
unlike 'no reasons' "$(cat "$dir/skipped")" 'why|needs'
echo '# took 3 s' >>"$dir/tests/unit/test_a.log"
echo '# took 40 s' >>"$dir/tests/integration/99-b.log"
is 'the longest first' "$(summary_slowest "$dir/step.log" "$dir" 1)" '40 tests/integration/99-b'
printf '# TOTAL: 3\n# PASS: 2\n# SKIP: 1\n# FAIL: 0\n' >"$dir/step.log"
is 'the summary of tests/unprivileged' "$(summary_count "$dir/step.log" PASS)" 2
: >"$dir/step.log"
is 'nothing of nothing' "$(summary_failed "$dir/step.log" "$dir")$(summary_skipped "$dir/step.log" "$dir")" ''

tap_end
