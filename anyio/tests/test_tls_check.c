/* The stream contract over TLS. */
#include "secured.h"
#include <anyio/testing.h>

struct making {
	enum anyio_tls_version version;
	bool tcp;
	struct secured secured;
};

static int make_secured(void *arg, struct anyio_stream *ends[2])
{
	struct making *self = arg;
	struct secured *secured = &self->secured;
	context_options options = { .max_version = self->version };

	*secured = (struct secured){ .client_rc = 1, .server_rc = 1 };
	if (self->tcp)
		connect_pair(secured->raw);
	else
		CHECK_RC(anyio_stream_pair(0, secured->raw), 0);
	secure_over(secured, client_make(options), server_make(&certificates.server, options),
		(struct anyio_tls_options){ .server_name = NULL });
	shake(secured);
	CHECK_RC(secured->client_rc, 0);
	CHECK_RC(secured->server_rc, 0);
	ends[0] = secured->client;
	ends[1] = secured->server;
	return 0;
}

/* An end is sent, or it is none; and what was cut off in the middle cannot go on (rule 10). */
static void contract(struct making making)
{
	struct anyio_stream_maker maker = {
		.make = make_secured,
		.arg = &making,
		.closed_is = ANYIO_TLS_RAGGED_END,
		.cut_breaks = true,
	};
	int rc = anyio_check_half_closeable_stream(&maker);

	if (rc != 0)
		conformance_fail(__FILE__, __LINE__, "%s, %s", anyio_error_name(rc), maker.failure);
}

static int contract_of_tls_1_3(void *arg)
{
	static unsigned runs;

	if (not_this_seed(&runs))
		return 0;
	contract((struct making){ .version = ANYIO_TLS_VERSION_1_3 });
	return 0;
}

static int contract_of_tls_1_2_over_tcp(void *arg)
{
	static unsigned runs;

	if (not_this_seed(&runs))
		return 0;
	contract((struct making){ .version = ANYIO_TLS_VERSION_1_2, .tcp = true });
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(contract_of_tls_1_3, CONFORM_MOCK),
		CONFORM(contract_of_tls_1_2_over_tcp, 0),
	};
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
