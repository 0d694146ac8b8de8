/* Colder places: tier list, stat, move, policy. */
#include "cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_int_t number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static int print_line(struct cli *cli, json_t *answer)
{
	printf("%-16s %-6s %-14s %8" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT,
		text_of(answer, "Name"), or_dash(text_of(answer, "Kind")), text_of(answer, "State"),
		number(answer, "Objects"), number(answer, "Bytes"));
	if (*text_of(answer, "Why")) {
		fputs(" ", stdout);
		cli_print_text(text_of(answer, "Why"));
	}
	putchar('\n');
	return 0;
}

int cmd_tier_list(struct cli *cli)
{
	return cli_call_print(cli, "tier/list", cli->args, NULL, print_line);
}

static void print_numbers(json_t *answer, const char *const *keys)
{
	for (; *keys; keys++)
		printf("  %s: %" JSON_INTEGER_FORMAT "\n", *keys, number(answer, *keys));
}

static int print_stat(struct cli *cli, json_t *answer)
{
	static const char *const all[] = { "Objects", "Blocks", "Bytes", "Unwanted", "Unread",
		"Reads", "ReadBytes", "Demoted", "DemotedBytes", "Promoted", "PromotedBytes",
		"Errors", NULL };
	/* Nothing else is counted of the repo itself. */
	static const char *const own[] = { "Objects", "Bytes", NULL };

	printf("%s (%s, %s)\n", text_of(answer, "Name"), or_dash(text_of(answer, "Kind")),
		text_of(answer, "State"));
	print_numbers(answer, strcmp(text_of(answer, "Kind"), "repo") == 0 ? own : all);
	if (*text_of(answer, "Why")) {
		fputs("  Why: ", stdout);
		cli_print_text(text_of(answer, "Why"));
		putchar('\n');
	}
	return 0;
}

int cmd_tier_stat(struct cli *cli)
{
	return cli_call_print(cli, "tier/stat", cli->args, NULL, print_stat);
}

struct move {
	struct cli_progress progress;
	json_t *moved;
};

static int take_moved(void *arg, json_t *answer)
{
	struct move *move = arg;

	if (json_object_get(answer, "Progress")) {
		cli_progress_update(&move->progress, (uint64_t)number(answer, "Progress"),
			(uint64_t)number(answer, "Total"));
		return 0;
	}
	json_decref(move->moved);
	move->moved = json_incref(answer);
	return 0;
}

static void print_moved(const struct cli *cli, json_t *answer)
{
	json_int_t blocks = number(answer, "Blocks"), skipped = number(answer, "Skipped");
	bool back = !strcmp(cli->args[1], "fast");

	/* What lies in another tier is not moved from there to this one. */
	cli_print_shown(cli,
		"%" JSON_INTEGER_FORMAT " blocks of %s moved, %" JSON_INTEGER_FORMAT
		" %s %s already%s",
		blocks, cli_size((uint64_t)number(answer, "Bytes")), skipped,
		skipped == 1 ? "was" : "were", back ? "there" : "in a tier",
		blocks && !back ? "; 'ipfs-kit repo gc' gives back the room they took here" : "");
}

int cmd_tier_move(struct cli *cli)
{
	struct kit_call_option options[] = { { "progress", cli->progress ? "true" : "false" },
		{ 0 } };
	struct move move = { .moved = NULL };

	cli_progress_start(&move.progress, cli, "moving");
	int rc = cli_call(cli, "tier/move", cli->args, options, take_moved, &move);
	cli_progress_end(&move.progress);
	/* No room for what is printed: whoever flushes it at the end tells. */
	if (!rc && move.moved && cli->json)
		cli_put_json(stdout, json_incref(move.moved));
	else if (!rc && move.moved)
		print_moved(cli, move.moved);
	json_decref(move.moved);
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

static double heat(json_t *answer, const char *key)
{
	return json_number_value(json_object_get(answer, key));
}

static void print_policy(json_t *answer)
{
	printf("Tier: %s\nCold: %g\nHot: %g\nInterval: %" JSON_INTEGER_FORMAT
	       "s\nRest: %" JSON_INTEGER_FORMAT "s\nMax: %" JSON_INTEGER_FORMAT " bytes\n",
		or_dash(text_of(answer, "Tier")), heat(answer, "Cold"), heat(answer, "Hot"),
		number(answer, "Interval"), number(answer, "Rest"), number(answer, "Max"));
}

/* Who has set hot lower than it counts must not have to find that out. */
static int tell_policy(void *arg, json_t *answer)
{
	struct cli *cli = arg;
	int rc = 0;
	char text[200];

	snprintf(text, sizeof(text),
		"hot is set to %g and counts as %g, because it is at least four times cold",
		heat(answer, "HotSet"), heat(answer, "Hot"));
	if (cli->json)
		rc = cli_put_json(stdout, json_incref(answer));
	else
		print_policy(answer);
	if (json_object_get(answer, "HotSet") && heat(answer, "HotSet") < heat(answer, "Hot"))
		cli_warn(cli, text);
	return rc;
}

int cmd_tier_policy(struct cli *cli)
{
	static const char *const names[] = { "cold", "hot", "interval" };
	struct kit_call_option options[4] = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < 3; i++)
		if (cli_value(cli, names[i]))
			options[count++] =
				(struct kit_call_option){ names[i], cli_value(cli, names[i]) };
	int rc = cli_call(cli, "tier/policy", cli->args, options, tell_policy, cli);
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}
