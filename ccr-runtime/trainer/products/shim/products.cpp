// libtorch's products of matrices by oneDNN instead of MKL, on CPUs for which MKL has no wide code.
//
// The four operations are registered anew for the CPU. Whatever is not a large product of single precision goes on to
// libtorch's own kernel, with all its checks. A matrix that lies neither row by row nor column by column is copied first.
//
// oneDNN makes code for each shape and keeps that of the last thousand or so: a shape that never came before costs about what
// a product of some millions of multiplications does. Numbers of rows that sampling draws come again within a training.

#include <ATen/Context.h>
#include <ATen/ExpandUtils.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/baddbmm_cpu_dispatch.h>
#include <ATen/ops/bmm_cpu_dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <memory>

namespace at::native {
// In libtorch_cpu.so, though in no header that comes with it: result = alpha a b + beta result, of two or three dimensions.
TORCH_API void mkldnn_matmul(const Tensor& a, const Tensor& b, const Tensor& result, float beta, float alpha);
}  // namespace at::native

namespace {

using at::Scalar;
using at::Tensor;

// Multiplications from which on oneDNN's longer way to the product is made up for, in all and for each matrix of a batch.
constexpr int64_t WORTH = 1 << 20;
constexpr int64_t WORTH_EACH = 1 << 16;

bool plain(const Tensor& t) {
  return t.scalar_type() == at::kFloat && t.layout() == at::kStrided && t.device().is_cpu() && !t.is_conj() && !t.is_neg();
}

// The shape of a product that oneDNN shall make; empty for every other.
c10::SmallVector<int64_t, 3> shape(const Tensor& a, const Tensor& b, int64_t dimensions) {
  if (a.dim() != dimensions || b.dim() != dimensions || !plain(a) || !plain(b)) return {};
  const bool batch = dimensions == 3;
  const int64_t count = batch ? a.size(0) : 1;
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  if (b.size(-2) != k || (batch && b.size(0) != count)) return {};
  // One column or one row is a product with a vector, for which there are better ways.
  if (m < 2 || k < 2 || n < 2 || count < 1) return {};
  if (m * k * n < WORTH_EACH || count * m * k * n < WORTH) return {};
  if (batch) return {count, m, n};
  return {m, n};
}

// Whether a result of this shape can be written where `out` lies.
bool fits(const Tensor& out, const Tensor& a, const Tensor& b, c10::IntArrayRef shape) {
  // A batch of one matrix is contiguous whatever its stride says, which oneDNN reads all the same.
  const bool dense = out.is_contiguous() && (out.dim() < 3 || out.stride(0) == out.size(1) * out.size(2));
  return plain(out) && out.sizes() == shape && dense && !out.is_alias_of(a) && !out.is_alias_of(b);
}

Tensor made(const Tensor& a, const Tensor& b, c10::IntArrayRef shape) {
  Tensor out = at::empty(shape, a.options());
  at::native::mkldnn_matmul(a, b, out, 0, 1);
  return out;
}

bool is(const Scalar& scalar, double number) { return !scalar.isComplex() && scalar.toDouble() == number; }

bool added(const Scalar& beta, const Scalar& alpha) { return is(beta, 1) && is(alpha, 1); }

Tensor mm(const Tensor& a, const Tensor& b) {
  const auto of = shape(a, b, 2);
  return of.empty() ? at::cpu::mm(a, b) : made(a, b, of);
}

Tensor& mm_out(const Tensor& a, const Tensor& b, Tensor& out) {
  const auto of = shape(a, b, 2);
  if (of.empty() || !fits(out, a, b, of)) return at::cpu::mm_out(out, a, b);
  at::native::mkldnn_matmul(a, b, out, 0, 1);
  return out;
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  const auto of = shape(a, b, 3);
  return of.empty() ? at::cpu::bmm(a, b) : made(a, b, of);
}

Tensor& bmm_out(const Tensor& a, const Tensor& b, Tensor& out) {
  const auto of = shape(a, b, 3);
  if (of.empty() || !fits(out, a, b, of)) return at::cpu::bmm_out(out, a, b);
  at::native::mkldnn_matmul(a, b, out, 0, 1);
  return out;
}

// What a product is added to, in a memory of its own and in the product's shape; none where it cannot be brought there.
Tensor spread(const Tensor& self, c10::IntArrayRef shape) {
  if (!plain(self) || !at::is_expandable_to(self.sizes(), shape)) return {};
  Tensor out = at::empty(shape, self.options());
  out.copy_(self.expand(shape));
  return out;
}

Tensor addmm(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  const auto of = shape(a, b, 2);
  const Tensor out = of.empty() || !added(beta, alpha) ? Tensor() : spread(self, of);
  if (!out.defined()) return at::cpu::addmm(self, a, b, beta, alpha);
  at::native::mkldnn_matmul(a, b, out, 1, 1);
  return out;
}

Tensor& addmm_(Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  const auto of = shape(a, b, 2);
  if (of.empty() || !added(beta, alpha) || !fits(self, a, b, of)) return at::cpu::addmm_(self, a, b, beta, alpha);
  at::native::mkldnn_matmul(a, b, self, 1, 1);
  return self;
}

Tensor baddbmm(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  const auto of = shape(a, b, 3);
  const Tensor out = of.empty() || !added(beta, alpha) ? Tensor() : spread(self, of);
  if (!out.defined()) return at::cpu::baddbmm(self, a, b, beta, alpha);
  at::native::mkldnn_matmul(a, b, out, 1, 1);
  return out;
}

// Intel's CPUs have wide code in MKL; others need what oneDNN asks of them.
bool gains() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return !__builtin_cpu_is("intel") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

// libtorch warns of operations that are registered a second time: here they are, on purpose.
struct Silence : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

extern "C" {

// Hands the products over where this CPU gains by it. 1: they are oneDNN's from now on, 0: all is as it was.
int depa_products_settle() noexcept {
  try {
    if (!gains() || !at::globalContext().hasMKLDNN() || !at::globalContext().userEnabledMkldnn()) return 0;
    // It has a check of its own, and may be held to less than the CPU can: it throws here, before anything is handed over.
    const Tensor tried = at::ones({2, 2});
    at::native::mkldnn_matmul(tried, tried, at::empty({2, 2}), 0, 1);
    Silence silence;
    c10::WarningUtils::WarningHandlerGuard quiet(&silence);
    // One that is let go takes its kernels back.
    auto library = std::make_unique<torch::Library>(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, "products", 0);
    library->impl("mm", TORCH_FN(mm));
    library->impl("mm.out", TORCH_FN(mm_out));
    library->impl("bmm", TORCH_FN(bmm));
    library->impl("bmm.out", TORCH_FN(bmm_out));
    library->impl("addmm", TORCH_FN(addmm));
    library->impl("addmm_", TORCH_FN(addmm_));
    library->impl("baddbmm", TORCH_FN(baddbmm));
    static_cast<void>(library.release());  // as long as the process lives
    return 1;
  } catch (...) {
    return 0;
  }
}

}  // extern "C"
