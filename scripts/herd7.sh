#!/usr/bin/env bash
# make herd7: unpack Debian's herd7 of a newer release into .build/herd7/.
. "$(dirname "$0")/lib.sh"

began=$SECONDS
lock
if ! herd_get || ! HERD7=$build/herd7/herd7 herd_find; then
	die $E_USAGE "No herd7: $herd_why. HERD7= names another one."
fi
say "$(rel "$herd"): herd7 $herd_version ($((SECONDS - began)) s, $(
	du -sm "$build/herd7" | cut -f 1) MB)"
record herd7 $((SECONDS - began))
