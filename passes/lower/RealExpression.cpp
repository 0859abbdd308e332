// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lower/RealExpression.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace nib;

namespace {

using Arguments = llvm::ArrayRef<Num>;

// A function or an operator: its operands, and what it appends.
struct Function {
  llvm::StringRef name;
  unsigned arguments;
  Num (*emit)(Arguments);
};

} // namespace

struct RealExpression::Node {
  enum Kind { Number, Variable, Call } kind;
  double number = 0;
  unsigned variable = 0;
  const Function *function = nullptr;
  SmallVector<std::unique_ptr<Node>, 3> arguments;

  Num emit(Arguments variables) const;
};

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

template <typename Op> static Num unary(Arguments a) {
  return a[0].with(Op::create(a[0].at(), a[0]));
}
template <typename Op> static Num binary(Arguments a) {
  return a[0].with(Op::create(a[0].at(), a[0], a[1]));
}

static const Function functions[] = {
    {"expf", 1, unary<math::ExpOp>},        {"exp2f", 1, unary<math::Exp2Op>},
    {"expm1f", 1, unary<math::ExpM1Op>},    {"logf", 1, unary<math::LogOp>},
    {"log2f", 1, unary<math::Log2Op>},      {"log10f", 1, unary<math::Log10Op>},
    {"log1pf", 1, unary<math::Log1pOp>},    {"sqrtf", 1, unary<math::SqrtOp>},
    {"cbrtf", 1, unary<math::CbrtOp>},      {"fabsf", 1, unary<math::AbsFOp>},
    {"floorf", 1, unary<math::FloorOp>},    {"ceilf", 1, unary<math::CeilOp>},
    {"truncf", 1, unary<math::TruncOp>},    {"roundf", 1, unary<math::RoundOp>},
    {"rintf", 1, unary<math::RoundEvenOp>}, {"nearbyintf", 1, unary<math::RoundEvenOp>},
    {"sinf", 1, unary<math::SinOp>},        {"cosf", 1, unary<math::CosOp>},
    {"tanf", 1, unary<math::TanOp>},        {"asinf", 1, unary<math::AsinOp>},
    {"acosf", 1, unary<math::AcosOp>},      {"atanf", 1, unary<math::AtanOp>},
    {"sinhf", 1, unary<math::SinhOp>},      {"coshf", 1, unary<math::CoshOp>},
    {"tanhf", 1, unary<math::TanhOp>},      {"asinhf", 1, unary<math::AsinhOp>},
    {"acoshf", 1, unary<math::AcoshOp>},    {"atanhf", 1, unary<math::AtanhOp>},
    {"erff", 1, unary<math::ErfOp>},        {"erfcf", 1, unary<math::ErfcOp>},
    {"isnan", 1, unary<math::IsNaNOp>},     {"isinf", 1, unary<math::IsInfOp>},
    {"powf", 2, binary<math::PowFOp>},      {"atan2f", 2, binary<math::Atan2Op>},
    {"fminf", 2, binary<arith::MinNumFOp>}, {"fmaxf", 2, binary<arith::MaxNumFOp>},
    {"fmodf", 2, binary<arith::RemFOp>},    {"copysignf", 2, binary<math::CopySignOp>},
};

static const Function operators[] = {
    {"+", 2, [](Arguments a) { return a[0] + a[1]; }},
    {"-", 2, [](Arguments a) { return a[0] - a[1]; }},
    {"*", 2, [](Arguments a) { return a[0] * a[1]; }},
    {"/", 2, [](Arguments a) { return a[0] / a[1]; }},
    {"<", 2, [](Arguments a) { return a[0] < a[1]; }},
    {"<=", 2, [](Arguments a) { return a[0] <= a[1]; }},
    {">", 2, [](Arguments a) { return a[0] > a[1]; }},
    {">=", 2, [](Arguments a) { return a[0] >= a[1]; }},
    {"==", 2, [](Arguments a) { return a[0] == a[1]; }},
    {"!=", 2, [](Arguments a) { return a[0] != a[1]; }},
    {"&&", 2, [](Arguments a) { return a[0] & a[1]; }},
    {"||", 2, [](Arguments a) { return a[0] | a[1]; }},
    {"negate", 1, [](Arguments a) { return -a[0]; }},
    {"!", 1, [](Arguments a) { return a[0] ^ a[0].constant(1); }},
    {"?:", 3, [](Arguments a) { return a[0].select(a[1], a[2]); }},
};

static const Function *findIn(ArrayRef<Function> table, StringRef name) {
  const auto *found = llvm::find_if(table, [&](const Function &f) { return f.name == name; });
  return found == table.end() ? nullptr : found;
}

// As C does: a truth value is 0 or 1 where a number is wanted, a number is true if it is not 0.
static Num asNumber(Num x, Num like) {
  return x.bits() == 1 ? x.select(like.real(1), like.real(0)) : x;
}
static Num asTruth(Num x) { return x.bits() == 1 ? x : x != x.real(0); }

Num RealExpression::Node::emit(Arguments variables) const {
  if (kind == Number)
    return variables[0].real(number);
  if (kind == Variable)
    return variables[variable];
  const bool logical = function->name == "&&" || function->name == "||" || function->name == "!";
  SmallVector<Num, 3> values;
  for (size_t i = 0; i < arguments.size(); ++i) {
    Num value = arguments[i]->emit(variables);
    const bool truth = logical || (function->name == "?:" && i == 0);
    values.push_back(truth ? asTruth(value) : asNumber(value, variables[0]));
  }
  return function->emit(values);
}

//===----------------------------------------------------------------------===//
// The text
//===----------------------------------------------------------------------===//

namespace {

// By recursive descent; a null node says that the text is not understood.
class Parser {
public:
  using Pointer = std::unique_ptr<RealExpression::Node>;
  Parser(StringRef text, ArrayRef<StringRef> variables) : text(text), variables(variables) {}

  Pointer parseAll() {
    Pointer node = parseConditional();
    skipSpace();
    return text.empty() ? std::move(node) : nullptr;
  }

private:
  void skipSpace() { text = text.ltrim(); }
  bool consume(StringRef token) {
    skipSpace();
    return text.consume_front(token);
  }

  template <typename... Nodes> static Pointer call(const Function *function, Nodes... nodes) {
    auto node = std::make_unique<RealExpression::Node>();
    node->kind = RealExpression::Node::Call;
    node->function = function;
    (node->arguments.push_back(std::move(nodes)), ...);
    const bool whole = function && llvm::all_of(node->arguments, [](auto &a) { return !!a; });
    return whole && node->arguments.size() == function->arguments ? std::move(node) : nullptr;
  }

  Pointer parseConditional() {
    Pointer condition = parseBinary(0);
    if (!condition || !consume("?"))
      return condition;
    Pointer ifTrue = parseConditional();
    if (!consume(":"))
      return nullptr;
    Pointer ifFalse = parseConditional();
    return call(findIn(operators, "?:"), std::move(condition), std::move(ifTrue),
                std::move(ifFalse));
  }

  // Operators of equal rank, loosest first; a longer one before its beginning.
  Pointer parseBinary(unsigned rank) {
    static const std::initializer_list<StringLiteral> ranks[] = {
        {"||"}, {"&&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/"}};
    if (rank == std::size(ranks))
      return parseUnary();
    Pointer left = parseBinary(rank + 1);
    for (bool more = true; left && more;) {
      more = false;
      for (StringRef token : ranks[rank])
        if (consume(token)) {
          left = call(findIn(operators, token), std::move(left), parseBinary(rank + 1));
          more = true;
          break;
        }
    }
    return left;
  }

  Pointer parseUnary() {
    if (consume("-"))
      return call(findIn(operators, "negate"), parseUnary());
    if (consume("!"))
      return call(findIn(operators, "!"), parseUnary());
    consume("+");
    skipSpace();
    if (consume("(")) {
      if (consume("float)")) // a cast changes nothing: all numbers are float
        return parseUnary();
      Pointer node = parseConditional();
      return consume(")") ? std::move(node) : nullptr;
    }
    return !text.empty() && (llvm::isDigit(text[0]) || text[0] == '.') ? parseNumber()
                                                                       : parseName();
  }

  Pointer parseNumber() {
    auto node = std::make_unique<RealExpression::Node>();
    node->kind = RealExpression::Node::Number;
    std::string copy = text.str();
    char *end = nullptr;
    // f32 literals are rounded once.
    node->number = std::strtof(copy.c_str(), &end);
    text = text.drop_front(end - copy.c_str());
    if (!text.consume_front("f"))
      text.consume_front("F");
    return node;
  }

  Pointer parseName() {
    StringRef name = text.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; });
    text = text.drop_front(name.size());
    auto node = std::make_unique<RealExpression::Node>();
    const auto *variable = llvm::find(variables, name);
    if (variable != variables.end()) {
      node->kind = RealExpression::Node::Variable;
      node->variable = variable - variables.begin();
      return node;
    }
    if (name == "INFINITY" || name == "NAN") {
      node->kind = RealExpression::Node::Number;
      node->number = name == "NAN" ? std::numeric_limits<double>::quiet_NaN()
                                   : std::numeric_limits<double>::infinity();
      return node;
    }
    node->kind = RealExpression::Node::Call;
    node->function = findIn(functions, name);
    if (!node->function || !consume("("))
      return nullptr;
    do
      node->arguments.push_back(parseConditional());
    while (node->arguments.back() && consume(","));
    const bool whole = node->arguments.back() && consume(")") &&
                       node->arguments.size() == node->function->arguments;
    return whole ? std::move(node) : nullptr;
  }

  StringRef text;
  ArrayRef<StringRef> variables;
};

} // namespace

RealExpression::~RealExpression() = default;

std::unique_ptr<RealExpression> RealExpression::parse(StringRef text,
                                                      ArrayRef<StringRef> variables) {
  std::unique_ptr<Node> root = Parser(text, variables).parseAll();
  if (!root)
    return nullptr;
  std::unique_ptr<RealExpression> expression(new RealExpression);
  expression->root = std::move(root);
  return expression;
}

Num RealExpression::emit(ArrayRef<Num> variables) const { return root->emit(variables); }
