/* The words by which audit events say why somebody was refused, in sentences for people. */
#ifndef BASTION_REASONS_H
#define BASTION_REASONS_H

struct reason {
	const char *word;
	const char *meaning; /* what it was */
	const char *next;    /* what to do about it; NULL: nothing */
};

/* Static. NULL: not one of the words. */
const struct reason *reason_find(const char *word);

#endif
