#!/bin/sh
# Runs tests/crash/crash_power; a script, because automake has rules for programs only where they are in TESTS at first.
# BASTION_POWER: cuts, and the seed that makes the same ones again; without a seed others each time.
# shellcheck disable=SC2086 # two words
exec "$BASTION_BIN/../tests/crash/crash_power" ${BASTION_POWER:-120 1}
