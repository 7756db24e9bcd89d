// How rows lie in the arrays that the formulas of label_noise_math.h work on: one row, one class per number
// (OneRow); with AVX2, eight rows side by side (EightRows: many short rows) or eight classes of one row
// (EightClasses: long rows).
//
// A layout packs the rows of scores and of C into such arrays and unpacks what comes out, unless a row can be
// viewed as such an array where it is.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "label_noise_math.h"

namespace label_noise {

template <typename T>
struct OneRow {
  using V = T;
  using Lanes = OneLane<V>;
  static constexpr int kRows = 1;

  static int length(int num_classes) { return num_classes; }
  static V classes_at(int place) { return T(place); }
  static V* view(T* row, int) { return row; }
  template <typename F>
  static V per_row(const F& value) {
    return value(0);
  }
  static T value(V x, int) { return x; }

  static void pack(const T* const (&)[1], int, T, V*) {}  // rows are viewed
  static void unpack(const V*, int, int, T* const (&)[1]) {}
  static void unpack_posterior(const V* packs, int num_classes, int, T* const (&rows)[1]) {
    std::memcpy(rows[0], packs, sizeof(T) * num_classes * kNoiseTypes);
  }
};

#ifdef __x86_64__

#define FOR_AVX2 __attribute__((target("avx2,fma")))

typedef float FloatPack __attribute__((vector_size(32)));
typedef uint32_t BitsPack __attribute__((vector_size(32)));

template <>
struct Number<FloatPack> : Number<float> {
  using Bits = BitsPack;
};

template <>
FOR_AVX2 inline FloatPack larger(FloatPack x, FloatPack y) {
  return _mm256_max_ps(x, y);  // y if one is NaN, as x > y ? x : y
}

template <>
FOR_AVX2 inline FloatPack smaller(FloatPack x, FloatPack y) {
  return _mm256_min_ps(x, y);
}

// Eight by eight: pairs of rows change places, then fours, then halves.
FOR_AVX2 inline void transpose(FloatPack (&row)[8]) {
  FloatPack two[8], four[8];
  for (int k = 0; k < 8; k += 2) {
    two[k] = _mm256_unpacklo_ps(row[k], row[k + 1]);
    two[k + 1] = _mm256_unpackhi_ps(row[k], row[k + 1]);
  }
  for (int k = 0; k < 8; k += 4) {
    four[k] = _mm256_shuffle_ps(two[k], two[k + 2], _MM_SHUFFLE(1, 0, 1, 0));
    four[k + 1] = _mm256_shuffle_ps(two[k], two[k + 2], _MM_SHUFFLE(3, 2, 3, 2));
    four[k + 2] = _mm256_shuffle_ps(two[k + 1], two[k + 3], _MM_SHUFFLE(1, 0, 1, 0));
    four[k + 3] = _mm256_shuffle_ps(two[k + 1], two[k + 3], _MM_SHUFFLE(3, 2, 3, 2));
  }
  for (int k = 0; k < 4; ++k) {
    row[k] = _mm256_permute2f128_ps(four[k], four[k + 4], 0x20);
    row[k + 4] = _mm256_permute2f128_ps(four[k], four[k + 4], 0x31);
  }
}

struct EightRows {
  using V = FloatPack;
  using Lanes = OneLane<V>;
  static constexpr int kRows = 8;

  static int length(int num_classes) { return num_classes; }
  FOR_AVX2 static V classes_at(int place) { return constant<V>(float(place)); }
  static V* view(float*, int) { return nullptr; }
  template <typename F>
  FOR_AVX2 static V per_row(const F& value) {
    return V{value(0), value(1), value(2), value(3), value(4), value(5), value(6), value(7)};
  }
  FOR_AVX2 static float value(const V& x, int row) { return x[row]; }

  FOR_AVX2 static void pack(const float* const (&rows)[8], int num_classes, float, V* packs) {
    if (num_classes < 8) {
      for (int y = 0; y < num_classes; ++y) packs[y] = per_row([&](int n) { return rows[n][y]; });
      return;
    }
    for (int column = 0; column < num_classes; column += 8) {
      const int start = block_start(column, num_classes);
      V block[8];
      for (int n = 0; n < 8; ++n) block[n] = _mm256_loadu_ps(rows[n] + start);
      transpose(block);
      for (int k = 0; k < 8; ++k) packs[start + k] = block[k];
    }
  }

  FOR_AVX2 static void unpack(const V* packs, int num_classes, int num_rows, float* const (&rows)[8]) {
    if (num_classes < 8) {
      for (int y = 0; y < num_classes; ++y)
        for (int n = 0; n < num_rows; ++n) rows[n][y] = packs[y][n];
      return;
    }
    for (int column = 0; column < num_classes; column += 8) {
      const int start = block_start(column, num_classes);
      V block[8];
      for (int k = 0; k < 8; ++k) block[k] = packs[start + k];
      transpose(block);
      for (int n = 0; n < num_rows; ++n) _mm256_storeu_ps(rows[n] + start, block[n]);
    }
  }
  FOR_AVX2 static void unpack_posterior(const V* packs, int num_classes, int num_rows, float* const (&rows)[8]) {
    unpack(packs, num_classes * kNoiseTypes, num_rows, rows);
  }

 private:
  // Of the eight columns at `column`; the last eight overlap those before rather than go past the end.
  static int block_start(int column, int length) { return column + 8 <= length ? column : length - 8; }
};

struct EightClasses {
  using V = FloatPack;
  static constexpr int kRows = 1;

  struct Lanes : OneLane<V> {
    FOR_AVX2 V sum(V x) const {
      const V halves = x + _mm256_permute2f128_ps(x, x, 1);
      const V quarters = halves + _mm256_permute_ps(halves, _MM_SHUFFLE(1, 0, 3, 2));
      return quarters + _mm256_permute_ps(quarters, _MM_SHUFFLE(2, 3, 0, 1));
    }
    FOR_AVX2 V max(V x) const {
      const V halves = larger<V>(x, _mm256_permute2f128_ps(x, x, 1));
      const V quarters = larger<V>(halves, _mm256_permute_ps(halves, _MM_SHUFFLE(1, 0, 3, 2)));
      return larger<V>(quarters, _mm256_permute_ps(quarters, _MM_SHUFFLE(2, 3, 0, 1)));
    }
  };

  static int length(int num_classes) { return (num_classes + 7) / 8; }
  FOR_AVX2 static V classes_at(int place) { return V{0, 1, 2, 3, 4, 5, 6, 7} + float(8 * place); }
  static V* view(float* row, int num_classes) {
    const bool fits = num_classes % 8 == 0 && reinterpret_cast<uintptr_t>(row) % sizeof(V) == 0;
    return fits ? reinterpret_cast<V*>(row) : nullptr;
  }
  template <typename F>
  FOR_AVX2 static V per_row(const F& value) {
    return constant<V>(value(0));
  }
  FOR_AVX2 static float value(const V& x, int) { return x[0]; }

  FOR_AVX2 static void pack(const float* const (&rows)[1], int num_classes, float spare, V* packs) {
    packs[length(num_classes) - 1] = constant<V>(spare);
    std::memcpy(packs, rows[0], sizeof(float) * num_classes);
  }
  FOR_AVX2 static void unpack(const V* packs, int num_classes, int, float* const (&rows)[1]) {
    std::memcpy(rows[0], packs, sizeof(float) * num_classes);
  }
  FOR_AVX2 static void unpack_posterior(const V* packs, int num_classes, int, float* const (&rows)[1]) {
    for (int y = 0; y < num_classes; ++y)
      for (int z = 0; z < kNoiseTypes; ++z) rows[0][y * kNoiseTypes + z] = packs[y / 8 * kNoiseTypes + z][y % 8];
  }
};

#endif  // __x86_64__

}  // namespace label_noise
