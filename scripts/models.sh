#!/usr/bin/env bash
# make models: the models of models/: are they bound to the C code, and does each
# run end as the model file expects?
. "$(dirname "$0")/lib.sh"
. "$top/models/judge.sh"

BIG=${BIG:-0}
one_of BIG "$BIG" 0 1
began=$SECONDS
lock
deps models
source_get
model=$top/models/shadow.pml
work=$build/models
table=$out/models.md
mkdir -p "$out"
code=$top/arch/arm64/mm/vmemmap_shadow.c
header=$top/include/linux/vmemmap_shadow_chain.h
passed=0 failed=0 skipped=0
mkdir -p "$work" "$build/log"
log=$build/log/models.log
: >"$log"
printf '| run | verdict | states | s |\n|---|---|---|---|\n' >"$table.new"

# verdict NAME RC FILE: one line for a check, with the text when it failed.
verdict()
{
	if [ "$2" -eq 0 ]; then
		say "ok - models: $1"
		passed=$((passed + 1))
	else
		say "not ok - models: $1"
		sed 's/^/  | /' "$3"
		failed=$((failed + 1))
	fi
	{ echo "# $1: $2"; cat "$3"; } >>"$log"
}

# ------------------------------------------------------------------------
# Bound to the code

bound()
{
	shown python3 "$top/models/bound.py" "$1" "$2" "$3" "$top/models/bound.txt"
}

# bound_twin NAME MESSAGE FILE SED: with FILE changed it must say that.
bound_twin()
{
	local name=$1 message=$2 file=$3 edit=$4 rc=1 dir=$work/twin

	mkdir -p "$dir"
	cp "$code" "$dir/code"
	cp "$header" "$dir/header"
	cp "$model" "$dir/model"
	sed -i -E "$edit" "$dir/$file"
	if bound "$dir/code" "$dir/header" "$dir/model" >"$work/said"; then
		echo "it should have said: $message" >>"$work/said"
	elif grep -qF "$message" "$work/said"; then
		rc=0
	fi
	verdict "$name" "$rc" "$work/said"
}

if [ -z "${RUN:-}" ]; then
	rc=0
	bound "$code" "$header" "$model" >"$work/said" 2>&1 || rc=1
	verdict "the model does what the C code does" "$rc" "$work/said"
	bound_twin "a step that the C code has not is noticed" "in the header only" header \
		's/SHADOW_TAG_SEALED, SHADOW_TAG_JOINED/SHADOW_TAG_OWNED, SHADOW_TAG_SHARED/'
	bound_twin "a TLBI round that the C code loses is noticed" "shadow_optimize_window: " code \
		'/^static void shadow_optimize_window/,/^}/s/shadow_tlbi_round\(b, lo, hi\);//'
	bound_twin "a call that is new in the C code is noticed" "shadow_fill: " code \
		's/^(\t)vmemmap_shadow_copy\(/\1flush_cache_page(page);&/'
	bound_twin "an operation that the model loses is noticed" "shadow_replain: " model \
		's/C: shadow_replain: /C, /'
	# A flag that the model does not know would change nothing.
	rc=0
	sed -n 's/^ \*   run //p' "$model" | grep -o -e '-D[A-Z_]*' | sort -u |
		while read -r f; do
			grep -qE "^#.*\b${f#-D}\b" "$model" || echo "$f"
		done >"$work/said"
	[ ! -s "$work/said" ] || rc=1
	verdict "the model knows every flag of its runs" "$rc" "$work/said"
	# A property that no run violates might as well not be there.
	rc=0
	sed -nE '/^hidden byte reached_/d; s/^hidden byte (([a-z]+_)+[a-z]+);.*/\1/p' "$model" |
		while read -r f; do
			grep -qE "^ \*   run .* fails:$f " "$model" || echo "$f"
		done >"$work/said"
	[ ! -s "$work/said" ] || rc=1
	verdict "every property is violated by a run" "$rc" "$work/said"
fi

# ------------------------------------------------------------------------
# SPIN

# spin_run NAME VERDICT FLAG...
spin_run()
{
	local name=$1 want=$2 dir=$work/$1 rc=0 start=$EPOCHREALTIME found cc pan args secs

	shift 2
	rm -rf "$dir"
	mkdir -p "$dir"
	cc=(gcc -w -O0 -DNOREDUCE -DMEMLIM=4000 -DSAFETY) pan=(./pan -m1000000)
	case $want in
	cycle:*)	cc=(gcc -w -O0 -DNOREDUCE -DMEMLIM=4000 -DNP) pan+=(-l -n) ;;
	big:*)		want=${want#big:} cc=(gcc -w -O2 -DNOREDUCE -DMEMLIM=16000 -DSAFETY -DCOLLAPSE) ;;
	esac
	args=(-P -undef -nostdinc -I "$top/include/linux" "$@" "$model" -o model.pml)
	(
		cd "$dir"
		shown cpp "${args[@]}" && shown spin -a model.pml &&
			shown "${cc[@]}" -o pan pan.c
	) >"$dir/build.log" 2>&1 || { cp "$dir/build.log" "$dir/pan.out"; rc=2; }
	[ "$V" != 1 ] || cat "$dir/build.log"
	if [ "$rc" -eq 0 ]; then
		ticker_start "$name" "tail -c 80 '$dir/pan.out' | tail -n 1"
		(cd "$dir" && shown "${pan[@]}") >"$dir/pan.out" 2>&1 || true
		ticker_stop
	fi
	found=$(judge_pan "$want" "$dir/pan.out" "$dir/pan.m") || rc=1
	secs=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")
	printf '| %s | %s | %s | %s |\n' "$name" "$(head -n 1 <<<"$found")" \
		"$(states "$dir/pan.out")" "$secs" >>"$table.new"
	echo "expected $want, found $found" >"$dir/verdict"
	verdict "$name: $(head -n 1 <<<"$found"), $(states "$dir/pan.out") states, $secs s" "$rc" "$dir/verdict"
	# The generated sources are 2 MB each.
	[ "$rc" -ne 0 ] || rm -f "$dir"/pan "$dir"/pan.[bchmpt]
}

ran=0
while read -r name want flags; do
	[ -z "${RUN:-}" ] || [ "$RUN" = "$name" ] || continue
	if [[ $want == big:* && $BIG = 0 && -z "${RUN:-}" ]]; then
		continue
	fi
	# shellcheck disable=SC2086 # the flags are words
	spin_run "$name" "$want" $flags
	ran=$((ran + 1))
done < <(sed -n 's/^ \*   run //p' "$model")

# The judge, on texts that pan writes: it must not believe these.
if [ -z "${RUN:-}" ]; then
	twin=$work/judge.out
	good=$'State-vector 104 byte, depth reached 675, errors: 0\n   12 states, stored\n'
	bad=0
	# believed VERDICT TEXT: must not be
	believed()
	{
		printf '%s\n' "$2" >"$twin"
		! judge_pan "$1" "$twin" /dev/null >"$work/said" || { echo "believed: $1: $2"; bad=1; }
	}
	{
		printf '%s\n' "$good" >"$twin"
		judge_pan pass "$twin" /dev/null || { echo "did not believe: $good"; bad=1; }
		believed pass ""
		believed pass "error: max search depth too small"$'\n'"$good"
		believed pass "pan: reached -DMEMLIM bound"$'\n'"$good"
		believed pass "${good/errors: 0/errors: 1}"
		believed pass "pan:1: assertion violated ((x)||store_lost) (at depth 8)"$'\n'"$good"
		believed pass "pan:1: invalid end state (at depth 8)"$'\n'"$good"
		believed pass "$good"$'unreached in proctype updater\n\tm.pml:9, state 4, "-end-"\n\t(1 of 4 states)'
		believed pass:recovered "$good"
		believed fails:store_lost "$good"
		believed fails:store_lost "pan:1: assertion violated ((x)||not_store_lost) (at depth 8)"$'\n'"$good"
		believed cycle:none "$good"
	} >"$work/judge.said"
	verdict "the judge of pan's text believes nothing that is not there" "$bad" "$work/judge.said"
fi

# ------------------------------------------------------------------------
# Litmus tests

litmus=("$top"/models/litmus/*/*.litmus)
[ -z "${RUN:-}" ] || litmus=("$top"/models/litmus/*/"$RUN".litmus)
if [ ! -f "${litmus[0]}" ]; then
	:
elif ! herd_find && { [ -n "${HERD7:-}" ] || ! herd_get || ! herd_find; }; then
	say "skip - models: ${#litmus[@]} litmus tests: $herd_why"
	skipped=$((skipped + ${#litmus[@]}))
else
	mkdir -p "$work/litmus"
	for f in "${litmus[@]}"; do
		name=$(basename "$(dirname "$f")")-$(basename "$f" .litmus)
		text=$work/litmus/$name.out
		rc=0 start=$EPOCHREALTIME
		case $f in
		*/lkmm/*)	opts=(-conf linux-kernel.cfg) ;;
		*/vmsa/*)	opts=(-variant "$(sed -n 's/^ \* Variant: //p' "$f")") ;;
		esac
		# The configuration names its files without a directory.
		(cd "$src/tools/memory-model" && shown timeout 60 "$herd" "${opts[@]}" "$f") \
			>"$text" 2>&1 || true
		found=$(judge_herd "$f" "$text") || rc=1
		secs=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")
		printf '| %s | %s | | %s |\n' "$name" "$found" "$secs" >>"$table.new"
		verdict "$name: $found" "$rc" "$text"
		ran=$((ran + 1))
	done
	say "# herd7 $herd_version"
fi

[ -n "${RUN:-}" ] || mv "$table.new" "$table"
say "# table: $(rel "$table"), log: $(rel "$log"), texts: $(rel "$work")/"
[ "$ran" -gt 0 ] || { say "# models: no test ran"; exit $E_NOTEST; }
[ -n "${RUN:-}" ] || printf '%s %s %s\n' "$passed" "$failed" "$skipped" >"$build/models.count"
say "# models: $passed passed, $failed failed, $skipped skipped ($((SECONDS - began)) s)"
[ "$failed" -eq 0 ] || exit $E_FAIL
[ "$BIG" = 1 ] || [ -n "${RUN:-}" ] || record models $((SECONDS - began))
