#!/usr/bin/env bash
# make kunit: the kernel's own kunit.py with our suite, on arm64 under QEMU.
. "$(dirname "$0")/lib.sh"

GRANULE=${GRANULE:-4k}
one_of GRANULE "$GRANULE" 4k 16k 64k
granule_symbol=CONFIG_ARM64_${GRANULE^^}_PAGES=y

began=$SECONDS
lock
deps kernel qemu kunit
source_get
tree_update
if [ ! -f "$tree/mm/kunit/.kunitconfig" ]; then
	say "mm/kunit/.kunitconfig is not there: no test ran"
	exit $E_NOTEST
fi
say "# make kunit: $src_name, $GRANULE pages"

obj=$build/O/$src_key/kunit-$GRANULE
log=$build/log/kunit-$GRANULE.log
json=$out/kunit-$GRANULE.json
mkdir -p "$obj"
kmake_args arm64 "$obj"
qemu_args arm64 2 4096
# kunit.py brings the program's name; on an option given twice the last one holds.
args=(--arch=arm64 "--build_dir=$obj" "--json=$json.new" --timeout=600
	"--qemu_args=${qemu[*]:1}" --kernel_args=hugetlb_free_vmemmap=on)
conf=("--kunitconfig=$tree/mm/kunit" "--kconfig_add=$granule_symbol" "--jobs=$(nproc)")
for a in "${kmake[@]:1}"; do
	case $a in
	CROSS_COMPILE=?*) conf+=("--cross_compile=${a#*=}") ;;
	CC=* | HOSTCC=* | KBUILD_* | LOCALVERSION=*) conf+=("--make_options=$a") ;;
	esac
done

# kunit.py builds whatever make finds to do; when nothing changed, only run.
stamp="$tree_id $("$kernel_cc" --version | head -n 1)"
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

# The console of the guest holds the KTAP.
con=$out/kunit-$GRANULE.ktap
[ ! -f "$obj/test.log" ] || cp "$obj/test.log" "$con"
if [ ! -f "$json.new" ]; then
	say "kunit.py gave no result; its log: $(rel "$log")"
	exit $E_NOTEST
fi
mv "$json.new" "$json"

# status COUNT: leaf cases with that status, ERROR counts as FAIL.
count()
{
	jq --arg s "$1" '[.. | .test_cases? // empty | .[] | .status |
		if . == "ERROR" then "FAIL" else . end | select(. == $s)] | length' "$json"
}
passed=$(count PASS)
failed=$(count FAIL)
skipped=$(count SKIP)
# The cases of a parameterized test stand in a group of its name.
jq -r 'def leaves(p): (p + [.name] | map(select(. != null and . != ""))) as $p |
		((.test_cases // [])[] | {status, name: ($p[1:] + [.name] | join(": "))}),
		((.sub_groups // [])[] | leaves($p));
	leaves([]) |
	(if .status == "PASS" then "ok" elif .status == "SKIP" then "skip" else "not ok" end)
	+ " - " + .name' "$json"
grep -aE '^[[:space:]]*ok .*# SKIP' "$con" | sed 's/^[[:space:]]*/# /' || true
bad=$(log_count "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con")
if [ "$bad" -gt 0 ]; then
	say "not ok - $bad bad lines on the console, the first:"
	grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con" | head -n 3
	failed=$((failed + 1))
	rc=$E_PANIC
fi
say "# results: $(rel "$json"), console: $(rel "$con"), log: $(rel "$log")"
printf '%s %s %s\n' "$passed" "$failed" "$skipped" >"$build/kunit.count"
say "# kunit: $passed passed, $failed failed, $skipped skipped ($((SECONDS - began)) s)"
[ $((passed + failed)) -gt 0 ] || exit $E_NOTEST
if [ "$failed" -gt 0 ] && [ "$rc" -eq 0 ]; then
	rc=$E_FAIL
fi
[ "$rc" -ne 0 ] || record kunit $((SECONDS - began))
exit "$rc"
