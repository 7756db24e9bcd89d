// The label noise model of Xiao et al. (CVPR 2015), one sample (row) at a time: every formula of csrc/, once, for the
// CPU and for CUDA. No tensors, no allocation, no header of PyTorch. docs/equations.md maps the symbols and derives
// Eq. 7. For scores a (L) and b (3), the observed label i and the confusion matrix C, indexed [noisy, true]:
//
//     p = softmax(a), t = softmax(b)                                          p(y|x), p(z|x)
//     p(i|y,z) = [y = i], [y != i] / (L-1), C[i, y]       for z = 0, 1, 2     [E1]
//     joint(y,z) = p(i|y,z) p_y t_z                                           [E2]
//     S = sum of joint = p(i|x)                                               [E3]
//     posterior = joint / S; q_y and r_z are its marginals                    [E5]
//     Q = sum of posterior log joint                                          [E6]
//     d(-Q)/da = d(-log S)/da = p - q, and in b: t - r                        [E7]
//
// A noise type z allows certain true labels y. So a row needs three sums of exp(a_y): over y = i, over y != i, and over
// all y weighted by C[i, y]. All else follows from them and exp(b_z) by multiplication, addition and division.
//
// Range. exp(a_y) is kept as mantissa * 2^exponent with an exponent of its own (Scaled): log space for the magnitude,
// ordinary arithmetic for the digits. S cannot underflow, whatever the finite scores: exponents reach +-1e38.
//
// V is what a formula computes with: float or double (one row), or several rows side by side (row_pack.h). Lanes says
// who computes a row: one thread (OneLane), or the lanes of a warp, each every 32nd class.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__ __forceinline__
#else
#define HOST_DEVICE inline
#endif

namespace label_noise {

constexpr int kNoiseFree = 0, kRandom = 1, kConfusing = 2, kNoiseTypes = 3;
constexpr int kUnlabelled = -1;

// ---- Numbers --------------------------------------------------------------------------------------------------------

template <typename V>
struct Number;

template <>
struct Number<float> {
  using Scalar = float;
  using Bits = uint32_t;
  static constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // ln 2; times an n < 2^15 the first is exact
  static constexpr float kRounder = 12582912.f;                               // 1.5 * 2^23: x + this has no fraction
  static constexpr int kExponentBias = 127, kMantissaBits = 23;
  static HOST_DEVICE float log(float x) { return std::log(x); }
};

template <>
struct Number<double> {
  using Scalar = double;
  using Bits = uint64_t;
  static constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;
  static constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr int kExponentBias = 1023, kMantissaBits = 52;
  static HOST_DEVICE double log(double x) { return std::log(x); }
};

template <typename V>
HOST_DEVICE V constant(typename Number<V>::Scalar x) {
  return V{} + x;
}

template <typename V>
HOST_DEVICE V larger(V x, V y) {
  return x > y ? x : y;
}

template <typename V>
HOST_DEVICE V smaller(V x, V y) {
  return x < y ? x : y;
}

// 2^k for whole k <= 0, 0 where that is below the smallest normal number; 1 for k > 0.
template <typename V>
HOST_DEVICE V power_of_two(V k) {
  using N = Number<V>;
  using T = typename N::Scalar;
  const V in_range = smaller(constant<V>(0), larger(constant<V>(T(-N::kExponentBias)), k));
  const V shifted = in_range + (N::kRounder + T(N::kExponentBias));  // its low bits hold k + bias
  typename N::Bits bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = bits << N::kMantissaBits;  // now they are the exponent's
  V power;
  std::memcpy(&power, &bits, sizeof(power));
  return power;
}

// mantissa * 2^exponent, where the exponent is a whole number far beyond the range of V's own.
template <typename V>
struct Scaled {
  V mantissa, exponent;
};

template <typename V>
HOST_DEVICE V mantissa_at(const Scaled<V>& x, V exponent) {
  return x.mantissa * power_of_two(x.exponent - exponent);
}

template <typename V>
HOST_DEVICE Scaled<V> operator+(const Scaled<V>& x, const Scaled<V>& y) {
  const V exponent = larger(x.exponent, y.exponent);
  return {mantissa_at(x, exponent) + mantissa_at(y, exponent), exponent};
}

template <typename V>
HOST_DEVICE Scaled<V> operator*(const Scaled<V>& x, const Scaled<V>& y) {
  return {x.mantissa * y.mantissa, x.exponent + y.exponent};
}

template <typename V>
HOST_DEVICE Scaled<V> operator/(const Scaled<V>& x, const Scaled<V>& y) {
  return {x.mantissa / y.mantissa, x.exponent - y.exponent};
}

// A part of a whole, in [0, 1].
template <typename V>
HOST_DEVICE V share(const Scaled<V>& part, const Scaled<V>& whole) {
  return mantissa_at(part, whole.exponent) / whole.mantissa;
}

template <typename V>
HOST_DEVICE V log(const Scaled<V>& x) {
  return Number<V>::log(x.mantissa) + x.exponent * Number<V>::kLn2;
}

// x = exponent ln 2 + rest, |rest| <= ln 2 / 2. Scores beyond +-1e38, infinities too, count as +-1e38.
template <typename V>
struct Reduced {
  V exponent, rest;
};

template <typename V>
HOST_DEVICE Reduced<V> reduce(V x) {
  using N = Number<V>;
  using T = typename N::Scalar;
  const V finite = smaller(constant<V>(T(1e38)), larger(constant<V>(T(-1e38)), x));
  const V n = (finite * N::kLog2E + N::kRounder) - N::kRounder;
  const V rest = (finite - n * N::kLn2High) - n * N::kLn2Low;
  const V half = constant<V>(N::kLn2 / 2);
  return {n, smaller(half, larger(-half, rest))};  // it leaves the range only for scores above 1e6, by their last digit
}

// exp on |x| <= ln 2 / 2; in float to 1 ulp, by a minimax polynomial for (exp(x) - 1 - x) / x^2.
template <typename V>
HOST_DEVICE V exp_of_rest(V x) {
  if constexpr (std::is_same<V, double>::value) {
    return std::exp(x);
  } else {
    V tail = x * 0.001381454f + 0.008368745f;
    tail = tail * x + 0.04166839f;
    tail = tail * x + 0.16666521f;
    tail = tail * x + 0.49999994f;
    return (tail * x) * x + x + 1.f;
  }
}

template <typename V>
HOST_DEVICE Scaled<V> exp_scaled(V x) {
  const Reduced<V> reduced = reduce(x);
  return {exp_of_rest(reduced.rest), reduced.exponent};
}

// ---- One row --------------------------------------------------------------------------------------------------------

struct OneLane {
  static constexpr int first = 0, step = 1;
  template <typename V>
  HOST_DEVICE V sum(V x) const { return x; }
  template <typename V>
  HOST_DEVICE V max(V x) const { return x; }
};

template <typename V>
struct RowInput {
  const V* a;          // (L) scores of the true label
  V b[kNoiseTypes];    // scores of the noise type
  const V* confusion;  // (L) C[i, :]; any row where there is no label
  V noisy;             // i, or kUnlabelled
  V a_noisy;           // a_i; anything where there is no label
  int num_classes;     // L
  V* other;            // (L) scratch
  V* confused;         // (L) scratch
};

// Arrays, each null where it is not wanted.
template <typename V>
struct RowOutput {
  V* unit_grad_y;  // (L) the gradient of the row's loss
  V* p;            // (L) p(y|x)
  V* q;            // (L) p(y|i,x)
  V* posterior;    // (L, 3) p(y,z|i,x)
};

// Zeros in loss, unit_grad_z and r where there is no label.
template <typename V>
struct RowResult {
  V loss, unit_grad_z[kNoiseTypes], t[kNoiseTypes], r[kNoiseTypes];
};

// The largest score that a noise type allows, over y != i for z = 1, over C[i, y] > 0 for z = 2.
template <typename V>
struct Largest {
  V other, confused;
};

template <typename V, typename Lanes>
HOST_DEVICE Largest<V> eq1_largest_scores(const RowInput<V>& in, Lanes lanes) {
  using T = typename Number<V>::Scalar;
  const V none = constant<V>(T(-1e38));
  Largest<V> largest = {none, none};
  for (int y = lanes.first; y < in.num_classes; y += lanes.step) {
    largest.other = larger(largest.other, in.noisy == T(y) ? none : in.a[y]);                  // [E1] z = 1
    largest.confused = larger(largest.confused, in.confusion[y] > T(0) ? in.a[y] : none);      // [E1] z = 2
  }
  return {lanes.max(largest.other), lanes.max(largest.confused)};
}

// exp(a_y) summed over the true labels that a noise type allows.
template <typename V>
struct Sums {
  Scaled<V> other, confused;
};

// Leaves the summands' mantissas, at the exponents of their sums, in in.other and in.confused.
template <typename V, typename Lanes>
HOST_DEVICE Sums<V> eq1_sums(const RowInput<V>& in, const Largest<V>& largest, Lanes lanes) {
  using T = typename Number<V>::Scalar;
  const V other_exponent = reduce(largest.other).exponent, confused_exponent = reduce(largest.confused).exponent;
  V other_sum = V{}, confused_sum = V{};
  for (int y = lanes.first; y < in.num_classes; y += lanes.step) {
    const Scaled<V> exp_a = exp_scaled(in.a[y]);
    in.other[y] = in.noisy == T(y) ? V{} : mantissa_at(exp_a, other_exponent);                 // [E1] z = 1
    in.confused[y] = in.confusion[y] * mantissa_at(exp_a, confused_exponent);                  // [E1] z = 2
    other_sum += in.other[y];
    confused_sum += in.confused[y];
  }
  return {{lanes.sum(other_sum), other_exponent}, {lanes.sum(confused_sum), confused_exponent}};
}

// The posterior of a row: r_z, and what makes the summands of a noise type its share of the posterior.
template <typename V>
struct Posterior {
  V r[kNoiseTypes], per_other, per_confused;

  // posterior(y, z) for all z
  HOST_DEVICE void at(const RowInput<V>& in, int y, V (&cell)[kNoiseTypes]) const {
    cell[kNoiseFree] = in.noisy == typename Number<V>::Scalar(y) ? r[kNoiseFree] : V{};        // [E5]
    cell[kRandom] = in.other[y] * per_other;                                                   // [E5]
    cell[kConfusing] = in.confused[y] * per_confused;                                          // [E5]
  }
};

template <typename V>
HOST_DEVICE Posterior<V> eq5_posterior(const Scaled<V> (&joint)[kNoiseTypes], const Scaled<V>& s, const Sums<V>& sums,
                                       const RowInput<V>& in) {
  using T = typename Number<V>::Scalar;
  Posterior<V> posterior;
  for (int z = 0; z < kNoiseTypes; ++z) posterior.r[z] = in.noisy < T(0) ? V{} : share(joint[z], s);     // [E5]
  const V none_confused = constant<V>(1);  // in place of a sum of 0, for a row of C that is zero: 0 / 1 = 0
  posterior.per_other = posterior.r[kRandom] / sums.other.mantissa;
  posterior.per_confused =
      posterior.r[kConfusing] / (sums.confused.mantissa == T(0) ? none_confused : sums.confused.mantissa);
  return posterior;
}

// 0 log 0 = 0
template <typename V>
HOST_DEVICE V times_log(V weight, V log_value) {
  return weight == typename Number<V>::Scalar(0) ? V{} : weight * log_value;
}

// Q, with log joint as log p_y + log t_z + log p(i|y,z).
template <typename V, typename Lanes>
HOST_DEVICE V eq6_q(const RowInput<V>& in, const Posterior<V>& posterior, const Scaled<V>& norm_y,
                    const Scaled<V> (&exp_b)[kNoiseTypes], const Scaled<V>& norm_z, Lanes lanes) {
  using N = Number<V>;
  using T = typename N::Scalar;
  const V log_norm = N::log(norm_y.mantissa);
  V labels = V{}, cell[kNoiseTypes];
  for (int y = lanes.first; y < in.num_classes; y += lanes.step) {
    posterior.at(in, y, cell);
    const Reduced<V> a = reduce(in.a[y]);
    const V log_p = a.rest + (a.exponent - norm_y.exponent) * N::kLn2 - log_norm;
    const V log_confusion = N::log(in.confusion[y] > T(0) ? in.confusion[y] : constant<V>(1));
    labels += times_log(cell[kNoiseFree] + cell[kRandom] + cell[kConfusing], log_p);           // [E6] log p_y
    labels += times_log(cell[kConfusing], log_confusion);                                      // [E6] log C[i, y]
  }
  V types = posterior.r[kRandom] * -std::log(T(in.num_classes - 1));                           // [E6] log alpha
  for (int z = 0; z < kNoiseTypes; ++z) types += times_log(posterior.r[z], log(exp_b[z] / norm_z));      // [E6] log t_z
  return lanes.sum(labels) + types;
}

template <typename V>
HOST_DEVICE V eq7_gradient(V prediction, V posterior, V noisy) {
  return noisy < typename Number<V>::Scalar(0) ? V{} : prediction - posterior;                 // [E7]
}

template <typename V, typename Lanes>
HOST_DEVICE void write_row(const RowInput<V>& in, const RowOutput<V>& out, const Posterior<V>& posterior,
                           V p_noisy, V p_per_other, Lanes lanes) {
  using T = typename Number<V>::Scalar;
  V cell[kNoiseTypes];
  for (int y = lanes.first; y < in.num_classes; y += lanes.step) {
    posterior.at(in, y, cell);
    const V p = in.noisy == T(y) ? p_noisy : in.other[y] * p_per_other;
    const V q = cell[kNoiseFree] + cell[kRandom] + cell[kConfusing];                           // [E5]
    if (out.unit_grad_y) out.unit_grad_y[y] = eq7_gradient(p, q, in.noisy);
    if (out.posterior == nullptr) continue;
    out.p[y] = p;
    out.q[y] = q;
    for (int z = 0; z < kNoiseTypes; ++z) out.posterior[int64_t(y) * kNoiseTypes + z] = cell[z];
  }
}

// The whole forward of one row: the loss is -Q if `want_q`, otherwise -log S.
template <typename V, typename Lanes>
HOST_DEVICE RowResult<V> forward_row(const RowInput<V>& in, const RowOutput<V>& out, bool want_q, Lanes lanes) {
  using T = typename Number<V>::Scalar;
  const Sums<V> sums = eq1_sums(in, eq1_largest_scores(in, lanes), lanes);
  const V unlabelled = constant<V>(T(-1e38));
  const Scaled<V> exp_a_noisy = exp_scaled(in.noisy < T(0) ? unlabelled : in.a_noisy);
  const Scaled<V> exp_b[kNoiseTypes] = {exp_scaled(in.b[0]), exp_scaled(in.b[1]), exp_scaled(in.b[2])};
  const Scaled<V> norm_y = exp_a_noisy + sums.other, norm_z = exp_b[0] + exp_b[1] + exp_b[2];  // of the two softmaxes
  const Scaled<V> alpha = {constant<V>(1 / T(in.num_classes - 1)), V{}};                       // [E1]

  const Scaled<V> joint[kNoiseTypes] = {exp_a_noisy * exp_b[kNoiseFree],                       // [E2] times both norms
                                        sums.other * alpha * exp_b[kRandom],                   // [E2]
                                        sums.confused * exp_b[kConfusing]};                    // [E2]
  const Scaled<V> s = joint[kNoiseFree] + joint[kRandom] + joint[kConfusing];                  // [E3]
  const Posterior<V> posterior = eq5_posterior(joint, s, sums, in);

  const Scaled<V> other_unit = {constant<V>(1), sums.other.exponent};
  write_row(in, out, posterior, share(exp_a_noisy, norm_y), share(other_unit, norm_y), lanes);
  RowResult<V> result;
  const V loss = want_q ? -eq6_q(in, posterior, norm_y, exp_b, norm_z, lanes) : -log(s / (norm_y * norm_z));
  result.loss = in.noisy < T(0) ? V{} : loss;
  for (int z = 0; z < kNoiseTypes; ++z) {
    result.t[z] = share(exp_b[z], norm_z);
    result.r[z] = posterior.r[z];
    result.unit_grad_z[z] = eq7_gradient(result.t[z], posterior.r[z], in.noisy);
  }
  return result;
}

// ---- Backward -------------------------------------------------------------------------------------------------------

template <typename T>
HOST_DEVICE T eq7_weighted(T weight, T unit_grad) {
  return weight * unit_grad;  // [E7] times what the loss of the row counts for
}

}  // namespace label_noise
