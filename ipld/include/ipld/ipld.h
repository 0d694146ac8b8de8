/* Everything in ipld. */
#ifndef IPLD_IPLD_H
#define IPLD_IPLD_H

#include <ipld/block.h>
#include <ipld/car.h>
#include <ipld/dag_cbor.h>
#include <ipld/dag_json.h>
#include <ipld/dag_pb.h>
#include <ipld/doc.h>
#include <ipld/links.h>
#include <ipld/token.h>
#include <ipld/unixfs.h>
#include <ipld/unixfs_build.h>
#include <ipld/unixfs_dir.h>
#include <ipld/unixfs_profile.h>
#include <ipld/unixfs_read.h>

#endif
