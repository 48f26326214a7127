import { UnsupportedError } from '@lbs/format';
import { describeValue } from '../config/json-file.js';
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

const BITS = 4;
const CODES_PER_WORD = 32 / BITS;

/** Which four bits of a word, from the low ones up, hold output 0, 1, ... 7: the writer's order 0, 2, 4, 6, 1, 3, 5, 7 turned round. */
const POSITIONS = [0, 4, 1, 5, 2, 6, 3, 7];

/**
 * AWQ checkpoints in the `gemm` layout of AutoAWQ: `qweight` [in, out / 8] and `qzeros` [groups, out / 8] packed along the outputs
 * in an order of their own, `scales` [groups, out]. Layout and rounding are those of AutoAWQ's `dequantize_gemm`.
 */
export const awq: CheckpointMethod = {
  name: 'awq',
  parse(config, file) {
    const { bits = BITS } = config;
    const version = config['version'] ?? config['checkpoint_format'] ?? 'gemm';
    if (bits !== BITS) throw unsupported(`bits is ${describeValue(bits)}`, 'Known: 4.', file);
    if (typeof version !== 'string' || version.toLowerCase() !== 'gemm') {
      throw unsupported(`version is ${describeValue(version)}`, 'Known: gemm.', file);
    }
    return {
      markers: ['qweight'],
      helpers: ['qweight', 'qzeros', 'scales'],
      matrix: awqMatrix,
    };
  },
};

function awqMatrix(parts: ModuleParts): CheckpointMatrix {
  const qweight = neededPart(parts, 'qweight', ['I32']);
  const qzeros = neededPart(parts, 'qzeros', ['I32']);
  const scales = neededPart(parts, 'scales', SCALE_DTYPES);
  const [columns, words] = matrixShape(parts, 'qweight', qweight);
  const [groups] = matrixShape(parts, 'scales', scales);
  const rows = words * CODES_PER_WORD;
  assertShape(parts, 'scales', scales, [groups, rows]);
  assertShape(parts, 'qzeros', qzeros, [groups, words]);
  if (groups < 1 || columns % groups !== 0) {
    throw malformedPart(parts, 'scales', `${groups} groups are no part of ${columns} inputs`);
  }
  const groupSize = columns / groups;
  const dtype = scales.dtype as DequantizedDtype;
  return {
    shape: [rows, columns],
    dtype,
    parts: ['qweight', 'qzeros', 'scales'],
    dequantize(bytes, { first, count }) {
      const packed = new Uint32Array(bytes('qweight').buffer);
      const packedZeros = new Uint32Array(bytes('qzeros').buffer);
      const allScales = float32FromSafetensors(dtype, bytes('scales'), placeOf(parts, 'scales'));
      const codeOf = (source: Uint32Array, line: number, row: number) => {
        const word = source[line * words + Math.floor(row / CODES_PER_WORD)]!;
        return (word >>> (BITS * POSITIONS[row % CODES_PER_WORD]!)) & 15;
      };
      const codes = new Float32Array(count * columns);
      const zeros = new Float32Array(count * groups);
      const rowScales = new Float32Array(count * groups);
      for (let row = 0; row < count; row++) {
        for (let column = 0; column < columns; column++) {
          codes[row * columns + column] = codeOf(packed, column, first + row);
        }
        for (let group = 0; group < groups; group++) {
          zeros[row * groups + group] = codeOf(packedZeros, group, first + row);
          rowScales[row * groups + group] = allScales[group * rows + first + row]!;
        }
      }
      const groupOf = Int32Array.from({ length: columns }, (_, column) => Math.floor(column / groupSize));
      return dequantizeAffine(
        { rows: count, columns, codes, groups, groupOf, scales: rowScales, zeros },
        dtype,
      );
    },
  };
}

function unsupported(problem: string, mend: string, file: string): UnsupportedError {
  return new UnsupportedError(`AWQ: ${problem}`, { file, mend });
}
