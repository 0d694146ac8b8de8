/*
 * The version a program was compiled with, and that of the shared library it runs with.
 */
#include <anyio/version.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	bool same = strcmp(ANYIO_VERSION, anyio_version()) == 0;

	if (!same)
		fprintf(stderr, "version: compiled with %s, runs with %s\n", ANYIO_VERSION,
			anyio_version());
	printf("the headers and the library are %s\n", same ? "of one version" : "of two");
	return !same;
}
/* Prints:
 * the headers and the library are of one version
 */
