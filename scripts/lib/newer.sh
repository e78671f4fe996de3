# shellcheck shell=bash
# Programs that Debian has, or has mended, in releases newer than 12 only: they are
# unpacked into .build/ with a libc of their own, by an apt state of our own. The
# machine's apt sources are read for the mirror's name only, and nothing is
# installed. So is the source of a newer kernel.

# Debian's name of an architecture that is not the machine's.
newer_arch=

# newer_apt NAME: make the apt state; sets apt, opts, mirror and key; or else newer_why,
# and returns 1.
# shellcheck disable=SC2016,SC2034 # the format is apt's
newer_apt()
{
	apt=$build/apt/$1
	key=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		'Label: Debian' 2>/dev/null | head -n 1) || true
	if [ -z "$mirror" ] || [ ! -f "$key" ]; then
		newer_why="apt knows no Debian mirror, or the archive's key is missing"
		return 1
	fi
	rm -rf "$apt"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$build/log"
	: >"$apt/status"
	opts=(-q -o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists"
		-o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
		-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=1
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
	[ -z "$newer_arch" ] ||
		opts+=(-o "APT::Architecture=$newer_arch" -o "APT::Architectures=$newer_arch")
}

# newer_unpack NAME PACKAGE RELEASE...: unpack a package and all that it needs into
# .build/NAME.new/all; sets newer_why and returns 1 where that is impossible.
newer_unpack()
{
	local name=$1 package=$2 release deb log=$build/log/$1.log new=$build/$1.new
	local apt mirror key
	local -a opts

	shift 2
	newer_apt "$name" || return 1
	rm -rf "$new"
	mkdir -p "$new"
	for release; do
		echo "deb [signed-by=$key] $mirror $release main" >"$apt/sources.list"
		logged "The package list of Debian $release" "$log" true \
			apt-get "${opts[@]}" -o APT::Update::Error-Mode=any update || continue
		logged "Fetching $package of Debian $release" "$log" true \
			apt-get "${opts[@]}" -y --download-only --no-install-recommends \
			install "$package" || continue
		for deb in "$apt"/cache/archives/*.deb; do
			dpkg-deb -x "$deb" "$new/all" || {
				rm -rf "$new/all"
				continue 2
			}
		done
		break
	done
	rm -rf "$apt"
	if [ ! -d "$new/all" ]; then
		rm -rf "$new"
		newer_why="Debian's $package cannot be had (log: $(rel "$log"))"
		return 1
	fi
}

# newer_source PACKAGE RELEASE: unpack a package, without what it needs, into
# .build/PACKAGE.new/all; sets newer_version, or newer_why, and returns 1.
# shellcheck disable=SC2034
newer_source()
{
	local package=$1 release=$2 deb log=$build/log/$1.log new=$build/$1.new
	local apt mirror key
	local -a opts

	newer_apt "$package" || return 1
	rm -rf "$new"
	mkdir -p "$new"
	echo "deb [signed-by=$key] $mirror $release main" >"$apt/sources.list"
	if logged "The package list of Debian $release" "$log" true \
		apt-get "${opts[@]}" -o APT::Update::Error-Mode=any update &&
	   (cd "$new" && logged "Fetching $package of Debian $release" "$log" \
		"du -sm '$new' | cut -f 1 | sed 's/\$/ MiB/'" \
		apt-get "${opts[@]}" download "$package") &&
	   deb=$(compgen -G "$new/*.deb") && newer_version=$(dpkg-deb -f "$deb" Version) &&
	   dpkg-deb -x "$deb" "$new/all"; then
		rm -rf "$apt" "$deb"
		return 0
	fi
	rm -rf "$apt" "$new"
	newer_why="Debian's $package cannot be had (log: $(rel "$log"))"
	return 1
}

# newer_keep NAME PROGRAM SHARE OPTION: of what was unpacked, keep the program, its
# libraries and what it has in usr/share/SHARE, which OPTION tells it of; the command
# is .build/NAME/PROGRAM.
newer_keep()
{
	local name=$1 program=$2 share=$3 option=$4 new=$build/$1.new
	local -a libs=("$build/$1.new/all/usr/lib")

	mkdir "$new/bin" "$new/lib"
	mv "$new/all/usr/bin/$program" "$new/bin/"
	mv "$new/all/usr/share/$share" "$new/share"
	# Debian 12 has some of them in /lib still.
	[ ! -d "$new/all/lib" ] || libs+=("$new/all/lib")
	find "${libs[@]}" \( -name 'ld-linux*' -o -name '*.so.*' -o -name 'lib*-[0-9]*.so' \) -not -path '*/gconv/*' \
		-not -lname '*/*' -exec cp -a {} "$new/lib/" \;
	rm -rf "$new/all"
	cat >"$new/$program" <<SH
#!/bin/sh
d=\$(dirname "\$0")
exec "\$d"/lib/ld-linux* --library-path "\$d/lib" "\$d/bin/$program" $option "\$d/share" "\$@"
SH
	chmod +x "$new/$program"
	rm -rf "${build:?}/$name"
	mv "$new" "$build/$name"
}
