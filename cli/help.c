/* Help and shell completions, both made from the command table. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static void print_options(const struct cli_option *table)
{
	for (; table && table->name; table++) {
		char left[64];
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", table->letter ? "-" : "",
			table->letter ? table->letter : ' ', table->letter ? ", " : "   ",
			table->name, table->value ? " " : "", table->value ? table->value : "");
		printf("  %-30s %s\n", left, table->help);
	}
}

static void print_overview(void)
{
	puts("ipfs-kit: add, keep, find and exchange content-addressed data\n\n"
	     "Usage: ipfs-kit [OPTIONS] COMMAND [ARGUMENTS]\n");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		printf("  %-18s %s\n", c->name, c->summary);
	puts("\nOptions for every command:");
	print_options(cli_global_options);
	puts("\nBegin with:\n"
	     "  ipfs-kit init                 make a repo\n"
	     "  ipfs-kit add -r FOLDER        add files; prints their CIDs\n"
	     "  ipfs-kit daemon               go online and serve them\n"
	     "  ipfs-kit get CID              fetch from the peers you are connected to\n\n"
	     "'ipfs-kit COMMAND --help' explains a command. With a daemon running, commands talk to it;\n"
	     "without one they open the repo themselves.\n\n"
	     "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 repo trouble, 5 timed out, 130 interrupted.");
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
		print_options(command->options);
	}
	puts("\nOptions for every command:");
	print_options(cli_global_options);
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
	fprintf(stderr, "ipfs-kit help: no command '%s'\n", name);
	return CLI_USAGE;
}

static void words_of(const struct cli_option *table, char separator)
{
	for (; table && table->name; table++)
		printf("--%s%c", table->name, separator);
}

static void complete_bash(void)
{
	puts("_ipfs_kit()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} line=\" ${COMP_WORDS[*]:1} \" words=");
	puts("\tcase $line in");
	/* Two-word commands first: "pin add" must win over a "pin" of its own. */
	for (int pass = 2; pass >= 1; pass--)
		for (const struct cli_command *c = cli_commands; c->name; c++) {
			if ((strchr(c->name, ' ') != NULL) != (pass == 2))
				continue;
			printf("\t*' %s '*) words='", c->name);
			words_of(c->options, ' ');
			words_of(cli_global_options, ' ');
			puts("' ;;");
		}
	printf("\t*) words='");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		printf("%s ", c->name);
	words_of(cli_global_options, ' ');
	puts("' ;;\n\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "\t[[ $cur == -* ]] || COMPREPLY+=($(compgen -f -- \"$cur\"))\n}\n"
	     "complete -o filenames -F _ipfs_kit ipfs-kit");
}

static void complete_zsh(void)
{
	puts("#compdef ipfs-kit\nautoload -U +X bashcompinit && bashcompinit");
	complete_bash();
}

static void complete_fish(void)
{
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		const char *space = strchr(c->name, ' ');
		if (space)
			printf("complete -c ipfs-kit -n '__fish_seen_subcommand_from %.*s' -a %s -d '%s'\n",
				(int)(space - c->name), c->name, space + 1, c->summary);
		else
			printf("complete -c ipfs-kit -n __fish_use_subcommand -a %s -d '%s'\n",
				c->name, c->summary);
		for (const struct cli_option *o = c->options; o && o->name; o++)
			printf("complete -c ipfs-kit -n '__fish_seen_subcommand_from %s' -l %s%s\n",
				c->name, o->name, o->value ? " -r" : "");
	}
	for (const struct cli_option *o = cli_global_options; o->name; o++)
		printf("complete -c ipfs-kit -l %s%s\n", o->name, o->value ? " -r" : "");
}

void cli_print_completion(const char *shell)
{
	if (!strcmp(shell, "zsh"))
		complete_zsh();
	else if (!strcmp(shell, "fish"))
		complete_fish();
	else
		complete_bash();
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

static void print_man(void)
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
	puts(".SH EXIT STATUS\n.TP\n.B 0\nThe work was done.\n.TP\n.B 1\nIt was not; standard error says why.\n"
	     ".TP\n.B 2\nWrong options or arguments.\n.TP\n.B 3\nThere is no such content, pin, setting or peer.\n"
	     ".TP\n.B 4\nThe repo is missing, in use, damaged or of another version.\n.TP\n.B 5\n"
	     "The time given by \\-\\-timeout has passed.\n.TP\n.B 130\nInterrupted.\n.SH ENVIRONMENT\n"
	     ".TP\n.B IPFS_KIT_PATH\nThe repo, unless \\-\\-repo names one.\n.TP\n.B IPFS_KIT_API_AUTH\n"
	     "The secret of the daemon's API.\n.TP\n.B ANYIO_BACKEND\nThe event backend: uring or uv.\n.SH FILES\n"
	     ".TP\n.I ~/.ipfs\\-kit/config\nThe settings, with their explanations.\n.TP\n"
	     ".I ~/.ipfs\\-kit/identity\nThe private key. Keep it, and keep it to yourself.\n.TP\n"
	     ".I ~/.ipfs\\-kit/segments\nThe blocks, in CAR files.");
}

int cmd_completion(struct cli *cli)
{
	const char *shell = cli->args[0];

	if (!strcmp(shell, "man")) {
		print_man();
		return CLI_OK;
	}
	if (strcmp(shell, "bash") && strcmp(shell, "zsh") && strcmp(shell, "fish")) {
		fprintf(stderr,
			"ipfs-kit completion: no completions for '%s'; there are bash, zsh and fish\n",
			shell);
		return CLI_USAGE;
	}
	cli_print_completion(shell);
	return CLI_OK;
}
