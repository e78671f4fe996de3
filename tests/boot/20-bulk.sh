# shellcheck shell=bash
# 3500 pages of 2 MiB, HVO off and on in one boot: freeing must not take three
# times as long. init_on_alloc=1, and the page checks that come with it, are what
# Debian's kernels do. One CPU: TCG has every other virtual CPU woken up for each
# TLBI, one by one and page by page, which is no work of the kernel's; see 21-bulk-smp.
kernel guest
alone
machine 1 8G
append hugetlb_free_vmemmap=on init_on_alloc=1

check "3500 pages of 2 MiB with HVO on and off" cases,bulk,pages=3500,factor=3,rounds=2,more=8
twin "slow freeing is noticed" cases,bulk,pages=500,rounds=1,busted 'the bound is'
