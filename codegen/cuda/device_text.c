// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Primitives are pieces of the embedded texts of device.h and device_math.h, but for those of
// wgmma.
#include "cuda/device_text.h"

#include "emit/snippets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char nib_embedded_device[], nib_embedded_device_math[];

/* Who takes the text of a primitive. */
typedef enum guard { UNGUARDED, FOR_DEVICE, FOR_CLANG } guard;
static const char *const guards[] = {"", "#ifndef NIB_EMULATE\n",
                                     "#if defined(__clang__) && !defined(NIB_EMULATE)\n"};

/* Whether the emulation needs a body of its own: there is PTX, or something else of a compiler's.
 */
static bool is_for_device(const nib_piece *p) {
  static const char *const signs[] = {"__asm__", "__clang__", "nib_mma_of(", "nib_place_of("};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; ++i) {
    const char *at = strstr(p->text, signs[i]);
    if (at && at < p->text + p->text_size)
      return true;
  }
  return false;
}

/* ---- wgmma ---- */

typedef struct wgmma_type {
  const char *name, *a, *b; /* a and b as PTX names them */
  int k;
  bool integer, transposes; /* whether the instruction says if operands are transposed */
} wgmma_type;

static const wgmma_type wgmma_types[] = {
    {"bf16", "bf16", "bf16", 16, false, true},    {"f16", "f16", "f16", 16, false, true},
    {"f8e4m3", "e4m3", "e4m3", 32, false, false}, {"i8", "s8", "s8", 32, true, false},
    {"u8i8", "u8", "s8", 32, true, false},
};

static const wgmma_type *find_wgmma(const char *type, int n) {
  for (size_t i = 0; i < sizeof wgmma_types / sizeof *wgmma_types; ++i) {
    const wgmma_type *t = &wgmma_types[i];
    const bool exists = n > 0 && n <= 256 && n % (t->integer ? 16 : 8) == 0;
    if (strcmp(t->name, type) == 0)
      return exists || (t->integer && (n == 8 || n == 24)) ? t : NULL;
  }
  return NULL;
}

/* Splits nib_wgmma_<type>_n<n>[_ra]. */
static bool parse_wgmma(const char *name, char type[16], int *n, bool *a_in_registers) {
  int end = 0;
  *n = 0;
  if (sscanf(name, "nib_wgmma_%15[a-z0-9]_n%3d%n", type, n, &end) != 2 || end == 0)
    return false;
  *a_in_registers = strcmp(name + end, "_ra") == 0;
  return (*a_in_registers || !name[end]) && find_wgmma(type, *n);
}

bool nib_cuda_wgmma(nib_text *out, const char *type, int n, bool a_in_registers) {
  const wgmma_type *t = find_wgmma(type, n);
  if (!t)
    return false;
  const int registers = n / 2, b = registers + (a_in_registers ? 4 : 1);
  const char *suffix = a_in_registers ? "_ra" : "";
  nib_text_printf(
      out, "NIB_DEVICE void nib_wgmma_%s_n%d%s(%s d[%d], %s, uint64_t b, int32_t accumulate) {\n",
      type, n, suffix, t->integer ? "int32_t" : "float", registers,
      a_in_registers ? "const uint32_t a[4]" : "uint64_t a");
  nib_text_printf(
      out, "  __asm__ volatile(\"{\\n\\t.reg .pred p;\\n\\tsetp.ne.b32 p, %%%d, 0;\\n\\t\"\n",
      b + 1);
  nib_text_printf(out, "                   \"wgmma.mma_async.sync.aligned.m64n%dk%d.%s.%s.%s {\"",
                  n, t->k, t->integer ? "s32" : "f32", t->a, t->b);
  for (int i = 0; i < registers; ++i)
    nib_text_printf(out, "%s%%%d%s", i % 16 ? "" : "\n                   \"", i,
                    i + 1 == registers ? "}, \""
                    : i % 16 == 15     ? ", \""
                                       : ", ");
  nib_text_printf(out,
                  a_in_registers ? "\n                   \"{%%%d, %%%d, %%%d, %%%d}, %%%d, p"
                                 : "\n                   \"%%%d, %%%d, p",
                  registers, registers + 1, registers + 2, registers + 3, b);
  /* Signs of both operands, then whether they are transposed: B, and A where it is in shared
   * memory. */
  nib_text_printf(out, "%s%s%s;\\n\\t}\"\n                   : ", t->integer ? "" : ", 1, 1",
                  t->transposes ? ", 0" : "", t->transposes && !a_in_registers ? ", 0" : "");
  for (int i = 0; i < registers; ++i)
    nib_text_printf(out, "\"+%c\"(d[%d])%s", t->integer ? 'r' : 'f', i,
                    i + 1 == registers ? ""
                    : i % 8 == 7       ? ",\n                     "
                                       : ", ");
  nib_text_printf(out, "\n                   : %s, \"l\"(b), \"r\"(accumulate));\n}\n",
                  a_in_registers ? "\"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3])"
                                 : "\"l\"(a)");
  return true;
}

/* ---- what a text uses ---- */

static void change_guard(guard *now, guard next, nib_text *out) {
  if (*now == next)
    return;
  if (*now != UNGUARDED)
    nib_text_printf(out, "#endif\n\n");
  nib_text_printf(out, "%s", guards[next]);
  *now = next;
}

static bool is_first(const char *text, const char *word, const char *end, size_t word_size) {
  size_t size;
  while ((text = nib_next_word(text, end, &size)) != word &&
         (size != word_size || memcmp(text, word, size) != 0))
    text += size;
  return text == word;
}

/* The wrappers that kernels name (primitives name none), each once. */
static void append_wgmmas(const char *uses, guard *now, nib_text *out) {
  const char *end = uses + strlen(uses), *at = uses;
  for (size_t size; (at = nib_next_word(at, end, &size)); at += size) {
    char word[64], type[16];
    int n;
    bool a_in_registers;
    snprintf(word, sizeof word, "%.*s", (int)(size < 60 ? size : 60), at);
    if (!parse_wgmma(word, type, &n, &a_in_registers) || !is_first(uses, at, end, size))
      continue;
    change_guard(now, FOR_DEVICE, out);
    nib_cuda_wgmma(out, type, n, a_in_registers);
    nib_text_printf(out, "\n");
  }
}

/* The helpers are plain C: here they run on the device. */
static void append_helper(const nib_piece *p, nib_text *out) {
  static const char plain[] = "static inline ";
  const char *at = p->text, *end = at + p->text_size;
  for (const char *next; (next = strstr(at, plain)) && next < end; at = next + sizeof plain - 1)
    nib_text_printf(out, "%.*sNIB_DEVICE ", (int)(next - at), at);
  nib_text_printf(out, "%.*s\n", (int)(end - at), at);
}

void nib_cuda_primitives(const char *uses, nib_text *out) {
  nib_pieces p = {.functions = "nib_math_"};
  nib_pieces_find(&p, nib_embedded_device);
  const int n_device = p.n;
  nib_pieces_find(&p, nib_embedded_device_math);
  const int n_primitives = p.n;
  nib_snippets_find(&p);
  nib_pieces_use(&p, "nib_device_prelude");
  nib_pieces_use(&p, uses);
  guard now = UNGUARDED;
  for (int i = 0; i < n_primitives; ++i) {
    const nib_piece *piece = &p.list[i];
    if (!piece->used)
      continue;
    change_guard(&now,
                 i >= n_device                   ? FOR_CLANG
                 : i > 0 && is_for_device(piece) ? FOR_DEVICE
                                                 : UNGUARDED,
                 out);
    nib_text_printf(out, "%.*s\n", (int)piece->text_size, piece->text);
  }
  append_wgmmas(uses, &now, out);
  change_guard(&now, UNGUARDED, out);
  for (int i = n_primitives; i < p.n; ++i)
    if (p.list[i].used)
      append_helper(&p.list[i], out);
}
