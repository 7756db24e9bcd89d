// Numbers of unlimited range: mantissa * 2^exponent with an exponent of its own (Scaled). Log space for the
// magnitude, ordinary arithmetic for the digits: products of probabilities that no float could hold lose
// nothing, and need no logarithm. With exp and log, written so that loops over them become vector code.
//
// V is what one computes with: a number (float or double), or a vector of them.
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

constexpr double kNoScore = -1e38;  // of what cannot be: its exponential is 0 beside any other

template <typename V>
struct Number;

template <>
struct Number<float> {
  using Scalar = float;
  using Bits = uint32_t;
  static constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;
  // ln 2 in two parts: an n below 2^15 times the first is exact.
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  static constexpr float kRounder = 12582912.f;  // 1.5 * 2^23: x + this has no fraction
  static constexpr int kExponentBias = 127, kMantissaBits = 23;
};

template <>
struct Number<double> {
  using Scalar = double;
  using Bits = uint64_t;
  static constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;
  static constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr int kExponentBias = 1023, kMantissaBits = 52;
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

template <typename V>
HOST_DEVICE typename Number<V>::Bits to_bits(V x) {
  typename Number<V>::Bits bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

template <typename V>
HOST_DEVICE V from_bits(typename Number<V>::Bits bits) {
  V x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

// 2^k for whole k <= 0, 0 where that is below the smallest normal number; 1 for k > 0.
template <typename V>
HOST_DEVICE V power_of_two(V k) {
  using N = Number<V>;
  using T = typename N::Scalar;
  const V in_range = smaller(constant<V>(0), larger(constant<V>(T(-N::kExponentBias)), k));
  const V shifted = in_range + (N::kRounder + T(N::kExponentBias));  // its low bits hold k + bias,
  return from_bits<V>(to_bits(shifted) << N::kMantissaBits);         // which is the exponent's field of 2^k
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

// x = exponent ln 2 + rest, |rest| <= ln 2 / 2. Scores below -1e38, -infinity too, count as -1e38.
template <typename V>
struct Reduced {
  V exponent, rest;
};

template <typename V>
HOST_DEVICE Reduced<V> reduce(V x) {
  using N = Number<V>;
  using T = typename N::Scalar;
  const V finite = larger(constant<V>(T(kNoScore)), x);
  const V n = (finite * N::kLog2E + N::kRounder) - N::kRounder;
  const V rest = (finite - n * N::kLn2High) - n * N::kLn2Low;
  const V half = constant<V>(N::kLn2 / 2);  // exceeded only by scores above 1e6, by their last digit
  return {n, smaller(half, larger(-half, rest))};
}

// [N1] exp on |x| <= ln 2 / 2; in float to 1.2 ulp, by a minimax polynomial for (exp(x) - 1 - x) / x^2.
template <typename V>
HOST_DEVICE V exp_of_rest(V x) {
  if constexpr (std::is_same<V, double>::value) {
    return std::exp(x);
  } else {
    const V square = x * x;
    const V high = x * 0.001381454f + 0.008368745f, low = x * 0.04166839f + 0.16666521f;
    const V tail = (high * square + low) * x + 0.49999994f;
    return tail * square + (x + 1.f);
  }
}

template <typename V>
HOST_DEVICE Scaled<V> exp_scaled(V x) {
  const Reduced<V> reduced = reduce(x);
  return {exp_of_rest(reduced.rest), reduced.exponent};
}

// [N2] log of a normal x > 0; in float to 2 ulp, by the series of log((1 + s) / (1 - s)).
template <typename V>
HOST_DEVICE V log_positive(V x) {
  if constexpr (std::is_same<V, double>::value) {
    return std::log(x);
  } else {
    const auto bits = to_bits(x);
    const V biased_exponent = from_bits<V>((bits >> 23) | 0x4b000000u) - 8388608.f;  // (2^23 + n) - 2^23
    const V significand = from_bits<V>((bits & 0x7fffffu) | 0x3f800000u);            // in [1, 2)
    const auto is_high = significand > 1.41421356f;
    const V m = is_high ? significand * 0.5f : significand;  // in [0.7, 1.42)
    const V exponent = is_high ? biased_exponent - 126.f : biased_exponent - 127.f;
    const V s = (m - 1.f) / (m + 1.f), square = s * s;
    V series = square * 0.22222222f + 0.28571429f;
    series = series * square + 0.4f;
    series = series * square + 0.66666667f;
    const V log_m = (series * square) * s + 2.f * s;
    const V log_x = (exponent * Number<V>::kLn2Low + log_m) + exponent * Number<V>::kLn2High;
    return log_x + (x - x);  // NaN stays NaN
  }
}

template <typename V>
HOST_DEVICE V log(const Scaled<V>& x) {
  return log_positive(x.mantissa) + x.exponent * Number<V>::kLn2;
}

}  // namespace label_noise
