#!/usr/bin/env bash
# make objdiff: with CONFIG_ARM64_VMEMMAP_PAGEGRAN off, do the objects of the
# files that the patches touch hold the same code as the pristine tree's?
#
# Each C file that a patch changes, and each that includes a changed header, is
# built from both trees with one configuration, without line numbers (BUG tables
# hold them), and compared. The patches before the first zone of the series are for
# all architectures; what they change is compared with the pristine tree plus these.
. "$(dirname "$0")/lib.sh"

began=$SECONDS
lock
deps kernel x86
source_get objdiff
tree_update
dir=$(patches_dir)
[ -n "$dir" ] || die $E_USAGE "There is no series of patches yet"

passed=0 changed=0
tested=$tree
log=$build/log/objdiff.log
: >"$log"

mapfile -t patches < <(series_patches "$dir" | sed "s|^|$dir/|")
mapfile -t generic < <(sed '/^# zone:/,$d' "$dir/series" | sed -e '/^#/d' -e "s|^|$dir/|")
mapfile -t touched < <(patch_files "${patches[@]}" | grep '\.[chS]$' || true)

# objects_for ARCH: the objects of the touched files that ARCH builds, and users
# of each touched header.
objects_for()
{
	local f

	for f in "${touched[@]}"; do
		case $f in
		arch/*)
			[[ $f == arch/$1/*.[cS] ]] && echo "${f%.*}.o"
			;;
		include/linux/*.h)
			# All the kernel uses these; some that use them most.
			printf '%s\n' mm/filemap.o mm/gup.o mm/page_alloc.o mm/rmap.o \
				mm/compaction.o mm/swap.o
			;;
		*.h)
			(cd "$src" && grep -rlF "\"$(basename "$f")\"" --include='*.c' "$(dirname "$f")") |
				sed 's/\.c$/.o/'
			;;
		*)	echo "${f%.*}.o" ;;
		esac
	done | sort -u
}

# build_objects TREE NAME ARCH OBJECT...: sets obj.
build_objects()
{
	local name=$2 arch=$3 frags=("$top/configs/guest.config" "$top/configs/4k.config")
	local -a kmake

	tree=$1
	[ "$arch" = arm64 ] || frags=("$top/configs/x86.config")
	mapfile -t frags < <(base_fragments "${frags[@]}")
	shift 3
	obj=$build/O/$src_key/objdiff-$name-$arch
	mkdir -p "$obj"
	kmake_args "$arch" "$obj"
	# Line numbers move; nothing else may. Lockdep holds them, and names of files.
	cat "${frags[@]}" - >"$obj/fragments" <<-EOT
		CONFIG_EXPERT=y
		# CONFIG_DEBUG_BUGVERBOSE is not set
	EOT
	sed -i -e '/^CONFIG_DEBUG_BUGVERBOSE=y$/d' -e '/^CONFIG_PROVE_LOCKING=y$/d' "$obj/fragments"
	KCONFIG_ALLCONFIG=$obj/fragments logged "Configuring $name $arch" "$log.conf" true \
		"${kmake[@]}" allnoconfig || exit $E_FAIL
	config_check "$obj/.config" "$obj/fragments" || exit $E_FAIL
	logged "Preparing the $name tree, $arch" "$log.make" \
		"grep -c '^  ' '$log.make' | sed 's/\$/ steps/'" \
		"${kmake[@]}" "-j$(nproc)" prepare || exit $E_FAIL
	# An object that this configuration leaves out may well not compile.
	"${kmake[@]}" -k "-j$(nproc)" "$@" >>"$log.make" 2>&1 || true
}

# sections OBJECT OBJDUMP: a checksum of each section's contents and relocations.
sections()
{
	"$2" -h "$1" | awk '$1 ~ /^[0-9]+$/ { print $2 }' | sort -u | while read -r s; do
		printf '%s %s\n' "$s" "$("$2" -s -r -j "$s" "$1" 2>/dev/null | tail -n +4 |
			sha256sum | cut -c -16)"
	done
}

# The pristine tree with the patches for all architectures.
repaired_tree()
{
	local stage=$build/stage/$src_key-repaired f p

	repaired=$build/tree/$src_key-repaired
	mapfile -t repair < <(patch_files "${generic[@]}")
	rm -rf "$stage" "$repaired" "$repaired.new"
	for f in "${repair[@]}"; do
		mkdir -p "$stage/$(dirname "$f")"
		cp "$src/$f" "$stage/$f"
	done
	for p in "${generic[@]}"; do
		patch -d "$stage" -p1 --fuzz=0 --force --no-backup-if-mismatch -r - -i "$p" \
			>>"$log" || exit $E_USAGE
	done
	logged "Making the repaired tree" "$log.make" true cp -al "$src" "$repaired.new" || exit $E_FAIL
	for f in "${repair[@]}"; do
		tree_put "$stage/$f" "$repaired.new/$f"
	done
	mv "$repaired.new" "$repaired"
}

repaired_tree
arches=(arm64)
[ ! -f "$top/configs/x86.config" ] || [ "$host_arch" != x86_64 ] || arches+=(x86_64)
for arch in "${arches[@]}"; do
	mapfile -t objects < <(objects_for "${arch/x86_64/x86}")
	objdump=objdump
	[ "$arch" != arm64 ] || [ "$host_arch" = aarch64 ] || objdump=aarch64-linux-gnu-objdump
	build_objects "$src" pristine "$arch" "${objects[@]}"
	a=$obj
	build_objects "$tested" ours "$arch" "${objects[@]}"
	b=$obj
	build_objects "$repaired" repaired "$arch" "${objects[@]}"
	c=$obj
	if grep -q '^CONFIG_ARM64_VMEMMAP_PAGEGRAN=y' "$b/.config"; then
		die $E_FAIL "CONFIG_ARM64_VMEMMAP_PAGEGRAN is on by itself"
	fi
	for o in "${objects[@]}"; do
		if [ ! -f "$a/$o" ] || [ ! -f "$b/$o" ]; then
			say "skip - $arch $o: it does not compile without the option, nor is it asked to"
		elif cmp -s "$a/$o" "$b/$o"; then
			say "ok - $arch $o: identical"
			passed=$((passed + 1))
		elif [ "$(sections "$a/$o" $objdump)" = "$(sections "$b/$o" $objdump)" ]; then
			say "ok - $arch $o: identical but for symbols"
			passed=$((passed + 1))
		elif [ "$(sections "$c/$o" $objdump)" = "$(sections "$b/$o" $objdump)" ]; then
			say "ok - $arch $o: as with the first ${#generic[@]} patches alone"
			passed=$((passed + 1))
		else
			say "differs - $arch $o:" "$(diff <(sections "$a/$o" $objdump) \
				<(sections "$b/$o" $objdump) | awk '/^[<>]/ { print $2 }' | sort -u | paste -sd ' ')"
			diff <("$objdump" -d -r "$a/$o") <("$objdump" -d -r "$b/$o") >>"$log" || true
			changed=$((changed + 1))
		fi
	done
done
say "# $passed objects as in Linux $src_version, $changed differ (code: $(rel "$log")) ($((SECONDS - began)) s)"
[ $((passed + changed)) -gt 0 ] || exit $E_NOTEST
record objdiff $((SECONDS - began))
