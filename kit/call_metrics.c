/* What a node counts, by name: metrics. Ours: Kubo has no such command. */
#include "call.h"

#include <errno.h>
#include <kit/metrics.h>
#include <math.h>

struct listing {
	struct call *call;
	json_t *metric, *values; /* that are being told; NULL: none yet */
};

static int tell(struct listing *listing)
{
	json_t *metric = listing->metric;

	listing->metric = NULL;
	return metric ? call_answer(listing->call, metric) : 0;
}

static int begin(struct listing *listing, const struct kit_metric *metric)
{
	int rc = tell(listing);

	if (rc)
		return rc;
	listing->values = json_array();
	listing->metric = json_pack("{s:s, s:s, s:s, s:o}", "Name", metric->name, "Type",
		metric->kind == KIT_COUNTER ? "counter" : "gauge", "Help", metric->help, "Values",
		listing->values);
	return listing->metric ? 0 : -ENOMEM;
}

static json_t *number(double value)
{
	return value == trunc(value) && fabs(value) < 9e15 ? json_integer((json_int_t)value)
							   : json_real(value);
}

static int list(void *arg, const struct kit_metric *metric)
{
	struct listing *listing = arg;
	int rc = metric->first ? begin(listing, metric) : 0;

	if (rc)
		return rc;
	json_t *value = json_pack("{s:o}", "Value", number(metric->value));
	if (value && metric->label &&
		json_object_set_new(value, "Labels",
			json_pack("{s:o}", metric->label, call_text(metric->of)))) {
		json_decref(value);
		value = NULL;
	}
	return json_array_append_new(listing->values, value) ? -ENOMEM : 0;
}

/* An answer a metric. */
int call_metrics(struct call *call)
{
	struct listing listing = { .call = call };
	int rc = kit_metrics(call->node, list, &listing);

	if (rc == 0)
		return tell(&listing);
	json_decref(listing.metric);
	return rc == -ENOMEM ? kit_fail_code(call->node, rc, "metrics") : rc;
}
