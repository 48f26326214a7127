import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue, type JsonObject } from '../config/json-file.js';
import { float32FromSafetensors } from '../safetensors/float32-from-safetensors.js';
import { dequantizeAffine } from './affine-rows.js';
import type {
  CheckpointMatrix,
  CheckpointMethod,
  DequantizedDtype,
  ModuleParts,
} from './checkpoint-method.js';
import {
  assertShape,
  malformedPart,
  matrixShape,
  neededPart,
  placeOf,
  SCALE_DTYPES,
} from './module-parts.js';
import { packedCode, packedWords } from './packed-codes.js';

const KNOWN_BITS = [2, 3, 4, 8];

interface GptqConfig {
  readonly bits: number;
  /** Columns of a group; -1 for all of them. */
  readonly groupSize: number;
  readonly symmetric: boolean;
  /** Version 1 stores zero-points that are one too small. */
  readonly storesZeroMinusOne: boolean;
}

/**
 * GPTQ checkpoints as AutoGPTQ, GPTQModel and transformers write them: `qweight` [in * bits / 32, out] packed along the
 * inputs, `qzeros` [groups, out * bits / 32], `scales` [groups, out], `g_idx` [in], the group of every input.
 * `checkpoint_format` "gptq" stores zero-points minus one, "gptq_v2" as they are. Layout and rounding are those of
 * AutoGPTQ's `qlinear_cuda` and GPTQModel's `dequantize_weight`.
 */
export const gptq: CheckpointMethod = {
  name: 'gptq',
  parse(config, file) {
    const parsed = parseConfig(config, file);
    return {
      markers: ['qweight'],
      helpers: ['qweight', 'qzeros', 'scales', 'g_idx'],
      matrix: (parts) => gptqMatrix(parts, parsed),
    };
  },
};

function parseConfig(config: JsonObject, file: string): GptqConfig {
  const { bits, group_size: groupSize = -1, sym = true } = config;
  const format = config['checkpoint_format'] ?? config['format'] ?? 'gptq';
  if (!KNOWN_BITS.includes(bits as number)) {
    throw unsupported(`bits is ${describeValue(bits)}`, `Known: ${KNOWN_BITS.join(', ')}.`, file);
  }
  if (format !== 'gptq' && format !== 'gptq_v2') {
    throw unsupported(`checkpoint_format is ${describeValue(format)}`, 'Known: gptq, gptq_v2.', file);
  }
  if (!Number.isSafeInteger(groupSize) || ((groupSize as number) < 1 && groupSize !== -1)) {
    throw new MalformedFileError(`group_size is ${describeValue(groupSize)}, not -1 or a number of columns`, {
      file,
    });
  }
  return {
    bits: bits as number,
    groupSize: groupSize as number,
    symmetric: sym === true,
    storesZeroMinusOne: format === 'gptq',
  };
}

function gptqMatrix(parts: ModuleParts, config: GptqConfig): CheckpointMatrix {
  const qweight = neededPart(parts, 'qweight', ['I32']);
  const scales = neededPart(parts, 'scales', SCALE_DTYPES);
  const qzeros = neededPart(parts, 'qzeros', ['I32']);
  const [words, rows] = matrixShape(parts, 'qweight', qweight);
  const [groups] = matrixShape(parts, 'scales', scales);
  assertShape(parts, 'scales', scales, [groups, rows]);
  const order = parts.info('g_idx') && neededPart(parts, 'g_idx', ['I32']);
  // Some modules may have other bits than the config says (`dynamic`); the lengths of the parts tell.
  const columns = order?.shape[0] ?? (words * 32) / config.bits;
  const bits = (words * 32) / columns;
  if (!KNOWN_BITS.includes(bits)) {
    throw malformedPart(
      parts,
      'qweight',
      `${words} words for ${columns} inputs are no codes of ${KNOWN_BITS.join(', ')} bits`,
    );
  }
  if (order) assertShape(parts, 'g_idx', order, [columns]);
  assertShape(parts, 'qzeros', qzeros, [groups, packedWords(rows, bits)]);
  const groupSize = config.groupSize === -1 ? columns : config.groupSize;
  if (!order && Math.ceil(columns / groupSize) !== groups) {
    throw malformedPart(parts, 'scales', `${groups} groups of ${groupSize} are not ${columns} inputs`);
  }
  const dtype = scales.dtype as DequantizedDtype;
  return {
    shape: [rows, columns],
    dtype,
    parts: ['qweight', 'qzeros', 'scales', ...(order ? ['g_idx'] : [])],
    dequantize(bytes, { first, count }) {
      const groupOf = order
        ? new Int32Array(bytes('g_idx').buffer)
        : Int32Array.from({ length: columns }, (_, column) => Math.floor(column / groupSize));
      const wrong = groupOf.find((group) => group < 0 || group >= groups);
      if (wrong !== undefined) throw malformedPart(parts, 'g_idx', `group ${wrong} is none of ${groups}`);
      const packed = new Uint32Array(bytes('qweight').buffer);
      const packedZeros = new Uint32Array(bytes('qzeros').buffer);
      const allScales = float32FromSafetensors(dtype, bytes('scales'), placeOf(parts, 'scales'));
      const zeroOf = zeroReader(packedZeros, { groups, rows, bits }, config);
      const codes = new Float32Array(count * columns);
      const zeros = new Float32Array(count * groups);
      const rowScales = new Float32Array(count * groups);
      for (let row = 0; row < count; row++) {
        for (let column = 0; column < columns; column++) {
          codes[row * columns + column] = packedCode(packed, first + row, rows, bits, column);
        }
        for (let group = 0; group < groups; group++) {
          zeros[row * groups + group] = zeroOf(group, first + row);
          rowScales[row * groups + group] = allScales[group * rows + first + row]!;
        }
      }
      return dequantizeAffine(
        { rows: count, columns, codes, groups, groupOf, scales: rowScales, zeros },
        dtype,
      );
    },
  };
}

/**
 * Zero-points of a matrix. Some files of version 2 are labelled as version 1: where the config says that the grid is
 * symmetric, its zero-point is known to be the middle, and a matrix that stores it itself is of version 2.
 */
function zeroReader(
  packed: Uint32Array,
  { groups, rows, bits }: { readonly groups: number; readonly rows: number; readonly bits: number },
  { symmetric, storesZeroMinusOne }: GptqConfig,
): (group: number, row: number) => number {
  const stride = packedWords(rows, bits);
  const stored = (group: number, row: number) => packedCode(packed, group * stride, 1, bits, row);
  const middle = 2 ** (bits - 1);
  const isMislabelled = symmetric && storesZeroMinusOne && groups > 0 && rows > 0 && stored(0, 0) === middle;
  if (!storesZeroMinusOne || isMislabelled) return stored;
  return (group, row) => (stored(group, row) + 1) & (2 ** bits - 1);
}

function unsupported(problem: string, mend: string, file: string): UnsupportedError {
  return new UnsupportedError(`GPTQ: ${problem}`, { file, mend });
}
