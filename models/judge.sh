# shellcheck shell=bash
# What a run has shown, from what the tool wrote; exit codes say nothing: pan's is
# 0 when it found errors, and when it cut the search short.

# judge_pan VERDICT PAN_OUT PAN_SOURCE: is this the text of that verdict? Prints
# what was found, and returns 1 if it is not the verdict.
judge_pan()
{
	local verdict=$1 text=$2 source=$3 first name found unreached

	if ! grep -q '^State-vector .* errors: [0-9]*$' "$text"; then
		echo "pan did not finish: $(grep -m 1 . "$text" || echo 'no output')"
		return 1
	fi
	if grep -qE 'max search depth too small|out of memory|reached -DMEMLIM|hash.?table.*full|aborting' "$text"; then
		echo "the search was cut short: $(grep -m 1 -E 'max search|memory|MEMLIM|full|abort' "$text")"
		return 1
	fi
	first=$(grep -m 1 '^pan:[0-9]*: ' "$text" || true)
	case $first in
	'')
		found=pass
		if ! grep -q '^State-vector .* errors: 0$' "$text" ||
		   grep -q 'Search not completed' "$text"; then
			found="errors without a name"
		fi
		;;
	*'assertion violated'*)
		found=fails:$(sed -E 's/ \(at depth .*//; s/\)+$//; s/.*[^A-Za-z0-9_]//' <<<"$first")
		;;
	*'non-progress cycle'*)
		found=cycle:found
		;;
	*)
		found="error: ${first#pan:*: }"
		;;
	esac
	if ! grep -q '^Full statespace search for:' "$text" ||
	   ! grep -q '^[[:space:]]*assertion violations[[:space:]]*+' "$text"; then
		echo "the search was not of all states, or not for assertions: $(
			grep -m 1 -E 'search for:|assertion violations' "$text" || echo 'it does not say')"
		return 1
	fi
	case $verdict in
	cycle:*)
		if ! grep -q 'non-progress cycles.*+' "$text"; then
			echo "pan did not look for cycles"
			return 1
		fi
		[ "$found" != pass ] || found=cycle:none
		;;
	esac
	echo "$found"
	[ "${verdict%%:*}" = pass ] || { [ "$found" = "$verdict" ]; return; }
	[ "$found" = pass ] || return 1
	if ! grep -q '^[[:space:]]*invalid end states[[:space:]]*+' "$text"; then
		echo "pan did not look for invalid end states"
		return 1
	fi

	# Every process came to its end, and what was to be reached was.
	if sed -n '/^unreached in proctype rules/,/^\t(/d; /^unreached/,$p' "$text" | grep -q -e '-end-'; then
		echo "a process that never ends: $(grep -B 1 -m 1 -e '-end-' "$text" | head -n 1)"
		return 1
	fi
	[ "$verdict" != pass ] || return 0
	for name in $(tr , ' ' <<<"${verdict#pass:}"); do
		found=$(grep -c "STATE .*\[reached_$name = 1\]" "$source" || true)
		unreached=$(grep -c "\"reached_$name = 1\"" "$text" || true)
		if [ "$found" -eq 0 ] || [ "$unreached" -ge "$found" ]; then
			echo "never reached: $name"
			return 1
		fi
	done
}

# judge_herd FILE HERD_OUT: does the observation agree with the test's "Result:"?
judge_herd()
{
	local want got

	want=$(sed -n 's/^ \* Result: //p' "$1")
	got=$(sed -n 's/^Observation [^ ]* \([A-Z][a-z]*\) .*/\1/p' "$2")
	if [ -z "$want" ]; then
		echo "no Result: in $1"
		return 1
	fi
	if [ -z "$got" ] || ! grep -q '^Positive: [0-9]' "$2" ||
	   grep -qx 'Positive: 0 Negative: 0' "$2" || grep -qE '^Warning|[Ee]rror|Flag data-race' "$2"; then
		grep -m 1 -E '^Warning|[Ee]rror|data-race' "$2" || echo "herd7 said nothing"
		return 1
	fi
	echo "$got"
	[ "$want" = "$got" ]
}

# states PAN_OUT: how many there were.
states()
{
	sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$1" | head -n 1
}
