// As much of CUDA as csrc/*.cu uses, on one thread of the host: the lanes of a warp are coroutines that take
// turns, changing at each shuffle, so that all have given their value before any receives one. Ends the
// program where a GPU would hang or read garbage: a shuffle that not all lanes take part in.
#pragma once

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline

struct dim3_of_one {
  unsigned x;
};
inline dim3_of_one threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t { cudaSuccess };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no error"; }

namespace emulated {

constexpr unsigned kLanes = 32;
constexpr size_t kStackBytes = 1 << 16;

// The warp that is running. Shuffled values lie in two arrays in turn: a lane may be at its next shuffle
// before the others have read what it gave to this one.
struct Warp {
  ucontext_t scheduler, lane[kLanes];
  std::vector<char> stacks = std::vector<char>(kLanes * kStackBytes);
  std::function<void()> body;
  unsigned running = 0, shuffles[kLanes];
  bool ended[kLanes];
  double given[2][kLanes];
};
inline Warp warp;

inline void run_lane() {
  warp.body();
  warp.ended[warp.running] = true;
}

// One turn for each lane, again and again, until all have ended, which they must do in the same turn.
inline void run_warp(unsigned first_thread) {
  for (unsigned k = 0; k < kLanes; ++k) {
    warp.ended[k] = false;
    warp.shuffles[k] = 0;
    getcontext(&warp.lane[k]);
    warp.lane[k].uc_stack.ss_sp = warp.stacks.data() + k * kStackBytes;
    warp.lane[k].uc_stack.ss_size = kStackBytes;
    warp.lane[k].uc_link = &warp.scheduler;
    makecontext(&warp.lane[k], run_lane, 0);
  }
  for (unsigned ended = 0; ended == 0;) {
    for (unsigned k = 0; k < kLanes; ++k) {
      warp.running = k;
      threadIdx.x = first_thread + k;
      swapcontext(&warp.scheduler, &warp.lane[k]);
      ended += warp.ended[k];
    }
    if (ended != 0 && ended != kLanes) {
      std::fprintf(stderr, "emulated warp: %u of %u lanes ended while others wait in a shuffle\n", ended, kLanes);
      std::abort();
    }
  }
}

template <typename Kernel, typename Args>
void launch(const Kernel& kernel, int blocks, int threads, const Args& args) {
  gridDim.x = unsigned(blocks);
  blockDim.x = unsigned(threads);
  warp.body = [&] { kernel(args); };
  for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x)
    for (unsigned first = 0; first < blockDim.x; first += kLanes) run_warp(first);
}

}  // namespace emulated

template <typename T>
T __shfl_xor_sync(unsigned lanes, T value, int apart) {
  emulated::Warp& warp = emulated::warp;
  const unsigned own = warp.running;
  if (lanes != 0xffffffffu) std::abort();  // nothing in csrc/ shuffles within part of a warp
  double* const given = warp.given[warp.shuffles[own]++ % 2];
  std::memcpy(&given[own], &value, sizeof(value));
  swapcontext(&warp.lane[own], &warp.scheduler);
  std::memcpy(&value, &given[own ^ unsigned(apart)], sizeof(value));
  return value;
}
