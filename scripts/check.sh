#!/usr/bin/env bash
# make check: everything for 4k, and two of the mutants; ends with "N passed, N failed,
# N skipped". For the other base what depends on the kernel: lint, KUnit, a mutant and
# the boots of the first kernel; BASE= and KSRC= take one base only, and all of it.
#
# Two lanes, for a guest seldom has work for two CPUs: the boots, and all the rest. The
# kernels of the boots are built before, since the mutants change the tree, and one
# build at a time is enough. The boots that measure time wait for the other lane.
. "$(dirname "$0")/lib.sh"

export GRANULE=4k BIG=0
unset ARCH SHAPE BOOT RUN RECORD MUTANTS
began=$SECONDS
[ -n "${KSRC:-}" ] || base_ready check
lock
deps kernel guest qemu kunit series lint hvostat writers models bench
passed=0 failed=0 skipped=0
boots=$build/log/check-boot.log
lane=
# The boots of the other base, which share a kernel.
some_boots='(10-main|20-bulk|34-boot-pools|38-later|60-poison|80-most-of-memory|9[01]-document-.*)'

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

# check_all TARGET...: these, and the boots beside them.
check_all()
{
	local t rc=0

	rm -f "$build"/*.count
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

	for t in "$@"; do
		rc=0
		"$top/scripts/$t.sh" 8>&- || rc=$?
		counted "$t" "$rc"
		[ "$rc" -ne 130 ] || exit 130
	done
	[ -n "$lane" ] || return 0
	exec 8>&-
	ticker_start boot "grep -c '^ok' '$boots'"
	rc=0
	wait "$lane" || rc=$?
	ticker_stop
	lane=
	cat "$boots"
	counted boot "$rc"
}

all=(lint writers hvostat bench-check models kunit mutants)
if [ -n "${KSRC:-}${BASE:-}" ]; then
	MUTANTS="optimize-no-tlbi-after-join restore-no-tlbi-after-part" check_all "${all[@]}"
else
	MUTANTS="optimize-no-tlbi-after-join reference-test-before-only" check_all "${all[@]}"
	for b in "${bases[@]}"; do
		[ "$b" != "$default_base" ] || continue
		if ! why=$(BASE=$b source_get lint 2>&1); then
			say "skip - all of BASE=$b: $(tail -n 1 <<<"$why")"
			skipped=$((skipped + 1))
			continue
		fi
		say "# The same with BASE=$b, as far as it depends on the kernel"
		BASE=$b BOOT=$some_boots MUTANTS=optimize-no-tlbi-after-join \
			check_all lint kunit mutants
	done
fi
say "# make check took $((SECONDS - began)) s; logs: .build/log/, results: out/"
[ "$failed" -gt 0 ] || record check $((SECONDS - began))
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
