/* Ports for tests. */
#include "sockets.h"
#include <anyio/testing.h>

static int free_ports_are_free_and_never_the_same(void *arg)
{
	enum { PORTS = 20 };
	uint16_t ports[PORTS];

	for (int i = 0; i < PORTS; i++) {
		struct anyio_address address;
		struct anyio_listener *listener;
		struct anyio_datagram *datagram;

		CHECK_RC(anyio_free_port(i % 2 ? SOCK_DGRAM : SOCK_STREAM, &ports[i]), 0);
		CHECK(ports[i] != 0);
		for (int j = 0; j < i; j++)
			CHECK(ports[j] != ports[i]);
		CHECK_RC(anyio_address_parse(&address, "127.0.0.1", ports[i]), 0);
		if (i % 2) {
			CHECK_RC(anyio_datagram_bind(&address, NULL, &datagram), 0);
			anyio_datagram_free(datagram);
		} else {
			CHECK_RC(anyio_listen_address(&address, NULL, &listener), 0);
			anyio_listener_free(listener);
		}
	}
	CHECK_RC(anyio_free_port(SOCK_RAW, ports), -EINVAL);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 1, -EMFILE);
	CHECK_RC(anyio_free_port(SOCK_STREAM, ports), -EMFILE);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 2, -EACCES);
	CHECK_RC(anyio_free_port(SOCK_STREAM, ports), -EACCES);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(free_ports_are_free_and_never_the_same, 0),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
