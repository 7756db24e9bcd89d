// The formulas of label_noise_math.h behind a C interface, without PyTorch, one class per number: what the
// audit compiles from the header as it is and from copies of it with a fault put in. The loops over rows are
// the harness's own.
#include <vector>

#include "label_noise.h"
#include "label_noise_math.h"

namespace label_noise {
namespace {

template <typename T>
void forward(const ForwardArgs<T>& args) {
  const int64_t length = args.num_classes;
  std::vector<T> classes(length);
  for (int64_t y = 0; y < length; ++y) classes[y] = T(y);
  const OneLane<T> lanes = {classes.data()};
  for (int64_t n = 0; n < args.batch_size; ++n) {
    const int64_t known = args.noisy[n] < 0 ? 0 : args.noisy[n];
    const T *a = args.scores_y + n * length, *b = args.scores_z + n * kNoiseTypes;
    const RowInput<T> in = {a,
                            {b[0], b[1], b[2]},
                            args.confusion + known * length,
                            T(args.noisy[n]),
                            a[known],
                            args.scale,
                            args.update_noise_lr,
                            args.num_classes,
                            args.num_classes,
                            args.scratch,
                            args.scratch + length};
    const RowOutput<T> out = {args.grad_y + n * length, args.p + n * length, args.q + n * length,
                              args.posterior + n * length * kNoiseTypes};
    const RowResult<T> result = forward_row(in, out, args.want_q, lanes);
    args.loss[n] = result.loss;
    for (int64_t z = 0; z < kNoiseTypes; ++z) {
      args.grad_z[n * kNoiseTypes + z] = result.grad_z[z];
      args.t[n * kNoiseTypes + z] = result.t[z];
      args.r[n * kNoiseTypes + z] = result.r[z];
    }
  }
}

template <typename T>
void backward(const BackwardArgs<T>& args) {
  for (int64_t n = 0; n < args.batch_size; ++n) {
    const T grad_loss = args.grad_loss[n * args.grad_loss_stride];
    for (int64_t k = n * args.num_classes; k < (n + 1) * args.num_classes; ++k)
      args.grad_scores_y[k] = eq7_chained(grad_loss, args.grad_y[k]);
    for (int64_t k = n * kNoiseTypes; k < (n + 1) * kNoiseTypes; ++k)
      args.grad_scores_z[k] = eq7_chained(grad_loss, args.grad_z[k]);
  }
}

template <typename T>
void exp_and_log(const T* x, int64_t size, T* mantissa, T* exponent, T* log_of_x) {
  for (int64_t k = 0; k < size; ++k) {
    const Scaled<T> exp_x = exp_scaled(x[k]);
    mantissa[k] = exp_x.mantissa;
    exponent[k] = exp_x.exponent;
    log_of_x[k] = log_positive(x[k]);
  }
}

}  // namespace
}  // namespace label_noise

extern "C" {
void forward_float32(const label_noise::ForwardArgs<float>* args) { label_noise::forward(*args); }
void forward_float64(const label_noise::ForwardArgs<double>* args) { label_noise::forward(*args); }
void backward_float32(const label_noise::BackwardArgs<float>* args) { label_noise::backward(*args); }
void backward_float64(const label_noise::BackwardArgs<double>* args) { label_noise::backward(*args); }
float mean_float32(double sum, double divisor) { return label_noise::mean_loss<float>(sum, divisor); }
double mean_float64(double sum, double divisor) { return label_noise::mean_loss<double>(sum, divisor); }
void exp_and_log_float32(const float* x, int64_t size, float* mantissa, float* exponent, float* log_of_x) {
  label_noise::exp_and_log(x, size, mantissa, exponent, log_of_x);
}
void exp_and_log_float64(const double* x, int64_t size, double* mantissa, double* exponent, double* log_of_x) {
  label_noise::exp_and_log(x, size, mantissa, exponent, log_of_x);
}
}
