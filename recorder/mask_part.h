/* What tests of masks need of their inside. */
#ifndef BASTION_RECORDER_MASK_PART_H
#define BASTION_RECORDER_MASK_PART_H

#include "recorder/mask.h"

/* From now on patterns are tried everywhere, not only where rules begin: the plain way, which the fast one is compared with. */
void mask_search_plainly(struct mask_set *set);

#endif
