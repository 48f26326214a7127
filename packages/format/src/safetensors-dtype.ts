/**
 * Bits per element of every safetensors dtype. The order is that of the reference implementation, whose writer
 * stores a file's tensors from the last dtype of this table to the first.
 */
const bitsByDtype = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Name of an element type as the safetensors header spells it. */
export type SafetensorsDtype = keyof typeof bitsByDtype;

/** Every dtype, in the order of the reference implementation. */
export const safetensorsDtypes = Object.keys(bitsByDtype) as readonly SafetensorsDtype[];

/** True for a string that names a dtype. */
export function isSafetensorsDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(bitsByDtype, value);
}

/**
 * Bytes of a tensor, or undefined where no such tensor can exist: a dimension is not a non-negative integer, the
 * product is beyond 2^53, or the last element of a sub-byte dtype ends inside a byte.
 */
export function safetensorsByteLength(dtype: SafetensorsDtype, shape: readonly number[]): number | undefined {
  let bits: number = bitsByDtype[dtype];
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return undefined;
    bits *= dimension;
    if (!Number.isSafeInteger(bits)) return undefined;
  }
  return bits % 8 === 0 ? bits / 8 : undefined;
}
