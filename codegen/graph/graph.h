/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nib_graph: one function of the `nib` dialect as plain C data. Importers make it, the IR bridge
 * (passes/bridge) converts it from and to MLIR, and every algorithm (simplify, fuse, plan, select,
 * emit, the reference evaluator) reads or rewrites it. It knows nothing of MLIR.
 *
 * Ownership: a graph owns everything it points at through its arena allocator, except constant data
 * added with NIB_DATA_BORROWED, which must outlive it. Not thread-safe; different graphs are
 * independent. */
#ifndef NIB_GRAPH_GRAPH_H
#define NIB_GRAPH_GRAPH_H

#include "nib_status.h"
#include "num/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_MAX_RANK 8
#define NIB_NONE (-1) /**< an absent operand, kernel or producer */

typedef enum nib_op {
#define NIB_OP(ID, mnemonic, operands, results, attributes, family, work) NIB_OP_##ID,
#include "graph/ops.def"
#undef NIB_OP
  NIB_OP_COUNT
} nib_op;

/* What operators have in common. An operator of a family needs no row in the tables of passes. */
typedef enum nib_family {
  NIB_FAMILY_CONSTANT,
  NIB_FAMILY_FILTER,   /**< convolutions and dense layers: multiply-accumulates with weights */
  NIB_FAMILY_MATMUL,   /**< products of two activations */
  NIB_FAMILY_WINDOW,   /**< pooling: `kernel` elements make one */
  NIB_FAMILY_REDUCE,   /**< whole dimensions make one element */
  NIB_FAMILY_ROWS,     /**< each element depends on its row */
  NIB_FAMILY_BINARY,   /**< element by element of two operands, broadcast */
  NIB_FAMILY_SELECT,   /**< element by element of three operands, broadcast */
  NIB_FAMILY_FUNCTION, /**< a function of real numbers, element by element of one operand */
  NIB_FAMILY_RECODE,   /**< element by element: another format for the same number, or a table */
  NIB_FAMILY_VIEW,     /**< the same bytes in another shape */
  NIB_FAMILY_MOVE,     /**< elements in other places */
} nib_family;

/* NIB_ATTR(ID, name, kind): every attribute that an operator may carry. */
#define NIB_ATTRS(X)                                                                               \
  X(STRIDES, "strides", NIB_ATTR_INTS)     /* [h, w] */                                            \
  X(DILATIONS, "dilations", NIB_ATTR_INTS) /* [h, w] */                                            \
  X(PADS, "pads", NIB_ATTR_INTS)           /* [top, left, bottom, right] */                        \
  X(KERNEL, "kernel", NIB_ATTR_INTS)       /* [h, w] */                                            \
  X(GROUPS, "groups", NIB_ATTR_INT)                                                                \
  X(COUNT_INCLUDE_PAD, "count_include_pad", NIB_ATTR_INT) /* 0 or 1 */                             \
  X(ACTIVATION, "activation", NIB_ATTR_STRING)            /* none relu relu6 relu_n1_to_1 tanh */  \
  X(CLAMP, "clamp", NIB_ATTR_INTS)         /* [lo, hi] in result codes, overrides activation */    \
  X(ROUNDING, "rounding", NIB_ATTR_STRING) /* see num/rounding.h */                                \
  X(AXES, "axes", NIB_ATTR_INTS)                                                                   \
  X(AXIS, "axis", NIB_ATTR_INT)                                                                    \
  X(KEEP_DIMS, "keep_dims", NIB_ATTR_INT)                                                          \
  X(MIN, "min", NIB_ATTR_FLOAT)                                                                    \
  X(MAX, "max", NIB_ATTR_FLOAT)                                                                    \
  X(ALPHA, "alpha", NIB_ATTR_FLOAT)                                                                \
  X(BETA, "beta", NIB_ATTR_FLOAT)                                                                  \
  X(LOW, "low", NIB_ATTR_INTS) /* per dimension */                                                 \
  X(HIGH, "high", NIB_ATTR_INTS)                                                                   \
  X(PAD_VALUE, "pad_value", NIB_ATTR_FLOAT)                                                        \
  X(PERM, "perm", NIB_ATTR_INTS)                                                                   \
  X(BEGIN, "begin", NIB_ATTR_INTS)                                                                 \
  X(SIZES, "sizes", NIB_ATTR_INTS)                                                                 \
  X(STEPS, "steps", NIB_ATTR_INTS)                                                                 \
  X(BATCH_DIMS, "batch_dims", NIB_ATTR_INT)                                                        \
  X(REDUCTION, "reduction", NIB_ATTR_STRING) /* none add mul min max */                            \
  X(LARGEST, "largest", NIB_ATTR_INT)        /* 0 or 1 (default) */                                \
  X(SATURATE, "saturate", NIB_ATTR_INT)      /* 0 or 1 */                                          \
  X(MODE, "mode", NIB_ATTR_STRING)           /* see nib_encode_mode_find */                        \
  X(DECODE, "decode", NIB_ATTR_STRING)       /* exact (default) operand */                         \
  X(VALUE, "value", NIB_ATTR_DATA)           /* constants only: the result tensor's data */

typedef enum nib_attr_kind {
  NIB_ATTR_INT,    /**< i64 attribute */
  NIB_ATTR_INTS,   /**< array<i64: …> */
  NIB_ATTR_FLOAT,  /**< f64 attribute */
  NIB_ATTR_STRING, /**< string attribute out of a closed set */
  NIB_ATTR_DATA,   /**< dense_resource */
} nib_attr_kind;

typedef enum nib_attr_id {
#define X(ID, name, kind) NIB_A_##ID,
  NIB_ATTRS(X)
#undef X
      NIB_ATTR_COUNT
} nib_attr_id;

typedef struct nib_op_info {
  const char *mnemonic; /**< "conv2d" (the dialect prefix "nib." is not part of it) */
  const char *operands; /**< as in ops.def */
  int results;
  const char *attributes; /**< space-separated names */
  nib_family family;
  int work; /**< element operations per element */
} nib_op_info;

typedef struct nib_attr_info {
  const char *name;
  nib_attr_kind kind;
} nib_attr_info;

const nib_op_info *nib_op_get(nib_op op);
nib_op nib_op_find(const char *mnemonic); /**< NIB_OP_COUNT if unknown */
/** Whether element i of the result depends on element i of the (broadcast) operands alone. */
bool nib_op_is_elementwise(nib_op op);
const nib_attr_info *nib_attr_get(nib_attr_id id);
nib_attr_id nib_attr_find(const char *name);
/** Number of operand slots of `op`, and whether slot `i` is optional / variadic. */
int nib_op_operand_slots(nib_op op);
bool nib_op_operand_is_optional(nib_op op, int slot);
bool nib_op_operand_is_variadic(nib_op op, int slot);

typedef struct nib_attr {
  nib_attr_id id;
  union {
    int64_t i;
    double f;
    const char *s;
    struct {
      const int64_t *v;
      int32_t n;
    } ints;
  } u;
} nib_attr;

/** A value: input, constant or result of a node. */
typedef struct nib_tensor {
  const char *name;  /**< the source's name, never NULL, may be "" */
  nib_format format; /**< storage format */
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  bool quantized; /**< static affine per tensor: real = (code - zero_point) * scale */
  double scale;   /**< a float32 value, widened */
  int64_t zero_point;
  const void *data; /**< constants: row-major little-endian bytes; NULL otherwise */
  size_t data_bytes;
  const void *origin; /**< opaque: the bridge's handle of an unchanged constant; copy with data */
  int32_t producer;   /**< node index or NIB_NONE (graph input or constant) */

  /* plan */
  int32_t alias_of;     /**< tensor whose storage this one shares (views), or NIB_NONE */
  int64_t arena_offset; /**< bytes in the arena; -1: not in the arena */
} nib_tensor;

typedef struct nib_node {
  nib_op op;
  const char *name;     /**< location: the source operator's name, may be "" */
  int32_t source_index; /**< operator's number in the source file, or -1 */
  int32_t n_in;
  int32_t *in; /**< tensor ids by operand slot; NIB_NONE for an absent optional operand */
  int32_t out; /**< tensor id of the result */
  int32_t n_attrs;
  nib_attr *attrs;
  const void *origin; /**< opaque: the bridge's location handle; NULL for nodes made by passes */
  int32_t kernel;     /**< index into kernels, or NIB_NONE before fuse */
} nib_node;

#define NIB_MAX_TILE 5

/** A group of nodes that runs as one generated loop nest. nodes are in topological order. */
typedef struct nib_kernel {
  const char *name; /**< C identifier, unique in the graph, from the source's names */
  int32_t n_nodes;
  int32_t *nodes;
  /* select (all NULL or 0 before) */
  const char *schedule;       /**< row of the schedule table */
  const char *vocab;          /**< row of the vocabulary table */
  int32_t tile[NIB_MAX_TILE]; /**< meaning is the schedule's */
  int32_t parts; /**< into which its outermost loop is cut for threads; 0 or 1: whole */
  double predicted_ns;
  /* plan */
  int64_t scratch_bytes;  /**< private buffer in the arena while the kernel runs; 0: none; an equal
                               share of it for each part */
  int64_t scratch_offset; /**< -1: none */
} nib_kernel;

typedef struct nib_graph {
  const char *name;     /**< C identifier: the prefix of all generated symbols */
  const char *rounding; /**< default rounding of the source: "tflite-double", "nearest-even" */
  int32_t threads;      /**< to compile for; 0 or 1: kernels are not cut */
  bool integer_only;    /**< nothing may compute in float (nib_check_integer_only) */
  nib_tensor *tensors;
  int32_t n_tensors, cap_tensors;
  nib_node *nodes; /**< topological order; constants are tensors, not nodes */
  int32_t n_nodes, cap_nodes;
  nib_kernel *kernels; /**< execution order; empty before fuse */
  int32_t n_kernels, cap_kernels;
  int32_t *inputs, *outputs;
  int32_t n_inputs, n_outputs;
  /* plan; -1 before */
  int64_t arena_bytes, lower_bound_bytes, unfused_lower_bound_bytes;
  int64_t proven_bound_bytes; /**< no order of these kernels needs less */
  struct nib_arena *arena;    /**< allocator behind every pointer above */
} nib_graph;

typedef enum nib_data_mode { NIB_DATA_COPY, NIB_DATA_BORROWED } nib_data_mode;

/** New empty graph, or NULL when out of memory. `name` becomes a C identifier: other characters are
 *  replaced by _. */
nib_graph *nib_graph_create(const char *name);
void nib_graph_destroy(nib_graph *g); /**< NULL is allowed */

/* Building. The functions return an id ≥ 0, or NIB_NONE when out of memory or out of limits
 * (rank > NIB_MAX_RANK, more than INT32_MAX / 4 entries). Strings and arrays are copied. */
int32_t nib_graph_add_tensor(nib_graph *g, const char *name, nib_format format, int32_t rank,
                             const int64_t *dims);
void nib_graph_set_quant(nib_graph *g, int32_t tensor, double scale, int64_t zero_point);
/** Constant data of exactly nib_tensor_bytes(). Copy makes it 64-byte aligned. */
nib_status nib_graph_set_data(nib_graph *g, int32_t tensor, const void *data, size_t data_bytes,
                              nib_data_mode mode);
/** Adds a node; `in` may hold NIB_NONE; makes `out`'s producer the node. */
int32_t nib_graph_add_node(nib_graph *g, nib_op op, const char *name, int32_t source_index,
                           const int32_t *in, int32_t n_in, int32_t out);
nib_status nib_graph_set_int(nib_graph *g, int32_t node, nib_attr_id id, int64_t value);
nib_status nib_graph_set_ints(nib_graph *g, int32_t node, nib_attr_id id, const int64_t *v,
                              int32_t n);
nib_status nib_graph_set_float(nib_graph *g, int32_t node, nib_attr_id id, double value);
nib_status nib_graph_set_string(nib_graph *g, int32_t node, nib_attr_id id, const char *value);
void nib_graph_clear_attr(nib_graph *g, int32_t node, nib_attr_id id);
nib_status nib_graph_set_inputs(nib_graph *g, const int32_t *tensors, int32_t n);
nib_status nib_graph_set_outputs(nib_graph *g, const int32_t *tensors, int32_t n);
int32_t nib_graph_add_kernel(nib_graph *g, const char *name, const int32_t *nodes, int32_t n);

/* Reading. */
const nib_attr *nib_node_attr(const nib_node *n, nib_attr_id id); /**< NULL if absent */
int64_t nib_node_int(const nib_node *n, nib_attr_id id, int64_t if_absent);
double nib_node_float(const nib_node *n, nib_attr_id id, double if_absent);
/** Where weights are rounded to the input's format, f16 or bf16, before they are multiplied
 * (`decode` is "operand"): that format; else NIB_NO_FORMAT. */
nib_format nib_node_decode_format(const nib_graph *g, const nib_node *n);
const char *nib_node_string(const nib_node *n, nib_attr_id id, const char *if_absent);
/** The cast's mode; nearest-even where it has none. */
nib_encode_mode nib_node_encode_mode(const nib_node *n);
/** Whether cast `n` goes from one scalar format to another (not blocks), element by element. */
bool nib_cast_is_scalar(const nib_graph *g, const nib_node *n);
/** Element `i` of an integer-array attribute, or if_absent. */
int64_t nib_node_ints_at(const nib_node *n, nib_attr_id id, int32_t i, int64_t if_absent);
int64_t nib_tensor_elems(const nib_tensor *t); /**< 1 for rank 0 */
size_t nib_tensor_bytes(const nib_tensor *t);  /**< unpacked storage; whole blocks */
/** Element `i` of a constant of f32 or f64. */
double nib_real_at(const nib_tensor *t, int64_t i);
/** Which of several scales an element of x has: none but one; one for each index of `axis` (rank
 * 1); or, with the rank of x, one for each block, the shapes giving the blocks. */
typedef struct nib_scale_map {
  int32_t n;
  int64_t divide[NIB_MAX_RANK], extent[NIB_MAX_RANK], stride[NIB_MAX_RANK];
} nib_scale_map;
/** False where the shape of `scales` is none of these. */
bool nib_scale_map_of(const nib_tensor *x, const nib_tensor *scales, int64_t axis,
                      nib_scale_map *out);
/** Index into the scales for flat element `i` of x. */
int64_t nib_scale_map_at(const nib_scale_map *m, int64_t i);
/** Operand `slot` of `n`, or NULL when absent. */
const nib_tensor *nib_node_input(const nib_graph *g, const nib_node *n, int32_t slot);

/* Rewriting: used by passes; ids of other tensors and nodes stay valid. */
void nib_graph_replace_uses(nib_graph *g, int32_t from_tensor, int32_t to_tensor);
/** Removes nodes whose results nobody uses and compacts and re-sorts nodes topologically (ids of
 *  nodes change, ids of tensors do not). NIB_ERROR_INVALID_INPUT on a cycle. */
nib_status nib_graph_sweep(nib_graph *g, const nib_diag *diag);
void nib_graph_erase_node(nib_graph *g, int32_t node); /** A tensor like `t` in `copy`, its data
                                                          borrowed; NIB_NONE when out of memory. */
int32_t nib_graph_copy_tensor(nib_graph *copy, const nib_tensor *t);
/** Gives node `id` of `copy` the attributes of `n`. */
nib_status nib_graph_copy_attrs(nib_graph *copy, int32_t id, const nib_node *n);
/**< marks it; gone at the next sweep */
bool nib_node_is_erased(const nib_node *n);
nib_graph *nib_graph_clone(const nib_graph *g); /**< constant data is borrowed from g's */
/** Consumers of `tensor` (nodes not erased), counting each once; out_first may be NULL. */
int32_t nib_graph_count_uses(const nib_graph *g, int32_t tensor, int32_t *out_first);
bool nib_graph_is_output(const nib_graph *g, int32_t tensor);

/** Memory that lives as long as the graph; zeroed, 16-byte aligned; NULL when exhausted. */
void *nib_graph_alloc(nib_graph *g, size_t bytes);
const char *nib_graph_strdup(nib_graph *g, const char *s);

/** Checks what every consumer relies on: ids in range, producer links, topological order, operand
 *  counts, element counts and byte lengths without overflow, finite positive scales, zero points in
 *  range, and the shape rules of each operator (graph/validate.c). One message per problem, naming
 *  the operator. Importers call it last; the bridge calls it after reading IR. */
nib_status nib_graph_validate(const nib_graph *g, const nib_diag *diag);

/** Human-readable dump into a caller-freed string (free()), for tests and -v. */
char *nib_graph_to_text(const nib_graph *g);

#ifdef __cplusplus
}
#endif
#endif
