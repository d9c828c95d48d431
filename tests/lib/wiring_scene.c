#include "config.h"

#include "tests/lib/wiring_scene.h"

struct rig rig;
struct rig_msg msg;

int
scene_open(void **state)
{
	(void)state;
	rig_open(&rig, NULL);
	return 0;
}

int
scene_close(void **state)
{
	(void)state;
	rig_msg_done(&msg);
	rig_close(&rig);
	return 0;
}

int
edge(const char *name)
{
	struct fake *f = rig_fake(&rig, name);

	assert_non_null(f);
	return f->fds[0];
}

uint32_t
scene_login(void)
{
	rig_start(&rig);
	return rig_login(&rig, SCENE_SOURCE);
}

uint32_t
scene_grant(void)
{
	uint32_t conn = scene_login();

	rig_grant(&rig, conn, 1);
	return conn;
}

uint32_t
scene_leg(void)
{
	uint32_t conn = scene_grant();

	rig_opened(&rig, 1);
	return conn;
}
