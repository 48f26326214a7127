import { Bits1, Bits2, Bits3, Bits4, Bits5, Bits6, Bits7, Bits8 } from './bits';
import { prepareRecords } from './prepared-vector';
import { Decoder, QuantizedHeader } from './quantized-header';
import { addSalientRows } from './salient';
import { codebookRows } from './vector-codebook';
import { linearRows } from './vector-linear';
import { tableRows } from './vector-table';

// One token: decoding and multiplying in one pass, without a panel. Four rows at a time, one record (quantized-header.ts) after the other. Levels stay
// unsigned bytes, and their offset comes off once a unit: sum (u - offset) x = sum u x - offset * sum x.
//
// No int32 overflow: u <= 255, so 2 * 255 * 32767 * 64 < 2^30, and so is the correction, 2 * centre * sum x.
// X is i16, or i8 in a module of relaxed SIMD: there u <= 127 and |x| <= 127, so two products are at most 2 * 127 * 127 < 2^15, and four
// of codes of at most 6 bits 4 * 63 * 127 < 2^15.

// Whole quads and what is left are two calls, which also keeps the optimizer from making one enormous function of all.

@inline
function linear<B, X>(m: QuantizedHeader, x: usize, output: usize, first: u32, end: u32): void {
  const whole = end & ~3;
  if (first < whole) linearRows<B, X>(m, x, output, first, whole, 4);
  if (whole < end) linearRows<B, X>(m, x, output, whole, end, end - whole);
}

@inline
function codebook<B, X, Kind>(m: QuantizedHeader, x: usize, output: usize, first: u32, end: u32): void {
  const whole = end & ~3;
  if (first < whole) codebookRows<B, X, Kind>(m, x, output, first, whole, 4);
  if (whole < end) codebookRows<B, X, Kind>(m, x, output, whole, end, end - whole);
}

@inline
export function multiplyVectorBy<X>(m: QuantizedHeader, input: usize, x: usize, output: usize, first: u32, end: u32): void {
  const bits = m.privateBits;
  const decoder = m.decoder;
  if (decoder <= Decoder.linearPairs) {
    if (bits == 8) {
      // With relaxed SIMD too: these levels do not fit seven bits.
      if (sizeof<X>() == 2) linear<Bits8, X>(m, x, output, first, end);
    } else if (bits == 7) linear<Bits7, X>(m, x, output, first, end);
    else if (bits == 6) linear<Bits6, X>(m, x, output, first, end);
    else if (bits == 5) linear<Bits5, X>(m, x, output, first, end);
    else if (bits == 4) linear<Bits4, X>(m, x, output, first, end);
    else if (bits == 3) linear<Bits3, X>(m, x, output, first, end);
    else if (bits == 2) linear<Bits2, X>(m, x, output, first, end);
    else linear<Bits1, X>(m, x, output, first, end);
  } else if (decoder == Decoder.codebookPairs) {
    if (bits == 4) codebook<Bits4, X, u8>(m, x, output, first, end);
    else if (bits == 3) codebook<Bits3, X, u8>(m, x, output, first, end);
    else if (bits == 2) codebook<Bits2, X, u8>(m, x, output, first, end);
    else codebook<Bits1, X, u8>(m, x, output, first, end);
  } else if (decoder == Decoder.codebookQuarters) {
    codebook<Bits4, X, bool>(m, x, output, first, end);
  } else if (decoder == Decoder.codebook) {
    if (bits == 4) codebook<Bits4, X, void>(m, x, output, first, end);
    else if (bits == 3) codebook<Bits3, X, void>(m, x, output, first, end);
    else if (bits == 2) codebook<Bits2, X, void>(m, x, output, first, end);
    else codebook<Bits1, X, void>(m, x, output, first, end);
  } else if (sizeof<X>() == 1) {
    // Shared bits that lie anyhow cost more than the products.
    unreachable();
  } else if (m.sharedBits == 1) {
    if (bits == 5) tableRows<Bits5, Bits1, X>(m, x, output, first, end);
    else if (bits == 4) tableRows<Bits4, Bits1, X>(m, x, output, first, end);
    else if (bits == 3) tableRows<Bits3, Bits1, X>(m, x, output, first, end);
    else if (bits == 2) tableRows<Bits2, Bits1, X>(m, x, output, first, end);
    else tableRows<Bits1, Bits1, X>(m, x, output, first, end);
  } else {
    if (bits == 4) tableRows<Bits4, Bits2, X>(m, x, output, first, end);
    else if (bits == 3) tableRows<Bits3, Bits2, X>(m, x, output, first, end);
    else if (bits == 2) tableRows<Bits2, Bits2, X>(m, x, output, first, end);
    else tableRows<Bits1, Bits2, X>(m, x, output, first, end);
  }
  if (m.salientOffsets) addSalientRows(m, input, output, 1, first, end);
}

/** Writes the records that `multiplyVector` reads, see prepared-vector.ts. */
export function prepareVector(
  codes: usize,
  scales: usize,
  units: u32,
  factor: i32,
  privateBits: u32,
  sharedBits: u32,
  target: usize,
): void {
  prepareRecords<i16>(codes, scales, units, factor, privateBits, sharedBits, target);
}

/**
 * Output [rows] for one token, from `firstRow` (a multiple of 4) up to `endRow`: codes meet x, the records that `prepareVector` has
 * written, salient weights meet input [columns]. For chunks of 64 columns and the decoders up to `table`.
 */
export function multiplyVector(header: usize, input: usize, x: usize, output: usize, firstRow: u32, endRow: u32): void {
  multiplyVectorBy<i16>(changetype<QuantizedHeader>(header), input, x, output, firstRow, endRow);
}
