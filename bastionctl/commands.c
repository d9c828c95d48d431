/* The table of all commands: one line each, in the order of help. */
#include "config.h"

#include "bastionctl/cmd.h"

const struct cmd *const cmd_table[] = {
	&cmd_init,
	&cmd_status,
	&cmd_hosts_list,
	&cmd_hosts_add,
	&cmd_hosts_scan,
	&cmd_hosts_pin,
	&cmd_hosts_ca,
	&cmd_hosts_known,
	&cmd_keys_list,
	&cmd_keys_generate,
	&cmd_keys_import,
	&cmd_keys_public,
	&cmd_keys_rotate,
	&cmd_keys_remove,
	&cmd_keys_unlock,
	&cmd_policy_check,
	&cmd_policy_explain,
	&cmd_sessions_list,
	&cmd_sessions_show,
	&cmd_sessions_kill,
	&cmd_play,
	&cmd_export,
	&cmd_verify,
	&cmd_checkpoint,
	&cmd_log,
	&cmd_help,
	NULL,
};
