#!/usr/bin/env bash
# make bench: what filling, freeing and demoting pools of huge pages costs, counted in
# instructions, for the shadow vmemmap and for every rival in bench/rivals/. out/bench/
# gets bench.json, bench.md and plots. QUICK=1 leaves out guests with more vCPUs, large
# guests, and the cases of tests/boot/10-main.sh; RIVALS="NAME..." takes only some;
# PROFILE=1 tells where the instructions went, by function; RECORD=1 writes
# bench/results.json, the figures in README.md, and bench/operations.svg.
. "$(dirname "$0")/lib.sh"

QUICK=${QUICK:-} PROFILE=${PROFILE:-} RIVALS=${RIVALS:-} RECORD=${RECORD:-}
one_of QUICK "$QUICK" "" 0 1
one_of PROFILE "$PROFILE" "" 0 1
one_of RECORD "$RECORD" "" 0 1
[ "$RECORD" != 0 ] || RECORD=
[ "$QUICK" != 0 ] || QUICK=
[ "$PROFILE" != 0 ] || PROFILE=
mapfile -t all < <(sed -n 's/^\([a-z-]*\):.*/\1/p' "$(rivals_dir)/series")
rivals=("${all[@]}")
[ -z "$RIVALS" ] || read -ra rivals <<<"$RIVALS"
for r in "${rivals[@]}"; do
	one_of RIVALS "$r" "${all[@]}"
done
[ -z "$RECORD" ] || [ -z "$QUICK$RIVALS$PROFILE" ] ||
	die $E_USAGE "RECORD=1 is for all of make bench, without QUICK, RIVALS and PROFILE"
[ -z "$RECORD" ] || [ "$base" = "$default_base" ] ||
	die $E_USAGE "RECORD=1 is for Linux $default_base: the figures in README.md are of that"

# profile NAME: where the instructions of a boot went.
profile()
{
	"${kernel_cc%gcc}nm" -n "$obj/vmlinux" >"$build/bench/nm"
	PYTHONDONTWRITEBYTECODE=1 "$top/bench/profile.py" "$out/bench/$1.profile" \
		"$build/bench/nm" "$out/bench/$1.results" 25 >"$out/bench/$1.profile.txt"
	rm "$out/bench/$1.profile"
	say "  By function: $(rel "$out/bench/$1.profile.txt")"
}

# counted WHAT NAME BOOT-ARG...: a boot that is counted, see bench_boot(), with its verdict.
counted()
{
	local what=$1 name=$2 rc=0 t=$SECONDS

	shift
	bench_boot "$@" >"$build/log/bench-$name.verdict" || rc=$?
	if [ "$rc" -eq 0 ]; then
		say "ok - bench: $what ($((SECONDS - t)) s)"
		passed=$((passed + 1))
		return 0
	fi
	say "not ok - bench: $what ($((SECONDS - t)) s, $(rel "$con"))"
	cat "$build/log/bench-$name.verdict"
	sed -n '/^#/p' "$res"
	rm -f "$out/bench/$name.counts"
	failed=$((failed + 1))
	return 1
}

# large RIVAL GIB PAGES [PARAMETER]: a boot with so much memory, of which only the vmemmap
# is touched, and with pages of 1 GiB from the command line.
large()
{
	local name=$1-boot-$2-$3${4:+-$4} append="hugetlb_free_vmemmap=$hvo${4:+ $4}"

	[ "$3" -eq 0 ] || append+=" hugepagesz=1G hugepages=$3"
	counted "$1: a boot with $2 GiB, $3 pages of 1 GiB${4:+, $4}" \
		"$name" 1 $(($2 * 1024)) "$append" "bench,boot,pages=$3" "" \
		-object "memory-backend-ram,id=ram,size=$2G,reserve=off" \
		-machine memory-backend=ram || return 0
	jq -n --arg rival "$1" --arg name "$name" --argjson gib "$2" --argjson pages "$3" \
		--arg more "${4:-}" \
		'{rival: $rival, name: $name, gib: $gib, pages: $pages, more: $more}' >>"$build/bench/boots"
}

# What a description of tests/boot/ says, as far as it is needed here.
# shellcheck disable=SC2317 # called by the description
kernel() { :; }
# shellcheck disable=SC2317
arch() { :; }
# shellcheck disable=SC2317
machine() { d_cpus=$1 d_mem=$2; }
# shellcheck disable=SC2317
append() { d_append=$*; }
# shellcheck disable=SC2317
check() { specs+=("$2"); }
# shellcheck disable=SC2317
twin() { specs+=("!$2"); }

# main_cases RIVAL: does it pass the cases of tests/boot/10-main.sh? Only ours has to. A
# rival that spins is slow beside other work: on two busy CPUs ipi-pause took ten minutes.
main_cases()
{
	local rc=0 t=$SECONDS said=$build/log/bench-$1-main.verdict bad d_cpus d_mem d_append specs=() initrd

	initrd_build arm64
	. "$top/tests/boot/10-main.sh"
	boot_guest "bench/$1-main" arm64 "$d_cpus" "$(mem_mb MEM "$d_mem" 512 65536)" 1800 \
		"$d_append" "${specs[*]}" >"$said" || rc=$?
	bad=$(sed -n 's/^not ok \([^ ]*\) .*/\1/p' "$res" | paste -sd ' ')
	if [ "$rc" -gt 1 ]; then
		bad="${bad:+$bad; }the boot: $(sed -n 's/^ *//p;q' "$said")"
		bad+=" $(sed -n 's/^  | *//p' "$said" | head -n 1)"
	fi
	jq -n --arg rival "$1" --arg failed "$bad" --argjson passed "$(grep -c '^ok ' "$res")" \
		'{rival: $rival, passed: $passed, failed: $failed}' >>"$build/bench/cases"
	say "$([ -z "$bad" ] && echo ok || echo "fails") - bench: $1: the cases of 10-main${bad:+: $bad} ($((SECONDS - t)) s)"
	[ "$1" != shadow ] || [ -z "$bad" ] || failed=$((failed + 1))
}

# one RIVAL: everything of one.
one()
{
	local off='' hvo=on n

	[ "$1" != off ] || hvo=off off=,off
	rival_kernel "$1"
	kmake_args arm64 "$obj"
	if counted "$1" "$1-1" 1 8192 "hugetlb_free_vmemmap=$hvo" \
		"bench,walks$off bench,operations$off bench,surplus$off bench,scale$off bench,walks,after$off" \
		"${PROFILE:+profile=$out/bench/$1-1.profile}" && [ -n "$PROFILE" ]; then
		profile "$1-1"
	fi
	[ "$1" != off ] || counted "off, with a vmemmap of blocks" off-blocks-1 1 8192 \
		"hugetlb_free_vmemmap=off vmemmap_pagegran=off" "bench,walks,off" "" || true
	[ -z "$QUICK" ] || return 0
	for n in 2 4 8; do
		counted "$1 with $n vCPUs" "$1-$n" "$n" 8192 "hugetlb_free_vmemmap=$hvo" \
			"bench,others,pages=100$off" "" || true
	done
	case $1 in
	off)	large off 64 0; large off 64 0 vmemmap_pagegran=off; large off 64 56; large off 256 240 ;;
	direct | shadow) large "$1" 64 56; large "$1" 256 240 ;;
	esac
	[ "$1" = off ] || main_cases "$1"
}

began=$SECONDS
lock
deps kernel guest qemu bench plot
source_get bench
tree_update
say "# make bench: $src_name, 4k pages, QEMU $(qemu_version), ${rivals[*]}"
initrd_build arm64 bench
bench_plugin
rm -rf "$out/bench"
mkdir -p "$out/bench"
: >"$build/bench/boots"
: >"$build/bench/cases"
passed=0 failed=0
for r in "${rivals[@]}"; do
	one "$r"
done

jq -n --arg kernel "$src_version ($src_name)" --arg qemu "$(qemu_version)" \
	--arg config "configs/guest.config and 4k.config" --arg gcc "$("$kernel_cc" -dumpfullversion)" \
	--arg accel "-accel tcg,thread=single -icount shift=0,sleep=off -cpu max" \
	--arg memory "8 GiB" --arg date "$(date -u +%F)" \
	--arg host "$host_arch, $(nproc) CPUs, $(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)" \
	--arg commit "$(git -C "$top" describe --always --dirty 2>/dev/null || echo unknown)" \
	--slurpfile boots "$build/bench/boots" --slurpfile cases "$build/bench/cases" \
	'$ARGS.named + {rivals: $ARGS.positional}' --args "${rivals[@]}" >"$out/bench/facts.json"
if PYTHONDONTWRITEBYTECODE=1 "$top/bench/report.py" "$out/bench"; then
	sed -n '/^Million/,/^Instructions for/p' "$out/bench/bench.md" | sed '$d'
else
	failed=$((failed + 1))
fi
say "# results: out/bench/: bench.json, bench.md, operations.svg, each.svg"
say "# bench: $passed passed, $failed failed, 0 skipped ($((SECONDS - began)) s)"
[ $((passed + failed)) -gt 0 ] || exit $E_NOTEST
[ "$failed" -eq 0 ] || exit $E_FAIL
if [ -n "$RECORD" ]; then
	export PYTHONDONTWRITEBYTECODE=1
	"$top/bench/readme.py" record "$out/bench/bench.json" "$top/bench/results.json"
	"$top/bench/readme.py" write "$top/bench/results.json" "$top/README.md"
	sed 's/[[:space:]]*$//' "$out/bench/operations.svg" >"$top/bench/operations.svg"
	say "# written: bench/results.json, bench/operations.svg, the figures in README.md"
elif [ -z "$QUICK$RIVALS$PROFILE" ]; then
	say "# RECORD=1 writes such figures to README.md and bench/"
fi
[ -n "$QUICK$RIVALS$PROFILE" ] || record bench $((SECONDS - began))
