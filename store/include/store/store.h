/* The block store: everything. Start with store/repo.h, then store/block.h. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <store/adopt.h>
#include <store/block.h>
#include <store/collect.h>
#include <store/gate.h>
#include <store/heat.h>
#include <store/pin.h>
#include <store/repo.h>
#include <store/state.h>
#include <store/tier.h>
#include <store/verify.h>
#include <store/wal.h>

#endif
