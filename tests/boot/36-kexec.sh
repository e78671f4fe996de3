# shellcheck shell=bash
# Six boots, each but the first by kexec: a pool of the command line gives back the
# same, whatever the kernel before has left in the memory of its struct pages. Without
# LPA2, for 6.12 cannot copy its page tables for kexec with it (trans_pgd.c), and without
# an ITS, which goes on writing to tables that only UEFI could keep for it.
kernel guest
machine 2 3G
append kexec_boot=1 hugetlb_free_vmemmap=off movablecore=2304M nokaslr retain_initrd \
	hugepagesz=1G hugepages=1
qemu_extra -cpu max,pauth-impdef=on,lpa2=off -machine its=off
with_image

check "what six boots give back" kexec,boots=6
twin "a boot that gives back less is noticed" kexec,boots=7,busted 'boot 7 gave back'
