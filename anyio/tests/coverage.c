/* Only in builds that measure coverage: a test's child that ends by abort(), a fault or _exit() writes
 * down what it has run before it goes. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);
void _exit(int status);
void abort(void);

static void dump(int number)
{
	__gcov_dump();
	signal(number, SIG_DFL);
	raise(number); /* when it was sent, and no fault that comes again */
}

/* Before any loop, so that the runtime hands on what is none of its business. */
__attribute__((constructor)) static void dump_at_the_end(void)
{
	struct sigaction action = { .sa_handler = dump, .sa_flags = SA_ONSTACK };
	sigaction(SIGSEGV, &action, NULL);
}

_Noreturn void abort(void)
{
	__gcov_dump();
	signal(SIGABRT, SIG_DFL);
	for (;;)
		raise(SIGABRT);
}

_Noreturn void _exit(int status)
{
	__gcov_dump();
	for (;;)
		syscall(SYS_exit_group, status);
}
