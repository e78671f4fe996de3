# shellcheck shell=bash
# All that can happen to huge pages, at once and at random: make stress, which sets these.
kernel "${STRESS_KERNEL:-debug}"
rare
mem=${STRESS_MEM:-6144}
machine 2 "${mem}M"
limit $((${STRESS_SECONDS:-120} + 2400))
append "hugetlb_free_vmemmap=${STRESS_HVO:-on}" memhp_default_state=online_movable cma=64M
qemu_extra -m "size=${mem}M,maxmem=$((mem + 4096))M" \
	-object "memory-backend-ram,id=n0,size=$((mem / 2))M" \
	-object "memory-backend-ram,id=n1,size=$((mem / 2))M" \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1 \
	-object memory-backend-ram,id=hot,size=1G \
	-device virtio-mem-pci,id=hot0,memdev=hot,requested-size=0,node=1
monitor

# PAGE_TABLE_CHECK of 6.12 takes what it has of the pages of a section for one array of
# all pages: BUG_ON() at one of 1 GiB whose sections came at other times, HVO or not. 7.3
# goes by section.
largest=
# shellcheck disable=SC2154 # scripts/boot.sh has it
if [ "$base" = 6.12 ] && [ "${STRESS_KERNEL:-debug}" = debug ]; then
	largest=,largest=131072
fi

# The first report of lockdep is its last. In these kernels a block of memory that is taken
# off by sysfs, and one by its driver, make it report an order of locks (kn->active,
# mem_hotplug_lock) that device_hotplug_lock keeps from being a deadlock. Nor in the twins:
# they come first.
offline=
[ "${STRESS_KERNEL:-debug}" != debug ] || offline=offline
without=$offline${STRESS_WITHOUT:+${offline:++}$STRESS_WITHOUT}
common=$largest${offline:+,without=$offline}

# How long an actor may do nothing until it hangs: a slow kernel on a busy host takes
# minutes to fill the memory.
limit=$((${STRESS_SECONDS:-120} / 3))
[ $limit -ge 300 ] || limit=300

twin "a page that is written to behind its user's back is noticed" \
	"stress,run,seconds=60,busted$common" 'the contents of a page in use changed'
twin "an actor that is refused everything is noticed" \
	"stress,run,seconds=10,refused=page-idle$common" 'page-idle did nothing'
twin "an actor that has no turn is noticed" \
	"stress,run,seconds=10,asleep=reader$common" 'reader had no turn'
check "everything at once" \
	"stress,run,seconds=${STRESS_SECONDS:-120},seed=${STRESS_SEED:-1},limit=$limit$largest${without:+,without=$without}"
