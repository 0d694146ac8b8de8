/* The version of the library, MAJOR.MINOR.PATCH. While MAJOR is 0 a new MINOR may change any call. */
#ifndef ANYIO_VERSION_H
#define ANYIO_VERSION_H

#include <anyio/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version these headers are of. */
#define ANYIO_VERSION "0.1.0"

/* The version of the library that runs, which a shared one may have of its own. Static storage; any
 * thread. */
ANYIO_API const char *anyio_version(void);

#ifdef __cplusplus
}
#endif
#endif
