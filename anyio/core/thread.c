#include <pthread.h>
#include <signal.h>
#include "core.h"

int anyio_thread_start(
	pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(thread, attr, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}
