/* index: how much is rendered for searches, and making it anew. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/rd.h"
#include "bastionctl/view.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/file.h"
#include "lib/proc.h"

static int
index_print(struct cmd_ctx *c, struct rd *rd)
{
	char text[32], file[32];
	struct rd_msg m;
	int r = rd_next(rd, &m);

	if (r != 0 || m.type != RD_ITEM)
		return rd_end(rd, r != 0 ? r : ERR_FORMAT);
	if (c->json)
		return view_json_document(m.json);
	printf("%" PRIu64 " of %" PRIu64 " sessions that have ended are in the index",
	    json_u64(json_get(m.json, "indexed"), 0), json_u64(json_get(m.json, "ended"), 0));
	printf("; %" PRIu64 " run, %" PRIu64 " are sealed, %" PRIu64 " were erased\n",
	    json_u64(json_get(m.json, "running"), 0), json_u64(json_get(m.json, "sealed"), 0),
	    json_u64(json_get(m.json, "erased"), 0));
	printf("text: %s, file: %s\n",
	    view_size(text, sizeof(text), json_u64(json_get(m.json, "text_bytes"), 0)),
	    view_size(file, sizeof(file), json_u64(json_get(m.json, "bytes"), 0)));
	return CMD_YES;
}

static int
index_status_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *ask[] = { "index", NULL };
	struct rd_place place;
	struct rd *rd = NULL;
	int code;

	(void)n_args;
	(void)args;
	if ((code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES)
		code = index_print(c, rd);
	rd_close(rd);
	return code;
}

/* An indexer of our own for a copy, as long as it takes. */
/* As the one whose the store is: a bastiond may go on with it. */
static int
index_run_once(const struct rd_place *place)
{
	const char *argv[] = { "--store", ".", "--once", "--rebuild", NULL };
	struct proc_spec spec = { .name = "bastiond-indexer", .argv = argv };
	struct pollfd end = { .events = POLLIN, .fd = -1 };
	int exec_fd = -1, status = -1, r;
	char dir[PATH_MAX];
	struct stat st;
	pid_t pid;

	if (chdir(place->store) != 0 || stat(".", &st) != 0)
		return cmd_fail(CMD_UNSURE, "%s: %s", place->store, strerror(errno));
	spec.uid = st.st_uid;
	spec.gid = st.st_gid;
	if ((r = proc_libexec_dir(dir, sizeof(dir))) != 0 ||
	    (r = proc_open(dir, "bastiond-indexer", &exec_fd)) != 0)
		return cmd_fail(CMD_UNSURE, "%s/bastiond-indexer: %s: is bastiond installed whole?",
		    dir, err_str(r));
	spec.exec_fd = exec_fd;
	r = proc_spawn(&spec, &pid, &end.fd);
	fd_close(&exec_fd);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "cannot start bastiond-indexer: %s", err_str(r));
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	r = proc_collect(pid, &status);
	fd_close(&end.fd);
	if (r != 0 || status != 0)
		return cmd_fail(CMD_UNSURE, "%s: the index could not be made anew", place->store);
	return CMD_YES;
}

static int
index_rebuild_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct rd_place place;
	int code;

	(void)n_args;
	(void)args;
	if ((code = rd_find(c, &place)) != CMD_YES)
		return code;
	if (place.copy)
		return index_run_once(&place);
	if ((code = ctl_connect_or_say(c)) != CMD_YES)
		return code;
	return ctl_command(c->broker_fd, CTL_INDEX, NULL, 0, NULL);
}

static const struct cmd_opt index_opts[] = {
	{ "--store", 0, "DIR", "of this copy of a store instead of the running bastion's" },
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_index_status = { "index", "status", "", "how much is rendered for searches",
	CMD_NOTHING, 0, 0, index_opts, index_status_run };

const struct cmd cmd_index_rebuild = { "index", "rebuild", "", "render it all anew", CMD_NOTHING, 0,
	0, index_opts, index_rebuild_run };
