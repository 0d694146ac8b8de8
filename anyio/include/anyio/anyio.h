/* Everything. */
#ifndef ANYIO_ANYIO_H
#define ANYIO_ANYIO_H

#include <anyio/attribute.h>
#include <anyio/cancel.h>
#include <anyio/channel.h>
#include <anyio/choose.h>
#include <anyio/datagram.h>
#include <anyio/error.h>
#include <anyio/file.h>
#include <anyio/host.h>
#include <anyio/instrument.h>
#include <anyio/local.h>
#include <anyio/memory.h>
#include <anyio/net.h>
#include <anyio/plain.h>
#include <anyio/portal.h>
#include <anyio/process.h>
#include <anyio/reader.h>
#include <anyio/run.h>
#include <anyio/serve.h>
#include <anyio/service.h>
#include <anyio/signal.h>
#include <anyio/stream.h>
#include <anyio/sync.h>
#include <anyio/task.h>
#include <anyio/testing.h>
#include <anyio/text.h>
#include <anyio/thread.h>
#include <anyio/tree.h>
#include <anyio/version.h>
#if __has_include(<anyio/tls.h>) /* a library of its own, libanyio-tls */
#include <anyio/tls.h>
#endif

#endif
