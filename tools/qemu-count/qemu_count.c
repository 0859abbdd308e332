/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A TCG plugin of QEMU that counts the instructions of one call of a RISC-V program: all of them,
 * vector ones by how many registers they work on, both for each part of the program.
 *
 *   -plugin nib_qemu_count.so,plan=FILE,counts=FILE
 *
 * The plan has one line for each of
 *   entry A      the call begins before the instruction at A
 *   return A     and ends before the one at A
 *   body A B     instructions in [A, B) belong to part 0
 *   part A       a function at A; it and all that it calls are the next part, 1 and up
 *   skip A B     instructions in [A, B) are not counted
 * with addresses in hexadecimal. At the end of the first call the plugin writes "total instructions
 * weighted" and a line "part number instructions weighted" each, and leaves.
 *
 * An instruction's weight is 1, a vector instruction's the registers that it works on: LMUL, of
 * loads and stores EMUL times their fields, and at least 1; moves between a scalar and element 0,
 * and logic of masks, have 1; moves, loads and stores of whole registers their number. vsetvli
 * has 1. LMUL is followed as it is set, so that the weights are exact.
 *
 * QEMU's header for plugins is in no package: what is used of the interface, version 3, is declared
 * here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
typedef struct plugin_u64 {
  struct qemu_plugin_scoreboard *score;
  size_t offset;
} plugin_u64;
typedef struct plugin_info plugin_info;
enum { NO_REGISTERS = 0, INLINE_ADD = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*f)(plugin_id, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*f)(unsigned, void *), int flags, void *user);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
                                                         int operation, plugin_u64 entry,
                                                         uint64_t value);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_get(plugin_u64 entry, unsigned vcpu);
void qemu_plugin_uninstall(plugin_id id, void (*f)(plugin_id));

EXPORT int qemu_plugin_version = 3;
EXPORT int qemu_plugin_install(plugin_id id, const plugin_info *info, int argc, char **argv);

enum { MOST_PARTS = 4096 };

typedef struct range {
  uint64_t begin, end;
} range;

static struct {
  plugin_id id;
  uint64_t entry, behind, parts[MOST_PARTS];
  range body, skip;
  int n_parts; /* without part 0 */
  const char *counts;
} plan;

static plugin_u64 executed; /* before the instruction that asks */
static uint64_t extra;      /* weights beyond 1 */
static int sew = 8, lmul_eighths = 8;
static bool active, done;
static int owner;
static uint64_t instructions[MOST_PARTS + 1], weighted[MOST_PARTS + 1], last, last_extra;

static bool is_in(range r, uint64_t address) { return address >= r.begin && address < r.end; }

/* What was executed since the last look belongs to `owner`. */
static void settle(unsigned vcpu, int next) {
  const uint64_t now = qemu_plugin_u64_get(executed, vcpu);
  instructions[owner] += now - last;
  weighted[owner] += now - last + extra - last_extra;
  last = now;
  last_extra = extra;
  owner = next;
}

static void on_entry(unsigned vcpu, void *user) {
  (void)user;
  if (done)
    return;
  active = true;
  owner = 0;
  last = qemu_plugin_u64_get(executed, vcpu);
  last_extra = extra;
}

static void on_return(unsigned vcpu, void *user) {
  (void)user;
  if (!active || done)
    return;
  settle(vcpu, 0);
  done = true;
  active = false;
  FILE *file = fopen(plan.counts, "w");
  if (!file)
    return;
  uint64_t n = 0, w = 0;
  for (int i = 0; i <= plan.n_parts; ++i) {
    n += instructions[i];
    w += weighted[i];
  }
  fprintf(file, "total %" PRIu64 " %" PRIu64 "\n", n, w);
  for (int i = 0; i <= plan.n_parts; ++i)
    fprintf(file, "part %d %" PRIu64 " %" PRIu64 "\n", i, instructions[i], weighted[i]);
  fclose(file);
  qemu_plugin_uninstall(plan.id, NULL);
}

static void on_part(unsigned vcpu, void *user) {
  if (active)
    settle(vcpu, (int)(intptr_t)user);
}

static void on_body(unsigned vcpu, void *user) {
  (void)user;
  if (active && owner)
    settle(vcpu, 0);
}

/* user: the vtype that the instruction sets. */
static void on_vtype(unsigned vcpu, void *user) {
  (void)vcpu;
  const unsigned vtype = (unsigned)(uintptr_t)user;
  const int log2 = (int)(vtype & 3) - (vtype & 4 ? 4 : 0);
  lmul_eighths = log2 < 0 ? 8 >> -log2 : 8 << log2;
  sew = 8 << (vtype >> 3 & 7);
}

/* ---- the weights of vector instructions ---- */

static int weight_of(int eighths) { return eighths > 8 ? eighths / 8 : 1; }

static void on_arithmetic(unsigned vcpu, void *user) {
  (void)vcpu, (void)user;
  extra += (uint64_t)weight_of(lmul_eighths) - 1;
}

static void on_fixed(unsigned vcpu, void *user) {
  (void)vcpu;
  extra += (uint64_t)(uintptr_t)user - 1;
}

/* user: the width of the instruction's elements, then its fields. */
static void on_memory(unsigned vcpu, void *user) {
  (void)vcpu;
  const int width = (int)((uintptr_t)user & 0xff), fields = (int)((uintptr_t)user >> 8);
  extra += (uint64_t)(weight_of(lmul_eighths * width / sew) * fields) - 1;
}

/* The same with the elements' width in vtype, as of data where an index is beside it. */
static void on_indexed(unsigned vcpu, void *user) {
  (void)vcpu;
  extra += (uint64_t)(weight_of(lmul_eighths) * (int)(uintptr_t)user) - 1;
}

typedef void callback(unsigned, void *);

static callback *classify_memory(uint32_t code, uintptr_t *user) {
  static const int widths[8] = {8, 0, 0, 0, 0, 16, 32, 64}; /* others are scalar floats */
  const int width = widths[code >> 12 & 7];
  const unsigned mode = code >> 26 & 3, variant = code >> 20 & 31, fields = (code >> 29 & 7) + 1;
  if (!width)
    return NULL;
  if (mode == 0 && (variant == 8 || variant == 11)) { /* whole registers, masks */
    *user = variant == 8 ? fields : 1;
    return on_fixed;
  }
  *user = mode & 1 ? fields : (uintptr_t)width | (uintptr_t)fields << 8;
  return mode & 1 ? on_indexed : on_memory;
}

static callback *classify(uint32_t code, uintptr_t *user) {
  enum { LOAD_FP = 0x07, STORE_FP = 0x27, OP_V = 0x57, OP_VE = 0x77 };
  const unsigned opcode = code & 127, funct3 = code >> 12 & 7, funct6 = code >> 26;
  if (opcode == LOAD_FP || opcode == STORE_FP)
    return classify_memory(code, user);
  if (opcode == OP_VE)
    return on_arithmetic;
  if (opcode != OP_V)
    return NULL;
  if (funct3 == 7) { /* vsetvli, vsetivli; vsetvl keeps what was there, compilers restore with it */
    if (code >> 30 == 2)
      return NULL;
    *user = code >> 20 & (code >> 31 ? 0x3ff : 0x7ff);
    return on_vtype;
  }
  const bool is_scalar_move = /* with vcpop and vfirst, of a mask */
      funct6 == 0x10 && (funct3 == 1 || funct3 == 2 || funct3 == 5 || funct3 == 6);
  const bool is_mask_logic = funct3 == 2 && funct6 >= 0x18 && funct6 <= 0x1f;
  const bool is_whole_move = funct3 == 3 && funct6 == 0x27;
  if (is_scalar_move || is_mask_logic || is_whole_move) {
    *user = is_whole_move ? (code >> 15 & 31) + 1 : 1;
    return on_fixed;
  }
  return on_arithmetic;
}

static void watch(struct qemu_plugin_insn *insn) {
  const uint64_t at = qemu_plugin_insn_vaddr(insn);
  if (is_in(plan.skip, at))
    return;
  if (at == plan.entry)
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_entry, NO_REGISTERS, NULL);
  if (at == plan.behind)
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_return, NO_REGISTERS, NULL);
  if (is_in(plan.body, at))
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_body, NO_REGISTERS, NULL);
  for (int i = 0; i < plan.n_parts; ++i)
    if (at == plan.parts[i])
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_part, NO_REGISTERS,
                                             (void *)(intptr_t)(i + 1));
  qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, INLINE_ADD, executed, 1);
  uint32_t code = 0;
  uintptr_t user = 0;
  if (qemu_plugin_insn_data(insn, &code, sizeof code) != sizeof code)
    return;
  callback *f = classify(code, &user);
  if (f)
    qemu_plugin_register_vcpu_insn_exec_cb(insn, f, NO_REGISTERS, (void *)user);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb) {
  (void)id;
  const size_t n = qemu_plugin_tb_n_insns(tb);
  for (size_t i = 0; i < n; ++i)
    watch(qemu_plugin_tb_get_insn(tb, i));
}

/* ---- beginning ---- */

static bool read_plan(const char *path) {
  FILE *file = fopen(path, "r");
  char word[16];
  bool ok = file != NULL;
  while (ok && fscanf(file, "%15s", word) == 1) {
    if (strcmp(word, "entry") == 0) {
      ok = fscanf(file, "%" SCNx64, &plan.entry) == 1;
    } else if (strcmp(word, "return") == 0) {
      ok = fscanf(file, "%" SCNx64, &plan.behind) == 1;
    } else if (strcmp(word, "part") == 0) {
      ok = plan.n_parts < MOST_PARTS && fscanf(file, "%" SCNx64, &plan.parts[plan.n_parts]) == 1;
      ++plan.n_parts;
    } else {
      range *r = strcmp(word, "body") == 0   ? &plan.body
                 : strcmp(word, "skip") == 0 ? &plan.skip
                                             : NULL;
      ok = r && fscanf(file, "%" SCNx64 " %" SCNx64, &r->begin, &r->end) == 2;
    }
  }
  if (file)
    fclose(file);
  return ok;
}

int qemu_plugin_install(plugin_id id, const plugin_info *info, int argc, char **argv) {
  (void)info;
  plan.id = id;
  bool ok = false;
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "plan=", 5) == 0)
      ok = read_plan(argv[i] + 5);
    if (strncmp(argv[i], "counts=", 7) == 0)
      plan.counts = strdup(argv[i] + 7);
  }
  if (!ok || !plan.counts) {
    fprintf(stderr, "nib_qemu_count: plan=FILE and counts=FILE are needed\n");
    return -1;
  }
  executed = (plugin_u64){qemu_plugin_scoreboard_new(sizeof(uint64_t)), 0};
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  return 0;
}
