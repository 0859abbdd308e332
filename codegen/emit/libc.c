// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A cross compiler often has no C library: code for RISC-V names what it uses itself.
#include "emit/libc.h"

#include <ctype.h>
#include <string.h>

/* %s: the name. Forms of prototypes. */
static const char real1[] = "double %s(double);\n", float1[] = "float %s(float);\n";
static const char real2[] = "double %s(double, double);\n", float2[] = "float %s(float, float);\n";

/* clang does these in place, but where it compiles for size: there would be calls of a library that
 * may not be there. To nearest even by adding 2^23, the others from that. */
static const char rounding[] =
    "#if defined(__OPTIMIZE_SIZE__)\n"
    "static inline float nib_small_rint(float x) {\n"
    "  const float places = __builtin_copysignf(8388608.0f, x);\n"
    "  return __builtin_fabsf(x) < 8388608.0f ? __builtin_copysignf(x + places - places, x) : x;\n"
    "}\n"
    "static inline float nib_small_floor(float x) {\n"
    "  const float y = nib_small_rint(x);\n  return y > x ? y - 1.0f : y;\n}\n"
    "static inline float nib_small_ceil(float x) {\n"
    "  const float y = nib_small_rint(x);\n"
    "  return y < x ? __builtin_copysignf(y + 1.0f, x) : y;\n}\n"
    "static inline float nib_small_round(float x) {\n"
    "  const float a = __builtin_fabsf(x), y = nib_small_floor(a);\n"
    "  return __builtin_copysignf(a - y >= 0.5f ? y + 1.0f : y, x);\n}\n"
    "#define rintf nib_small_rint\n#define floorf nib_small_floor\n#define ceilf nib_small_ceil\n"
    "#define roundf nib_small_round\n"
    "#else\nfloat rintf(float);\nfloat floorf(float);\nfloat ceilf(float);\nfloat roundf(float);\n"
    "#endif\n";

static const struct {
  const char *name, *form; /* NULL: `rounding` */
} rows[] = {
    {"memcpy", "void *%s(void *restrict, const void *restrict, size_t);\n"},
    {"memmove", "void *%s(void *, const void *, size_t);\n"},
    {"memset", "void *%s(void *, int, size_t);\n"},
    {"memcmp", "int %s(const void *, const void *, size_t);\n"},
    {"INFINITY", "#define %s __builtin_inff()\n"},
    {"NAN", "#define %s __builtin_nanf(\"\")\n"},
    {"isnan", "#define %s __builtin_isnan\n"},
    {"isinf", "#define %s __builtin_isinf\n"},
    {"isfinite", "#define %s __builtin_isfinite\n"},
    {"signbit", "#define %s __builtin_signbit\n"},
    {"fma", "double %s(double, double, double);\n"},
    {"fmaf", "float %s(float, float, float);\n"},
    {"frexp", "double %s(double, int *);\n"},
    {"frexpf", "float %s(float, int *);\n"},
    {"ilogb", "int %s(double);\n"},
    {"ilogbf", "int %s(float);\n"},
    {"ldexp", "double %s(double, int);\n"},
    {"ldexpf", "float %s(float, int);\n"},
    {"lrint", "long %s(double);\n"},
    {"lrintf", "long %s(float);\n"},
    {"lround", "long %s(double);\n"},
    {"lroundf", "long %s(float);\n"},
    {"acos", real1},
    {"acosf", float1},
    {"acosh", real1},
    {"acoshf", float1},
    {"asin", real1},
    {"asinf", float1},
    {"asinh", real1},
    {"asinhf", float1},
    {"atan", real1},
    {"atanf", float1},
    {"atanh", real1},
    {"atanhf", float1},
    {"cbrt", real1},
    {"cbrtf", float1},
    {"ceil", real1},
    {"ceilf", NULL},
    {"cos", real1},
    {"cosf", float1},
    {"cosh", real1},
    {"coshf", float1},
    {"erf", real1},
    {"erff", float1},
    {"exp", real1},
    {"expf", float1},
    {"exp2", real1},
    {"exp2f", float1},
    {"expm1", real1},
    {"expm1f", float1},
    {"fabs", real1},
    {"fabsf", float1},
    {"floor", real1},
    {"floorf", NULL},
    {"log", real1},
    {"logf", float1},
    {"log1p", real1},
    {"log1pf", float1},
    {"log2", real1},
    {"log2f", float1},
    {"nearbyint", real1},
    {"nearbyintf", float1},
    {"rint", real1},
    {"rintf", NULL},
    {"round", real1},
    {"roundf", NULL},
    {"sin", real1},
    {"sinf", float1},
    {"sinh", real1},
    {"sinhf", float1},
    {"sqrt", real1},
    {"sqrtf", float1},
    {"tan", real1},
    {"tanf", float1},
    {"tanh", real1},
    {"tanhf", float1},
    {"trunc", real1},
    {"truncf", float1},
    {"atan2", real2},
    {"atan2f", float2},
    {"copysign", real2},
    {"copysignf", float2},
    {"fmax", real2},
    {"fmaxf", float2},
    {"fmin", real2},
    {"fminf", float2},
    {"fmod", real2},
    {"fmodf", float2},
    {"hypot", real2},
    {"hypotf", float2},
    {"pow", real2},
    {"powf", float2},
    {"remainder", real2},
    {"remainderf", float2},
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

bool nib_libc_is_declared(const nib_target *target) { return nib_target_is_riscv(target); }

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The first character behind a comment or a string that begins at `at`; `at` if none does. */
static const char *skip_words(const char *at) {
  if (at[0] == '/' && at[1] == '/')
    return at + strcspn(at, "\n");
  if (at[0] == '/' && at[1] == '*') {
    const char *end = strstr(at + 2, "*/");
    return end ? end + 2 : at + strlen(at);
  }
  if (at[0] != '"')
    return at;
  for (++at; *at && *at != '"'; ++at)
    at += at[0] == '\\' && at[1];
  return at + (*at == '"');
}

static void mark(const nib_text *t, bool used[ROW_COUNT]) {
  for (const char *at = t->data; at && *at;) {
    const char *behind = skip_words(at);
    if (behind != at || !is_word(*at)) {
      at = behind != at ? behind : at + 1;
      continue;
    }
    size_t size = 1;
    while (is_word(at[size]))
      ++size;
    for (int i = 0; i < ROW_COUNT; ++i)
      if (strncmp(rows[i].name, at, size) == 0 && !rows[i].name[size] &&
          (at[size] == '(' || isupper((unsigned char)at[0])))
        used[i] = true;
    at += size;
  }
}

void nib_libc_declare(const nib_text *const *texts, int n, nib_text *t) {
  bool used[ROW_COUNT] = {false}, any = false, rounds = false;
  for (int i = 0; i < n; ++i)
    mark(texts[i], used);
  for (int i = 0; i < ROW_COUNT; ++i) {
    if (!used[i])
      continue;
    if (!any)
      nib_text_printf(t, "/* All that is used of a C library. */\n");
    any = true;
    if (!rows[i].form) {
      nib_text_printf(t, "%s", rounds ? "" : rounding);
      rounds = true;
      continue;
    }
    const char *gap = strstr(rows[i].form, "%s");
    nib_text_printf(t, "%.*s%s%s", (int)(gap - rows[i].form), rows[i].form, rows[i].name, gap + 2);
  }
}
