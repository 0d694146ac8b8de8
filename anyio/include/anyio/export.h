#ifndef ANYIO_EXPORT_H
#define ANYIO_EXPORT_H

#define ANYIO_API __attribute__((visibility("default")))

#endif
