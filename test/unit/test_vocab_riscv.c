/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// REQUIRES: qemu-riscv-linux
// RUN: %unit/test_vocab_riscv %t %clang
/* Each primitive of the vocabularies of RISC-V's vectors against that of c99: one program with a function
 * for each of both, compiled for the processor and run in QEMU with vectors as long as the vocabulary
 * needs and longer. */
#include "emit/snippets.h"
#include "epilogue/say.h"
#include "target/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { elems = 256 }; /* a multiple of all lanes */

typedef enum role { NONE, I32, F32, I8, U8, I16, BF16, TABLE } role;
typedef enum values { ANY, SHIFTS, RIGHTS, MULTIPLIERS, SCALES, BYTES, REALS, SUMS } values;

/* d = prim(a, b, c) on registers, or where `loads` d = prim(memory), or where `stores` memory = prim(d). */
typedef struct prim_case {
  nib_prim prim;
  role d, a, b, c;
  values va, vb, vc;
  bool loads, stores;
  nib_prim reference; /* of c99, where it is another one */
} prim_case;

#define LOAD(P, from, to)                                                                          \
  { NIB_PRIM_##P, to, from, NONE, NONE, ANY, ANY, ANY, true, false, NIB_PRIM_COUNT }
#define STORE(P, to, from, values)                                                                 \
  { NIB_PRIM_##P, to, from, NONE, NONE, values, ANY, ANY, false, true, NIB_PRIM_COUNT }
#define THREE(P, d, a, b, c, va, vb, vc)                                                           \
  { NIB_PRIM_##P, d, a, b, c, va, vb, vc, false, false, NIB_PRIM_COUNT }
#define AS(P, R, d, a, b, c, va, vb, vc)                                                           \
  { NIB_PRIM_##P, d, a, b, c, va, vb, vc, false, false, NIB_PRIM_##R }
#define TWO(P, t, v) THREE(P, t, t, t, NONE, v, v, ANY)

static const prim_case cases[] = {
    LOAD(I32_LOAD, I32, I32),
    LOAD(F32_LOAD, F32, F32),
    LOAD(I8_LOAD, I8, I32),
    LOAD(U8_LOAD, U8, I32),
    LOAD(I16_LOAD, I16, I32),
    LOAD(BF16_LOAD, BF16, F32),
    STORE(I32_STORE, I32, I32, ANY),
    STORE(F32_STORE, F32, F32, REALS),
    STORE(I8_STORE, I8, I32, SUMS),
    STORE(U8_STORE, U8, I32, SUMS),
    STORE(I16_STORE, I16, I32, ANY),
    STORE(BF16_STORE, BF16, F32, REALS),
    TWO(I32_ADD, I32, ANY),
    TWO(I32_SUB, I32, ANY),
    TWO(I32_MUL, I32, ANY),
    TWO(I32_MIN, I32, ANY),
    TWO(I32_MAX, I32, ANY),
    THREE(I32_SHL, I32, I32, NONE, NONE, ANY, ANY, ANY),
    THREE(I32_SAR, I32, I32, NONE, NONE, ANY, ANY, ANY),
    AS(I32_ADD_CONST, I32_ADD, I32, I32, NONE, NONE, ANY, ANY, ANY),
    AS(I32_SUB_CONST, I32_SUB, I32, I32, NONE, NONE, ANY, ANY, ANY),
    AS(I32_MIN_CONST, I32_MIN, I32, I32, NONE, NONE, ANY, ANY, ANY),
    AS(I32_MAX_CONST, I32_MAX, I32, I32, NONE, NONE, ANY, ANY, ANY),
    THREE(RQ_TFLITE_DOUBLE, I32, I32, I32, I32, ANY, MULTIPLIERS, SHIFTS),
    THREE(RQ_TFLITE_SINGLE, I32, I32, I32, I32, ANY, MULTIPLIERS, SHIFTS),
    THREE(RQ_TFLITE_AWAY, I32, I32, I32, I32, ANY, MULTIPLIERS, SHIFTS),
    AS(RQ_TFLITE_DOUBLE_RIGHT, RQ_TFLITE_DOUBLE, I32, I32, I32, I32, ANY, MULTIPLIERS, RIGHTS),
    AS(RQ_TFLITE_SINGLE_RIGHT, RQ_TFLITE_SINGLE, I32, I32, I32, I32, ANY, MULTIPLIERS, RIGHTS),
    AS(RQ_TFLITE_AWAY_RIGHT, RQ_TFLITE_AWAY, I32, I32, I32, I32, ANY, MULTIPLIERS, RIGHTS),
    THREE(RQ_NEAREST_EVEN, I32, I32, F32, NONE, SUMS, SCALES, ANY),
    THREE(RQ_NEAREST_AWAY, I32, I32, F32, NONE, SUMS, SCALES, ANY),
    AS(RQ_PRODUCT, RQ_NEAREST_EVEN, I32, I32, F32, NONE, SUMS, SCALES, ANY),
    TWO(F32_ADD, F32, REALS),
    TWO(F32_SUB, F32, REALS),
    TWO(F32_MUL, F32, REALS),
    TWO(F32_DIV, F32, REALS),
    TWO(F32_MIN, F32, REALS),
    TWO(F32_MAX, F32, REALS),
    THREE(F32_FROM_I32, F32, I32, NONE, NONE, ANY, ANY, ANY),
    THREE(I32_FROM_F32_EVEN, I32, F32, NONE, NONE, REALS, ANY, ANY),
    THREE(I32_FROM_F32_AWAY, I32, F32, NONE, NONE, REALS, ANY, ANY),
    THREE(LOOKUP8, I32, TABLE, I32, NONE, ANY, BYTES, ANY),
    THREE(F32_LOOKUP16, F32, TABLE, I32, NONE, ANY, ANY, ANY),
};
#define N_CASES ((int)(sizeof cases / sizeof *cases))

static const char *type_of(role r) {
  static const char *const names[] = {"void",    "int32_t", "float",    "int8_t",
                                      "uint8_t", "int16_t", "uint16_t", "void"};
  return names[r];
}

static int bytes_of(role r) { return r == I8 || r == U8 ? 1 : r == I16 || r == BF16 ? 2 : 4; }

static const char *register_type(const nib_vocab *v, role r) {
  return r == F32 ? v->type_f32 : v->type_i32;
}

static void load_register(nib_emitter *e, const char *name, role r) {
  nib_text_line(e->body, "%s %s;", register_type(e->vocab, r), name);
  nib_say(e, r == F32 ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD, name,
          nib_word_of("(const %s *)p%s + i", type_of(r), name).s, NULL, NULL, NULL);
}

/* The constant operand, for c99 in a register of its own. */
static const char *constant_of(nib_emitter *e, const prim_case *k, nib_prim prim) {
  if (k->b != NONE || k->a == TABLE)
    return "b";
  if (prim == k->prim)
    return k->reference == NIB_PRIM_COUNT ? "5" : "-77";
  nib_text_line(e->body, "const int32_t b = -77;");
  return "b";
}

/* void KIND_INDEX_VOCAB(pa, pb, pc, pd): `n` lanes of each register, or 0 for all. */
static void write_function(nib_emitter *e, const prim_case *k, int index, int n) {
  const nib_vocab *v = e->vocab;
  const bool reference = v->lanes == 1 && k->reference != NIB_PRIM_COUNT;
  const nib_prim prim = reference ? k->reference : k->prim;
  nib_text_open(e->body,
                "void f%d_%d_%s(const void *pa, const void *pb, const void *pc, void *pd) {", index,
                n, v->name);
  nib_text_line(e->body, "(void)pa, (void)pb, (void)pc;");
  nib_text_open(e->body, "for (int i = 0; i < %d; i += %d) {", elems, v->lanes);
  if (k->loads) {
    nib_text_line(e->body, "%s d;", register_type(v, k->d));
    nib_say_lanes(e, prim, "d", nib_word_of("(const %s *)pa + i", type_of(k->a)).s, NULL, n);
  } else if (k->stores) {
    load_register(e, "a", k->a);
    nib_say_lanes(e, prim, NULL, nib_word_of("(%s *)pd + i", type_of(k->d)).s, "a", n);
  } else {
    if (k->a != TABLE)
      load_register(e, "a", k->a);
    if (k->b != NONE)
      load_register(e, "b", k->b);
    if (k->c != NONE)
      load_register(e, "c", k->c);
    const char *b = constant_of(e, k, prim);
    nib_text_line(e->body, "%s d;", register_type(v, k->d));
    nib_say(e, prim, "d",
            k->a != TABLE ? "a" : k->d == F32 ? "(const float *)pa" : "(const int8_t *)pa", b, "c",
            NULL);
  }
  if (!k->stores)
    nib_say(e, k->d == F32 ? NIB_PRIM_F32_STORE : NIB_PRIM_I32_STORE, NULL,
            nib_word_of("(%s *)pd + i", type_of(k->d)).s, "d", NULL, NULL);
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

/* Tails that are tried: one lane, and all but one. */
static int tails_of(const prim_case *k, const nib_vocab *v, int out[3]) {
  out[0] = 0, out[1] = 1, out[2] = v->lanes - 1;
  return k->loads || k->stores ? (v->lanes > 2 ? 3 : 2) : 1;
}

static const char driver[] =
    "enum { elems = 256 };\n"
    "typedef void function(const void *, const void *, const void *, void *);\n"
    "typedef struct row {\n"
    "  const char *name;\n"
    "  function *f, *reference;\n"
    "  int tail, lanes, bytes, load, real, values[3];\n"
    "} row;\n"
    "static uint64_t state = 7;\n"
    "static uint64_t next_random(void) {\n"
    "  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);\n"
    "  const uint64_t x = state ^ state >> 33;\n"
    "  return x * UINT64_C(0xff51afd7ed558ccd) ^ x >> 29;\n"
    "}\n"
    "static void fill(int32_t *to, int values) {\n"
    "  static const int32_t ends[] = {0, 1, -1, INT32_MAX, INT32_MIN, INT32_MIN + 1, 127, -128, 255};\n"
    "  static const float reals[] = {0.0f, -0.0f, 0.5f, -0.5f, 1.5f, 2.5f, 2147483648.0f,\n"
    "                                -2147483648.0f, INFINITY, -INFINITY, 4194304.5f, 0.49999997f, NAN};\n"
    "  for (int i = 0; i < elems; i++) {\n"
    "    const uint64_t r = next_random();\n"
    "    const int32_t any = (r & 7) == 0 ? ends[(r >> 8) % 9] : (int32_t)(uint32_t)(r >> 32) >> (r % 31);\n"
    "    float real = (r & 7) == 0 ? reals[(r >> 8) % 13] : ldexpf((float)(int32_t)(uint32_t)(r >> 32), -(int)(r % 40));\n"
    "    int32_t x = any;\n"
    "    if (values == SHIFTS) x = (int32_t)(r % 38) - 30;\n"
    "    if (values == RIGHTS) x = -2 - (int32_t)(r % 28);\n"
    "    if (values == MULTIPLIERS) x = r % 16 ? (int32_t)((r >> 20) % (1u << 30)) + (1 << 30) : 0;\n"
    "    if (values == BYTES) x = (int32_t)(r % 256);\n"
    "    if (values == SUMS) x = (int32_t)(uint32_t)(r >> 32) >> (8 + r % 20);\n"
    "    if (values == SCALES) real = ldexpf((float)((r >> 20) % 65536) + 1.0f, -24);\n"
    "    to[i] = x;\n"
    "    if (values == SCALES || values == REALS) memcpy(to + i, &real, sizeof real);\n"
    "  }\n"
    "}\n"
    "static int32_t pa[elems + 64], pb[elems], pc[elems], want[elems], got[elems];\n"
    "static int differs(const row *k, int i) {\n"
    "  const char *x = (const char *)want + i * k->bytes, *y = (const char *)got + i * k->bytes;\n"
    "  float a, b;\n"
    "  memcpy(&a, x, k->bytes < 4 ? 0 : 4), memcpy(&b, y, k->bytes < 4 ? 0 : 4);\n"
    "  if (k->real && a != a && b != b) return 0;\n"
    "  return memcmp(x, y, (size_t)k->bytes) != 0;\n"
    "}\n"
    "int main(void) {\n"
    "  int failures = 0;\n"
    "  for (const row *k = rows; k->name; k++)\n"
    "    for (int round = 0; round < 40; round++) {\n"
    "      fill(pa, k->values[0]), fill(pb, k->values[1]), fill(pc, k->values[2]);\n"
    "      memset(want, 0x5a, sizeof want), memset(got, 0x5a, sizeof got);\n"
    "      k->reference(pa, pb, pc, want);\n"
    "      k->f(pa, pb, pc, got);\n"
    "      for (int i = 0; k->tail && i < elems; i++) /* past the tail */\n"
    "        if (i % k->lanes >= k->tail)\n"
    "          memset((char *)want + i * k->bytes, k->load ? 0 : 0x5a, (size_t)k->bytes);\n"
    "      int bad = 0;\n"
    "      for (int i = 0; i < elems && !bad; i++)\n"
    "        if ((bad = differs(k, i)))\n"
    "          printf(\"%s, tail %d: element %d differs in round %d: %08x instead of %08x from %08x %08x %08x\\n\",\n"
    "                 k->name, k->tail, i, round, (unsigned)got[i], (unsigned)want[i], (unsigned)pa[i],\n"
    "                 (unsigned)pb[i], (unsigned)pc[i]);\n"
    "      failures += bad;\n"
    "      if (bad) break;\n"
    "    }\n"
    "  printf(\"%d failures\\n\", failures);\n"
    "  return failures != 0;\n"
    "}\n";

static bool is_tried(const nib_vocab *v) {
  return strncmp(v->name, "rvv", 3) == 0 && !v->real_f16 && !v->type_half;
}

static int vlen_of(const nib_vocab *v) { return atoi(v->name + 3); }

static bool says(const nib_vocab *v, const prim_case *k) { return nib_vocab_prim(v, k->prim); }

static void write_vocabulary(nib_emitter *e) {
  for (int i = 0; i < N_CASES; i++) {
    int tails[3];
    const int n = e->vocab->lanes == 1 ? 1 : tails_of(&cases[i], e->vocab, tails);
    for (int t = 0; says(e->vocab, &cases[i]) + (e->vocab->lanes == 1) && t < n; t++)
      write_function(e, &cases[i], i, e->vocab->lanes == 1 ? 0 : tails[t]);
  }
}

static void write_rows(const nib_vocab *v, nib_text *rows) {
  for (int i = 0; i < N_CASES; i++) {
    const prim_case *k = &cases[i];
    int tails[3];
    const int n = tails_of(k, v, tails);
    for (int t = 0; says(v, k) && t < n; t++)
      nib_text_line(rows,
                    "  {\"%s %s\", f%d_%d_%s, f%d_0_c99, %d, %d, %d, %d, %d, {%d, %d, %d}},",
                    v->name, nib_prim_name(k->prim), i, tails[t], v->name, i, tails[t], v->lanes,
                    bytes_of(k->d), k->loads, k->d == F32, k->va, k->vb, k->vc);
  }
}

/* Paragraphs of `text` that are not there yet: those of LMUL 8 that work in halves bring LMUL 4's. */
static void add_support(const char *text, nib_text *to) {
  while (*text) {
    const char *end = strstr(text + 1, "\n//@ ");
    const size_t size = end ? (size_t)(end - text) + 1 : strlen(text);
    char *paragraph = calloc(size + 1, 1);
    if (!paragraph)
      return;
    memcpy(paragraph, text, size);
    if (!to->size || !strstr(to->data, paragraph))
      nib_text_printf(to, "%s\n", paragraph);
    free(paragraph);
    text += size;
  }
}

/* All vocabularies for vectors of `vlen` bits, in one program. */
static bool write_program(const char *path, int vlen) {
  nib_text body, rows;
  nib_text_init(&body);
  nib_text_init(&rows);
  nib_emitter e = {.vocab = nib_vocab_find("c99"), .body = &body};
  FILE *f = fopen(path, "w");
  if (!f)
    return false;
  fprintf(f, "#include <math.h>\n#include <riscv_vector.h>\n#include <stdint.h>\n#include <stdio.h>\n"
             "#include <string.h>\n"
             "enum { ANY, SHIFTS, RIGHTS, MULTIPLIERS, SCALES, BYTES, REALS, SUMS };\n");
  write_vocabulary(&e);
  nib_text support;
  nib_text_init(&support);
  add_support(e.vocab->support, &support);
  const nib_vocab *v;
  for (size_t i = 0; (v = nib_vocab_at(i)); i++)
    if (is_tried(v) && vlen_of(v) == vlen) {
      e.vocab = v;
      add_support(v->support, &support);
      write_vocabulary(&e);
      write_rows(v, &rows);
    }
  nib_snippets_scan(body.data, e.snippets);
  nib_text snippets;
  nib_text_init(&snippets);
  nib_snippets_append(e.snippets, &snippets);
  fprintf(f, "%s\n%s\n%s\n", snippets.size ? snippets.data : "",
          support.data, body.data);
  const char *end = strstr(driver, "static uint64_t state");
  fprintf(f, "%.*s", (int)(end - driver), driver);
  fprintf(f, "static const row rows[] = {\n%s  {0},\n};\n%s", rows.data, end);
  nib_text_free(&body);
  nib_text_free(&rows);
  nib_text_free(&support);
  nib_text_free(&snippets);
  return fclose(f) == 0;
}

int main(int argc, char **argv) {
  if (argc < 3)
    return 2;
  mkdir(argv[1], 0777);
  int failures = 0;
  for (int compiled = 128; compiled <= 512; compiled *= 2) {
    char path[512], command[1024];
    snprintf(path, sizeof path, "%s/v%d.c", argv[1], compiled);
    snprintf(command, sizeof command,
             "%s --target=riscv64-linux-gnu -march=rv64gcv_zvl%db -O1 -ffp-contract=off -w -static "
             "-fuse-ld=lld '%s' -lm -o '%s/v%d'",
             argv[2], compiled, path, argv[1], compiled);
    if (!write_program(path, compiled) || system(command) != 0) {
      printf("VLEN %d: does not compile\n", compiled);
      failures++;
      continue;
    }
    for (int vlen = compiled; vlen <= 1024; vlen *= 2) {
      snprintf(command, sizeof command, "qemu-riscv64 -cpu rv64,v=true,vlen=%d '%s/v%d'", vlen,
               argv[1], compiled);
      printf("compiled for %d, run with %d: ", compiled, vlen);
      fflush(stdout);
      failures += system(command) != 0;
    }
  }
  return failures != 0;
}
