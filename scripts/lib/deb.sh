# shellcheck shell=bash
# Debian packages of a kernel with the series: its configuration, and what it takes to
# build them for another architecture.

# deb_config_default FILE: write Debian's own configuration of an arm64 kernel for clouds.
deb_config_default()
{
	local dir=$build/linux-config-$base newer_arch=arm64 xz

	if [ ! -d "$dir" ]; then
		if [ "$base" = "$default_base" ]; then
			foreign_get arm64 "$dir" "linux-config-$base" ||
				die $E_USAGE "$newer_why. CONFIG= names another configuration."
		else
			newer_source "linux-config-$base" trixie-backports ||
				die $E_USAGE "$newer_why. CONFIG= names another configuration."
			mv "$dir.new/all" "$dir"
			rm -rf "$dir.new"
		fi
	fi
	xz=$dir/usr/src/linux-config-$base/config.arm64_none_cloud-arm64.xz
	[ -f "$xz" ] || die $E_USAGE "Debian's linux-config-$base has no configuration cloud-arm64; CONFIG= names another one."
	xz -dc "$xz" >"$1"
}

# deb_config_from FROM FILE: write the configuration that CONFIG= names, which may be
# compressed; or say what is wrong with it.
deb_config_from()
{
	local arch

	if [ ! -f "$1" ] || [ ! -r "$1" ]; then
		die $E_USAGE "CONFIG=$1 is not a file that can be read"
	fi
	case $1 in
	*.xz)	xz -dc "$1" >"$2" 2>/dev/null || die $E_USAGE "CONFIG=$1 is not compressed by xz" ;;
	*)	gzip -dcf "$1" >"$2" 2>/dev/null || die $E_USAGE "CONFIG=$1 cannot be uncompressed" ;;
	esac
	if ! grep -aqE '^CONFIG_[A-Za-z0-9_]+=' "$2" ||
	   grep -aqvE '^CONFIG_[A-Za-z0-9_]+=([ymn]|-?[0-9]+|0x[0-9a-fA-F]+|".*")$|^#|^[[:space:]]*$' "$2"; then
		die $E_USAGE "CONFIG=$1 is not a kernel's configuration, such as a host has in /boot"
	fi
	if ! grep -qx CONFIG_ARM64=y "$2"; then
		arch=$(sed -n 's|^# Linux/\([a-z0-9_]*\) .* Kernel Configuration$|\1|p' "$2")
		die $E_USAGE "CONFIG=$1 is the configuration of another architecture than arm64${arch:+, $arch}"
	fi
	grep -qx CONFIG_HUGETLBFS=y "$2" ||
		die $E_USAGE "CONFIG=$1 has no huge pages: CONFIG_HUGETLBFS is not set in it"
}

# deb_pkgconfig: the linux-headers package has programs for arm64, one of which is linked
# with libcrypto. Sets pkgconfig to a command that knows where that is; to pkg-config where
# nothing is built for another machine.
deb_pkgconfig()
{
	local dir=$build/libcrypto-arm64

	pkgconfig=pkg-config
	[ "$host_arch" != aarch64 ] || return 0
	[ -d "$dir" ] || foreign_get arm64 "$dir" libssl-dev libssl3 || die $E_USAGE "$newer_why"
	pkgconfig=$dir/pkg-config
	cat >"$pkgconfig" <<-SH
	#!/bin/sh
	# The linker takes what is for its machine, wherever it is.
	case "\$*" in
	'--cflags libcrypto') echo "-I$dir/usr/include -I$dir/usr/include/aarch64-linux-gnu" ;;
	'--libs libcrypto') echo "-L$dir/usr/lib/aarch64-linux-gnu -lcrypto" ;;
	*) exec pkg-config "\$@" ;;
	esac
	SH
	chmod +x "$pkgconfig"
}

# deb_dir NAME: print the directory of out/ for the packages of this base.
deb_dir()
{
	echo "$out/$1$([ "$base" = "$default_base" ] || echo "-$base")"
}

# deb_revision: a number that goes up with each commit.
deb_revision()
{
	git -C "$top" rev-list --count HEAD 2>/dev/null || echo 1
}

# deb_kernel NAME CONFIG DEST: build the packages of a kernel from a configuration, ours
# added, and put linux-image and linux-headers into DEST. Does nothing when nothing changed.
deb_kernel()
{
	local name=$1 dir=$build/O/$src_key dest=$3 log=$build/log/$1.log
	local pkgconfig stamp began=$SECONDS
	local -a kmake frags

	mapfile -t frags < <(base_fragments "$top/configs/hvo.config" "$top/configs/deb.config")
	# The packages come to lie beside it.
	obj=$dir/$name
	mkdir -p "$obj" "$dest"
	kmake_args arm64 "$obj"
	deb_pkgconfig
	kmake+=("HOSTPKG_CONFIG=$pkgconfig" LOCALVERSION=-hvo)
	cat "$2" "${frags[@]}" >"$obj/.config.new"
	stamp=$({ echo "$tree_id"; cat "$obj/.config.new"; "$kernel_cc" --version; } | sha256sum)
	if [ "$(cat "$obj/.hvo-packaged" 2>/dev/null)" = "$stamp" ] &&
	   compgen -G "$dest/linux-image-*-hvo_*.deb" >/dev/null; then
		return 0
	fi
	rm -f "$obj/.hvo-packaged"
	if ! cmp -s "$obj/.config.new" "$obj/.hvo-config" || [ ! -f "$obj/.config" ]; then
		cp "$obj/.config.new" "$obj/.config"
		logged "Configuring $name" "$build/log/config-$name.log" true \
			"${kmake[@]}" olddefconfig || exit $E_FAIL
		config_check "$obj/.config" "${frags[@]}" || exit $E_FAIL
		mv "$obj/.config.new" "$obj/.hvo-config"
	fi
	say "$(deb_time "$name" "$obj/.config")"
	say "Building the packages (log: $(rel "$log"))"
	rm -f "$dir"/*.deb "$dir"/*.changes "$dir"/*.buildinfo
	# What dpkg would like to see installed: deps has it, but for libssl-dev:arm64.
	logged "$name" "$log" "grep -cE '^  (CC|AS|LD|AR|DTC) ' '$log' | sed 's/\$/ objects built/'" \
		env "KDEB_PKGVERSION=$src_version-$(deb_revision)" KDEB_CHANGELOG_DIST=bookworm \
		DEBFULLNAME=hvo DEBEMAIL=hvo@localhost \
		"${kmake[@]}" "-j$(nproc)" DPKG_FLAGS=-d bindeb-pkg || exit $E_FAIL
	rm -f "$dest"/linux-{image,headers}-*-hvo_*.deb
	# Not linux-libc-dev, which would take the place of Debian's.
	mv "$dir"/linux-image-*-hvo_*.deb "$dest"
	mv "$dir"/linux-headers-*-hvo_*.deb "$dest" 2>/dev/null || true
	echo "$stamp" >"$obj/.hvo-packaged"
	mkdir -p "$build/times"
	echo $((SECONDS - began)) >"$build/times/deb-seconds-$name-$base"
}

# deb_small_config FILE: write the configuration of a kernel that is built in minutes, and
# has what Debian's userland needs.
deb_small_config()
{
	local obj=$build/O/$src_key/debian-config
	local -a kmake frags

	mapfile -t frags < <(base_fragments "$top"/configs/{guest,4k,small,debian}.config)
	mkdir -p "$obj"
	kmake_args arm64 "$obj"
	cat "${frags[@]}" >"$obj/.hvo-fragments"
	KCONFIG_ALLCONFIG=$obj/.hvo-fragments \
		logged "Configuring a small kernel" "$build/log/config-debian.log" true \
		"${kmake[@]}" allnoconfig || exit $E_FAIL
	config_check "$obj/.config" "${frags[@]}" || exit $E_FAIL
	cp "$obj/.config" "$1"
}

# deb_time NAME CONFIG: a sentence on how long the build will take: what it took last, or
# else a guess from the number of options.
deb_time()
{
	local last=$build/times/deb-seconds-$1-$base n

	n=$(grep -c '=[ym]$' "$2")
	if [ -f "$last" ]; then
		say "The last such build took $(($(cat "$last") / 60 + 1)) minutes; what has not changed since is not built again."
	else
		say "About $((n * 2 / $(nproc) / 60 + 1)) minutes on a machine with $(nproc) CPUs that does nothing else, for $n options (a guess); V=1 shows each step."
	fi
}

# deb_tools DEST: the package hvo-tools, with hvostat and its manual page.
deb_tools()
{
	local dir=$build/hvo-tools name version

	version=1.$(deb_revision)
	name=hvo-tools_${version}_all.deb
	rm -rf "$dir"
	mkdir -p "$1" "$dir"/{DEBIAN,usr/sbin,usr/share/man/man8,usr/share/doc/hvo-tools}
	install -m 755 "$top/tools/hvo/hvostat" "$dir/usr/sbin"
	gzip -9n <"$top/tools/hvo/hvostat.8" >"$dir/usr/share/man/man8/hvostat.8.gz"
	install -m 644 "$top/Documentation/admin-guide/mm/vmemmap_shadow.rst" "$dir/usr/share/doc/hvo-tools"
	{
		echo 'hvostat and its manual are free software, under the GNU General Public License,'
		echo 'version 2, as in /usr/share/common-licenses/GPL-2.'
	} >"$dir/usr/share/doc/hvo-tools/copyright"
	cat >"$dir/DEBIAN/control" <<-TEXT
	Package: hvo-tools
	Version: $version
	Architecture: all
	Maintainer: hvo <hvo@localhost>
	Depends: mawk | gawk
	Section: admin
	Priority: optional
	Description: what HugeTLB Vmemmap Optimization gives back
	 hvostat prints what HugeTLB Vmemmap Optimization (HVO) gives back on this host,
	 for each size of huge pages and each node, and if it is off, why.
	TEXT
	rm -f "$1"/hvo-tools_*.deb
	SOURCE_DATE_EPOCH=1767225600 logged "hvo-tools" "$build/log/hvo-tools.log" true \
		dpkg-deb -Zxz --root-owner-group --build "$dir" "$1/$name" || exit $E_FAIL
}
