/* Everything. */
#ifndef LIBP2P_LIBP2P_H
#define LIBP2P_LIBP2P_H

#include <libp2p/host.h>
#include <libp2p/key.h>
#include <libp2p/perf.h>
#include <libp2p/ping.h>
#include <libp2p/resource.h>

#endif
