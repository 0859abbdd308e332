/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A group of nodes in the dialect's syntax, letter by letter as the IR printer writes it: a
 * function of what the group reads (activations first met first, constants among them), without
 * locations. */
#include "desc/kernel_desc.h"
#include "emit/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct body {
  const nib_graph *g;
  const int32_t *nodes;
  int32_t n;
  int32_t *arguments; /* tensors that the group reads, in order of first use */
  int32_t n_arguments;
  nib_text text;
} body;

/* ---- numbers and types ---- */

enum { PRECISION = 17, ALL_DIGITS = 800 };

/* How many digits the printer of the IR cuts off the exact ones before it rounds to PRECISION: what
 * is beyond the bits that PRECISION digits need. */
static int cut_digits(double value) {
  enum { NEEDED_BITS = (PRECISION * 196 + 58) / 59 };
  int exponent;
  double mantissa = frexp(fabs(value), &exponent);
  int fraction_bits = -exponent;
  for (; mantissa != 0; ++fraction_bits)
    mantissa = mantissa * 2 - (mantissa >= 0.5);
  const int decimals = fraction_bits > 0 ? fraction_bits : 0;
  const int bits = (int)floor(log2(fabs(value)) + decimals * log2(10.0)) + 1;
  return bits > NEEDED_BITS ? (bits - NEEDED_BITS) * 59 / 196 : 0;
}

/* At most PRECISION decimal digits of |value| without trailing zeros, and the power of ten of the
 * first. */
static int digits_of(double value, char digits[ALL_DIGITS], int *out_exponent) {
  char text[ALL_DIGITS];
  snprintf(text, sizeof text, "%.*e", ALL_DIGITS - 20, fabs(value));
  const char *at = text;
  int n = 0;
  for (; *at != 'e'; ++at)
    if (*at != '.')
      digits[n++] = *at;
  *out_exponent = atoi(at + 1);
  while (n > 1 && digits[n - 1] == '0')
    --n;
  n -= cut_digits(value);
  if (n > PRECISION) {
    const bool up = digits[PRECISION] >= '5';
    for (n = PRECISION; up && n > 0 && digits[n - 1] == '9'; --n)
      ;
    if (n == 0) {
      digits[n++] = '1';
      ++*out_exponent;
    } else if (up) {
      ++digits[n - 1];
    }
  }
  while (n > 1 && digits[n - 1] == '0')
    --n;
  digits[n] = '\0';
  return n;
}

/* Seven digits where they are enough; else all of them, in fixed notation from 0.001 upwards; bits
 * where that would look like an integer. */
static void print_float(nib_text *t, double value) {
  char text[64], digits[ALL_DIGITS];
  snprintf(text, sizeof text, "%.6e", value);
  if (isfinite(value) && strtod(text, NULL) == value) {
    nib_text_printf(t, "%s", text);
    return;
  }
  int exponent = 0;
  const int n = isfinite(value) ? digits_of(value, digits, &exponent) : 0;
  const char *sign = value < 0 ? "-" : "";
  const bool whole = exponent - (n - 1) >= 0;
  if (!isfinite(value) || (whole && exponent - (n - 1) <= 3 && exponent + 1 <= 17)) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    nib_text_printf(t, "0x%016" PRIX64, bits);
  } else if (whole || exponent < -3) {
    nib_text_printf(t, "%s%c.%sE%c%d", sign, digits[0], n > 1 ? digits + 1 : "0",
                    exponent < 0 ? '-' : '+', abs(exponent));
  } else if (exponent < 0) {
    nib_text_printf(t, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
  } else {
    nib_text_printf(t, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
  }
}

static void print_type(nib_text *t, const nib_tensor *x) {
  const nib_format_info *f = nib_format_get(x->format);
  nib_text_printf(t, "tensor<");
  for (int32_t i = 0; i < x->rank; ++i)
    nib_text_printf(t, "%" PRId64 "x", x->dims[i]);
  if (!x->quantized) {
    nib_text_printf(t, nib_format_is_builtin(x->format) ? "%s>" : "!nib.format<\"%s\">>", f->name);
    return;
  }
  nib_text_printf(t, "!quant.uniform<%c%d:f32, ", f->kind == NIB_KIND_SIGNED ? 'i' : 'u', f->bits);
  print_float(t, x->scale);
  if (x->zero_point != 0)
    nib_text_printf(t, ":%" PRId64, x->zero_point);
  nib_text_printf(t, ">>");
}

/* ---- values ---- */

static int32_t find_result(const body *b, int32_t tensor) {
  for (int32_t i = 0; i < b->n; ++i)
    if (b->g->nodes[b->nodes[i]].out == tensor)
      return i;
  return NIB_NONE;
}

static int32_t find_argument(const body *b, int32_t tensor) {
  for (int32_t i = 0; i < b->n_arguments; ++i)
    if (b->arguments[i] == tensor)
      return i;
  return NIB_NONE;
}

static nib_status collect_arguments(body *b) {
  size_t slots = 1;
  for (int32_t i = 0; i < b->n; ++i)
    slots += (size_t)b->g->nodes[b->nodes[i]].n_in;
  b->arguments = malloc(slots * sizeof *b->arguments);
  if (b->arguments == NULL)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int32_t i = 0; i < b->n; ++i) {
    const nib_node *n = &b->g->nodes[b->nodes[i]];
    for (int32_t s = 0; s < n->n_in; ++s)
      if (n->in[s] != NIB_NONE && find_result(b, n->in[s]) == NIB_NONE &&
          find_argument(b, n->in[s]) == NIB_NONE)
        b->arguments[b->n_arguments++] = n->in[s];
  }
  return NIB_OK;
}

static void print_value(body *b, int32_t tensor) {
  const int32_t result = find_result(b, tensor);
  if (result != NIB_NONE)
    nib_text_printf(&b->text, "%%%d", result);
  else
    nib_text_printf(&b->text, "%%arg%d", find_argument(b, tensor));
}

/* ---- operators ---- */

/* Name of operand `slot` in the row of the operator table: "filter_scales" of "filter_scales?". */
static void operand_name(nib_op op, int32_t slot, char *out, size_t capacity) {
  const char *at = nib_op_get(op)->operands;
  for (; slot > 0 && strchr(at, ' ') != NULL; --slot)
    at = strchr(at, ' ') + 1;
  snprintf(out, capacity, "%.*s", (int)strcspn(at, " ?*"), at);
}

/* Operands in order; one that may be absent is headed by its name. */
static void print_operands(body *b, const nib_node *n) {
  const int slots = nib_op_operand_slots(n->op);
  for (int32_t s = 0; s < n->n_in; ++s) {
    if (n->in[s] == NIB_NONE)
      continue;
    char name[32];
    operand_name(n->op, s, name, sizeof name);
    const bool named = s < slots && nib_op_operand_is_optional(n->op, s);
    const bool scales = strcmp(name, "filter_scales") == 0;
    if (named)
      nib_text_printf(&b->text, " %s ", scales ? "scales" : name);
    else
      nib_text_printf(&b->text, s > 0 ? ", " : " ");
    print_value(b, n->in[s]);
  }
}

static void print_attr(body *b, const nib_attr *a) {
  nib_text *t = &b->text;
  const nib_attr_info *info = nib_attr_get(a->id);
  if (info->kind == NIB_ATTR_DATA)
    return;
  nib_text_printf(t, " %s ", info->name);
  switch (info->kind) {
  case NIB_ATTR_INT:
    nib_text_printf(t, "%" PRId64, a->u.i);
    break;
  case NIB_ATTR_INTS:
    for (int32_t i = 0; i < a->u.ints.n; ++i)
      nib_text_printf(t, "%s%" PRId64, i > 0 ? ", " : "[", a->u.ints.v[i]);
    nib_text_printf(t, a->u.ints.n > 0 ? "]" : "[]");
    break;
  case NIB_ATTR_FLOAT:
    print_float(t, a->u.f);
    break;
  case NIB_ATTR_STRING: /* out of a closed set: nothing to escape */
    nib_text_printf(t, "\"%s\"", a->u.s);
    break;
  case NIB_ATTR_DATA:
    break;
  }
}

/* Attributes in the order of the operator's row, which is that of its syntax. */
static void print_attrs(body *b, const nib_node *n) {
  const char *at = nib_op_get(n->op)->attributes;
  while (*at != '\0') {
    char name[32];
    const int length = (int)strcspn(at, " ");
    snprintf(name, sizeof name, "%.*s", length, at);
    const nib_attr_id id = nib_attr_find(name);
    const nib_attr *a = id < NIB_ATTR_COUNT ? nib_node_attr(n, id) : NULL;
    if (a != NULL)
      print_attr(b, a);
    at += length;
    at += strspn(at, " ");
  }
}

static void print_node(body *b, int32_t number) {
  const nib_node *n = &b->g->nodes[b->nodes[number]];
  nib_text *t = &b->text;
  nib_text_printf(t, "  %%%d = nib.%s", number, nib_op_get(n->op)->mnemonic);
  print_operands(b, n);
  print_attrs(b, n);
  nib_text_printf(t, " : (");
  const char *separator = "";
  for (int32_t s = 0; s < n->n_in; ++s) {
    if (n->in[s] == NIB_NONE)
      continue;
    nib_text_printf(t, "%s", separator);
    print_type(t, &b->g->tensors[n->in[s]]);
    separator = ", ";
  }
  nib_text_printf(t, ") -> ");
  print_type(t, &b->g->tensors[n->out]);
  nib_text_printf(t, "\n");
}

static void print_function(body *b) {
  nib_text *t = &b->text;
  const nib_tensor *result = &b->g->tensors[b->g->nodes[b->nodes[b->n - 1]].out];
  nib_text_printf(t, "func.func @kernel(");
  for (int32_t i = 0; i < b->n_arguments; ++i) {
    nib_text_printf(t, "%s%%arg%d: ", i > 0 ? ", " : "", i);
    print_type(t, &b->g->tensors[b->arguments[i]]);
  }
  nib_text_printf(t, ") -> ");
  print_type(t, result);
  if (b->g->rounding != NULL)
    nib_text_printf(t, " attributes {nib.rounding = \"%s\"}", b->g->rounding);
  nib_text_printf(t, " {\n");
  for (int32_t i = 0; i < b->n; ++i)
    print_node(b, i);
  nib_text_printf(t, "  return %%%d : ", b->n - 1);
  print_type(t, result);
  nib_text_printf(t, "\n}\n");
}

nib_status nib_kernel_desc_set_body(nib_kernel_desc *d, const nib_graph *g, const int32_t *nodes,
                                    int32_t n) {
  if (n <= 0)
    return NIB_ERROR_INVALID_USAGE;
  body b = {.g = g, .nodes = nodes, .n = n};
  nib_text_init(&b.text);
  nib_status status = collect_arguments(&b);
  if (status == NIB_OK)
    print_function(&b);
  free(b.arguments);
  if (status != NIB_OK || b.text.failed || b.text.data == NULL) {
    nib_text_free(&b.text);
    return NIB_ERROR_OUT_OF_MEMORY;
  }
  free(d->body);
  d->body = b.text.data;
  return NIB_OK;
}
