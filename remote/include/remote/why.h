/*
 * What went wrong, for people: what happened, and what to do about it. No text holds a credential.
 */
#ifndef REMOTE_WHY_H
#define REMOTE_WHY_H

#ifdef __cplusplus
extern "C" {
#endif

/* One line each, without a full stop; hint may be empty. What a store said is in it as it came, but for control
 * characters. */
struct remote_why {
	char what[320];
	char hint[480];
};

#ifdef __cplusplus
}
#endif
#endif
