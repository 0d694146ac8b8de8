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

static void print_bash(void)
{
	/* Bash makes words of their own of the = in --name=value. */
	printf("_ipfs_kit()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command= words= files= i\n"
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
	       "\t\t\tesac ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tif ((i > COMP_CWORD)) || [[ $cur == = ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -f -- \"${cur#=}\"))\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tcase $command in\n"
	       "\t'' | help) words='");
	print_families(false, " ");
	puts("' ;;");
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		if (first_of_family(c) && strchr(c->name, ' ')) {
			printf("\t'%.*s') words='", (int)family(c), c->name);
			print_seconds(c);
			puts("' ;;");
		}
		printf("\t'%s') words='", c->name);
		print_follows(c);
		puts(takes_files(c) ? "' files=1 ;;" : "' ;;");
	}
	printf("\tesac\n\t[[ $cur == -* ]] && words+=' ");
	print_options(cli_global_options);
	puts("'\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "\t[[ -z $files || $cur == -* ]] || COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
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
		printf("%s -d ", table->value ? " -r" : "");
		print_quoted(table->help);
		putchar('\n');
	}
}

static void print_fish(void)
{
	char condition[96];

	printf("function __ipfs_kit_is -d 'Whether these words are the command so far'\n"
	       "\tset -l found\n"
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
	     "\t\t\t\tend\n"
	     "\t\tend\n"
	     "\tend\n"
	     "\ttest \"$found\" = \"$argv[1]\"\n"
	     "end");
	puts("complete -c ipfs-kit -f");
	print_fish_options(cli_global_options, "");
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		size_t len = family(c);
		bool two = c->name[len] == ' ';
		if (first_of_family(c))
			printf("complete -c ipfs-kit -n '__ipfs_kit_is \"\" || __ipfs_kit_is help' -a %.*s\n",
				(int)len, c->name);
		if (two)
			printf("complete -c ipfs-kit -n '__ipfs_kit_is %.*s' -a %s -d ", (int)len,
				c->name, c->name + len + 1);
		else
			printf("complete -c ipfs-kit -n '__ipfs_kit_is \"\"' -a %s -d ", c->name);
		print_quoted(c->summary);
		snprintf(condition, sizeof(condition), " -n '__ipfs_kit_is \"%s\"'", c->name);
		putchar('\n');
		if (takes_files(c))
			printf("complete -c ipfs-kit%s -F\n", condition);
		print_fish_options(c->options, condition);
	}
}

int cmd_completion(struct cli *cli)
{
	const char *shell = cli->args[0];

	if (!strcmp(shell, "man"))
		cli_print_man();
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
