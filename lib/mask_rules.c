/* The table of rules that are known by name. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/mask_rules.h"

/* A word of a command line, in quotes or not. */
#define WORD "(?:'[^'\\r\\n]{1,256}'|\"[^\"\\r\\n]{1,256}\"|[^\\s'\";|&]{1,256})"
/* A value that is written out: no variable, no placeholder, no call. */
#define VALUE "(?![$<{%*(\\[])[^\\s\"'&;,()<>]{1,256}+(?!\\()"
/*
 * The lines of a key: all but the last are long words, so that not everything behind the words BEGIN PRIVATE KEY is taken for
 * one, which would be a way to keep commands and their output out of the record. Newlines can be written out as \n; a margin
 * is what cat -n, grep -n or diff put before a line.
 */
#define GAP "(?:\\s|\\\\[nrt]){0,64}+"
#define MARGIN "(?:[0-9]{1,6}[:\\t ] ?|[-+>|] ?)?"
#define KEY_CHAR "[A-Za-z0-9+/=]"

static const struct mask_rule rules[] = {
	{ "private-key",
	    "-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----\\K"
	    "(?:" GAP "(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash): "
	    "[^\\r\\n\\\\]{1,80}){0,4}+"
	    "(?:" GAP MARGIN KEY_CHAR "{40,}+)*+"
	    "(?:" GAP MARGIN KEY_CHAR "{1,39}+)?+"
	    "(?:" GAP MARGIN "=[A-Za-z0-9+/]{0,4}+)?+" GAP,
	    "-----BEGIN" },
	{ "aws-access-key", "(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
	    "AKIA ASIA ABIA ACCA" },
	{ "aws-secret",
	    "(?i)aws.{0,20}?(?:secret|private).{0,24}?[=:]\\s{0,4}[\"']?\\K[A-Za-z0-9/+]{40}"
	    "(?![A-Za-z0-9/+=])",
	    "aws" },
	{ "github-token",
	    "(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
	    "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_" },
	{ "gitlab-token",
	    "(?<![A-Za-z0-9_])gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_-]{20,255}",
	    "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent- gloas-" },
	{ "slack-token",
	    "(?<![A-Za-z0-9_])xox[abeoprs]-[A-Za-z0-9-]{10,255}|"
	    "https://hooks\\.slack\\.com/services/\\K[A-Za-z0-9/]{20,255}",
	    "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- https://hooks.slack" },
	{ "jwt",
	    "(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,4096}\\.eyJ[A-Za-z0-9_-]{10,8192}\\."
	    "[A-Za-z0-9_-]{10,4096}",
	    "eyJ" },
	{ "authorization",
	    "(?i)(?<![a-z])authorization[\"']?\\s{0,4}[:=]\\s{0,4}[\"']?(?:bearer|"
	    "basic|token)\\s{1,4}\\K"
	    "[A-Za-z0-9+/=._~-]{4,4096}",
	    "authorization" },
	{ "url-password",
	    "://[^\\s/"
	    ":@\"'<>]{0,128}:\\K[^\\s/@\"'<>]{1,256}"
	    "(?=@)",
	    "://" },
	{ "assignment",
	    "(?i)(?:password|passwd|passphrase|secret|secret[_-]?key|api[_-]?key|access[_-]?token|"
	    "auth[_-]?token)[\"']?[ \\t]{0,2}(?:=[ "
	    "\\t]{0,2}(?:[\"']\\K(?![$<{%])[^\"'\\r\\n]{1,256}|\\K" VALUE ")|:[ "
	    "\\t]{0,2}(?:[\"']\\K(?![$<{%])[^\"'\\r\\n]{1,256}|\\K(?=[^\\s\"']{0,63}[0-9])[^\\s\"',"
	    ";()]"
	    "{8,256}))",
	    "password passwd passphrase secret apikey api_ api- accesst access_ access- autht "
	    "auth_ auth-" },
	{ "command-password",
	    "\\b(?:mysql|mariadb)[a-z-]{0,16}\\b[^\\r\\n|;&]{0,200}?\\s-p\\K" WORD
	    "|\\bsshpass\\s{1,4}-p\\s{0,4}\\K" WORD
	    "|\\bcurl\\b[^\\r\\n|;&]{0,200}?\\s(?:-u|--user)[= ]?[\"']?[^\\s:\"']{1,64}:\\K"
	    "[^\\s\"']{1,256}",
	    "mysql mariadb sshpass curl" },
};

const struct mask_rule *
mask_rules_defaults(size_t *ret_n)
{
	*ret_n = sizeof(rules) / sizeof(rules[0]);
	return rules;
}

int
mask_rules_hash(const struct mask_rule *v, size_t n, uint8_t ret_hash[HASH_LEN])
{
	struct hash *h = hash_new();

	if (h == NULL)
		return -ENOMEM;
	hash_begin(h);
	for (size_t i = 0; i < n; i++) {
		hash_add(h, v[i].name, strlen(v[i].name) + 1);
		hash_add(h, v[i].text, strlen(v[i].text));
		hash_add(h, "\n", 1);
	}
	hash_end(h, ret_hash);
	hash_free(h);
	return 0;
}
