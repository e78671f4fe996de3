# shellcheck shell=bash
# Boot a kernel under QEMU and judge the boot.

# The console lines that make a boot bad, whatever the guest says.
# shellcheck disable=SC2034
{
	re_panic='Kernel panic'
	re_fault='Unable to handle kernel|Internal error|Oops|kernel BUG at|Unhandled fault|Insufficient stack'
	re_bad_page='BUG: Bad page|Bad page state|Bad page cache|Bad page map|Bad rss-counter'
	re_warning='WARNING: |BUG: |INFO: possible|INFO: rcu|INFO: task .* blocked|suspicious RCU|soft lockup|hard LOCKUP|DEBUG_LOCKS_WARN_ON'
}

# log_count REGEX LOG: how many lines of a console log match. The guest's own
# lines and the command line, which may name what it tests, do not count.
log_count()
{
	grep -avE 'Command line: |Kernel command line: ' "$2" | grep -acE "$1" || true
}

# QEMU for arm64: the machine's, or a newer one.
qemu_arm64="qemu-system-aarch64"

# qemu_newer: set qemu_arm64 to a newer QEMU than Debian 12's, unpacked into
# .build/newer-qemu/; sets newer_why and returns 1 where that is impossible.
qemu_newer()
{
	local program=$build/newer-qemu/qemu-system-aarch64

	if [ ! -x "$program" ]; then
		newer_unpack newer-qemu qemu-system-arm trixie forky || return 1
		newer_keep newer-qemu qemu-system-aarch64 qemu -L
	fi
	if ! "$program" --version >/dev/null 2>&1; then
		newer_why="$(rel "$program") does not run"
		return 1
	fi
	qemu_arm64=$program
}

# qemu_version: print the version of qemu_arm64.
qemu_version()
{
	"$qemu_arm64" --version | sed -n 's/.*version \([0-9.]*\).*/\1/p'
}

# Counted instead of timed: every instruction takes a nanosecond of the guest's clock,
# and two boots are the same to the instruction, as far as the host is not asked.
qemu_counts=

# qemu_args ARCH CPUS MEM: set qemu to the start of the command.
qemu_args()
{
	local arch=$1 cpus=$2 mem=$3

	case $arch in
	arm64)
		qemu=("$qemu_arm64")
		if [ -n "$qemu_counts" ]; then
			qemu+=(-accel "tcg,thread=single" -icount "shift=0,sleep=off" -seed 1
				-rtc "base=2026-01-01,clock=vm" -cpu "max,pauth-impdef=on"
				-machine "virt,gic-version=3,dtb-randomness=off")
		elif [ "$host_arch" = aarch64 ] && [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
			qemu+=(-accel kvm -cpu host -machine "virt,gic-version=host")
		else
			qemu+=(-accel "tcg,thread=multi" -cpu "max,pauth-impdef=on"
				-machine "virt,gic-version=3")
		fi
		qemu+=(-device virtio-serial-device)
		console=ttyAMA0
		;;
	x86_64)
		# Without KVM, which is not to be trusted inside another guest; the boots
		# of make x86 take two seconds.
		qemu=(qemu-system-x86_64 -accel "tcg,thread=multi" -cpu max -machine q35
			-device virtio-serial-pci)
		console=ttyS0
		;;
	esac
	qemu+=(-smp "$cpus" -m "${mem}M")
}

# boot_guest NAME ARCH CPUS MEM_MB TIMEOUT APPEND ARGS [QEMU_ARG...]
#
# Boot $image with $initrd; APPEND goes to the kernel, ARGS to our init. Leaves
# out/NAME.console, the console, and out/NAME.results, what the guest wrote to
# its channel. Returns 0 only when the guest wrote its success record and the
# console is clean; else says why and returns the exit code for it.
boot_guest()
{
	local name=$1 arch=$2 cpus=$3 mem=$4 limit=$5 append=$6 args=$7 rc=0 qrc=0
	local -a qemu
	local console

	shift 7
	con=$out/$name.console
	res=$out/$name.results
	mkdir -p "$out"
	: >"$con"
	: >"$res"
	qemu_args "$arch" "$cpus" "$mem"
	qemu+=("$@" -nodefaults -display none -no-reboot
		-chardev "file,id=con,path=$con" -serial chardev:con
		-chardev "file,id=res,path=$res" -device "virtserialport,chardev=res,name=results"
		-kernel "$image" -initrd "$initrd"
		-append "console=$console panic=-1 oops=panic ignore_loglevel $append -- $args")

	ticker_start "guest $name" "tail -n 1 '$res' | cut -c -60"
	if [ "$V" = 1 ]; then
		printf '+ %s\n' "${qemu[*]@Q}"
	fi
	# QEMU holds no terminal and dies with us: timeout stays in the foreground.
	timeout --foreground -k 5 "$limit" "${qemu[@]}" </dev/null >"$build/log/qemu.log" 2>&1 ||
		qrc=$?
	ticker_stop
	boot_judge "$qrc" "$limit" || rc=$?
	if [ "$rc" -ne 0 ]; then
		say "  The last lines of the console ($(rel "$con")):"
		tail -n 20 "$con" | sed 's/^/  | /'
		cat "$build/log/qemu.log"
	fi
	return $rc
}

# The oopses that this boot is for, "COUNT REGEX" each: exactly so many such lines
# are not bad, and the kernel ends tainted by an oops and by nothing else.
expected=()
# What the kernel ends tainted by without them.
taints=0

# boot_judge QEMU_RC LIMIT: judge $con and $res. A boot is bad until proven good.
boot_judge()
{
	local n e not_bad='ommand line: ' tainted=$taints

	for e in ${expected[@]+"${expected[@]}"}; do
		n=$(log_count "${e#* }" "$con")
		if [ "$n" -ne "${e%% *}" ]; then
			say "  $n lines of the console match '${e#* }', expected ${e%% *}"
			return $E_PANIC
		fi
		not_bad+="|${e#* }"
		tainted=$((taints | 128))
	done
	n=$(grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con" | grep -acvE "$not_bad" || true)
	if [ "$n" -gt 0 ]; then
		say "  $n bad lines on the console, the first:"
		grep -aE "$re_panic|$re_fault|$re_bad_page|$re_warning" "$con" | grep -avE "$not_bad" |
			head -n 3 | sed 's/^/  | /'
		return $E_PANIC
	fi
	if [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then
		say "  The guest was not done after $2 s"
		return $E_TIMEOUT
	fi
	if ! grep -q '^begin ' "$res"; then
		say "  The guest did not boot"
		return $E_NOBOOT
	fi
	if ! grep -qx "tainted $tainted" "$res" && grep -q '^tainted ' "$res"; then
		say "  The guest's kernel ends $(grep -m 1 '^tainted ' "$res"), expected $tainted"
		return $E_PANIC
	fi
	if ! grep -qE '^(ok|not ok|skip) ' "$res"; then
		say "  No test ran"
		return $E_NOTEST
	fi
	if ! grep -qx success "$res"; then
		say "  The guest wrote no success record"
		return $E_FAIL
	fi
	if grep -q '^not ok ' "$res"; then
		return $E_FAIL
	fi
}
