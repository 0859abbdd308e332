// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators whose elements depend on what was written before: cumulate, scatter_nd,
// scatter_elements, top_k. Each is a nest of loops that carries a tensor.
#include "passes/lower/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nib;

using Step = llvm::function_ref<Value(ImplicitLocOpBuilder &, ArrayRef<Value> places, Value)>;

// `step` at every place of `dims`, in order, on the tensor that the last one left.
static Value inOrder(Lowering &l, ArrayRef<int64_t> dims, Value tensor, Step step) {
  auto index = [&](int64_t n) -> Value { return arith::ConstantIndexOp::create(l.b, n); };
  Value zero = index(0), one = index(1);
  SmallVector<Value> low(dims.size(), zero), high, steps(dims.size(), one);
  for (int64_t n : dims)
    high.push_back(index(n));
  scf::LoopNest nest = scf::buildLoopNest(
      l.b, l.b.getLoc(), low, high, steps, ValueRange{tensor},
      [&](OpBuilder &nested, Location location, ValueRange places, ValueRange carried) {
        ImplicitLocOpBuilder inside(location, nested);
        return scf::ValueVector{step(inside, llvm::to_vector(places), carried[0])};
      });
  return nest.results[0];
}

static Num elementAt(ImplicitLocOpBuilder &b, Value tensor, ArrayRef<Value> places) {
  return Num(b, tensor::ExtractOp::create(b, tensor, places));
}

static Value withElement(ImplicitLocOpBuilder &b, Num element, Value tensor,
                         ArrayRef<Value> places) {
  return tensor::InsertOp::create(b, element, tensor, places);
}

static Num asNumber(ImplicitLocOpBuilder &b, Value index) {
  return Num(b, arith::IndexCastOp::create(b, b.getI64Type(), index));
}

static bool isUnsigned(const nib_tensor &tensor) {
  return nib_format_get(tensor.format)->kind == NIB_KIND_UNSIGNED;
}

//===----------------------------------------------------------------------===//
// cumulate
//===----------------------------------------------------------------------===//

Value nib::lowerCumulate(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const nib_op op = nib_params_reduction(l.node);
  const int64_t axis = nib_node_int(l.node, NIB_A_AXIS, 0);
  const bool real = isReal(x);
  Type type = !real                 ? (Type)l.b.getI64Type()
              : x.format == NIB_F64 ? (Type)l.b.getF64Type()
                                    : (Type)l.b.getF32Type();
  Value numbers = l.map(dimsOf(x), type, {{l.operand(0), l.identity(x.rank)}}, [&](Numbers v) {
    Num number = l.load(v[0], x.format);
    return real ? number.toFloat(type.getIntOrFloatBitWidth()) : number.toInt(64);
  });
  auto step = [&](ImplicitLocOpBuilder &b, ArrayRef<Value> places, Value so) -> Value {
    Num i = asNumber(b, places[axis]), first = i == 0;
    SmallVector<Value> before(places);
    before[axis] = select(first, i, i - 1).toIndex();
    Num sum = elementAt(b, so, before), number = elementAt(b, so, places);
    Num next = real ? applyBinaryReal(op, sum, number)
                    : applyBinaryInteger(op, isUnsigned(x), sum, number);
    return withElement(b, select(first, number, next), so, places);
  };
  Value sums = inOrder(l, dimsOf(x), numbers, step);
  return l.map(dimsOf(y), l.elementType(y.format), {{sums, l.identity(y.rank)}},
               [&](Numbers v) { return l.store(v[0], y.format); });
}

//===----------------------------------------------------------------------===//
// scatter
//===----------------------------------------------------------------------===//

bool nib::scatterAccepts(const nib_graph *graph, const nib_node *node) {
  llvm::StringRef how = nib_node_string(node, NIB_A_REDUCTION, "none");
  return (how != "add" && how != "mul") ||
         nib_format_get(graph->tensors[node->out].format)->kind <= NIB_KIND_FLOAT;
}

// Codes of 64 bits without a sign are in order when their top bit turns.
static Num ordered(const nib_tensor &tensor, Num number) {
  return tensor.format == NIB_U64 ? number ^ INT64_MIN : number;
}

// What is stored where an update meets an element.
static Num combined(Lowering &l, Num old, Num update) {
  const nib_tensor &y = l.result();
  llvm::StringRef how = nib_node_string(l.node, NIB_A_REDUCTION, "none");
  if (how == "none")
    return update;
  Num a = l.load(old, y.format), b = l.load(update, y.format);
  if (how == "add" || how == "mul") {
    if (!a.isFloat())
      a = a.toInt(64), b = b.toInt(64);
    return l.store(how == "add" ? a + b : a * b, y.format);
  }
  a = ordered(y, a), b = ordered(y, b);
  return select(how == "max" ? b > a : b < a, update, old);
}

// Whether an index of n elements, from the end if it is negative, names one, and its place, or 0.
static Num placeOf(Num index, int64_t n, std::optional<Num> &inside) {
  Num i = index.toInt(64);
  i = select(i < 0, i + n, i);
  Num fits = (i >= 0) & (i < n);
  inside = inside ? *inside & fits : fits;
  return select(fits, i, i.constant(0));
}

// An update at `from` meets the element at `to`, if there is one.
static Value scatterOne(Lowering &l, ImplicitLocOpBuilder &b, Value updates, ArrayRef<Value> from,
                        Num inside, Value y, ArrayRef<Value> to) {
  Num old = elementAt(b, y, to);
  Num next = combined(l, old, elementAt(b, updates, from));
  return withElement(b, select(inside, next, old), y, to);
}

// Tuples of indices into the first dimensions of x.
Value nib::lowerScatterNd(Lowering &l) {
  const nib_tensor &x = *l.input(0), &indices = *l.input(1), &updates = *l.input(2);
  const int64_t length = indices.dims[indices.rank - 1], tuples = indices.rank - 1;
  Value table = l.operand(1), values = l.operand(2);
  auto step = [&](ImplicitLocOpBuilder &b, ArrayRef<Value> at, Value y) -> Value {
    SmallVector<Value> to, entry(at.take_front(tuples));
    std::optional<Num> inside;
    entry.push_back({});
    for (int64_t d = 0; d < length; ++d) {
      entry.back() = arith::ConstantIndexOp::create(b, d);
      Num index = l.load(elementAt(b, table, entry), indices.format);
      to.push_back(placeOf(index, x.dims[d], inside).toIndex());
    }
    to.append(at.begin() + tuples, at.end());
    return scatterOne(l, b, values, at, *inside, y, to);
  };
  return inOrder(l, dimsOf(updates), l.operand(0), step);
}

Value nib::lowerScatterElements(Lowering &l) {
  const nib_tensor &x = *l.input(0), &indices = *l.input(1), &updates = *l.input(2);
  const int64_t axis = nib_node_int(l.node, NIB_A_AXIS, 0);
  Value table = l.operand(1), values = l.operand(2);
  auto step = [&](ImplicitLocOpBuilder &b, ArrayRef<Value> at, Value y) -> Value {
    SmallVector<Value> to(at);
    std::optional<Num> inside;
    Num index = l.load(elementAt(b, table, at), indices.format);
    to[axis] = placeOf(index, x.dims[axis], inside).toIndex();
    return scatterOne(l, b, values, at, *inside, y, to);
  };
  return inOrder(l, dimsOf(updates), l.operand(0), step);
}

//===----------------------------------------------------------------------===//
// top_k
//===----------------------------------------------------------------------===//

// An insertion sort of each row, of which the first k places are kept and one more is written:
// equals keep their order, and nothing passes NaN.
Value nib::lowerTopK(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const int64_t axis = nib_node_int(l.node, NIB_A_AXIS, x.rank - 1), k = y.dims[axis];
  const bool largest = nib_node_int(l.node, NIB_A_LARGEST, 1) != 0;
  Value input = l.operand(0);
  SmallVector<int64_t> dims(dimsOf(x));
  dims[axis] = k + 1;
  auto step = [&](ImplicitLocOpBuilder &b, ArrayRef<Value> places, Value order) -> Value {
    auto in = [&](Num place) {
      SmallVector<Value> at(places);
      at[axis] = place.toIndex();
      return at;
    };
    auto number = [&](ImplicitLocOpBuilder &at, ArrayRef<Value> where) {
      return ordered(x, l.load(elementAt(at, input, where), x.format));
    };
    Num i = asNumber(b, places[axis]), mine = number(b, places);
    Num end = select(i < k, i, i.constant(k));
    Value zero = arith::ConstantIndexOp::create(b, 0), one = arith::ConstantIndexOp::create(b, 1);
    auto loop = scf::ForOp::create(
        b, zero, arith::ConstantIndexOp::create(b, k), one, ValueRange{order, end},
        [&](OpBuilder &nested, Location location, Value, ValueRange carried) {
          ImplicitLocOpBuilder n(location, nested);
          auto here = [&](Num place) {
            SmallVector<Value> at(places);
            at[axis] = place.toIndex();
            return at;
          };
          Num at(n, carried[1]), some = at > 0;
          Num previous = select(some, at - 1, at);
          Num other = elementAt(n, carried[0], here(previous));
          Num theirs = number(n, here(other));
          Num passes = largest ? Num(n, mine) > theirs : Num(n, mine) < theirs;
          passes = passes & some;
          Num current = elementAt(n, carried[0], here(at));
          Value next = withElement(n, select(passes, other, current), carried[0], here(at));
          scf::YieldOp::create(n, ValueRange{next, select(passes, at - 1, at)});
        });
    return withElement(b, i, loop.getResult(0), in(Num(b, loop.getResult(1))));
  };
  Value order = inOrder(l, dimsOf(x), l.filled(dims, l.b.getI64Type(), 0), step);
  SmallVector<int64_t> first(x.rank, 0);
  return l.map(dimsOf(y), l.elementType(y.format),
               {{l.slice(order, first, dimsOf(y)), l.identity(y.rank)}},
               [&](Numbers v) { return l.store(v[0], y.format); });
}
