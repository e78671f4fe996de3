# shellcheck shell=bash
# The main job with page checks on, and the twins that must fail.
# 6G: what is restored may end up in the middle of the next gigantic page, and with
# 4G there is only one range of 1 GiB to spare (seen four times in twelve on a busy host).
kernel guest
arch arm64 x86_64
machine 2 6G
# 314 s of the cycles alone, with other tests beside it.
[ "$ARCH" = arm64 ] || limit 1200
append hugetlb_free_vmemmap=on init_on_alloc=1

check "pools of every size" pools,hvo=on
twin "pools without HVO are noticed" pools,hvo=on,busted 'freed 0 kB of vmemmap, expected'
twin "HVO that is not off is noticed" cases,off 'though HVO is off'
check "50 cycles of alloc, demote, free" cases,cycles,rounds=50
twin "a page that is not freed is noticed" cases,cycles,rounds=1,busted 'huge pages are left'
check "readers of every struct page meanwhile" cases,readers,seconds=15
twin "readers that do not read are noticed" cases,readers,seconds=1,busted 'not every reader read'
check "surplus pages at run time" cases,overcommit
twin "a changed byte is noticed" cases,overcommit,busted 'the contents of page .* changed'
check "memory pressure during restore" cases,pressure
twin "no memory pressure is noticed" cases,pressure,busted 'there was no pressure'
