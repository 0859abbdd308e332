/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Many models to C in one process: the stages of `nibc compile`, without MLIR between them.
 *
 *   emit_models TARGET FOLDER MODEL...     FOLDER/STEM.h, STEM.c, … for each, named after the file
 */
#include "golden/subject.h"
#include "pipeline/stages.h"

#include <stdio.h>

static nib_status emit(nib_graph *g, const nib_options *o) {
  NIB_RETURN_IF_ERROR(nib_simplify_graph(g, o, &golden_diag));
  NIB_RETURN_IF_ERROR(nib_fuse_graph(g, o, &golden_diag));
  NIB_RETURN_IF_ERROR(nib_plan_graph(g, o, &golden_diag));
  NIB_RETURN_IF_ERROR(nib_select_graph(g, o, &golden_diag));
  return nib_emit_graph(g, o, &golden_diag);
}

int main(int argc, char **argv) {
  int failed = 0;
  if (argc < 4) {
    fprintf(stderr, "usage: emit_models TARGET FOLDER MODEL...\n");
    return 2;
  }
  for (int i = 3; i < argc; ++i) {
    char name[256];
    golden_stem(argv[i], name, sizeof name);
    nib_options o = nib_options_default();
    o.target = argv[1];
    o.out_dir = argv[2];
    o.name = name;
    o.check_c = false; /* a compiler follows */
    nib_graph *g = golden_import(argv[i], NULL);
    if (!g || emit(g, &o) != NIB_OK) {
      fprintf(stderr, "%s: cannot be compiled\n", argv[i]);
      ++failed;
    }
    nib_graph_destroy(g);
  }
  printf("%d models, %d failed\n", argc - 3, failed);
  return failed != 0;
}
