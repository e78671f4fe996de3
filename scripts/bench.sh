#!/usr/bin/env bash
# make bench: what filling, freeing and demoting pools of huge pages costs, counted in
# instructions, for the shadow vmemmap and for every rival in bench/rivals/. Results in
# out/bench/. QUICK=1 leaves out what takes long; RIVALS="NAME..." takes only some;
# PROFILE=1 tells where the instructions of the five operations went, by function.
. "$(dirname "$0")/lib.sh"

QUICK=${QUICK:-} PROFILE=${PROFILE:-} RIVALS=${RIVALS:-}
one_of QUICK "$QUICK" "" 0 1
one_of PROFILE "$PROFILE" "" 0 1
[ "$QUICK" != 0 ] || QUICK=
[ "$PROFILE" != 0 ] || PROFILE=
mapfile -t all < <(sed -n 's/^\([a-z-]*\):.*/\1/p' "$top/bench/rivals/series")
rivals=("${all[@]}")
[ -z "$RIVALS" ] || read -ra rivals <<<"$RIVALS"
for r in "${rivals[@]}"; do
	one_of RIVALS "$r" "${all[@]}"
done

# profile NAME: where the instructions of a boot went.
profile()
{
	"${kernel_cc%gcc}nm" -n "$obj/vmlinux" >"$build/bench/nm"
	python3 "$top/bench/profile.py" "$out/bench/$1.profile" "$build/bench/nm" \
		"$out/bench/$1.results" 25 >"$out/bench/$1.profile.txt"
	rm "$out/bench/$1.profile"
	say "  By function: $(rel "$out/bench/$1.profile.txt")"
}

began=$SECONDS
lock
deps kernel guest qemu bench
source_get
tree_update
say "# make bench: $src_name, 4k pages, QEMU $(qemu_version), ${rivals[*]}"
initrd_build arm64
bench_plugin
mkdir -p "$out/bench"
worst=0
for r in "${rivals[@]}"; do
	rival_kernel "$r"
	kmake_args arm64 "$obj"
	hvo=on off=
	[ "$r" != off ] || hvo=off off=,off
	rc=0 t=$SECONDS
	bench_boot "$r" 1 8192 "hugetlb_free_vmemmap=$hvo" \
		"bench,operations$off bench,surplus$off bench,scale$off" \
		${PROFILE:+"profile=$out/bench/$r.profile"} || rc=$?
	[ "$worst" -gt "$rc" ] || worst=$rc
	[ "$rc" -eq 0 ] && word=ok || word="not ok"
	say "$word - bench: $r ($((SECONDS - t)) s)"
	sed -n '/^#/p' "$res"
	[ -z "$PROFILE" ] || profile "$r"
done
say "# make bench took $((SECONDS - began)) s; out/bench/"
exit "$worst"
