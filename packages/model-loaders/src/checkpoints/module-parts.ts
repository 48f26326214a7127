import { MalformedFileError, TensorMismatchError, UnsupportedError } from '@lbs/format';
import type { TensorInfo } from '../model/tensor-store.js';
import type { DequantizedDtype, ModuleParts } from './checkpoint-method.js';

/** Where an error in a part of a module is. */
export function placeOf({ file, module }: ModuleParts, part: string) {
  return { file, tensor: `${module}.${part}` };
}

/** A part that has to be there, with one of some dtypes. Throws TensorMismatchError and UnsupportedError. */
export function neededPart(parts: ModuleParts, part: string, dtypes: readonly string[]): TensorInfo {
  const info = parts.info(part);
  if (!info) {
    throw new TensorMismatchError('this part of a quantized matrix is missing', {
      ...placeOf(parts, part),
      mend: 'Check that all weight files are of the same model.',
    });
  }
  if (dtypes.includes(info.dtype)) return info;
  throw new UnsupportedError(`a part of type ${info.dtype} is not known here`, {
    ...placeOf(parts, part),
    mend: `Known: ${dtypes.join(', ')}.`,
  });
}

/** Throws TensorMismatchError unless a part has this shape. */
export function assertShape(
  parts: ModuleParts,
  part: string,
  { shape }: TensorInfo,
  expected: readonly number[],
): void {
  if (shape.length === expected.length && shape.every((size, i) => size === expected[i])) return;
  throw new TensorMismatchError(`expected the shape [${expected.join(', ')}], found [${shape.join(', ')}]`, {
    ...placeOf(parts, part),
    mend: 'Check that the config is of the same model.',
  });
}

/** The two dimensions of a part. Throws TensorMismatchError for another number of them. */
export function matrixShape(
  parts: ModuleParts,
  part: string,
  { shape }: TensorInfo,
): readonly [number, number] {
  const [rows, columns] = shape;
  if (shape.length === 2 && rows !== undefined && columns !== undefined) return [rows, columns];
  throw new TensorMismatchError(
    `expected a matrix, found the shape [${shape.join(', ')}]`,
    placeOf(parts, part),
  );
}

/** The error for a value that breaks the rules of its method. */
export function malformedPart(parts: ModuleParts, part: string, problem: string): MalformedFileError {
  return new MalformedFileError(problem, {
    ...placeOf(parts, part),
    mend: 'Download the file again; its publisher may have a newer version.',
  });
}

/** Scales have the type that the reference code computes in. */
export const SCALE_DTYPES: readonly DequantizedDtype[] = ['F16', 'BF16', 'F32'];
