// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Primitives are found by scanning the embedded text of device.h for its marks.
#include "cuda/device_text.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char nib_embedded_device[], nib_embedded_device_math[];

enum { max_primitives = 192, max_wgmmas = 64, max_name = 64 };

/* Who takes the text of a primitive. */
typedef enum guard { UNGUARDED, FOR_DEVICE, FOR_CLANG } guard;
static const char *const guards[] = {"", "#ifndef NIB_EMULATE\n",
                                     "#if defined(__clang__) && !defined(NIB_EMULATE)\n"};

typedef struct primitive {
  const char *name, *text; /* not terminated */
  size_t name_size, text_size;
  bool used;
  guard guard;
} primitive;

typedef struct primitives {
  primitive list[max_primitives];
  int n;
  char wgmmas[max_wgmmas][max_name];
  int n_wgmmas;
} primitives;

/* Whether the emulation needs a body of its own: there is PTX, or something else of a compiler's.
 */
static bool is_for_device(const primitive *p) {
  static const char *const signs[] = {"__asm__", "__clang__", "nib_mma_of(", "nib_place_of("};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; ++i) {
    const char *at = strstr(p->text, signs[i]);
    if (at && at < p->text + p->text_size)
      return true;
  }
  return false;
}

/* The primitives of a text: "//@ NAME", up to the next mark; NAME is "end" before what is none. */
static void find_in(primitives *p, const char *text, guard most) {
  static const char mark[] = "//@ ";
  const char *at = strstr(text, mark);
  while (at && p->n < max_primitives) {
    const char *name = at + sizeof mark - 1, *line = strchr(name, '\n');
    if (!line)
      return;
    at = strstr(line, mark);
    primitive q = {
        name,  line + 1, strcspn(name, " \r\n"), at ? (size_t)(at - line - 1) : strlen(line + 1),
        false, most};
    if (q.name_size == 3 && memcmp(name, "end", 3) == 0)
      continue;
    if (most == FOR_DEVICE && !is_for_device(&q))
      q.guard = UNGUARDED;
    p->list[p->n++] = q;
  }
}

static void find_all(primitives *p) {
  p->n = p->n_wgmmas = 0;
  find_in(p, nib_embedded_device, FOR_DEVICE);
  p->list[0].guard = UNGUARDED; /* the prelude */
  find_in(p, nib_embedded_device_math, FOR_CLANG);
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
    if (strcmp(t->name, type) != 0)
      continue;
    bool narrow = n == 8 || n == 24;
    return n > 0 && n <= 256 && n % (t->integer ? 16 : 8) == 0 ? t
           : t->integer && narrow                              ? t
                                                               : NULL;
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

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool use(primitives *p, const char *name, size_t size) {
  for (int i = 0; i < p->n; ++i)
    if (p->list[i].name_size == size && memcmp(p->list[i].name, name, size) == 0) {
      bool grew = !p->list[i].used;
      p->list[i].used = true;
      return grew;
    }
  char word[max_name], type[16];
  int n;
  bool a_in_registers;
  if (size >= sizeof word)
    return false;
  memcpy(word, name, size);
  word[size] = 0;
  if (!parse_wgmma(word, type, &n, &a_in_registers))
    return false;
  for (int i = 0; i < p->n_wgmmas; ++i)
    if (strcmp(p->wgmmas[i], word) == 0)
      return false;
  if (p->n_wgmmas < max_wgmmas)
    memcpy(p->wgmmas[p->n_wgmmas++], word, size + 1);
  return false; /* their texts name nothing else */
}

/* Functions of C's library are primitives with a prefix. */
static bool use_function(primitives *p, const char *name, size_t size) {
  char word[max_name];
  const int length =
      snprintf(word, sizeof word, "nib_math_%.*s", (int)(size < 16 ? size : 16), name);
  return use(p, word, (size_t)length);
}

/* Marks the primitives named in text[0..size); returns whether any was new. */
static bool scan(primitives *p, const char *text, size_t size) {
  bool grew = false;
  for (size_t i = 0; i < size;) {
    size_t start = i;
    while (i < size && is_word(text[i]))
      i++;
    if (i - start > 4 && memcmp(text + start, "nib_", 4) == 0)
      grew |= use(p, text + start, i - start);
    else if (i - start > 2 && i < size && text[i] == '(')
      grew |= use_function(p, text + start, i - start);
    if (i == start)
      i++;
  }
  return grew;
}

static void change_guard(guard *now, guard next, nib_text *out) {
  if (*now == next)
    return;
  if (*now != UNGUARDED)
    nib_text_printf(out, "#endif\n\n");
  nib_text_printf(out, "%s", guards[next]);
  *now = next;
}

void nib_cuda_primitives(const char *uses, nib_text *out) {
  primitives *p = malloc(sizeof *p);
  if (!p) {
    out->failed = true;
    return;
  }
  find_all(p);
  use(p, "nib_device_prelude", strlen("nib_device_prelude"));
  bool grew = scan(p, uses, strlen(uses));
  while (grew) {
    grew = false;
    for (int i = 1; i < p->n; ++i)
      if (p->list[i].used)
        grew |= scan(p, p->list[i].text, p->list[i].text_size);
  }
  guard now = UNGUARDED;
  for (int i = 0; i < p->n; ++i)
    if (p->list[i].used) {
      change_guard(&now, p->list[i].guard, out);
      nib_text_printf(out, "%.*s\n", (int)p->list[i].text_size, p->list[i].text);
    }
  change_guard(&now, p->n_wgmmas ? FOR_DEVICE : UNGUARDED, out);
  for (int i = 0; i < p->n_wgmmas; ++i) {
    char type[16];
    int n;
    bool a_in_registers;
    if (parse_wgmma(p->wgmmas[i], type, &n, &a_in_registers) &&
        nib_cuda_wgmma(out, type, n, a_in_registers))
      nib_text_printf(out, "\n");
  }
  change_guard(&now, UNGUARDED, out);
  free(p);
}

bool nib_cuda_primitive_exists(const char *name) {
  char type[16];
  int n;
  bool a_in_registers;
  if (parse_wgmma(name, type, &n, &a_in_registers))
    return true;
  primitives *p = malloc(sizeof *p);
  if (!p)
    return false;
  find_all(p);
  bool found = false;
  for (int i = 1; i < p->n; ++i)
    found |= p->list[i].name_size == strlen(name) &&
             memcmp(p->list[i].name, name, p->list[i].name_size) == 0;
  free(p);
  return found;
}
