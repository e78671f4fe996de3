#!/usr/bin/env bash
# make check: everything for 4k, and two of the mutants; ends with "N passed, N failed,
# N skipped".
#
# Two lanes, for a guest seldom has work for two CPUs: the boots, and all the rest. The
# kernels of the boots are built before, since the mutants change the tree, and one
# build at a time is enough. The boots that measure time wait for the other lane.
. "$(dirname "$0")/lib.sh"

export GRANULE=4k BIG=0
unset BOOT RUN RECORD
began=$SECONDS
[ -n "${KSRC:-}" ] || base_ready check
lock
deps kernel guest qemu kunit series lint writers models bench
export MUTANTS="optimize-no-tlbi-after-join reference-test-before-only"
passed=0 failed=0 skipped=0
boots=$build/log/check-boot.log
lane=

# With it go QEMU, and whatever else it has started.
lane_stop()
{
	[ -z "$lane" ] || kill -TERM -- "-$lane" 2>/dev/null || true
}
trap 'ticker_stop; lane_stop' EXIT

# counted TARGET RC: add up what the target has left.
counted()
{
	local p f s

	if [ -f "$build/$1.count" ]; then
		read -r p f s <"$build/$1.count"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		[ "$2" -eq 0 ] || [ "$f" -gt 0 ] || failed=$((failed + 1))
	else
		say "not ok - $1 gave no result (exit code $2)"
		failed=$((failed + 1))
	fi
}

rm -f "$build"/*.count
rc=0
BOOT_ONLY=build "$top/scripts/boot.sh" || rc=$?
[ "$rc" -ne 130 ] || exit 130
if [ "$rc" -eq 0 ]; then
	exec 8>"$build/busy"
	flock 8
	# A process group of its own, to be stopped as a whole.
	set -m
	BOOT_ONLY=boot QUIET=1 "$top/scripts/boot.sh" </dev/null >"$boots" 2>&1 8>&- &
	lane=$!
	set +m
	say "# The boots run meanwhile: $(rel "$boots")"
else
	counted boot "$rc"
fi

for t in lint writers bench-check models kunit mutants; do
	rc=0
	"$top/scripts/$t.sh" 8>&- || rc=$?
	counted "$t" "$rc"
	[ "$rc" -ne 130 ] || exit 130
done
if [ -n "$lane" ]; then
	exec 8>&-
	ticker_start boot "grep -c '^ok' '$boots'"
	rc=0
	wait "$lane" || rc=$?
	ticker_stop
	lane=
	cat "$boots"
	counted boot "$rc"
fi
say "# make check took $((SECONDS - began)) s; logs: .build/log/, results: out/"
[ "$failed" -gt 0 ] || record check $((SECONDS - began))
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
