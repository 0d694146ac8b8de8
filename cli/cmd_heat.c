/* What is in use: heat top. */
#include "cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

static json_int_t number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* As 2026-11-28T09:30:00Z; "-" when it is beyond what a calendar has. */
static void print_time(time_t when)
{
	char text[40] = "-";
	struct tm parts;

	if (gmtime_r(&when, &parts))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	printf(" %-20s", text);
}

static int print_root(struct cli *cli, json_t *answer)
{
	json_t *size = json_object_get(answer, "Size");

	cli_print_text(json_string_value(json_object_get(answer, "Root")));
	printf(" %8.2f %7" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT,
		json_number_value(json_object_get(answer, "Heat")), number(answer, "Reads"),
		number(answer, "Wants"));
	print_time((time_t)number(answer, "LastUse"));
	if (size)
		printf(" %12" JSON_INTEGER_FORMAT, json_integer_value(size));
	else
		printf(" %12s", "-");
	puts(json_is_true(json_object_get(answer, "Pinned")) ? " pinned" : " -");
	return 0;
}

int cmd_heat_top(struct cli *cli)
{
	const char *count = cli_value(cli, "count");
	struct kit_call_option options[] = { { "count", count ? count : "20" }, { 0 } };

	if (cli_flag(cli, "headers", false) && !cli->json)
		printf("%-59s %8s %7s %7s %-20s %12s %s\n", "Root", "Heat", "Reads", "Wants",
			"Last use", "Size", "Pinned");
	return cli_call_print(cli, "heat/top", cli->args, options, print_root);
}
