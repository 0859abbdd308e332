/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The text of a compiled model, from a planned and selected graph. */
#ifndef NIB_EMIT_MODEL_H
#define NIB_EMIT_MODEL_H

#include "emit/constants.h"
#include "emit/text.h"
#include "graph/graph.h"
#include "target/target.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_model_options {
  const char *name; /**< prefix of all symbols and files */
  const nib_target *target;
  nib_weights_style weights;
  bool size;
  int32_t unroll; /**< see nib_emitter */
  bool apart;     /**< also NAME_kNN_apart(in, out, arena): kernel NN alone, none of them cut */
  bool allocates; /**< not C with an arena: code that takes memory from the heap */
} nib_model_options;

/** The generated files' contents; all owned. */
typedef struct nib_model_text {
  nib_text header, source, weights, example;
  nib_text device; /**< NAME.cu, of models for CUDA */
  const char *abi; /**< nibrt_abi.h, static */
  bool is_cut;     /**< some kernel is cut for threads: nibrt_pool.h and .c go beside it */
  size_t weights_bytes;
  int32_t n_kernels;
  int32_t *kernel_lines; /**< first line of each kernel's function in `source`, or in `device`, from 1 */
} nib_model_text;

/** Writes the text of every file. Deterministic: depends on the graph and the options alone. */
nib_status nib_model_write(const nib_graph *g, const nib_model_options *o,
                           nib_model_text *out_model, const nib_diag *diag);
void nib_model_free(nib_model_text *m);
/** The text of nibrt_abi.h. */
const char *nib_model_abi(void);
/** The texts of nibrt_pool.h and nibrt_pool.c. */
const char *nib_model_pool_header(void);
const char *nib_model_pool_source(void);
/** The texts of nibrt_cluster.h and nibrt_cluster.c, which go beside models for bare metal instead. */
const char *nib_model_cluster_header(void);
const char *nib_model_cluster_source(void);

/** The texts of nibrt_cuda.h and nibrt_cuda.c. */
const char *nib_model_cuda_header(void);
const char *nib_model_cuda_source(void);

/** The name of the typed wrapper: `name`, or NAME_infer when C or its library has that word. */
void nib_model_wrapper_name(const char *name, char *out, size_t size);

/* ---- parts, for model.c ---- */

/** Text that cannot end a comment or be taken for anything else. */
void nib_model_comment_safe(const char *text, char *out, size_t size);
/** "1x49x10x1" */
void nib_model_shape(const nib_tensor *t, char *out, size_t size);
/** "NAME_k03_conv": the model's prefix, the order of execution, the source's name. */
void nib_model_kernel_symbol(const nib_graph *g, const char *name, int32_t i, char *out, size_t size);
/** The schedule and the vocabulary of a kernel, which can run it: those of CUDA where `device`. */
nib_status nib_model_kernel_schedule(const nib_graph *g, const nib_model_options *o, int32_t index,
                                     bool device, const nib_schedule **out_schedule,
                                     const nib_vocab **out_vocab, const nib_diag *diag);
/** "const T *RESTRICTED in0, …, T *RESTRICTED out, uint8_t *scratch": parameters of a kernel's function. */
void nib_model_write_parameters(const nib_graph *g, const nib_kernel *k, const char *restricted,
                                nib_text *t);
/** What stands above a kernel's function. */
void nib_model_kernel_comment(const nib_graph *g, int32_t index, nib_text *t);
void nib_model_write_weights(const nib_model_options *o, const nib_constants *constants, nib_text *t);
void nib_model_write_header(const nib_graph *g, const nib_model_options *o, size_t weights_bytes,
                            nib_text *t);
void nib_model_write_example(const nib_graph *g, const nib_model_options *o, nib_text *t);
/** The C type of a tensor's elements. */
const char *nib_model_c_type(const nib_graph *g, int32_t tensor);
/** Statements of main: inputs read from the files named, outputs printed. */
void nib_model_write_example_inputs(const nib_graph *g, nib_text *t);
void nib_model_write_example_outputs(const nib_graph *g, nib_text *t);
/** Of a CUDA target: the declarations of NAME.h; NAME_run and the wrapper, which need NAME_cuda; the
 *  main of NAME_main.c. */
void nib_model_write_cuda_interface(const nib_graph *g, const nib_model_options *o, nib_text *t);
void nib_model_write_cuda_run(const nib_graph *g, const nib_model_options *o, nib_text *t);
void nib_model_write_cuda_main(const nib_graph *g, const nib_model_options *o, nib_text *t);
/** Lines of " * " documentation of inputs and outputs. */
void nib_model_write_ports(const nib_graph *g, nib_text *t);
/** Whether some kernel is cut for threads. */
bool nib_model_is_cut(const nib_graph *g);
/** Multiply-accumulates of the whole graph. */
int64_t nib_model_macs(const nib_graph *g);

#ifdef __cplusplus
}
#endif
#endif
