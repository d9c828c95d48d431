/* store: how full the store of recordings is, and giving back what is free inside its file. */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/out.h"
#include "bastionctl/rd.h"
#include "bastionctl/view.h"
#include "lib/file.h"
#include "lib/proc.h"

static void
store_line(const char *title, const struct json_node *j, const char *key, const char *more)
{
	char size[32];

	printf("%-12s %s%s\n", title, view_size(size, sizeof(size), json_u64(json_get(j, key), 0)),
	    more);
}

static int
store_print(const struct json_node *j)
{
	const char *oldest = json_str(json_get(j, "oldest"), "");
	char local[OUT_TIME_SIZE];

	store_line("file", j, "file_bytes", "");
	store_line("used", j, "used_bytes", "");
	store_line("free inside", j, "free_bytes", ", used again before the file grows");
	store_line("recordings", j, "kept_bytes", ", what recording.retain.space counts");
	store_line("disk free", j, "disk_free", "");
	printf("%-12s %" PRIu64 ", of these held %" PRIu64 ", erased %" PRIu64 "\n", "sessions",
	    json_u64(json_get(j, "sessions"), 0), json_u64(json_get(j, "held"), 0),
	    json_u64(json_get(j, "erased"), 0));
	printf("%-12s %s\n", "oldest",
	    oldest[0] != '\0' ? view_time(local, sizeof(local), oldest) : "none");
	return CMD_YES;
}

static int
store_status_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	static const char *const ask[] = { "space", NULL };
	struct rd_place place;
	struct rd *rd = NULL;
	struct rd_msg m;
	int code, r;

	(void)n_args;
	(void)args;
	if ((code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_PROOF, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES) {
		if ((r = rd_next(rd, &m)) != 0)
			code = rd_end(rd, r);
		else
			code = c->json ? view_json_document(m.json) : store_print(m.json);
	}
	rd_close(rd);
	return code;
}

static const struct cmd_opt store_status_opts[] = {
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_store_status = { "store", "status", "", "how full the store of recordings is",
	CMD_NOTHING, 0, 0, store_status_opts, store_status_run };

/* Its exit code, which is bastionctl's; it says everything else itself. */
static int
compact_wait(pid_t pid, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status = 0, r;

	while ((r = poll(&p, 1, -1)) < 0 && errno == EINTR)
		;
	if (r < 0 || proc_collect(pid, &status) != 0 || !WIFEXITED(status))
		return cmd_fail(CMD_UNSURE, "bastiond-compact did not finish: the store is what it "
					    "was: try again");
	return WEXITSTATUS(status) == 0 ? CMD_YES : CMD_UNSURE;
}

/* As the one whose the store is, and from its state directory: the folders above need not let that uid in. */
static int
compact_run(const char *state)
{
	const char *argv[] = { "recorder", NULL };
	struct proc_spec spec = { .name = "bastiond-compact", .argv = argv };
	char dir[PATH_MAX];
	int exec_fd = -1, pidfd = -1, r;
	struct stat st;
	pid_t pid;

	if (chdir(state) != 0 || stat("recorder", &st) != 0)
		return cmd_fail(CMD_UNSURE, "%s/recorder: %s", state, strerror(errno));
	spec.uid = st.st_uid;
	spec.gid = st.st_gid;
	if ((r = proc_libexec_dir(dir, sizeof(dir))) != 0 ||
	    (r = proc_open(dir, "bastiond-compact", &exec_fd)) != 0)
		return cmd_fail(
		    CMD_UNSURE, "bastiond-compact: %s: is bastiond installed whole?", err_str(r));
	spec.exec_fd = exec_fd;
	r = proc_spawn(&spec, &pid, &pidfd);
	fd_close(&exec_fd);
	if (r != 0)
		return cmd_fail(CMD_UNSURE, "cannot start bastiond-compact: %s", err_str(r));
	r = compact_wait(pid, pidfd);
	fd_close(&pidfd);
	return r;
}

static int
store_compact_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	int fd = -1;

	(void)n_args;
	(void)args;
	if (ctl_connect(c->state, &fd) == 0) {
		fd_close(&fd);
		return cmd_fail(
		    CMD_NO, "bastiond runs: stop it first, then compact, then start it");
	}
	return compact_run(c->state);
}

const struct cmd cmd_store_compact = { "store", "compact", "",
	"give back what is free inside the store's file", CMD_CONFIG, 0, 0, NULL,
	store_compact_run };
