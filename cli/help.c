/* Help and the man page, both made from the command table. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static bool has_option(const struct cli_option *table, const char *name)
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
		if (has_option(but, table->name))
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

static void print_overview(void)
{
	puts("ipfs-kit: add, keep, find and exchange content-addressed data\n\n"
	     "Usage: ipfs-kit [OPTIONS] COMMAND [ARGUMENTS]\n");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		printf("  %-18s %s\n", c->name, c->summary);
	puts("\nOptions for every command:");
	print_options(cli_global_options, NULL);
	puts("\nBegin with:\n"
	     "  ipfs-kit init                 make a repo\n"
	     "  ipfs-kit add -r FOLDER        add files; prints their CIDs\n"
	     "  ipfs-kit daemon               go online and serve them\n"
	     "  ipfs-kit swarm connect ADDR   connect to a peer\n"
	     "  ipfs-kit get CID              fetch from the peers you are connected to\n\n"
	     "'ipfs-kit COMMAND --help' explains a command. With a daemon running, commands talk to it;\n"
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

/* ---- The man page, from the same table ---- */

/* Text with what roff would take for its own escaped. */
static void roff(const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
		line_start = *text == '\n';
	}
	putchar('\n');
}

static void man_options(const struct cli_option *table)
{
	for (; table && table->name; table++) {
		char left[64];
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", table->letter ? "-" : "",
			table->letter ? table->letter : '-', table->letter ? ", " : "", table->name,
			table->value ? " " : "", table->value ? table->value : "");
		printf(".TP\n.B ");
		roff(table->letter ? left : left + 1);
		roff(table->help);
	}
}

void cli_print_man(void)
{
	printf(".TH IPFS\\-KIT 1 \"\" \"ipfs\\-kit %s\" \"User Commands\"\n.SH NAME\n"
	       "ipfs\\-kit \\- add, keep, find and exchange content\\-addressed data\n.SH SYNOPSIS\n"
	       ".B ipfs\\-kit\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n"
	       "A node of IPFS. It keeps blocks in a repo, gives them to peers and fetches them from peers.\n"
	       "With a daemon running, commands talk to it; without one they open the repo themselves.\n"
	       ".SH COMMANDS\n",
		kit_version());
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		printf(".SS ");
		roff(c->name);
		printf(".B ipfs\\-kit %s\n", c->name);
		if (c->options)
			puts("[\\fIOPTIONS\\fR]");
		if (*c->arguments)
			roff(c->arguments);
		puts(".PP\n.nf");
		roff(c->help);
		puts(".fi");
		man_options(c->options);
	}
	puts(".SH OPTIONS\nThese may be given to every command, before or after its name.");
	man_options(cli_global_options);
	puts(".SH JSON\nWith \\-\\-json every answer is JSON, one value a line, but for content (cat, block get, dag get,\n"
	     "dag export) and text (help, completion). A failure is one line on standard error, an object with\n"
	     ".BR Error ,\nwhat failed and why, and what to do;\n.BR Code ,\n"
	     "one of failed, usage, not\\-found, repo, timed\\-out, interrupted;\n.BR Exit ,\n"
	     "the exit status; and\n.BR Hint ,\nwhat to do, when there is something. What opening the repo found damaged or had to\n"
	     "make anew is another such line, with\n.BR Warning\nand\n.BR Hint .\n"
	     ".SH TERMINALS\nNames of content and what peers and daemons say of themselves are chosen by strangers. On a\n"
	     "terminal, and always on standard error, control characters, bytes that are not UTF\\-8, marks of\n"
	     "direction and separators of lines are shown as \\exHH or \\euHHHH. Into a pipe or a file standard output\n"
	     "has the bytes as they are.");
	puts(".SH EXIT STATUS\n.TP\n.B 0\nThe work was done.\n.TP\n.B 1\nIt was not; standard error says why.\n"
	     ".TP\n.B 2\nWrong options or arguments.\n.TP\n.B 3\nThere is no such content, pin, setting or peer.\n"
	     ".TP\n.B 4\nThe repo is missing, in use (for more than a second), damaged or of another version. Of a damaged repo, what\n"
	     "is whole can be had all the same: then a line on standard error warns, and the exit status is that of the work.\n.TP\n.B 5\n"
	     "The time given by \\-\\-timeout has passed.\n.TP\n.B 130\nInterrupted.\n.SH ENVIRONMENT\n"
	     ".TP\n.B IPFS_KIT_PATH\nThe repo, unless \\-\\-repo names one.\n.TP\n.B IPFS_KIT_API_AUTH\n"
	     "The secret of the daemon's API; that of the repo's own daemon is read from its config.\n"
	     ".TP\n.B ANYIO_BACKEND\nThe event backend: uring or uv.\n.SH FILES\n"
	     ".TP\n.I ~/.ipfs\\-kit/config\nThe settings, with their explanations.\n.TP\n"
	     ".I ~/.ipfs\\-kit/identity\nThe private key. Keep it, and keep it to yourself.\n.TP\n"
	     ".I ~/.ipfs\\-kit/segments\nThe blocks, in CAR files. NNNNNNNN.lost: the loss of this one, or of its\n"
	     "end, was accepted.");
}
