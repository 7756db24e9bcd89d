// The CPU's iteration over rows. The arithmetic is in label_noise_math.h.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "label_noise.h"
#include "label_noise_math.h"
#include "row_layouts.h"

namespace label_noise {
namespace {

// ---- Forward ----

// The arrays of the rows that are computed at once, and their way from memory and back.
template <typename T, typename Layout>
class Rows {
 public:
  using V = typename Layout::V;
  static constexpr int kRows = Layout::kRows;

  explicit Rows(const ForwardArgs<T>& args)
      : args_(args),
        length_(Layout::length(args.num_classes)),
        buffer_(new_array(length_ * (args.posterior ? 11 : 6))) {
    V* array = buffer_.get();
    const auto next = [&](bool wanted, int arrays = 1) {
      V* const start = array;
      array += wanted ? arrays * length_ : 0;
      return wanted ? start : nullptr;
    };
    V* const classes = next(true);
    for (int place = 0; place < int(length_); ++place) classes[place] = Layout::classes_at(place);
    lanes_.classes = classes;
    a_ = next(true);
    confusion_ = next(true);
    in_.num_classes = args.num_classes;
    in_.length = int(length_);
    in_.scale = constant<V>(args.scale);
    in_.update_noise_lr = constant<V>(args.update_noise_lr);
    in_.other = next(true);
    in_.confused = next(true);
    grad_y_ = next(args.grad_y);
    p_ = next(args.posterior);
    q_ = next(args.posterior);
    out_.posterior = next(args.posterior, kNoiseTypes);
  }

  // Rows first to first + num_rows - 1; spare places repeat the last.
  void run(int64_t first, int num_rows) {
    load(first, num_rows);
    const RowResult<V> result = forward_row(in_, out_, args_.want_q, lanes_);
    store_results(first, num_rows, result);
    store_arrays(first, num_rows);
  }

 private:
  using Array = std::unique_ptr<V, decltype(&std::free)>;

  static Array new_array(size_t length) {
    const size_t bytes = (length * sizeof(V) + 63) / 64 * 64;
    Array array = {static_cast<V*>(std::aligned_alloc(64, bytes)), &std::free};
    if (!array) throw std::bad_alloc();
    return array;
  }

  void load(int64_t first, int num_rows) {
    const T *a_rows[kRows], *b_rows[kRows], *confusion_rows[kRows];
    int64_t noisy[kRows], known[kRows];
    for (int k = 0; k < kRows; ++k) {
      const int64_t n = first + std::min(k, num_rows - 1);
      noisy[k] = args_.noisy[n];
      known[k] = std::max<int64_t>(noisy[k], 0);
      a_rows[k] = args_.scores_y + n * args_.num_classes;
      b_rows[k] = args_.scores_z + n * kNoiseTypes;
      confusion_rows[k] = args_.confusion + known[k] * args_.num_classes;
    }
    in_.noisy = Layout::per_row([&](int k) { return T(noisy[k]); });
    in_.a_noisy = Layout::per_row([&](int k) { return a_rows[k][known[k]]; });
    for (int z = 0; z < kNoiseTypes; ++z) in_.b[z] = Layout::per_row([&](int k) { return b_rows[k][z]; });
    in_.a = array_of(a_rows, T(kNoScore), a_);
    in_.confusion = array_of(confusion_rows, T(0), confusion_);
    out_.grad_y = view_or(grad_y_, args_.grad_y, first);
    out_.p = view_or(p_, args_.p, first);
    out_.q = view_or(q_, args_.q, first);
  }

  const V* array_of(const T* const (&rows)[kRows], T spare, V* buffer) {
    if (const V* const view = Layout::view(const_cast<T*>(rows[0]), args_.num_classes)) return view;
    Layout::pack(rows, args_.num_classes, spare, buffer);
    return buffer;
  }

  // Where to write the rows of `array` from `first` on.
  V* view_or(V* buffer, T* array, int64_t first) {
    if (array == nullptr) return nullptr;
    V* const view = Layout::view(array + first * args_.num_classes, args_.num_classes);
    return view ? view : buffer;
  }

  void store_results(int64_t first, int num_rows, const RowResult<V>& result) {
    for (int k = 0; k < num_rows; ++k) {
      args_.loss[first + k] = Layout::value(result.loss, k);
      for (int z = 0; z < kNoiseTypes; ++z) {
        const int64_t cell = (first + k) * kNoiseTypes + z;
        if (args_.grad_z) args_.grad_z[cell] = Layout::value(result.grad_z[z], k);
        if (!args_.posterior) continue;
        args_.t[cell] = Layout::value(result.t[z], k);
        args_.r[cell] = Layout::value(result.r[z], k);
      }
    }
  }

  void store_arrays(int64_t first, int num_rows) {
    if (out_.grad_y == grad_y_) store(grad_y_, first, num_rows, args_.grad_y);
    if (out_.p == p_) store(p_, first, num_rows, args_.p);
    if (out_.q == q_) store(q_, first, num_rows, args_.q);
    if (!args_.posterior) return;
    T* rows[kRows];
    rows_of(args_.posterior, int64_t(args_.num_classes) * kNoiseTypes, first, rows);
    Layout::unpack_posterior(out_.posterior, args_.num_classes, num_rows, rows);
  }

  void store(const V* buffer, int64_t first, int num_rows, T* array) {
    if (array == nullptr) return;
    T* rows[kRows];
    rows_of(array, args_.num_classes, first, rows);
    Layout::unpack(buffer, args_.num_classes, num_rows, rows);
  }

  static void rows_of(T* array, int64_t length, int64_t first, T* (&rows)[kRows]) {
    for (int k = 0; k < kRows; ++k) rows[k] = array + (first + k) * length;
  }

  const ForwardArgs<T>& args_;
  size_t length_;
  Array buffer_;
  V *a_, *confusion_, *grad_y_, *p_, *q_;
  typename Layout::Lanes lanes_;
  RowInput<V> in_;
  RowOutput<V> out_;
};

template <typename T, typename Layout>
inline void forward_rows(const ForwardArgs<T>& args, int64_t begin, int64_t end) {
  Rows<T, Layout> rows(args);
  int64_t n = begin;
  for (; n + Layout::kRows <= end; n += Layout::kRows) rows.run(n, Layout::kRows);
  if (n < end) rows.run(n, int(end - n));
}

#ifdef __x86_64__
constexpr int kLongRow = 64;  // classes; eight rows at once of more would not stay in the fastest cache

// `flatten` inlines the arithmetic, which is written for any processor, into the functions that may use AVX2.
FOR_AVX2 __attribute__((flatten)) void forward_short_rows(const ForwardArgs<float>& args, int64_t begin, int64_t end) {
  forward_rows<float, EightRows>(args, begin, end);
}

FOR_AVX2 __attribute__((flatten)) void forward_long_rows(const ForwardArgs<float>& args, int64_t begin, int64_t end) {
  forward_rows<float, EightClasses>(args, begin, end);
}

const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif

}  // namespace

template <>
void label_noise_forward_cpu(const ForwardArgs<float>& args, int64_t begin, int64_t end) {
#ifdef __x86_64__
  if (has_avx2)
    return args.num_classes < kLongRow ? forward_short_rows(args, begin, end) : forward_long_rows(args, begin, end);
#endif
  forward_rows<float, OneRow<float>>(args, begin, end);
}

template <>
void label_noise_forward_cpu(const ForwardArgs<double>& args, int64_t begin, int64_t end) {
  forward_rows<double, OneRow<double>>(args, begin, end);
}

template <typename T>
T label_noise_mean_cpu(const T* loss, int64_t batch_size, double divisor) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t n = 0; n < batch_size; ++n) sum += loss[n];
  return mean_loss<T>(sum, divisor);
}

template float label_noise_mean_cpu(const float*, int64_t, double);
template double label_noise_mean_cpu(const double*, int64_t, double);

// ---- Backward ----

template <typename T>
void label_noise_backward_cpu(const BackwardArgs<T>& args, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; ++n) {
    const T grad_loss = args.grad_loss[n * args.grad_loss_stride];
    for (int64_t k = n * args.num_classes; k < (n + 1) * args.num_classes; ++k)
      args.grad_scores_y[k] = eq7_chained(grad_loss, args.grad_y[k]);
    for (int64_t k = n * kNoiseTypes; k < (n + 1) * kNoiseTypes; ++k)
      args.grad_scores_z[k] = eq7_chained(grad_loss, args.grad_z[k]);
  }
}

template void label_noise_backward_cpu(const BackwardArgs<float>&, int64_t, int64_t);
template void label_noise_backward_cpu(const BackwardArgs<double>&, int64_t, int64_t);

}  // namespace label_noise
