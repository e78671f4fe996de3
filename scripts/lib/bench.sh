# shellcheck shell=bash
# What make bench and make bench-check share: the plugin, the rivals' kernels, and a
# boot that is counted.

# bench_plugin: build the plugin that counts; sets plugin.
bench_plugin()
{
	local dir=$build/bench stamp

	plugin=$dir/count.so
	stamp=$({ cat "$top/bench/count.c"; gcc --version; } | sha256sum)
	[ "$(cat "$dir/count.built" 2>/dev/null)" != "$stamp" ] || return 0
	mkdir -p "$dir"
	rm -f "$dir/count.built"
	shown gcc -shared -fPIC -O2 -Wall -Wextra -Werror -fvisibility=hidden -o "$plugin" \
		"$top/bench/count.c" || exit $E_FAIL
	echo "$stamp" >"$dir/count.built"
}

# rivals_dir: those of this base.
rivals_dir()
{
	if [ "$base" = "$default_base" ]; then
		echo "$top/bench/rivals"
	else
		echo "$top/bench/rivals/$base"
	fi
}

# rival_line NAME: what the series says of it, a word a line: the base, patches.
rival_line()
{
	sed -n "s/^$1:[[:space:]]*//p" "$(rivals_dir)/series" | tr ' ' '\n' | sed '/^$/d'
}

# rival_stage BASE-DIR: the files of $patches as they are there, in $stage, and patched.
rival_stage()
{
	local f p

	mapfile -t files < <(patch_files "${patches[@]}")
	rm -rf "$stage" "$stage.before"
	mkdir -p "$stage"
	for f in "${files[@]}"; do
		[ -f "$1/$f" ] || continue
		mkdir -p "$stage/$(dirname "$f")"
		cp "$1/$f" "$stage/$f"
	done
	cp -a "$stage" "$stage.before"
	for p in "${patches[@]}"; do
		patch -d "$stage" -p1 --fuzz=0 --force --no-backup-if-mismatch -r - -i "$p" \
			>"$build/log/patch.log" 2>&1 ||
			die $E_USAGE "$(rel "$p") does not fit this tree; the log: .build/log/patch.log"
	done
}

# rival_kernel NAME: set obj and image to the rival's kernel. tree_update() must have run.
rival_kernel()
{
	local name=$1 stage=$build/stage/$src_key-rival first
	local -a patches files line

	mapfile -t line < <(rival_line "$name")
	patches=("${line[@]:1}")
	case ${line[0]}/${#patches[@]} in
	ours/0)
		guest_kernel guest-4k 4k
		;;
	ours/*)
		patches=("${patches[@]/#/$(rivals_dir)/}")
		rival_stage "$tree"
		rival_of_ours
		;;
	pristine/*)
		first=$(patches_dir)
		patches=("$first/$(series_patches "$first" | head -n 1)"
			"${patches[@]/#/$(rivals_dir)/}")
		rival_stage "$src"
		rival_of_pristine
		;;
	esac
}

# Ours but for the files in $stage. One tree for all: it is ours again afterwards.
rival_of_ours()
{
	local f rc=0 ours=$tree_id dir=$build/O/$src_key/bench-$name

	tree_id=$(cd "$stage" && { echo "$ours"; sha256sum "${files[@]}"; } | sha256sum | cut -c -16)
	# tree_update() of the next command puts these back if this one is stopped.
	printf '%s\n' "${files[@]}" | sort -u - "$tree.touched" >"$tree.touched.new"
	mv "$tree.touched.new" "$tree.touched"
	for f in "${files[@]}"; do
		tree_put "$stage/$f" "$tree/$f"
	done
	# Most objects are those of ours: begin with them.
	if [ ! -d "$dir" ] && [ -d "$build/O/$src_key/guest-4k" ]; then
		cp -a "$build/O/$src_key/guest-4k" "$dir"
		rm -rf "$dir"/{hvo-module,.hvo-built}
	fi
	(guest_kernel "bench-$name" 4k) || rc=$?
	obj=$dir image=$dir/arch/arm64/boot/Image
	for f in "${files[@]}"; do
		if [ -f "$stage.before/$f" ]; then
			tree_put "$stage.before/$f" "$tree/$f"
		else
			rm -f "$tree/$f"
		fi
	done
	tree_id=$ours
	[ "$rc" -eq 0 ] || exit "$rc"
}

# Pristine but for the files in $stage: a tree of its own, for nearly every object differs.
rival_of_pristine()
{
	local f ours=$tree ours_id=$tree_id ours_kconfig=$kconfig_id

	tree=$build/tree/$src_key-$name
	if [ ! -d "$tree" ]; then
		rm -rf "$tree.new"
		logged "Making the tree of $name" "$build/log/tree.log" true \
			cp -al "$src" "$tree.new" || exit $E_FAIL
		mv "$tree.new" "$tree"
	fi
	for f in "${files[@]}"; do
		files_equal "$stage/$f" "$tree/$f" || tree_put "$stage/$f" "$tree/$f"
	done
	tree_id=$(cd "$stage" && sha256sum "${files[@]}" | sha256sum | cut -c -16) kconfig_id=$tree_id
	kernel_build "bench-$name" arm64 Image "$top/configs/guest.config" \
		"$top/configs/4k.config" "$top/bench/rivals/$name.config"
	tree=$ours tree_id=$ours_id kconfig_id=$ours_kconfig
}

# bench_boot NAME CPUS MEM_MB APPEND CASES [PLUGIN-ARG [QEMU-ARG...]]: a boot of $image that
# is counted; leaves out/bench/NAME.results, .console and .counts.
bench_boot()
{
	local name=$1 cpus=$2 mem=$3 append=$4 cases=$5 more=${6:-} qemu_counts=1

	shift 5
	[ $# -eq 0 ] || shift
	mkdir -p "$out/bench"
	boot_guest "bench/$name" arm64 "$cpus" "$mem" 500 "nokaslr $append" "$cases" \
		-plugin "$plugin,out=$out/bench/$name.counts,vcpus=$cpus${more:+,$more}" "$@"
}
