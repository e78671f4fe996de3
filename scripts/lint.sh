#!/usr/bin/env bash
# make lint: what can be checked without a guest. Every check is one line.
. "$(dirname "$0")/lib.sh"

lock
deps kernel lint
checks_begin lint
source_get lint
tree_update
dir=$(patches_dir)
cd "$top"

series_out=$out/series
[ "$base" = "$default_base" ] || series_out=$out/series-$base
allow=$build/checkpatch.allow
cat "$top/scripts/checkpatch.allow" >"$allow"
[ ! -f "$dir/checkpatch.allow" ] || cat "$dir/checkpatch.allow" >>"$allow"

mapfile -t zone < <(zone_files)
mapfile -t zone_c < <(printf '%s\n' "${zone[@]}" | grep '\.[ch]$')
mapfile -t zone_rst < <(printf '%s\n' "${zone[@]}" | grep '\.rst$')

# checkpatch_clean FILE...: nothing but what scripts/checkpatch.allow explains, or the
# file of that name beside the patches of this base.
# Its lines are "NAME TYPE reason"; NAME is a base name, or * for every file.
checkpatch_clean()
{
	local bad=0 f line type args

	for f; do
		args=("$f")
		[[ $f == *.patch ]] || args=(-f "$tree/$f")
		while IFS= read -r line; do
			type=$(sed -nE 's/.*: (ERROR|WARNING|CHECK):([A-Z_]+): .*/\2/p' <<<"$line")
			[ -n "$type" ] || continue
			grep -qE "^($(basename "$f")|\*) $type " "$allow" && continue
			printf '%s\n' "$line"
			bad=1
		done < <(cd "$tree" && {
			scripts/checkpatch.pl --strict --no-signoff --terse --show-types \
				--no-summary --max-line-length=100 "${args[@]}" 2>&1 || true
		})
	done
	return $bad
}

checkpatch_twin()
{
	# Indented with spaces, and a line that ends in one.
	printf '// SPDX-License-Identifier: GPL-2.0\nint f(void)\n{\n        return 0; \n}\n' \
		>"$build/twin.c"
	(cd "$tree" && scripts/checkpatch.pl --strict --no-signoff --terse --show-types -f "$build/twin.c")
}

kernel_doc()
{
	[ "${#zone_c[@]}" -gt 0 ] || return 0
	(cd "$tree" && scripts/kernel-doc -none -Werror "${zone_c[@]}")
}

kernel_doc_twin()
{
	printf '/**\n * f() - one\n * @b: not there\n */\nint f(int a)\n{\n\treturn a;\n}\n' >"$build/twin.c"
	(cd "$tree" && scripts/kernel-doc -none -Werror "$build/twin.c")
}

# documents_build FILE...: build them, by themselves, as the kernel's own conf.py
# has it. FILE lies in the tree, or is one made up here. (conf.py of 7.3 wants to know
# the tree, and MAINTAINERS beside a directory of this name.)
documents_build()
{
	local pages=$build/doc/Documentation html=$build/doc/html f name said bad=0
	local -a bin=()

	rm -rf "$build/doc"
	mkdir -p "$pages"
	cp "$tree/MAINTAINERS" "$build/doc"
	! grep -q '^kerneldoc_bin' "$tree/Documentation/conf.py" ||
		bin=(-D "kerneldoc_bin=$tree/scripts/kernel-doc")
	printf 'Ours\n====\n\n.. toctree::\n\n' >"$pages/index.rst"
	for f; do
		name=${f#"$tree/Documentation/"}
		name=${name#"$build/"}
		mkdir -p "$(dirname "$pages/$name")"
		cp "$f" "$pages/$name"
		echo "   ${name%.rst}" >>"$pages/index.rst"
	done
	# The tree shares its files with the pristine source: leave no bytecode there.
	said=$(srctree=$tree PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -E -b html \
		-c "$tree/Documentation" -D kerneldoc_srctree="$tree" ${bin[@]+"${bin[@]}"} \
		-D version="$src_version" -D release="$src_version" \
		"$pages" "$html" 2>&1) || bad=1
	# What conf.py says anyway, and programs that only documents with figures need.
	said=$(grep -vE '^Using .* theme$|(dot|convert|rsvg-convert|Inkscape)(\([0-9]\))? not found' \
		<<<"$said") || true
	[ -z "$said" ] || { printf '%s\n' "${said//"$pages/"/}"; bad=1; }
	for f; do
		f=${f#"$tree/Documentation/"}
		f=${f#"$build/"}
		[ -s "$html/${f%.rst}.html" ] || { echo "$f was not built"; bad=1; }
	done
	return $bad
}

# They build, and the kernel's index beside each of them names it.
documents()
{
	local bad=0 f

	[ "${#zone_rst[@]}" -gt 0 ] || return 0
	documents_build "${zone_rst[@]/#/$tree/}" || bad=1
	for f in "${zone_rst[@]}"; do
		grep -qx "   $(basename "$f" .rst)" "$tree/$(dirname "$f")/index.rst" ||
			{ echo "$(dirname "$f")/index.rst does not name $f"; bad=1; }
	done
	return $bad
}

documents_twin()
{
	printf 'Twin\n====\n\n.. kerneldoc:: include/linux/mm.h\n' >"$build/twin.rst"
	documents_build "$build/twin.rst"
}

# references_found [FILE]: every document that our files, and FILE, refer to is
# there. The kernel's script looks into what git tracks.
references_found()
{
	local work=$build/references f said check=$tree/tools/docs/documentation-file-ref-check

	[ -f "$check" ] || check=$tree/scripts/documentation-file-ref-check
	rm -rf "$work"
	git init -q "$work"
	# Hard links, for the script to find; nothing writes into them.
	cp -al "$tree/Documentation" "$work"
	for f in "${zone[@]}"; do
		mkdir -p "$work/$(dirname "$f")"
		[ -f "$work/$f" ] || cp "$tree/$f" "$work/$f"
	done
	cp "$top/MAINTAINERS" "$work"
	[ $# -eq 0 ] || cp "$1" "$work"
	git -C "$work" add -f MAINTAINERS "${zone[@]}" "${@##*/}"
	said=$(cd "$work" && perl "$check" --warn 2>&1) ||
		{ printf '%s\n' "$said"; return 1; }
	[ -z "$said" ] || { printf '%s\n' "$said"; return 1; }
}

references_twin()
{
	printf '/* See Documentation/mm/not_there.rst. */\n' >"$build/twin.c"
	references_found "$build/twin.c"
}

# Build our objects with sparse in front of the compiler.
sparse_objects()
{
	local -a kmake
	local f objs=()

	obj=$build/O/$src_key/lint
	mkdir -p "$obj"
	kmake_args arm64 "$obj"
	base_fragments "$top"/configs/{guest,4k,hvo,lint}.config | xargs cat >"$obj/fragments"
	KCONFIG_ALLCONFIG=$obj/fragments "${kmake[@]}" allnoconfig >/dev/null || return 1
	config_check "$obj/.config" "$obj/fragments" || return 1
	for f in "${zone_c[@]}"; do
		[[ $f == *.h ]] || objs+=("${f%.c}.o")
	done
	# Objects that are there already would not be checked again.
	(cd "$obj" && rm -f "${objs[@]}")
	"${kmake[@]}" -j"$(nproc)" C=1 CHECK=sparse "${objs[@]}" 2>&1
}

sparse_clean()
{
	local text f bad=0 said

	text=$(sparse_objects) || { printf '%s\n' "$text" | tail -n 20; return 1; }
	for f in "${zone_c[@]}"; do
		said=$(grep -E "(^|/)$f:[0-9]+:[0-9]+: (warning|error)" <<<"$text") || continue
		printf '%s\n' "$said"
		bad=1
	done
	# A check that did not run is not a check that passed.
	[ "$(grep -c '^  CHECK ' <<<"$text")" -ge 1 ] || { echo "sparse did not run"; bad=1; }
	return $bad
}

sparse_twin()
{
	printf 'static int *f(int __attribute__((address_space(1))) *p);\nstatic int *f(int __attribute__((address_space(1))) *p) { return p; }\nint *g(void); int *g(void) { return f(0); }\n' >"$build/twin.c"
	sparse "$build/twin.c" 2>&1 | grep warning && return 1
}

# The series and the directory name the same patches, zone lists name every zone
# file once.
series_matches_directory()
{
	local bad=0 f n

	for f in "$dir"/*.patch; do
		n=$(series_patches "$dir" | grep -cxF "$(basename "$f")" || true)
		[ "$n" -eq 1 ] || { echo "$(rel "$f") stands $n times in the series"; bad=1; }
	done
	while read -r f; do
		[ -f "$dir/$f" ] || { echo "the series names $f, which is not there"; bad=1; }
	done < <(series_patches "$dir"; sed -n 's/^# zone: //p' "$dir/series")
	for f in "$dir"/zone-*.txt; do
		grep -qxF "# zone: $(basename "$f")" "$dir/series" ||
			{ echo "the series does not name $(basename "$f")"; bad=1; }
	done
	for f in "${zone[@]}" MAINTAINERS; do
		n=$(for z in "$dir"/zone-*.txt; do zone_list "$z"; done | grep -cxF "$f" || true)
		[ "$n" -eq 1 ] || { echo "$f stands in $n zone lists"; bad=1; }
	done
	grep -qxF "$src_version" "$dir/KNOWN" ||
		echo "$src_version is not in $(rel "$dir/KNOWN"), though the patches fit"
	return $bad
}

# Each patch on its own says what it does and carries no Signed-off-by.
patches_in_form()
{
	local bad=0 f

	for f in "$dir"/*.patch; do
		grep -q '^Subject: \[PATCH' "$f" || { echo "$(rel "$f"): no Subject"; bad=1; }
		! grep -q '^Signed-off-by:' "$f" || { echo "$(rel "$f"): Signed-off-by"; bad=1; }
	done
	return $bad
}

# A patch whose context is wrong must be refused although fuzz would take it.
fuzz_twin()
{
	local stage=$build/stage/twin d=$build/stage/twin.patches p f

	p=$(series_patches "$dir" | head -n 1)
	rm -rf "$stage" "$d"
	mkdir -p "$stage" "$d"
	while read -r f; do
		mkdir -p "$stage/$(dirname "$f")"
		[ ! -f "$src/$f" ] || cp "$src/$f" "$stage/$f"
	done < <(patch_files "$dir/$p")
	# Change the first line of context of the first hunk.
	awk '/^@@/ && !n { print; getline; sub(/^ .*/, " /* not what is there */"); n = 1 } { print }' \
		"$dir/$p" >"$d/$p"
	echo "$p" >"$d/series"
	cp "$dir/KNOWN" "$d/KNOWN"
	stage_patches "$stage" "$d"
}

# boot_judge() on boots made up here: each must get its own exit code.
boots_are_judged()
{
	local bad=0 good=$'begin 6\nstart a\nok a 1\ntainted 0\nsuccess'
	local oops='[ 1.0] Unable to handle kernel write to read-only memory' expected=()

	con=$build/judge.console
	res=$build/judge.results
	# judged EXPECTED QEMU_RC CONSOLE RESULTS
	judged()
	{
		local rc=0

		printf '%s\n' "$3" >"$con"
		printf '%s\n' "$4" >"$res"
		boot_judge "$2" 1 >/dev/null || rc=$?
		[ "$rc" -eq "$1" ] || { echo "exit code $rc, expected $1: $3 / $4"; bad=1; }
	}
	judged 0 0 "Booting" "$good"
	judged $E_FAIL 0 "Booting" "${good/ok a/not ok a}"
	judged $E_FAIL 0 "Booting" "${good/success/}"
	judged $E_NOBOOT 0 "Booting" ""
	judged $E_PANIC 0 "[ 1.0] Kernel panic - not syncing: x" "$good"
	judged $E_PANIC 0 "[ 1.0] Unable to handle kernel write to read-only memory" "$good"
	judged $E_PANIC 0 "[ 1.0] BUG: Bad page state in process a" "$good"
	judged $E_PANIC 0 "[ 1.0] WARNING: CPU: 0 PID: 1 at mm/x.c:1" "$good"
	judged $E_PANIC 0 "[ 1.0] WARNING: possible circular locking dependency" "$good"
	judged $E_PANIC 0 "[ 1.0] INFO: rcu_preempt detected stalls" "$good"
	judged $E_PANIC 0 "Booting" "${good/tainted 0/tainted 512}"
	judged $E_PANIC 124 "[ 1.0] Internal error: Oops" "begin 6"
	judged $E_TIMEOUT 124 "Booting" "begin 6"
	judged $E_NOTEST 0 "Booting" $'begin 6\ntainted 0\nsuccess'

	# A boot that has to oops: so often, so, and no other way.
	expected=("1 write to read-only memory")
	judged 0 0 "$oops" "${good/tainted 0/tainted 128}"
	judged $E_PANIC 0 "Booting" "${good/tainted 0/tainted 128}"
	judged $E_PANIC 0 "$oops"$'\n'"$oops" "${good/tainted 0/tainted 128}"
	judged $E_PANIC 0 "$oops" "$good"
	judged $E_PANIC 0 "$oops" "${good/tainted 0/tainted 640}"
	judged $E_PANIC 0 "$oops"$'\n[ 1.0] BUG: Bad page state in process a' "${good/tainted 0/tainted 128}"
	judged $E_PANIC 0 "$oops"$'\n[ 1.0] Kernel panic - not syncing: x' "${good/tainted 0/tainted 128}"
	return $bad
}

# configs_refused: what CONFIG= of make deb cannot be gets one sentence, and 2.
configs_refused()
{
	local bad=0 f=$build/twin.config

	# refused WORDS LINE...: a file with these lines.
	refused()
	{
		local rc=0 words=$1 said

		shift
		printf '%s\n' "$@" >"$f"
		said=$(deb_config_from "$f" "$f.out" 2>&1) || rc=$?
		if [ "$rc" -ne $E_USAGE ] || [ "$said" != "CONFIG=$f $words" ]; then
			echo "exit code $rc, said: $said"
			bad=1
		fi
	}
	refused "is not a kernel's configuration, such as a host has in /boot" "# CONFIG_A is not set"
	refused "is not a kernel's configuration, such as a host has in /boot" CONFIG_ARM64=y "and text"
	refused "is the configuration of another architecture than arm64, x86" \
		"# Linux/x86 6.12.1 Kernel Configuration" CONFIG_X86_64=y CONFIG_HUGETLBFS=y
	refused "has no huge pages: CONFIG_HUGETLBFS is not set in it" CONFIG_ARM64=y CONFIG_SMP=y
	rm "$f"
	! (deb_config_from "$f" "$f.out") 2>/dev/null || bad=1
	printf '%s\n' CONFIG_ARM64=y CONFIG_HUGETLBFS=y >"$f"
	(deb_config_from "$f" "$f.out") || bad=1
	return $bad
}

# Only what belongs to us: no path of this machine, no space at a line's end.
text_clean()
{
	local bad=0

	git -C "$top" rev-parse --git-dir >/dev/null 2>&1 || return 0
	! git -C "$top" grep -InF "$top" -- . || bad=1
	! git -C "$top" grep -InE '[[:space:]]$' -- . ':!*.patch' ':!LICENSE' || bad=1
	return $bad
}

say "# make lint: $src_name"
run "shellcheck" shellcheck scripts/*.sh models/*.sh tests/boot/*.sh tests/boot/*/*.sh \
	tests/matrix/*.sh tests/selftests/*.sh .ci/run
run "shellcheck, what runs in a guest" shellcheck -s sh tests/guest/*.sh tests/deb/step
run "shellcheck, what lib.sh brings in" shellcheck -a scripts/lib.sh
run "no trailing space, no path of this machine" text_clean
run "make deb refuses what is no configuration of such a kernel" configs_refused
run "every way a boot ends has its exit code" boots_are_judged
export PYTHONDONTWRITEBYTECODE=1
run "the cost model gives what was worked out by hand" bench/model.py check
twin "a DSB more in the cost model is noticed" 'by hand' bench/model.py check busted
run "README has the figures of bench/results.json" bench/readme.py check bench/results.json README.md
twin "a figure that is another is noticed" '-| free them | ' \
	bench/readme.py check bench/results.json README.md busted
if [ -n "$dir" ]; then
	run "series and directory agree" series_matches_directory
	run "patches are in form" patches_in_form
	run "patches apply without fuzz" true	# tree_update did it
	twin "a patch that needs fuzz is refused" "does not fit" fuzz_twin
	run "git am of the series gives the tested tree" "$top/scripts/series.sh"
	run "checkpatch --strict, files" checkpatch_clean "${zone[@]}"
	run "checkpatch --strict, series" checkpatch_clean "$series_out"/0*[!r].patch
	twin "checkpatch notices a space at a line's end" TRAILING_WHITESPACE checkpatch_twin
	run "kernel-doc" kernel_doc
	twin "kernel-doc notices an argument that is not there" "Excess function parameter" kernel_doc_twin
	run "documents build without a warning" documents
	twin "a directive that is not there is noticed" 'Unknown directive type "kerneldoc"' documents_twin
	run "documents referred to are there" references_found
	twin "a document that is not there is noticed" Documentation/mm/not_there.rst references_twin
	if base_lacks sparse; then
		skip "sparse: $base_why"
	else
		run "sparse" sparse_clean
	fi
	twin "sparse notices an address space" "different address spaces" sparse_twin
else
	skip "there are no patches and no kernel files yet"
fi

say "# log: $(rel "$log")"
checks_end
