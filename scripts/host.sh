#!/usr/bin/env bash
# make host: our kernel as a host of virtual machines, with KVM at EL2; SECONDS_EACH=
# seconds of each of our own.
. "$(dirname "$0")/lib.sh"

SECONDS_EACH=${SECONDS_EACH:-30}
number SECONDS_EACH "$SECONDS_EACH" 5 9999
HOST_SECONDS=$((10#$SECONDS_EACH)) BOOT=76-kvm-host exec "$top/scripts/boot.sh"
