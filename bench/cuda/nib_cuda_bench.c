// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// nib-cuda-bench: matrix products on a GPU beside cuBLASLt's.
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void say(void *user, nib_severity severity, const char *message) {
  (void)user, (void)severity;
  fprintf(stderr, "%s\n", message);
}

static int usage(void) {
  fprintf(
      stderr,
      "nib-cuda-bench --compile FOLDER [--clang | --sources] [--only=CASE,…]\n"
      "    writes the kernels into the folder and assembles them (nvcc, or clang-22 and ptxas)\n"
      "nib-cuda-bench --run FOLDER [--rounds=N] [--alone] [--only=CASE,…] [--json=FILE]\n"
      "    measures them on this machine's GPU, interleaved with cuBLASLt unless alone\n");
  return 2;
}

int main(int argc, char **argv) {
  bench_options o = {.rounds = 30, .diag = {say, NULL}};
  bool compile = false;
  for (int i = 1; i < argc; ++i) {
    const char *a = argv[i];
    if ((strcmp(a, "--compile") == 0 || strcmp(a, "--run") == 0) && i + 1 < argc) {
      compile = a[2] == 'c';
      o.folder = argv[++i];
    } else if (strcmp(a, "--clang") == 0)
      o.clang = true;
    else if (strcmp(a, "--alone") == 0)
      o.alone = true;
    else if (strcmp(a, "--sources") == 0)
      o.sources = true;
    else if (strncmp(a, "--only=", 7) == 0)
      o.only = a + 7;
    else if (strncmp(a, "--json=", 7) == 0)
      o.json = a + 7;
    else if (strncmp(a, "--rounds=", 9) == 0)
      o.rounds = atoi(a + 9);
    else
      return usage();
  }
  if (!o.folder || o.rounds < 1 || o.rounds > 1000)
    return usage();
  if (compile && mkdir(o.folder, 0777) != 0 && errno != EEXIST) {
    fprintf(stderr, "nib-cuda-bench: %s: %s\n", o.folder, strerror(errno));
    return 1;
  }
  return compile ? bench_compile(&o) : bench_run(&o);
}
