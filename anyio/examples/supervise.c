/*
 * A process supervisor: keeps commands running, and ends them well.
 *
 * Each command has a task that starts it, waits for its end and starts it again, a little later each
 * time it did not last. On Ctrl-C or SIGTERM every command gets SIGTERM and the grace period to
 * finish, then SIGKILL; the program ends when the last of them has, and leaves no orphan.
 */
#include <anyio/anyio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long grace = 5; /* seconds */

/* A cancelled close kills at once; the shield gives the command the grace that was asked for. */
static int close_gently(void *process)
{
	return anyio_process_close(process);
}

static int run_once(char *command)
{
	char *argv[] = { "sh", "-c", command, NULL };
	/* A group of its own: Ctrl-C in the terminal reaches this program alone, and the signals
	 * sent here reach whatever the command has started. */
	struct anyio_process_options options = { .new_group = true,
		.grace = (anyio_time)grace * ANYIO_SECOND };
	struct anyio_process *process;
	struct anyio_cancel_scope shield;
	int code = 0;

	int rc = anyio_process_open(argv, &options, &process);
	if (rc < 0)
		return rc;
	printf("%s: started as %d\n", command, (int)anyio_process_pid(process));
	rc = anyio_process_wait(process, &code);
	if (rc == 0)
		printf("%s: ended with %d\n", command, code);
	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_run(&shield, close_gently, process);
	return rc;
}

static int keep_running(void *arg)
{
	char *command = arg;
	anyio_time pause = 100 * ANYIO_MILLISECOND;
	int rc;

	do {
		anyio_time began = anyio_now();
		rc = run_once(command);
		if (anyio_now() - began > 10 * ANYIO_SECOND)
			pause = 100 * ANYIO_MILLISECOND;
		if (rc == 0)
			rc = anyio_sleep(pause);
		if (pause < 30 * ANYIO_SECOND)
			pause *= 2;
	} while (rc == 0);
	if (rc == ANYIO_CANCELLED)
		printf("%s: stopped\n", command);
	return rc;
}

static int body(void *arg)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	struct anyio_signal_receiver *receiver;
	int rc = anyio_signal_open(signals, &receiver);

	if (rc < 0)
		return rc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	ANYIO_TASK_GROUP(group);
	for (char **command = arg; *command; command++)
		anyio_start_soon(&group, keep_running, *command, *command);
	int number = anyio_signal_receive(receiver);
	if (number > 0) {
		printf("%s: stopping\n", strsignal(number));
		anyio_task_group_cancel(&group, "signal");
	}
	rc = anyio_task_group_exit(&group, number < 0 ? number : 0);
	anyio_signal_close(receiver);
	return rc;
}

int main(int argc, char **argv)
{
	char **commands = argv + 1;
	bool valid = true;

	if (argc > 2 && strcmp(argv[1], "--grace") == 0) {
		char *end;
		grace = strtoul(argv[2], &end, 10);
		valid = *end == 0 && grace > 0 && grace < 3600;
		commands += 2;
	}
	if (!valid || !*commands || strncmp(*commands, "--", 2) == 0) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: supervise [--grace SECONDS] COMMAND...\n\n"
			"Runs each COMMAND by the shell, again whenever it ends, until Ctrl-C or SIGTERM: then\n"
			"each has SECONDS (5) after SIGTERM to end by itself.\n");
		return help ? 0 : 2;
	}
	int rc = anyio_run(body, commands, NULL);
	if (rc < 0)
		fprintf(stderr, "supervise: %s\n", anyio_error_text(rc));
	return rc < 0;
}
