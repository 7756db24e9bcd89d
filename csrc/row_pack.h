// Several rows side by side, one in each lane of a vector register, so that the formulas of label_noise_math.h run on
// all of them at once; and the transpositions between rows in memory and such packs. GCC's and Clang's vector types.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "label_noise_math.h"

namespace label_noise {

typedef float FloatPack __attribute__((vector_size(32)));
typedef int32_t IntPack __attribute__((vector_size(32)));
typedef uint32_t BitsPack __attribute__((vector_size(32)));

template <>
struct Number<FloatPack> : Number<float> {
  using Bits = BitsPack;
  static inline FloatPack log(FloatPack x) {
    FloatPack result;
    for (int k = 0; k < 8; ++k) result[k] = std::log(x[k]);
    return result;
  }
};

// What the CPU computes a row of T with, and how many rows that holds.
template <typename T>
struct Pack {
  using Type = T;
  static constexpr int kRows = 1;
};

template <>
struct Pack<float> {
  using Type = FloatPack;
  static constexpr int kRows = 8;
};

#ifdef __clang__
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (IntPack){__VA_ARGS__})
#endif

// Eight by eight: in three steps, each exchanging halves of pairs of rows.
inline void transpose(FloatPack (&row)[8]) {
  FloatPack pairs[8], quads[8];
  for (int k = 0; k < 8; k += 2) {
    pairs[k] = SHUFFLE(row[k], row[k + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    pairs[k + 1] = SHUFFLE(row[k], row[k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int k = 0; k < 8; k += 4) {
    for (int j = k; j < k + 2; ++j) {
      quads[j] = SHUFFLE(pairs[j], pairs[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      quads[j + 2] = SHUFFLE(pairs[j], pairs[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int k = 0; k < 4; ++k) {
    row[k] = SHUFFLE(quads[k], quads[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    row[k + 4] = SHUFFLE(quads[k], quads[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
#undef SHUFFLE

// packs[k] = element k of every row, for k < length.
inline void pack_rows(const float* const (&rows)[8], int length, FloatPack* packs) {
  if (length < 8) {
    for (int k = 0; k < length; ++k)
      for (int n = 0; n < 8; ++n) packs[k][n] = rows[n][k];
    return;
  }
  for (int first = 0; first < length; first += 8) {
    const int start = first + 8 <= length ? first : length - 8;  // the last block overlaps the one before
    FloatPack block[8];
    for (int n = 0; n < 8; ++n) std::memcpy(&block[n], rows[n] + start, sizeof(FloatPack));
    transpose(block);
    for (int k = 0; k < 8; ++k) packs[start + k] = block[k];
  }
}

inline void pack_rows(const double* const (&rows)[1], int length, double* packs) {
  std::memcpy(packs, rows[0], sizeof(double) * length);
}

// The reverse, for the first `num_rows` rows.
inline void unpack_rows(const FloatPack* packs, int length, int num_rows, float* const (&rows)[8]) {
  if (length < 8) {
    for (int n = 0; n < num_rows; ++n)
      for (int k = 0; k < length; ++k) rows[n][k] = packs[k][n];
    return;
  }
  for (int first = 0; first < length; first += 8) {
    const int start = first + 8 <= length ? first : length - 8;
    FloatPack block[8];
    for (int k = 0; k < 8; ++k) block[k] = packs[start + k];
    transpose(block);
    for (int n = 0; n < num_rows; ++n) std::memcpy(rows[n] + start, &block[n], sizeof(FloatPack));
  }
}

inline void unpack_rows(const double* packs, int length, int, double* const (&rows)[1]) {
  std::memcpy(rows[0], packs, sizeof(double) * length);
}

inline float& lane(FloatPack& pack, int n) { return reinterpret_cast<float*>(&pack)[n]; }
inline double& lane(double& pack, int) { return pack; }

}  // namespace label_noise
