# shellcheck shell=bash
# herd7, which runs the litmus tests. Debian has it in releases newer than 12 only.

# herd_find: set herd to the command: HERD7=, the PATH's, or the unpacked one, and
# herd_version; or else say in herd_why why there is none.
# shellcheck disable=SC2034 # used by the scripts that source this
herd_find()
{
	herd=
	if [ -n "${HERD7:-}" ]; then
		herd=$(realpath -e "$(command -v "$HERD7")" 2>/dev/null) || {
			herd_why="HERD7=$HERD7 is no command"
			return 1
		}
	elif command -v herd7 >/dev/null; then
		herd=$(command -v herd7)
	elif [ -x "$build/herd7/herd7" ]; then
		herd=$build/herd7/herd7
	else
		herd_why="there is no herd7 in the PATH, and none in .build/herd7/"
		return 1
	fi
	if ! herd_version=$("$herd" -version 2>&1 | head -n 1); then
		herd_why="$herd does not run"
		return 1
	fi
}

# herd_get: unpack it; sets herd_why and returns 1 where that is impossible.
# shellcheck disable=SC2034
herd_get()
{
	[ ! -x "$build/herd7/herd7" ] || return 0
	if ! newer_unpack herd7 herdtools7 forky sid; then
		herd_why=$newer_why
		return 1
	fi
	newer_keep herd7 herd7 herdtools7/herd -set-libdir
}
