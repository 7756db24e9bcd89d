// The CPU's iteration over rows. The arithmetic is in label_noise_math.h.
#include "label_noise.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "label_noise_math.h"
#include "row_pack.h"

// Every loop is compiled twice on x86-64, for any processor and for those of the last ten years; `flatten` inlines the
// arithmetic into both.
#if defined(__x86_64__)
#define FOR_AVX2 __attribute__((target("avx2,fma"), flatten))
#define HAS_AVX2() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define FOR_AVX2
#define HAS_AVX2() false
#endif

namespace label_noise {
namespace {

// The arrays of a few rows side by side, and their way from and to memory.
template <typename T>
class Rows {
 public:
  using V = typename Pack<T>::Type;
  static constexpr int kRows = Pack<T>::kRows;

  explicit Rows(const ForwardArgs<T>& args)
      : args_(args), buffer_(new_array(size_t(args.num_classes) * (args.posterior ? 10 : 5))) {
    const size_t length = args.num_classes;
    V* next = buffer_.get();
    a_ = next;
    confusion_ = next + length;
    in_.a = a_;
    in_.confusion = confusion_;
    in_.num_classes = args.num_classes;
    in_.other = next + 2 * length;
    in_.confused = next + 3 * length;
    out_ = {args.unit_grad_y ? next + 4 * length : nullptr, nullptr, nullptr, nullptr};
    if (args.posterior) out_ = {out_.unit_grad_y, next + 5 * length, next + 6 * length, next + 7 * length};
  }

  // Rows first to first + num_rows - 1; spare lanes repeat the last.
  void run(int64_t first, int num_rows) {
    load(first, num_rows);
    const RowResult<V> result = forward_row(in_, out_, args_.want_q, OneLane());
    store(first, num_rows, result);
  }

 private:
  static std::unique_ptr<V, decltype(&std::free)> new_array(size_t length) {
    const size_t bytes = (length * sizeof(V) + 63) / 64 * 64;
    return {static_cast<V*>(std::aligned_alloc(64, bytes)), &std::free};
  }

  void load(int64_t first, int num_rows) {
    const T *a_rows[kRows], *confusion_rows[kRows];
    for (int k = 0; k < kRows; ++k) {
      const int64_t n = first + std::min(k, num_rows - 1), noisy = args_.noisy[n], known = std::max<int64_t>(noisy, 0);
      a_rows[k] = args_.scores_y + n * args_.num_classes;
      confusion_rows[k] = args_.confusion + known * args_.num_classes;
      for (int z = 0; z < kNoiseTypes; ++z) lane(in_.b[z], k) = args_.scores_z[n * kNoiseTypes + z];
      lane(in_.noisy, k) = T(noisy);
      lane(in_.a_noisy, k) = a_rows[k][known];
    }
    pack_rows(a_rows, args_.num_classes, a_);
    pack_rows(confusion_rows, args_.num_classes, confusion_);
  }

  void store_array(const V* packs, int length, int64_t first, int num_rows, T* array) {
    T* rows[kRows];
    for (int k = 0; k < kRows; ++k) rows[k] = array + (first + k) * length;
    unpack_rows(packs, length, num_rows, rows);
  }

  void store(int64_t first, int num_rows, const RowResult<V>& result) {
    store_array(&result.loss, 1, first, num_rows, args_.loss);
    if (args_.unit_grad_y) {
      store_array(out_.unit_grad_y, args_.num_classes, first, num_rows, args_.unit_grad_y);
      store_array(result.unit_grad_z, kNoiseTypes, first, num_rows, args_.unit_grad_z);
    }
    if (args_.posterior) {
      store_array(out_.p, args_.num_classes, first, num_rows, args_.p);
      store_array(result.t, kNoiseTypes, first, num_rows, args_.t);
      store_array(out_.q, args_.num_classes, first, num_rows, args_.q);
      store_array(result.r, kNoiseTypes, first, num_rows, args_.r);
      store_array(out_.posterior, args_.num_classes * kNoiseTypes, first, num_rows, args_.posterior);
    }
  }

  const ForwardArgs<T>& args_;
  std::unique_ptr<V, decltype(&std::free)> buffer_;
  V *a_, *confusion_;
  RowInput<V> in_;
  RowOutput<V> out_;
};

template <typename T>
inline void forward_rows(const ForwardArgs<T>& args, int64_t begin, int64_t end) {
  Rows<T> rows(args);
  for (int64_t n = begin; n < end; n += Rows<T>::kRows) rows.run(n, int(std::min<int64_t>(Rows<T>::kRows, end - n)));
}

template <typename T>
inline void backward_rows(const BackwardArgs<T>& args, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; ++n) {
    const T weight = args.grad_loss[n * args.grad_loss_stride] * args.scale;
    const int64_t first = n * args.num_classes;
    for (int64_t k = first; k < first + args.num_classes; ++k)
      args.grad_scores_y[k] = eq7_weighted(weight, args.unit_grad_y[k]);
    for (int64_t k = n * kNoiseTypes; k < (n + 1) * kNoiseTypes; ++k)
      args.grad_scores_z[k] = eq7_weighted(weight * args.update_noise_lr, args.unit_grad_z[k]);
  }
}

template <typename T>
FOR_AVX2 void forward_rows_avx2(const ForwardArgs<T>& args, int64_t begin, int64_t end) {
  forward_rows(args, begin, end);
}

template <typename T>
FOR_AVX2 void backward_rows_avx2(const BackwardArgs<T>& args, int64_t begin, int64_t end) {
  backward_rows(args, begin, end);
}

const bool has_avx2 = HAS_AVX2();

}  // namespace

template <typename T>
void label_noise_forward_cpu(const ForwardArgs<T>& args, int64_t begin, int64_t end) {
  has_avx2 ? forward_rows_avx2(args, begin, end) : forward_rows(args, begin, end);
}

template <typename T>
void label_noise_backward_cpu(const BackwardArgs<T>& args, int64_t begin, int64_t end) {
  has_avx2 ? backward_rows_avx2(args, begin, end) : backward_rows(args, begin, end);
}

template void label_noise_forward_cpu(const ForwardArgs<float>&, int64_t, int64_t);
template void label_noise_forward_cpu(const ForwardArgs<double>&, int64_t, int64_t);
template void label_noise_backward_cpu(const BackwardArgs<float>&, int64_t, int64_t);
template void label_noise_backward_cpu(const BackwardArgs<double>&, int64_t, int64_t);

}  // namespace label_noise
