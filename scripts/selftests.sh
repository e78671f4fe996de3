#!/usr/bin/env bash
# make selftests: build the kernel's own mm selftests that touch huge pages
# (tests/selftests/list), run them in a guest with HVO and in one without, and compare
# each subtest. What fails or is skipped in both needs a reason in tests/selftests/reasons;
# what is not run has its own in tests/selftests/left-out. Results are in out/selftests.json,
# a table in out/selftests.md.
#
# TESTS="NAME..." runs only these.
. "$(dirname "$0")/lib.sh"

# The kernel's pages are of 4 KiB: the pools of the list are made for the sizes that go
# with these.
TESTS=${TESTS:-} granule=4k
list=$top/tests/selftests/list
mem=6144 cpus=3

# tests_of FIELD...: these fields of the tests of this base, or of those that TESTS names;
# 7 is the rest of the line.
tests_of()
{
	awk -v base="$base" -v only=" $TESTS " -v fields="$*" '
		/^#/ || NF == 0 || ($2 != "all" && $2 != base) { next }
		only !~ /^ *$/ && !index(only, " " $1 " ") { next }
		{
			n = split(fields, f, " ")
			rest = $0
			for (i = 1; i <= 6; i++)
				sub(/^[^\t ]+[\t ]+/, "", rest)
			for (i = 1; i <= n; i++)
				printf "%s%s", f[i] == 7 ? rest : $f[i], i < n ? " " : "\n"
		}' "$list"
}

# files_wanted: the files that the tests of this base need, "DIRECTORY/NAME".
files_wanted()
{
	local TESTS=

	tests_of 3 | tr ',' '\n' | grep -vx -e - | sort -u
}

# check_tests: TESTS names tests of this base.
check_tests()
{
	local t all

	all=$(TESTS='' tests_of 1)
	for t in $TESTS; do
		grep -qxF -e "$t" <<<"$all" ||
			die $E_USAGE "TESTS=$t is none of: ${all//$'\n'/ }"
	done
}

# source_copy: of the tree, what the tests are built from; the kernel's makefile writes
# beside it. Sets work.
source_copy()
{
	local d self=tools/testing/selftests

	rm -rf "$work/src"
	mkdir -p "$work/src/mm" "$work/src/$self"
	cp "$tree/mm/gup_test.h" "$work/src/mm"
	cp -r "$tree/tools/include" "$work/src/tools"
	find "$tree/$self" -maxdepth 1 -type f -exec cp -t "$work/src/$self" {} +
	for d in kselftest_harness clone3 pidfd arm64/signal $(files_wanted | sed 's|/.*||' | sort -u); do
		[ -d "$tree/$self/$d" ] || continue
		mkdir -p "$work/src/$self/$(dirname "$d")"
		cp -r "$tree/$self/$d" "$work/src/$self/$(dirname "$d")"
	done
}

# programs_make: have the kernel's makefiles build the programs; what cannot be built is
# said in the log, and is judged later.
programs_make()
{
	local d debs=$work/../debs cc
	local -a make programs

	cc=$(guest_cc arm64)
	for d in $(files_wanted | grep -v '\.sh$' | sed 's|/.*||' | sort -u); do
		mapfile -t programs < <(files_wanted | grep -v '\.sh$' | sed -n "s|^$d/|$work/bin/|p")
		make=(make -k -C "$work/src/tools/testing/selftests/$d" "OUTPUT=$work/bin" ARCH=arm64
			"CROSS_COMPILE=${cc%gcc}" "CC=$cc"
			"KHDR_INCLUDES=-isystem $obj/usr/include"
			"USERLDFLAGS=-static -s -L$debs/usr/lib/aarch64-linux-gnu")
		C_INCLUDE_PATH=$debs/usr/include shown "${make[@]}" "${programs[@]}" || true
	done
}

# selftests_build: the programs and scripts in $work/bin; sets work.
selftests_build()
{
	local f stamp debs=$build/selftests/debs
	local -a kmake

	work=$build/selftests/$src_key
	[ -d "$debs" ] || foreign_get arm64 "$debs" bash-static libnuma-dev liburing-dev ||
		die $E_USAGE "$newer_why"
	stamp=$({ echo "$tree_id"; files_wanted; cat "$top/scripts/selftests.sh"
		"$(guest_cc arm64)" --version; } | sha256sum)
	[ "$(cat "$work/built" 2>/dev/null)" != "$stamp" ] || return 0
	rm -rf "$work"
	mkdir -p "$work/bin"
	kmake_args arm64 "$obj"
	logged "The kernel's headers" "$build/log/selftests-headers.log" true \
		"${kmake[@]}" headers || exit $E_FAIL
	source_copy
	say "Building the selftests (log: $(rel "$build/log/selftests-build.log"))"
	logged "selftests" "$build/log/selftests-build.log" "find '$work/bin' -type f | wc -l" \
		programs_make
	for f in $(files_wanted); do
		[[ $f != *.sh ]] || cp "$work/src/tools/testing/selftests/$f" "$work/bin"
	done
	echo "$stamp" >"$work/built"
}

# all_built: every file that the tests need is there; else the compiler's complaints.
# shellcheck disable=SC2317 # called by run
all_built()
{
	local f bad=0

	for f in $(files_wanted); do
		[ -f "$work/bin/${f#*/}" ] || { echo "$f was not built"; bad=1; }
	done
	[ $bad -eq 0 ] || grep -aE 'error:|cannot find|undefined reference' "$build/log/selftests-build.log" || true
	return $bad
}

# selftests_initrd: our guest's, with the tests and the shell that they want; sets initrd.
selftests_initrd()
{
	local root=$work/root t

	rm -rf "$root"
	mkdir -p "$root/bin" "$root/selftests/tools"
	cp "$build/selftests/debs/bin/bash-static" "$root/bin/bash"
	ln -s bash "$root/bin/sh"
	# Objects of a library may lie beneath.
	find "$work/bin" -maxdepth 1 -type f -exec cp -t "$root/selftests" {} +
	cp "$top/tests/selftests/tools.sh" "$root/selftests/tools/ps"
	for t in killall pgrep; do
		ln -s ps "$root/selftests/tools/$t"
	done
	tests_of 1 4 5 6 7 >"$root/selftests/list"
	{
		cat "$initrd"
		initramfs_of "$root"
	} >"$work/initrd.gz"
	initrd=$work/initrd.gz
}

# selftests_boot HVO NAME SPEC: boot the guest, and keep what it wrote in $work/NAME.results.
selftests_boot()
{
	local rc=0

	boot_guest "selftests-$2" arm64 $cpus $mem 3000 \
		"hugetlb_free_vmemmap=$1 brd.rd_nr=1 brd.rd_size=65536" "$3" \
		-object "memory-backend-ram,id=n0,size=$((mem / 2))M" \
		-object "memory-backend-ram,id=n1,size=$((mem / 2))M" \
		-numa "node,memdev=n0,cpus=0-1" -numa "node,memdev=n1,cpus=2" || rc=$?
	cp "$res" "$work/$2.results"
	return $rc
}

# selftests_judge OFF ON ARG...: compare two results.
selftests_judge()
{
	local off=$1 on=$2

	shift 2
	"$top/scripts/selftests.py" "$base" "$top/tests/selftests" "$off" "$on" "$@"
}

# altered SED-EXPRESSION NAME...: compare HVO off with an altered result of HVO on.
# shellcheck disable=SC2317 # called by twin
altered()
{
	sed -E "$1" "$work/on.results" >"$work/altered.results"
	! cmp -s "$work/on.results" "$work/altered.results" || { echo "nothing was altered"; return 0; }
	shift
	selftests_judge "$work/off.results" "$work/altered.results" "$@"
}

# verdict_of WORD NAME: a check for a test, with what is in $work/said.
verdict_of()
{
	case $1 in
	skip)	skip "$2" ;;
	ok)	verdict "$2" 0 "$work/said" ;;
	*)	verdict "$2" 1 "$work/said"; return ;;
	esac
	cat "$work/said"
}

# verdicts FILE: a check for each test that the judge wrote about.
verdicts()
{
	local line name='' word=''

	while IFS= read -r line; do
		if [[ $line == '#'* ]]; then
			echo "$line" >>"$work/said"
			continue
		fi
		[ -z "$name" ] || verdict_of "$word" "$name"
		name=${line##* } word=${line% *}
		: >"$work/said"
	done <"$1"
	verdict_of "$word" "$name"
}

# left_out: what is not run, and why.
left_out()
{
	local line bases names

	while IFS= read -r line; do
		case $line in
		'#'* | '')	continue ;;
		esac
		bases=${line%% *}
		[ "$bases" = all ] || [ "$bases" = "$base" ] || continue
		line=${line#* }
		names=${line%%:*}
		skip "$line" "$(wc -w <<<"$names")"
	done <"$top/tests/selftests/left-out"
}

lock
deps kernel guest qemu
checks_begin selftests ${TESTS:+other}
# What makes no sense is refused before anything is done; KSRC= may mean another base.
[ -n "${KSRC:-}" ] || check_tests
source_get selftests
check_tests
tree_update
guest_kernel "selftests-$granule" $granule "$top/configs/selftests.config"
initrd_build arm64
selftests_build
selftests_initrd
say "# make selftests: $src_name, $granule pages, $cpus CPUs, $mem MiB, 2 nodes"

run "the kernel's makefiles build the tests" all_built
for hvo in off on; do
	began_boot=$SECONDS
	rc=0
	selftests_boot $hvo $hvo selftests >"$build/log/selftests-$hvo.verdict" || rc=$?
	verdict "the guest with HVO $hvo comes up and down clean ($((SECONDS - began_boot)) s, $(rel "$con"))" \
		"$rc" "$build/log/selftests-$hvo.verdict"
done
mapfile -t names < <(tests_of 1)
selftests_judge "$work"/{off,on}.results write "$out"/selftests.{json,md} "kernel=$src_name" \
	"granule=$granule" "cpus=$cpus" "memory=$mem MiB" -- "${names[@]}" >"$work/verdicts" || true
[ -s "$work/verdicts" ] || die $E_FAIL "The results could not be compared"
verdicts "$work/verdicts"
[ -n "$TESTS" ] || left_out

# The twins are of a quick test that makes no pool itself, on any base.
probe=mincore
if printf '%s\n' "${names[@]}" | grep -qx $probe; then
	selftests_boot on twin selftests,only=$probe,busted >"$build/log/selftests-twin.verdict" || true
	twin "a test that finds no huge page with HVO on is noticed" "with HVO off, skip" \
		selftests_judge "$work"/{off,twin}.results $probe
	twin "a subtest that fails with HVO on is noticed" "ok with HVO off, fail with HVO on" \
		altered 's/^\| ok/| not ok/' $probe
	twin "a subtest that is gone is noticed" "is not there with HVO on" altered '/^\| ok/d' $probe
	twin "a test that does not end is noticed" "$probe did not come to its end with HVO on" \
		altered "/^end $probe /d" $probe
	twin "a memmap that does not come back is noticed" "4 KiB of the memmap did not come back" \
		altered "/^end $probe /s/leaked_kb=0/leaked_kb=4/" $probe
	twin "a huge page that cannot be freed is noticed" "cannot be freed with HVO off, 1 with HVO on" \
		altered "/^end $probe /s/kept=0/kept=1/" $probe
	twin "a pool that is not optimized is noticed" "no huge page was optimized with HVO on" \
		altered "/^end $probe /s/optimized=[0-9]+/optimized=0/" $probe
	twin "a pool that is too small is noticed" "the pools lack 1 pages with HVO on" \
		altered "/^end $probe /s/short=0/short=1/" $probe
else
	skip "the twins are of $probe, which TESTS leaves out" 8
fi

say "# results: $(rel "$out/selftests.json"), table: $(rel "$out/selftests.md"), consoles: out/selftests-*.console"
checks_end
