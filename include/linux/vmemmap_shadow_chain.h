/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The chain of the shadow vmemmap of arm64: its four states and its six legal
 * steps. Plain macros without a C type in them, so that the kernel and the
 * models that check the protocol, which the C preprocessor reads too, share
 * this one definition. See Documentation/mm/vmemmap_shadow.rst.
 */
#ifndef _LINUX_VMEMMAP_SHADOW_CHAIN_H
#define _LINUX_VMEMMAP_SHADOW_CHAIN_H

/* The tag that a vmemmap entry carries; 0 is what an untouched one has. */
#define SHADOW_TAG_OWNED	0	/* maps its own page, read-write */
#define SHADOW_TAG_SEALED	1	/* maps its own page, read-only */
#define SHADOW_TAG_JOINED	2	/* maps the shared page, read-only */
#define SHADOW_TAG_SHARED	3	/* maps the shared page, read-write */
#define SHADOW_NR_TAGS		4

#define SHADOW_TAG_BIT(tag)	(1 << (tag))
#define SHADOW_TAGS_WRITABLE						\
	(SHADOW_TAG_BIT(SHADOW_TAG_OWNED) | SHADOW_TAG_BIT(SHADOW_TAG_SHARED))
#define SHADOW_TAGS_SHARING						\
	(SHADOW_TAG_BIT(SHADOW_TAG_JOINED) | SHADOW_TAG_BIT(SHADOW_TAG_SHARED))

#define SHADOW_TAG_IS_WRITABLE(tag)	(SHADOW_TAGS_WRITABLE >> (tag) & 1)
#define SHADOW_TAG_MAPS_SHARED(tag)	(SHADOW_TAGS_SHARING >> (tag) & 1)

/*
 * The legal steps, a bit for each: seal and open change the permission only,
 * join and part change the output address only.
 */
#define SHADOW_STEP_BIT(from, to)	((from) * SHADOW_NR_TAGS + (to))
#define SHADOW_STEP(from, to)		(1 << SHADOW_STEP_BIT(from, to))
#define SHADOW_CHAIN							\
	(SHADOW_STEP(SHADOW_TAG_OWNED, SHADOW_TAG_SEALED) |	/* seal */ \
	 SHADOW_STEP(SHADOW_TAG_SEALED, SHADOW_TAG_JOINED) |	/* join */ \
	 SHADOW_STEP(SHADOW_TAG_JOINED, SHADOW_TAG_SHARED) |	/* open */ \
	 SHADOW_STEP(SHADOW_TAG_SHARED, SHADOW_TAG_JOINED) |	/* seal */ \
	 SHADOW_STEP(SHADOW_TAG_JOINED, SHADOW_TAG_SEALED) |	/* part */ \
	 SHADOW_STEP(SHADOW_TAG_SEALED, SHADOW_TAG_OWNED))	/* open */

/* Does the chain have a step from this tag to that one? */
#define SHADOW_CHAIN_HAS(from, to) (SHADOW_CHAIN >> SHADOW_STEP_BIT(from, to) & 1)

#endif /* _LINUX_VMEMMAP_SHADOW_CHAIN_H */
