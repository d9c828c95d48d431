#!/bin/sh
# Runs tests/crash/crash_recorder; a script, because automake has rules for programs only where they are in TESTS at first.
# BASTION_CRASH: rounds, and the seed that makes the same ones again.
# shellcheck disable=SC2086 # two words
exec "$BASTION_BIN/../tests/crash/crash_recorder" ${BASTION_CRASH:-20}
