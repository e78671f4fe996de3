#!/usr/bin/env bash
# make series: write everything as one series for git am to out/series/, apply it
# to a pristine tree, and compare the result with the tree that is tested.
. "$(dirname "$0")/lib.sh"

began=$SECONDS
lock
deps kernel series
source_get series
tree_update
dir=$(patches_dir)
[ -n "$dir" ] || die $E_USAGE "There is no series of patches yet"

repo=$build/git/$src_key
work=$build/git/work
log=$build/log/series.log
dest=$out/series
[ "$base" = "$default_base" ] || dest=$out/series-$base
first=$(series_patches "$dir" | head -n 1)
: >"$log"

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
# Our commits bear the name and the date of the first patch of the series.
author()
{
	git mailinfo /dev/null /dev/null <"$dir/$first" | sed -n "s/^$1: //p"
}
GIT_AUTHOR_NAME=$(author Author)
GIT_AUTHOR_EMAIL=$(author Email)
GIT_AUTHOR_DATE=$(author Date)
export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE

# The pristine tree as one commit. The trees share inodes, so that this index
# tells fast what differs in any of them.
if [ ! -d "$repo" ]; then
	rm -rf "$repo.new"
	git init -q --bare "$repo.new"
	git -C "$repo.new" config core.trustctime false
	git -C "$repo.new" config core.checkStat minimal
	git -C "$repo.new" config gc.auto 0
	git -C "$repo.new" config core.looseCompression 0
	git -C "$repo.new" config core.autocrlf false
	logged "Committing the pristine tree" "$log" "du -sm '$repo.new' | cut -f 1 | sed 's/\$/ MiB/'" \
		git --git-dir="$repo.new" --work-tree="$src" add -A -f . || exit $E_FAIL
	git --git-dir="$repo.new" --work-tree="$src" commit -q -m "Linux $src_version" || exit $E_FAIL
	git --git-dir="$repo.new" tag -f base >/dev/null
	mv "$repo.new" "$repo"
fi
if [ -n "${KSRC:-}" ]; then
	git --git-dir="$repo" --work-tree="$src" add -A -f .
	git --git-dir="$repo" --work-tree="$src" diff --cached --quiet ||
		git --git-dir="$repo" --work-tree="$src" commit -q -m "Linux $src_version"
	git --git-dir="$repo" tag -f base HEAD >/dev/null
fi

# checkout: a work tree at base that shows only what the series touches; what it
# hides is in the index all the same.
checkout()
{
	git --git-dir="$repo" worktree remove -f "$work" 2>/dev/null || rm -rf "$work"
	git --git-dir="$repo" worktree prune
	git --git-dir="$repo" worktree add -q --no-checkout --detach "$work" base
	sed 's|^|/|' "$tree.touched" | git -C "$work" sparse-checkout set --no-cone --stdin
	git -C "$work" checkout -q
}

# am PATCH...: apply, or say which one does not.
am()
{
	local p

	for p; do
		git -C "$work" am -q --keep-non-patch "$p" >>"$log" 2>&1 ||
			die $E_FAIL "git am refuses $(rel "$p"); the log: $(rel "$log")"
	done
}

# zone FILE: commit the files that a zone-*.txt names, with its message.
zone()
{
	local f

	while read -r f; do
		[ -f "$tree/$f" ] || die $E_FAIL "$(rel "$1") names $f, which is not there"
		mkdir -p "$work/$(dirname "$f")"
		cp "$tree/$f" "$work/$f"
		git -C "$work" add -f --sparse "$f"
	done < <(zone_list "$1")
	sed '/^Files:$/,$d' "$1" | git -C "$work" commit -q -F - >>"$log" ||
		die $E_FAIL "$(rel "$1") changes nothing"
}

say "# make series: $src_name"
checkout
while read -r entry; do
	case $entry in
	'# zone: '*)	zone "$dir/${entry#\# zone: }" ;;
	'#'* | '')	;;
	*)		am "$dir/${entry%% *}" ;;
	esac
done <"$dir/series"

new=$dest.new
rm -rf "$new"
mkdir -p "$new"
git -C "$work" format-patch -q --zero-commit --no-signature --cover-letter \
	-o "$new" base..HEAD >>"$log"
cover=$new/0000-cover-letter.patch
subject=$(head -n 1 "$dir/cover-letter.txt")
awk -v subject="$subject" -v blurb="$dir/cover-letter.txt" '
	/\*\*\* SUBJECT HERE \*\*\*/ { sub(/\*\*\* SUBJECT HERE \*\*\*/, subject) }
	/^\*\*\* BLURB HERE \*\*\*/ {
		getline text < blurb
		while ((getline text < blurb) > 0)
			if (text != "" || said) {
				print text
				said = 1
			}
		next
	}
	{ print }' "$cover" >"$cover.new"
mv "$cover.new" "$cover"
rm -rf "$dest"
mv "$new" "$dest"

# Now as a stranger would: the series on a pristine tree.
checkout
mapfile -t all < <(printf '%s\n' "$dest"/[0-9]*.patch | grep -v /0000-)
am "${all[@]}"
git -C "$work" diff --name-status base HEAD >"$build/log/series.files"
GIT_INDEX_FILE=$build/git/index
export GIT_INDEX_FILE
cp "$repo/index" "$GIT_INDEX_FILE"
git --git-dir="$repo" --work-tree="$tree" read-tree -i -m "$(git -C "$work" rev-parse HEAD)"
# "update-index" returns 1 for files that differ; the next two lines name them.
git --git-dir="$repo" --work-tree="$tree" update-index -q --refresh >/dev/null || true
differs=$(git --git-dir="$repo" --work-tree="$tree" diff --name-status
	git --git-dir="$repo" --work-tree="$tree" ls-files -o | sed 's/^/?\t/')
unset GIT_INDEX_FILE
if [ -n "$differs" ]; then
	say "not ok - the series gives a tree that differs from $(rel "$tree"):"
	say "$differs"
	exit $E_FAIL
fi
say "# $(find "$dest" -name '0*.patch' ! -name '0000*' | wc -l) patches and a cover letter in $(rel "$dest")/, $(
	wc -l <"$build/log/series.files") files"
say "ok - git am applies the series to a pristine $src_version, the tree equals the tested one ($((SECONDS - began)) s)"
record series $((SECONDS - began))
