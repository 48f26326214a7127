/**
 * A quantized matrix as the kernels see it. `src/quantized-header.ts` writes it; every field is 32 bits, in this order.
 *
 * A *unit* is 64 columns, the step of the packing. A *chunk* is the 16, 32 or 64 columns that share one weight scale and
 * one activation scale: gcd(64, group size). A *quarter* is 16 columns of a unit, one vector of bytes.
 */
@unmanaged
export class QuantizedHeader {
  rows: u32;
  columns: u32;
  units: u32;
  chunkColumns: u32;
  chunksPerGroup: u32;
  groups: u32;
  privateBits: u32;
  sharedBits: u32;
  sharingBlock: u32;
  /** How codes become levels, see decode-row.ts. */
  decoder: u32;
  /** log2(sharing block / 16), where that is a whole number. */
  blockShift: u32;
  /** Twice the centre of a linear level table. */
  doubledCentre: i32;
  packed: usize;
  shared: usize;
  /** Bytes of a row's shared codes. */
  sharedStride: u32;
  /** [rows, groups] float32: the group scale, or half of it where levels are doubled. */
  scales: usize;
  /** [rows, groups] u8; 0 where the format has no zero-points. */
  zeroPoints: usize;
  /** 16 signed bytes a codebook: rows of levels, doubled or not. */
  tables: usize;
  /** The same vectors plus 128, as unsigned bytes. */
  unsignedTables: usize;
  /** [2^N] int16 doubled levels. */
  lookup: usize;
  /** Vectors that spread shared bits over lanes, see shared-codes.ts. */
  patterns: usize;
  /** [rows + 1] u32; 0 where the matrix has no salient weights. */
  salientOffsets: usize;
  salientColumns: usize;
  salientValues: usize;
}

/** How codes become levels; `src/decoding-plan.ts` chooses. */
export namespace Decoder {
  export const codebook: u32 = 0;
  export const codebookHalves: u32 = 1;
  export const table: u32 = 2;
  export const linear: u32 = 3;
  export const linearBlocks: u32 = 4;
  export const linearPattern: u32 = 5;
  export const lookup: u32 = 6;
}
