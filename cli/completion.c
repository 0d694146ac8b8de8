/*
 * Completions for shells, made from the command table.
 *
 * Each script has one function that finds the command so far: it walks the words, steps over options
 * and the values that belong to them, and takes a second word where a family ("swarm") wants one.
 * What is offered then depends on that command alone.
 */
#include "cli.h"

#include <stdio.h>
#include <string.h>

/* The length of a command's first word. */
static size_t family(const struct cli_command *command)
{
	return strcspn(command->name, " ");
}

/* Whether this row is the first whose name begins with its word: the table is sorted. */
static bool first_of_family(const struct cli_command *command)
{
	size_t len = family(command);

	return command == cli_commands || family(command - 1) != len ||
		memcmp(command->name, command[-1].name, len) != 0;
}

static bool begins_two(const struct cli_command *command)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)family(command), command->name);
	return cli_is_family(name);
}

static void print_families(bool with_second, const char *separator)
{
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (first_of_family(c) && (!with_second || begins_two(c)))
			printf("%s%.*s", separator, (int)family(c), c->name);
}

static void print_seconds(const struct cli_command *first)
{
	size_t len = family(first);

	for (const struct cli_command *c = first; c->name && !strncmp(c->name, first->name, len);
		c++)
		if (c->name[len] == ' ')
			printf("%s ", c->name + len + 1);
}

static void print_options(const struct cli_option *table)
{
	for (; table && table->name; table++)
		printf("--%s ", table->name);
}

/* Whether another table has the letter for a flag: -n is a count to ping and a flag to add. */
static bool letter_is_a_flag(char letter)
{
	for (const struct cli_command *c = cli_commands; c->name; c++)
		for (const struct cli_option *o = c->options; o && o->name; o++)
			if (o->letter == letter && !o->value)
				return true;
	return false;
}

static void print_valued_table(const struct cli_option *table, const char *separator)
{
	for (; table && table->name; table++) {
		if (!table->value)
			continue;
		printf("%s--%s", separator, table->name);
		if (table->letter && !letter_is_a_flag(table->letter))
			printf("%s-%c", separator, table->letter);
	}
}

/* The options that take the next word for their value. */
static void print_valued(const char *separator)
{
	printf("--%s", cli_global_options[0].name);
	print_valued_table(cli_global_options + 1, separator);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		print_valued_table(c->options, separator);
}

/* What may follow a command: its second words, its options. */
static void print_follows(const struct cli_command *command)
{
	if (!strchr(command->name, ' '))
		print_seconds(command);
	print_options(command->options);
}

/* Whether an argument is a file: "PATH" is one of content, "[PATH]" may be standard input. */
static bool takes_files(const struct cli_command *command)
{
	return strstr(command->arguments, "[PATH") || strstr(command->arguments, "FILE") ||
		strstr(command->arguments, "DIR");
}

static bool is_file(const struct cli_option *option)
{
	return !strcmp(option->value, "PATH") || !strcmp(option->value, "FILE") ||
		!strcmp(option->value, "DIR");
}

static void print_values(const char *(*values)(size_t i))
{
	const char *value;

	for (size_t i = 0; values && (value = values(i)); i++)
		printf("%s%s", i ? " " : "", value);
}

/* What is offered for the value of an option: those that it may have, files, or nothing. */
static void print_bash_values(const char *command, const struct cli_option *table)
{
	for (; table && table->name; table++) {
		if (!table->value || (!table->values && !is_file(table)))
			continue;
		printf("\t\t'%s--%s'", command, table->name);
		if (table->letter)
			printf(" | '%s-%c'", command, table->letter);
		fputs(") ", stdout);
		if (table->values) {
			fputs("words='", stdout);
			print_values(table->values);
			puts("' ;;");
		} else {
			puts("files=1 ;;");
		}
	}
}

/* The option whose value is asked for, when one is; $cur is then the value so far. Bash makes words of
 * their own of the = in --name=value; zsh does not. */
static void print_bash_option(void)
{
	char command[64];

	puts("\tif [[ $cur == --*=* ]]; then\n"
	     "\t\toption=${cur%%=*} prefix=${cur%%=*}= cur=${cur#*=}\n"
	     "\telif [[ $cur == = ]]; then\n"
	     "\t\toption=${COMP_WORDS[COMP_CWORD - 1]} cur=\n"
	     "\telif ((i > COMP_CWORD)); then\n"
	     "\t\toption=${COMP_WORDS[COMP_CWORD - 1]}\n"
	     "\t\t[[ $option != = ]] || option=${COMP_WORDS[COMP_CWORD - 2]}\n"
	     "\tfi\n"
	     "\tif [[ -n $option ]]; then\n"
	     "\t\tcase \"$command $option\" in");
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		snprintf(command, sizeof(command), "%s ", c->name);
		print_bash_values(command, c->options);
	}
	puts("\t\tesac\n\t\tcase $option in");
	print_bash_values("", cli_global_options);
	puts("\t\tesac\n"
	     "\t\tif [[ -n $files ]]; then\n"
	     "\t\t\t_ipfs_kit_files \"$prefix\"\n"
	     "\t\telse\n"
	     "\t\t\tCOMPREPLY=($(compgen -P \"$prefix\" -W \"$words\" -- \"$cur\"))\n"
	     "\t\tfi\n"
	     "\t\treturn\n"
	     "\tfi");
}

/* Names of files have spaces and quotes, and may be begun within quotes. zsh, which reads this too, has
 * no mapfile, and gives what was typed without its quotes. */
static void print_bash_files(void)
{
	puts("_ipfs_kit_files()\n{\n"
	     "\tlocal name typed=$cur\n"
	     "\tif [[ -n $BASH_VERSION ]]; then\n"
	     "\t\ttyped=${typed#[\\\'\\\"]}\n"
	     "\t\t[[ $typed != \"$cur\" ]] || typed=${typed//\\\\/}\n"
	     "\tfi\n"
	     "\twhile IFS= read -r name; do\n"
	     "\t\tCOMPREPLY+=(\"$name\")\n"
	     "\tdone < <(compgen -P \"$1\" -f -- \"$typed\")\n"
	     "}");
}

static void print_bash_command(const struct cli_command *command)
{
	int first = (int)family(command);

	if (first_of_family(command) && begins_two(command)) {
		printf("\t'help %.*s') ((args)) || words='", first, command->name);
		print_seconds(command);
		puts("' ;;");
	}
	if (first_of_family(command) && command->name[first]) {
		printf("\t'%.*s') words='", first, command->name);
		print_seconds(command);
		puts("' ;;");
	}
	printf("\t'%s') words='", command->name);
	print_follows(command);
	fputs(takes_files(command) ? "' files=1" : "'", stdout);
	if (command->values) {
		fputs("; ((args)) || words+=' ", stdout);
		print_values(command->values);
		putchar('\'');
	}
	if (command->run == cmd_config) {
		printf(" ;;\n\t'config add.profile') ((args)) || words='");
		print_values(cli_profiles);
		putchar('\'');
	}
	puts(" ;;");
}

static void print_bash(void)
{
	print_bash_files();
	printf("_ipfs_kit()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command= option= prefix= words= files= args=0 i\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t=) ((i++)) ;;\n"
	       "\t\t");
	print_valued(" | ");
	printf(") [[ ${COMP_WORDS[i + 1]} == = ]] || ((i++)) ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*)\n"
	       "\t\t\tcase $command in\n"
	       "\t\t\t'') command=${COMP_WORDS[i]} ;;\n"
	       "\t\t\thelp");
	print_families(true, " | ");
	printf(") command+=\" ${COMP_WORDS[i]}\" ;;\n"
	       "\t\t\t*) ((args++)) ;;\n"
	       "\t\t\tesac ;;\n"
	       "\t\tesac\n"
	       "\tdone\n");
	print_bash_option();
	printf("\tcase $command in\n"
	       "\t'' | help) words='");
	print_families(false, " ");
	puts("' ;;");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		print_bash_command(c);
	printf("\tesac\n\t[[ $cur == -* ]] && words+=' ");
	print_options(cli_global_options);
	puts("'\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "\t[[ -z $files || $cur == -* ]] || _ipfs_kit_files\n"
	     "}\n"
	     "complete -o filenames -F _ipfs_kit ipfs-kit");
}

static void print_zsh(void)
{
	puts("#compdef ipfs-kit\nautoload -U +X bashcompinit && bashcompinit");
	print_bash();
	/* Found in $fpath, this file is the function that is asked for completions. */
	puts("[[ ${funcstack[1]} != _ipfs-kit ]] || _bash_complete -o filenames -F _ipfs_kit");
}

/* Single quotes inside fish's single quotes. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void print_fish_options(const struct cli_option *table, const char *condition)
{
	for (; table && table->name; table++) {
		printf("complete -c ipfs-kit%s -l %s", condition, table->name);
		if (table->letter)
			printf(" -s %c", table->letter);
		if (table->value)
			fputs(is_file(table) ? " -r -F" : " -x", stdout);
		if (table->values) {
			fputs(" -a '", stdout);
			print_values(table->values);
			putchar('\'');
		}
		fputs(" -d ", stdout);
		print_quoted(table->help);
		putchar('\n');
	}
}

static void print_fish_command(const struct cli_command *command)
{
	char condition[96];
	size_t len = family(command);

	if (first_of_family(command))
		printf("complete -c ipfs-kit -n '__ipfs_kit_is \"\" || __ipfs_kit_is help' -a %.*s\n",
			(int)len, command->name);
	if (command->name[len])
		printf("complete -c ipfs-kit -n '__ipfs_kit_is %.*s || __ipfs_kit_is \"help %.*s\" 0' -a %s -d ",
			(int)len, command->name, (int)len, command->name, command->name + len + 1);
	else
		printf("complete -c ipfs-kit -n '__ipfs_kit_is \"\"' -a %s -d ", command->name);
	print_quoted(command->summary);
	putchar('\n');
	if (command->values) {
		printf("complete -c ipfs-kit -n '__ipfs_kit_is \"%s\" 0' -a '", command->name);
		print_values(command->values);
		puts("'");
	}
	if (command->run == cmd_config) {
		fputs("complete -c ipfs-kit -n '__ipfs_kit_is \"config add.profile\" 0' -a '",
			stdout);
		print_values(cli_profiles);
		puts("'");
	}
	snprintf(condition, sizeof(condition), " -n '__ipfs_kit_is \"%s\"'", command->name);
	if (takes_files(command))
		printf("complete -c ipfs-kit%s -F\n", condition);
	print_fish_options(command->options, condition);
}

static void print_fish(void)
{
	printf("function __ipfs_kit_is -d 'Whether these words are the command so far, and so many arguments'\n"
	       "\tset -l found\n"
	       "\tset -l count 0\n"
	       "\tset -l value_next no\n"
	       "\tfor word in (commandline -opc)[2..]\n"
	       "\t\tif test $value_next = yes\n"
	       "\t\t\tset value_next no\n"
	       "\t\t\tcontinue\n"
	       "\t\tend\n"
	       "\t\tswitch $word\n"
	       "\t\t\tcase ");
	print_valued(" ");
	printf("\n\t\t\t\tset value_next yes\n"
	       "\t\t\tcase '-*'\n"
	       "\t\t\tcase '*'\n"
	       "\t\t\t\tswitch \"$found\"\n"
	       "\t\t\t\t\tcase ''\n"
	       "\t\t\t\t\t\tset found $word\n"
	       "\t\t\t\t\tcase help");
	print_families(true, " ");
	puts("\n\t\t\t\t\t\tset found \"$found $word\"\n"
	     "\t\t\t\t\tcase '*'\n"
	     "\t\t\t\t\t\tset count (math $count + 1)\n"
	     "\t\t\t\tend\n"
	     "\t\tend\n"
	     "\tend\n"
	     "\ttest \"$found\" = \"$argv[1]\"; and test \"$argv[2]\" = '' -o \"$argv[2]\" = $count\n"
	     "end");
	puts("complete -c ipfs-kit -f");
	print_fish_options(cli_global_options, "");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		print_fish_command(c);
}

int cmd_completion(struct cli *cli)
{
	const char *shell = cli->args[0];

	/* What the build asks for: every page, in this folder. */
	if (!strcmp(shell, "man") && cli->args[1])
		return cli_write_man(cli, cli->args[1]);
	if (cli->args[1] && cli_is_value(cli_shells, shell))
		return cli_unexpected_argument(cli, cli->args[1]);
	if (!strcmp(shell, "man"))
		cli_print_man(stdout, NULL);
	else if (!strcmp(shell, "bash"))
		print_bash();
	else if (!strcmp(shell, "zsh"))
		print_zsh();
	else if (!strcmp(shell, "fish"))
		print_fish();
	else
		return cli_wrong_argument(cli, shell);
	return CLI_OK;
}
