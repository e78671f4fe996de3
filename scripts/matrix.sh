#!/usr/bin/env bash
# make matrix: the KUnit suites and a short suite of boots on every shape of arm64 that
# tests/matrix/axes.txt makes; the table is out/matrix.md. ROWS="1 2" only these of it,
# ROWS=rest those that have not passed: what was seen of the others stays in the table
# while it is of the same kernel. RECORD=1 writes a table that is whole to README.md, too.
# One failure does not stop the rest.
. "$(dirname "$0")/lib.sh"

ROWS=${ROWS:-} RECORD=${RECORD:-}
one_of RECORD "$RECORD" "" 0 1
[ -z "${KSRC:-}" ] || die $E_USAGE "KSRC=$KSRC: make matrix takes Debian's kernel of each base"
axes=$top/tests/matrix/axes.txt
seen=$build/matrix.seen	# STAMP NUMBER kunit|boot WORD TEXT
mapfile -t rows < <(python3 "$top/scripts/matrix.py" rows "$axes")
for n in $ROWS; do
	[ "$ROWS" = rest ] || number ROWS "$n" 1 ${#rows[@]}
done

# set_row NUMBER AXIS=VALUE...: the row as the variables of kunit.sh and boot.sh.
set_row()
{
	local a v

	number=$1
	shift
	export SHAPE=row$number SHAPE_CONFIG=$build/matrix.config SHAPE_APPEND='' SHAPE_QEMU=''
	export SHAPE_CPUS SHAPE_NODES BASE GRANULE
	: >"$SHAPE_CONFIG"
	for a; do
		v=${a#*=}
		case ${a%%=*} in
		base)	BASE=$v ;;
		shape)
			GRANULE=${v%-*}
			echo "CONFIG_ARM64_VA_BITS_${v#*-}=y" >>"$SHAPE_CONFIG"
			# Kconfig shows it to experts.
			[ "$v" != 16k-36 ] || echo CONFIG_EXPERT=y >>"$SHAPE_CONFIG"
			;;
		preempt)	preempt_config "$v" >>"$SHAPE_CONFIG" ;;
		cpu)
			[[ $v != max* ]] || v=max,pauth-impdef=on${v#max}
			SHAPE_QEMU+=" -cpu $v"
			;;
		cpus)	SHAPE_CPUS=$v SHAPE_QEMU+=" -smp $v" ;;
		kpti | rodata)	SHAPE_APPEND+=" ${a%%=*}=$v" ;;
		kaslr)	[ "$v" = on ] || SHAPE_APPEND+=" nokaslr" ;;
		nodes)	SHAPE_NODES=$v ;;
		nmi)	[ "$v" = off ] || SHAPE_APPEND+=" irqchip.gicv3_pseudo_nmi=1" ;;
		*)	die $E_USAGE "tests/matrix/axes.txt: there is no axis called ${a%%=*}" ;;
		esac
	done
}

# preempt_config none|full|rt: what this base has for it.
preempt_config()
{
	case $1/$BASE in
	full/*)	echo CONFIG_PREEMPT=y ;;
	rt/*)
		cat "$top/configs/rt.config"
		# KUnit's own configuration has it.
		echo CONFIG_VMEMMAP_SHADOW_DEBUG=n
		;;
	none/6.12)	printf '%s\n' CONFIG_PREEMPT=n CONFIG_PREEMPT_NONE=y ;;
	# Linux 7.3 has no PREEMPT_NONE on arm64 any more.
	none/*)	printf '%s\n' CONFIG_PREEMPT=n CONFIG_PREEMPT_LAZY=y ;;
	esac
}

# kernel_of BASE: print what tells its source and tests from others; no document does.
kernel_of()
{
	BASE=$1 base=$1
	source_get matrix >&2
	tree_update >&2
	cd "$build/stage/$src_key"
	{
		echo "$src_key"
		find . -type f ! -path './Documentation/*' ! -name MAINTAINERS -print0 | sort -z |
			xargs -0r sha256sum
	} | sha256sum
}

# stamp_of ROW: print what a result of this row is of: the kernel and its configuration,
# and which cases are run, but not their programs.
stamp_of()
{
	local base
	local -a frags

	# shellcheck disable=SC2086
	set_row $1
	base=$BASE
	mapfile -t frags < <(base_fragments "$top"/configs/{guest,small,"$GRANULE",hvo}.config)
	{
		echo "$1 ${kernels[$BASE]}"
		cat "$SHAPE_CONFIG" "${frags[@]}" "$top/tests/matrix/shape.sh"
	} | sha256sum | cut -c -16
}

# has_passed NUMBER: nothing is left to be seen of this row.
has_passed()
{
	[ "$(grep -cE "^${stamps[$1]} $1 (kunit|boot) ok " "$seen")" -eq 2 ]
}

# result WORD TEXT: a line about the row that is set.
result()
{
	grep -v "^[0-9a-f]* $number $what " "$seen" >"$seen.new" || true
	echo "${stamps[$number]} $number $what $*" >>"$seen.new"
	mv "$seen.new" "$seen"
}

# one kunit|boot: run it for the row that is set.
one()
{
	local what=$1
	local log=$build/log/matrix-$number-$what.log rc=0 n t=$SECONDS text

	rm -f "$build/$what.count"
	QUIET=1 BOOT='' "$top/scripts/$what.sh" >"$log" 2>&1 || rc=$?
	n=$(cat "$build/$what.count" 2>/dev/null) || n="0 0 0"
	text="${n%% *} passed"
	if [ "$rc" -eq 0 ]; then
		passed=$((passed + 1))
		say "ok - row $number, $what: $text ($((SECONDS - t)) s)"
		result ok "$text"
		return
	fi
	failed=$((failed + 1))
	say "not ok - row $number, $what: exit code $rc ($((SECONDS - t)) s); its log: $(rel "$log")"
	grep -m 3 -E '^not ok|refused|failed' "$log" | sed 's/^/  | /' || true
	result failed "with $rc"
}

began=$SECONDS
lock
deps kernel guest qemu kunit
mkdir -p "$build/log"
touch "$seen"
passed=0 failed=0 left_out=0
declare -A kernels stamps
for b in "${bases[@]}"; do
	kernels[$b]=$(kernel_of "$b")
done
for row in "${rows[@]}"; do
	stamps[${row%% *}]=$(stamp_of "$row")
done
say "# make matrix: ${#rows[@]} rows, about 75 minutes once the compiler's cache is warm"
for row in "${rows[@]}"; do
	n=${row%% *}
	if { [ "$ROWS" = rest ] && has_passed "$n"; } ||
	   { [ -n "$ROWS" ] && [ "$ROWS" != rest ] && [[ " $ROWS " != *" $n "* ]]; }; then
		left_out=$((left_out + 1))
		continue
	fi
	say "# row $row"
	# shellcheck disable=SC2086
	set_row $row
	one kunit
	one boot
done
for row in "${rows[@]}"; do
	n=${row%% *}
	sed -n "s/^${stamps[$n]} $n /$n /p" "$seen"
done >"$build/matrix.results"
python3 "$top/scripts/matrix.py" table "$axes" "$build/matrix.results" >"$out/matrix.md"
say "# results: out/matrix.md"
say "# matrix: $passed passed, $failed failed, $left_out rows left out ($((SECONDS - began)) s)"
if [ "$RECORD" = 1 ]; then
	! grep -q 'not run' "$out/matrix.md" ||
		die $E_USAGE "RECORD=1: README.md stays as it is, since the table is not whole; ROWS=rest runs the other rows"
	python3 "$top/scripts/matrix.py" write "$out/matrix.md" "$top/README.md"
fi
[ "$failed" -eq 0 ] || exit $E_FAIL
[ -n "$ROWS" ] || record matrix $((SECONDS - began))
