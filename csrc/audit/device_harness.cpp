// label_noise_cuda.cu, every line of it, compiled for the host and run there: cuda_runtime.h is the one beside
// this file, and the audit writes label_noise_device.inc, the kernels' file with `kernel<<<grid, block, 0,
// stream>>>(args)` spelled `emulated::launch(kernel<T>, grid, block, args)`, the one thing in it that C++
// cannot read. The interface is scalar_harness.cpp's.
#include "label_noise_device.inc"

extern "C" {
void forward_float32(const label_noise::ForwardArgs<float>* args) {
  label_noise::label_noise_forward_cuda(*args, nullptr);
}
void forward_float64(const label_noise::ForwardArgs<double>* args) {
  label_noise::label_noise_forward_cuda(*args, nullptr);
}
void backward_float32(const label_noise::BackwardArgs<float>* args) {
  label_noise::label_noise_backward_cuda(*args, nullptr);
}
void backward_float64(const label_noise::BackwardArgs<double>* args) {
  label_noise::label_noise_backward_cuda(*args, nullptr);
}
float mean_float32(double sum, double divisor) { return label_noise::mean_loss<float>(sum, divisor); }
double mean_float64(double sum, double divisor) { return label_noise::mean_loss<double>(sum, divisor); }
}
