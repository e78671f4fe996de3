# shellcheck shell=bash
# Checks: one line for each, "ok - WHAT: NAME" or "not ok", with what it wrote when it
# failed; all of it in the log; at the end their numbers, for make check, too.

# checks_begin WHAT [other]: those of `make WHAT`; other if they are not the usual
# ones, so that neither their numbers nor their time is kept.
checks_begin()
{
	checks=$1
	checks_other=${2:-}
	began=$SECONDS
	passed=0 failed=0 skipped=0
	log=$build/log/$checks.log
	check_said=$build/log/$checks.said
	mkdir -p "$build/log"
	: >"$log"
}

# verdict NAME RC [FILE]: one line for a check; FILE is what it wrote, else $check_said.
verdict()
{
	local wrote=${3:-$check_said}

	if [ "$2" -eq 0 ]; then
		say "ok - $checks: $1"
		passed=$((passed + 1))
	else
		say "not ok - $checks: $1"
		sed 's/^/  | /' "$wrote"
		failed=$((failed + 1))
	fi
	{ echo "# $1: $2"; cat "$wrote"; } >>"$log"
}

# run NAME CMD...: a check passes when the command returns 0.
run()
{
	local name=$1 rc=0

	shift
	("$@") >"$check_said" 2>&1 </dev/null || rc=1
	verdict "$name" "$rc"
}

# twin NAME MESSAGE CMD...: it must fail, with that message.
twin()
{
	local name=$1 message=$2 rc=1

	shift 2
	if ("$@") >"$check_said" 2>&1 </dev/null; then
		echo "it should have failed, with: $message" >>"$check_said"
	elif grep -qF -- "$message" "$check_said"; then
		rc=0
	else
		echo "it should have said: $message" >>"$check_said"
	fi
	verdict "$name" "$rc"
}

# skip NAME [N]: N checks, or one, that cannot be made here.
skip()
{
	say "skip - $checks: $1"
	skipped=$((skipped + ${2:-1}))
}

# checks_end: the last line, the numbers for make check, the time for make, and the
# exit code.
checks_end()
{
	if [ $((passed + failed)) -eq 0 ]; then
		say "# $checks: no test ran"
		exit $E_NOTEST
	fi
	say "# $checks: $passed passed, $failed failed, $skipped skipped ($((SECONDS - began)) s)"
	[ -n "$checks_other" ] ||
		printf '%s %s %s\n' "$passed" "$failed" "$skipped" >"$build/$checks.count"
	[ "$failed" -eq 0 ] || exit $E_FAIL
	[ -n "$checks_other" ] || record "$checks" $((SECONDS - began))
}
