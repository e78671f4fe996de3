# shellcheck shell=bash
# 3500 pages of 2 MiB, HVO off and on in one boot: freeing must not take three
# times as long.
kernel guest
machine 2 8G
append hugetlb_free_vmemmap=on

check "3500 pages of 2 MiB with HVO on and off" cases,bulk,pages=3500,factor=3
twin "slow freeing is noticed" cases,bulk,pages=500,busted 'the bound is'
