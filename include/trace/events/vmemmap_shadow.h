/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmemmap_shadow

#if !defined(_TRACE_VMEMMAP_SHADOW_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VMEMMAP_SHADOW_H

#include <linux/tracepoint.h>
#include <linux/vmemmap_shadow.h>

TRACE_DEFINE_ENUM(VMEMMAP_SHADOW_OWNED);
TRACE_DEFINE_ENUM(VMEMMAP_SHADOW_SEALED);
TRACE_DEFINE_ENUM(VMEMMAP_SHADOW_JOINED);
TRACE_DEFINE_ENUM(VMEMMAP_SHADOW_SHARED);

/* Something that took time: @pfn and @order are those of the first folio. */
DECLARE_EVENT_CLASS(vmemmap_shadow_span,
	TP_PROTO(unsigned long pfn, unsigned int order, unsigned int folios,
		 unsigned long entries, u64 ns),

	TP_ARGS(pfn, order, folios, entries, ns),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, order)
		__field(unsigned int, folios)
		__field(unsigned long, entries)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->pfn = pfn;
		__entry->order = order;
		__entry->folios = folios;
		__entry->entries = entries;
		__entry->ns = ns;
	),

	TP_printk("pfn=0x%lx order=%u folios=%u entries=%lu ns=%llu",
		  __entry->pfn, __entry->order, __entry->folios,
		  __entry->entries, __entry->ns)
);

/* One call. @folios and @entries: what it optimized or restored. */
DEFINE_EVENT(vmemmap_shadow_span, vmemmap_shadow_optimize,
	TP_PROTO(unsigned long pfn, unsigned int order, unsigned int folios,
		 unsigned long entries, u64 ns),
	TP_ARGS(pfn, order, folios, entries, ns)
);

DEFINE_EVENT(vmemmap_shadow_span, vmemmap_shadow_restore,
	TP_PROTO(unsigned long pfn, unsigned int order, unsigned int folios,
		 unsigned long entries, u64 ns),
	TP_ARGS(pfn, order, folios, entries, ns)
);

/* One window was open for @ns. */
DEFINE_EVENT(vmemmap_shadow_span, vmemmap_shadow_window,
	TP_PROTO(unsigned long pfn, unsigned int order, unsigned int folios,
		 unsigned long entries, u64 ns),
	TP_ARGS(pfn, order, folios, entries, ns)
);

/*
 * A store met an entry that did not let it through; @pfn is the first page
 * described in the page that the store went to. In state OWNED or SHARED the
 * entry was writable: the fault was stale.
 */
TRACE_EVENT(vmemmap_shadow_recovery,
	TP_PROTO(unsigned long pfn, enum vmemmap_shadow_state state),

	TP_ARGS(pfn, state),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, state)
	),

	TP_fast_assign(
		__entry->pfn = pfn;
		__entry->state = state;
	),

	TP_printk("pfn=0x%lx state=%s", __entry->pfn,
		  __print_symbolic(__entry->state,
				   { VMEMMAP_SHADOW_OWNED, "OWNED" },
				   { VMEMMAP_SHADOW_SEALED, "SEALED" },
				   { VMEMMAP_SHADOW_JOINED, "JOINED" },
				   { VMEMMAP_SHADOW_SHARED, "SHARED" }))
);

#endif /* _TRACE_VMEMMAP_SHADOW_H */

#include <trace/define_trace.h>
