/*
 * Names to addresses and back, on a worker thread, so that a slow name server holds up nobody.
 */
#include <anyio/net.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

static int body(void *arg)
{
	struct anyio_address *addresses;
	char text[64], host[NI_MAXHOST], service[NI_MAXSERV];
	size_t count;
	int rc = anyio_getaddrinfo("localhost", 8080, AF_INET, &addresses, &count);

	if (rc < 0)
		return rc;
	anyio_address_format(&addresses[0], text, sizeof text);
	printf("localhost is %s\n", text);
	rc = anyio_getnameinfo(&addresses[0], host, sizeof host, service, sizeof service,
		NI_NUMERICHOST | NI_NUMERICSERV); /* without flags: names */
	if (rc == 0)
		printf("host %s, port %s\n", host, service);
	free(addresses);
	rc = anyio_getaddrinfo("no-such-host.invalid", 80, AF_UNSPEC, &addresses, &count);
	if (rc == 0)
		free(addresses);
	printf("no-such-host.invalid: %s\n", rc < 0 ? "not found" : "found");
	return 0;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "net_names: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * localhost is 127.0.0.1:8080
 * host 127.0.0.1, port 8080
 * no-such-host.invalid: not found
 */
