// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lower/Expression.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringExtras.h"

#include <limits>

using namespace mlir;
using namespace nib;

namespace {

// A value and, of an integer, whether C has it unsigned. Truth values are i1.
struct Typed {
  Num num;
  bool isUnsigned = false;

  bool isTruth() const { return !num.isFloat() && num.bits() == 1; }
};

using Arguments = llvm::ArrayRef<Typed>;

// A function or an operator: its operands, and what it appends. Operands of an operator have been
// converted to one type.
struct Function {
  llvm::StringRef name;
  unsigned arguments;
  Num (*emit)(Arguments);
};

} // namespace

struct Expression::Node {
  enum Kind { Number, Variable, Cast, Call } kind;
  double number = 0;
  bool isReal = false;     // of a number: it has a point
  bool toUnsigned = false; // of a cast; the others change nothing
  unsigned variable = 0;
  const Function *function = nullptr;
  bool isOperator = false;
  SmallVector<std::unique_ptr<Node>, 3> arguments;

  Typed emit(Arguments variables) const;
};

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

template <typename Op> static Num unary(Arguments a) {
  return a[0].num.with(Op::create(a[0].num.at(), a[0].num));
}
template <typename Op> static Num binary(Arguments a) {
  return a[0].num.with(Op::create(a[0].num.at(), a[0].num, a[1].num));
}

// A divisor by which one can divide: where C has no quotient, the expression asks for none.
static Num safeDivisor(Arguments a) {
  Num b = a[1].num, one = b.constant(1);
  Num none = b == 0;
  if (!a[1].isUnsigned)
    none = none | ((b == -1) & (a[0].num == std::numeric_limits<int64_t>::min()));
  return none.select(one, b);
}

static Num divide(Arguments a) {
  if (a[0].num.isFloat())
    return a[0].num / a[1].num;
  Num b = safeDivisor(a);
  return a[0].isUnsigned ? b.with(arith::DivUIOp::create(b.at(), a[0].num, b)) : a[0].num / b;
}

static Num remainder(Arguments a) {
  Num b = safeDivisor(a);
  return b.with(a[0].isUnsigned ? (Value)arith::RemUIOp::create(b.at(), a[0].num, b)
                                : (Value)arith::RemSIOp::create(b.at(), a[0].num, b));
}

static Num shiftRight(Arguments a) {
  return a[0].isUnsigned ? a[0].num.shiftRightUnsigned(a[1].num) : a[0].num >> a[1].num;
}

template <arith::CmpIPredicate Natural> static Num compare(Arguments a, Num ordinary) {
  if (a[0].num.isFloat() || !a[0].isUnsigned)
    return ordinary;
  return ordinary.with(arith::CmpIOp::create(ordinary.at(), Natural, a[0].num, a[1].num));
}

static Num modReal(Arguments a) {
  Num b = a[1].num, r = b.with(arith::RemFOp::create(b.at(), a[0].num, b)), zero = b.real(0);
  Num other = (r < zero) ^ (b < zero);
  return ((r != zero) & other).select(r + b, r);
}

static Num modInteger(Arguments a) {
  Num b = a[1].num, zero = b.constant(0), r = remainder(a);
  Num other = (r < zero) ^ (b < zero);
  Num y = ((r != zero) & other).select(r + b, r);
  return ((b == 0) | (b == -1)).select(zero, y);
}

static Num powNatural(Arguments a) {
  Num base = a[0].num, power = a[1].num, one = base.constant(1), y = one;
  for (int bit = 0; bit < 64; ++bit) {
    y = y * ((power & 1) != power.constant(0)).select(base, one);
    base = base * base;
    power = power.shiftRightUnsigned(one);
  }
  return y;
}

static Num powInteger(Arguments a) {
  Num base = a[0].num, power = a[1].num, one = base.constant(1), zero = base.constant(0);
  Num odd = (power & 1) != zero;
  Num inverse = (base == 1).select(one, (base == -1).select(odd.select(-one, one), zero));
  return (power < 0).select(inverse, powNatural(a));
}

// Of float, with the suffix f, and of double, without.
static const Function functions[] = {
    {"exp", 1, unary<math::ExpOp>},        {"exp2", 1, unary<math::Exp2Op>},
    {"expm1", 1, unary<math::ExpM1Op>},    {"log", 1, unary<math::LogOp>},
    {"log2", 1, unary<math::Log2Op>},      {"log10", 1, unary<math::Log10Op>},
    {"log1p", 1, unary<math::Log1pOp>},    {"sqrt", 1, unary<math::SqrtOp>},
    {"cbrt", 1, unary<math::CbrtOp>},      {"fabs", 1, unary<math::AbsFOp>},
    {"floor", 1, unary<math::FloorOp>},    {"ceil", 1, unary<math::CeilOp>},
    {"trunc", 1, unary<math::TruncOp>},    {"round", 1, unary<math::RoundOp>},
    {"rint", 1, unary<math::RoundEvenOp>}, {"nearbyint", 1, unary<math::RoundEvenOp>},
    {"sin", 1, unary<math::SinOp>},        {"cos", 1, unary<math::CosOp>},
    {"tan", 1, unary<math::TanOp>},        {"asin", 1, unary<math::AsinOp>},
    {"acos", 1, unary<math::AcosOp>},      {"atan", 1, unary<math::AtanOp>},
    {"sinh", 1, unary<math::SinhOp>},      {"cosh", 1, unary<math::CoshOp>},
    {"tanh", 1, unary<math::TanhOp>},      {"asinh", 1, unary<math::AsinhOp>},
    {"acosh", 1, unary<math::AcoshOp>},    {"atanh", 1, unary<math::AtanhOp>},
    {"erf", 1, unary<math::ErfOp>},        {"erfc", 1, unary<math::ErfcOp>},
    {"pow", 2, binary<math::PowFOp>},      {"atan2", 2, binary<math::Atan2Op>},
    {"fmin", 2, binary<arith::MinNumFOp>}, {"fmax", 2, binary<arith::MaxNumFOp>},
    {"fmod", 2, binary<arith::RemFOp>},    {"copysign", 2, binary<math::CopySignOp>},
};

static const Function otherFunctions[] = {
    {"isnan", 1, unary<math::IsNaNOp>}, {"isinf", 1, unary<math::IsInfOp>},
    {"nib_mod_f32", 2, modReal},        {"nib_mod_f64", 2, modReal},
    {"nib_mod_i64", 2, modInteger},     {"nib_pow_u64", 2, powNatural},
    {"nib_pow_i64", 2, powInteger},
};

static const Function operators[] = {
    {"+", 2, [](Arguments a) { return a[0].num + a[1].num; }},
    {"-", 2, [](Arguments a) { return a[0].num - a[1].num; }},
    {"*", 2, [](Arguments a) { return a[0].num * a[1].num; }},
    {"/", 2, divide},
    {"%", 2, remainder},
    {"<<", 2, [](Arguments a) { return a[0].num << a[1].num; }},
    {">>", 2, shiftRight},
    {"&", 2, [](Arguments a) { return a[0].num & a[1].num; }},
    {"|", 2, [](Arguments a) { return a[0].num | a[1].num; }},
    {"^", 2, [](Arguments a) { return a[0].num ^ a[1].num; }},
    {"<", 2,
     [](Arguments a) { return compare<arith::CmpIPredicate::ult>(a, a[0].num < a[1].num); }},
    {"<=", 2,
     [](Arguments a) { return compare<arith::CmpIPredicate::ule>(a, a[0].num <= a[1].num); }},
    {">", 2,
     [](Arguments a) { return compare<arith::CmpIPredicate::ugt>(a, a[0].num > a[1].num); }},
    {">=", 2,
     [](Arguments a) { return compare<arith::CmpIPredicate::uge>(a, a[0].num >= a[1].num); }},
    {"==", 2, [](Arguments a) { return a[0].num == a[1].num; }},
    {"!=", 2, [](Arguments a) { return a[0].num != a[1].num; }},
    {"&&", 2, [](Arguments a) { return a[0].num & a[1].num; }},
    {"||", 2, [](Arguments a) { return a[0].num | a[1].num; }},
    {"negate", 1, [](Arguments a) { return -a[0].num; }},
    {"!", 1, [](Arguments a) { return a[0].num ^ a[0].num.constant(1); }},
    {"?:", 3, [](Arguments a) { return a[0].num.select(a[1].num, a[2].num); }},
};

static const Function *findIn(ArrayRef<Function> table, StringRef name) {
  const auto *found = llvm::find_if(table, [&](const Function &f) { return f.name == name; });
  return found == table.end() ? nullptr : found;
}

static const Function *findFunction(StringRef name) {
  if (const Function *function = findIn(otherFunctions, name))
    return function;
  if (const Function *function = findIn(functions, name))
    return function;
  return name.consume_back("f") ? findIn(functions, name) : nullptr;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

// As C does: a truth value is 0 or 1 where a number is wanted, a number is true if it is not 0.
static Typed asNumber(Typed x) { return x.isTruth() ? Typed{x.num.toUnsigned(64)} : x; }
static Typed asTruth(Typed x) { return x.isTruth() ? x : Typed{x.num != x.num.constant(0)}; }
static Num asReal(Typed x, Num like) {
  if (x.num.isFloat())
    return x.num;
  return x.isTruth() ? x.num.select(like.real(1), like.real(0)) : x.num.toFloat(like.bits());
}

// Converts the operands of an operator to one type.
static void unify(SmallVectorImpl<Typed> &values, size_t from) {
  const Typed *real = nullptr;
  bool isUnsigned = false, allTruth = true;
  for (size_t i = from; i < values.size(); ++i) {
    real = values[i].num.isFloat() ? &values[i] : real;
    isUnsigned |= values[i].isUnsigned;
    allTruth &= values[i].isTruth();
  }
  if (allTruth)
    return;
  std::optional<Num> like;
  if (real)
    like = real->num;
  for (size_t i = from; i < values.size(); ++i)
    values[i] = like ? Typed{asReal(values[i], *like)} : Typed{asNumber(values[i]).num, isUnsigned};
}

Typed Expression::Node::emit(Arguments variables) const {
  Num like = variables[0].num;
  if (kind == Number && (isReal || like.isFloat()))
    return {like.real(number)};
  if (kind == Number)
    return {like.constant((int64_t)number)};
  if (kind == Variable)
    return variables[variable];
  SmallVector<Typed, 3> values;
  for (const auto &argument : arguments)
    values.push_back(argument->emit(variables));
  if (kind == Cast)
    return values[0].num.isFloat() ? values[0] : Typed{asNumber(values[0]).num, toUnsigned};
  if (!isOperator) {
    for (Typed &value : values)
      value = like.isFloat() ? Typed{asReal(value, like)} : asNumber(value);
    return {function->emit(values), like.isFloat() ? false : variables[0].isUnsigned};
  }
  const bool logical = function->name == "&&" || function->name == "||" || function->name == "!";
  const bool conditional = function->name == "?:";
  for (size_t i = 0; i < values.size(); ++i)
    if (logical || (conditional && i == 0))
      values[i] = asTruth(values[i]);
  const bool shift = function->name == "<<" || function->name == ">>";
  if (shift) // keeps the type of what is shifted
    values[0] = asNumber(values[0]), values[1] = asNumber(values[1]);
  else if (!logical)
    unify(values, conditional ? 1 : 0);
  const bool arithmetic = function->name != "==" && function->name != "!=" && !logical;
  if (arithmetic && !conditional)
    for (Typed &value : values)
      value = asNumber(value);
  return {function->emit(values), values[conditional ? 1 : 0].isUnsigned};
}

//===----------------------------------------------------------------------===//
// The text
//===----------------------------------------------------------------------===//

namespace {

// By recursive descent; a null node says that the text is not understood.
class Parser {
public:
  using Pointer = std::unique_ptr<Expression::Node>;
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
  // An operator, unless it is the beginning of a longer one.
  bool consumeOperator(StringRef token) {
    static constexpr StringLiteral longer[] = {"||", "&&", "<<", ">>", "<=", ">=", "==", "!="};
    skipSpace();
    if (token.size() == 1)
      for (StringRef other : longer)
        if (text.starts_with(other))
          return false;
    return text.consume_front(token);
  }

  template <typename... Nodes> static Pointer apply(StringRef name, Nodes... nodes) {
    auto node = std::make_unique<Expression::Node>();
    node->kind = Expression::Node::Call;
    node->function = findIn(operators, name);
    node->isOperator = true;
    (node->arguments.push_back(std::move(nodes)), ...);
    return llvm::all_of(node->arguments, [](auto &a) { return !!a; }) ? std::move(node) : nullptr;
  }

  Pointer parseConditional() {
    Pointer condition = parseBinary(0);
    if (!condition || !consume("?"))
      return condition;
    Pointer ifTrue = parseConditional();
    if (!consume(":"))
      return nullptr;
    Pointer ifFalse = parseConditional();
    return apply("?:", std::move(condition), std::move(ifTrue), std::move(ifFalse));
  }

  // Operators of equal rank, loosest first.
  Pointer parseBinary(unsigned rank) {
    static const SmallVector<StringRef, 4> ranks[] = {{"||"},
                                                      {"&&"},
                                                      {"|"},
                                                      {"^"},
                                                      {"&"},
                                                      {"==", "!="},
                                                      {"<=", ">=", "<", ">"},
                                                      {"<<", ">>"},
                                                      {"+", "-"},
                                                      {"*", "/", "%"}};
    if (rank == std::size(ranks))
      return parseUnary();
    Pointer left = parseBinary(rank + 1);
    for (bool more = true; left && more;) {
      more = false;
      for (StringRef token : ranks[rank])
        if (consumeOperator(token)) {
          left = apply(token, std::move(left), parseBinary(rank + 1));
          more = true;
          break;
        }
    }
    return left;
  }

  Pointer parseUnary() {
    if (consume("-"))
      return apply("negate", parseUnary());
    if (consumeOperator("!"))
      return apply("!", parseUnary());
    consume("+");
    skipSpace();
    if (consume("(")) {
      for (StringRef type : {"float)", "double)", "int64_t)", "uint64_t)"})
        if (consume(type))
          return cast(type, parseUnary());
      Pointer node = parseConditional();
      return consume(")") ? std::move(node) : nullptr;
    }
    return !text.empty() && (llvm::isDigit(text[0]) || text[0] == '.') ? parseNumber()
                                                                       : parseName();
  }

  static Pointer cast(StringRef type, Pointer of) {
    if (!of)
      return nullptr;
    auto node = std::make_unique<Expression::Node>();
    node->kind = Expression::Node::Cast;
    node->toUnsigned = type.starts_with("u");
    node->arguments.push_back(std::move(of));
    return node;
  }

  Pointer parseNumber() {
    auto node = std::make_unique<Expression::Node>();
    node->kind = Expression::Node::Number;
    std::string copy = text.str();
    char *end = nullptr;
    node->number = std::strtod(copy.c_str(), &end);
    StringRef digits = text.take_front(end - copy.c_str());
    text = text.drop_front(digits.size());
    node->isReal = digits.contains('.');
    if (text.consume_front("f")) // rounded once, from the digits
      node->number = std::strtof(copy.c_str(), nullptr);
    return node;
  }

  Pointer parseName() {
    StringRef name = text.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; });
    text = text.drop_front(name.size());
    auto node = std::make_unique<Expression::Node>();
    const auto *variable = llvm::find(variables, name);
    if (variable != variables.end()) {
      node->kind = Expression::Node::Variable;
      node->variable = variable - variables.begin();
      return node;
    }
    if (name == "INFINITY" || name == "NAN") {
      node->kind = Expression::Node::Number;
      node->isReal = true;
      node->number = name == "NAN" ? std::numeric_limits<double>::quiet_NaN()
                                   : std::numeric_limits<double>::infinity();
      return node;
    }
    node->kind = Expression::Node::Call;
    node->function = findFunction(name);
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

Expression::~Expression() = default;

std::unique_ptr<Expression> Expression::parse(StringRef text, Kind kind,
                                              ArrayRef<StringRef> names) {
  std::unique_ptr<Node> root = Parser(text, names).parseAll();
  if (!root)
    return nullptr;
  std::unique_ptr<Expression> expression(new Expression);
  expression->root = std::move(root);
  expression->kind = kind;
  return expression;
}

Num Expression::emit(ArrayRef<Num> variables) const {
  SmallVector<Typed> typed;
  for (Num variable : variables)
    typed.push_back({variable, kind == Unsigned});
  return root->emit(typed).num;
}
