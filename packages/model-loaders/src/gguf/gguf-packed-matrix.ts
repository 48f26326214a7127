import {
  createRegistry,
  defineNumberFormat,
  float16Values,
  integerLevelTable,
  type LevelTable,
  type NumberFormat,
  packingUnit,
  type QuantizedMatrix,
  unsignedLevelTable,
} from '@lbs/format';
import { ggufTypeNamed } from './gguf-types.js';

/** A matrix that stays packed, with exactly the values of the file. */
export interface PackedGgufMatrix {
  readonly matrix: QuantizedMatrix;
  /** [rows, groups] what is added to all weights of a group. */
  readonly offsets?: Float32Array<ArrayBuffer>;
}

/** Where the parts of one block go. */
interface PackedBlock {
  readonly source: Uint8Array;
  /** Where the block begins in the source. */
  readonly at: number;
  /** Bit planes of the block's units, and where they begin. */
  readonly planes: Uint8Array;
  readonly to: number;
  /** Scales and offsets of all groups, and which is the first of the block. */
  readonly scales: Float32Array;
  readonly offsets: Float32Array;
  readonly group: number;
}

/** How the blocks of a GGUF type become groups of a number format. */
interface Packing {
  /** Of the type. */
  readonly name: string;
  readonly format: NumberFormat;
  /** Blocks that are packed at a time: those of a unit of 64 columns, or one that holds several units. */
  readonly blocks: 1 | 2;
  readonly hasOffsets: boolean;
  pack(block: PackedBlock): void;
}

/** Scales are float32: a product of a binary16 number and a small integer has no rounding in it. */
const formatOf = (bits: number, groupSize: number, levelTable: LevelTable) =>
  defineNumberFormat({
    name: `gguf-${levelTable.name}-g${groupSize}`,
    privateBits: bits,
    groupSize,
    levelTable,
    scaleEncoding: 'float32',
  });

const float16At = (bytes: Uint8Array, at: number) => float16Values()[bytes[at]! | (bytes[at + 1]! << 8)]!;

/** Two blocks of 32: in each, byte j has element j in its low half and j + 16 in its high half; of a unit, element j and j + 32. */
function packNibbles({ source, planes, to }: PackedBlock, first: number, second: number): void {
  for (let j = 0; j < 16; j++) {
    const one = source[first + j]!;
    const other = source[second + j]!;
    planes[to + j] = (one & 15) | (other << 4);
    planes[to + 16 + j] = (one >>> 4) | (other & 0xf0);
  }
}

const packings = createRegistry<Packing>('packed GGUF type', [
  {
    name: 'Q4_0',
    format: formatOf(4, 32, integerLevelTable(4)),
    blocks: 2,
    hasOffsets: false,
    pack(block) {
      const { source, at, scales, group } = block;
      packNibbles(block, at + 2, at + 20);
      scales[group] = float16At(source, at);
      scales[group + 1] = float16At(source, at + 18);
    },
  },
  {
    name: 'Q4_1',
    format: formatOf(4, 32, unsignedLevelTable(4)),
    blocks: 2,
    hasOffsets: true,
    pack(block) {
      const { source, at, scales, offsets, group } = block;
      packNibbles(block, at + 4, at + 24);
      for (let i = 0; i < 2; i++) {
        scales[group + i] = float16At(source, at + 20 * i);
        offsets[group + i] = float16At(source, at + 20 * i + 2);
      }
    },
  },
  {
    name: 'Q8_0',
    format: formatOf(8, 32, integerLevelTable(8)),
    blocks: 2,
    hasOffsets: false,
    // Signed bytes become codes that count from -128.
    pack({ source, at, planes, to, scales, group }) {
      for (let i = 0; i < 2; i++) {
        const from = at + 34 * i;
        scales[group + i] = float16At(source, from);
        for (let j = 0; j < 32; j++) planes[to + 32 * i + j] = source[from + 2 + j]! ^ 0x80;
      }
    },
  },
  {
    name: 'Q4_K',
    format: formatOf(4, 32, unsignedLevelTable(4)),
    blocks: 1,
    hasOffsets: true,
    // Its nibbles are those of four units already. Eight scales and minima of 6 bits are in 12 bytes.
    pack({ source, at, planes, to, scales, offsets, group }) {
      const [scale, minimum] = [float16At(source, at), float16At(source, at + 2)];
      const packed = at + 4;
      for (let i = 0; i < 8; i++) {
        const low = source[packed + i]!;
        const high = source[packed + i + 4]!;
        const top = source[packed + i - 4]!;
        scales[group + i] = scale * (i < 4 ? low & 63 : (high & 15) | ((top >>> 6) << 4));
        offsets[group + i] = -minimum * (i < 4 ? high & 63 : (high >>> 4) | ((low >>> 6) << 4));
      }
      planes.set(source.subarray(at + 16, at + 144), to);
    },
  },
  {
    name: 'Q6_K',
    format: formatOf(6, 16, integerLevelTable(6)),
    blocks: 1,
    hasOffsets: false,
    // 128 bytes of low halves, 64 of the bits above, 16 signed scales of groups of 16, and a scale of all.
    pack({ source, at, planes, to, scales, group }) {
      const scale = float16At(source, at + 208);
      for (let i = 0; i < 16; i++) scales[group + i] = scale * ((source[at + 192 + i]! << 24) >> 24);
      for (let half = 0; half < 2; half++) {
        const low = at + 64 * half;
        const high = at + 128 + 32 * half;
        // A unit has 32 bytes of low halves and 16 of the bits above.
        const unit = to + 96 * half;
        for (let j = 0; j < 32; j++) {
          const one = source[low + j]!;
          const other = source[low + 32 + j]!;
          planes[unit + j] = (one & 15) | ((other & 15) << 4);
          planes[unit + 48 + j] = (one >>> 4) | (other & 0xf0);
        }
        for (let j = 0; j < 16; j++) {
          const one = source[high + j]!;
          const other = source[high + 16 + j]!;
          const fields = (shift: number) => ((one >>> shift) & 3) | (((other >>> shift) & 3) << 2);
          planes[unit + 32 + j] = fields(0) | (fields(2) << 4);
          planes[unit + 80 + j] = fields(4) | (fields(6) << 4);
        }
      }
    },
  },
]);

/** Whether a type of tensors is one of those that `packGgufMatrix` knows. */
export function isPackedGgufType(type: string): boolean {
  return packings.names.includes(type);
}

/**
 * A GGUF matrix in a number format that has its values exactly: `dequantize`, with the offsets added in float32, gives what the
 * dequantizer of the type gives. Undefined for types that have no such format, and for rows that are no whole units of 64 columns.
 *
 * @param bytes of the tensor [rows, columns]
 */
export function packGgufMatrix(
  type: string,
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  columns: number,
): PackedGgufMatrix | undefined {
  if (!isPackedGgufType(type) || columns % packingUnit !== 0) return undefined;
  const { format, blocks, hasOffsets, pack } = packings.get(type);
  const { blockSize, bytesPerBlock } = ggufTypeNamed(type)!;
  const weights = rows * columns;
  const planes = new Uint8Array((weights * format.privateBits) / 8);
  const scales = new Float32Array(weights / format.groupSize);
  const offsets = new Float32Array(hasOffsets ? scales.length : 0);
  const weightsAtOnce = blocks * blockSize;
  for (let first = 0; first < weights; first += weightsAtOnce) {
    pack({
      source: bytes,
      at: (first / blockSize) * bytesPerBlock,
      planes,
      to: (first * format.privateBits) / 8,
      scales,
      offsets,
      group: first / format.groupSize,
    });
  }
  const empty = new Uint8Array(0);
  const scaleBytes = new Uint8Array(scales.buffer);
  const parts = { packed: planes, shared: empty, scales: scaleBytes, scaleBases: empty };
  const matrix = { format, rows, columns, ...parts };
  return hasOffsets ? { matrix, offsets } : { matrix };
}
