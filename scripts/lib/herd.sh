# shellcheck shell=bash
# herd7, which runs the litmus tests. Debian has it in releases newer than 12
# only: its package is unpacked into .build/herd7/ with a libc of its own, with an
# apt state of our own. The machine's apt sources are read for the mirror's name
# only, and nothing is installed.

herd_releases=(forky sid)

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
# shellcheck disable=SC2016,SC2034 # the format is apt's
herd_get()
{
	local apt=$build/apt/herd7 dir=$build/herd7 log=$build/log/herd7.log
	local mirror release lib key=/usr/share/keyrings/debian-archive-keyring.gpg
	local -a opts

	[ ! -x "$dir/herd7" ] || return 0
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		'Label: Debian' 2>/dev/null | head -n 1) || true
	if [ -z "$mirror" ] || [ ! -f "$key" ]; then
		herd_why="apt knows no Debian mirror, or the archive's key is missing"
		return 1
	fi
	rm -rf "$apt" "$dir" "$dir.new"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$dir.new/deb" "$build/log"
	: >"$apt/status"
	opts=(-q -o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists"
		-o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
		-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=1
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
	for release in "${herd_releases[@]}"; do
		echo "deb [signed-by=$key] $mirror $release main" >"$apt/sources.list"
		logged "The package list of Debian $release" "$log" true \
			apt-get "${opts[@]}" -o APT::Update::Error-Mode=any update || continue
		(
			cd "$dir.new/deb"
			logged "Fetching herdtools7 of Debian $release" "$log" true \
				apt-get "${opts[@]}" download herdtools7 libc6 libgmp10
		) || continue
		for lib in "$dir.new"/deb/*.deb; do
			dpkg-deb -x "$lib" "$dir.new/all"
		done
		break
	done
	rm -rf "$apt"
	if [ ! -x "$dir.new/all/usr/bin/herd7" ]; then
		rm -rf "$dir.new"
		herd_why="Debian's herdtools7 cannot be had (log: $(rel "$log"))"
		return 1
	fi
	# Of 250 MB about 25 are needed: the program, its models, and its libraries.
	mkdir "$dir.new/bin" "$dir.new/lib"
	mv "$dir.new/all/usr/bin/herd7" "$dir.new/bin/"
	mv "$dir.new/all/usr/share/herdtools7/herd" "$dir.new/share"
	find "$dir.new/all/usr/lib" \( -name 'ld-linux*' -o -name 'libc.so.*' -o -name 'libm.so.*' \
		-o -name 'libgmp.so.*' \) -not -path '*/gconv/*' -exec cp -a {} "$dir.new/lib/" \;
	rm -rf "$dir.new/all" "$dir.new/deb"
	cat >"$dir.new/herd7" <<'SH'
#!/bin/sh
d=$(dirname "$0")
exec "$d"/lib/ld-linux* --library-path "$d/lib" "$d/bin/herd7" -set-libdir "$d/share" "$@"
SH
	chmod +x "$dir.new/herd7"
	mv "$dir.new" "$dir"
}
