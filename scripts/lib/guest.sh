# shellcheck shell=bash
# The guest's userland: our own static programs and busybox, in an initramfs.

# guest_cc ARCH: the compiler for the guest's programs.
guest_cc()
{
	case $1/$host_arch in
	arm64/aarch64 | x86_64/x86_64) echo gcc ;;
	arm64/*)	echo aarch64-linux-gnu-gcc ;;
	x86_64/*)	echo x86_64-linux-gnu-gcc ;;
	esac
}

# foreign_get ARCH DIR PACKAGE...: unpack Debian's packages for an architecture, without
# what they need, with an apt state of our own: the host's dpkg learns of no foreign
# architecture, its apt sources are read only. Sets newer_why and returns 1 where that
# is impossible.
foreign_get()
{
	local debarch=$1 dir=$2 apt=$build/apt/$1 deb log=$build/log/fetch-$1.log
	local -a opts

	shift 2
	rm -rf "$dir" "$dir.new" "$apt"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$dir.new"
	: >"$apt/status"
	opts=(-q -o "APT::Architecture=$debarch" -o "APT::Architectures=$debarch"
		-o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists"
		-o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
	newer_why="Debian's $* for $debarch cannot be had (log: $(rel "$log"))"
	logged "Fetching the package lists for $debarch" "$log" true \
		apt-get "${opts[@]}" update || return 1
	(
		cd "$dir.new"
		logged "Fetching $* for $debarch" "$log" true \
			apt-get "${opts[@]}" download "${@/%/:$debarch}"
	) || return 1
	for deb in "$dir.new"/*.deb; do
		dpkg-deb -x "$deb" "$dir.new"
	done
	rm -rf "$apt"
	mv "$dir.new" "$dir"
}

# initramfs_of DIR: print a directory as an initramfs; behind another one it adds to that.
initramfs_of()
{
	(cd "$1" && find . | sort | cpio --quiet -o -H newc -R 0:0 --reproducible) | gzip -1
}

# busybox_get ARCH: busybox-static for the guest; sets busybox.
busybox_get()
{
	local dir=$build/busybox/$1

	busybox=$dir/bin/busybox
	[ ! -x "$busybox" ] || return 0
	foreign_get "$1" "$dir" busybox-static || die $E_USAGE "$newer_why"
}

# initrd_build ARCH [PROGRAM]: build the initramfs for arm64 or x86_64; sets initrd. With
# PROGRAM it has our init and that one alone: what is counted does not change with what
# others bring, which moves everything in memory.
initrd_build()
{
	local arch=$1 debarch=$1 dir=$build/guest/$1${2:+-$2} root cc t
	local -a programs=(init cases pools restore poison watch memory users later hotplug stress
		kexec selftests)
	local -a common=("$top"/tests/guest/{hvo,case,churn}.c)
	local document=$top/Documentation/admin-guide/mm/vmemmap_shadow.rst stamp

	[ "$arch" != x86_64 ] || debarch=amd64
	busybox_get "$debarch"
	cc=$(guest_cc "$arch")
	initrd=$dir/initrd.gz
	stamp=$({ cat "$top"/tests/guest/*.[ch] "$top"/tests/guest/*.sh "$top/scripts/lib/guest.sh" \
		"$top/tools/hvo/hvostat" "$document" 2>/dev/null; "$cc" --version; } | sha256sum)
	if [ -f "$initrd" ] && [ "$(cat "$dir/built" 2>/dev/null)" = "$stamp" ]; then
		return 0
	fi
	mkdir -p "$dir"
	rm -f "$dir/built"
	root=$dir/root
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,huge}
	# With instructions of arm64's.
	[ "$arch" != arm64 ] || programs+=(bench kvm)
	[ -z "${2:-}" ] || programs=(init "$2")
	for t in "${programs[@]}"; do
		shown "$cc" -static -pthread -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$root/bin/$t" \
			"$top/tests/guest/$t.c" "${common[@]}" || exit $E_FAIL
	done
	mv "$root/bin/init" "$root/init"
	cp "$busybox" "$root/bin/busybox"
	if [ -z "${2:-}" ]; then
		for t in "$top"/tests/guest/*.sh; do
			[ -f "$t" ] || continue
			install -m 755 "$t" "$root/bin/$(basename "$t" .sh)"
		done
		# A host's administrator has these.
		install -m 755 "$top/tools/hvo/hvostat" "$root/bin/hvostat"
		cp "$document" "$root/doc.rst"
	fi
	initramfs_of "$root" >"$initrd.new"
	mv "$initrd.new" "$initrd"
	printf '%s\n' "$stamp" >"$dir/built"
}
