#include "doc.h"

#include <errno.h>
#include <string.h>

int doc_compare_bytes(const struct ipld_node *a, const struct ipld_node *b)
{
	uint32_t shorter = a->len < b->len ? a->len : b->len;
	int diff = shorter ? memcmp(a->data, b->data, shorter) : 0;

	return diff ? diff : (a->len > b->len) - (a->len < b->len);
}

static int compare(const struct ipld_doc *doc, ipld_ref a, ipld_ref b, enum doc_order order)
{
	const struct ipld_node *x = &doc->nodes[a], *y = &doc->nodes[b];

	if (order == DOC_ORDER_CBOR && x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return doc_compare_bytes(x, y);
}

static ipld_ref merge(struct ipld_doc *doc, ipld_ref a, ipld_ref b, enum doc_order order)
{
	ipld_ref head = IPLD_NONE, *tail = &head;

	while (a != IPLD_NONE && b != IPLD_NONE) {
		ipld_ref *smaller = compare(doc, b, a, order) < 0 ? &b : &a;

		*tail = *smaller;
		tail = &doc->nodes[*smaller].next;
		*smaller = *tail;
	}
	*tail = a != IPLD_NONE ? a : b;
	return head;
}

/* Sorts one chain from the bottom up: run[i] holds a sorted chain of 2^i nodes, or nothing. */
static ipld_ref sort_chain(struct ipld_doc *doc, ipld_ref head, enum doc_order order)
{
	ipld_ref run[32];
	unsigned used = 0;

	while (head != IPLD_NONE) {
		ipld_ref carry = head;
		unsigned i = 0;

		head = doc->nodes[head].next;
		doc->nodes[carry].next = IPLD_NONE;
		while (i < used && run[i] != IPLD_NONE) {
			carry = merge(doc, run[i], carry, order);
			run[i++] = IPLD_NONE;
		}
		run[i] = carry;
		if (i == used)
			used++;
	}
	ipld_ref sorted = IPLD_NONE;
	for (unsigned i = 0; i < used; i++)
		sorted = merge(doc, run[i], sorted, order);
	return sorted;
}

int doc_sort_maps(struct ipld_doc *doc, enum doc_order order)
{
	struct ipld_node *nodes = doc->nodes;

	if (doc->order == order)
		return 0;
	for (ipld_ref i = 0; i < doc->count; i++) {
		if (nodes[i].kind != IPLD_MAP)
			continue;
		nodes[i].first = sort_chain(doc, nodes[i].first, order);
		for (ipld_ref k = nodes[i].first; k != IPLD_NONE; k = nodes[k].next) {
			if (nodes[k].next != IPLD_NONE && !compare(doc, k, nodes[k].next, order))
				return -EBADMSG;
		}
	}
	doc->order = order;
	return 0;
}

static bool is_open(const struct ipld_node *node)
{
	return node->kind == IPLD_LIST || node->kind == IPLD_MAP;
}

/* Leaves at: its next sibling, or the closing of its parent. The value of a key has the key's
 * sibling. */
static bool leave(struct doc_walk *w)
{
	const struct ipld_node *nodes = w->doc->nodes;

	if (!w->depth)
		return false;
	ipld_ref parent = w->open[w->depth - 1];
	ipld_ref link = nodes[parent].kind == IPLD_MAP ? w->at - 1 : w->at;
	w->first = false;
	w->closing = nodes[link].next == IPLD_NONE;
	if (w->closing)
		w->depth--;
	w->at = w->closing ? parent : nodes[link].next;
	return true;
}

bool doc_walk_next(struct doc_walk *w)
{
	const struct ipld_node *node;

	if (!w->started) {
		w->started = true;
		w->at = 0;
		return w->doc->count > 0;
	}
	node = &w->doc->nodes[w->at];
	if (!w->closing && node->kind == IPLD_KEY) {
		w->at++;
		return true;
	}
	if (!w->closing && is_open(node)) {
		w->first = true;
		w->closing = node->first == IPLD_NONE;
		if (!w->closing) {
			w->open[w->depth++] = w->at;
			w->at = node->first;
		}
		return true;
	}
	return leave(w);
}
