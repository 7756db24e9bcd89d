// What the bindings hand to the kernels: pointers to contiguous arrays, already checked, and how to run over
// them.
#pragma once

#include <cstdint>

struct CUstream_st;  // cudaStream_t without CUDA's headers

namespace label_noise {

// Shapes: B = batch_size, L = num_classes. T is float or double. Outputs may be null in two groups: the
// gradients, and p to posterior.
template <typename T>
struct ForwardArgs {
  const T* scores_y;     // (B, L)
  const T* scores_z;     // (B, 3)
  const int64_t* noisy;  // (B), in [-1, L)
  const T* confusion;    // (L, L), indexed [noisy, true]
  int64_t batch_size;
  int num_classes;
  bool want_q;        // loss is -Q, otherwise -log S
  T scale;            // of both gradients
  T update_noise_lr;  // of that in scores_z
  T* loss;            // (B)
  T* grad_y;          // (B, L) gradient of each row's loss
  T* grad_z;          // (B, 3)
  T* p;               // (B, L)
  T* t;               // (B, 3)
  T* q;               // (B, L)
  T* r;               // (B, 3)
  T* posterior;       // (B, L, 3)
  T* scratch;         // (2, B, L); used on a GPU only
};

template <typename T>
struct BackwardArgs {
  const T* grad_loss;        // (B), or one number for all rows
  int64_t grad_loss_stride;  // 1, or 0
  const T* grad_y;           // (B, L), as the forward wrote them
  const T* grad_z;           // (B, 3)
  int64_t batch_size;
  int num_classes;
  T* grad_scores_y;  // (B, L); may be grad_y
  T* grad_scores_z;  // (B, 3); may be grad_z
};

// Rows [begin, end), in the calling thread.
template <typename T>
void label_noise_forward_cpu(const ForwardArgs<T>& args, int64_t begin, int64_t end);
template <typename T>
void label_noise_backward_cpu(const BackwardArgs<T>& args, int64_t begin, int64_t end);

// The sum of the rows' losses, always in the same order, over `divisor`.
template <typename T>
T label_noise_mean_cpu(const T* loss, int64_t batch_size, double divisor);

// All rows, on the current device; returns once the kernel is queued. Returns null, or why the launch failed.
template <typename T>
const char* label_noise_forward_cuda(const ForwardArgs<T>& args, CUstream_st* stream);
template <typename T>
const char* label_noise_backward_cuda(const BackwardArgs<T>& args, CUstream_st* stream);

}  // namespace label_noise
