// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// nib-cuda-bench --compile: the kernels of all cases as .cu files, assembled to cubins.
#include "bench.h"

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nvcc where it is installed, else clang and ptxas. */
static int assemble(const char *folder, const char *symbol, bool clang) {
  char command[4096];
  if (clang)
    snprintf(command, sizeof command,
             "cd '%s' && clang-22 -x cuda --cuda-device-only -nocudainc -nocudalib "
             "--cuda-gpu-arch=sm_90a --cuda-feature=+ptx88 -O3 -ffp-contract=off "
             "-Wno-unknown-cuda-version "
             "-S %s.cu -o %s.ptx && ptxas -arch=sm_90a -v %s.ptx -o %s.cubin 2>%s.log",
             folder, symbol, symbol, symbol, symbol, symbol);
  else
    snprintf(
        command, sizeof command,
        "cd '%s' && nvcc -gencode=arch=compute_90a,code=sm_90a -O3 -fmad=false -diag-suppress 177 "
        "-Xptxas -v -cubin %s.cu -o %s.cubin 2>%s.log",
        folder, symbol, symbol, symbol);
  return system(command);
}

static bool write_file(const char *folder, const char *symbol, const nib_text *text) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.cu", folder, symbol);
  FILE *f = fopen(path, "w");
  const bool ok = f && fwrite(text->data, 1, text->size, f) == text->size;
  return f && fclose(f) == 0 && ok;
}

/* What ptxas says: registers, and any word of spills or of serialised instructions. */
static void print_log(const char *folder, const char *symbol) {
  char path[4096], line[1024];
  snprintf(path, sizeof path, "%s/%s.log", folder, symbol);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) {
    const char *spills = strstr(line, "bytes spill stores");
    if (strstr(line, "Used ") || strstr(line, "error") || strstr(line, "C75") ||
        (spills && !strstr(line, ", 0 bytes spill stores")))
      printf("    %s", line);
  }
  if (f)
    fclose(f);
}

int bench_compile(const bench_options *o) {
  int failures = 0;
  const bench_case *c;
  for (int i = 0; (c = bench_case_at(i)) != NULL; ++i) {
    if (!bench_case_is_wanted(c, o->only))
      continue;
    nib_graph *g = bench_case_graph(c);
    bench_kernel k;
    for (int j = 0; g && bench_kernel_write(c, g, j, &k, &o->diag) == NIB_OK; ++j) {
      printf("%s: %s %dx%dx%dx%d\n", k.symbol, k.schedule->name, k.tile[0], k.tile[1], k.tile[2],
             k.tile[3]);
      fflush(stdout);
      if (!write_file(o->folder, k.symbol, &k.source) ||
          (!o->sources && assemble(o->folder, k.symbol, o->clang))) {
        printf("    failed\n");
        failures++;
      }
      if (!o->sources)
        print_log(o->folder, k.symbol);
      bench_kernel_free(&k);
    }
    failures += g == NULL;
    nib_graph_destroy(g);
  }
  return failures ? 1 : 0;
}
