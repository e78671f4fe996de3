# shellcheck shell=bash
# The Debian packages a command needs. Only those that are missing are named.

# deps_for kernel|guest|qemu|x86|kunit|series|lint|hvostat|deb|writers|models|bench|plot ...: print package names.
deps_for()
{
	local what

	for what; do
		case $what in
		kernel)
			echo gcc libc6-dev make bc bison flex perl python3 patch rsync xz-utils ccache
			[ -n "${KSRC:-}" ] || [ "${BASE:-$default_base}" != "$default_base" ] ||
				echo linux-source-6.12
			[ "$host_arch" = aarch64 ] || echo gcc-aarch64-linux-gnu
			;;
		guest)
			echo cpio gzip
			[ "$host_arch" = aarch64 ] || echo libc6-dev-arm64-cross
			;;
		qemu)	echo qemu-system-arm qemu-efi-aarch64 jq ;;
		bench)	echo gcc libc6-dev python3 ;;
		plot)	echo gnuplot-nox ;;
		x86)
			echo qemu-system-x86 libelf-dev
			[ "$host_arch" = x86_64 ] || echo gcc-x86-64-linux-gnu libc6-dev-amd64-cross
			;;
		kunit)	echo python3 ;;
		series)	echo git ;;
		deb)
			echo dpkg-dev debhelper fakeroot kmod cpio gzip libssl-dev libelf-dev pkg-config lsb-release
			;;
		debroot) echo debootstrap debian-archive-keyring e2fsprogs ;;
		hvostat) echo shellcheck mandoc jq ;;
		lint)	echo sparse shellcheck git python3-sphinx ;;
		writers) echo coccinelle python3 ;;
		models)
			echo spin gcc libc6-dev cpp python3 xz-utils ccache
			if [ -n "${KSRC:-}" ]; then
				echo rsync
			elif [ "${BASE:-$default_base}" = "$default_base" ]; then
				echo linux-source-6.12
			fi
			;;
		esac
	done
}

# deps WHAT...: make sure that the packages are there, or say what to do.
deps()
{
	local p missing=()

	command -v dpkg-query >/dev/null || return 0
	for p in $(deps_for "$@" | tr ' ' '\n' | sort -u); do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null |
			grep -qx installed || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		say "Some packages are missing. As root, run:"
		say "  apt-get install --no-install-recommends ${missing[*]}"
		exit $E_USAGE
	fi
	say "Installing with apt-get: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	logged "apt-get update" "$build/log/apt.log" true apt-get -q update ||
		exit $E_USAGE
	logged "apt-get install" "$build/log/apt.log" "tail -n 1 '$build/log/apt.log' | cut -c -60" \
		apt-get -qy install --no-install-recommends "${missing[@]}" || exit $E_USAGE
}
