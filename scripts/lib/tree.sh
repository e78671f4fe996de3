# shellcheck shell=bash
# The kernel sources: a pristine one, and the tree that is built, which is the
# pristine one plus our files and the hook patches.
#
#	.build/src/KEY		pristine, never changed
#	.build/tree/KEY		the built tree
#	.build/stage/KEY	pristine versions of what changes, then changed
#	.build/O/KEY/NAME	one build directory per kernel
#
# KEY names the source. source_get() sets src, src_key, src_version (6.12.117), base
# (6.12) and src_name (what the output says); tree_update() sets tree and tree_id.
#
# Our files lie in two layers: what all bases share at the top, what only one has in
# base/6.12/ or base/7.3/, with the paths of the kernel's tree. No file is in both.

# layer_files DIR: the zone files of a layer, with the paths of the kernel's tree.
layer_files()
{
	if git -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$1" ls-files -co --exclude-standard -- \
			arch include mm Documentation Kconfig.hvo
	else
		(cd "$1" && find arch include mm Documentation Kconfig.hvo -type f 2>/dev/null)
	fi | sort -u | while IFS= read -r f; do
		[ ! -f "$1/$f" ] || printf '%s\n' "$f"
	done
}

# The zone files that are installed verbatim; MAINTAINERS is merged instead.
zone_files()
{
	{
		layer_files "$top"
		[ ! -d "$top/base/$base" ] || layer_files "$top/base/$base"
	} | sort -u
}

# zone_path FILE: where we have a zone file.
zone_path()
{
	if [ -f "$top/base/$base/$1" ]; then
		printf '%s\n' "$top/base/$base/$1"
	else
		printf '%s\n' "$top/$1"
	fi
}

# layers_agree: a file that is in a base's layer is not in the common one.
layers_agree()
{
	local d f

	for d in "$top"/base/*/; do
		[ -d "$d" ] || continue
		while IFS= read -r f; do
			[ ! -f "$top/$f" ] ||
				die $E_USAGE "$f is there twice, for all bases and in $(rel "${d%/}"): which one is right?"
		done < <(layer_files "${d%/}")
	done
}

# base_lacks TARGET: does the target not work for this base yet? Sets base_why;
# base/BASE/not-yet has lines "TARGET...: SENTENCE".
base_lacks()
{
	base_why=
	[ -f "$top/base/$base/not-yet" ] || return 1
	base_why=$(awk -v target="$1" '{
			n = split(substr($0, 1, index($0, ":") - 1), t, " ")
			for (i = 1; i <= n; i++)
				if (t[i] == target) {
					sub(/^[^:]*: */, "")
					print
					exit
				}
		}' "$top/base/$base/not-yet")
	[ -n "$base_why" ]
}

# base_ready TARGET: end with a sentence if the target does not work for this base yet.
base_ready()
{
	! base_lacks "$1" || die $E_USAGE "make $1 does not work for Linux $base yet: $base_why"
}

# kernel_version DIR: VERSION.PATCHLEVEL.SUBLEVEL, or fail.
kernel_version()
{
	awk -F ' *= *' '
		$1 == "VERSION" { v = $2 }
		$1 == "PATCHLEVEL" { p = $2 }
		$1 == "SUBLEVEL" { s = $2 }
		NR > 10 || (v != "" && p != "" && s != "") { exit }
		END { if (v == "" || p == "") exit 1; print v "." p (s == "" ? "" : "." s) }
	' "$1/Makefile"
}

# source_get TARGET: for this make target, which may not work for every base yet.
source_get()
{
	mkdir -p "$build/src"
	[ -n "${KSRC:-}" ] || base_ready "$1"
	if [ -n "${KSRC:-}" ]; then
		source_from_dir "$KSRC"
	elif [ "${BASE:-$default_base}" = "$default_base" ]; then
		source_from_debian
	else
		source_from_newer "linux-source-$BASE"
	fi
	src=$build/src/$src_key
	src_version=$(kernel_version "$src")
	base=$(cut -d . -f 1,2 <<<"$src_version")
	base_ready "$1"
	layers_agree
}

# source_unpack TARBALL: into the directory of $src_key.
source_unpack()
{
	local new=$build/src/$src_key.new

	rm -rf "$new"
	mkdir "$new"
	logged "Unpacking $src_name" "$build/log/unpack.log" \
		"du -sm '$new' | cut -f 1 | sed 's/\$/ MiB/'" \
		tar -C "$new" --strip-components=1 -xf "$1" || exit $E_USAGE
	mv "$new" "$build/src/$src_key"
}

source_from_debian()
{
	local debver tarball

	debver=$(dpkg-query -W -f '${Version}' linux-source-6.12)
	src_key=debian-${debver//[^a-zA-Z0-9.+-]/-}
	src_name="linux-source-6.12 $debver"
	[ ! -d "$build/src/$src_key" ] || return 0
	tarball=/usr/src/linux-source-6.12.tar.xz
	[ -f "$tarball" ] || die $E_USAGE "$tarball is missing; reinstall linux-source-6.12"
	source_unpack "$tarball"
}

# source_from_newer PACKAGE: the source that Debian has in a newer release's backports. What
# was fetched once is kept, with its version beside it.
source_from_newer()
{
	local had debver

	had=$(compgen -G "$build/src/debian-$BASE.*.version" | sort -V | tail -n 1) || true
	if [ -n "$had" ] && [ -d "${had%.version}" ]; then
		src_key=$(basename "$had" .version)
		src_name="$1 $(cat "$had")"
		return 0
	fi
	newer_source "$1" trixie-backports || die $E_USAGE "No Linux $BASE: $newer_why. KSRC= names another one."
	debver=$newer_version
	src_key=debian-${debver//[^a-zA-Z0-9.+-]/-}
	src_name="$1 $debver"
	source_unpack "$build/$1.new/all/usr/src/$1.tar.xz"
	echo "$debver" >"$build/src/$src_key.version"
	rm -rf "$build/$1.new"
}

source_from_dir()
{
	local dir ver

	[ -d "$1" ] || die $E_USAGE "KSRC=$1 is not a directory"
	dir=$(cd "$1" && pwd)
	if ! [ -f "$dir/Makefile" ] || ! [ -f "$dir/arch/arm64/Kconfig" ] ||
	   ! ver=$(kernel_version "$dir"); then
		die $E_USAGE "KSRC=$1 is not a Linux kernel source tree"
	fi
	if [ -n "${BASE:-}" ] && [ "$BASE" != "$(cut -d . -f 1,2 <<<"$ver")" ]; then
		die $E_USAGE "KSRC=$1 is Linux $ver, but BASE=$BASE: leave one of them out"
	fi
	src_key=ksrc-$(basename "$dir" | tr -c 'a-zA-Z0-9.\n' -)-$(printf %s "$dir" | sha256sum | cut -c -8)
	src_name="KSRC=$1 ($ver)"
	[ ! -e "$dir/.git" ] || src_name="KSRC=$1 ($ver, $(
		git -C "$dir" describe --always --dirty 2>/dev/null || echo git))"
	# Only what belongs to a source tree: no history, no products of a build.
	logged "Copying $1" "$build/log/copy.log" \
		"du -sm '$build/src/$src_key' | cut -f 1 | sed 's/\$/ MiB/'" \
		rsync -ai --delete --exclude=/.git --exclude='*.o' --exclude='*.o.cmd' \
		--exclude=/.config --exclude=/include/config --exclude=/include/generated \
		--exclude='/arch/*/include/generated' \
		"$dir/" "$build/src/$src_key/" || exit $E_USAGE
	# The built tree shares the files of the copy: make it again when they moved.
	[ ! -s "$build/log/copy.log" ] || rm -rf "$build/tree/$src_key"{,.touched,-x86}
}

# patches_dir: the directory of the series for this kernel, or nothing when the
# project has no patches at all.
patches_dir()
{
	local d=$top/patches/$base

	if [ -f "$d/series" ]; then
		echo "$d"
	elif compgen -G "$top/patches/*/series" >/dev/null; then
		die $E_USAGE "There are no patches for Linux $src_version; there are for:$(
			cd "$top/patches" && printf ' %s' */ | tr -d /)"
	fi
}

# series_patches DIR: the patch files of a series, in order.
series_patches()
{
	sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$1/series"
}

# patch_files PATCH...: the files that patches touch.
patch_files()
{
	awk '$1 == "---" || $1 == "+++" {
		if ($2 ~ /^[ab]\//) print substr($2, 3)
	}' "$@" | sort -u
}

# stage_patches STAGE DIR: apply the series of DIR to STAGE, without fuzz.
stage_patches()
{
	local stage=$1 dir=$2 p

	for p in $(series_patches "$dir"); do
		if ! patch -d "$stage" -p1 --fuzz=0 --force --no-backup-if-mismatch -r - \
		     -i "$dir/$p" >"$build/log/patch.log" 2>&1; then
			die $E_USAGE "$(rel "$dir/$p") does not fit $src_name; it is known to fit Linux $(
				paste -sd ' ' "$dir/KNOWN")"
		fi
	done
}

# files_equal A B: both missing, or the same bytes and the same mode.
files_equal()
{
	[ -e "$1" ] || [ -e "$2" ] || return 0
	cmp -s "$1" "$2" && [ "$(stat -c %a "$1")" = "$(stat -c %a "$2")" ]
}

# tree_put FROM TO: copy a file, whole or not at all. TO gets a new time, so that
# what depends on it is built again, and a new inode: the trees share them.
tree_put()
{
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.hvo-new"
	mv -f "$2.hvo-new" "$2"
}

# Make the built tree equal pristine + our files + the patches. Only files whose
# contents differ are written.
tree_update()
{
	local stage=$build/stage/$src_key dir f
	local -a touched zone patches=()

	tree=$build/tree/$src_key
	mkdir -p "$build/log" "$build/tree"
	if [ ! -d "$tree" ]; then
		rm -rf "$tree.new"
		# Hard links: nothing here ever writes into a file of the tree.
		logged "Making the tree" "$build/log/tree.log" true cp -al "$src" "$tree.new" ||
			exit $E_FAIL
		mv "$tree.new" "$tree"
	fi

	dir=$(patches_dir) || exit $E_USAGE
	if [ -n "$dir" ]; then
		mapfile -t patches < <(series_patches "$dir")
		patches=("${patches[@]/#/$dir/}")
	fi
	mapfile -t zone < <(zone_files)
	mapfile -t touched < <({
		[ ${#patches[@]} -eq 0 ] || patch_files "${patches[@]}"
		printf '%s\n' "${zone[@]}"
		[ ! -f "$top/MAINTAINERS" ] || echo MAINTAINERS
	} | sed '/^$/d' | sort -u)

	rm -rf "$stage"
	mkdir -p "$stage"
	for f in "${touched[@]}"; do
		[ -f "$src/$f" ] || continue
		mkdir -p "$stage/$(dirname "$f")"
		cp -p "$src/$f" "$stage/$f"
	done
	for f in "${zone[@]}"; do
		[ ! -e "$src/$f" ] || die $E_USAGE "$f is already in Linux $src_version; a change to it has to be a patch"
		mkdir -p "$stage/$(dirname "$f")"
		cp "$(zone_path "$f")" "$stage/$f"
	done
	[ -z "$dir" ] || stage_patches "$stage" "$dir"
	if [ -f "$top/MAINTAINERS" ]; then
		awk -f "$top/scripts/maintainers.awk" "$top/MAINTAINERS" "$src/MAINTAINERS" \
			>"$stage/MAINTAINERS"
	fi

	# The list of what may differ from pristine is written before it does.
	touch "$tree.touched"
	printf '%s\n' "${touched[@]}" | sed '/^$/d' | sort -u - "$tree.touched" >"$tree.touched.new"
	mv "$tree.touched.new" "$tree.touched"
	while IFS= read -r f; do
		if [ -f "$stage/$f" ]; then
			files_equal "$stage/$f" "$tree/$f" || tree_put "$stage/$f" "$tree/$f"
		elif printf '%s\n' "${touched[@]}" | grep -qxF "$f" || [ ! -f "$src/$f" ]; then
			rm -f "$tree/$f"
		else
			files_equal "$src/$f" "$tree/$f" || tree_put "$src/$f" "$tree/$f"
		fi
	done <"$tree.touched"
	printf '%s\n' "${touched[@]}" | sed '/^$/d' >"$tree.touched.new"
	mv "$tree.touched.new" "$tree.touched"

	# shellcheck disable=SC2034 # for kernel.sh
	tree_id=$(cd "$stage" && {
		echo "$src_key"
		find . -type f -print0 | sort -z | xargs -0r sha256sum
	} | sha256sum | cut -c -16)
	kconfig_id=$(cd "$stage" && find . -name 'Kconfig*' -type f -print0 | sort -z |
		xargs -0r sha256sum | sha256sum | cut -c -16)
}

# zone_list FILE: the files that a zone-*.txt names.
zone_list()
{
	sed -e '1,/^Files:$/d' -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"
}
