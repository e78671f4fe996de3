# shellcheck shell=bash
# Messages, exit codes, progress, the lock.

# shellcheck disable=SC2034 # used by the scripts that source this
{
	E_FAIL=1	# a test failed
	E_USAGE=2	# usage, or something the user has to change
	E_NOBOOT=3	# the guest did not boot
	E_PANIC=4	# panic, oops or taint
	E_TIMEOUT=5	# the guest did not finish in time
	E_NOTEST=6	# no test ran
}

V=${V:-0}
QUIET=${QUIET:-}	# no progress: the output is read later
host_arch=$(uname -m)

say()
{
	printf '%s\n' "$*"
}

# die CODE SENTENCE
die()
{
	local code=$1

	shift
	printf '%s\n' "$*" >&2
	exit "$code"
}

# shown CMD...: run a command; V=1 prints it first.
shown()
{
	if [ "$V" = 1 ]; then
		printf '+ %s\n' "${*@Q}"
	fi
	"$@"
}

# rel PATH: the path as the user would type it from the top directory.
rel()
{
	printf '%s' "${1#"$top"/}"
}

# ticker LABEL COMMAND: show LABEL, the seconds and what COMMAND prints, until
# killed. One line that rewrites itself on a terminal, else a line every 15 s.
ticker()
{
	local label=$1 what=$2 start=$SECONDS step=15 never

	[ ! -t 1 ] || step=1
	# A timed read of a pipe that nobody writes to: a sleep without a child
	# that could outlive us.
	exec {never}<> <(:)
	while ! read -rt "$step" -u "$never"; do
		if [ -t 1 ]; then
			printf '\r\033[K  %s: %d s, %s' "$label" $((SECONDS - start)) "$(eval "$what" 2>/dev/null)"
		else
			printf '  %s: %d s, %s\n' "$label" $((SECONDS - start)) "$(eval "$what" 2>/dev/null)"
		fi
	done
}

ticker_pid=

ticker_start()
{
	[ -z "$QUIET" ] || return 0
	ticker "$@" &
	ticker_pid=$!
}

ticker_stop()
{
	[ -n "$ticker_pid" ] || return 0
	kill "$ticker_pid" 2>/dev/null || true
	wait "$ticker_pid" 2>/dev/null || true
	ticker_pid=
	[ ! -t 1 ] || printf '\r\033[K'
}
trap ticker_stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# logged LABEL LOG WHAT CMD...: run CMD with its output in LOG, showing progress
# (WHAT is a command that prints it). On failure: the end of the log, its path.
logged()
{
	local label=$1 log=$2 what=$3 rc=0

	shift 3
	mkdir -p "$(dirname "$log")"
	if [ "$V" = 1 ]; then
		shown "$@" </dev/null 2>&1 | tee "$log" || rc=$?
	else
		ticker_start "$label" "$what"
		"$@" </dev/null >"$log" 2>&1 || rc=$?
		ticker_stop
	fi
	if [ "$rc" -ne 0 ]; then
		tail -n 20 "$log" >&2
		say "$label failed; the log: $(rel "$log")" >&2
	fi
	return "$rc"
}

# One command works in .build/ at a time; those it calls inherit the lock.
lock()
{
	[ -z "${HVO_LOCKED:-}" ] || return 0
	case $top in
	*[[:space:]:]*)
		die $E_USAGE "The kernel's build does not take a path with spaces or colons: $top"
		;;
	esac
	mkdir -p "$build" "$out"
	exec 9>"$build/lock"
	if ! flock -n 9; then
		say "Waiting for another make in this directory"
		flock 9
	fi
	export HVO_LOCKED=1
}

# one_of NAME VALUE CHOICE...: the value must be one of the choices.
one_of()
{
	local name=$1 value=$2 c

	shift 2
	for c; do
		[ "$value" != "$c" ] || return 0
	done
	die $E_USAGE "$name=$value is not one of: $*"
}

# number NAME VALUE MIN MAX
number()
{
	if ! [[ $2 =~ ^[0-9]{1,9}$ ]] || [ "$((10#$2))" -lt "$3" ] || [ "$((10#$2))" -gt "$4" ]; then
		die $E_USAGE "$1=$2 is not a number from $3 to $4"
	fi
}

# mem_mb NAME VALUE MIN_MB MAX_MB: prints a size such as 4G or 4096M in MiB.
mem_mb()
{
	local n

	[[ $2 =~ ^([0-9]{1,6})([GM])$ ]] ||
		die $E_USAGE "$1=$2 is not a size such as 4G or 4096M"
	n=$((10#${BASH_REMATCH[1]}))
	[ "${BASH_REMATCH[2]}" = M ] || n=$((n * 1024))
	if [ "$n" -lt "$3" ] || [ "$n" -gt "$4" ]; then
		die $E_USAGE "$1=$2 is not between $3M and $4M"
	fi
	echo "$n"
}

# record TARGET SECONDS: remember how long a target took, for the list that
# `make` prints, which is about the default base.
record()
{
	[ "$base" = "$default_base" ] || return 0
	mkdir -p "$build/times"
	echo "$2" >"$build/times/$1"
}
