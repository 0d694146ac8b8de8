/*
 * What a node counts, for who watches many nodes: metrics, by name, as Prometheus has them
 * (https://prometheus.io/docs/practices/naming/), and the text that it reads.
 *
 * Names begin with ipfs_kit_, but for process_*, which are the same of every program. They and their meaning stay; more
 * may come. What a node does not have is not among them: of peers, while it is offline.
 */
#ifndef KIT_METRICS_H
#define KIT_METRICS_H

#include <kit/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kit_metric_kind {
	KIT_COUNTER, /* only grows; its help says since when */
	KIT_GAUGE,   /* as it is now */
};

/* A value of a metric, which may have several, each with another value of its label. */
struct kit_metric {
	const char *name, *help; /* help: what it counts, a line of text */
	enum kit_metric_kind kind;
	const char *label, *of; /* the label and its value, which is any text; NULL: it has none */
	double value;
	bool first; /* of this name; the others follow at once */
};

/* Calls each for all of them, as they were at one moment; it may wait, and what it returns other than 0 ends it. Strings are
 * valid during the call. -ENOMEM, ANYIO_CANCELLED. */
KIT_API int kit_metrics(
	struct kit_node *node, int (*each)(void *arg, const struct kit_metric *metric), void *arg);

/* A value as a line of Prometheus's text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), with its
 * newline; before the first of a name the lines that tell of it. Finite values only; of fractions six digits. Freed with free(); NULL
 * when memory is short. Any thread. */
KIT_API char *kit_metric_text(const struct kit_metric *metric);

#ifdef __cplusplus
}
#endif
#endif
