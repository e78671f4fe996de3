#!/usr/bin/env bash
# make bench-check: the instructions of ours, compared with bench/baseline.json. More
# than 3 % more of any operation is a failure. RECORD=1 writes the baseline instead.
. "$(dirname "$0")/lib.sh"

RECORD=${RECORD:-}
one_of RECORD "$RECORD" "" 0 1
baseline=$top/bench/baseline.json	# of the default base

# counts NAME: a boot that is counted. Once pools have come and gone, Linux 7.3 finds no
# page of 1 GiB in 4 GiB.
counts()
{
	bench_boot "$1" 1 "$mem" hugetlb_free_vmemmap=on "bench,check bench,check,busted"
}

# agree A B: the operations of two boots, within a thousandth.
agree()
{
	PYTHONPATH=$top/bench PYTHONDONTWRITEBYTECODE=1 python3 - "$@" <<'PYTHON'
import sys
import results

BOUND = 0.001
a, b = ({op["name"]: op["instructions"] for op in results.read(p)} for p in sys.argv[1:])
bad = [k for k in a.keys() | b.keys()
       if k not in a or k not in b or abs(a[k] / b[k] - 1) > BOUND]
for k in a | b:
    print(f"{k}: {a.get(k)} and {b.get(k)}" + (", not the same" if k in bad else ""))
sys.exit(bool(bad))
PYTHON
}

# agree_not: the same with a second boot whose first operation took ten times as many.
agree_not()
{
	cp "$path.results" "$path-other.results"
	sed '1s/"instructions": [0-9]*/&0/' "$path.counts" >"$path-other.counts"
	agree "$path" "$path-other"
}

lock
deps kernel guest qemu bench
checks_begin bench-check "${RECORD#0}"
source_get bench-check
mem=4096
[ "$base" = "$default_base" ] || { baseline=$top/bench/$base/baseline.json mem=8192; }
tree_update
guest_kernel guest-4k 4k
initrd_build arm64 bench
bench_plugin
kmake_args arm64 "$obj"
gcc=$("$kernel_cc" -dumpfullversion)
path=$out/bench/check
export PYTHONDONTWRITEBYTECODE=1

run "the operations are counted" counts check
if [ "$RECORD" = 1 ]; then
	mkdir -p "$(dirname "$baseline")"
	run "the baseline is written" "$top/bench/check.py" record "$baseline" "$path" \
		"$src_version" "$gcc"
	cat "$baseline"
elif [ ! -f "$baseline" ]; then
	skip "instructions: there is no $(rel "$baseline") yet, RECORD=1 writes one" 2
elif [ "$(jq -r '.kernel + " " + .gcc' "$baseline")" != "$src_version $gcc" ]; then
	skip "instructions: the baseline is of $(jq -r '"Linux \(.kernel), gcc \(.gcc)"' "$baseline")" 2
else
	run "no more instructions than the baseline has" \
		"$top/bench/check.py" compare "$baseline" "$path"
	sed 's/^/  /' "$check_said"
	twin "more instructions are noticed" ': worse' \
		"$top/bench/check.py" compare "$baseline" "$path" busted-
fi
run "they are counted again" counts check-again
run "two boots agree to a thousandth" agree "$path" "$path-again"
twin "boots that do not agree are noticed" ", not the same" agree_not
checks_end
