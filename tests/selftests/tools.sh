#!/bin/bash
# In the guest: what charge_reserved_hugetlb.sh wants of procps and psmisc and busybox
# has not, under the names killall, pgrep and ps.
#	killall -SIGNAL [--wait] NAME
#	pgrep -f TEXT
#	ps PID

# pids_with TEXT [first]: the processes with TEXT in their command line, or that are called so.
# It forks nothing, for the guest is slow.
pids_with()
{
	local p
	local -a args

	for p in /proc/[0-9]*; do
		[ "$p" != "/proc/$$" ] || continue
		{ mapfile -d '' -t args <"$p/cmdline"; } 2>/dev/null || continue
		[ ${#args[@]} -gt 0 ] || continue
		if [ "${2:-}" = first ]; then
			[ "${args[0]##*/}" = "$1" ] || continue
		else
			[[ ${args[*]} == *"$1"* ]] || continue
		fi
		pids+=("${p#/proc/}")
	done
	[ ${#pids[@]} -gt 0 ]
}

pids=()
case ${0##*/} in
killall)
	signal=$1 name=${*: -1}
	pids_with "$name" first || exit 1
	kill "$signal" "${pids[@]}"
	while [[ " $* " == *" --wait "* ]] && pids=() && pids_with "$name" first; do
		sleep 0.1
	done
	;;
pgrep)	pids_with "$2" && printf '%s\n' "${pids[@]}" ;;
ps)	[ -d "/proc/$1" ] ;;
esac
