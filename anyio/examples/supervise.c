/*
 * A process supervisor: keeps commands running, and ends them well.
 *
 * Each command is a service: started in the order of the command line, and stopped in the reverse, so
 * that one may rely on those before it. A command that ends is started again, a little later each time it
 * did not last. On Ctrl-C or SIGTERM each gets SIGTERM and the grace period to finish, and is killed
 * after it; a second Ctrl-C takes the grace away. No orphan is left.
 */
#include <anyio/anyio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS_MAX = 64 };

static unsigned long grace = 5; /* seconds */

struct running {
	struct anyio_process *process;
	int code;
};

static int wait_for_end(void *arg)
{
	struct running *self = arg;

	return anyio_process_wait(self->process, &self->code);
}

static int run_once(struct anyio_service *service, char *command)
{
	char *argv[] = { "sh", "-c", command, NULL };
	/* A group of its own: Ctrl-C in the terminal reaches this program alone, and the signals
	 * sent here reach whatever the command has started. How long the close may take is for
	 * the service to say: when its grace is over it is cancelled, and a cancelled close kills. */
	struct anyio_process_options options = { .new_group = true, .grace = ANYIO_FOREVER };
	struct running self = { 0 };

	int rc = anyio_process_open(argv, &options, &self.process);
	if (rc < 0)
		return rc;
	printf("%s: started as %d\n", command, (int)anyio_process_pid(self.process));
	rc = anyio_service_until_stop(service, wait_for_end, &self);
	if (rc == 0 && !anyio_service_stopping(service))
		printf("%s: ended with %d\n", command, self.code);
	int closed = anyio_process_close(self.process);
	return rc ? rc : closed;
}

static int pause_for(void *arg)
{
	return anyio_sleep(*(anyio_time *)arg);
}

static int keep_running(struct anyio_service *service, void *arg)
{
	char *command = arg;
	anyio_time pause = 100 * ANYIO_MILLISECOND;
	int rc = anyio_started(NULL);

	while (rc == 0 && !anyio_service_stopping(service)) {
		anyio_time began = anyio_now();
		rc = run_once(service, command);
		if (anyio_now() - began > 10 * ANYIO_SECOND)
			pause = 100 * ANYIO_MILLISECOND;
		if (rc == 0)
			rc = anyio_service_until_stop(service, pause_for, &pause);
		if (pause < 30 * ANYIO_SECOND)
			pause *= 2;
	}
	printf("%s: stopped\n", command);
	return rc;
}

static int body(void *arg)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	static struct anyio_service services[COMMANDS_MAX];
	struct anyio_service_options options = { .grace = (anyio_time)grace * ANYIO_SECOND };
	struct anyio_service_group group;
	char **commands = arg;

	anyio_service_group_enter(&group, &options);
	int rc = anyio_service_group_stop_on(&group, signals);
	for (int i = 0; commands[i] && rc == 0; i++)
		rc = anyio_service_start(
			&group, &services[i], keep_running, commands[i], commands[i]);
	if (rc == 0)
		rc = anyio_service_group_wait(&group);
	return anyio_service_group_exit(&group, rc);
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
	if (!valid || !*commands || strncmp(*commands, "--", 2) == 0 ||
		argv + argc - commands > COMMANDS_MAX) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: supervise [--grace SECONDS] COMMAND...\n\n"
			"Runs each COMMAND by the shell, again whenever it ends, until Ctrl-C or SIGTERM: then\n"
			"each, the last one first, has SECONDS (5) after SIGTERM to end by itself.\n");
		return help ? 0 : 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	int rc = anyio_run(body, commands, NULL);
	if (rc < 0)
		fprintf(stderr, "supervise: %s\n", anyio_error_text(rc));
	return rc < 0;
}
