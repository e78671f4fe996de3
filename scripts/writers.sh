#!/usr/bin/env bash
# make writers: which places of the kernel store to a struct page, as far as they
# could do so without a reference? Compares what tests/writers/ finds in the source
# with the list for that version, where each place has a class that says what
# covers it. What a port of the series has to look at is what differs.
. "$(dirname "$0")/lib.sh"

lock
deps kernel writers
checks_begin writers
source_get writers
dir=$top/tests/writers
work=$build/writers
[ "${BASE:-$default_base}" = "$default_base" ] || work=$build/writers-$BASE
list=$dir/${src_version%.*}.txt
mkdir -p "$work"
export LC_ALL=C

# into FILE CMD...: run CMD with its output in FILE; V=1 prints it first.
into()
{
	local file=$1

	shift
	if [ "$V" = 1 ]; then
		printf '+ %s\n' "${*@Q}"
	fi
	"$@" >"$file"
}

# sites_of TREE NAME: the places of a tree, in $work/NAME. What spatch says is kept
# for as long as it would read the same.
sites_of()
{
	local tree=$1 out=$work/$2 stamp

	into "$out.files" python3 "$dir/sites.py" files "$tree" || exit $E_FAIL
	stamp=$({ cat "$dir/stores.cocci"; spatch --version; cd "$tree" && xargs sha256sum; } \
		<"$out.files" | sha256sum)
	if [ "$(cat "$out.stamp" 2>/dev/null)" != "$stamp" ]; then
		rm -f "$out.stamp"
		: >"$out.stores"
		logged "spatch" "$build/log/spatch.log" "wc -l <'$out.tried' | sed 's/$/ files/'" \
			spatch_each "$tree" "$out" || exit $E_FAIL
		echo "$stamp" >"$out.stamp"
	fi
	into "$out" python3 "$dir/sites.py" sites "$tree" "$out.stores" || exit $E_FAIL
}

# One at a time: see stores.cocci.
spatch_each()
{
	local f

	: >"$2.tried"
	cd "$1" || return 1
	while read -r f; do
		echo "$f" >>"$2.tried"
		into "$2.marked" spatch --very-quiet --no-includes \
			--sp-file "$dir/stores.cocci" "$f" ||
			{ echo "spatch fails on $f"; return 1; }
		cat "$2.marked" >>"$2.stores"
	done <"$2.files"
}

# entries LIST: the places that a list names.
entries()
{
	sed -e '/^#/d' -e 's/ .*//' "$1"
}

# same_sites SITES LIST: name what is in one only.
same_sites()
{
	local bad=0

	comm -23 "$1" <(entries "$2") | sed 's/^/new: /' | grep . && bad=1
	comm -13 "$1" <(entries "$2") | sed 's/^/gone: /' | grep . && bad=1
	return $bad
}

list_in_form()
{
	local bad=0

	entries "$list" | sort -uc || bad=1
	awk 'NR == FNR { if (!/^#/) known[$1] = 1; next }
		/^#/ { next }
		NF != 2 || !($2 ":" in known) { print "no such class: " $0; bad = 1 }
		END { exit bad }' "$dir/classes.txt" "$list" || bad=1
	return $bad
}

# Who may meet a page of HugeTLB without a reference has to be explained.
table_complete()
{
	local bad=0 function

	while read -r function; do
		grep -qF -- "$function()" "$dir/table.rst" ||
			{ echo "$(rel "$dir/table.rst") does not name $function()"; bad=1; }
	done < <(awk '!/^#/ && $2 ~ /^(rcu|late|plain|same|lock)$/ { split($1, s, ":"); print s[2] }' "$list" | sort -u)
	return $bad
}

say "# make writers: $src_name"
if [ ! -f "$list" ]; then
	list=$(printf '%s\n' "$dir"/[0-9]*.txt | sort -V | tail -n 1)
	say "# There is no list for Linux $src_version. What differs from $(rel "$list"):"
fi
sites_of "$src" sites
sites_of "$dir/sample" sample
run "$(rel "$list") names every place, and no other" same_sites "$work/sites" "$list"
run "$(rel "$list") is sorted and has known classes" list_in_form
run "the table explains who has no reference" table_complete
run "the sample's places are found, and no others" same_sites "$work/sample" "$dir/sample.txt"
one=$(comm -12 "$work/sites" <(sed -nE 's/ (rcu|late)$//p' "$list") | head -n 1)
awk -v one="$one" '$1 == one { $1 = "mm/nowhere.c:nobody:SetPageHWPoison" } { print }' "$list" |
	sort >"$work/twin"
twin "a place that the list has not is named" "new: $one" same_sites "$work/sites" "$work/twin"
twin "a place that is no longer there is named" "gone: mm/nowhere.c:nobody:SetPageHWPoison" \
	same_sites "$work/sites" "$work/twin"

say "# $(wc -l <"$work/sites") places in $(cut -d : -f 1 "$work/sites" | sort -u | wc -l) files: $(rel "$work/sites"), log: $(rel "$log")"
checks_end
