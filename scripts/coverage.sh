#!/usr/bin/env bash
# make coverage: which lines and branches of vmemmap_shadow*.c the KUnit suites reach,
# counted by gcov; out/coverage-GRANULE.txt lists those that they do not.
#
# A kernel of its own: only those objects are profiled, and lockdep is on, which finds
# nothing either. KUnit runs before init does; init writes the counts to the console.
. "$(dirname "$0")/lib.sh"

GRANULE=${GRANULE:-4k}
one_of GRANULE "$GRANULE" 4k 16k 64k
want_lines=95 want_branches=90	# per cent

lock
deps kernel qemu kunit
source_get coverage
tree_update
busybox_get arm64
say "# make coverage: $src_name, $GRANULE pages"
if [ "$GRANULE" = 4k ]; then checks_begin coverage; else checks_begin coverage other; fi

dir=arch/arm64/mm
mapfile -t names < <(cd "$tree/$dir" && printf '%s\n' vmemmap_shadow*.c | sed 's/\.c$//')
obj=$build/O/$src_key/coverage-$GRANULE
kernel_log=$build/log/coverage-$GRANULE.log
con=$out/coverage-$GRANULE.console
text=$out/coverage-$GRANULE.txt
work=$build/coverage boot=
cc=$top/scripts/coverage-cc.py
mkdir -p "$obj" "$work" "$out"
kunit_args "$obj" "CONFIG_ARM64_${GRANULE^^}_PAGES=y"
for c in GCOV_KERNEL DEBUG_FS BLK_DEV_INITRD BINFMT_ELF BINFMT_SCRIPT PROVE_LOCKING; do
	conf+=("--kconfig_add=CONFIG_$c=y")
done
# Our objects go through a compiler that tells gcov where each macro is written; they
# are compiled again when that changes.
for c in "${names[@]}"; do
	conf+=("--make_options=GCOV_PROFILE_$c.o=y"
		"--make_options=CFLAGS_$c.o=-DCOVERAGE_CC=$(sha256sum <"$cc" | cut -c -16)")
done
conf=("${conf[@]/#--make_options=CC=/--make_options=CC=$cc }")

stamp="$tree_id $("$kernel_cc" --version | head -n 1) ${conf[*]}"
image=$obj/arch/arm64/boot/Image.gz
if [ ! -f "$image" ] || [ "$(cat "$obj/.hvo-built" 2>/dev/null)" != "$stamp" ]; then
	rm -f "$obj/.hvo-built"
	cd "$tree"
	PYTHONDONTWRITEBYTECODE=1 logged "coverage kernel" "$kernel_log" \
		"find '$obj' -name '*.o' | wc -l | sed 's/\$/ objects built/'" \
		python3 tools/testing/kunit/kunit.py build --arch=arm64 "--build_dir=$obj" \
		"${conf[@]}" || exit $E_FAIL
	cd "$top"
	echo "$stamp" >"$obj/.hvo-built"
fi

# An init that writes what gcov has counted to the console.
rm -rf "$work/root"
mkdir -p "$work/root/bin" "$work/root/debug"
cp "$busybox" "$work/root/bin/busybox"
cat >"$work/root/init" <<'SH'
#!/bin/busybox sh
/bin/busybox dmesg -n 1
/bin/busybox mount -t debugfs none /debug
for f in $(/bin/busybox find /debug/gcov -path '*arm64/mm/vmemmap_shadow*.gcda'); do
	echo "gcov begin $(/bin/busybox basename "$f")"
	/bin/busybox base64 "$f"
	echo "gcov end"
done
/bin/busybox poweroff -f
SH
chmod +x "$work/root/init"
initramfs_of "$work/root" >"$work/initrd.gz"

# counted GLOB: boot with the cases of GLOB; the counts go to $work/NAME.gcda.
# Each value of the parameter is met, the last one holds.
counted()
{
	local qemu console rc=0 name

	kunit_qemu "$GRANULE"
	qemu+=(-nodefaults -display none -no-reboot -serial "file:$con"
		-kernel "$image" -initrd "$work/initrd.gz" -append "console=$console panic=-1
		hugetlb_free_vmemmap=on vmemmap_pagegran=once vmemmap_pagegran=off vmemmap_pagegran=twice
		vmemmap_pagegran vmemmap_pagegran=on kunit.filter_glob=$1")
	rm -f "$work"/*.gcda
	timeout --foreground -k 5 1200 "${qemu[@]}" </dev/null || rc=$?
	[ "$rc" -eq 0 ] || die $E_TIMEOUT "The guest was not done after 1200 s; its console: $(rel "$con")"
	for name in "${names[@]}"; do
		tr -d '\r' <"$con" | sed -n "/^gcov begin $name.gcda\$/,/^gcov end\$/{/^gcov/!p}" |
			base64 -d >"$work/$name.gcda" 2>/dev/null || true
		[ -s "$work/$name.gcda" ] ||
			die $E_NOTEST "The guest left no counts of $name.c; its console: $(rel "$con")"
	done
}

# judge: print lines and branches in per cent, and write the text; fails below what
# is wanted. gcov knows the lines of headers, and of their macros, as theirs.
judge()
{
	local name

	rm -rf "$work/counts"
	mkdir "$work/counts"
	for name in "${names[@]}"; do
		cp "$obj/$dir/$name.gcno" "$work/"
		(cd "$work" && "${kernel_cc%gcc}gcov" -b -c -j -t "$name.gcda") \
			>"$work/counts/$name.json" 2>"$work/gcov.log" ||
			{ cat "$work/gcov.log"; return 1; }
	done
	python3 "$top/scripts/coverage.py" "$work/counts" "$tree/$dir" "$text" \
		"$want_lines" "$want_branches" ${boot:+"$boot"}
}

few_are_not_enough()
{
	counted vmemmap_shadow.state_of_untouched_entry_is_owned
	! judge || return 0
	rm -rf "${work:?}/boot"
	mv "$work/counts" "$work/boot"
	grep -q 'of the branches$' "$check_said" || return 0
	return 1
}

all_pass()
{
	local bad=0

	counted '*'
	! grep -aE '^ *not ok |^ok .* # SKIP' "$con" || bad=1
	! grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con" || bad=1
	return $bad
}

twin "what one case reaches is too little" "fewer than $want_lines % of the lines" few_are_not_enough
boot=$work/boot
run "all suites pass, and lockdep finds nothing" all_pass
run "$want_lines % of the lines and $want_branches % of the branches of $dir/vmemmap_shadow*.c" judge
sed -n '1,/^$/s/^./# &/p' "$text"
say "# what is not reached: $(rel "$text"), console: $(rel "$con"), log: $(rel "$kernel_log")"
checks_end
