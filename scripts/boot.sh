#!/usr/bin/env bash
# make boot: run the boots that tests/boot/ describes, and tests/boot/BASE/ for one
# base alone; the result is out/boot.ktap. BOOT=10-main runs only that one.
#
# A description is made of these:
#	kernel guest|debug|mte|rt|kasan|host|shape	which kernel; shape: of make matrix
#	alone				it measures time: nothing else may run meanwhile
#	granule 4k|16k|64k...		only with these
#	arch arm64|x86_64...		what it makes sense on, if not on arm64 alone
#	machine CPUS MEM
#	append PARAMETER...		the kernel's command line
#	qemu_extra ARG...		more for QEMU's
#	monitor				the guest has QEMU's monitor as a port
#	module NAME			/lib/NAME.ko in the guest, of tests/module/, which
#					taints the kernel
#	with_image			/boot/Image in the guest, the kernel itself
#	with_vmm			the same, /boot/initrd, and Debian's QEMU in /vmm
#	rare				too long for make check, which leaves it out
#	limit SECONDS			it takes longer than 400 s
#	broken_qemu VERSION REASON	take a newer QEMU than such a one (7.2 is any
#					7.2.x), and skip it all if none can be had
#	check NAME SPEC			a case for our init (tests/guest/init.c)
#	twin NAME SPEC REGEX		the same, but it must fail with that message
#	logs NAME COUNT REGEX		the console must have so many such lines
#	expects NAME COUNT REGEX	the same of lines that make any other boot bad;
#					the kernel must end tainted by an oops then
#
# For make check, which has other tests run meanwhile:
#	BOOT_ONLY=build		build all that the boots need, and boot nothing
#	BOOT_ONLY=boot		build nothing; those that have to be alone come last,
#				and wait for .build/busy to be unlocked
#
# ARCH=x86_64 takes upstream's HVO as the series leaves it, and the descriptions for it.
. "$(dirname "$0")/lib.sh"

ARCH=${ARCH:-arm64}
one_of ARCH "$ARCH" arm64 x86_64
GRANULE=${GRANULE:-4k} BOOT=${BOOT:-}
one_of GRANULE "$GRANULE" 4k 16k 64k
if [ "$ARCH" = x86_64 ] && [ "$GRANULE" != 4k ]; then
	die $E_USAGE "GRANULE=$GRANULE: with ARCH=x86_64 pages have 4 KiB"
fi
BOOT_ONLY=${BOOT_ONLY:-}
one_of BOOT_ONLY "$BOOT_ONLY" "" build boot

# shellcheck disable=SC2317 # called by the descriptions
alone() { d_alone=1; }
# shellcheck disable=SC2317
rare() { d_rare=1; }
# shellcheck disable=SC2317
limit() { d_limit=$1; }
# shellcheck disable=SC2317
module() { d_module=$1; }
# shellcheck disable=SC2317
with_image() { d_image=1; }
# shellcheck disable=SC2317
with_vmm() { d_image=1 d_vmm=1; }
# shellcheck disable=SC2317
kernel() { d_kernel=$1; }
# shellcheck disable=SC2317
granule() { d_granules=$*; }
# shellcheck disable=SC2317
arch() { d_archs=$*; }
# shellcheck disable=SC2317
machine() { d_cpus=$1 d_mem=$2; }
# shellcheck disable=SC2317
append() { d_append=$*; }
# shellcheck disable=SC2317
qemu_extra() { d_qemu+=("$@"); }
# The two ends of a socket, both in QEMU: its monitor, and a port of the guest's.
# shellcheck disable=SC2317
monitor()
{
	local at=path=$build/monitor.socket

	d_qemu+=(-chardev "socket,id=monitor,$at,server=on,wait=off" -mon "chardev=monitor"
		-chardev "socket,id=to-monitor,$at"
		-device "virtserialport,chardev=to-monitor,name=monitor")
}
# shellcheck disable=SC2317
broken_qemu() { d_broken=$1 d_why=$2; }

# shellcheck disable=SC2317
check()
{
	names+=("$1") specs+=("$2") kinds+=(check) wants+=("")
}

# shellcheck disable=SC2317
twin()
{
	names+=("$1") specs+=("!$2") kinds+=(twin) wants+=("$3")
}

# shellcheck disable=SC2317
logs()
{
	names+=("$1") specs+=("$3") kinds+=(logs) wants+=("$2")
}

# shellcheck disable=SC2317
expects()
{
	names+=("$1") specs+=("$3") kinds+=(logs) wants+=("$2")
	expected+=("$2 $3")
}

# guest_output SPEC: what the case wrote, without the records; in all boots, where it
# is one that boots again.
guest_output()
{
	awk -v start="start $1" '
		/^(ok|not ok|skip|start|begin) / { on = 0 }
		on { print }
		$0 == start { on = 1 }' "$res"
}

# result_of I: print "ok", "not ok" or "skip", and the seconds; the case's own
# diagnostic lines go to stderr.
result_of()
{
	local spec=${specs[$1]} want=${wants[$1]} n rec

	if [ "${kinds[$1]}" = logs ]; then
		n=$(log_count "$spec" "$con")
		[ "$n" -eq "$want" ] && { echo ok; return; }
		echo "# $n lines of the console match '$spec', expected $want" >&2
		echo "not ok"
		return
	fi
	guest_output "$spec" | sed -n 's/^#/#/p' >&2
	rec=$(awk -v spec="$spec" '
		/^(ok|not ok|skip) / && $(NF - 1) == spec { last = $NF; sub(/ [^ ]+ [^ ]+$/, ""); print $0, last; exit }' \
		FS=' ' "$res" | head -n 1)
	if [ -z "$rec" ]; then
		echo "# no result" >&2
		echo "not ok"
	elif [ "${kinds[$1]}" = twin ] && [[ $rec == ok* ]] &&
	     ! guest_output "$spec" | grep -qE "$want"; then
		echo "# it failed, but not with '$want'" >&2
		echo "not ok"
	else
		echo "$rec"
	fi
}

# find_descriptions: set files to those of this base, or to the one that BOOT names.
find_descriptions()
{
	if [ -n "${SHAPE:-}" ]; then
		files=("$top/tests/matrix/shape.sh")
		return
	fi
	mapfile -t files < <(printf '%s\n' "$top"/tests/boot/*.sh "$top/tests/boot/$base"/*.sh |
		grep -v '/\*\.sh$' | grep -E "/${BOOT:-[^*]*}\\.sh\$")
	[ ${#files[@]} -gt 0 ] ||
		die $E_USAGE "There is no boot called $BOOT in tests/boot/ or tests/boot/$base/"
}

# describe FILE: read a description.
describe()
{
	names=() specs=() kinds=() wants=() expected=() d_qemu=()
	d_kernel=guest d_cpus=2 d_mem=4G d_append='' d_broken='' d_why='' d_alone=''
	d_granules='' d_archs=arm64 d_rare='' d_limit=400 d_module='' d_image='' d_vmm='' taints=0
	# shellcheck disable=SC1090
	. "$1"
}

# its_kernel: the kernel of a description; sets obj and image.
its_kernel()
{
	case $ARCH/$d_kernel in
	x86_64/*)
		kernel_build boot-x86 x86_64 bzImage "$top/configs/x86.config" \
			"$top/configs/x86-boot.config"
		;;
	*/shape)
		guest_kernel "shape-$SHAPE" "$GRANULE" "$top/configs/small.config" "$SHAPE_CONFIG"
		;;
	*/guest)	guest_kernel "guest-$GRANULE" "$GRANULE" ;;
	*)	guest_kernel "$d_kernel-$GRANULE" "$GRANULE" "$top/configs/$d_kernel.config" ;;
	esac
}

# its_granule: is the description for pages of this size? Or else say in d_why for which.
its_granule()
{
	[ -n "$d_granules" ] && [[ " $d_granules " != *" $GRANULE "* ]] || return 0
	d_why="it is for pages of ${d_granules// / or }"
	return 1
}

# its_qemu: the QEMU of a description; or else say in d_why why there is none.
its_qemu()
{
	local version

	qemu_arm64="qemu-system-aarch64"
	[ -n "$d_broken" ] || return 0
	version=$(qemu_version)
	[[ $version. == "$d_broken."* ]] || return 0
	d_why="QEMU $version: $d_why"
	# Two lanes of make check share what the first of them has unpacked, or not.
	if [ "$BOOT_ONLY" = boot ] && [ ! -d "$build/newer-qemu" ]; then
		d_why+="; no newer one could be had (log: .build/log/newer-qemu.log)"
		return 1
	fi
	if ! qemu_newer; then
		d_why+="; $newer_why"
		return 1
	fi
}

# its_vmm: the QEMU that a description wants in its guest; or else say in d_why why there
# is none.
its_vmm()
{
	local newer_arch=arm64

	[ -n "$d_vmm" ] && [ ! -x "$build/guest-qemu/qemu-system-aarch64" ] || return 0
	if ! newer_unpack guest-qemu qemu-system-arm bookworm; then
		d_why=$newer_why
		return 1
	fi
	newer_keep guest-qemu qemu-system-aarch64 qemu -L
}

# its_initrd: what a description wants in the initramfs besides.
its_initrd()
{
	local dir=$build/guest/more

	[ -n "$d_module$d_image" ] || return 0
	rm -rf "$dir"
	mkdir -p "$dir"/{boot,lib}
	[ -z "$d_image" ] || cp "$image" "$dir/boot/Image"
	if [ -n "$d_vmm" ]; then
		cp "$initrd" "$dir/boot/initrd"
		cp -a "$build/guest-qemu" "$dir/vmm"
	fi
	if [ -n "$d_module" ]; then
		if module_build "$d_module"; then
			cp "$ko" "$dir/lib"
		else
			grep -a ERROR "$module_log" || true
		fi
		# Not GPL, and not of the kernel's tree.
		taints=4097
	fi
	{
		cat "$initrd"
		initramfs_of "$dir"
	} >"$build/guest/more.gz"
	initrd=$build/guest/more.gz
}

# one_boot FILE NUMBER: run one description; its KTAP goes to the file.
one_boot()
{
	local name i rec word args=() rc=0 failed=0 began=$SECONDS mem initrd=$initrd

	name=$(basename "$1" .sh)
	describe "$1"
	if ! its_granule || ! its_qemu || ! its_vmm; then
		for i in "${names[@]}"; do
			say "skip - $name: $i ($d_why)"
		done
		skipped=$((skipped + ${#names[@]}))
		echo "ok $2 $name # SKIP $d_why" >>"$ktap"
		return
	fi
	its_kernel
	its_initrd
	for i in "${!specs[@]}"; do
		[ "${kinds[i]}" = logs ] || args+=("${specs[i]}")
	done
	mem=$(mem_mb MEM "$d_mem" 512 131072)
	say "# boot $name, QEMU $(qemu_version)"
	boot_guest "boot-$name" "$ARCH" "$d_cpus" "$mem" "$d_limit" "$d_append" "${args[*]}" \
		${d_qemu[@]+"${d_qemu[@]}"} >"$build/log/boot-$name.verdict" || rc=$?

	{
		echo "    KTAP version 1"
		echo "    # Subtest: $name"
		echo "    1..$((${#names[@]} + 1))"
	} >>"$ktap"
	for i in "${!names[@]}"; do
		rec=$(result_of "$i" 2>"$build/log/diag")
		sed 's/^/    /' "$build/log/diag" >>"$ktap"
		word=$(sed -E 's/ [0-9.]+$//' <<<"$rec")
		case $word in
		ok)	passed=$((passed + 1)) ;;
		skip)
			skipped=$((skipped + 1))
			echo "    ok $((i + 1)) ${names[i]} # SKIP" >>"$ktap"
			say "skip - $name: ${names[i]}"
			cat "$build/log/diag"
			continue
			;;
		*)	word="not ok" failed=$((failed + 1)) ;;
		esac
		echo "    $word $((i + 1)) ${names[i]}" >>"$ktap"
		say "$word - $name: ${names[i]} (${rec##* } s)" | sed 's/ (\(ok\) s)$//'
		if [ "$word" = "not ok" ] || [ "${kinds[i]}" = check ]; then
			cat "$build/log/diag"
		fi
	done

	# The boot itself: 1 only repeats that a case failed.
	word=ok
	if [ "$rc" -gt 1 ] || { [ "$rc" -eq 1 ] && [ "$failed" -eq 0 ]; }; then
		word="not ok"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
	if [ "$word" != ok ] || [ "$failed" -gt 0 ]; then
		cat "$build/log/boot-$name.verdict"
	fi
	sed 's/^ */    # /' "$build/log/boot-$name.verdict" >>"$ktap"
	echo "    $word $((${#names[@]} + 1)) the guest comes up and down clean" >>"$ktap"
	say "$word - $name: the guest comes up and down clean ($((SECONDS - began)) s, $(rel "$con"))"
	failures=$((failures + failed))
	if [ "$failed" -gt 0 ]; then
		[ "$rc" -ne 0 ] || rc=$E_FAIL
		[ "$worst" -gt "$rc" ] || worst=$rc
		echo "not ok $2 $name" >>"$ktap"
	else
		echo "ok $2 $name" >>"$ktap"
	fi
}

# operations_inlined DIRECTORY: where KUnit is not built in, nothing is left in its
# objects of the functions that it replaces, not even a call.
# shellcheck disable=SC2317 # called by judge
operations_inlined()
{
	local ops syms

	syms=$("${kernel_cc%gcc}nm" "$1"/vmemmap_shadow*.o)
	ops=$(sed -n 's/^\tKUNIT_STATIC_STUB_REDIRECT(\([a-z_]*\)[,)].*/\1/p' \
		"$top/arch/arm64/mm/vmemmap_shadow_ops.h")
	[ -n "$ops" ] || { say "# the source has no operations"; return 1; }
	grep -q ' T vmemmap_shadow_optimize_folio$' <<<"$syms" ||
		{ say "# these are not the objects"; return 1; }
	! grep -wF -e kunit_running -e kunit_hooks -f - <(printf '%s\n' "$syms") <<<"$ops"
}

# The symbols of the kernel that a module takes and, not being GPL, must not.
refused_symbols()
{
	local incompatible="(GPL-incompatible module $1\.ko|$1\.ko: GPL-incompatible module)"

	sed -nE "s/^ERROR: modpost: $incompatible uses GPL-only symbol '(.*)'\$/\2/p" \
		"$build/log/module-$1.log"
}

# module_is_free: a module that is not GPL takes references as it did before. Preemptible
# RCU is what the kernel itself refuses it; see the boots with another kernel.
module_is_free()
{
	local refused

	module_build twin || true
	[ "$(refused_symbols twin)" = synchronize_rcu ] || {
		say "# a call that is for GPL modules only is not noticed"
		return 1
	}
	module_build reference && return
	refused=$(refused_symbols reference | grep -vxE '__rcu_read_(un)?lock' || true)
	[ -n "$refused" ] || refused=$(grep -avE \
		"uses GPL-only symbol '__rcu_read_(un)?lock'" "$module_log" | grep -a 'ERROR\|error:' || true)
	[ -z "$refused" ] || { say "# it is refused: ${refused//$'\n'/ }"; return 1; }
}

# judge TEXT CMD...: a check that is no boot.
judge()
{
	local text=$1

	shift
	if "$@"; then
		say "ok - boot: $text"
		passed=$((passed + 1))
	else
		say "not ok - boot: $text"
		failures=$((failures + 1)) worst=$E_FAIL
	fi
}

began=$SECONDS
lock
deps kernel guest qemu
[ "$ARCH" = arm64 ] || deps x86
# What makes no sense is refused before anything is done; KSRC= may mean another base.
[ -n "${KSRC:-}" ] || find_descriptions
source_get boot
find_descriptions
if [ "$BOOT_ONLY" = boot ]; then
	kernels_are_built=1 tree=$build/tree/$src_key
else
	tree_update
fi
initrd_build "$ARCH"
if [ "$BOOT_ONLY" = build ]; then
	for f in "${files[@]}"; do
		describe "$f"
		[ -z "$d_rare" ] || continue
		! its_granule || ! its_qemu || ! its_vmm || its_kernel
	done
	guest_kernel "guest-$GRANULE" "$GRANULE"
	module_is_free >/dev/null || true
	exit 0
fi
say "# make boot: $src_name, $ARCH, $GRANULE pages"

together=() by_themselves=() left_out=() others=()
for f in "${files[@]}"; do
	describe "$f"
	if [[ " $d_archs " != *" $ARCH "* ]]; then
		others+=("$(basename "$f" .sh)")
	elif [ -n "$d_rare" ] && [ -n "$BOOT_ONLY" ]; then
		left_out+=("$(basename "$f" .sh)")
	elif [ -n "$d_alone" ]; then
		by_themselves+=("$f")
	else
		together+=("$f")
	fi
done
[ ${#left_out[@]} -eq 0 ] || say "# left out, make boot has them: ${left_out[*]}"
[ ${#others[@]} -eq 0 ] || say "# not for $ARCH: ${others[*]}"
files=(${together[@]+"${together[@]}"} ${by_themselves[@]+"${by_themselves[@]}"})
ktap=$out/boot.ktap
passed=0 failures=0 skipped=0 worst=0
{ echo "KTAP version 1"; echo "1..${#files[@]}"; } >"$ktap"
if [ -z "$BOOT${SHAPE:-}" ] && [ "$ARCH" = arm64 ]; then
	guest_kernel "guest-$GRANULE" "$GRANULE"
	judge "the operations that KUnit replaces cost nothing without it" \
		operations_inlined "$obj/arch/arm64/mm"
	judge "a module that is not GPL takes references to pages" module_is_free
fi
for n in "${!files[@]}"; do
	if [ "$BOOT_ONLY" = boot ] && [ "$n" -eq ${#together[@]} ]; then
		flock "$build/busy" true
	fi
	one_boot "${files[n]}" $((n + 1))
done

say "# results: $(rel "$ktap"), consoles: out/boot-*.console"
printf '%s %s %s\n' "$passed" "$failures" "$skipped" >"$build/boot.count"
say "# boot: $passed passed, $failures failed, $skipped skipped ($((SECONDS - began)) s)"
[ $((passed + failures)) -gt 0 ] || exit $E_NOTEST
[ "$failures" -gt 0 ] || [ -n "$BOOT${SHAPE:-}" ] || [ "$ARCH" != arm64 ] || record boot $((SECONDS - began))
exit "$worst"
