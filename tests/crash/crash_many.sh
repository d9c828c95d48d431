#!/bin/sh
# Runs tests/crash/crash_many; BASTION_MANY: closed and open sessions.
# shellcheck disable=SC2086 # two words
exec "$BASTION_BIN/../tests/crash/crash_many" ${BASTION_MANY:-3000 60}
