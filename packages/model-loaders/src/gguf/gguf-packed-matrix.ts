import {
  createRegistry,
  defineNumberFormat,
  float32FromFloat16,
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

/** How a GGUF type becomes a number format: its blocks are groups, the binary16 numbers before the codes their scales. */
interface Packing {
  /** Of the type. */
  readonly name: string;
  readonly format: NumberFormat;
  /** Bytes before the codes: a scale, or a scale and a minimum, which is the offset. */
  readonly numberBytes: 2 | 4;
  /** Writes the bit plane of a unit of 64 codes, which are in two blocks: `source` has the codes of the first, `second` bytes on those of the other. */
  readonly packUnit: (source: Uint8Array, at: number, second: number, target: Uint8Array, to: number) => void;
}

const GROUP = 32;

const formatOf = (bits: number, levelTable: LevelTable) =>
  defineNumberFormat({ name: `gguf-${levelTable.name}`, privateBits: bits, groupSize: GROUP, levelTable });

/** Of a block of 32, byte j has element j in its low half and j + 16 in its high half; of a unit of 64, element j and j + 32. */
const packNibbles: Packing['packUnit'] = (source, at, second, target, to) => {
  for (let j = 0; j < GROUP / 2; j++) {
    const first = source[at + j]!;
    const other = source[at + second + j]!;
    target[to + j] = (first & 15) | (other << 4);
    target[to + GROUP / 2 + j] = (first >>> 4) | (other & 0xf0);
  }
};

/** Signed bytes become codes that count from -128. */
const packBytes: Packing['packUnit'] = (source, at, second, target, to) => {
  for (let j = 0; j < GROUP; j++) {
    target[to + j] = source[at + j]! ^ 0x80;
    target[to + GROUP + j] = source[at + second + j]! ^ 0x80;
  }
};

const packings = createRegistry<Packing>('packed GGUF type', [
  { name: 'Q4_0', format: formatOf(4, integerLevelTable(4)), numberBytes: 2, packUnit: packNibbles },
  { name: 'Q4_1', format: formatOf(4, unsignedLevelTable(4)), numberBytes: 4, packUnit: packNibbles },
  { name: 'Q8_0', format: formatOf(8, integerLevelTable(8)), numberBytes: 2, packUnit: packBytes },
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
  const { format, numberBytes, packUnit } = packings.get(type);
  const blockBytes = ggufTypeNamed(type)!.bytesPerBlock;
  const blocks = (rows * columns) / GROUP;
  const unitBytes = (packingUnit * format.privateBits) / 8;
  const packed = new Uint8Array((blocks / 2) * unitBytes);
  for (let unit = 0; unit < blocks / 2; unit++) {
    packUnit(bytes, 2 * unit * blockBytes + numberBytes, blockBytes, packed, unit * unitBytes);
  }
  /** The binary16 numbers that are so many bytes behind the beginnings of the blocks. */
  const numbersAt = (place: number) => {
    const numbers = new Uint8Array(2 * blocks);
    for (let block = 0; block < blocks; block++) {
      numbers[2 * block] = bytes[block * blockBytes + place]!;
      numbers[2 * block + 1] = bytes[block * blockBytes + place + 1]!;
    }
    return numbers;
  };
  const empty = new Uint8Array(0);
  const matrix = { format, rows, columns, packed, shared: empty, scales: numbersAt(0), scaleBases: empty };
  if (numberBytes === 2) return { matrix };
  const offsets = new Float32Array(blocks);
  float32FromFloat16(new Uint16Array(numbersAt(2).buffer), offsets);
  return { matrix, offsets };
}
