/* The engines that need nothing but what the project is built with. */
#ifndef BENCH_STORE_ENGINES_H
#define BENCH_STORE_ENGINES_H

#include "work.h"

extern const struct engine engine_ours, engine_cached; /* ours.c */
extern const struct engine engine_lmdb;                /* lmdb.c */
extern const struct engine engine_flat, engine_loose;  /* flat.c */
extern const struct engine engine_file, engine_direct; /* file.c */

#endif
