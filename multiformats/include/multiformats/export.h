#ifndef MULTIFORMATS_EXPORT_H
#define MULTIFORMATS_EXPORT_H

#define MF_API __attribute__((visibility("default")))

#endif
