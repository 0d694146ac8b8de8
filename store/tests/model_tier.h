/* The tier that a model moves leaves to and fro with (model_tier.c). */
#ifndef STORE_TESTS_MODEL_TIER_H
#define STORE_TESTS_MODEL_TIER_H

#include "model.h"

extern uint64_t met_demoted, met_promoted, met_removed;

/* Throws all objects away; how many there are. */
void model_tier_reset(void);
int model_tier_count(void);
/* Inverts a bit of one of them: 1, or 0 when there is none. */
int model_tier_rot(struct model *model);
/* Gives the model's store its verbs. */
int model_tier_attach(struct model *model);
/* A task that moves some leaves now and then, until the model crashes. */
int model_tier_move(void *model);
/* store_tier_tend, until it gets through. */
int model_tier_tend(struct model *model);

#endif
