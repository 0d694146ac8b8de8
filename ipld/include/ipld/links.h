/*
 * The links of a block, whatever its codec: what walks of a graph need.
 */
#ifndef IPLD_LINKS_H
#define IPLD_LINKS_H

#include <multiformats/cid.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called for each link in the block's order; anything but 0 stops the enumeration. */
typedef int ipld_link_fn(void *arg, const struct mf_cid *cid);

/* Enumerates the links of a block of dag-pb, dag-cbor (keys in any order) or dag-json. Raw, CBOR,
 * JSON and unknown codecs have none. Returns 0; what fn returned; -EBADMSG for a malformed block
 * (links before the damage were reported); -EMSGSIZE when nested deeper than IPLD_DEPTH_MAX;
 * -ENOMEM. Any thread. */
int ipld_links(uint32_t codec, const void *data, size_t len, ipld_link_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
