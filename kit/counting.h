/* What the metrics of a node are gathered in, before anybody is told. */
#ifndef KIT_COUNTING_H
#define KIT_COUNTING_H

#include <kit/metrics.h>

#include "node.h"

struct counting {
	struct counted *list;
	size_t count, size;
	bool no_memory;
};

/* Names and texts stay where they are. */
void counting_add(struct counting *counting, enum kit_metric_kind kind, const char *name,
	const char *help, double value);
/* of is copied; one that is longer than a tier's name is cut. */
void counting_add_of(struct counting *counting, enum kit_metric_kind kind, const char *name,
	const char *help, const char *label, const char *of, double value);

/* Those of the process (metrics_process.c): 0, also when no thread is free to look for them;
 * -ENOMEM, ANYIO_CANCELLED. */
int counting_process(struct counting *counting);

#endif
