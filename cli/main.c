/* Parses, makes a loop, runs the command in its root task, and turns results into exit codes. */
#include "cli.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Whether a command without a daemon goes online for as long as it runs: with --connect, or to dial the
 * address that it was given. */
static bool goes_online(const struct cli *cli)
{
	return cli->connect || (cli->node && cli->command->dials && cli->args[0][0] == '/');
}

static int run_online(struct cli *cli)
{
	static const char *const nowhere[] = { NULL };
	struct kit_network network = { .node = cli->node, .options = { .listen = nowhere } };
	int code = CLI_OK, rc = 0;

	ANYIO_TASK_GROUP(group);
	if (cli->node && (rc = anyio_start(&group, kit_network_run, &network, "network", NULL)))
		code = cli_fail_node(cli, rc, NULL);
	if (code == CLI_OK && cli->connect)
		code = cli_connect(cli, cli->connect);
	if (code == CLI_OK)
		code = cli_run_telling(cli);
	anyio_task_group_cancel(&group, "done");
	rc = anyio_task_group_exit(&group, 0);
	return rc == ANYIO_CANCELLED ? CLI_INTERRUPTED : code;
}

static int run_here(struct cli *cli)
{
	return !cli->command->no_repo && goes_online(cli) ? run_online(cli) : cli_run_telling(cli);
}

/* What lies in tiers can be had for as long as the command runs. */
static int run_with_tiers(struct cli *cli)
{
	int code = CLI_OK, rc;

	ANYIO_TASK_GROUP(group);
	rc = anyio_start(&group, kit_tiers_run, cli->node, "tiers", NULL);
	if (rc)
		code = cli_fail_node(cli, rc, NULL);
	if (code == CLI_OK)
		code = run_here(cli);
	anyio_task_group_cancel(&group, "done");
	rc = anyio_task_group_exit(&group, 0);
	return rc == ANYIO_CANCELLED ? CLI_INTERRUPTED : code;
}

static int with_node(void *arg)
{
	struct cli *cli = arg;
	int code = cli->command->no_repo ? 0 : cli_open(cli);

	if (code == 0)
		code = cli->node && kit_has_tiers(cli->node) ? run_with_tiers(cli) : run_here(cli);
	cli_close(cli, code != CLI_OK || cli->json);
	return code;
}

struct timed {
	struct cli *cli;
	int code;
};

static int timed_body(void *arg)
{
	struct timed *timed = arg;

	timed->code = with_node(timed->cli);
	/* A command that was cut off reports cancellation by its exit code; pass it to the scope. */
	return timed->code == CLI_INTERRUPTED ? ANYIO_CANCELLED : 0;
}

/* " while fetching, 2.0 MiB of 96.0 MiB done" and the like, "" when it has not begun. */
static void how_far(const struct cli_how_far *far, char *out, size_t cap)
{
	if (!far->what || !far->done)
		*out = 0;
	else if (far->total)
		snprintf(out, cap, " while %s, %s of %s done", far->what, cli_size(far->done),
			cli_size(far->total));
	else
		snprintf(out, cap, " while %s, %s done", far->what, cli_size(far->done));
}

/* What to do depends on why there was nothing more: data was coming, or nobody had it, or who has it
 * did not send. */
static void say_timed_out(const struct cli *cli)
{
	static const anyio_time stalled = 2 * ANYIO_SECOND;
	const char *waited_for = cli_waited_for(), *again = cli->command->again;
	char done[120], more[160];
	struct cli_how_far far;

	cli_progress_latest(&far);
	how_far(&far, done, sizeof(done));
	bool coming = far.done ? far.still < stalled : cli_wants_moved();
	snprintf(more, sizeof(more), "a longer --timeout lets it come further%s%s",
		again ? ", and run again, " : "", again ? again : "");
	if (coming || !*waited_for)
		cli_refuse(cli, CLI_TIMEOUT, "timed out%s; %s", done, more);
	else if (cli_somebody_may_have_it())
		cli_refuse(cli, CLI_TIMEOUT, "timed out%s, waiting for %s; %s", done, waited_for,
			more);
	else
		cli_refuse(cli, CLI_TIMEOUT,
			"timed out%s, waiting for %s; 'ipfs-kit swarm connect ADDR' connects to a peer that has it%s%s",
			done, waited_for, *done && again ? ", and run again, " : "",
			*done && again ? again : "");
}

/* Of a command that another run goes on from it is said what was kept. A shell tells people of the rest; a
 * program reads what is written. */
static void say_interrupted(const struct cli *cli)
{
	struct cli_how_far far;
	char done[120];

	cli_progress_latest(&far);
	how_far(&far, done, sizeof(done));
	if (cli->command->again)
		cli_refuse(cli, CLI_INTERRUPTED, "interrupted%s; run again, %s", done,
			cli->command->again);
	else if (cli->json)
		cli_refuse(cli, CLI_INTERRUPTED, "interrupted");
}

static int root(void *arg)
{
	struct timed *timed = arg;
	int rc;

	if (!timed->cli->timeout) {
		rc = timed_body(timed);
	} else {
		rc = anyio_fail_after(timed->cli->timeout, timed_body, timed);
		if (rc == -ETIMEDOUT) {
			say_timed_out(timed->cli);
			timed->code = CLI_TIMEOUT;
		}
	}
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* Blocks come and go by the megabyte. Left alone, malloc would fetch fresh pages from the kernel for
 * most of them, which costs as much as hashing a quarter of each. */
static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

static volatile sig_atomic_t terminated;

static void on_terminate(int number)
{
	terminated = 1;
	raise(SIGINT);
}

/* Whoever asks a command to end lets it clean up, as Ctrl-C does; it then dies of what it was sent.
 * Where SIGINT is ignored, as in the background of a script, SIGTERM ends it at once. */
static void catch_termination(void)
{
	struct sigaction action = { .sa_handler = on_terminate, .sa_flags = SA_RESTART }, interrupt;

	if (sigaction(SIGINT, NULL, &interrupt) == 0 && interrupt.sa_handler != SIG_IGN)
		sigaction(SIGTERM, &action, NULL);
}

static void die_of(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

/* What was printed and could not be written is work not done, wherever in the output that was. */
static int flush_output(const struct cli *cli, int code)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (code != CLI_OK)
		return code;
	/* Of a write before the last nothing is left but that it failed. */
	int why = errno ? errno : cli_nobody_reads() ? EPIPE : 0;
	return cli_fail(cli, why ? -why : -EIO, "writing to standard output: %s",
		why ? strerror(why) : "not all of it could be");
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	struct timed timed = { &cli, CLI_FAILED };

	/* A line is written at once, not letter by letter; what is no whole line is flushed where it is made. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	int rc = cli_parse(&cli, argc, argv);

	if (rc)
		return rc < 0 ? flush_output(&cli, CLI_OK) : rc;
	/* Sockets break too, which is no reason to die; of standard output it is, once all is put in order. */
	cli.dies_of_pipe = signal(SIGPIPE, SIG_IGN) != SIG_IGN;
	/* A script's background ignores it, but whoever sends it wants to know what a daemon is at. */
	if (cli.command->run == cmd_daemon)
		signal(SIGQUIT, SIG_DFL);
	catch_termination();
	keep_memory();
	rc = anyio_run(root, &timed, NULL);
	if (rc && rc != ANYIO_CANCELLED) {
		return cli_refuse(
			&cli, CLI_FAILED, "the event loop could not run: %s", anyio_error_text(rc));
	}
	if (rc == ANYIO_CANCELLED)
		timed.code = CLI_INTERRUPTED;
	if (timed.code == CLI_INTERRUPTED)
		say_interrupted(&cli);
	int code = flush_output(&cli, timed.code);
	if (terminated)
		die_of(SIGTERM);
	if (cli_ended_unread())
		die_of(SIGPIPE);
	return code;
}
