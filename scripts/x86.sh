#!/usr/bin/env bash
# make x86: prove the first two patches of the series, which repair the generic code
# that other architectures use. x86-64 kernels with and without a patch run the same
# cases (see tests/guest/restore.c). Without the first one, the restore, a kernel has
# to report bad pages and to lose memory; without the second one, the static key, to
# report a lock that is taken twice. With them it has to stay silent and lose nothing.
. "$(dirname "$0")/lib.sh"

# The cases, which patch each one needs, what the kernel's command line gets for it,
# and what the guest and the console have to say where that patch is missing.
cases=(pool demote rollback offline)
declare -A needs=([pool]=1 [demote]=1 [rollback]=1 [offline]=2)
declare -A append=(
	[pool]=init_on_alloc=1
	[demote]="hugepagesz=1G hugepages=1"
	[rollback]="hugepagesz=1G hugepages=1"
	[offline]="init_on_alloc=1 movablecore=2G"
)
declare -A message=(
	[pool]='^# pool: [0-9]+ kB of [0-9]+ did not come back'
	[demote]='^# 511 of 512 demoted pages only count as optimized'
	[rollback]='^# a page that could not be optimized: the vmemmap has'
	[offline]='^# [1-9][0-9]* of 256 pages were dissolved'
)
re_tails='dumped because: corrupted mapping in tail page'
declare -A report=(
	[pool]=$re_tails
	[demote]=$re_tails
	[rollback]=$re_tails
	[offline]='WARNING: possible recursive locking detected'
)

# The tree of all kernels: pristine, but for the files of the patches. One tree
# and one build directory, so that the others cost little.
x86_tree()
{
	tree=$build/tree/$src_key-x86
	[ ! -d "$tree" ] || return 0
	rm -rf "$tree.new" "$build/O/$src_key/x86"
	mkdir -p "$build/tree"
	logged "Making the tree" "$build/log/tree.log" true cp -al "$src" "$tree.new" || exit $E_FAIL
	mv "$tree.new" "$tree"
}

# x86_kernel N: set image to the kernel with the first N patches.
x86_kernel()
{
	local stage=$build/stage/$src_key-x86 kept=$build/O/$src_key/x86/bzImage.$1 f p stamp

	rm -rf "$stage"
	for f in "${files[@]}"; do
		mkdir -p "$stage/$(dirname "$f")"
		cp -p "$src/$f" "$stage/$f"
	done
	for p in "${patches[@]:0:$1}"; do
		patch -d "$stage" -p1 --fuzz=0 --force --no-backup-if-mismatch \
			-i "$p" >"$build/log/patch.log" || exit $E_FAIL
	done
	# shellcheck disable=SC2034 # for kernel_build()
	tree_id=$(cd "$stage" && sha256sum "${files[@]}" | sha256sum | cut -c -16) kconfig_id=pristine
	stamp=$({ echo "$src_key $tree_id"; cat "$top/configs/x86.config" "$top/scripts/lib/kernel.sh"
		"$(guest_cc x86_64)" --version; } | sha256sum)
	if [ -f "$kept" ] && [ "$(cat "$kept.built" 2>/dev/null)" = "$stamp" ]; then
		image=$kept
		return
	fi
	rm -f "$kept.built"
	for f in "${files[@]}"; do
		files_equal "$stage/$f" "$tree/$f" || tree_put "$stage/$f" "$tree/$f"
	done
	kernel_build x86 x86_64 bzImage "$top/configs/x86.config"
	cp "$image" "$kept"
	image=$kept
	echo "$stamp" >"$kept.built"
}

# control CASE RC: the boot without the patch has to be bad, and bad in the right
# way: the guest lived to tell, and the kernel reported what it should.
control()
{
	[ "$2" -ne 0 ] || { say "  The kernel without the patch passed: this proves nothing"; return 1; }
	if [ "$2" -ne $E_PANIC ] || [ "$(log_count "$re_panic|$re_fault" "$con")" -gt 0 ] ||
	   ! grep -qx success "$res"; then
		say "  The kernel without the patch failed, but not by what it reports (exit code $2)"
		return 1
	fi
	if ! grep -qE "${message[$1]}" "$res"; then
		say "  The guest did not say: ${message[$1]}"
		return 1
	fi
	if ! grep -qa "${report[$1]}" "$con"; then
		say "  Nothing was reported with: ${report[$1]}"
		return 1
	fi
}

# one CASE N: boot the kernel with the first N patches and judge it.
one()
{
	local case=$1 name=patches-$2 rc=0 bad warn what word=ok t=$SECONDS
	local verdict=$build/log/x86-$1-$2.verdict

	# One CPU: with two, QEMU's TCG now and then still runs the int3 of a jump
	# label after the kernel is done patching it, and the guest dies of that.
	boot_guest "x86-$case-$name" x86_64 1 4096 120 "${append[$case]}" "restore,$case" \
		>"$verdict" || rc=$?
	[ "$V" != 1 ] || grep '^+ ' "$verdict"
	bad=$(log_count 'BUG: Bad page state' "$con")
	warn=$(log_count 'WARNING: ' "$con")
	if [ "$2" -lt "${needs[$case]}" ]; then
		what="$case, not repaired: it is noticed"
		if [ "$rc" -eq 0 ] || [ "$rc" -eq $E_PANIC ]; then
			control "$case" "$rc" >>"$verdict" && rc=0 || rc=$E_FAIL
		fi
	else
		what="$case, repaired: nothing is left behind"
	fi
	nr=$((nr + 1))
	grep -aE '^# ' "$res" >"$build/log/diag" || true
	echo "# on the console: $bad x Bad page state, $warn x WARNING ($(rel "$con"))" >>"$build/log/diag"
	if [ "$rc" -ne 0 ]; then
		word="not ok"
		cat "$verdict"
	elif grep -q '^skip ' "$res"; then
		what="$what # SKIP"
	fi
	sed 's/^/    /' "$build/log/diag" >>"$ktap"
	echo "    $word $nr $what" >>"$ktap"
	say "$word - $what ($((SECONDS - t)) s)"
	sed 's/^/  /' "$build/log/diag"
	case $word$what in
	not*)		failed=$((failed + 1)); [ "$worst" -gt "$rc" ] || worst=$rc ;;
	*'# SKIP')	skipped=$((skipped + 1)) ;;
	*)		passed=$((passed + 1)) ;;
	esac
}

began=$SECONDS
lock
deps kernel guest x86
mkdir -p "$build/log"
source_get x86
dir=$(patches_dir) || exit $E_USAGE
[ -n "$dir" ] || die $E_USAGE "There is no series of patches yet"
mapfile -t patches < <(series_patches "$dir" | head -n 2 | sed "s|^|$dir/|")
mapfile -t files < <(patch_files "${patches[@]}")
patch -d "$src" -p1 --fuzz=0 --force --dry-run -i "${patches[0]}" >"$build/log/patch.log" 2>&1 ||
	die $E_USAGE "$(rel "${patches[0]}") does not fit Linux $src_version; it is known to fit $(
		paste -sd ' ' "$dir/KNOWN")."
say "# make x86: $src_name, $(printf '%s\n' "${patches[@]##*/}" | paste -sd ' ')"
initrd_build x86_64
x86_tree

ktap=$out/x86.ktap
nr=0 passed=0 failed=0 skipped=0 worst=0
{ echo "KTAP version 1"; echo "1..1"; echo "    KTAP version 1"; echo "    # Subtest: x86"
	echo "    1..$((2 * ${#cases[@]}))"; } >"$ktap"
# Each case without the patch that it needs, and with it.
for n in 0 1 2; do
	x86_kernel "$n"
	for c in "${cases[@]}"; do
		case $((needs[$c] - n)) in
		0 | 1) one "$c" "$n" ;;
		esac
	done
done
[ "$worst" -eq 0 ] && echo "ok 1 x86" >>"$ktap" || echo "not ok 1 x86" >>"$ktap"

say "# results: $(rel "$ktap"), consoles: out/x86-*.console"
printf '%s %s %s\n' "$passed" "$failed" "$skipped" >"$build/x86.count"
say "# x86: $passed passed, $failed failed, $skipped skipped ($((SECONDS - began)) s)"
[ "$worst" -ne 0 ] || record x86 $((SECONDS - began))
exit "$worst"
