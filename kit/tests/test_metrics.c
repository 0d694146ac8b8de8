/* What a node counts, and the text of it; what moves it: tests/cli/test_metrics.py. */
#include "support.h"

#include <kit/call.h>
#include <kit/metrics.h>

static void is(const struct kit_metric *metric, const char *want)
{
	char *text = kit_metric_text(metric);

	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

static void escapes(void **state)
{
	struct kit_metric metric = { .name = "a_b", .help = "A \\ and\na \"b\".", .value = 1 };

	is(&metric, "a_b 1\n");
	metric.first = true;
	is(&metric, "# HELP a_b A \\\\ and\\na \"b\".\n# TYPE a_b counter\na_b 1\n");
	metric.first = false;
	metric.kind = KIT_GAUGE;
	metric.label = "of";
	metric.of = "";
	is(&metric, "a_b{of=\"\"} 1\n");
	metric.of = "a\\b\"c\nd{}=, \xc3\xbc";
	is(&metric, "a_b{of=\"a\\\\b\\\"c\\nd{}=, \xc3\xbc\"} 1\n");
	/* The format is UTF-8. */
	metric.of = "\xff-\xc3";
	is(&metric, "a_b{of=\"\xef\xbf\xbd-\xef\xbf\xbd\"} 1\n");
}

static void numbers(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ -1, "-1" },
		{ 9007199254740991.0, "9007199254740991" },
		{ 1e18, "1000000000000000000" },
		{ 0.5, "0.5" },
		{ -2.25, "-2.25" },
		{ 0.000001, "0.000001" },
		{ 1.0000001, "1" },
		{ 0.9999999, "1" },
		{ 1795917270.71, "1795917270.71" },
		{ 12.05, "12.05" },
	};
	char want[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct kit_metric metric = { .name = "n", .value = cases[i].value };
		snprintf(want, sizeof(want), "n %s\n", cases[i].text);
		is(&metric, want);
	}
}

struct seen {
	size_t count, stop_at;
	char last[100];
	bool blocks;
};

static int see(void *arg, const struct kit_metric *metric)
{
	struct seen *seen = arg;

	/* Those of a name come one after another. */
	if (metric->first == !strcmp(seen->last, metric->name) || !*metric->help ||
		!metric->label != !metric->of)
		return -EBADMSG;
	snprintf(seen->last, sizeof(seen->last), "%s", metric->name);
	if (!strcmp(metric->name, "ipfs_kit_store_blocks"))
		seen->blocks = metric->value == 1;
	return ++seen->count == seen->stop_at ? 7 : 0;
}

static int all_are_told(struct scene *scene)
{
	struct seen all = { 0 }, some = { .stop_at = 5 };
	struct mf_cid cid;

	CHECK_RC(0,
		kit_block_put(scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, "x", 1, false, &cid));
	CHECK_RC(0, kit_metrics(scene->node, see, &all));
	CHECK(all.count > 35 && all.blocks);
	CHECK_RC(7, kit_metrics(scene->node, see, &some));
	CHECK(some.count == 5);
	return 0;
}

static void test_all_are_told(void **state)
{
	scene_run(all_are_told);
}

static int any(void *arg, const char *json, size_t len)
{
	return 0;
}

/* At each allocation. */
static int without_memory(struct scene *scene)
{
	const struct kit_call call = { .command = "metrics", .answer = any };
	int failed = 0;
	bool all = false;

	for (uint64_t at = 1; !all; at++) {
		struct seen seen = { 0 };

		anyio_fault_set(ANYIO_FAULT_MEMORY, at, 0);
		int rc = kit_metrics(scene->node, see, &seen);
		all = anyio_fault_count(ANYIO_FAULT_MEMORY) < at;
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		/* Heat may be left out; of the others all are told, or none. */
		CHECK(rc == 0 ? seen.count > 35 : rc == -ENOMEM && seen.count == 0 && !all);
		CHECK(!rc == !*kit_error_text(scene->node));
		failed += rc != 0;
	}
	CHECK(failed > 0);
	CHECK_RC(0, kit_call_run(scene->node, &call));
	return 0;
}

static void test_without_memory(void **state)
{
	scene_run(without_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(numbers),
		cmocka_unit_test(test_all_are_told),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
