/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_target
#include "target/target.h"

#include <stdio.h>
#include <string.h>

static int failures;
static char last_message[2048];

static void keep(void *user, nib_severity severity, const char *message) {
  (void)user;
  (void)severity;
  snprintf(last_message, sizeof last_message, "%s", message);
}
static const nib_diag diag = {keep, NULL};

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                               \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

static void expect_features(const char *spec, nib_feature_set want, const char *normalised) {
  nib_target t;
  last_message[0] = 0;
  const nib_status status = nib_target_parse(spec, &t, &diag);
  if (status != NIB_OK || t.features != want || strcmp(t.spec, normalised) != 0) {
    printf("%s: status %d, features %llx (want %llx), spec '%s' (want '%s') %s\n", spec, status,
           (unsigned long long)t.features, (unsigned long long)want, t.spec, normalised,
           last_message);
    ++failures;
  }
}

static void expect_error(const char *spec, const char *words) {
  nib_target t;
  last_message[0] = 0;
  const nib_status status = nib_target_parse(spec, &t, &diag);
  if (status != NIB_ERROR_INVALID_USAGE || !strstr(last_message, words)) {
    printf("%s: status %d, message '%s'\n", spec, status, last_message);
    ++failures;
  }
}

#define BIT NIB_FEATURE_BIT

static void expect_march(const char *spec, const char *march, const char *abi, int32_t vlen) {
  nib_target t;
  char text[256] = "";
  const nib_status status = nib_target_parse(spec, &t, &diag);
  if (status == NIB_OK)
    nib_target_march(&t, text, sizeof text);
  if (status != NIB_OK || strcmp(text, march) != 0 || strcmp(nib_target_abi(&t), abi) != 0 ||
      nib_target_vlen(&t) != vlen || !nib_target_is_riscv(&t) || nib_target_runs_here(&t)) {
    printf("%s: status %d, -march=%s (want %s)\n", spec, status, text, march);
    ++failures;
  }
}

int main(void) {
  const nib_feature_set v3 = BIT(SSE41) | BIT(AVX) | BIT(AVX2) | BIT(FMA) | BIT(F16C);
  const nib_feature_set v4 =
      v3 | BIT(AVX512F) | BIT(AVX512BW) | BIT(AVX512DQ) | BIT(AVX512VL) | BIT(AVX512CD);

  expect_features("c99", 0, "c99");
  expect_features("x86-64-v3", v3, "x86-64-v3");
  expect_features("x86-64-v4", v4, "x86-64-v4");
  // Both separators, and an explicit sign after either.
  expect_features("x86-64-v4+avx512vnni", v4 | BIT(AVX512VNNI), "x86-64-v4+avx512vnni");
  expect_features("x86-64-v4,+avx512vnni", v4 | BIT(AVX512VNNI), "x86-64-v4+avx512vnni");
  expect_features("x86-64-v4++avx512vnni", v4 | BIT(AVX512VNNI), "x86-64-v4+avx512vnni");
  expect_features("cascadelake,-avx512vnni", v4, "cascadelake,-avx512vnni");
  expect_features("cascadelake+-avx512vnni", v4, "cascadelake,-avx512vnni");
  // A feature brings what it needs, and takes away what needs it.
  expect_features("x86-64+avx2", BIT(SSE41) | BIT(AVX) | BIT(AVX2), "x86-64+sse4.1+avx+avx2");
  expect_features("cascadelake,-avx512f", v3,
                  "cascadelake,-avx512f,-avx512bw,-avx512dq,-avx512vl,-avx512cd,-avx512vnni");
  expect_features("x86-64-v3,-sse4.1", 0, "x86-64-v3,-sse4.1,-avx,-avx2,-fma,-f16c");
  // The last word wins.
  expect_features("x86-64-v4,-avx512vnni,+avx512vnni", v4 | BIT(AVX512VNNI),
                  "x86-64-v4+avx512vnni");
  expect_features("x86_64-linux-gnu+fma", BIT(SSE41) | BIT(AVX) | BIT(FMA),
                  "x86_64-linux-gnu+sse4.1+avx+fma");

  expect_error("z80", "there are: c99, native");
  expect_error("", "unknown target ''");
  expect_error("x86-64-v4+avx1024", "unknown target feature 'avx1024'");
  expect_error("x86-64-v4+", "unknown target feature ''");
  expect_error("x86-64-v4,,avx2", "unknown target feature ''");
  expect_error("c99+avx2", "takes no features");

  // RISC-V: LLVM's names, each with what it needs.
  const nib_feature_set fd = BIT(F) | BIT(D), v = fd | BIT(V);
  expect_features("riscv64-linux-gnu", fd, "riscv64-linux-gnu");
  expect_features("riscv64-linux-gnu+v,+zvfh", v | BIT(ZVFH) | BIT(ZVFHMIN) | BIT(ZFHMIN),
                  "riscv64-linux-gnu+zfhmin+v+zvfhmin+zvfh");
  expect_features("riscv64-linux-gnu+zvl256b", v | BIT(ZVL128B) | BIT(ZVL256B),
                  "riscv64-linux-gnu+v+zvl128b+zvl256b");
  expect_features("riscv32-unknown-elf", 0, "riscv32-unknown-elf");
  expect_features("riscv32-unknown-elf+zfh", BIT(F) | BIT(ZFH) | BIT(ZFHMIN),
                  "riscv32-unknown-elf+f+zfhmin+zfh");
  expect_features("riscv32-unknown-elf+vfdotpex-funct3-2",
                  BIT(ZFINX) | BIT(ZHINX) | BIT(XFVECMIN) | BIT(XFVEC) | BIT(VFDOTPEX) | BIT(VFDOTPEX2),
                  "riscv32-unknown-elf+zfinx+zhinx+xfvecmin+xfvec+vfdotpex+vfdotpex-funct3-2");
  expect_features("riscv64-unknown-elf,-f+zhinx", BIT(ZFINX) | BIT(ZHINX),
                  "riscv64-unknown-elf,-f,-d+zfinx+zhinx");
  expect_march("riscv64-linux-gnu+zvfh+zvl256b+zvqdotq",
               "rv64imac_f_d_zfhmin_v_zvfhmin_zvfh_zvl128b_zvl256b_zvqdotq0p0", "lp64d", 256);
  expect_march("riscv64-linux-gnu+v", "rv64imac_f_d_v", "lp64d", 0);
  expect_march("riscv32-unknown-elf+zfh", "rv32imac_f_zfhmin_zfh", "ilp32f", 0);
  expect_march("riscv32-unknown-elf+vfcpka", "rv32imac_zfinx_zhinx", "ilp32", 0);
  // What does not go together, and what to write instead.
  expect_error("riscv64-linux-gnu+avx2", "avx2 is a feature of x86; use x86-64+avx2");
  expect_error("x86-64-v4+zvfh", "zvfh is a feature of RISC-V; use riscv64-linux-gnu+zvfh");
  expect_error("x86-64+xfvec", "use riscv32-unknown-elf+xfvec");
  expect_error("c99+v", "takes no features; use riscv64-linux-gnu+v");
  expect_error("riscv64-linux-gnu+xfvec", "32-bit register; use riscv32-unknown-elf+xfvec");
  expect_error("riscv32-unknown-elf+f+zfinx", "take the other away");
  expect_error("riscv64-linux-gnu+zfinx", "riscv64-unknown-elf,-f");
  expect_error("riscv64-linux-gnu,-d", "calling convention (lp64d) needs f and d");
  expect_error("riscv64-linux-gnu+vv", "there are: f, d, zfhmin");
  expect_error("sm_90a+v", "features of GPUs");
  expect_error("x86-64+cuda", "features of GPUs");

  nib_target c99, native, reduced, v4_target;
  CHECK(nib_target_parse("c99", &c99, &diag) == NIB_OK && nib_target_runs_here(&c99));
  CHECK(nib_target_parse("native", &native, &diag) == NIB_OK && nib_target_runs_here(&native));
  CHECK(nib_target_parse("native,-avx512vnni,-avx", &reduced, &diag) == NIB_OK);
  CHECK(nib_target_runs_here(&reduced));
  CHECK(!(reduced.features & (BIT(AVX) | BIT(AVX2) | BIT(AVX512F) | BIT(AVX512VNNI))));
  CHECK(native.machine.l1_bytes >= 8e3 && native.machine.l1_bytes <= 1e6);
  CHECK(native.machine.l2_bytes >= native.machine.l1_bytes);
  CHECK(nib_target_parse("x86-64-v4", &v4_target, &diag) == NIB_OK);
#if defined(__x86_64__)
  const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512cd");
  CHECK(nib_target_runs_here(&v4_target) == has);
  CHECK(!(native.features & BIT(AVX2)) == !__builtin_cpu_supports("avx2"));
  CHECK(!(native.features & BIT(AVX512VNNI)) == !__builtin_cpu_supports("avx512vnni"));
#endif

  // Every row parses to its own features, and every feature has a name that parses.
  const char *name, *description;
  nib_feature_set row;
  size_t n = 0;
  for (; nib_target_row(n, &name, &description, &row); ++n) {
    nib_target t;
    CHECK(nib_target_parse(name, &t, &diag) == NIB_OK && t.features == row);
    CHECK(description[0] != 0 && t.machine.ghz > 0 && t.machine.vector_bytes > 0);
  }
  CHECK(n >= 5);
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f) {
    char spec[64];
    nib_target t;
    const nib_arch arch = nib_feature_arch((nib_feature)f);
    if (arch == NIB_ARCH_CUDA) // comes with its target
      continue;
    snprintf(spec, sizeof spec, "%s+%s", arch == NIB_ARCH_X86 ? "x86-64" : "riscv32-unknown-elf",
             nib_feature_name((nib_feature)f));
    CHECK(nib_target_parse(spec, &t, &diag) == NIB_OK && (t.features >> f & 1));
  }
  printf("%d failures\n", failures);
  return failures != 0;
}
