/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The rows of functions.def and binary.def as text and as functions. */
#include "params/params.h"

#include "num/snippets.h"

#include <string.h>

/* ---- one operand ---- */

#define NIB_FUNCTION(ID, in_f32, in_f64)                                                           \
  static float f32_##ID(float x) { return in_f32; }                                                \
  static double f64_##ID(double x) { return in_f64; }
#define NIB_INTEGER_FUNCTION(ID, in_i64, in_u64)                                                   \
  static int64_t i64_##ID(int64_t x) { return in_i64; }                                            \
  static uint64_t u64_##ID(uint64_t x) { return in_u64; }
#include "params/functions.def"
#undef NIB_FUNCTION
#undef NIB_INTEGER_FUNCTION

static const nib_real_function functions[NIB_OP_COUNT] = {
#define NIB_FUNCTION(ID, in_f32, in_f64) [NIB_OP_##ID] = {#in_f32, #in_f64, f32_##ID, f64_##ID},
#define NIB_INTEGER_FUNCTION(ID, in_i64, in_u64)
#include "params/functions.def"
#undef NIB_FUNCTION
#undef NIB_INTEGER_FUNCTION
};

static const nib_integer_function integer_functions[NIB_OP_COUNT] = {
#define NIB_FUNCTION(ID, in_f32, in_f64)
#define NIB_INTEGER_FUNCTION(ID, in_i64, in_u64)                                                   \
  [NIB_OP_##ID] = {#in_i64, #in_u64, i64_##ID, u64_##ID},
#include "params/functions.def"
#undef NIB_FUNCTION
#undef NIB_INTEGER_FUNCTION
};

const nib_real_function *nib_params_real_function(nib_op op) {
  return functions[op].text ? &functions[op] : NULL;
}

const nib_integer_function *nib_params_integer_function(nib_op op) {
  return integer_functions[op].signed_text ? &integer_functions[op] : NULL;
}

/* ---- two operands ---- */

#define NIB_BINARY_REAL(ID, in_f32, in_f64)                                                        \
  static float f32_##ID(float a, float b) { return in_f32; }                                       \
  static double f64_##ID(double a, double b) { return in_f64; }
#define NIB_BINARY_INTEGER(ID, in_i64, in_u64)                                                     \
  static int64_t i64_##ID(int64_t a, int64_t b) { return in_i64; }                                 \
  static uint64_t u64_##ID(uint64_t a, uint64_t b) { return in_u64; }
#define NIB_COMPARE(ID, expression)                                                                \
  static float f32_##ID(float a, float b) { return (float)(expression); }                          \
  static double f64_##ID(double a, double b) { return (double)(expression); }                      \
  static int64_t i64_##ID(int64_t a, int64_t b) { return expression; }                             \
  static uint64_t u64_##ID(uint64_t a, uint64_t b) { return expression; }
#include "params/binary.def"
#undef NIB_BINARY_REAL
#undef NIB_BINARY_INTEGER
#undef NIB_COMPARE

#define NIB_COMPARE(ID, expression)                                                                \
  NIB_BINARY_REAL(ID, expression, expression)                                                      \
  NIB_BINARY_INTEGER(ID, expression, expression)

static const nib_binary_real binary_reals[NIB_OP_COUNT] = {
#define NIB_BINARY_REAL(ID, in_f32, in_f64) [NIB_OP_##ID] = {#in_f32, #in_f64, f32_##ID, f64_##ID},
#define NIB_BINARY_INTEGER(ID, in_i64, in_u64)
#include "params/binary.def"
#undef NIB_BINARY_REAL
#undef NIB_BINARY_INTEGER
};

static const nib_binary_integer binary_integers[NIB_OP_COUNT] = {
#define NIB_BINARY_REAL(ID, in_f32, in_f64)
#define NIB_BINARY_INTEGER(ID, in_i64, in_u64)                                                     \
  [NIB_OP_##ID] = {#in_i64, #in_u64, i64_##ID, u64_##ID},
#include "params/binary.def"
#undef NIB_BINARY_REAL
#undef NIB_BINARY_INTEGER
#undef NIB_COMPARE
};

static const bool comparisons[NIB_OP_COUNT] = {
#define NIB_BINARY_REAL(ID, in_f32, in_f64)
#define NIB_BINARY_INTEGER(ID, in_i64, in_u64)
#define NIB_COMPARE(ID, expression) [NIB_OP_##ID] = true,
#include "params/binary.def"
#undef NIB_BINARY_REAL
#undef NIB_BINARY_INTEGER
#undef NIB_COMPARE
};

const nib_binary_real *nib_params_binary_real(nib_op op) {
  return binary_reals[op].text ? &binary_reals[op] : NULL;
}

const nib_binary_integer *nib_params_binary_integer(nib_op op) {
  return binary_integers[op].signed_text ? &binary_integers[op] : NULL;
}

nib_op nib_params_reduction(const nib_node *n) {
  static const struct {
    const char *name;
    nib_op op;
  } words[] = {
      {"add", NIB_OP_ADD}, {"mul", NIB_OP_MUL}, {"min", NIB_OP_MINIMUM}, {"max", NIB_OP_MAXIMUM}};
  const char *word = nib_node_string(n, NIB_A_REDUCTION, "add");
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
    if (strcmp(words[i].name, word) == 0)
      return words[i].op;
  return NIB_OP_COUNT;
}

bool nib_params_is_comparison(nib_op op) { return comparisons[op]; }
