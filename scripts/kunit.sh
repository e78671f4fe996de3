#!/usr/bin/env bash
# make kunit: the kernel's own kunit.py with our suites, on arm64 under QEMU; the
# stray writers once more on a CPU without LSE, where the granule allows it.
. "$(dirname "$0")/lib.sh"

GRANULE=${GRANULE:-4k}
one_of GRANULE "$GRANULE" 4k 16k 64k
granule_symbol=CONFIG_ARM64_${GRANULE^^}_PAGES=y

began=$SECONDS
lock
deps kernel qemu kunit
source_get kunit
tree_update
if [ ! -f "$tree/mm/kunit/.kunitconfig" ]; then
	say "mm/kunit/.kunitconfig is not there: no test ran"
	exit $E_NOTEST
fi
say "# make kunit: $src_name, $GRANULE pages"

# make matrix: SHAPE is a name, SHAPE_CONFIG more of the configuration, SHAPE_QEMU of
# QEMU's and SHAPE_APPEND of the kernel's command line.
name=kunit-$GRANULE${SHAPE:+-$SHAPE}
obj=$build/O/$src_key/$name
log=$build/log/$name.log
json=$out/$name.json
mkdir -p "$obj"
kunit_args "$obj" "$granule_symbol"
for more in ${SHAPE_CONFIG:+$(grep ^CONFIG_ "$SHAPE_CONFIG")}; do
	conf+=("--kconfig_add=$more")
done
kunit_qemu "$GRANULE"
# kunit.py brings the program's name; on an option given twice the last one holds.
args=(--arch=arm64 "--build_dir=$obj" "--json=$json.new" --timeout=1500
	"--qemu_args=${qemu[*]:1} ${SHAPE_QEMU:-}" --kernel_args=hugetlb_free_vmemmap=on)
[ -n "${SHAPE:-}" ] || args+=(--kernel_args=irqchip.gicv3_pseudo_nmi=1)
for more in ${SHAPE_APPEND:-}; do
	args+=("--kernel_args=$more")
done

# kunit.py builds whatever make finds to do; when nothing changed, only run.
stamp="$tree_id $("$kernel_cc" --version | head -n 1)"
[ -z "${SHAPE:-}" ] || stamp+=" $(sha256sum <"$SHAPE_CONFIG")"
verb=run
if [ -f "$obj/arch/arm64/boot/Image.gz" ] && [ "$(cat "$obj/.hvo-built" 2>/dev/null)" = "$stamp" ]; then
	verb=exec conf=("--kunitconfig=$tree/mm/kunit" "--kconfig_add=$granule_symbol")
fi
rm -f "$json.new" "$obj/.hvo-built"
rc=0
cd "$tree"
export PYTHONDONTWRITEBYTECODE=1
logged "kunit" "$log" "find '$obj' -name '*.o' | wc -l | sed 's/\$/ objects built/'" \
	python3 tools/testing/kunit/kunit.py "$verb" "${args[@]}" "${conf[@]}" || rc=$?
[ ! -f "$obj/arch/arm64/boot/Image.gz" ] || ! [ -f "$json.new" ] || echo "$stamp" >"$obj/.hvo-built"

passed=0 failed=0 skipped=0

# count JSON STATUS: leaf cases with that status, ERROR counts as FAIL.
count()
{
	jq --arg s "$2" '[.. | .test_cases? // empty | .[] | .status |
		if . == "ERROR" then "FAIL" else . end | select(. == $s)] | length' "$1"
}

# collect JSON CONSOLE SUFFIX: the results of a run, one line each, and its console,
# which holds the KTAP.
collect()
{
	local bad

	[ ! -f "$obj/test.log" ] || cp "$obj/test.log" "$2"
	if [ ! -f "$1.new" ]; then
		say "kunit.py gave no result; its log: $(rel "$log")"
		exit $E_NOTEST
	fi
	mv "$1.new" "$1"
	passed=$((passed + $(count "$1" PASS)))
	failed=$((failed + $(count "$1" FAIL)))
	skipped=$((skipped + $(count "$1" SKIP)))
	# The cases of a parameterized test stand in a group of its name.
	jq -r --arg suffix "$3" 'def leaves(p): (p + [.name] | map(select(. != null and . != ""))) as $p |
			((.test_cases // [])[] | {status, name: ($p[1:] + [.name] | join(": "))}),
			((.sub_groups // [])[] | leaves($p));
		leaves([]) |
		(if .status == "PASS" then "ok" elif .status == "SKIP" then "skip" else "not ok" end)
		+ " - " + .name + $suffix' "$1"
	grep -aE '^[[:space:]]*ok .*# SKIP' "$2" | sed 's/^[[:space:]]*/# /' || true
	grep -aE '^ *# [a-z_]+: [0-9]+ (windows|CPUs|stores|folios|tail)' "$2" | sed 's/^ *//' || true
	bad=$(log_count "$re_panic|$re_fault|$re_bad_page|$re_warning" "$2")
	if [ "$bad" -gt 0 ]; then
		say "not ok - $bad bad lines on the console, the first:"
		grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$2" | head -n 3
		failed=$((failed + 1))
		rc=$E_PANIC
	fi
}

con=$out/$name.ktap
collect "$json" "$con" ""
# What make mutants compares with: the cases without a mutant.
{ echo "$stamp"; cat "$con"; } >"$obj/sound.ktap"

# A compare-and-exchange without LSE is a loop of exclusive loads and stores.
# Cortex-A57 is such a CPU; it has no pages of 16 KiB.
if [ "$GRANULE" != 16k ] && [ -z "${SHAPE:-}" ] && [ "$host_arch" != aarch64 ]; then
	old=$out/kunit-$GRANULE-cortex-a57.json
	rm -f "$old.new" "$obj/test.log"
	args=(--arch=arm64 "--build_dir=$obj" "--json=$old.new" --timeout=1500
		"--qemu_args=${qemu[*]:1} -cpu cortex-a57" --kernel_args=hugetlb_free_vmemmap=on)
	logged "kunit on cortex-a57" "$log" true \
		python3 tools/testing/kunit/kunit.py exec "${args[@]}" \
		"--kunitconfig=$tree/mm/kunit" "--kconfig_add=$granule_symbol" \
		'vmemmap_shadow.stray_store*' || rc=$?
	collect "$old" "${old%.json}.ktap" " (cortex-a57)"
fi
say "# results: out/kunit-$GRANULE*.json, consoles: out/kunit-$GRANULE*.ktap, log: $(rel "$log")"
printf '%s %s %s\n' "$passed" "$failed" "$skipped" >"$build/kunit.count"
say "# kunit: $passed passed, $failed failed, $skipped skipped ($((SECONDS - began)) s)"
[ $((passed + failed)) -gt 0 ] || exit $E_NOTEST
if [ "$failed" -gt 0 ] && [ "$rc" -eq 0 ]; then
	rc=$E_FAIL
fi
[ "$rc" -ne 0 ] || [ -n "${SHAPE:-}" ] || record kunit $((SECONDS - began))
exit "$rc"
