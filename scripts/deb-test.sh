#!/usr/bin/env bash
# make deb-test: install what make deb has built in a Debian 12 for arm64, under QEMU:
# beside Debian's own kernel, with HVO by the command line, a pool, a reboot; and remove
# it again. QUICK=1 builds and takes a small kernel instead.
#
# The root is debootstrap's and kept in .build/deb-test/; each run has a copy. There is
# no firmware and no boot loader: QEMU gets kernel and initramfs out of the root's /boot,
# of the version that linux-version sorts first, which is what GRUB would boot.
. "$(dirname "$0")/lib.sh"

QUICK=${QUICK:-}
one_of QUICK "$QUICK" "" 1
lock
deps kernel guest qemu deb debroot
checks_begin deb-test ${QUICK:+other}
work=$build/deb-test
disk=$work/root.img
suite=bookworm
mkdir -p "$work" "$out"

# debs_find: set debs to the packages of this base, and release to the kernel's version.
debs_find()
{
	local dest image

	dest=$(deb_dir "deb${QUICK:+-small}")
	if [ -n "$QUICK" ]; then
		deb_small_config "$build/small.config"
		deb_kernel deb-small "$build/small.config" "$dest"
		deb_tools "$dest"
	fi
	mapfile -t debs < <(compgen -G "$dest/*.deb")
	image=$(compgen -G "$dest/linux-image-*-hvo_*_arm64.deb") ||
		die $E_USAGE "There is no $(rel "$dest")/linux-image-*-hvo_*.deb; make deb builds it"
	release=$(dpkg-deb -f "$image" Package)
	release=${release#linux-image-}
}

# root_first: the first stage, on this machine: unpack.
root_first()
{
	local apt mirror key
	local -a opts

	[ ! -f "$work/fetched" ] || return 0
	[ "$(id -u)" -eq 0 ] || die $E_USAGE "debootstrap needs root, for the first make deb-test"
	newer_apt debian || die $E_USAGE "No Debian for the guest: $newer_why"
	rm -rf "$apt" "$work/root"
	logged "debootstrap, first stage" "$build/log/debootstrap.log" \
		"tail -n 1 '$build/log/debootstrap.log' | cut -c -60" \
		debootstrap --foreign --arch=arm64 --variant=minbase --keyring="$key" \
		--include=linux-image-cloud-arm64,initramfs-tools,systemd-sysv,udev,kmod,procps,zstd \
		"$suite" "$work/root" "$mirror" || exit $E_USAGE
	touch "$work/fetched"
}

# root_files: what the guest has beyond Debian: a service that runs the step of a boot.
root_files()
{
	local d=$work/root

	mkdir -p "$d"/etc/systemd/system/multi-user.target.wants \
		"$d"/etc/initramfs-tools/conf.d "$d"/usr/share/initramfs-tools/modules.d
	# An initramfs with all modules takes some minutes each, under emulation.
	echo MODULES=list >"$d/etc/initramfs-tools/conf.d/few"
	printf '%s\n' virtio_pci virtio_mmio virtio_blk ext4 >"$d/usr/share/initramfs-tools/modules.d/few"
	echo '/dev/vda / ext4 defaults 0 1' >"$d/etc/fstab"
	echo hvo >"$d/etc/hostname"
	cat >"$d/etc/systemd/system/step.service" <<-'UNIT'
	[Unit]
	Description=What this boot is for
	After=basic.target systemd-sysctl.service
	[Service]
	Type=oneshot
	TimeoutStartSec=infinity
	ExecStart=/bin/sh -c 'mount -r /dev/vdb /mnt && exec sh /mnt/step'
	UNIT
	ln -sf ../step.service "$d/etc/systemd/system/multi-user.target.wants/step.service"
}

# second_initrd KERNEL_DEB: an initramfs that mounts the root and does the second stage
# of debootstrap in it, with Debian's own kernel; sets image and initrd.
second_initrd()
{
	local dir=$work/kernel ram=$work/second version cmd m

	rm -rf "$dir" "$ram"
	mkdir -p "$ram"/{bin,dev,proc,sys,root,lib}
	dpkg-deb -x "$1" "$dir"
	version=$(basename "$dir"/lib/modules/*)
	depmod -b "$dir" "$version"
	image=$dir/boot/vmlinuz-$version
	cp "$busybox" "$ram/bin/busybox"
	for m in virtio_pci virtio_blk ext4; do
		modprobe -d "$dir" -S "$version" --show-depends "$m" 2>/dev/null || true
	done | while read -r cmd m; do
		if [ "$cmd" != insmod ] || [ -f "$ram/lib/$(basename "$m")" ]; then
			continue
		fi
		cp "$m" "$ram/lib/"
		echo "insmod /lib/$(basename "$m")"
	done >"$ram/modules"
	{
		echo '#!/bin/busybox sh'
		echo '/bin/busybox --install -s /bin'
		echo 'mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev'
		cat "$ram/modules"
		cat <<-'SH'
		mount -t ext4 /dev/vda /root
		mount -t devtmpfs d /root/dev
		PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot /root /debootstrap/debootstrap --second-stage
		echo "second stage: $?"
		rm -rf /root/var/cache/apt/archives/*.deb
		umount /root/dev
		umount /root && echo "second stage: unmounted"
		poweroff -f
		SH
	} >"$ram/init"
	chmod +x "$ram/init"
	initrd=$work/second.gz
	initramfs_of "$ram" >"$initrd"
}

# disk_of DIR FILE MB: a file system with what is in a directory.
disk_of()
{
	rm -f "$2"
	truncate -s "$3M" "$2"
	mke2fs -q -t ext4 -d "$1" -F "$2" >"$build/log/mke2fs.log" 2>&1 ||
		die $E_FAIL "mke2fs cannot make $(rel "$2") (log: $(rel "$build/log/mke2fs.log"))"
}

# root_get: the root as debootstrap leaves it, in $work/debian.img; made once.
root_get()
{
	local kernel image initrd busybox

	[ ! -f "$work/debian.img" ] || return 0
	root_first
	root_files
	kernel=$(compgen -G "$work/root/var/cache/apt/archives/linux-image-[0-9]*-cloud-arm64_*.deb") ||
		die $E_FAIL "debootstrap has fetched no kernel"
	busybox_get arm64
	second_initrd "$kernel"
	disk_of "$work/root" "$work/new.img" 4096
	say "debootstrap, second stage, in the guest: some minutes"
	boot_disks debootstrap 7200 '' "$work/new.img" || true
	if ! grep -aq '^second stage: 0' "$con" || ! grep -aq '^second stage: unmounted' "$con"; then
		die $E_FAIL "The second stage of debootstrap failed (console: $(rel "$con"))"
	fi
	mv "$work/new.img" "$work/debian.img"
	rm -rf "$work"/{root,fetched,kernel,second,second.gz}
}

# boot_disks NAME LIMIT APPEND DISK...: boot $image with $initrd, until it powers off. dpkg
# syncs each file that it unpacks; that these reach this machine's disk helps nobody.
boot_disks()
{
	local limit=$2 append=$3 d rc=0
	local -a qemu
	local console

	con=$out/deb-test-$1.console
	res=$out/deb-test-$1.results
	: >"$con"
	: >"$res"
	qemu_args arm64 2 2048
	shift 3
	for d; do
		qemu+=(-drive "file=$d,format=raw,if=none,cache=unsafe,id=${d##*/}" -device "virtio-blk-pci,drive=${d##*/}")
	done
	qemu+=(-nodefaults -display none -chardev "file,id=con,path=$con" -serial chardev:con
		-chardev "file,id=res,path=$res" -device "virtserialport,chardev=res,name=results"
		-kernel "$image" -initrd "$initrd" -append "console=$console panic=-1 $append")
	ticker_start "guest" "tail -n 1 '$res' | cut -c -60"
	[ "$V" != 1 ] || printf '+ %s\n' "${qemu[*]@Q}"
	timeout --foreground -k 5 "$limit" "${qemu[@]}" </dev/null >"$build/log/qemu.log" 2>&1 || rc=$?
	ticker_stop
	return "$rc"
}

# from_root FILE TO: a file out of the root.
from_root()
{
	rm -f "$2"
	debugfs -R "dump $1 $2" "$disk" >"$build/log/debugfs.log" 2>&1
	[ -s "$2" ] || die $E_FAIL "The root has no $1"
}

# from_boot VERSION: set image and initrd to what a boot loader would take.
from_boot()
{
	image=$work/vmlinuz
	initrd=$work/initrd.img
	from_root "/boot/vmlinuz-$1" "$image"
	from_root "/boot/initrd.img-$1" "$initrd"
}

# step NAME VERSION APPEND: boot the root with the kernel of that version; what the guest
# checks are checks here, of which it has to come to the end; sets next to the version
# that would be booted next.
step()
{
	local line name='' bad rc=0

	from_boot "$2"
	say "# $1: Linux $2 ${3:+with $3}"
	boot_disks "$1" 2400 "root=/dev/vda ro $3" "$disk" "$work/payload.img" || rc=$?
	while IFS= read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			name=${line#not }
			rc=0
			[[ $line == ok* ]] || rc=1
			grep -a "^# ${name#ok }: " "$res" >"$check_said" || true
			verdict "$1: ${name#ok }" "$rc"
			;;
		esac
	done < <(tr -d '\r' <"$res")
	bad=$(grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con" | grep -avc 'ommand line: ' || true)
	run "$1: it ends, and the console is clean" step_ended "$bad"
	next=$(sed -n 's/^next //p' "$res" | tail -n 1)
}

# has_failed WORDS: a check with these words failed in the guest.
# shellcheck disable=SC2317 # called by run
has_failed()
{
	cat "$res"
	tr -d '\r' <"$res" | grep -q "^not ok .*$1"
}

# step_twin VERSION WORDS...: with HVO off, the checks with these words fail.
step_twin()
{
	local words

	from_boot "$1"
	say "# twin: Linux $1 with hugetlb_free_vmemmap=off"
	boot_disks twin 2400 "root=/dev/vda ro hvo_twin hugetlb_free_vmemmap=off" \
		"$disk" "$work/payload.img" || true
	shift
	for words; do
		run "twin: HVO off is noticed by \"$words\"" has_failed "$words"
	done
}

# step_ended BAD_LINES: the guest came to the end of its step.
step_ended()
{
	[ "$1" -eq 0 ] || { grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con"; return 1; }
	grep -aqx 'end' "$res" || { tail -n 20 "$con"; return 1; }
}

say "# make deb-test"
source_get deb-test
tree_update
debs_find
root_get
payload=$work/payload
rm -rf "$payload"
mkdir -p "$payload"
cp "${debs[@]}" "$payload"
cp "$top/tests/deb/step" "$payload"
echo "$release" >"$payload/release"
disk_of "$payload" "$work/payload.img" $(($(du -sm "$payload" | cut -f 1) * 2 + 64))
cp --sparse=always "$work/debian.img" "$disk"

old=$(debugfs -R "ls -p /boot" "$disk" 2>/dev/null | sed -n 's|.*/vmlinuz-\([^/]*\)/.*|\1|p' | head -n 1)
[ -n "$old" ] || die $E_FAIL "The root has no kernel of its own"
step install "$old" ""
run "the kernel to boot next is ours" [ "$next" = "$release" ]
if [ "$next" = "$release" ]; then
	step_twin "$next" "HVO is on by the command line" "64 x 28 KiB come back"
	# It reboots by itself, and removes the packages.
	step pools "$next" "hugetlb_free_vmemmap=on"
	run "the kernel to boot next is the old one" [ "$next" = "$old" ]
	[ "$next" != "$old" ] || step removed "$next" "hugetlb_free_vmemmap=on"
fi
rm -f "$disk" "$work/payload.img"
say "# log: $(rel "$log")"
checks_end
