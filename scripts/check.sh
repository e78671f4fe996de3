#!/usr/bin/env bash
# make check: everything for 4k, and two of the mutants; ends with "N passed, N failed,
# N skipped".
. "$(dirname "$0")/lib.sh"

export GRANULE=4k
unset BOOT
began=$SECONDS
lock
deps kernel guest qemu kunit series lint writers
export MUTANTS="optimize-no-tlbi-after-join reference-test-before-only"
passed=0 failed=0 skipped=0
for t in lint writers kunit mutants boot; do
	rc=0
	rm -f "$build/$t.count"
	"$top/scripts/$t.sh" || rc=$?
	if [ -f "$build/$t.count" ]; then
		read -r p f s <"$build/$t.count"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		[ "$rc" -eq 0 ] || [ "$f" -gt 0 ] || failed=$((failed + 1))
	else
		say "not ok - $t gave no result (exit code $rc)"
		failed=$((failed + 1))
	fi
	[ "$rc" -ne 130 ] || exit 130
done
say "# make check took $((SECONDS - began)) s; logs: .build/log/, results: out/"
[ "$failed" -gt 0 ] || record check $((SECONDS - began))
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
