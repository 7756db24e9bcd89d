// CUDA's iteration over rows: a warp for each, or a grid-stride loop over them. The arithmetic is in
// label_noise_math.h.
#undef NDEBUG  // the assertion on labels is part of the interface, not a debugging aid
#include <cuda_runtime.h>

#include <algorithm>
#include <cassert>

#include "label_noise.h"
#include "label_noise_math.h"

namespace label_noise {
namespace {

constexpr int kWarpSize = 32, kThreads = 128;
constexpr int64_t kMostBlocks = 65536;

// The 32 lanes of a warp on one row. Sums go by fixed pairs of lanes: the same result every time, in every
// lane.
struct WarpLanes {
  static constexpr int step = kWarpSize;
  int first;

  __device__ int class_at(int y) const { return y; }
  template <typename T>
  __device__ T sum(T x) const {
    for (int apart = kWarpSize / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(0xffffffffu, x, apart);
    return x;
  }
  template <typename T>
  __device__ T max(T x) const {
    for (int apart = kWarpSize / 2; apart > 0; apart /= 2) x = larger(x, __shfl_xor_sync(0xffffffffu, x, apart));
    return x;
  }
};

template <typename T>
__device__ T* row_or_null(T* array, int64_t n, int64_t length) {
  return array == nullptr ? nullptr : array + n * length;
}

template <typename T>
__device__ void forward_row_by_warp(const ForwardArgs<T>& args, int64_t n, WarpLanes lanes) {
  const int64_t length = args.num_classes, noisy = args.noisy[n], first_z = n * kNoiseTypes;
  assert(noisy >= kUnlabelled && noisy < length && "noisy_label: expected -1 (none) or a class");
  const int64_t known = noisy == kUnlabelled ? 0 : noisy;
  const T* a = args.scores_y + n * length;
  const T* b = args.scores_z + first_z;
  const RowInput<T> in = {a,
                          {b[0], b[1], b[2]},
                          args.confusion + known * length,
                          T(noisy),
                          a[known],
                          args.scale,
                          args.update_noise_lr,
                          args.num_classes,
                          args.num_classes,
                          args.scratch + n * length,
                          args.scratch + (args.batch_size + n) * length};
  const RowOutput<T> out = {row_or_null(args.grad_y, n, length), row_or_null(args.p, n, length),
                            row_or_null(args.q, n, length), row_or_null(args.posterior, n, length * kNoiseTypes)};
  const RowResult<T> result = forward_row(in, out, args.want_q, lanes);
  if (lanes.first != 0) return;
  args.loss[n] = result.loss;
  for (int z = 0; z < kNoiseTypes; ++z) {
    if (args.grad_z) args.grad_z[first_z + z] = result.grad_z[z];
    if (args.posterior == nullptr) continue;
    args.t[first_z + z] = result.t[z];
    args.r[first_z + z] = result.r[z];
  }
}

template <typename T>
__global__ void label_noise_forward_kernel(const ForwardArgs<T> args) {
  const WarpLanes lanes = {int(threadIdx.x % kWarpSize)};
  const int64_t warp = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarpSize;
  const int64_t num_warps = int64_t(gridDim.x) * blockDim.x / kWarpSize;
  for (int64_t n = warp; n < args.batch_size; n += num_warps) forward_row_by_warp(args, n, lanes);
}

// One thread an element: first those of scores_y, then those of scores_z.
template <typename T>
__global__ void label_noise_backward_kernel(const BackwardArgs<T> args) {
  const int64_t size_y = args.batch_size * args.num_classes, size = size_y + args.batch_size * kNoiseTypes;
  const int64_t num_threads = int64_t(gridDim.x) * blockDim.x;
  for (int64_t k = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < size; k += num_threads) {
    const bool is_y = k < size_y;
    const int64_t element = is_y ? k : k - size_y, n = element / (is_y ? args.num_classes : kNoiseTypes);
    const T grad_loss = args.grad_loss[n * args.grad_loss_stride];
    T* const grad_scores = is_y ? args.grad_scores_y : args.grad_scores_z;
    grad_scores[element] = eq7_chained(grad_loss, (is_y ? args.grad_y : args.grad_z)[element]);
  }
}

int blocks_for(int64_t threads) { return int(std::min(kMostBlocks, (threads + kThreads - 1) / kThreads)); }

const char* launch_failure() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace

template <typename T>
const char* label_noise_forward_cuda(const ForwardArgs<T>& args, CUstream_st* stream) {
  label_noise_forward_kernel<<<blocks_for(args.batch_size * kWarpSize), kThreads, 0, stream>>>(args);
  return launch_failure();
}

template <typename T>
const char* label_noise_backward_cuda(const BackwardArgs<T>& args, CUstream_st* stream) {
  const int64_t size = args.batch_size * (args.num_classes + kNoiseTypes);
  label_noise_backward_kernel<<<blocks_for(size), kThreads, 0, stream>>>(args);
  return launch_failure();
}

template const char* label_noise_forward_cuda(const ForwardArgs<float>&, CUstream_st*);
template const char* label_noise_forward_cuda(const ForwardArgs<double>&, CUstream_st*);
template const char* label_noise_backward_cuda(const BackwardArgs<float>&, CUstream_st*);
template const char* label_noise_backward_cuda(const BackwardArgs<double>&, CUstream_st*);

}  // namespace label_noise
