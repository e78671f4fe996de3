# shellcheck shell=bash
# The same with two CPUs and no page checks, which makes freeing without HVO as
# cheap as it gets: the ratio, 3.8 to 4.8, is for the record. The bound is there to notice
# a grace period, or a TLBI round, for each page.
kernel guest
alone
machine 2 8G
append hugetlb_free_vmemmap=on

check "3500 pages of 2 MiB with HVO on and off, two CPUs" cases,bulk,pages=3500,factor=8,more=8
twin "slow freeing is noticed" cases,bulk,pages=500,rounds=1,busted 'the bound is'
