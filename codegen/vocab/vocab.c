/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The vocabulary table. The build lists the files of this folder; no vocabulary is named here. */
#include "vocab/vocab.h"

#include <string.h>
#include <threads.h>

#define NIB_VOCAB(stem) extern const nib_vocab nib_vocab_##stem;
#include "vocab_list.inc"
#undef NIB_VOCAB

static const nib_vocab *const vocabularies[] = {
#define NIB_VOCAB(stem) &nib_vocab_##stem,
#include "vocab_list.inc"
#undef NIB_VOCAB
};

#define N_FILES (sizeof vocabularies / sizeof vocabularies[0])

/* Calls `visit` for each vocabulary, in table order, until it returns true; that vocabulary, or
 * NULL. */
static const nib_vocab *search(bool (*visit)(const nib_vocab *v, void *user), void *user) {
  for (size_t i = 0; i < N_FILES; i++)
    for (const nib_vocab *v = vocabularies[i]; v; v = v->next)
      if (visit(v, user))
        return v;
  return NULL;
}

/* Cycles per multiply-accumulate: what "best first" sorts by. */
static double mac_cycles(const nib_vocab *v) { return v->dot_cycles / (v->lanes * v->dot_k); }

enum { most = 256 }; /* vocabularies: of each file a list, so that only a walk counts them */

static const nib_vocab *ranked[most]; /* the fastest first, equal ones in table order */
static size_t n_ranked;
static once_flag ranked_once = ONCE_FLAG_INIT;

static bool insert(const nib_vocab *v, void *user) {
  (void)user;
  size_t at = n_ranked++;
  for (; at && mac_cycles(ranked[at - 1]) > mac_cycles(v); at--)
    ranked[at] = ranked[at - 1];
  ranked[at] = v;
  return n_ranked == most;
}

static void rank(void) { search(insert, NULL); }

const nib_vocab *nib_vocab_at(size_t i) {
  call_once(&ranked_once, rank);
  return i < n_ranked ? ranked[i] : NULL;
}

double nib_vocab_unpack_cycles(const nib_vocab *v, int64_t codes, bool single_row) {
  const double shared = 1.0 / (double)codes;
  return (single_row ? 1.0 + shared : 2.0 - shared) * (v->lanes > 1 ? 0.5 : 1.0);
}

/* The vocabulary, `v` or one it builds on, that says how bytes are looked up. */
static const nib_vocab *looks_up(const nib_vocab *v) {
  while (v && !v->prims[NIB_PRIM_BYTES_LOOKUP256])
    v = v->base;
  return v;
}

double nib_vocab_lookup_cycles(const nib_vocab *v, bool alone) {
  const double times_of_steps = 3;
  const nib_vocab *by = looks_up(v);
  return by ? by->lookup_cycles * (by->lookup_steps && !alone ? times_of_steps : 1) : 0;
}

void nib_vocab_byte_table(const nib_vocab *v, uint8_t table[256]) {
  enum { row = 16, sums = 8 * row };
  const nib_vocab *by = looks_up(v);
  uint8_t steps[256];
  if (!by || !by->lookup_steps)
    return;
  for (int i = 0; i < 256; i++)
    steps[i] =
        (uint8_t)(table[i] ^ (i >= row ? table[i - row] : 0) ^ (i >= sums ? steps[i - sums] : 0));
  memcpy(table, steps, sizeof steps);
}

static bool has_name(const nib_vocab *v, void *user) { return strcmp(v->name, user) == 0; }

const nib_vocab *nib_vocab_find(const char *name) {
  return name ? search(has_name, (void *)(uintptr_t)name) : NULL;
}

bool nib_vocab_fits(const nib_vocab *v, const nib_target *target) {
  return (v->requires_ & ~target->features) == 0 && (v->unless & target->features) == 0;
}

bool nib_vocab_multiplies_f16(const nib_vocab *v) { return v->real_f16 || v->type_half; }

bool nib_vocab_holds(const nib_vocab *v, nib_format format) {
  switch (format) {
  case NIB_F32:
    return !v->real_f16;
  case NIB_F16:
    return v->real_f16 || (nib_vocab_prim(v, NIB_PRIM_F16_LOAD_TAIL) &&
                           nib_vocab_prim(v, NIB_PRIM_F16_STORE_TAIL));
  case NIB_BF16:
    return !v->real_f16 && nib_vocab_prim(v, NIB_PRIM_BF16_LOAD_TAIL) &&
           nib_vocab_prim(v, NIB_PRIM_BF16_STORE_TAIL);
  default:
    return false;
  }
}

const char *nib_prim_name(nib_prim prim) {
  static const char *const names[] = {
#define X(ID, name) name,
      NIB_PRIMITIVES(X)
#undef X
  };
  return (unsigned)prim < NIB_PRIM_COUNT ? names[prim] : "";
}

const char *nib_vocab_prim(const nib_vocab *v, nib_prim prim) {
  for (; v && (unsigned)prim < NIB_PRIM_COUNT; v = v->base)
    if (v->prims[prim])
      return v->prims[prim];
  return NULL;
}

static const char *argument(const nib_prim_args *args, char letter) {
  const char *text = NULL;
  switch (letter) {
  case 'd':
    text = args->d;
    break;
  case 'a':
    text = args->a;
    break;
  case 'b':
    text = args->b;
    break;
  case 'c':
    text = args->c;
    break;
  case 'e':
    text = args->e;
    break;
  case 'n':
    text = args->n;
    break;
  }
  return text ? text : "";
}

static void say_line(const char *line, size_t length, const nib_prim_args *args, nib_text *t) {
  nib_text_printf(t, "%*s", 2 * t->indent, "");
  size_t start = 0;
  for (size_t i = 0; i < length; i++) {
    if (line[i] != '$' || i + 1 >= length)
      continue;
    nib_text_printf(t, "%.*s%s", (int)(i - start), line + start, argument(args, line[i + 1]));
    start = i + 2;
    i++;
  }
  nib_text_printf(t, "%.*s\n", (int)(length - start), line + start);
}

bool nib_vocab_say(const nib_vocab *v, nib_prim prim, const nib_prim_args *args, nib_text *t) {
  const char *line = nib_vocab_prim(v, prim);
  if (!line)
    return false;
  while (*line) {
    const size_t length = strcspn(line, "\n");
    say_line(line, length, args, t);
    line += length + (line[length] == '\n');
  }
  return true;
}
