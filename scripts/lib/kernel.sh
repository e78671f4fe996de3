# shellcheck shell=bash
# Configure and build a kernel in .build/O/KEY/NAME.

# Set where another command has built them, and may be changing the tree by now.
kernels_are_built=

# kmake_args ARCH OBJDIR: set kmake to the make command for that architecture.
kmake_args()
{
	local arch=$1 obj=$2 host=$host_arch cross= cc=gcc

	[ "$host" != aarch64 ] || host=arm64
	if [ "$arch" != "$host" ]; then
		case $arch in
		arm64)	cross=aarch64-linux-gnu- ;;
		x86_64)	cross=x86_64-linux-gnu- ;;
		esac
	fi
	cc=${cross}gcc
	kernel_cc=$cc
	if command -v ccache >/dev/null; then
		cc="ccache $cc"
		# Another clone, or a worktree, finds the same objects.
		export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1
	fi
	# A fixed date and host: the same source gives the same objects.
	kmake=(make -C "$tree" "O=$obj" "ARCH=$arch" "CROSS_COMPILE=$cross" "CC=$cc"
		"HOSTCC=gcc" KBUILD_BUILD_TIMESTAMP=2026-01-01 KBUILD_BUILD_USER=hvo
		KBUILD_BUILD_HOST=hvo KBUILD_BUILD_VERSION=1 LOCALVERSION=)
	[ "$V" != 1 ] || kmake+=(V=1)
}

# kunit_args OBJDIR SYMBOL: set conf to what kunit.py needs to build our suites, with
# one more line of configuration.
kunit_args()
{
	local a

	kmake_args arm64 "$1"
	conf=("--kunitconfig=$tree/mm/kunit" "--kconfig_add=$2" "--jobs=$(nproc)")
	for a in "${kmake[@]:1}"; do
		case $a in
		CROSS_COMPILE=?*) conf+=("--cross_compile=${a#*=}") ;;
		CC=* | HOSTCC=* | KBUILD_* | LOCALVERSION=*) conf+=("--make_options=$a") ;;
		esac
	done
}

# kunit_qemu GRANULE: its guest, in $qemu. With pages of 64 KiB the largest huge page
# is of 16 GiB. The host lends no more of that than is written to.
kunit_qemu()
{
	local mb=36864

	if [ "$1" != 64k ]; then
		qemu_args arm64 2 4096
	elif [ "$(cat /proc/sys/vm/overcommit_memory)" = 2 ]; then
		# Without overcommitment, four huge pages of a PMD.
		qemu_args arm64 2 8192
	else
		qemu_args arm64 2 "$mb"
		qemu+=(-machine memory-backend=ram
			-object "memory-backend-ram,id=ram,size=${mb}M,reserve=off")
	fi
}

# config_check CONFIG FRAGMENT...: every line of the fragments must hold, but for those
# that a later fragment takes back.
config_check()
{
	local config=$1 line sym bad=0

	shift
	while IFS= read -r line; do
		case $line in
		CONFIG_*=n)	sym=${line%=n} ;;
		CONFIG_*)
			grep -qxF "$line" "$config" && continue
			say "The kernel's configuration refused $line; it has: $(
				grep -E "^(# )?${line%%=*}[ =]" "$config" || echo 'no such symbol')" >&2
			bad=1
			continue
			;;
		'# CONFIG_'*' is not set')
			sym=${line#\# }
			sym=${sym% is not set}
			;;
		*)	continue ;;
		esac
		if grep -q "^$sym=" "$config"; then
			say "The kernel's configuration refused $line; it has: $(grep "^$sym=" "$config")" >&2
			bad=1
		fi
	done < <(cat "$@" | awk '
		/^CONFIG_/ { split($0, a, "="); at[a[1]] = NR }
		/^# CONFIG_.* is not set$/ { at[$2] = NR }
		{ text[NR] = $0 }
		END { for (s in at) print text[at[s]] }')
	return $bad
}

# base_fragments FRAGMENT...: print the fragments, each followed by what this base has
# otherwise, configs/BASE/ with the same name.
base_fragments()
{
	local f

	for f; do
		printf '%s\n' "$f"
		[ ! -f "$top/configs/$base/$(basename "$f")" ] ||
			printf '%s\n' "$top/configs/$base/$(basename "$f")"
	done
}

# kernel_build NAME ARCH TARGET FRAGMENT...: build TARGET (Image, bzImage) of the
# built tree; sets obj and image. Does nothing when nothing changed. Fragments
# are paths; hvo.config is left out while there is no series of patches.
kernel_build()
{
	local name=$1 arch=$2 target=$3 f stamp conf_stamp log=$build/log/kernel-$1.log
	local -a frags=() kmake

	shift 3
	for f in $(base_fragments "$@"); do
		[ "$(basename "$f")" = hvo.config ] && [ -z "$(patches_dir)" ] && continue
		frags+=("$f")
	done
	obj=$build/O/$src_key/$name
	mkdir -p "$obj"
	kmake_args "$arch" "$obj"
	case $arch in
	x86_64)	image=$obj/arch/x86/boot/$target ;;
	*)	image=$obj/arch/$arch/boot/$target ;;
	esac
	if [ -n "$kernels_are_built" ] && [ -f "$image" ] && [ -f "$obj/.hvo-built" ]; then
		return 0
	fi

	conf_stamp=$({ cat "${frags[@]}"; echo "$kconfig_id $arch"; "$kernel_cc" --version; } |
		sha256sum | cut -c -16)
	stamp="$tree_id $conf_stamp $target"
	if [ -f "$image" ] && [ "$(cat "$obj/.hvo-built" 2>/dev/null)" = "$stamp" ]; then
		return 0
	fi
	rm -f "$obj/.hvo-built"
	if [ "$(cat "$obj/.hvo-configured" 2>/dev/null)" != "$conf_stamp" ]; then
		rm -f "$obj/.hvo-configured"
		cat "${frags[@]}" >"$obj/.hvo-fragments"
		KCONFIG_ALLCONFIG=$obj/.hvo-fragments \
			logged "Configuring $name" "$build/log/config-$name.log" true \
			"${kmake[@]}" allnoconfig || exit $E_FAIL
		config_check "$obj/.config" "${frags[@]}" || exit $E_FAIL
		echo "$conf_stamp" >"$obj/.hvo-configured"
	fi
	say "Building the $name kernel (log: $(rel "$log"))"
	logged "$name kernel" "$log" \
		"grep -cE '^  (CC|AS|LD|AR) ' '$log' | sed 's/\$/ objects built/'" \
		"${kmake[@]}" "-j$(nproc)" "$target" || exit $E_FAIL
	echo "$stamp" >"$obj/.hvo-built"
}

# guest_kernel NAME GRANULE [FRAGMENT...]: the arm64 guest kernel.
guest_kernel()
{
	local name=$1 granule=$2

	shift 2
	kernel_build "$name" arm64 Image "$top/configs/guest.config" \
		"$top/configs/$granule.config" "$top/configs/hvo.config" "$@"
}

# module_build NAME: build tests/module/NAME.c for the kernel that was built last; sets
# ko. Returns 1 where it cannot be built or linked; module_log says why.
module_build()
{
	local dir=$obj/hvo-module/$1 stamp
	local -a kmake

	ko=$dir/$1.ko
	module_log=$build/log/module-$1.log
	stamp=$({ cat "$obj/.hvo-built" "$top/tests/module/$1.c"; } | sha256sum)
	if [ "$(cat "$dir/.hvo-built" 2>/dev/null)" = "$stamp" ]; then
		[ -f "$ko" ]
		return
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	cp "$top/tests/module/$1.c" "$dir"
	echo "obj-m := $1.o" >"$dir/Kbuild"
	# The kernel has no module of its own: what it exports is all that there is.
	cp "$obj/vmlinux.symvers" "$obj/Module.symvers"
	kmake_args arm64 "$obj"
	{
		"${kmake[@]}" modules_prepare && "${kmake[@]}" "M=$dir" modules
	} </dev/null >"$module_log" 2>&1 || rm -f "$ko"
	echo "$stamp" >"$dir/.hvo-built"
	[ -f "$ko" ]
}
