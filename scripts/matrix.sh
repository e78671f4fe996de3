#!/usr/bin/env bash
# make matrix: the KUnit suites and a short suite of boots on every shape of arm64 that
# tests/matrix/axes.txt makes; the table is out/matrix.md. ROWS="1 2" only these of it;
# RECORD=1 writes the table to README.md, too. One failure does not stop the rest.
. "$(dirname "$0")/lib.sh"

ROWS=${ROWS:-} RECORD=${RECORD:-}
one_of RECORD "$RECORD" "" 0 1
[ -z "${KSRC:-}" ] || die $E_USAGE "KSRC=$KSRC: make matrix takes Debian's kernel of each base"
axes=$top/tests/matrix/axes.txt results=$build/matrix.results
mapfile -t rows < <(python3 "$top/scripts/matrix.py" rows "$axes")
for n in $ROWS; do
	number ROWS "$n" 1 ${#rows[@]}
done
[ -z "$ROWS" ] || [ "$RECORD" != 1 ] || die $E_USAGE "RECORD=1 needs all rows, not ROWS=\"$ROWS\""

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
	rt/*)	cat "$top/configs/rt.config" ;;
	none/6.12)	printf '%s\n' CONFIG_PREEMPT=n CONFIG_PREEMPT_NONE=y ;;
	# Linux 7.3 has no PREEMPT_NONE on arm64 any more.
	none/*)	printf '%s\n' CONFIG_PREEMPT=n CONFIG_PREEMPT_LAZY=y ;;
	esac
}

# one kunit|boot: run it for the row that is set; a line for the results.
one()
{
	local log=$build/log/matrix-$number-$1.log rc=0 n t=$SECONDS text

	rm -f "$build/$1.count"
	QUIET=1 BOOT='' "$top/scripts/$1.sh" >"$log" 2>&1 || rc=$?
	n=$(cat "$build/$1.count" 2>/dev/null) || n="0 0 0"
	text="${n%% *} passed"
	if [ "$rc" -eq 0 ]; then
		passed=$((passed + 1))
		say "ok - row $number, $1: $text ($((SECONDS - t)) s)"
		echo "$number $1 ok $text" >>"$results"
		return
	fi
	failed=$((failed + 1))
	say "not ok - row $number, $1: exit code $rc ($((SECONDS - t)) s); its log: $(rel "$log")"
	grep -m 3 -E '^not ok|refused|failed' "$log" | sed 's/^/  | /' || true
	echo "$number $1 failed with $rc" >>"$results"
}

began=$SECONDS
lock
mkdir -p "$build/log"
: >"$results"
passed=0 failed=0 left_out=0
say "# make matrix: ${#rows[@]} rows, about 75 minutes once the compiler's cache is warm"
for row in "${rows[@]}"; do
	if [ -n "$ROWS" ] && [[ " $ROWS " != *" ${row%% *} "* ]]; then
		left_out=$((left_out + 1))
		continue
	fi
	say "# row $row"
	# shellcheck disable=SC2086
	set_row $row
	one kunit
	one boot
done
python3 "$top/scripts/matrix.py" table "$axes" "$results" >"$out/matrix.md"
if [ "$RECORD" = 1 ]; then
	python3 "$top/scripts/matrix.py" write "$out/matrix.md" "$top/README.md"
fi
say "# results: out/matrix.md"
say "# matrix: $passed passed, $failed failed, $left_out rows left out ($((SECONDS - began)) s)"
[ "$failed" -eq 0 ] || exit $E_FAIL
record matrix $((SECONDS - began))
