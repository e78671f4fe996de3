#!/usr/bin/env bash
# make hvostat: tools/hvo/hvostat on the hosts that tests/hvostat/ describes; what it
# says of each, in words and as JSON, is in NAME.expected. RECORD=1 writes these.
#
# A description, NAME.tree, is made of these lines:
#	@FILE		the file, with the lines that follow
#	-FILE		not there, with all that is in it
#	@include FILE	what another description has, first
. "$(dirname "$0")/lib.sh"

RECORD=${RECORD:-}
one_of RECORD "$RECORD" "" 1
lock
deps hvostat
checks_begin hvostat
dir=$top/tests/hvostat
hvostat=$top/tools/hvo/hvostat
work=$build/hvostat
with=(env TZ=UTC0 LC_ALL=C)

# host_make FILE DIR: the files that a description has.
host_make()
{
	local line file=/dev/null

	while IFS= read -r line; do
		case $line in
		'@include '*)	host_make "$dir/${line#@include }" "$2" ;;
		@*)
			file=$2/${line#@}
			mkdir -p "$(dirname "$file")"
			: >"$file"
			;;
		-*)	rm -rf "${2:?}/${line#-}" ;;
		*)	printf '%s\n' "$line" >>"$file" ;;
		esac
	done <"$1"
}

# said NAME: what it says of a host, in words and as JSON.
said()
{
	local host=$work/$1

	rm -rf "$host"
	mkdir -p "$host"
	host_make "$dir/$1.tree" "$host"
	"${with[@]}" "$hvostat" --root "$host" || return
	"${with[@]}" "$hvostat" --json --root "$host"
}

# as_expected NAME: it says what is expected, and the JSON is JSON.
as_expected()
{
	said "$1" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
	[ -z "$RECORD" ] || cp "$work/said" "$dir/$1.expected"
	diff -u "$dir/$1.expected" "$work/said" || return
	tail -n 1 "$work/said" | jq -e .hvo.state >/dev/null
}

# one_page_less: the kernel counts a huge page less than the pool has, and there is no
# state to tell which; what is expected is for a pool that is optimized.
one_page_less()
{
	local host=$work/less stats=sys/kernel/debug/vmemmap_shadow/stats

	rm -rf "$host"
	mkdir -p "$host"
	host_make "$dir/on-boot.tree" "$host"
	sed -i 's/^bytes saved now: .*/bytes saved now: 1/' "$host/$stats"
	"${with[@]}" "$hvostat" --root "$host" | diff "$dir/on-boot.expected" -
}

# refused WORDS OPTION...: such options get that sentence, and 2.
refused()
{
	local said rc=0 want=$1

	shift
	said=$("$hvostat" "$@" 2>&1) || rc=$?
	if [ "$rc" -ne 2 ] || [ "$said" != "hvostat: $want" ]; then
		echo "$rc: $said"
		return 1
	fi
}

# watched: with --watch it says it again and again.
watched()
{
	local n

	n=$(timeout 4 "$hvostat" --json --root "$work/on-boot" --watch 1 | grep -c '^{') || true
	[ "$n" -ge 2 ] || { echo "$n times in 4 s"; return 1; }
}

# page_clean FILE: mandoc has nothing to say of a manual page.
page_clean()
{
	mandoc -T lint -W warning "$1"
}

page_twin()
{
	sed 's/^\.Sh NAME/.Sx NOT THERE/' "$top/tools/hvo/hvostat.8" >"$work/twin.8"
	page_clean "$work/twin.8"
}

# page_has_options: the manual page and --help name the same options.
page_has_options()
{
	diff <("$hvostat" --help | grep -oE -- '--[a-z]+' | sort -u) \
		<(sed -n 's/^\.\(It\|Op\|Nm\).*Fl -\([a-z]*\).*/--\2/p' "$top/tools/hvo/hvostat.8" | sort -u)
}

say "# make hvostat"
mkdir -p "$work"
for t in "$dir"/*.tree; do
	name=$(basename "$t" .tree)
	[ "$name" != common ] || continue
	run "$name: $(sed -n 2p "$dir/$name.expected" 2>/dev/null | cut -c -60)" as_expected "$name"
done
twin "a counter that is another is noticed" "Which sizes and nodes it is of is not known" one_page_less
run "--watch looks again" watched
run "an option that is none" refused "--jsn is not an option; hvostat --help names them" --jsn
run "a time that is none" refused "--watch 0 is not a number of seconds from 1 to 86400" --watch 0
run "a directory that is none" refused "--root $work/none is not a directory with proc in it" --root "$work/none"
run "no directory" refused "--root needs a directory" --root
run "shellcheck" shellcheck -s sh "$hvostat"
run "the manual page is clean" page_clean "$top/tools/hvo/hvostat.8"
twin "a section without its name is noticed" "hvostat" page_twin
run "the manual page names the options" page_has_options
say "# log: $(rel "$log")"
checks_end
