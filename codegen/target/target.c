/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The targets: one table of processors, one of features and what each implies. */
#include "target/target.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define BIT NIB_FEATURE_BIT

#define V2 BIT(SSE41)
#define V3 (V2 | BIT(AVX) | BIT(AVX2) | BIT(FMA) | BIT(F16C))
#define V4 (V3 | BIT(AVX512F) | BIT(AVX512BW) | BIT(AVX512DQ) | BIT(AVX512VL) | BIT(AVX512CD))
#define ICELAKE (V4 | BIT(AVX512VNNI) | BIT(AVX512VBMI))

static const struct {
  const char *name;
  nib_arch arch;
  bool ours;
} features[NIB_FEATURE_COUNT] = {
#define X(ID, text, family, is_ours) [NIB_FEATURE_##ID] = {text, NIB_ARCH_##family, is_ours},
    NIB_FEATURES(X)
#undef X
};

/* What LLVM switches on together with a feature. */
static const struct {
  nib_feature feature;
  nib_feature_set implies;
} implications[] = {
    {NIB_FEATURE_AVX, BIT(SSE41)},
    {NIB_FEATURE_AVX2, BIT(AVX)},
    {NIB_FEATURE_FMA, BIT(AVX)},
    {NIB_FEATURE_F16C, BIT(AVX)},
    {NIB_FEATURE_AVX512F, BIT(AVX2) | BIT(FMA) | BIT(F16C)},
    {NIB_FEATURE_AVX512BW, BIT(AVX512F)},
    {NIB_FEATURE_AVX512DQ, BIT(AVX512F)},
    {NIB_FEATURE_AVX512VL, BIT(AVX512F)},
    {NIB_FEATURE_AVX512CD, BIT(AVX512F)},
    {NIB_FEATURE_AVX512VNNI, BIT(AVX512F)},
    {NIB_FEATURE_AVX512VBMI, BIT(AVX512BW)},
    {NIB_FEATURE_AVX512FP16, BIT(AVX512BW)},
    {NIB_FEATURE_AVXVNNI, BIT(AVX2)},
    {NIB_FEATURE_D, BIT(F)},
    {NIB_FEATURE_ZFHMIN, BIT(F)},
    {NIB_FEATURE_ZFH, BIT(ZFHMIN)},
    {NIB_FEATURE_ZHINX, BIT(ZFINX)},
    {NIB_FEATURE_V, BIT(D)},
    {NIB_FEATURE_ZVFHMIN, BIT(V)},
    {NIB_FEATURE_ZVFH, BIT(ZVFHMIN) | BIT(ZFHMIN)},
    {NIB_FEATURE_ZVL128B, BIT(V)},
    {NIB_FEATURE_ZVL256B, BIT(ZVL128B)},
    {NIB_FEATURE_ZVL512B, BIT(ZVL256B)},
    {NIB_FEATURE_ZVL1024B, BIT(ZVL512B)},
    {NIB_FEATURE_ZVQDOTQ, BIT(V)},
    {NIB_FEATURE_XTHEADVDOT, BIT(V)},
    {NIB_FEATURE_XANDESVDOT, BIT(V)},
    {NIB_FEATURE_XFVECMIN, BIT(ZHINX)},
    {NIB_FEATURE_XFVEC, BIT(XFVECMIN)},
    {NIB_FEATURE_VFDOTPEX, BIT(XFVEC)},
    {NIB_FEATURE_VFDOTPEX2, BIT(VFDOTPEX)},
    {NIB_FEATURE_VFCPKA, BIT(XFVECMIN)},
};

/* Cache sizes are per core (the third level: a fair share); bandwidths are sustained reads of one
 * core, in bytes per cycle. */
#define MACHINE_SCALAR                                                                             \
  { 2.0, 4, 16, 32e3, 256e3, 1e6, 8, 8, 4, 2 }
#define MACHINE_SSE                                                                                \
  { 3.0, 16, 16, 32e3, 256e3, 2e6, 32, 16, 8, 4 }
#define MACHINE_AVX2                                                                               \
  { 3.0, 32, 16, 32e3, 512e3, 2e6, 64, 32, 12, 4 }
#define MACHINE_AVX512                                                                             \
  { 2.8, 64, 32, 32e3, 1e6, 1.5e6, 128, 48, 10, 4 }
#define MACHINE_GOLDEN_COVE                                                                        \
  { 2.8, 64, 32, 48e3, 2e6, 1.9e6, 128, 48, 10, 4 }

/* GPUs count as one processor: bandwidths are those of all multiprocessors together, the first
 * level is shared memory. */
#define MACHINE_AMPERE                                                                             \
  { 1.41, 16, 255, 164e3, 40e6, 40e6, 13824, 3600, 3600, 1400 }
#define MACHINE_AMPERE_RTX                                                                         \
  { 1.7, 16, 255, 100e3, 6e6, 6e6, 10496, 1200, 1200, 500 }
#define MACHINE_HOPPER                                                                             \
  { 1.7, 16, 255, 227e3, 50e6, 50e6, 16896, 3300, 3300, 1900 }
#define MACHINE_BLACKWELL                                                                          \
  { 1.8, 16, 255, 227e3, 126e6, 126e6, 18944, 6000, 6000, 4400 }
#define CUDA_ROW(name, description, more, machine)                                                 \
  {                                                                                                \
    name, description, "nvptx64-nvidia-cuda", name, BIT(CUDA) | (more), machine, NIB_ARCH_CUDA, 0, \
        false                                                                                      \
  }

/* A small in-order core, without and with vectors. */
#define MACHINE_RISCV_MCU                                                                          \
  { 0.2, 4, 28, 32e3, 512e3, 512e3, 4, 4, 4, 2 }
#define MACHINE_RISCV                                                                              \
  { 1.5, 8, 28, 32e3, 512e3, 1e6, 8, 8, 4, 2 }
#define RISCV_ROW(name, description, xlen, bare_metal, features, machine)                          \
  {                                                                                                \
    name, description, name, "rv" #xlen "imac", features, machine, NIB_ARCH_RISCV, xlen,           \
        bare_metal                                                                                 \
  }

typedef struct target_row {
  const char *name, *description, *triple, *cpu;
  nib_feature_set features;
  nib_machine machine;
  nib_arch arch; /* ANY: x86 where there is a processor */
  int32_t xlen;
  bool bare_metal;
} target_row;

#define ROW(name, description, triple, cpu, features, machine)                                     \
  { name, description, triple, cpu, features, machine, NIB_ARCH_ANY, 0, false }

static const target_row rows[] = {
    ROW("c99", "portable C, no intrinsics, any processor", NULL, NULL, 0, MACHINE_SCALAR),
    ROW("native", "the processor that nibc runs on", NULL, "native", 0, MACHINE_AVX2),
    ROW("x86-64", "64-bit x86, SSE2", NULL, "x86-64", 0, MACHINE_SSE),
    ROW("x86-64-v2", "64-bit x86, SSE4.1", NULL, "x86-64-v2", V2, MACHINE_SSE),
    ROW("x86-64-v3", "64-bit x86, AVX2", NULL, "x86-64-v3", V3, MACHINE_AVX2),
    ROW("x86-64-v4", "64-bit x86, AVX512", NULL, "x86-64-v4", V4, MACHINE_AVX512),
    ROW("haswell", "Intel Haswell", NULL, "haswell", V3, MACHINE_AVX2),
    ROW("skylake", "Intel Skylake (client)", NULL, "skylake", V3, MACHINE_AVX2),
    ROW("skylake-avx512", "Intel Skylake (server)", NULL, "skylake-avx512", V4, MACHINE_AVX512),
    ROW("cascadelake", "Intel Cascade Lake", NULL, "cascadelake", V4 | BIT(AVX512VNNI),
        MACHINE_AVX512),
    ROW("icelake-server", "Intel Ice Lake (server)", NULL, "icelake-server", ICELAKE,
        MACHINE_AVX512),
    ROW("sapphirerapids", "Intel Sapphire Rapids", NULL, "sapphirerapids",
        ICELAKE | BIT(AVX512FP16) | BIT(AVXVNNI), MACHINE_GOLDEN_COVE),
    ROW("alderlake", "Intel Alder Lake", NULL, "alderlake", V3 | BIT(AVXVNNI), MACHINE_AVX2),
    ROW("znver3", "AMD Zen 3", NULL, "znver3", V3, MACHINE_AVX2),
    ROW("znver4", "AMD Zen 4", NULL, "znver4", ICELAKE, MACHINE_AVX512),
    ROW("znver5", "AMD Zen 5", NULL, "znver5", ICELAKE | BIT(AVXVNNI), MACHINE_AVX512),
    CUDA_ROW("sm_80", "NVIDIA Ampere (A100)", 0, MACHINE_AMPERE),
    CUDA_ROW("sm_86", "NVIDIA Ampere (RTX 30)", 0, MACHINE_AMPERE_RTX),
    CUDA_ROW("sm_89", "NVIDIA Ada (RTX 40, L4)", BIT(CUDA_FP8), MACHINE_AMPERE_RTX),
    CUDA_ROW("sm_90a", "NVIDIA Hopper (H100, H200)", BIT(CUDA_FP8) | BIT(WGMMA), MACHINE_HOPPER),
    CUDA_ROW("sm_100", "NVIDIA Blackwell (B200)", BIT(CUDA_FP8), MACHINE_BLACKWELL),
    CUDA_ROW("sm_120", "NVIDIA Blackwell (RTX 50)", BIT(CUDA_FP8), MACHINE_AMPERE_RTX),
    ROW("x86_64-linux-gnu", "triple: 64-bit x86, Linux", "x86_64-linux-gnu", "x86-64", 0,
        MACHINE_SSE),
    ROW("x86_64-pc-linux-gnu", "triple: 64-bit x86, Linux", "x86_64-pc-linux-gnu", "x86-64", 0,
        MACHINE_SSE),
    ROW("x86_64-unknown-linux-gnu", "triple: 64-bit x86, Linux", "x86_64-unknown-linux-gnu",
        "x86-64", 0, MACHINE_SSE),
    RISCV_ROW("riscv64-linux-gnu", "triple: 64-bit RISC-V, Linux", 64, false, BIT(F) | BIT(D),
              MACHINE_RISCV),
    RISCV_ROW("riscv64-unknown-elf", "triple: 64-bit RISC-V, bare metal", 64, true, BIT(F) | BIT(D),
              MACHINE_RISCV),
    RISCV_ROW("riscv32-unknown-elf", "triple: 32-bit RISC-V, bare metal", 32, true, 0,
              MACHINE_RISCV_MCU),
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

#if defined(__x86_64__)

/* cpuid leaf, subleaf, register (a b c d as 0..3), bit: where the processor says it has a feature.
 */
static const struct {
  nib_feature feature;
  unsigned leaf, subleaf, reg, bit;
} cpuid_bits[] = {
    {NIB_FEATURE_SSE41, 1, 0, 2, 19},      {NIB_FEATURE_AVX, 1, 0, 2, 28},
    {NIB_FEATURE_FMA, 1, 0, 2, 12},        {NIB_FEATURE_F16C, 1, 0, 2, 29},
    {NIB_FEATURE_AVX2, 7, 0, 1, 5},        {NIB_FEATURE_AVX512F, 7, 0, 1, 16},
    {NIB_FEATURE_AVX512DQ, 7, 0, 1, 17},   {NIB_FEATURE_AVX512CD, 7, 0, 1, 28},
    {NIB_FEATURE_AVX512BW, 7, 0, 1, 30},   {NIB_FEATURE_AVX512VL, 7, 0, 1, 31},
    {NIB_FEATURE_AVX512VBMI, 7, 0, 2, 1},  {NIB_FEATURE_AVX512VNNI, 7, 0, 2, 11},
    {NIB_FEATURE_AVX512FP16, 7, 0, 3, 23}, {NIB_FEATURE_AVXVNNI, 7, 1, 0, 4},
};

static bool cpuid_count(unsigned leaf, unsigned subleaf, unsigned out_regs[4]) {
  if (__get_cpuid_max(leaf & 0x80000000u, NULL) < leaf)
    return false;
  __cpuid_count(leaf, subleaf, out_regs[0], out_regs[1], out_regs[2], out_regs[3]);
  return true;
}

/* Register state that the operating system saves (XCR0). */
static uint64_t saved_state(void) {
  unsigned regs[4];
  if (!cpuid_count(1, 0, regs) || !(regs[2] >> 27 & 1)) // OSXSAVE
    return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static nib_feature_set host_features(void) {
  nib_feature_set found = 0;
  for (size_t i = 0; i < sizeof cpuid_bits / sizeof cpuid_bits[0]; ++i) {
    unsigned regs[4];
    if (cpuid_count(cpuid_bits[i].leaf, cpuid_bits[i].subleaf, regs) &&
        (regs[cpuid_bits[i].reg] >> cpuid_bits[i].bit & 1))
      found |= (nib_feature_set)1 << cpuid_bits[i].feature;
  }
  const uint64_t state = saved_state();
  if ((state & 0x06) != 0x06) // xmm, ymm
    return found & BIT(SSE41);
  if ((state & 0xe6) != 0xe6) // opmask, zmm
    found &= V3 | BIT(AVXVNNI);
  return found;
}

/* Data and unified cache sizes; the leaf differs between vendors. */
static void host_caches(nib_machine *m) {
  static const unsigned leaves[] = {4, 0x8000001d};
  for (size_t l = 0; l < 2; ++l)
    for (unsigned i = 0; i < 16; ++i) {
      unsigned r[4];
      if (!cpuid_count(leaves[l], i, r) || (r[0] & 31) == 0)
        break;
      if ((r[0] & 31) == 2) // instructions
        continue;
      const double bytes = (double)((r[1] >> 22) + 1) * ((r[1] >> 12 & 1023) + 1) *
                           ((r[1] & 4095) + 1) * ((double)r[2] + 1);
      const double sharing = (r[0] >> 14 & 4095) + 1;
      const unsigned level = r[0] >> 5 & 7;
      if (level == 1)
        m->l1_bytes = bytes;
      else if (level == 2)
        m->l2_bytes = bytes;
      else if (level == 3) // logical processors share it; two to a core
        m->l3_bytes = sharing > 2 ? bytes * 2 / sharing : bytes;
    }
}

static nib_machine host_machine(nib_feature_set have) {
  static const nib_machine sse = MACHINE_SSE, avx2 = MACHINE_AVX2, avx512 = MACHINE_AVX512;
  nib_machine m = have & BIT(AVX512F) ? avx512 : have & BIT(AVX2) ? avx2 : sse;
  host_caches(&m);
  return m;
}

#else

static nib_feature_set host_features(void) { return 0; }
static nib_machine host_machine(nib_feature_set have) {
  static const nib_machine scalar = MACHINE_SCALAR;
  (void)have;
  return scalar;
}

#endif

static nib_feature_set directly_implied(nib_feature feature) {
  for (size_t i = 0; i < sizeof implications / sizeof implications[0]; ++i)
    if (implications[i].feature == feature)
      return implications[i].implies;
  return 0;
}

/* `feature` and all that it implies. */
static nib_feature_set closure(nib_feature feature) {
  nib_feature_set set = (nib_feature_set)1 << feature;
  for (nib_feature_set before = 0; before != set;) {
    before = set;
    for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
      if (set >> f & 1)
        set |= directly_implied((nib_feature)f);
  }
  return set;
}

/* `feature` and all that imply it. */
static nib_feature_set dependents(nib_feature feature) {
  nib_feature_set set = 0;
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
    if (closure((nib_feature)f) >> feature & 1)
      set |= (nib_feature_set)1 << f;
  return set;
}

static void append(char *text, size_t capacity, const char *word) {
  const size_t used = strlen(text);
  if (used < capacity)
    snprintf(text + used, capacity - used, "%s", word);
}

static const target_row *find_row(const char *name, size_t size) {
  for (size_t i = 0; i < ROW_COUNT; ++i)
    if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
      return &rows[i];
  return NULL;
}

static nib_feature find_feature(const char *name, size_t size) {
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
    if (strlen(features[f].name) == size && memcmp(features[f].name, name, size) == 0)
      return (nib_feature)f;
  return NIB_FEATURE_COUNT;
}

static nib_status unknown_target(const char *spec, int size, const nib_diag *diag) {
  char list[1024] = "";
  for (size_t i = 0; i < ROW_COUNT; ++i) {
    append(list, sizeof list, i ? ", " : "");
    append(list, sizeof list, rows[i].name);
  }
  return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "unknown target '%.*s'; there are: %s",
                        size > 80 ? 80 : size, spec, list);
}

static nib_arch row_arch(const target_row *row) {
  return row->arch == NIB_ARCH_ANY && row->cpu ? NIB_ARCH_X86 : row->arch;
}

/* With the features of the target's family alone. */
static nib_status unknown_feature(const target_row *row, const char *name, int size,
                                  const nib_diag *diag) {
  char list[1024] = "";
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
    if (row_arch(row) == NIB_ARCH_ANY || features[f].arch == row_arch(row)) {
      append(list, sizeof list, list[0] ? ", " : "");
      append(list, sizeof list, features[f].name);
    }
  return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                        "unknown target feature '%.*s'; there are: %s", size > 80 ? 80 : size, name,
                        list);
}

/* Whether a known feature may be added to or taken from `row`; what to do instead. */
static nib_status check_feature(const target_row *row, nib_feature feature, bool remove,
                                const nib_diag *diag) {
  static const char *const takers[] = {[NIB_ARCH_ANY] = "x86-64",
                                       [NIB_ARCH_X86] = "x86-64",
                                       [NIB_ARCH_CUDA] = "sm_90a",
                                       [NIB_ARCH_RISCV] = "riscv64-linux-gnu"};
  const nib_arch arch = row_arch(row), of = features[feature].arch;
  const char *name = features[feature].name;
  if (arch == NIB_ARCH_CUDA || of == NIB_ARCH_CUDA)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "target '%s': features of GPUs come with their target (sm_80, sm_90a, …) "
                          "and cannot be changed",
                          row->name);
  const bool packed = of == NIB_ARCH_RISCV && closure(feature) & BIT(XFVECMIN);
  const char *taker = packed ? "riscv32-unknown-elf" : takers[of];
  if (arch == NIB_ARCH_ANY)
    return remove
               ? NIB_OK
               : nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                                "target '%s' takes no features; use %s+%s", row->name, taker, name);
  if (arch != of)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "target '%s': %s is a feature of %s; use %s+%s", row->name, name,
                          of == NIB_ARCH_X86 ? "x86" : "RISC-V", taker, name);
  if (packed && row->xlen != 32 && !remove)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "target '%s': %s keeps two halves in a 32-bit register; use %s+%s",
                          row->name, name, taker, name);
  return NIB_OK;
}

/* Sets of RISC-V features that no processor has. */
static nib_status check_set(const target_row *row, nib_feature_set set, const nib_diag *diag) {
  if (row_arch(row) != NIB_ARCH_RISCV)
    return NIB_OK;
  if ((set & BIT(F)) && (set & BIT(ZFINX)))
    return nib_diag_error(
        diag, NIB_ERROR_INVALID_USAGE,
        "target '%s': floats are in registers of their own (f) or in those of integers (zfinx), "
        "not in both; %s",
        row->name,
        row->bare_metal ? "take the other away with ,-f or ,-zfinx"
                        : "zfinx goes with riscv32-unknown-elf or riscv64-unknown-elf,-f");
  if (!row->bare_metal && !(set & BIT(D)))
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "target '%s': its calling convention (lp64d) needs f and d; use "
                          "riscv64-unknown-elf to do without",
                          row->name);
  return NIB_OK;
}

/* The row's name, then what differs from the row, in the order of the feature table. A row that
 * stands for the host keeps what was asked, so that one command line has one spelling. */
static void normalise_spec(nib_target *t, nib_feature_set row_features) {
  snprintf(t->spec, sizeof t->spec, "%s", t->name);
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f) {
    /* Masks, not two flags compared: gcc 12 at -O2 gets `was == is` wrong here. */
    const nib_feature_set bit = (nib_feature_set)1 << f;
    if (!((row_features ^ t->features) & bit))
      continue;
    append(t->spec, sizeof t->spec, t->features & bit ? "+" : ",-");
    append(t->spec, sizeof t->spec, features[f].name);
  }
}

/* Features beyond the row's bring their register width. */
static void widen_machine(nib_target *t) {
  if (t->arch == NIB_ARCH_X86) {
    const nib_machine sse = MACHINE_SSE, avx2 = MACHINE_AVX2, avx512 = MACHINE_AVX512;
    const int width = t->features & BIT(AVX512F) ? 64 : t->features & BIT(AVX2) ? 32 : 16;
    if (width != t->machine.vector_bytes)
      t->machine = width == 64 ? avx512 : width == 32 ? avx2 : sse;
  } else if (t->arch == NIB_ARCH_RISCV && t->features & BIT(V)) {
    const int32_t fixed = nib_target_vlen(t);
    const int bytes = fixed ? fixed / 8 : 16;
    t->machine.vector_bytes = bytes;
    t->machine.vector_registers = 32;
    t->machine.l1_bytes_per_cycle = bytes;
    t->machine.l2_bytes_per_cycle = bytes;
  }
}

nib_status nib_target_parse(const char *spec, nib_target *out_target, const nib_diag *diag) {
  memset(out_target, 0, sizeof *out_target);
  const size_t name_size = strcspn(spec, "+,");
  const target_row *row = find_row(spec, name_size);
  if (!row)
    return unknown_target(spec, name_size > 80 ? 80 : (int)name_size, diag);
  const bool native = strcmp(row->name, "native") == 0;
  const nib_feature_set base = native ? host_features() : row->features;
  nib_feature_set set = base;

  for (const char *at = spec + name_size; *at;) {
    ++at; // the separator
    const bool remove = *at == '-';
    if (*at == '+' || *at == '-')
      ++at;
    const size_t size = strcspn(at, "+,");
    const nib_feature feature = find_feature(at, size);
    if (feature == NIB_FEATURE_COUNT)
      return unknown_feature(row, at, size > 80 ? 80 : (int)size, diag);
    NIB_RETURN_IF_ERROR(check_feature(row, feature, remove, diag));
    set = remove ? set & ~dependents(feature) : set | closure(feature);
    at += size;
  }

  NIB_RETURN_IF_ERROR(check_set(row, set, diag));
  out_target->name = row->name;
  out_target->triple = row->triple;
  out_target->cpu = row->cpu;
  out_target->arch = row_arch(row);
  out_target->xlen = row->xlen;
  out_target->bare_metal = row->bare_metal;
  out_target->features = set;
  out_target->machine = native ? host_machine(set) : row->machine;
  if (!native)
    widen_machine(out_target);
  normalise_spec(out_target, base);
  return NIB_OK;
}

bool nib_target_is_cuda(const nib_target *target) {
  return target && (target->features & BIT(CUDA)) != 0;
}

bool nib_target_is_riscv(const nib_target *target) {
  return target && target->arch == NIB_ARCH_RISCV;
}

bool nib_target_lacks_reals(const nib_target *target) {
  return nib_target_is_riscv(target) &&
         !(target->features & (NIB_FEATURE_BIT(F) | NIB_FEATURE_BIT(ZFINX)));
}

void nib_target_march(const nib_target *target, char *text, size_t capacity) {
  if (capacity)
    text[0] = 0;
  append(text, capacity, target->cpu ? target->cpu : "");
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f) {
    if (!(target->features >> f & 1) || features[f].arch != NIB_ARCH_RISCV || features[f].ours)
      continue;
    append(text, capacity, "_");
    append(text, capacity, features[f].name);
    append(text, capacity, f == NIB_FEATURE_ZVQDOTQ ? "0p0" : ""); // experimental: by its version
  }
}

const char *nib_target_abi(const nib_target *target) {
  static const char *const abis[2][3] = {{"ilp32", "ilp32f", "ilp32d"}, {"lp64", "lp64f", "lp64d"}};
  const nib_feature_set set = target->features;
  return abis[target->xlen == 64][set & BIT(D) ? 2 : set & BIT(F) ? 1 : 0];
}

int32_t nib_target_vlen(const nib_target *target) {
  const nib_feature_set set = target->features;
  return set & BIT(ZVL1024B)  ? 1024
         : set & BIT(ZVL512B) ? 512
         : set & BIT(ZVL256B) ? 256
         : set & BIT(ZVL128B) ? 128
                              : 0;
}

bool nib_target_runs_here(const nib_target *target) {
  if (!target->cpu)
    return true;
  if (target->arch == NIB_ARCH_RISCV)
    return false; // in an emulator
#if defined(__x86_64__)
  return (target->features & ~host_features()) == 0;
#else
  return strcmp(target->cpu, "native") == 0;
#endif
}

const char *nib_feature_name(nib_feature feature) {
  return (unsigned)feature < NIB_FEATURE_COUNT ? features[feature].name : "?";
}

nib_arch nib_feature_arch(nib_feature feature) {
  return (unsigned)feature < NIB_FEATURE_COUNT ? features[feature].arch : NIB_ARCH_ANY;
}

bool nib_feature_is_ours(nib_feature feature) {
  return (unsigned)feature < NIB_FEATURE_COUNT && features[feature].ours;
}

bool nib_target_row(size_t i, const char **out_name, const char **out_description,
                    nib_feature_set *out_features) {
  if (i >= ROW_COUNT)
    return false;
  *out_name = rows[i].name;
  *out_description = rows[i].description;
  *out_features = strcmp(rows[i].name, "native") == 0 ? host_features() : rows[i].features;
  return true;
}
