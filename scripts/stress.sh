#!/usr/bin/env bash
# make stress: all that can happen to huge pages, at once and at random, in a guest for
# MINUTES= minutes; SEED= plays what an earlier run played. KERNEL= names the kernel:
# debug has lockdep, PROVE_RCU, PAGE_TABLE_CHECK and DEBUG_PAGEALLOC. WITHOUT="ACTOR..."
# leaves some out, and HVO=off shows what has nothing to do with HVO. MEM=6G is the memory
# of its guest, to which 1 GiB more comes and goes.
. "$(dirname "$0")/lib.sh"

MINUTES=${MINUTES:-10} MEM=${MEM:-6G} SEED=${SEED:-} KERNEL=${KERNEL:-debug} HVO=${HVO:-on} WITHOUT=${WITHOUT:-}
one_of KERNEL "$KERNEL" debug guest kasan rt
one_of HVO "$HVO" on off
for w in $WITHOUT; do
	# shellcheck disable=SC2046
	one_of WITHOUT "$w" $(sed -n '/^} actors/,/^};/p' "$top/tests/guest/stress.c" |
		grep -o '{ "[a-z-]*"' | tr -d '{ "' | sort -u)
done
number MINUTES "$MINUTES" 1 9999
mem=$(mem_mb MEM "$MEM" 4096 65536)
[ -n "$SEED" ] || SEED=$((RANDOM << 14 | RANDOM))
number SEED "$SEED" 0 999999999

say "# make stress: $KERNEL kernel, $((10#$MINUTES)) minutes; again with SEED=$((10#$SEED))"
STRESS_SECONDS=$((10#$MINUTES * 60)) STRESS_SEED=$((10#$SEED)) STRESS_KERNEL=$KERNEL \
	STRESS_HVO=$HVO STRESS_MEM=$mem STRESS_WITHOUT=${WITHOUT// /+} \
	BOOT=75-stress exec "$top/scripts/boot.sh"
