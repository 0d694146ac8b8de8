/* Help, made from the command table. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

bool cli_has_option(const struct cli_option *table, const char *name)
{
	for (; table && table->name; table++)
		if (!strcmp(table->name, name))
			return true;
	return false;
}

/* All of a table but what another one has under the same name. */
static void print_options(const struct cli_option *table, const struct cli_option *but)
{
	for (; table && table->name; table++) {
		if (cli_has_option(but, table->name))
			continue;
		char left[64];
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", table->letter ? "-" : "",
			table->letter ? table->letter : ' ', table->letter ? ", " : "   ",
			table->name, table->value ? " " : "", table->value ? table->value : "");
		printf("  %-30s %s\n", left, table->help);
	}
}

static const char exit_codes[] =
	"Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 repo trouble, 5 timed out, 130 interrupted.";

const char cli_first_steps[] =
	"  ipfs-kit init                 make a repo\n"
	"  ipfs-kit add -r FOLDER        add files; prints their CIDs\n"
	"  ipfs-kit daemon               go online and serve them\n"
	"  ipfs-kit swarm connect ADDR   connect to a peer\n"
	"  ipfs-kit get CID              fetch from the peers you are connected to\n";

static void print_overview(void)
{
	puts("ipfs-kit: add, keep, find and exchange content-addressed data\n\n"
	     "Usage: ipfs-kit [OPTIONS] COMMAND [ARGUMENTS]\n");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		printf("  %-18s %s\n", c->name, c->summary);
	puts("\nOptions for every command:");
	print_options(cli_global_options, NULL);
	printf("\nBegin with:\n%s\n", cli_first_steps);
	puts("'ipfs-kit COMMAND --help' explains a command. With a daemon running, commands talk to it;\n"
	     "without one they open the repo themselves.\n\n"
	     "With --json every answer is JSON, one value a line, with the fields of Kubo's RPC, but for content (cat,\n"
	     "block get, dag get, dag export) and text (help, completion). A failure is a line of JSON on standard error:\n"
	     "{\"Error\": what and why, \"Code\": failed, usage, not-found, repo, timed-out or interrupted,\n"
	     "\"Exit\": the exit code, \"Hint\": what to do}. What is wrong with the repo itself is told before it:\n"
	     "{\"Warning\": what, \"Hint\": what to do}.\n\n"
	     "On a terminal, what others named or wrote is shown without control characters, as \\xHH or \\uHHHH.\n");
	puts(exit_codes);
}

void cli_print_help(const struct cli_command *command)
{
	if (!command) {
		print_overview();
		return;
	}
	printf("ipfs-kit %s: %s\n\nUsage: ipfs-kit %s%s%s%s\n\n%s\n", command->name,
		command->summary, command->name,
		command->options && command->options->name ? " [OPTIONS]" : "",
		*command->arguments ? " " : "", command->arguments, command->help);
	if (command->options && command->options->name) {
		puts("\nOptions:");
		print_options(command->options, NULL);
	}
	puts("\nOptions for every command:");
	print_options(cli_global_options, command->options);
	printf("\n%s\n", exit_codes);
}

bool cli_is_family(const char *name)
{
	size_t len = strlen(name);

	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strncmp(c->name, name, len) && c->name[len] == ' ')
			return true;
	return false;
}

void cli_print_family(FILE *out, const char *name)
{
	size_t len = strlen(name);

	fprintf(out, "Usage: ipfs-kit %s COMMAND\n\n", name);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strncmp(c->name, name, len) && c->name[len] == ' ')
			fprintf(out, "  %-18s %s\n", c->name, c->summary);
	fprintf(out, "\n'ipfs-kit %s COMMAND --help' explains a command.\n", name);
}

int cmd_help(struct cli *cli)
{
	char name[64];

	if (!cli->count) {
		cli_print_help(NULL);
		return CLI_OK;
	}
	snprintf(name, sizeof(name), "%s%s%s", cli->args[0], cli->count > 1 ? " " : "",
		cli->count > 1 ? cli->args[1] : "");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strcmp(c->name, name)) {
			cli_print_help(c);
			return CLI_OK;
		}
	if (cli_is_family(name)) {
		cli_print_family(stdout, name);
		return CLI_OK;
	}
	return cli_unknown_command(cli, cli->args[0], cli->args[1]);
}
