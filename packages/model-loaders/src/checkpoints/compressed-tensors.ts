import { UnsupportedError } from '@lbs/format';
import { describeValue } from '../config/json-file.js';
import { elementCount, type RowRange, type TensorInfo } from '../model/tensor-store.js';
import { float32FromSafetensors } from '../safetensors/float32-from-safetensors.js';
import { dequantizeAffine } from './affine-rows.js';
import type {
  CheckpointMatrix,
  CheckpointMethod,
  DequantizedDtype,
  ModuleParts,
} from './checkpoint-method.js';
import { type QuantizationGroup, readGroups } from './compressed-tensors-groups.js';
import {
  assertShape,
  malformedPart,
  matrixShape,
  neededPart,
  placeOf,
  SCALE_DTYPES,
} from './module-parts.js';
import { packedCode, packedWords } from './packed-codes.js';

/** Formats whose weights are stored one by one, and the one that packs them into words. */
const NAIVE_FORMATS = ['int-quantized', 'float-quantized', 'naive-quantized'];
const PACKED_FORMAT = 'pack-quantized';

/**
 * Checkpoints of compressed-tensors, the format of llm-compressor and vLLM: `pack-quantized` (integers of 1 to 8 bits in 32-bit words along the
 * inputs, `weight_packed`, `weight_shape`), and `int-quantized`, `float-quantized` and `naive-quantized` (`weight` as I8 or
 * F8). Scales of the tensor, a channel, a group or a block, symmetric or with zero-points. What is said of activations is left out:
 * the weights are dequantized. Arithmetic and rounding are those of its `dequantize`.
 */
export const compressedTensors: CheckpointMethod = {
  name: 'compressed-tensors',
  parse(config, file) {
    const groupOf = readGroups(config, file);
    assertFormat(config['format'], file);
    return {
      markers: ['weight_scale'],
      helpers: [
        'weight',
        'weight_packed',
        'weight_scale',
        'weight_shape',
        'weight_zero_point',
        'weight_g_idx',
        'input_scale',
        'input_zero_point',
        'output_scale',
        'output_zero_point',
      ],
      async matrix(parts) {
        const group = groupOf(parts.module);
        assertFormat(group.format, parts.file);
        return parts.info('weight_packed') ? packedMatrix(parts, group) : naiveMatrix(parts, group);
      },
    };
  },
};

function assertFormat(format: unknown, file: string): void {
  const known = [...NAIVE_FORMATS, PACKED_FORMAT, 'mixed-precision'];
  if (format === undefined || format === null || known.includes(format as string)) return;
  throw new UnsupportedError(`compressed-tensors: format is ${describeValue(format)}`, {
    file,
    mend: `Known: ${known.join(', ')}.`,
  });
}

async function packedMatrix(parts: ModuleParts, group: QuantizationGroup): Promise<CheckpointMatrix> {
  const { bits, isInteger } = group;
  if (!isInteger) throw malformedPart(parts, 'weight_packed', 'packed weights are not integers');
  const packed = neededPart(parts, 'weight_packed', ['I32']);
  const shape = await readShape(parts);
  const [rows, columns] = shape;
  const [packedRows, words] = matrixShape(parts, 'weight_packed', packed);
  // Until 2026 a word held whole codes only, which is another layout where bits do not divide 32.
  const codesPerWord = Math.floor(32 / bits);
  const isDense = words === packedWords(columns, bits);
  if (packedRows !== rows || !(isDense || words === Math.ceil(columns / codesPerWord))) {
    const problem = `[${packedRows}, ${words}] words are not [${rows}, ${columns}] codes of ${bits} bits`;
    throw malformedPart(parts, 'weight_packed', problem);
  }
  const offset = 2 ** (bits - 1);
  return affineMatrix(parts, group, shape, ['weight_packed'], (bytes, { first, count }) => {
    const source = new Uint32Array(bytes('weight_packed').buffer);
    const codes = new Float32Array(count * columns);
    for (let row = 0; row < count; row++) {
      const start = (first + row) * words;
      for (let column = 0; column < columns; column++) {
        const code = isDense
          ? packedCode(source, start, 1, bits, column)
          : packedCode(source, start + Math.floor(column / codesPerWord), 1, bits, column % codesPerWord);
        codes[row * columns + column] = code - offset;
      }
    }
    return codes;
  });
}

function naiveMatrix(parts: ModuleParts, group: QuantizationGroup): CheckpointMatrix {
  const weight = neededPart(parts, 'weight', group.isInteger ? ['I8'] : ['F8_E4M3']);
  const shape = matrixShape(parts, 'weight', weight);
  const columns = shape[1];
  return affineMatrix(parts, group, shape, ['weight'], (bytes, { first, count }) => {
    const rows = bytes('weight').slice(first * columns, (first + count) * columns);
    return float32FromSafetensors(weight.dtype as 'I8' | 'F8_E4M3', rows, placeOf(parts, 'weight'));
  });
}

/** `codesOf` gives the codes of some rows, with their sign. */
function affineMatrix(
  parts: ModuleParts,
  group: QuantizationGroup,
  shape: readonly [number, number],
  codeParts: readonly string[],
  codesOf: (bytes: (part: string) => Uint8Array<ArrayBuffer>, rows: RowRange) => Float32Array,
): CheckpointMatrix {
  const [rows, columns] = shape;
  const scale = neededPart(parts, 'weight_scale', SCALE_DTYPES);
  const grid = gridOf(parts, group, shape, scale);
  const { lines, groups } = grid;
  const zero = group.symmetric ? undefined : zeroPoints(parts, group, lines, groups);
  const order = parts.info('weight_g_idx') && neededPart(parts, 'weight_g_idx', ['I32']);
  if (order) assertShape(parts, 'weight_g_idx', order, [columns]);
  const dtype = scale.dtype as DequantizedDtype;
  return {
    shape,
    dtype,
    parts: [
      ...codeParts,
      'weight_scale',
      ...(zero ? ['weight_zero_point'] : []),
      ...(order ? ['weight_g_idx'] : []),
    ],
    dequantize(bytes, range) {
      const { first, count } = range;
      const groupOf = order
        ? new Int32Array(bytes('weight_g_idx').buffer)
        : Int32Array.from({ length: columns }, (_, column) => Math.floor(column / grid.groupSize));
      const wrong = groupOf.find((index) => index < 0 || index >= groups);
      if (wrong !== undefined)
        throw malformedPart(parts, 'weight_g_idx', `group ${wrong} is none of ${groups}`);
      const allScales = float32FromSafetensors(dtype, bytes('weight_scale'), placeOf(parts, 'weight_scale'));
      const allZeros = zero?.(bytes);
      const scales = new Float32Array(count * groups);
      const zeros = allZeros && new Float32Array(count * groups);
      for (let row = 0; row < count; row++) {
        const line = lines === rows ? first + row : Math.floor((first + row) / grid.lineSize);
        scales.set(allScales.subarray(line * groups, (line + 1) * groups), row * groups);
        zeros?.set(allZeros!.subarray(line * groups, (line + 1) * groups), row * groups);
      }
      const codes = codesOf(bytes, range);
      return dequantizeAffine({ rows: count, columns, codes, groups, groupOf, scales, zeros }, dtype);
    },
  };
}

/** How many scales there are: `lines` of `lineSize` rows with `groups` of `groupSize` columns each. */
interface ScaleGrid {
  readonly lines: number;
  readonly lineSize: number;
  readonly groups: number;
  readonly groupSize: number;
}

function gridOf(
  parts: ModuleParts,
  { strategy, groupSize, block }: QuantizationGroup,
  [rows, columns]: readonly [number, number],
  scale: TensorInfo,
): ScaleGrid {
  const sizes = {
    tensor: [rows, columns],
    channel: [1, columns],
    group: [1, groupSize],
    block,
  }[strategy];
  const [lineSize, size] = [Math.max(1, sizes[0]!), Math.max(1, sizes[1]!)];
  const lines = Math.ceil(rows / lineSize);
  const groups = Math.ceil(columns / size);
  if (strategy === 'group' && columns % size !== 0) {
    throw malformedPart(parts, 'weight_scale', `groups of ${size} do not divide ${columns} inputs`);
  }
  // A scale of the tensor may be a scalar, those of channels a vector.
  if (elementCount(scale.shape) !== lines * groups)
    assertShape(parts, 'weight_scale', scale, [lines, groups]);
  return { lines, lineSize, groups, groupSize: size };
}

/** Zero-points, one for every scale: as they are, or packed along the rows. */
function zeroPoints(parts: ModuleParts, { bits }: QuantizationGroup, lines: number, groups: number) {
  const info = neededPart(parts, 'weight_zero_point', ['I8', 'I32']);
  const isPacked = info.dtype === 'I32';
  if (!isPacked) {
    if (elementCount(info.shape) !== lines * groups)
      assertShape(parts, 'weight_zero_point', info, [lines, groups]);
    return (bytes: (part: string) => Uint8Array<ArrayBuffer>) =>
      Float32Array.from(new Int8Array(bytes('weight_zero_point').buffer));
  }
  const codesPerWord = Math.floor(32 / bits);
  const isDense = info.shape[0] === packedWords(lines, bits);
  assertShape(parts, 'weight_zero_point', info, [
    isDense ? packedWords(lines, bits) : Math.ceil(lines / codesPerWord),
    groups,
  ]);
  return (bytes: (part: string) => Uint8Array<ArrayBuffer>) => {
    const words = new Uint32Array(bytes('weight_zero_point').buffer);
    const zeros = new Float32Array(lines * groups);
    for (let line = 0; line < lines; line++) {
      for (let group = 0; group < groups; group++) {
        const code = isDense
          ? packedCode(words, group, groups, bits, line)
          : packedCode(
              words,
              group + groups * Math.floor(line / codesPerWord),
              groups,
              bits,
              line % codesPerWord,
            );
        zeros[line * groups + group] = code - 2 ** (bits - 1);
      }
    }
    return zeros;
  };
}

/** `weight_shape` is [out, in] before packing. */
async function readShape(parts: ModuleParts): Promise<readonly [number, number]> {
  const info = neededPart(parts, 'weight_shape', ['I32', 'I64']);
  assertShape(parts, 'weight_shape', info, [2]);
  const { buffer } = await parts.read('weight_shape');
  const [rows = -1, columns = -1] =
    info.dtype === 'I32' ? new Int32Array(buffer) : Array.from(new BigInt64Array(buffer), Number);
  const valid = [rows, columns, rows * columns].every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!valid) throw malformedPart(parts, 'weight_shape', `the shape is [${rows}, ${columns}]`);
  return [rows, columns];
}
