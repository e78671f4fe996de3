#!/usr/bin/env bash
# make models: the models of models/: are they bound to the C code, and does each
# run end as the model file expects?
. "$(dirname "$0")/lib.sh"
. "$top/models/judge.sh"

BIG=${BIG:-0} RUN=${RUN:-}
one_of BIG "$BIG" 0 1
lock
deps models
other=
[ "$BIG$RUN" = 0 ] || other=other
checks_begin models $other
source_get models
# Of each base its models. What the first ones include, and have in common, is chain.pml.
declare -A names_of=([6.12]=shadow.pml [7.3]="tails.pml later.pml")
models=("$top/models/chain.pml")
for b in "${bases[@]}"; do
	[ -n "${names_of[$b]:-}" ] || die $E_USAGE "no model of the protocol for Linux $b"
	for f in ${names_of[$b]}; do
		models+=("$top/models/$f")
	done
done
readme=$top/models/README.md
header=$top/include/linux/vmemmap_shadow_chain.h
document=$top/Documentation/mm/vmemmap_shadow.rst
work=$build/models
table=$out/models.md
mkdir -p "$work"
: >"$work/table"

# table_begin TITLE
table_begin()
{
	printf '\n**%s**\n\n| run | verdict | states | s |\n|---|---|---:|---:|\n' "$1" >>"$work/table"
}

# row NAME VERDICT STATES SECONDS: one for the table.
row()
{
	# shellcheck disable=SC2016 # Markdown
	printf '| `%s` | %s | %s | %s |\n' "$@" >>"$work/table"
}

# ------------------------------------------------------------------------
# Bound to the code

# bound_files BASE DIR: what is compared. The protocol is in several files.
bound_files()
{
	local f

	mkdir -p "$2"
	cat "$top"/{.,base/"$1"}/arch/arm64/mm/vmemmap_shadow*.[ch] >"$2/code"
	for f in chain.pml ${names_of[$1]}; do
		cat "$top/models/$f"
	done >"$2/model"
	cp "$header" "$2/header"
	cp "$document" "$2/document"
}

# bound BASE DIR
bound()
{
	shown python3 "$top/models/bound.py" "$2"/{code,header,model,document} \
		"$top"/models/bound{,-"$1"}.txt
}

# bound_twin NAME MESSAGE FILE SED [BASE]: with FILE changed it must say that.
bound_twin()
{
	bound_files "${5:-6.12}" "$work/twin"
	sed -i -E "$4" "$work/twin/$3"
	twin "$1" "$2" bound "${5:-6.12}" "$work/twin"
}

# A flag that the model does not know would change nothing.
flags_known()
{
	local m f known bad=0

	for m in "${models[@]}"; do
		known=("$m")
		! grep -q '^#include "chain.pml"$' "$m" || known+=("$top/models/chain.pml")
		while read -r f; do
			grep -qE "^#.*\b${f#-D}\b" "${known[@]}" || { echo "$(rel "$m"): $f"; bad=1; }
		done < <(sed -n 's/^ \*   run //p' "$m" | grep -o -e '-D[A-Z_]*' | sort -u)
	done
	return $bad
}

# A property that no run violates might as well not be there.
properties_violated()
{
	local f bad=0

	while read -r f; do
		grep -qhE "^ \*   run .* fails:$f " "${models[@]}" || { echo "$f"; bad=1; }
	done < <(sed -nE '/^hidden byte reached_/d; s/^hidden byte (([a-z]+_)+[a-z]+);.*/\1/p' "${models[@]}")
	return $bad
}

# "NAME | VERDICT" of each run and each litmus test.
expected_rows()
{
	local f

	sed -nE 's/^ \*   run ([^ ]+) +(big:)?([^ ]+) .*/\1 | \3/p' "${models[@]}" | sed 's/| pass:.*/| pass/'
	for f in "$top"/models/litmus/*/*.litmus; do
		printf '%s/%s | %s\n' "$(basename "$(dirname "$f")")" "$(basename "$f" .litmus)" \
			"$(sed -n 's/^ \* Result: //p' "$f")"
	done
}

# readme_rows README: the same, of its tables.
readme_rows()
{
	# shellcheck disable=SC2016 # Markdown
	sed -n '/^## All runs/,$p' "$1" | sed -nE 's/^\| `([^`]+)` \| ([^|]*) \|.*/\1 | \2/p'
}

# rows_equal README: it has each run, with its verdict, and no others.
rows_equal()
{
	local bad=0

	comm -23 <(expected_rows | sort) <(readme_rows "$1" | sort) | sed 's/^/missing: /' | grep . && bad=1
	comm -13 <(expected_rows | sort) <(readme_rows "$1" | sort) | sed 's/^/not so: /' | grep . && bad=1
	return $bad
}

# litmus_twins DIR: each pattern that never happens does happen in a variant of it.
litmus_twins()
{
	local bad=0 f

	while read -r f; do
		grep -qsx ' \* Result: Sometimes' "${f%.litmus}"+*.litmus ||
			{ echo "no twin: $(basename "$f")"; bad=1; }
	done < <(grep -lx ' \* Result: Never' "$1"/*/*.litmus | grep -v +)
	return $bad
}

# names_known DOCUMENT: the runs and tests that it names are there: words in italics
# with a hyphen.
names_known()
{
	! comm -23 <(grep -oE '\*[a-z0-9]+(-[a-z0-9+]+)+\*' "$1" | tr -d '*' | sort -u) \
		<(expected_rows | sed -E 's/ .*//; s,^(lkmm|vmsa)/,,' | sort -u) |
		sed 's/^/no such run: /' | grep .
}

# states_recorded README: it has as many states for a run that passes as were found.
# Where a run fails depends on the order of the search, and so on SPIN's version.
states_recorded()
{
	local bad=0 name found states

	while IFS='|' read -r _ name found states _; do
		[[ $found =~ ^" "(pass|cycle:none) ]] || continue
		grep -qF "|$name|$found|$states|" "$1" ||
			{ echo "found:$name,$states states"; bad=1; }
	done <"$work/table"
	return $bad
}

if [ -z "$RUN" ]; then
	for b in "${bases[@]}"; do
		bound_files "$b" "$work/bound-$b"
		run "the model of Linux $b does what the C code does" bound "$b" "$work/bound-$b"
	done
	bound_twin "C code without the header is noticed" "does not include the header" code \
		'/^#include <linux.vmemmap_shadow_chain/d'
	bound_twin "a table of the C code's own is noticed" "does not begin with a look at SHADOW_CHAIN_HAS()" code \
		's/!SHADOW_CHAIN_HAS\(from, to\)/!(shadow_next[from] \& BIT(to))/'
	bound_twin "a table beside the header's is noticed" "shadow_next[from] decides about a step, too" code \
		's/^(\t)if \(!shadow_pte_is_sound\(old\)\)/\1if (!(shadow_next[from] \& 1))\n\t\treturn -EINVAL;\n&/'
	bound_twin "a step that is legal in the C code only is noticed" "decides about a step, too" code \
		's/!SHADOW_CHAIN_HAS\(from, to\)/& \|\| from == to/'
	bound_twin "a step beside the one of the chain is noticed" "does not just return shadow_step_once()" code \
		's/return shadow_step_once\(/return from == to ? 0 : shadow_step_once(/'
	bound_twin "a macro of the C code's own is noticed" "SHADOW_CHAIN: defined in the C code, too" code \
		's/^#include <linux.vmemmap_shadow_chain.*/&\n#define SHADOW_CHAIN 0/'
	bound_twin "a permission of the C code's own is noticed" "does not just return SHADOW_TAG_IS_WRITABLE()" code \
		's/return SHADOW_TAG_IS_WRITABLE\(state\)/return state != VMEMMAP_SHADOW_SEALED/'
	bound_twin "a macro of the model's own is noticed" "SHADOW_CHAIN_HAS: defined in the model, too" model \
		's/^#include "vmemmap_shadow_chain.*/&\n#define SHADOW_CHAIN_HAS(from, to) 1/'
	bound_twin "a state with another number is noticed" "VMEMMAP_SHADOW_JOINED: no static_assert()" code \
		's/VMEMMAP_SHADOW_JOINED == SHADOW_TAG_JOINED/VMEMMAP_SHADOW_JOINED == 2/'
	bound_twin "a model without the header is noticed" "the model does not include the header" model \
		'/^#include "vmemmap_shadow_chain/d'
	bound_twin "a step that the document has not is noticed" "step OWNED to SHARED: in the header only" header \
		's/SHADOW_TAG_SEALED, SHADOW_TAG_JOINED/SHADOW_TAG_OWNED, SHADOW_TAG_SHARED/'
	bound_twin "a step that the header has not is noticed" "step SHARED to SEALED: in the document only" document \
		's/SHARED --seal--> JOINED --part--> SEALED/SHARED --part--> SEALED/'
	bound_twin "a state that the document has otherwise is noticed" "state SHARED: not the same" header \
		'/^#define SHADOW_TAGS_SHARING/,/^$/s/JOINED\) \| SHADOW_TAG_BIT\(SHADOW_TAG_SHARED/JOINED/'
	bound_twin "a TLBI round that the C code loses is noticed" "shadow_optimize_windows: " code \
		'/^void vmemmap_shadow_optimize_windows/,/^}/s/vmemmap_shadow_round\(b\);//'
	bound_twin "a call that is new in the C code is noticed" "shadow_fill: " code \
		's/^(\t)vmemmap_shadow_copy\(/\1flush_cache_page(page);&/'
	bound_twin "a store that is no operation is noticed" "shadow_fill: stores through page" code \
		's/^(\t)vmemmap_shadow_copy\(/\1page->flags = 0; &/'
	bound_twin "an operation that the model loses is noticed" "shadow_replain: " model \
		's/C: shadow_replain: /C, /'
	bound_twin "a TLBI that the handler of 7.3 loses is noticed" "shadow_stray_write: " code \
		'/^int vmemmap_shadow_stray_write/,/^}/s/vmemmap_shadow_tlbi_one\(addr\);//' 7.3
	bound_twin "a wait that 7.3 loses is noticed" "shadow_optimize_windows: " code \
		'/^void vmemmap_shadow_optimize_windows/,/^}/s/shadow_wait_handlers\(\);//' 7.3
	bound_twin "a mutex that the worker loses is noticed" "vmemmap_shadow_later_work: " code \
		'/^VISIBLE_IF_KUNIT void vmemmap_shadow_later_work/,/^}/s/mutex_lock\(&shadow_later_mutex\);//' 7.3
	bound_twin "a note that is not taken back is noticed" "vmemmap_shadow_forget_folio: " code \
		's/noted = __xa_erase\(/noted = xa_load(/' 7.3
	bound_twin "a restore that waits for no worker is noticed" "vmemmap_shadow_later_wait: " code \
		'/^void vmemmap_shadow_later_wait/,/^}/s/mutex_.*//' 7.3
	bound_twin "an operation that is of no base is noticed" "shadow_join_range: looks at no constant" model \
		's/C: shadow_join_range: shadow_step /O: shadow_join_range: shadow_step /' 7.3
	run "each model knows every flag of its runs" flags_known
	run "every property is violated by a run" properties_violated
	run "every litmus test has a twin" litmus_twins "$top/models/litmus"
	rm -rf "$work/twin"
	mkdir -p "$work/twin"
	cp -r "$top/models/litmus/vmsa" "$work/twin"
	rm "$work/twin/vmsa/join+"*
	twin "a litmus test without a twin is noticed" "no twin: join.litmus" litmus_twins "$work/twin"
	for f in "$document" "$top/base/7.3/Documentation/mm/vmemmap_shadow_share.rst"; do
		run "$(rel "$f") names runs that are there" names_known "$f"
	done
	sed 's/\*no-gp-no-test\*/*no-gp-and-no-test*/' "$document" >"$work/twin/document"
	twin "a run that is not there is noticed" "no such run: no-gp-and-no-test" \
		names_known "$work/twin/document"
	run "$(rel "$readme") has the verdict of every run" rows_equal "$readme"
	sed '/^| .no-tlbi-1. /s/rule_writable/store_lost/' "$readme" >"$work/twin/readme"
	twin "a verdict that is not that of the run is noticed" \
		"missing: no-tlbi-1 | fails:rule_writable" rows_equal "$work/twin/readme"
fi

# ------------------------------------------------------------------------
# SPIN

# The runs are independent, and each has a directory of its own. Two at a time are at
# most 4 GiB; a big one needs these for itself.
side_by_side=$(nproc)
[ "$side_by_side" -le 2 ] || side_by_side=2
compiler=(gcc)
! command -v ccache >/dev/null || compiler=(ccache gcc)
declare -A running=()
order=()

# begin MODEL NAME VERDICT FLAG...: in a process group, so that all of it ends when we do.
begin()
{
	rm -rf "${work:?}/$2"
	mkdir -p "$work/$2"
	set -m
	spin_run "$@" </dev/null >"$work/$2/said" 2>&1 &
	set +m
	running[$!]=1
	order+=("$!:$2")
}

end_all()
{
	local pid

	for pid in "${!running[@]}"; do
		kill -- "-$pid" 2>/dev/null || true
	done
	ticker_stop
}
trap end_all EXIT

# left N: wait until no more than N are left; report those that have ended, in the
# order of the model file.
left()
{
	local pid

	while :; do
		while [ ${#order[@]} -gt 0 ] && [ -z "${running[${order[0]%%:*}]:-}" ]; do
			spin_report "${order[0]#*:}"
			order=("${order[@]:1}")
		done
		[ ${#running[@]} -gt "$1" ] || return 0
		wait -n -p pid "${!running[@]}" || true
		unset "running[$pid]"
	done
}

# states_known NAME: how many the README has of it; 0 if it does not say.
states_known()
{
	local n

	n=$(sed -nE "s/^\| \`$1\` \|[^|]*\| ([0-9]+) \|.*/\1/p" "$readme")
	echo "${n:-0}"
}

# spin_run MODEL NAME VERDICT FLAG...
spin_run()
{
	local model=$1 name=$2 want=$3 rc=0 start=$EPOCHREALTIME found cflags pan args

	shift 3
	cd "$work/$name"
	cflags=(-O0 -w -DNOREDUCE -DMEMLIM=2000 -DSAFETY) pan=(./pan -m1000000 -w20)
	# Where there were millions of states, an optimizing compiler is worth its time.
	if [ "$(states_known "$name")" -ge 1000000 ]; then
		cflags[0]=-O2 pan[2]=-w24
	fi
	case $want in
	cycle:*)	cflags[-1]=-DNP pan+=(-l -n) ;;
	big:*)		want=${want#big:} pan[2]=-w24
			cflags=(-O2 -w -DNOREDUCE -DMEMLIM=4000 -DSAFETY -DCOLLAPSE) ;;
	esac
	args=(-P -undef -nostdinc -I "$top/include/linux" "$@" "$model" -o model.pml)
	: >pan.out
	# ccache knows what only compiles.
	if shown cpp "${args[@]}" && shown spin -a model.pml &&
	   shown "${compiler[@]}" "${cflags[@]}" -c -o pan.o pan.c && shown gcc -o pan pan.o; then
		[ "$V" != 1 ] || printf '+ %s\n' "${pan[*]@Q}"
		"${pan[@]}" >pan.out 2>&1 || true
	fi
	found=$(judge_pan "$want" pan.out pan.m) || rc=1
	echo "expected $want, found $found"
	# The generated sources are 2 MB each.
	[ "$rc" -ne 0 ] || rm -f pan pan.[bchmopt]
	printf '%s\n' "$rc" "$(head -n 1 <<<"$found")" "$(states pan.out)" \
		"$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")" >result
}

# spin_report NAME: its check, and its row.
spin_report()
{
	local dir=$work/$1 result=(1 "it did not finish" "" "")

	[ ! -f "$dir/result" ] || mapfile -t result <"$dir/result"
	[ "$V" != 1 ] || cat "$dir/said"
	row "$1" "${result[@]:1}"
	verdict "$1: ${result[1]}, ${result[2]} states, ${result[3]} s" "${result[0]}" "$dir/said"
}

for m in "${models[@]}"; do
	grep -q '^ \*   run ' "$m" || continue
	table_begin "$(basename "$m")"
	while read -r name want flags; do
		[ -z "$RUN" ] || [ "$RUN" = "$name" ] || continue
		# shellcheck disable=SC2086 # the flags are words
		if [[ $want != big:* ]]; then
			left $((side_by_side - 1))
			begin "$m" "$name" "$want" $flags
		elif [ "$BIG" = 1 ] || [ -n "$RUN" ]; then
			left 0
			begin "$m" "$name" "$want" $flags
			ticker_start "$name" "tail -n 1 '$work/$name/pan.out' | cut -c -60"
			left 0
			ticker_stop
		fi
	done < <(sed -n 's/^ \*   run //p' "$m")
	left 0
done

# The judge, on texts that pan writes: it must not believe these.
nothing_believed()
{
	local text=$work/judge.out bad=0
	local good=$'Full statespace search for:\n\tassertion violations\t+\n\tinvalid end states\t+\n'
	good+=$'State-vector 104 byte, depth reached 675, errors: 0\n   12 states, stored\n'

	# believed VERDICT TEXT: must not be
	believed()
	{
		printf '%s\n' "$2" >"$text"
		! judge_pan "$1" "$text" /dev/null || { echo "believed: $1: $2"; bad=1; }
	}
	printf '%s\n' "$good" >"$text"
	judge_pan pass "$text" /dev/null || { echo "did not believe: $good"; bad=1; }
	believed pass ""
	believed pass "error: max search depth too small"$'\n'"$good"
	believed pass "pan: reached -DMEMLIM bound"$'\n'"$good"
	believed pass "${good/errors: 0/errors: 1}"
	believed pass "pan:1: assertion violated ((x)||store_lost) (at depth 8)"$'\n'"$good"
	believed pass "pan:1: invalid end state (at depth 8)"$'\n'"$good"
	believed pass "$good"$'unreached in proctype updater\n\tm.pml:9, state 4, "-end-"\n\t(1 of 4 states)'
	believed pass "${good/Full/Bit}"
	believed pass "${good/Full statespace/Hash-Compact 4}"
	believed pass "${good/violations?+/violations - (disabled by -A flag)}"
	believed pass "${good/states?+/states - (disabled by -E flag)}"
	believed pass:recovered "$good"
	believed fails:store_lost "$good"
	believed fails:store_lost "pan:1: assertion violated ((x)||not_store_lost) (at depth 8)"$'\n'"$good"
	believed cycle:none "$good"
	printf ' * Result: Never\n' >"$work/judge.litmus"
	printf '%s\n' 'Positive: 0 Negative: 0' 'Observation x Never 0 0' >"$text"
	! judge_herd "$work/judge.litmus" "$text" || { echo "believed: no execution at all"; bad=1; }
	return $bad
}

if [ -z "$RUN" ]; then
	run "$(rel "$readme") has the states that were found" states_recorded "$readme"
	sed '/^| .chain. /s/| [0-9]* |/| 133875 |/' "$readme" >"$work/twin/readme"
	twin "a number of states that is not that of the run is noticed" "chain" \
		states_recorded "$work/twin/readme"
	run "the judge of pan's text believes nothing that is not there" nothing_believed
fi

# ------------------------------------------------------------------------
# Litmus tests

# litmus_run FILE
litmus_run()
{
	local name text=$work/litmus.out rc=0 start=$EPOCHREALTIME found opts

	name=$(basename "$(dirname "$1")")/$(basename "$1" .litmus)
	case $name in
	lkmm/*)	opts=(-conf linux-kernel.cfg) ;;
	vmsa/*)	opts=(-variant "$(sed -n 's/^ \* Variant: //p' "$1")") ;;
	esac
	# The configuration names its files without a directory.
	(cd "$src/tools/memory-model" && shown timeout 60 "$herd" "${opts[@]}" "$1") \
		>"$text" 2>&1 || true
	found=$(judge_herd "$1" "$text") || rc=1
	row "$name" "$found" "" "$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")"
	verdict "$name: $found" "$rc" "$text"
}

table_begin "Litmus tests, of both"
litmus=("$top"/models/litmus/*/*.litmus)
[ -z "$RUN" ] || litmus=("$top"/models/litmus/*/"$RUN".litmus)
if [ ! -f "${litmus[0]}" ]; then
	:
elif ! herd_find && { [ -n "${HERD7:-}" ] || ! herd_get || ! herd_find; }; then
	skip "${#litmus[@]} litmus tests: $herd_why" "${#litmus[@]}"
else
	for f in "${litmus[@]}"; do
		litmus_run "$f"
	done
	say "# herd7 $herd_version"
fi

[ -n "$RUN" ] || cp "$work/table" "$table"
say "# table: $(rel "$table"), log: $(rel "$log"), texts: $(rel "$work")/"
checks_end
