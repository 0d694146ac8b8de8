/* The log that all is written to first: wal status, list, verify, checkpoint, export. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_int_t number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void print_place(const char *name, json_t *place)
{
	printf("%s: segment %" JSON_INTEGER_FORMAT ", byte %" JSON_INTEGER_FORMAT
	       ", commit %" JSON_INTEGER_FORMAT "\n",
		name, number(place, "Segment"), number(place, "Offset"), number(place, "Sequence"));
}

static int print_status(struct cli *cli, json_t *answer)
{
	print_place("Durable", json_object_get(answer, "Durable"));
	printf("Pending: %" JSON_INTEGER_FORMAT " bytes of blocks, %" JSON_INTEGER_FORMAT
	       " of operations\n",
		number(answer, "PendingBytes"), number(answer, "OperationsPending"));
	print_place("Checkpoint", json_object_get(answer, "Checkpoint"));
	printf("Behind: %" JSON_INTEGER_FORMAT " bytes, %" JSON_INTEGER_FORMAT " entries\n",
		number(answer, "BehindBytes"), number(answer, "BehindEntries"));
	printf("Segments: %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " bytes\n",
		number(answer, "Segments"), number(answer, "Bytes"));
	printf("Operations: %" JSON_INTEGER_FORMAT " bytes\n", number(answer, "OperationsBytes"));
	if (*text_of(answer, "Stopped")) {
		fputs("Stopped: ", stdout);
		cli_print_text(text_of(answer, "Stopped"));
		putchar('\n');
	}
	return 0;
}

int cmd_wal_status(struct cli *cli)
{
	return cli_call_print(cli, "wal/status", cli->args, NULL, print_status);
}

static void print_more(json_t *answer)
{
	const char *type = text_of(answer, "Type");

	if (*text_of(answer, "Cid")) {
		putchar(' ');
		cli_print_text(text_of(answer, "Cid"));
	}
	if (!strcmp(type, "pin")) {
		putchar(' ');
		cli_print_text(text_of(answer, "Mode"));
	} else if (!strcmp(type, "commit")) {
		printf(" %" JSON_INTEGER_FORMAT " sections from %" JSON_INTEGER_FORMAT "%s",
			number(answer, "Sections"), number(answer, "From"),
			json_is_true(json_object_get(answer, "Intact")) ? "" : ", not intact");
	} else if (!strcmp(type, "state")) {
		printf(" space %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " bytes%s",
			number(answer, "Space"), number(answer, "Size"),
			json_is_true(json_object_get(answer, "Kept")) ? "" : ", taken away");
	} else if (!strcmp(type, "adopted")) {
		printf(" %s, sections from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
			json_is_true(json_object_get(answer, "Linked")) ? "a link" : "a file",
			number(answer, "From"), number(answer, "To"));
	} else if (!strcmp(type, "void")) {
		printf(" segment %" JSON_INTEGER_FORMAT ", bytes %" JSON_INTEGER_FORMAT
		       " to %" JSON_INTEGER_FORMAT,
			number(answer, "Of"), number(answer, "From"), number(answer, "To"));
	}
}

/* SEGMENT:OFFSET (of an operation ops/FILE:OFFSET) LENGTH COMMIT TYPE, and what the type has; the commit of
 * what is not durable is to come. */
static int print_entry(struct cli *cli, json_t *answer)
{
	json_int_t offset = number(answer, "Offset");

	bool operations = number(answer, "Segment") == 0;

	printf("%s%08" JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT
	       " %" JSON_INTEGER_FORMAT " ",
		operations ? "ops/" : "", number(answer, operations ? "Operations" : "Segment"),
		offset, number(answer, "End") - offset, number(answer, "Sequence"));
	cli_print_text(text_of(answer, "Type"));
	print_more(answer);
	puts(json_is_true(json_object_get(answer, "Durable")) ? "" : " pending");
	return 0;
}

int cmd_wal_list(struct cli *cli)
{
	const char *segment = cli_value(cli, "segment"), *offset = cli_value(cli, "offset");
	struct kit_call_option options[] = {
		{ "segment", segment ? segment : "0" },
		{ "offset", offset ? offset : "0" },
		{ "records", cli_flag(cli, "records", false) ? "true" : "false" },
		{ "pending", cli_flag(cli, "pending", false) ? "true" : "false" },
		{ 0 },
	};

	return cli_call_print(cli, "wal/list", cli->args, options, print_entry);
}

static int print_replay(struct cli *cli, json_t *answer)
{
	if (!strcmp(text_of(answer, "Type"), "damage")) {
		if (number(answer, "Segment"))
			cli_note("damaged: bytes %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
				 " of segments/%08" JSON_INTEGER_FORMAT ".car",
				number(answer, "From"), number(answer, "To"),
				number(answer, "Segment"));
		else if (number(answer, "To") == 0)
			cli_note(
				"the operation log (ops/), which has the pins, is missing, has lost its end, or is an older copy");
		else
			cli_note("damaged: bytes %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
				 " of ops/%08" JSON_INTEGER_FORMAT ".log, the operation log",
				number(answer, "From"), number(answer, "To"),
				number(answer, "Operations"));
		return 0;
	}
	printf("an opening would read %" JSON_INTEGER_FORMAT " bytes and take %" JSON_INTEGER_FORMAT
	       " blocks and %" JSON_INTEGER_FORMAT " operations from them\n",
		number(answer, "Bytes"), number(answer, "Blocks"), number(answer, "Operations"));
	if (number(answer, "Cut") || number(answer, "Unfinished"))
		printf("and disregard what nobody was promised: %" JSON_INTEGER_FORMAT
		       " bytes at the end, %" JSON_INTEGER_FORMAT " places before\n",
			number(answer, "Cut"), number(answer, "Unfinished"));
	return 0;
}

int cmd_wal_verify(struct cli *cli)
{
	struct kit_call_option options[] = {
		{ "all", cli_flag(cli, "all", false) ? "true" : "false" },
		{ "progress", cli->progress ? "true" : "false" }, { 0 }
	};

	return cli_call_watch(cli, "reading", "wal/verify", cli->args, options, print_replay);
}

static int print_checkpoint(struct cli *cli, json_t *answer)
{
	print_place("Checkpoint", json_object_get(answer, "Checkpoint"));
	return 0;
}

int cmd_wal_checkpoint(struct cli *cli)
{
	return cli_call_print(cli, "wal/checkpoint", cli->args, NULL, print_checkpoint);
}

static bool is_of_output(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG || rc == -EPIPE;
}

static int export_here(struct cli *cli, struct cli_target *target, uint32_t segment)
{
	struct cli_progress progress;
	struct kit_wal_export_options options = { .output = target->output,
		.fd = STDOUT_FILENO,
		.unverified = cli_flag(cli, "no-verify", false),
		.progress = cli_progress_update,
		.arg = &progress };

	cli_progress_start(&progress, cli, "exporting");
	int rc = kit_wal_export(cli->node, segment, &options);
	cli_progress_end(&progress);
	if (is_of_output(rc))
		target->written = rc;
	return rc;
}

/* What writes to the target may fail for the target's sake. */
static int write_there(void *arg, const void *data, size_t len)
{
	struct cli_target *target = arg;

	return target->written = target->sink.write(target->sink.arg, data, len);
}

static int export_segment(struct cli *cli, struct cli_target *target)
{
	uint64_t segment;
	struct cli_remote_query query[] = {
		{ "no-verify", cli_flag(cli, "no-verify", false) ? "true" : "false" }, { 0 }
	};
	struct cli_remote_request request = { .command = "wal/export",
		.args = cli->args,
		.query = query,
		.answer = { write_there, target } };

	if (cli->remote)
		return cli_remote_call(cli->remote, &request);
	kit_number_parse(cli->args[0], &segment);
	return export_here(cli, target, (uint32_t)segment);
}

int cmd_wal_export(struct cli *cli)
{
	uint64_t segment;

	if (kit_number_parse(cli->args[0], &segment) || segment > UINT32_MAX)
		return cli_refuse(cli, CLI_USAGE,
			"'%s' is not the number of a segment, as 'ipfs-kit wal list --records' prints them",
			cli->args[0]);
	return cli_write_target(cli, "Segment", export_segment);
}
