# What configure asks for bastiond: switches, libraries, compiler flags, features of the system.

# BASTION_TRY_FLAGS(VARIABLE, FLAGS): append each of FLAGS that the compiler takes without a word.
AC_DEFUN([BASTION_TRY_FLAGS], [
  for bastion_flag in $2; do
    AC_MSG_CHECKING([whether $CC takes $bastion_flag])
    bastion_save="$CFLAGS"
    CFLAGS="$CFLAGS -Werror $bastion_flag"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("x");]])],
      [AC_MSG_RESULT([yes]); $1="$$1 $bastion_flag"], [AC_MSG_RESULT([no])])
    CFLAGS="$bastion_save"
  done
])

AC_DEFUN([BASTION_SWITCHES], [
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [make every warning an error (for developers)])],
    [bastion_werror=$enableval], [bastion_werror=no])
  AC_ARG_ENABLE([sanitizer],
    [AS_HELP_STRING([--enable-sanitizer=LIST], [build with these sanitizers, e.g. address,undefined; no seccomp])],
    [bastion_sanitizer=$enableval], [bastion_sanitizer=])
  AS_CASE([$bastion_sanitizer], [yes], [bastion_sanitizer=address,undefined], [no], [bastion_sanitizer=])
  AC_ARG_ENABLE([fuzz],
    [AS_HELP_STRING([--enable-fuzz], [link the fuzz targets with libFuzzer and sanitizers (needs clang)])],
    [bastion_fuzz=$enableval], [bastion_fuzz=no])
  AC_ARG_ENABLE([coverage],
    [AS_HELP_STRING([--enable-coverage], [instrument for gcov])],
    [bastion_coverage=$enableval], [bastion_coverage=no])
  AS_IF([test "x$bastion_fuzz" = xyes && test -z "$bastion_sanitizer"],
    [bastion_sanitizer=address,undefined])
  AM_CONDITIONAL([FUZZ], [test "x$bastion_fuzz" = xyes])
  AS_IF([test -n "$bastion_sanitizer"],
    [AC_DEFINE([WITH_SANITIZER], [1], [a sanitizer is linked in: seccomp would kill it])])
  AM_CONDITIONAL([SANITIZER], [test -n "$bastion_sanitizer"])
])

AC_DEFUN([BASTION_LIBRARIES], [
  PKG_CHECK_MODULES([CRYPTO], [libcrypto >= 3.0])
  PKG_CHECK_MODULES([SODIUM], [libsodium >= 1.0.18])
  PKG_CHECK_MODULES([ZSTD], [libzstd >= 1.4])
  PKG_CHECK_MODULES([YAML], [yaml-0.1 >= 0.2])
  PKG_CHECK_MODULES([JANSSON], [jansson >= 2.13])
  PKG_CHECK_MODULES([SECCOMP], [libseccomp >= 2.5])
  PKG_CHECK_MODULES([VTERM], [vterm >= 0.1.4])
  PKG_CHECK_MODULES([PCRE2], [libpcre2-8 >= 10.40])
  PKG_CHECK_MODULES([CMOCKA], [cmocka >= 1.1.5], [bastion_cmocka=yes], [bastion_cmocka=no])
  AM_CONDITIONAL([CMOCKA], [test "x$bastion_cmocka" = xyes])
  AC_CHECK_HEADER([lmdb.h], [], [AC_MSG_ERROR([lmdb.h not found: install liblmdb-dev])])
  AC_CHECK_LIB([lmdb], [mdb_env_create], [AC_SUBST([LMDB_LIBS], [-llmdb])],
    [AC_MSG_ERROR([liblmdb not found: install liblmdb-dev])])
])

# pam_bastion_oidc.so, and where PAM looks for modules.
AC_DEFUN([BASTION_OIDC], [
  AC_ARG_WITH([oidc],
    [AS_HELP_STRING([--without-oidc], [do not build pam_bastion_oidc.so (which needs libcurl and libqrencode)])],
    [bastion_oidc=$withval], [bastion_oidc="${with_pam-yes}"])
  AC_ARG_WITH([pamdir],
    [AS_HELP_STRING([--with-pamdir=DIR], [where PAM modules are installed @<:@LIBDIR/security@:>@])],
    [pamdir=$withval], [pamdir='${libdir}/security'])
  AC_SUBST([pamdir])
  AS_IF([test "x$bastion_oidc" != xno], [
    PKG_CHECK_MODULES([CURL], [libcurl >= 7.85])
    PKG_CHECK_MODULES([QRENCODE], [libqrencode >= 4.0])
    AC_CHECK_HEADER([security/pam_modules.h], [], [AC_MSG_ERROR([security/pam_modules.h not found: install libpam0g-dev])])
    AC_CHECK_LIB([pam], [pam_syslog], [AC_SUBST([PAM_LIBS], [-lpam])],
      [AC_MSG_ERROR([libpam not found: install libpam0g-dev])])
  ])
  AM_CONDITIONAL([OIDC], [test "x$bastion_oidc" != xno])
  AS_IF([test "x$bastion_oidc" != xno], [bastion_url=1], [bastion_url=0])
  AC_DEFINE_UNQUOTED([PUSH_HAS_URL], [$bastion_url], [bastiond-push has libcurl])
])

# The wire stands before functions inside libssh; only a static libssh lets it.
AC_DEFUN([BASTION_LIBSSH], [
  PKG_CHECK_MODULES([LIBSSH], [libssh >= 0.10.6])
  AC_ARG_VAR([LIBSSH_ARCHIVE], [path of libssh.a, where pkg-config's libdir has none])
  AS_IF([test -z "$LIBSSH_ARCHIVE"],
    [LIBSSH_ARCHIVE="`$PKG_CONFIG --variable=libdir libssh`/libssh.a"])
  AC_MSG_CHECKING([for the static libssh])
  AS_IF([test -r "$LIBSSH_ARCHIVE"], [bastion_libssh="$LIBSSH_ARCHIVE (static)"],
    [AC_MSG_ERROR([$LIBSSH_ARCHIVE not found. bastiond needs the static libssh (Debian: libssh-dev):
    with a shared one the host key could not stay in the vault, terminal modes, break and unknown requests
    would be lost, and bad signatures would go unanswered.])])
  AC_MSG_RESULT([$LIBSSH_ARCHIVE])
  AC_SUBST([LIBSSH_ARCHIVE])
  AC_CHECK_TOOL([LD], [ld])
  AC_CHECK_TOOL([OBJCOPY], [objcopy])
])

# Without PAM there is no bastiond-auth: keys and certificates only.
AC_DEFUN([BASTION_PAM], [
  AC_ARG_WITH([pam],
    [AS_HELP_STRING([--without-pam], [no bastiond-auth: no passwords, one-time codes, OIDC; keys and certificates only])],
    [bastion_pam=$withval], [bastion_pam=yes])
  AS_IF([test "x$bastion_pam" != xno], [
    bastion_pam_save="$LIBS"
    AC_CHECK_HEADER([security/pam_appl.h], [], [bastion_pam=missing])
    AC_CHECK_LIB([pam], [pam_start], [AC_SUBST([PAM_LIBS], [-lpam])], [bastion_pam=missing])
    LIBS="$LIBS -lpam"
    AC_CHECK_FUNCS([pam_start_confdir])
    LIBS="$bastion_pam_save"
    AS_IF([test "x$bastion_pam" = xmissing],
      [AC_MSG_ERROR([libpam not found. Install libpam0g-dev (Debian), or say --without-pam: bastiond-auth is then not
    built, and nobody can log in by keyboard-interactive: no passwords, no one-time codes, no OIDC, no second factor.])])
    AS_IF([test "x$ac_cv_func_pam_start_confdir" = xyes], [bastion_pam=yes],
      [bastion_pam="yes, but without login.pam.confdir (libpam is older than 1.4)"])],
    [bastion_pam="no (keys and certificates only)"])
  AM_CONDITIONAL([PAM], [test "x$bastion_pam" != "xno (keys and certificates only)"])
])

AC_DEFUN([BASTION_FLAGS], [
  WARN_CFLAGS=
  BASTION_TRY_FLAGS([WARN_CFLAGS], [-Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
    -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla \
    -Wundef -Wswitch-enum])
  AS_IF([test "x$bastion_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])

  HARDEN_CFLAGS=
  HARDEN_LDFLAGS=
  # -O2 comes from CFLAGS; without it _FORTIFY_SOURCE would warn.
  AS_IF([test -z "$bastion_sanitizer" && test "x$bastion_coverage" != xyes],
    [BASTION_TRY_FLAGS([HARDEN_CFLAGS], [-fstack-protector-strong -fstack-clash-protection -fcf-protection \
      -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr -D_FORTIFY_SOURCE=3])])
  BASTION_TRY_FLAGS([HARDEN_CFLAGS], [-fno-strict-aliasing -fwrapv -fno-delete-null-pointer-checks -fPIE])
  BASTION_TRY_FLAGS([HARDEN_LDFLAGS], ["-pie" "-Wl,-z,relro" "-Wl,-z,now" "-Wl,-z,noexecstack" \
    "-Wl,-z,separate-code" "-Wl,--as-needed"])

  AS_IF([test -n "$bastion_sanitizer"], [
    HARDEN_CFLAGS="$HARDEN_CFLAGS -fsanitize=$bastion_sanitizer -fno-sanitize-recover=all -fno-omit-frame-pointer"
    HARDEN_LDFLAGS="$HARDEN_LDFLAGS -fsanitize=$bastion_sanitizer"])
  AS_IF([test "x$bastion_fuzz" = xyes], [
    FUZZ_CFLAGS="-fsanitize=fuzzer-no-link" FUZZ_LDFLAGS="-fsanitize=fuzzer"])
  AS_IF([test "x$bastion_coverage" = xyes], [
    HARDEN_CFLAGS="$HARDEN_CFLAGS --coverage -O0" HARDEN_LDFLAGS="$HARDEN_LDFLAGS --coverage"])
  # Sanitizers' symbols come from the program that loads a module.
  AS_IF([test -z "$bastion_sanitizer"], [MODULE_LDFLAGS=-Wl,-z,defs])
  AC_SUBST([MODULE_LDFLAGS])
  AC_SUBST([WARN_CFLAGS])
  AC_SUBST([HARDEN_CFLAGS])
  AC_SUBST([HARDEN_LDFLAGS])
  AC_SUBST([FUZZ_CFLAGS])
  AC_SUBST([FUZZ_LDFLAGS])
])

AC_DEFUN([BASTION_FEATURES], [
  AC_CHECK_HEADERS([linux/landlock.h sys/pidfd.h])
  AC_CHECK_FUNCS([close_range memfd_secret])
])
