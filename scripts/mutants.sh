#!/usr/bin/env bash
# make mutants: break vmemmap_shadow*.c in one place after the other; each time the
# case that tests/mutants/manifest names must fail, with the message it names.
# MUTANTS="NAME..." runs only those. Those for one base alone are in tests/mutants/BASE/,
# with a manifest of their own, which may name another message for one of all bases; a
# patch names a file as the kernel's tree does.
#
# A mutant is a small patch. It is killed, or it survives, or it is void: it does
# not apply or build, or something else fails, or the case fails without it, too.
# Survived and void are failures.
. "$(dirname "$0")/lib.sh"

GRANULE=${GRANULE:-4k} MUTANTS=${MUTANTS:-}
one_of GRANULE "$GRANULE" 4k 16k 64k
granule_symbol=CONFIG_ARM64_${GRANULE^^}_PAGES=y

# field NAME N: a field of a mutant's line; what the base's manifest says counts.
field()
{
	awk -F ' *[|] *' -v name="$1" -v n="$2" '$1 == name { v = $n }
		END { if (v != "") print v }' "${manifests[@]}"
}

# mutant_path NAME: its patch.
mutant_path()
{
	if [ -f "$top/tests/mutants/$base/$1.patch" ]; then
		printf '%s\n' "$top/tests/mutants/$base/$1.patch"
	else
		printf '%s\n' "$top/tests/mutants/$1.patch"
	fi
}

# choose: set all and names, the mutants of this base and those to run.
choose()
{
	local f p m

	manifests=("$top/tests/mutants/manifest")
	[ ! -f "$top/tests/mutants/$base/manifest" ] ||
		manifests+=("$top/tests/mutants/$base/manifest")
	mapfile -t all < <(awk -F ' *[|] *' '!/^#/ && NF == 3 && !n[$1]++ { print $1 }' \
		"${manifests[@]}")
	for f in "${manifests[@]}"; do
		m=$(awk -F ' *[|] *' '!/^#/ && n[$1]++ { print $1 }' "$f")
		[ -z "$m" ] || die $E_USAGE "More than one line of $(rel "$f") is about: $m"
		for p in "${f%manifest}"*.patch; do
			awk -F ' *[|] *' -v name="$(basename "$p" .patch)" '
				$1 == name { n++ } END { exit !n }' "$f" ||
				die $E_USAGE "$(rel "$p") is not in $(rel "$f")"
		done
	done
	names=("${all[@]}")
	[ -z "$MUTANTS" ] || read -ra names <<<"$MUTANTS"
	for m in "${names[@]}"; do
		if ! [ -f "$(mutant_path "$m")" ] || [ -z "$(field "$m" 2)" ]; then
			die $E_USAGE "There is no mutant called $m in$(printf ' %s' "${manifests[@]#"$top/"}")"
		fi
	done
}

began=$SECONDS
# What makes no sense is refused before anything is done; KSRC= may mean another base.
[ -n "${KSRC:-}" ] || choose
lock
deps kernel qemu kunit
source_get mutants
choose
tree_update
say "# make mutants: $src_name, $GRANULE pages, ${#names[@]} of ${#all[@]} mutants"

obj=$build/O/$src_key/kunit-$GRANULE
mkdir -p "$obj" "$build/log"
kunit_args "$obj" "$granule_symbol"
kunit_qemu "$GRANULE"
export PYTHONDONTWRITEBYTECODE=1

# run_suites LOG TIMEOUT [GLOB]: kunit.py's run; the guest's console is $obj/test.log.
run_suites()
{
	local log=$1 limit=$2

	shift 2
	rm -f "$obj/.hvo-built" "$obj/test.log"
	(cd "$tree" && python3 tools/testing/kunit/kunit.py run --arch=arm64 \
		"--build_dir=$obj" "--timeout=$limit" "--qemu_args=${qemu[*]:1}" \
		--kernel_args=hugetlb_free_vmemmap=on \
		--kernel_args=irqchip.gicv3_pseudo_nmi=1 "${conf[@]}" "$@") \
		>"$log" 2>&1 </dev/null || true
}

# The cases without a mutant: make kunit has run them, or they are run now.
sound_cases()
{
	local stamp

	stamp="$tree_id $("$kernel_cc" --version | head -n 1)"
	[ "$(head -n 1 "$obj/sound.ktap" 2>/dev/null)" != "$stamp" ] || return 0
	ticker_start "the suites without a mutant" true
	run_suites "$build/log/mutant-none.log" 1500
	ticker_stop
	if [ ! -f "$obj/test.log" ]; then
		die $E_NOTEST "Without a mutant it does not build; the log: .build/log/mutant-none.log"
	fi
	{ echo "$stamp"; cat "$obj/test.log"; } >"$obj/sound.ktap"
}

# has_result LOG WORD GLOB: does a line of the log give the case this result?
has_result()
{
	grep -qaE "^ *$2 .*${3##*.}" "$1"
}

# mutant NAME: print killed, survived or void, and why.
mutant()
{
	local m=$1 glob want log=$build/log/mutant-$1.log f patch

	glob=$(field "$m" 2)
	want=$(field "$m" 3)
	if has_result "$obj/sound.ktap" "not ok" "$glob" ||
	   ! has_result "$obj/sound.ktap" ok "$glob"; then
		echo "void: without it the case does not pass"
		return
	fi
	tree_update
	# A copy: the trees share the files that are not ours.
	patch=$(mutant_path "$m")
	for f in $(patch_files "$patch"); do
		tree_put "$tree/$f" "$tree/$f.mutant"
		mv -f "$tree/$f.mutant" "$tree/$f"
	done
	if ! patch -d "$tree" -p1 --fuzz=0 --force --no-backup-if-mismatch -r - \
	     -i "$patch" >"$log" 2>&1; then
		echo "void: the patch does not apply"
		return
	fi
	run_suites "$log" 200 "$glob"
	if [ ! -f "$obj/test.log" ]; then
		echo "void: it does not build"
	elif ! has_result "$obj/test.log" "not ok" "$glob"; then
		if has_result "$obj/test.log" ok "$glob"; then
			echo survived
		elif grep -qaE "$want" "$obj/test.log"; then
			# The machine did not live to report the case.
			echo killed
		else
			echo "void: the case did not finish, without '$want'"
		fi
	elif grep -qaE "$want" "$obj/test.log"; then
		echo killed
	else
		echo "void: the case fails, but not with '$want'"
	fi
}

# The kernel without a mutant is kept aside: make kunit need not build it again.
image=$obj/arch/arm64/boot/Image.gz
sound=$(cat "$obj/.hvo-built" 2>/dev/null) || true
[ -z "$sound" ] || cp "$image" "$image.sound"

sound_cases
passed=0 failed=0
for m in "${names[@]}"; do
	start=$SECONDS
	ticker_start "mutant $m" true
	verdict=$(mutant "$m")
	ticker_stop
	[ ! -f "$obj/test.log" ] || cp "$obj/test.log" "$out/mutant-$m.ktap"
	if [ "$verdict" = killed ]; then
		passed=$((passed + 1))
		say "ok - mutant $m: killed by $(field "$m" 2) ($((SECONDS - start)) s)"
	else
		failed=$((failed + 1))
		say "not ok - mutant $m: $verdict ($((SECONDS - start)) s, log: .build/log/mutant-$m.log)"
	fi
done
tree_update
rm -f "$obj/.hvo-built"
if [ -n "$sound" ]; then
	mv "$image.sound" "$image"
	echo "$sound" >"$obj/.hvo-built"
fi
printf '%s %s 0\n' "$passed" "$failed" >"$build/mutants.count"
say "# mutants: $passed killed, $failed survived or void ($((SECONDS - began)) s); consoles: out/mutant-*.ktap"
[ $((passed + failed)) -gt 0 ] || exit $E_NOTEST
[ "$failed" -eq 0 ] || exit $E_FAIL
[ -n "$MUTANTS" ] || record mutants $((SECONDS - began))
