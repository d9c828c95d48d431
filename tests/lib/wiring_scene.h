/*
 * How tests of the wiring begin and end: one rig for the test that runs, the last message that was taken, and the first steps
 * of a life that most of them share.
 */
#ifndef BASTION_TEST_WIRING_SCENE_H
#define BASTION_TEST_WIRING_SCENE_H

#include "tests/lib/wiring_rig.h"

#define SCENE_SOURCE "192.0.2.1"

extern struct rig rig;
extern struct rig_msg msg;

/* For cmocka: a rig in which nothing has started; its end fails a test that leaves a descriptor open. */
int scene_open(void **state);
int scene_close(void **state);

/* The broker's edge of the newest living one of that name, which there must be. */
int edge(const char *name);

/* All three are started, and somebody is in. Returns the connection. */
uint32_t scene_login(void);
/* And has leg 1, about which the recorder is being asked. */
uint32_t scene_grant(void);
/* And the leg is open. */
uint32_t scene_leg(void);

#endif
