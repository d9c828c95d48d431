#!/bin/sh
# Runs tests/crash/crash_power; a script, because automake has rules for programs only where they are in TESTS at first.
exec "$BASTION_BIN/../tests/crash/crash_power"
