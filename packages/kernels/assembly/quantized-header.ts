/**
 * A quantized matrix as the kernels see it. `src/quantized-header.ts` writes it; every field is 32 bits, in this order.
 *
 * A *unit* is 64 columns, the step of the packing. A *chunk* is the 16, 32 or 64 columns that share one weight scale and
 * one activation scale: gcd(64, group size). A *quarter* is 16 columns of a unit, one vector of bytes; a *half* is the quarters h and
 * h + 2, which nibbles hold together.
 *
 * A *quad* is four rows. Their units are interleaved, so that four rows are one stream: [quads, units, *record*], where a record is
 *
 *     codes        [4 rows, 8 b bytes]: the bit planes of the format
 *     shared codes [4 rows, sharedBytes]
 *     scales       [chunks of a unit, 4 rows] float32, half of the group scale, because levels are doubled
 *     zero-points  [chunks of a unit, 4 rows] u8, where the format has them
 *
 * Rows behind the last, and chunks behind the last group, have the scale 0.
 */
@unmanaged
export class QuantizedHeader {
  /** Always 0, which no compiler knows: see codes.ts. */
  zero: u32;
  rows: u32;
  columns: u32;
  units: u32;
  chunkColumns: u32;
  privateBits: u32;
  sharedBits: u32;
  sharingBlock: u32;
  /** How codes become levels, see decode-row.ts. */
  decoder: u32;
  /** Twice the centre of the level table. */
  doubledCentre: i32;
  records: usize;
  recordBytes: u32;
  /** Bytes of a row's shared codes in a record. */
  sharedBytes: u32;
  /** Where the parts of a record are. */
  sharedOffset: u32;
  scaleOffset: u32;
  /** 0 where the format has no zero-points. */
  zeroPointOffset: u32;
  /** [rows, sharedStride] as they are stored, for the decoder `lookup`. */
  sharedRows: usize;
  sharedStride: u32;
  /** Levels, or what else the decoder looks up; see src/decoding-plan.ts. */
  tables: usize;
  /** Vectors that spread shared bits over lanes, see shared-codes.ts. */
  patterns: usize;
  /** [rows + 1] u32; 0 where the matrix has no salient weights. */
  salientOffsets: usize;
  salientColumns: usize;
  salientValues: usize;
}

/** The record of a quad's unit. */
@inline
export function recordOf(m: QuantizedHeader, quad: u32, unit: u32): usize {
  return m.records + (quad * m.units + unit) * m.recordBytes;
}

/** How codes become levels; `src/decoding-plan.ts` chooses. */
export namespace Decoder {
  /** Levels are codes. */
  export const linear: u32 = 0;
  /** Levels are codes; pairs of 8 columns share bits. */
  export const linearPairs: u32 = 1;
  /** One codebook. */
  export const codebook: u32 = 2;
  /** A codebook for each quarter, of private codes of 4 bits. */
  export const codebookQuarters: u32 = 3;
  /** A codebook for each 8 columns. */
  export const codebookPairs: u32 = 4;
  /** Whole codes of up to 6 bits in one table. */
  export const table: u32 = 5;
  /** Levels are codes; shared bits lie anyhow. */
  export const linearPattern: u32 = 6;
  export const lookup: u32 = 7;
}
