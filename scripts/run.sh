#!/usr/bin/env bash
# make run: build the guest, boot it, fill and free the pools, print a table and
# write out/run.json.
. "$(dirname "$0")/lib.sh"

GRANULE=${GRANULE:-4k} CPUS=${CPUS:-2} MEM=${MEM:-4G} HVO=${HVO:-on}
one_of GRANULE "$GRANULE" 4k 16k 64k
one_of HVO "$HVO" on off
number CPUS "$CPUS" 1 16
mem=$(mem_mb MEM "$MEM" 1024 65536)
CPUS=$((10#$CPUS))

began=$SECONDS
lock
deps kernel guest qemu
source_get run
tree_update
say "Kernel: $src_name, $GRANULE pages"
guest_kernel "guest-$GRANULE" "$GRANULE"
initrd_build arm64

rc=0
boot_guest run arm64 "$CPUS" "$mem" 300 "hugetlb_free_vmemmap=$HVO" "pools,hvo=$HVO" || rc=$?

# The guest's records, one JSON object each: {"kind", name: value, ...}.
kernel=$(sed -n 's/^begin //p' "$res")
jq -Rn --arg kernel "$kernel ($src_name)" --arg granule "$GRANULE" --argjson cpus "$CPUS" \
	--arg hvo "$HVO" \
	--argjson bad_pages "$(log_count "$re_bad_page" "$con")" \
	--argjson warnings "$(log_count "$re_warning" "$con")" \
	--argjson faults "$(log_count "$re_panic|$re_fault" "$con")" '
	[inputs | select(test("^(pool|demote|leaked) ")) | split(" ") |
		{kind: .[0]} + (.[1:] | map(split("=") | {(.[0]): (.[1] | tonumber)}) | add)] as $r |
	{
		kernel: $kernel, granule: $granule, cpus: $cpus, hvo: $hvo,
		pools: [$r[] | select(.kind == "pool") | del(.kind)],
		demote: ([$r[] | select(.kind == "demote") | del(.kind)][0]),
		leaked_kb: ([$r[] | select(.kind == "leaked") | .kb][0]),
		bad_pages: $bad_pages, warnings: $warnings, faults: $faults
	}' "$res" >"$build/run.full.json"
jq 'del(.pools[].before_kb, .pools[].after_kb)' "$build/run.full.json" >"$out/run.json.new"
mv "$out/run.json.new" "$out/run.json"

say
say "Linux $kernel, $GRANULE pages, $CPUS CPUs, $MEM, HVO $HVO"
jq -r '
	["page size", "pages", "vmemmap KiB", "with pool", "freed KiB", "expected", "alloc ms", "free ms"],
	(.pools[] | [
		(if .size_kb >= 1048576 then "\(.size_kb / 1048576) GiB" else "\(.size_kb / 1024) MiB" end),
		.pages, .before_kb, .after_kb, .freed_kb, .expected_kb, .alloc_ms, .free_ms
	]) | map(tostring) | join("\t")' "$build/run.full.json" |
	awk -F '\t' '{ for (i = 1; i <= NF; i++) printf "%12s", $i; print "" }'
jq -r '"",
	(.demote // empty |
	"demoted \(.from_kb / 1024) MiB to \(.pages) x \(.to_kb / 1024) MiB: \(.freed_kb) KiB freed, expected \(.expected_kb)"),
	"leaked \(.leaked_kb // "?") KiB, \(.bad_pages) bad pages, \(.warnings) warnings, \(.faults) faults"
	' "$build/run.full.json"
sed -n -e 's/^nodemote$/nothing to demote: no two sizes, from that of a PMD up, fit into this MEM/p' \
	-e 's/^unfit size_kb=\([0-9]*\)$/not tried, too large for this MEM: \1 kB/p' -e '/^# /p' "$res"
say "Results: $(rel "$out/run.json"), console: $(rel "$con")"

# What the boot was judged by is the exit code; the figures are judged again.
if [ "$rc" -eq 0 ] && ! jq -e --argjson nodemote "$(grep -c '^nodemote$' "$res")" '
	(.pools | length > 0) and all(.pools[]; .pages > 0 and .freed_kb == .expected_kb) and
	(if $nodemote > 0 then .demote == null
	 else .demote != null and .demote.pages > 0 and .demote.freed_kb == .demote.expected_kb end) and
	.leaked_kb == 0 and .bad_pages == 0 and .warnings == 0 and .faults == 0
	' "$out/run.json" >/dev/null; then
	rc=$E_FAIL
fi
if [ "$rc" -eq 0 ]; then
	record run $((SECONDS - began))
	say "PASS ($((SECONDS - began)) s)"
else
	say "FAIL (exit code $rc)"
fi
exit "$rc"
