/* Compiler attributes, the one thing C needs macros for. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#if defined(__GNUC__) || defined(__clang__)
#define MUST_USE __attribute__((warn_unused_result))
#if defined(__MINGW32__)
#define PRINTF_LIKE(at, first) __attribute__((format(gnu_printf, at, first)))
#else
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#endif
#define UNUSED __attribute__((unused))
#define NO_RETURN __attribute__((noreturn))
#else
#define MUST_USE
#define PRINTF_LIKE(at, first)
#define UNUSED
#define NO_RETURN
#endif

#endif
