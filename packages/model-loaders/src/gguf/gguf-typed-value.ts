import type { GgufValue } from './gguf-metadata.js';

/** The types of single metadata values, as the specification names them. */
export type GgufScalarType =
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'float32'
  | 'bool'
  | 'string'
  | 'uint64'
  | 'int64'
  | 'float64';

/** A single metadata value. 64-bit integers may be numbers where a number holds them exactly. */
export type GgufScalar = number | bigint | boolean | string;

/** A metadata value with the type in which it is written. */
export type GgufTypedValue =
  | { readonly type: GgufScalarType; readonly value: GgufScalar }
  | { readonly type: 'array'; readonly of: GgufScalarType; readonly values: readonly GgufScalar[] };

/** The metadata of a file that is written, in their order. */
export type GgufTypedMetadata = ReadonlyMap<string, GgufTypedValue>;

/** Shorthands for the types that most metadata have. */
export const typed = {
  uint32: (value: number): GgufTypedValue => ({ type: 'uint32', value }),
  float32: (value: number): GgufTypedValue => ({ type: 'float32', value }),
  bool: (value: boolean): GgufTypedValue => ({ type: 'bool', value }),
  string: (value: string): GgufTypedValue => ({ type: 'string', value }),
  strings: (values: readonly string[]): GgufTypedValue => ({ type: 'array', of: 'string', values }),
  int32s: (values: readonly number[]): GgufTypedValue => ({ type: 'array', of: 'int32', values }),
  float32s: (values: readonly number[]): GgufTypedValue => ({ type: 'array', of: 'float32', values }),
};

/** The metadata as they are read from the file. */
export function plainMetadata(metadata: GgufTypedMetadata): ReadonlyMap<string, GgufValue> {
  return new Map(
    Array.from(metadata, ([key, entry]): [string, GgufValue] => {
      if (entry.type === 'array') return [key, entry.values];
      return [key, entry.type === 'float32' ? Math.fround(Number(entry.value)) : entry.value];
    }),
  );
}
