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

# rival_patches NAME: the patches of bench/rivals/ that make a rival, in their order.
rival_patches()
{
	sed -n "s/^$1:[[:space:]]*//p" "$top/bench/rivals/series" | tr ' ' '\n' | sed '/^$/d'
}

# rival_kernel NAME: set image to the rival's kernel, which is ours but for its patches.
# One tree for all: it is ours again when this returns. tree_update() must have run.
rival_kernel()
{
	local p f id=$tree_id stage=$build/stage/$src_key-rival rc=0
	local -a patches files

	mapfile -t patches < <(rival_patches "$1")
	if [ ${#patches[@]} -eq 0 ]; then
		guest_kernel guest-4k 4k
		return
	fi
	patches=("${patches[@]/#/$top/bench/rivals/}")
	mapfile -t files < <(patch_files "${patches[@]}")
	rm -rf "$stage"
	for f in "${files[@]}"; do
		[ -f "$tree/$f" ] || continue
		mkdir -p "$stage/$(dirname "$f")"
		cp "$tree/$f" "$stage/$f"
	done
	cp -a "$stage" "$stage.ours"
	for p in "${patches[@]}"; do
		patch -d "$stage" -p1 --fuzz=0 --force --no-backup-if-mismatch -r - -i "$p" \
			>"$build/log/patch.log" 2>&1 ||
			die $E_USAGE "$(rel "$p") does not fit this tree; the log: .build/log/patch.log"
	done
	tree_id=$(cd "$stage" && { echo "$id"; sha256sum "${files[@]}"; } | sha256sum | cut -c -16)
	# tree_update() of the next command puts these back if this one is stopped.
	printf '%s\n' "${files[@]}" | sort -u - "$tree.touched" >"$tree.touched.new"
	mv "$tree.touched.new" "$tree.touched"
	for f in "${files[@]}"; do
		tree_put "$stage/$f" "$tree/$f"
	done
	(guest_kernel "bench-$1" 4k) || rc=$?
	obj=$build/O/$src_key/bench-$1 image=$build/O/$src_key/bench-$1/arch/arm64/boot/Image
	for f in "${files[@]}"; do
		if [ -f "$stage.ours/$f" ]; then
			tree_put "$stage.ours/$f" "$tree/$f"
		else
			rm -f "$tree/$f"
		fi
	done
	rm -rf "$stage.ours"
	tree_id=$id
	[ "$rc" -eq 0 ] || exit "$rc"
}

# bench_boot NAME CPUS MEM_MB APPEND CASES [PLUGIN-ARG...]: a boot of $image that is
# counted; leaves out/bench/NAME.results, .console and .counts.
bench_boot()
{
	local name=$1 cpus=$2 mem=$3 append=$4 cases=$5 counts=$out/bench/$1.counts
	local qemu_counts=1 IFS=,

	shift 5
	boot_guest "bench/$name" arm64 "$cpus" "$mem" 500 "nokaslr $append" "$cases" \
		-plugin "$plugin,out=$counts,vcpus=$cpus${*:+,$*}"
}
