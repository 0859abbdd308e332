// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Generated C through libclang's C API. The weights stay extern: parsing them would take longest.
#include "emit/check_c.h"

#include <clang-c/Index.h>
#include <stdio.h>
#include <string.h>

/* Kernel whose function holds `line` of NAME.c, or -1. */
static int32_t kernel_at(const nib_model_text *m, unsigned line) {
  int32_t found = -1;
  for (int32_t i = 0; i < m->n_kernels; ++i)
    if ((unsigned)m->kernel_lines[i] <= line)
      found = i;
  return found;
}

/* The text of one line, for the message. */
static void copy_line(const nib_text *t, unsigned line, char *out, size_t size) {
  const char *at = t->data;
  for (unsigned i = 1; i < line && at; ++i) {
    at = strchr(at, '\n');
    at = at ? at + 1 : NULL;
  }
  snprintf(out, size, "%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
}

static nib_status report(const nib_graph *g, const nib_model_text *m, CXDiagnostic d,
                         const nib_diag *diag) {
  CXString text = clang_getDiagnosticSpelling(d);
  unsigned line = 0;
  char source[160];
  clang_getExpansionLocation(clang_getDiagnosticLocation(d), NULL, &line, NULL, NULL);
  copy_line(&m->source, line, source, sizeof source);
  const int32_t k = kernel_at(m, line);
  const nib_node *n = k >= 0 ? &g->nodes[g->kernels[k].nodes[0]] : NULL;
  if (n)
    nib_diag_error(diag, NIB_ERROR_INTERNAL,
                   "generated C of kernel %d '%s' (%s '%s', operator %d), line %u: %s: %s", k,
                   g->kernels[k].name ? g->kernels[k].name : "", nib_op_get(n->op)->mnemonic,
                   n->name, n->source_index, line, clang_getCString(text), source);
  else
    nib_diag_error(diag, NIB_ERROR_INTERNAL, "generated C, line %u: %s: %s", line,
                   clang_getCString(text), source);
  clang_disposeString(text);
  return NIB_ERROR_INTERNAL;
}

static nib_status check_unit(const nib_graph *g, const nib_model_text *m, CXTranslationUnit unit,
                             const nib_diag *diag) {
  nib_status status = NIB_OK;
  for (unsigned i = 0; i < clang_getNumDiagnostics(unit); ++i) {
    CXDiagnostic d = clang_getDiagnostic(unit, i);
    if (clang_getDiagnosticSeverity(d) >= CXDiagnostic_Warning)
      status = report(g, m, d, diag);
    clang_disposeDiagnostic(d);
  }
  return status;
}

nib_status nib_check_c(const nib_graph *g, const nib_model_options *o, const nib_model_text *m,
                       const nib_diag *diag) {
  char source_name[160], header_name[160], triple[160];
  // An #include of an unsaved file is found only beside an absolute source name.
  snprintf(source_name, sizeof source_name, "/nibble/%s.c", o->name);
  snprintf(header_name, sizeof header_name, "/nibble/%s.h", o->name);
  struct CXUnsavedFile files[] = {
      {source_name, m->source.data, (unsigned long)m->source.size},
      {header_name, m->header.data, (unsigned long)m->header.size},
      {"/nibble/nibrt_abi.h", m->abi, (unsigned long)strlen(m->abi)},
      {"/nibble/nibrt_cuda.h", nib_model_cuda_header(),
       (unsigned long)strlen(nib_model_cuda_header())},
  };
  const char *args[8] = {"-std=c11", "-Wall", "-Wextra", "-pedantic"};
  int n_args = 4;
  if (o->target && o->target->triple && !nib_target_is_cuda(o->target)) {
    snprintf(triple, sizeof triple, "--target=%s", o->target->triple);
    args[n_args++] = triple;
  }
  CXIndex index = clang_createIndex(0, 0);
  CXTranslationUnit unit = NULL;
  const enum CXErrorCode code =
      clang_parseTranslationUnit2(index, source_name, args, n_args, files,
                                  sizeof files / sizeof *files, CXTranslationUnit_KeepGoing, &unit);
  nib_status status = code == CXError_Success && unit
                          ? check_unit(g, m, unit, diag)
                          : nib_diag_error(diag, NIB_ERROR_INTERNAL,
                                           "libclang cannot parse the generated C (code %d)", code);
  if (unit)
    clang_disposeTranslationUnit(unit);
  clang_disposeIndex(index);
  return status;
}
