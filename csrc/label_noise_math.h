// The label noise model of Xiao et al. (CVPR 2015), one sample (row) at a time: every formula of csrc/, once,
// for the CPU and for CUDA. No tensors, no allocation, no header of PyTorch. docs/equations.md maps the
// symbols and derives Eq. 7. For scores a (L) and b (3), the observed label i and the confusion matrix C,
// indexed [noisy, true]:
//
//     p = softmax(a), t = softmax(b)                                          p(y|x), p(z|x)
//     p(i|y,z) = [y = i], [y != i] / (L-1), C[i, y]       for z = 0, 1, 2     [E1]
//     joint(y,z) = p(i|y,z) p_y t_z                                           [E2]
//     S = sum of joint = p(i|x)                                               [E3]
//     posterior = joint / S; q_y and r_z are its marginals                    [E5]
//     Q = sum of posterior log joint                                          [E6]
//     d(-Q)/da = d(-log S)/da = p - q, and in b: t - r                        [E7]
//
// A noise type z allows certain true labels y. So a row needs three sums of exp(a_y): over y = i, over y !=
// i, and over all y weighted by C[i, y]. All else follows from them and exp(b_z) by multiplication, addition
// and division.
//
// exp(a_y) is kept as mantissa * 2^exponent with an exponent of its own (number_math.h), so S cannot
// underflow.
//
// V is what a formula computes with: a number (float or double), or a vector of them. The arrays of a row are
// arrays of V; Lanes says which of its classes a thread has where, and gathers sums and maxima from whoever
// has the others: one thread with a class per V (OneLane), one with several (row_layouts.h), or a warp whose
// threads take turns.
#pragma once

#include "number_math.h"

namespace label_noise {

constexpr int kNoiseFree = 0, kRandom = 1, kConfusing = 2, kNoiseTypes = 3;
constexpr int kUnlabelled = -1;

// ---- One row ----

template <typename V>
struct OneLane {
  static constexpr int first = 0, step = 1;
  const V* classes;  // the number of the class at each place of the arrays

  HOST_DEVICE V class_at(int place) const { return classes[place]; }
  HOST_DEVICE V sum(V x) const { return x; }
  HOST_DEVICE V max(V x) const { return x; }
};

template <typename V>
struct RowInput {
  const V* a;          // (L) scores of the true label
  V b[kNoiseTypes];    // scores of the noise type
  const V* confusion;  // (L) C[i, :]; any row where there is no label
  V noisy;             // i, or kUnlabelled
  V a_noisy;           // a_i; anything where there is no label
  V scale;             // of both gradients: 1 / B in a mean
  V update_noise_lr;   // of that in b
  int num_classes;     // L
  int length;          // of the arrays: L, or less where a V holds several classes
  V* other;            // (L) scratch
  V* confused;         // (L) scratch

  template <typename Lanes>
  HOST_DEVICE auto is_noisy(int y, Lanes lanes) const {
    return noisy == lanes.class_at(y);
  }
  HOST_DEVICE auto is_unlabelled() const { return noisy == typename Number<V>::Scalar(kUnlabelled); }
};

// Arrays, each null where it is not wanted.
template <typename V>
struct RowOutput {
  V* grad_y;     // (L) the gradient of the row's loss, times `scale`
  V* p;          // (L) p(y|x)
  V* q;          // (L) p(y|i,x)
  V* posterior;  // (L, 3) p(y,z|i,x)
};

// Zeros in loss, grad_z and r where there is no label.
template <typename V>
struct RowResult {
  V loss, grad_z[kNoiseTypes], t[kNoiseTypes], r[kNoiseTypes];
};

// The largest score that a noise type allows, over y != i for z = 1, over C[i, y] > 0 for z = 2.
template <typename V>
struct Largest {
  V other, confused;
};

template <typename V, typename Lanes>
HOST_DEVICE Largest<V> eq1_largest_scores(const RowInput<V>& in, Lanes lanes) {
  using T = typename Number<V>::Scalar;
  const V none = constant<V>(T(kNoScore));
  Largest<V> largest = {none, none};
  for (int y = lanes.first; y < in.length; y += lanes.step) {
    largest.other = larger(largest.other, in.is_noisy(y, lanes) ? none : in.a[y]);         // [E1] z = 1
    largest.confused = larger(largest.confused, in.confusion[y] > T(0) ? in.a[y] : none);  // [E1] z = 2
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
  const V other_exponent = reduce(largest.other).exponent;
  const V confused_exponent = reduce(largest.confused).exponent;
  V other_sum = V{}, confused_sum = V{};
  for (int y = lanes.first; y < in.length; y += lanes.step) {
    const Scaled<V> exp_a = exp_scaled(in.a[y]);
    const V other = in.is_noisy(y, lanes) ? V{} : mantissa_at(exp_a, other_exponent);  // [E1] z = 1
    const V confused = in.confusion[y] * mantissa_at(exp_a, confused_exponent);        // [E1] z = 2
    other_sum += other;
    confused_sum += confused;
    in.other[y] = other;
    in.confused[y] = confused;
  }
  return {{lanes.sum(other_sum), other_exponent}, {lanes.sum(confused_sum), confused_exponent}};
}

// The posterior of a row: r_z, and what makes the summands of a noise type its share of the posterior.
template <typename V>
struct Posterior {
  V r[kNoiseTypes], per_other, per_confused;

  // posterior(y, z) for all z
  template <typename Lanes>
  HOST_DEVICE void at(const RowInput<V>& in, int y, Lanes lanes, V (&cell)[kNoiseTypes]) const {
    cell[kNoiseFree] = in.is_noisy(y, lanes) ? r[kNoiseFree] : V{};  // [E5]
    cell[kRandom] = in.other[y] * per_other;                         // [E5]
    cell[kConfusing] = in.confused[y] * per_confused;                // [E5]
  }
};

template <typename V>
HOST_DEVICE Posterior<V> eq5_posterior(const Scaled<V> (&joint)[kNoiseTypes], const Scaled<V>& s, const Sums<V>& sums,
                                       const RowInput<V>& in) {
  using T = typename Number<V>::Scalar;
  Posterior<V> posterior;
  for (int z = 0; z < kNoiseTypes; ++z) posterior.r[z] = in.is_unlabelled() ? V{} : share(joint[z], s);  // [E5]
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
  const V log_norm = log_positive(norm_y.mantissa);
  V labels = V{}, cell[kNoiseTypes];
  for (int y = lanes.first; y < in.length; y += lanes.step) {
    posterior.at(in, y, lanes, cell);
    const Reduced<V> a = reduce(in.a[y]);
    const V log_p = a.rest + (a.exponent - norm_y.exponent) * N::kLn2 - log_norm;
    const V log_confusion = log_positive(in.confusion[y] > T(0) ? in.confusion[y] : constant<V>(1));
    labels += times_log(cell[kNoiseFree] + cell[kRandom] + cell[kConfusing], log_p);  // [E6] log p_y
    labels += times_log(cell[kConfusing], log_confusion);                             // [E6] log C[i, y]
  }
  V types = posterior.r[kRandom] * -std::log(T(in.num_classes - 1));                                 // [E6] log alpha
  for (int z = 0; z < kNoiseTypes; ++z) types += times_log(posterior.r[z], log(exp_b[z] / norm_z));  // [E6] log t_z
  return lanes.sum(labels) + types;
}

template <typename V>
HOST_DEVICE V eq7_gradient(V prediction, V posterior, V weight, const RowInput<V>& in) {
  return in.is_unlabelled() ? V{} : weight * (prediction - posterior);  // [E7]
}

template <typename V, typename Lanes>
HOST_DEVICE void write_row(const RowInput<V>& in, const RowOutput<V>& out, const Posterior<V>& posterior, V p_noisy,
                           V p_per_other, Lanes lanes) {
  V cell[kNoiseTypes];
  for (int y = lanes.first; y < in.length; y += lanes.step) {
    posterior.at(in, y, lanes, cell);
    const V p = in.is_noisy(y, lanes) ? p_noisy : in.other[y] * p_per_other;
    const V q = cell[kNoiseFree] + cell[kRandom] + cell[kConfusing];  // [E5]
    if (out.grad_y) out.grad_y[y] = eq7_gradient(p, q, in.scale, in);
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
  const V unlabelled = constant<V>(T(kNoScore));
  const Scaled<V> exp_a_noisy = exp_scaled(in.is_unlabelled() ? unlabelled : in.a_noisy);
  const Scaled<V> exp_b[kNoiseTypes] = {exp_scaled(in.b[0]), exp_scaled(in.b[1]), exp_scaled(in.b[2])};
  const Scaled<V> norm_y = exp_a_noisy + sums.other;
  const Scaled<V> norm_z = exp_b[0] + exp_b[1] + exp_b[2];
  const Scaled<V> alpha = {constant<V>(1 / T(in.num_classes - 1)), V{}};  // [E1]

  const Scaled<V> joint[kNoiseTypes] = {exp_a_noisy * exp_b[kNoiseFree],       // [E2], times both norms
                                        sums.other * alpha * exp_b[kRandom],   // [E2]
                                        sums.confused * exp_b[kConfusing]};    // [E2]
  const Scaled<V> s = joint[kNoiseFree] + joint[kRandom] + joint[kConfusing];  // [E3]
  const Posterior<V> posterior = eq5_posterior(joint, s, sums, in);

  const Scaled<V> other_unit = {constant<V>(1), sums.other.exponent};
  write_row(in, out, posterior, share(exp_a_noisy, norm_y), share(other_unit, norm_y), lanes);
  RowResult<V> result;
  const V loss = want_q ? -eq6_q(in, posterior, norm_y, exp_b, norm_z, lanes) : -log(s / (norm_y * norm_z));
  result.loss = in.is_unlabelled() ? V{} : loss;
  for (int z = 0; z < kNoiseTypes; ++z) {
    result.t[z] = share(exp_b[z], norm_z);
    result.r[z] = posterior.r[z];
    result.grad_z[z] = eq7_gradient(result.t[z], posterior.r[z], in.scale * in.update_noise_lr, in);
  }
  return result;
}

template <typename T>
HOST_DEVICE T mean_loss(double sum, double divisor) {
  return T(sum / divisor);
}

// ---- Backward ----

// The chain rule from whatever the loss goes into.
template <typename T>
HOST_DEVICE T eq7_chained(T grad_loss, T grad) {
  return grad_loss * grad;  // [E7]
}

}  // namespace label_noise
