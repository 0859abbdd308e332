/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The epilogue of a vector kernel: what happens to an accumulator register between the last dot
 * product and the store. Requantize the root's accumulator (or clamp its float), run the follower
 * nodes of the kernel on it, narrow and store. Written against a vocabulary. */
#ifndef NIB_EPILOGUE_EPILOGUE_H
#define NIB_EPILOGUE_EPILOGUE_H

#include "epilogue/say.h"
#include "params/params.h"
#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How accumulators become codes. */
typedef enum nib_requant_form {
  NIB_FORM_RAW,     /**< no requantization: i32 or f32 result */
  NIB_FORM_LINEAR,  /**< a nib_linear_form, proven equal for every reachable accumulator */
  NIB_FORM_PRODUCT, /**< rint(acc * scale) + zero point: nearest-even as defined, where nothing
                       saturates */
  NIB_FORM_EXACT,   /**< the rounding's own primitive */
} nib_requant_form;

/** Smallest and largest accumulator that output channel can reach, bias included. */
typedef struct nib_acc_range {
  int64_t low, high;
} nib_acc_range;

/** value = rint(lhs * lhs_scale + rhs * rhs_scale + offset), both products fused: proven equal to
 * the node's arithmetic for every pair of codes. */
typedef struct nib_linear_add {
  bool proven;
  float lhs_scale, rhs_scale, offset;
} nib_linear_add;
/** An accumulator for which a float form is off by one, and what to add there: 1 or -1. */
typedef struct nib_fix {
  int32_t acc, by;
} nib_fix;
#define NIB_MAX_FIXES 4

/** Float forms of requantization. Rounding in two steps moves the steps of the result away from
 *  zero on both sides, which the signed form follows; with results of one sign the others do. */
typedef enum nib_linear_form {
  NIB_LINEAR_PLAIN,   /**< rint(fma(acc, scale, offset)) */
  NIB_LINEAR_SIGNED,  /**< rint(fma(acc, scale, copysign(offset, acc))), offset >= 0 */
  NIB_LINEAR_STARTED, /**< rint(fma(x, scale, offset)), x the float whose bits are start + acc */
  NIB_LINEAR_ROUNDED, /**< fma(x, scale, offset) less 1.5 * 2^23, where floats are integers: rounded
                         once; zero_apart is not of it */
} nib_linear_form;

typedef struct nib_linear {
  nib_linear_form form; /**< in: the form wanted */
  bool zero_apart;      /**< in: whether the zero point is added afterwards, else it is part of the
                           offset */
  float scale, offset;
  int32_t start; /**< of the started and the rounded form */
  int64_t zero_point;
  int n_fixes;
  nib_fix fixes[NIB_MAX_FIXES];
} nib_linear;

#define NIB_EPILOGUE_MAX_NODES 16

/** Where requantized values go: + zero_point, clamped to [lo, hi]. */
typedef struct nib_codes {
  int64_t zero_point, lo, hi;
  bool may_wrap; /**< the value may be near the ends of int32 */
  bool last;     /**< stored next: the store saturates to `format` */
  nib_format format;
} nib_codes;

/** An accumulator register to finish: of register `column` of the tile, `lanes` elements that go to
 *  element `offset` past a common base; `tail`: valid lanes, or 0 for all. */
typedef struct nib_finish {
  char acc[32];
  int column;
  int64_t offset;
  int tail;
} nib_finish;

/** Where a step's operand from memory lies: element expression `at`, which all lanes read, or the
 * first lane. NULL: all elements, one row, or one element. */
typedef struct nib_operand_place {
  const char *at;
  bool one;
} nib_operand_place;

typedef struct nib_epilogue {
  nib_emitter *e;
  const nib_kernel *kernel;
  const nib_node *root;
  bool is_float;          /**< of the root */
  nib_conv_params params; /**< of the root, integers only */
  int64_t channels;
  float low, high; /**< of a float root */
  nib_requant_form form;
  nib_linear_form linear; /**< of NIB_FORM_LINEAR */
  bool zero_apart;        /**< of a float form: the zero point is left to add */
  bool may_start;         /**< the schedule begins accumulators as it is told */
  bool in_parts;          /**< packing four registers of a pixel brings them in order by itself */
  int32_t *starts;        /**< by channel, what accumulators begin at besides the bias; or NULL */
  bool may_wrap;          /**< a requantized accumulator may be near the ends of int32 */
  const char *multiplier, *shift; /**< constant arrays by channel; shift: or offset, or "" */
  int n_fixes;                    /**< most fixes of a channel; 0: none has any */
  int64_t fix_elems;              /**< from one fix of a channel to its next in the arrays */
  const char *fix_acc, *fix_by;   /**< constant arrays [fix][channel] */
  const char *fixed;         /**< by channel: whether one of the next `lanes` channels has a fix */
  uint8_t *most_fixes;       /**< by channel: the most that one of the next `lanes` channels has */
  int64_t from, step, steps; /**< values that the expression `channel` takes; steps 0: any */
  bool packs;                /**< registers are narrowed and stored several at a time */
  nib_codes pending;         /**< what is left to do when they are */
  int32_t register_nodes; /**< that run on registers: all, or all but the last, a table of bytes */
  const char *byte_table; /**< its array, in which the packed store looks up, or NULL */
  const char *tables[NIB_EPILOGUE_MAX_NODES];   /**< array of each step that has one, or NULL */
  const char *operands[NIB_EPILOGUE_MAX_NODES]; /**< array of a step's constant operand, or NULL */
  int32_t first;           /**< position of the first node that is a step: 1, or 0 for the root */
  const char *channel;     /**< expression of the first lane's channel, for operands of one row */
  const char *code, *real; /**< registers of the running value by type where steps convert it */
  nib_operand_place places[NIB_EPILOGUE_MAX_NODES]; /**< set by schedules after begin */
  nib_linear_add adds[NIB_EPILOGUE_MAX_NODES];      /**< of each follower that is an add or sub */
  bool linear_mul[NIB_EPILOGUE_MAX_NODES]; /**< whether a mul of codes has a proven form, */
  nib_linear muls[NIB_EPILOGUE_MAX_NODES]; /**< which is this one, of their product */
} nib_epilogue;

/** Whether the vector epilogue can run this kernel: its root and every follower, in `vocab`. */
bool nib_epilogue_can_emit(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab);

/** Reads parameters and adds constant arrays, which reach `padding` elements past the channels.
 *  `ranges`: one per output channel, integers only. `order`: the channel at each place of lanes, or
 *  NULL where each is at its own; `ranges` is brought in it. Neither is kept. On failure *p holds
 *  nothing. */
nib_status nib_epilogue_prepare(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                                nib_acc_range *ranges, const int32_t *order, int64_t channels,
                                int64_t padding);
/** The same for schedules whose accumulators begin at the bias plus p->starts by place, where that
 * is not NULL, and whose registers, with an `order`, are stored by fours in the order that packing
 *  undoes. */
nib_status nib_epilogue_prepare_started(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                                        nib_acc_range *ranges, const int32_t *order,
                                        int64_t channels, int64_t padding);
void nib_epilogue_release(nib_epilogue *p);
/** Ends a kernel whose text began at byte `before` of the emitter's body: notes the helper
 * functions that it names, and releases *p. NIB_ERROR_OUT_OF_MEMORY where the text could not be
 * kept. */
nib_status nib_epilogue_end(nib_epilogue *p, nib_emitter *e, size_t before);

/** For schedules whose root is not a convolution. Nodes from position `first` on are steps:
 * operators on a register, which may also convert its type and have a constant second operand, of
 * all elements, one row of the last dimension, or one element. first is 1, or 0 for a root that is
 * a step itself; then operands, the one that it starts with too, may be repeated along any
 * dimensions, and the schedule says where they lie (`places`). */
bool nib_epilogue_can_finish(const nib_graph *g, const nib_kernel *kernel, int32_t first,
                             const nib_vocab *vocab);
/** Instead of prepare. Set `channel`, `code` and `real` of *p before finish where they are needed.
 */
nib_status nib_epilogue_begin(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                              int32_t first);
/** Runs the steps on `value` (NULL: on p->code and p->real) and stores the result. */
void nib_epilogue_finish(nib_epilogue *p, const char *value, const char *at, int tail);
/** The operand of a root that is a step whose elements the register holds first. */
int32_t nib_epilogue_start(const nib_graph *g, const nib_kernel *kernel);
/** The operand that step `index` reads from memory beside the running value, or NIB_NONE. */
int32_t nib_epilogue_beside(const nib_graph *g, const nib_kernel *kernel, int32_t index);
/** Name of the kernel's parameter that `tensor` is. */
nib_word nib_epilogue_input(const nib_epilogue *p, int32_t tensor);
/** to = a register of `tensor`'s elements at pointer expression `at`. */
void nib_epilogue_load(nib_epilogue *p, int32_t tensor, const char *to, const char *at, int tail);
/** value = min(max(value, low), high) of floats, infinite bounds left out; NaN stays. */
void nib_epilogue_clamp_real(nib_epilogue *p, const char *value, float low, float high);
/** The same, but NaN becomes the first bound that is finite. */
void nib_epilogue_saturate_real(nib_epilogue *p, const char *value, float low, float high);

/** Declares and loads what columns [0, n) of `lanes` channels from expression `channel` need. */
void nib_epilogue_load_channels(nib_epilogue *p, const char *channel, int columns);
/** Says that the expression of the first channel is one of from, from + step … (`steps` of them),
 * so that only what these need is emitted; steps 0: any channel. */
void nib_epilogue_at_channels(nib_epilogue *p, int64_t from, int64_t step, int64_t steps);
/** Finishes `n` registers and stores each at `offset` past element expression `base`. */
void nib_epilogue_apply(nib_epilogue *p, const nib_finish *registers, int n, const char *base);

/** Whether a node looks bytes up that make bytes, which `v` can do by whole registers of them. */
bool nib_epilogue_is_byte_table(const nib_graph *g, const nib_node *n, const nib_vocab *v);
/** The array of such a node's table, for BYTES_LOOKUP256; NULL: out of memory. */
const char *nib_epilogue_add_byte_table(nib_emitter *e, const nib_kernel *kernel,
                                        const nib_node *n);

/** Whether results can be finished by parts: NIB_PACK_REGISTERS registers of a pixel, or half as
 *  many, whose lanes are in the order that packing undoes. */
bool nib_epilogue_can_finish_parts(const nib_graph *g, const nib_kernel *kernel,
                                   const nib_vocab *vocab);
/** Requantizes register `acc` of `column`, which stays where it is. */
void nib_epilogue_finish_part(nib_epilogue *p, const char *acc, int column);
/** to = finished registers a and b, narrowed to 16 bits. */
void nib_epilogue_join_parts(nib_epilogue *p, const char *to, const char *a, const char *b);
/** Narrows two of those to bytes in order, and stores them at element expression `at`. */
void nib_epilogue_store_parts(nib_epilogue *p, const char *low, const char *high, const char *at);
/** Narrows those of two pixels, `channels` apart (second may be NULL), and stores their bytes. */
void nib_epilogue_store_pairs(nib_epilogue *p, const char *first, const char *second,
                              const char *at, int64_t channels);

/** Whether accumulators begin at the bits of a float. */
bool nib_linear_has_start(nib_linear_form form);
/** What computes it. */
nib_prim nib_linear_prim(nib_linear_form form);
/** Searches scale and offset so that the form, with at most `most_fixes` fixes and clamped to [lo,
 * hi], equals the rounding's own result plus zero point for every acc in `range`. Returns whether
 * one was found; a found one is proven, at every step of the monotone result. */
bool nib_linear_prove(nib_rounding rounding, const nib_requant *rq, int64_t zero_point, int64_t lo,
                      int64_t hi, nib_acc_range range, int most_fixes, nib_linear *out_linear);

#ifdef __cplusplus
}
#endif
#endif
