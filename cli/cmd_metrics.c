/* What the node counts: metrics. */
#include "cli.h"

#include <errno.h>
#include <kit/metrics.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int print_value(struct kit_metric *metric, json_t *value)
{
	json_t *labels = json_object_get(value, "Labels");
	void *label = json_object_iter(labels);

	metric->label = label ? json_object_iter_key(label) : NULL;
	metric->of = label ? text_of(labels, metric->label) : NULL;
	metric->value = json_number_value(json_object_get(value, "Value"));
	char *text = kit_metric_text(metric);
	if (!text)
		return -ENOMEM;
	metric->first = false;
	/* What a line ends with is the format's, whoever wrote the rest. */
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		cli_print_text(line);
		putchar('\n');
	}
	free(text);
	return 0;
}

static int print_metric(struct cli *cli, json_t *answer)
{
	struct kit_metric metric = { .name = text_of(answer, "Name"),
		.help = text_of(answer, "Help"),
		.kind = strcmp(text_of(answer, "Type"), "counter") ? KIT_GAUGE : KIT_COUNTER,
		.first = true };
	json_t *values = json_object_get(answer, "Values"), *value;
	size_t i;
	int rc = 0;

	json_array_foreach (values, i, value) {
		rc = print_value(&metric, value);
		if (rc)
			break;
	}
	return rc;
}

int cmd_metrics(struct cli *cli)
{
	return cli_call_print(cli, "metrics", cli->args, NULL, print_metric);
}
