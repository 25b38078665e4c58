# SPDX-License-Identifier: MIT

# IPCK_TRY_CFLAG(FLAG, [IF-NOT])
# Adds FLAG to IPCK_CFLAGS if the compiler takes it.  -Wno-X is tried as -WX,
# because compilers take unknown -Wno- flags in silence.
AC_DEFUN([IPCK_TRY_CFLAG], [
AS_VAR_PUSHDEF([ok], [ipck_cv_cflag_$1])dnl
AC_CACHE_CHECK([whether $CC takes $1], [ok], [
  ipck_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror m4_bpatsubst([$1], [^-Wno-], [-W])"
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([[extern int ipck_probe;]])],
    [AS_VAR_SET([ok], [yes])], [AS_VAR_SET([ok], [no])])
  CFLAGS=$ipck_save_CFLAGS])
AS_VAR_IF([ok], [yes], [AS_VAR_APPEND([IPCK_CFLAGS], [" $1"])], [$2])
AS_VAR_POPDEF([ok])dnl
])

# IPCK_REQUIRE_CFLAG(FLAG)
AC_DEFUN([IPCK_REQUIRE_CFLAG], [
IPCK_TRY_CFLAG([$1], [AC_MSG_ERROR([$CC does not take $1])])
])

# IPCK_SANITIZE(LIST)
# Compiles and links everything with -fsanitize=LIST.
AC_DEFUN([IPCK_SANITIZE], [
AC_MSG_CHECKING([whether -fsanitize=$1 links])
ipck_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -fsanitize=$1"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([$CC cannot build with -fsanitize=$1])])
CFLAGS=$ipck_save_CFLAGS
AS_VAR_APPEND([IPCK_CFLAGS], [" -fsanitize=$1 -fno-sanitize-recover=all -fno-omit-frame-pointer"])
AS_VAR_APPEND([IPCK_LDFLAGS], [" -fsanitize=$1"])
])

# IPCK_CHECK_CODE(NAME, MACRO, PROLOGUE, BODY)
# Defines MACRO if the code compiles.
AC_DEFUN([IPCK_CHECK_CODE], [
AC_CACHE_CHECK([for $1], [ipck_cv_$1], [
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([$3], [$4])],
    [ipck_cv_$1=yes], [ipck_cv_$1=no])])
AS_IF([test $ipck_cv_$1 = yes], [
  AC_DEFINE([$2], [1], [Define to 1 if you have $1.])])
])
