// Checks, allocation and choice of device for the label noise kernels: the only file of csrc/ that knows
// PyTorch.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/utils/pybind.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>

#include "label_noise.h"

#ifdef WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#endif

namespace {

using at::Tensor;
using label_noise::BackwardArgs;
using label_noise::ForwardArgs;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNoiseTypes = 3;
constexpr int64_t kMostClasses = 1 << 24;  // the kernels compare labels as floats
constexpr int64_t kScoresPerTask = 16384;  // below this, waking another thread costs more than it saves

// ---- Choice of device ----

#ifdef WITH_CUDA
template <typename Args, typename Kernel>
void run_on_gpu(const Args& args, at::Device device, const Kernel& kernel) {
  TORCH_CHECK_VALUE(device.is_cuda(), "scores_y: expected on the CPU or a CUDA device, got ", device);
  const c10::cuda::CUDAGuard guard(device);
  const char* failure = kernel(args, at::cuda::getCurrentCUDAStream().stream());
  TORCH_CHECK(failure == nullptr, "label noise kernel: launch failed: ", failure);
}
#else
template <typename Args, typename Kernel>
void run_on_gpu(const Args&, at::Device device, const Kernel&) {
  TORCH_CHECK_VALUE(false, "scores_y: expected on the CPU, the only device the extension was built for, got ", device);
}
#endif

template <typename Args, typename CpuKernel, typename GpuKernel>
void run(const Args& args, at::Device device, const CpuKernel& on_cpu, const GpuKernel& on_gpu) {
  if (args.batch_size == 0) return;
  if (!device.is_cpu()) return run_on_gpu(args, device, on_gpu);
  const int64_t rows_per_task = std::max<int64_t>(1, kScoresPerTask / args.num_classes);
  at::parallel_for(0, args.batch_size, rows_per_task, [&](int64_t begin, int64_t end) { on_cpu(args, begin, end); });
}

// ---- Checks ----

bool is_half(at::ScalarType type) { return type == at::kHalf || type == at::kBFloat16; }

// Half precision is widened once, here; all arithmetic is in float32 or float64.
at::ScalarType arithmetic_type(at::ScalarType type) { return is_half(type) ? at::kFloat : type; }

void check_scores(const Tensor& scores_y, const Tensor& scores_z) {
  TORCH_CHECK_VALUE(scores_y.dim() == 2 && scores_y.size(1) >= 2, "scores_y: expected shape (B, L) with L >= 2, got ",
                    scores_y.sizes());
  TORCH_CHECK_VALUE(scores_y.size(1) <= kMostClasses, "scores_y: expected L <= ", kMostClasses, ", got ",
                    scores_y.size(1));
  TORCH_CHECK_VALUE(scores_z.dim() == 2 && scores_z.size(0) == scores_y.size(0) && scores_z.size(1) == kNoiseTypes,
                    "scores_z: expected shape (B, 3) with B=", scores_y.size(0), ", got ", scores_z.sizes());
  const at::ScalarType type = scores_y.scalar_type();
  TORCH_CHECK_TYPE(type == at::kFloat || type == at::kDouble || is_half(type),
                   "scores_y: expected float32, float64, float16 or bfloat16, got ", type);
  TORCH_CHECK_TYPE(scores_z.scalar_type() == type, "scores_z: expected ", type, " as scores_y, got ",
                   scores_z.scalar_type());
}

void check_confusion(const Tensor& confusion, int64_t num_classes) {
  TORCH_CHECK_VALUE(confusion.dim() == 2 && confusion.size(0) == num_classes && confusion.size(1) == num_classes,
                    "C: expected shape (L, L) with L=", num_classes, ", got ", confusion.sizes());
  TORCH_CHECK_TYPE(confusion.is_floating_point(), "C: expected a floating-point type, got ", confusion.scalar_type());
}

void check_device(const char* name, const Tensor& tensor, const Tensor& scores_y) {
  TORCH_CHECK_VALUE(tensor.device() == scores_y.device(), name, ": expected on ", scores_y.device(),
                    " as scores_y, got ", tensor.device());
}

void check_whole_numbers(const Tensor& noisy, const Tensor& labels) {
  const Tensor whole = labels.eq(noisy).all();
  if (whole.is_cuda()) return at::_assert_async(whole, "noisy_label: expected whole numbers");
  TORCH_CHECK_VALUE(whole.item<bool>(), "noisy_label: expected whole numbers, got ", noisy);
}

void check_range(const Tensor& labels, int64_t num_classes) {
  if (!labels.is_cpu()) return;  // the kernel asserts it: the host does not wait for the device
  const int64_t* label = labels.const_data_ptr<int64_t>();
  for (int64_t n = 0; n < labels.numel(); ++n) {
    TORCH_CHECK_VALUE(label[n] >= -1 && label[n] < num_classes,
                      "noisy_label: expected -1 (none) or a class below L=", num_classes, ", got ", label[n],
                      " at index ", n);
  }
}

// The labels as int64 of shape (B).
Tensor checked_labels(const Tensor& noisy, int64_t batch_size, int64_t num_classes) {
  TORCH_CHECK_VALUE(noisy.dim() >= 1 && noisy.size(0) == batch_size && noisy.numel() == batch_size,
                    "noisy_label: expected shape (B) or (B, 1, 1, 1) with B=", batch_size, ", got ", noisy.sizes());
  TORCH_CHECK_TYPE(noisy.scalar_type() == at::kLong || noisy.is_floating_point(),
                   "noisy_label: expected int64 or whole floating-point numbers, got ", noisy.scalar_type());
  const Tensor labels = noisy.reshape(batch_size).to(at::kLong).contiguous();
  if (noisy.is_floating_point()) check_whole_numbers(noisy.reshape(batch_size), labels);
  check_range(labels, num_classes);
  return labels;
}

// ---- The two functions ----

// Arrays that are not wanted stay undefined: None in Python.
Tensor new_array(bool wanted, at::IntArrayRef shape, const at::TensorOptions& options) {
  return wanted ? at::empty(shape, options) : Tensor();
}

template <typename T>
T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

// loss (B), grad_y (B, L), grad_z (B, 3), p (B, L), t (B, 3), q (B, L), r (B, 3), posterior (B, L, 3); without
// the two gradients unless `want_grad`, and without p to posterior unless `want_posterior`. The gradients are
// those of each row's loss times `scale`, that of scores_z also times `update_noise_lr`.
using ForwardResult = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

ForwardResult label_noise_forward(const Tensor& scores_y, const Tensor& scores_z, const Tensor& noisy,
                                  const Tensor& confusion, bool want_q, bool want_grad, bool want_posterior,
                                  double scale, double update_noise_lr) {
  check_scores(scores_y, scores_z);
  const int64_t batch_size = scores_y.size(0), num_classes = scores_y.size(1);
  check_confusion(confusion, num_classes);
  check_device("scores_z", scores_z, scores_y);
  check_device("noisy_label", noisy, scores_y);
  check_device("C", confusion, scores_y);
  const Tensor labels = checked_labels(noisy, batch_size, num_classes);

  const at::ScalarType type = arithmetic_type(scores_y.scalar_type());
  const Tensor a = scores_y.to(type).contiguous(), b = scores_z.to(type).contiguous();
  const Tensor c = confusion.to(type).contiguous();
  const at::TensorOptions options = at::TensorOptions(type).device(a.device());
  const Tensor loss = at::empty({batch_size}, options);
  const Tensor grad_y = new_array(want_grad, {batch_size, num_classes}, options);
  const Tensor grad_z = new_array(want_grad, {batch_size, kNoiseTypes}, options);
  const Tensor p = new_array(want_posterior, {batch_size, num_classes}, options);
  const Tensor t = new_array(want_posterior, {batch_size, kNoiseTypes}, options);
  const Tensor q = new_array(want_posterior, {batch_size, num_classes}, options);
  const Tensor r = new_array(want_posterior, {batch_size, kNoiseTypes}, options);
  const Tensor posterior = new_array(want_posterior, {batch_size, num_classes, kNoiseTypes}, options);
  const Tensor scratch = new_array(!a.is_cpu(), {2, batch_size, num_classes}, options);

  AT_DISPATCH_FLOATING_TYPES(type, "label_noise_forward", [&] {
    const ForwardArgs<scalar_t> args = {a.const_data_ptr<scalar_t>(),
                                        b.const_data_ptr<scalar_t>(),
                                        labels.const_data_ptr<int64_t>(),
                                        c.const_data_ptr<scalar_t>(),
                                        batch_size,
                                        int(num_classes),
                                        want_q,
                                        scalar_t(scale),
                                        scalar_t(update_noise_lr),
                                        loss.data_ptr<scalar_t>(),
                                        data_or_null<scalar_t>(grad_y),
                                        data_or_null<scalar_t>(grad_z),
                                        data_or_null<scalar_t>(p),
                                        data_or_null<scalar_t>(t),
                                        data_or_null<scalar_t>(q),
                                        data_or_null<scalar_t>(r),
                                        data_or_null<scalar_t>(posterior),
                                        data_or_null<scalar_t>(scratch)};
    run(
        args, a.device(),
        [](const auto& rows, int64_t begin, int64_t end) { label_noise_forward_cpu(rows, begin, end); },
        [](const auto& rows, auto stream) { return label_noise_forward_cuda(rows, stream); });
  });
  return {loss, grad_y, grad_z, p, t, q, r, posterior};
}

// grad_y (B, L), grad_z (B, 3) as the forward returned them; grad_loss (B), or one number for every row.
// Returns the gradients of scores_y and scores_z; `in_place`: in the memory of the forward's, where these are
// contiguous.
std::tuple<Tensor, Tensor> label_noise_backward(const Tensor& grad_loss, const Tensor& grad_y, const Tensor& grad_z,
                                                bool in_place) {
  TORCH_CHECK_VALUE(grad_y.dim() == 2, "grad_y: expected shape (B, L), got ", grad_y.sizes());
  const int64_t batch_size = grad_y.size(0), num_classes = grad_y.size(1);
  const at::ScalarType type = grad_y.scalar_type();
  TORCH_CHECK_VALUE(grad_z.sizes() == at::IntArrayRef({batch_size, kNoiseTypes}),
                    "grad_z: expected shape (B, 3) with B=", batch_size, ", got ", grad_z.sizes());
  TORCH_CHECK_TYPE(grad_z.scalar_type() == type, "grad_z: expected ", type, " as grad_y, got ", grad_z.scalar_type());
  TORCH_CHECK_VALUE(grad_loss.dim() == 0 || (grad_loss.dim() == 1 && grad_loss.size(0) == batch_size),
                    "grad_loss: expected one number or shape (B) with B=", batch_size, ", got ", grad_loss.sizes());
  check_device("grad_z", grad_z, grad_y);
  check_device("grad_loss", grad_loss, grad_y);
  const Tensor weight = grad_loss.to(type).contiguous();
  const Tensor row_grad_y = grad_y.contiguous(), row_grad_z = grad_z.contiguous();
  const Tensor grad_scores_y = in_place ? row_grad_y : at::empty_like(row_grad_y);
  const Tensor grad_scores_z = in_place ? row_grad_z : at::empty_like(row_grad_z);

  AT_DISPATCH_FLOATING_TYPES(type, "label_noise_backward", [&] {
    const BackwardArgs<scalar_t> args = {weight.const_data_ptr<scalar_t>(),
                                         weight.dim(),
                                         row_grad_y.const_data_ptr<scalar_t>(),
                                         row_grad_z.const_data_ptr<scalar_t>(),
                                         batch_size,
                                         int(num_classes),
                                         grad_scores_y.data_ptr<scalar_t>(),
                                         grad_scores_z.data_ptr<scalar_t>()};
    run(
        args, grad_y.device(),
        [](const auto& rows, int64_t begin, int64_t end) { label_noise_backward_cpu(rows, begin, end); },
        [](const auto& rows, auto stream) { return label_noise_backward_cuda(rows, stream); });
  });
  return {grad_scores_y, grad_scores_z};
}

// ---- Autograd for eager code ----

// In C++ because Python's autograd.Function would take a sixth of the time of a small batch.
class LabelNoiseLoss : public torch::autograd::Function<LabelNoiseLoss> {
 public:
  // The loss, and if wanted the posterior, p and t, none of which has a gradient.
  static variable_list forward(AutogradContext* ctx, const Tensor& scores_y, const Tensor& scores_z,
                               const Tensor& noisy, const Tensor& confusion, double update_noise_lr, bool want_q,
                               std::optional<double> divisor, bool want_posterior) {
    const auto [rows, grad_y, grad_z, p, t, q, r, posterior] =
        label_noise_forward(scores_y, scores_z, noisy, confusion, want_q, /*want_grad=*/true, want_posterior,
                            /*scale=*/1 / divisor.value_or(1), update_noise_lr);
    ctx->save_for_backward({grad_y, grad_z});
    const Tensor loss = reduce(rows, divisor);
    if (!want_posterior) return {loss};
    ctx->mark_non_differentiable({posterior, p, t});
    return {loss, posterior, p, t};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const bool is_last_use = !torch::autograd::get_current_graph_task_keep_graph();
    variable_list result(8);
    if (is_last_use && is_one(grads[0])) {
      result[0] = saved[0];
      result[1] = saved[1];
    } else {
      std::tie(result[0], result[1]) = label_noise_backward(grads[0], saved[0], saved[1], is_last_use);
    }
    return at::GradMode::is_enabled() ? once_differentiable(result) : result;
  }

  // The rows' losses as they are, or their sum over `divisor`.
  static Tensor reduce(const Tensor& rows, std::optional<double> divisor) {
    if (!divisor) return rows;
    if (!rows.is_cpu()) return rows.sum().div_(*divisor);
    const Tensor loss = at::empty({}, rows.options());
    AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "label_noise_mean", [&] {
      *loss.data_ptr<scalar_t>() =
          label_noise::label_noise_mean_cpu(rows.const_data_ptr<scalar_t>(), rows.numel(), *divisor);
    });
    return loss;
  }

 private:
  // What loss.backward() starts with; asked only where the answer does not make the host wait for a device.
  static bool is_one(const Tensor& grad_loss) {
    return grad_loss.is_cpu() && grad_loss.dim() == 0 && grad_loss.item<double>() == 1;
  }

  // As Python's decorator of that name: an error for whoever differentiates the gradients.
  static variable_list once_differentiable(const variable_list& grads) {
    const auto error = std::make_shared<torch::autograd::DelayedError>(
        "the label noise loss can be differentiated only once", int64_t(grads.size()));
    variable_list inputs = grads;
    for (Tensor& input : inputs)
      if (input.defined()) input = input.detach().requires_grad_();
    return (*error)(std::move(inputs));
  }
};

using LossResult = std::tuple<Tensor, Tensor, Tensor, Tensor>;

// The loss of each row or, with a divisor, their sum over it; the posterior, p and t, None unless
// `want_posterior`.
LossResult label_noise_loss(const Tensor& scores_y, const Tensor& scores_z, const Tensor& noisy,
                            const Tensor& confusion, double update_noise_lr, bool want_q, std::optional<double> divisor,
                            bool want_posterior) {
  if (at::GradMode::is_enabled() && (scores_y.requires_grad() || scores_z.requires_grad())) {
    variable_list result =
        LabelNoiseLoss::apply(scores_y, scores_z, noisy, confusion, update_noise_lr, want_q, divisor, want_posterior);
    result.resize(4);
    return {result[0], result[1], result[2], result[3]};
  }
  const auto [rows, grad_y, grad_z, p, t, q, r, posterior] = label_noise_forward(
      scores_y, scores_z, noisy, confusion, want_q, /*want_grad=*/false, want_posterior, 1, update_noise_lr);
  return {LabelNoiseLoss::reduce(rows, divisor), posterior, p, t};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("label_noise_forward", torch::wrap_pybind_function_no_gil(label_noise_forward));
  m.def("label_noise_backward", torch::wrap_pybind_function_no_gil(label_noise_backward));
  m.def("label_noise_loss", torch::wrap_pybind_function_no_gil(label_noise_loss));
}
