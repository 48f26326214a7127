import type { GgufByteReader } from './gguf-byte-reader.js';
import {
  MAX_ARRAY_DEPTH,
  MAX_ARRAY_ELEMENTS,
  MAX_ARRAY_LENGTH,
  MAX_KEY_BYTES,
  MAX_METADATA_ENTRIES,
  MAX_STRING_BYTES,
} from './gguf-limits.js';

/** A metadata value. 64-bit integers are numbers where a number holds them exactly. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

const ARRAY = 9;

/** By the id of the value type: how it is read, and the least bytes that it takes. */
const scalars: readonly (
  | { readonly bytes: number; readonly read: (reader: GgufByteReader) => GgufValue }
  | undefined
)[] = [
  { bytes: 1, read: (reader) => reader.uint8() },
  { bytes: 1, read: (reader) => reader.int8() },
  { bytes: 2, read: (reader) => reader.uint16() },
  { bytes: 2, read: (reader) => reader.int16() },
  { bytes: 4, read: (reader) => reader.uint32() },
  { bytes: 4, read: (reader) => reader.int32() },
  { bytes: 4, read: (reader) => reader.float32() },
  { bytes: 1, read: (reader) => reader.boolean() },
  { bytes: 8, read: (reader) => reader.string('a string', MAX_STRING_BYTES) },
  undefined,
  { bytes: 8, read: (reader) => reader.uint64() },
  { bytes: 8, read: (reader) => reader.int64() },
  { bytes: 8, read: (reader) => reader.float64() },
];

/** An array has at least the id of its type and its length. */
const LEAST_ARRAY_BYTES = 12;

/** A key has a length and one character, a value an id and one byte. */
const LEAST_ENTRY_BYTES = 14;

/** Reads `count` entries. Throws MalformedFileError. */
export function readMetadata(reader: GgufByteReader, count: number): ReadonlyMap<string, GgufValue> {
  if (count > MAX_METADATA_ENTRIES) {
    throw reader.malformed(`${count} metadata entries are above the limit of ${MAX_METADATA_ENTRIES}`);
  }
  reader.assertRemaining(`metadata of ${count} entries`, count * LEAST_ENTRY_BYTES);
  const metadata = new Map<string, GgufValue>();
  const arrays: ArrayBudget = { elements: MAX_ARRAY_ELEMENTS };
  for (let i = 0; i < count; i++) {
    const key = reader.string('a metadata key', MAX_KEY_BYTES);
    if (key === '') throw reader.malformed(`metadata key ${i} is empty`);
    if (metadata.has(key)) throw reader.malformed(`the metadata have the key "${key}" twice`);
    metadata.set(key, readValue(reader, key, reader.uint32(), 0, arrays));
  }
  return metadata;
}

/** How many elements the arrays of a file may still have. */
interface ArrayBudget {
  elements: number;
}

function readValue(
  reader: GgufByteReader,
  key: string,
  type: number,
  depth: number,
  arrays: ArrayBudget,
): GgufValue {
  const scalar = scalars[type];
  if (scalar) return scalar.read(reader);
  if (type !== ARRAY)
    throw reader.malformed(`metadata key "${key}" has the value type ${type}; known are 0 to 12`);
  if (depth === MAX_ARRAY_DEPTH) {
    throw reader.malformed(`metadata key "${key}" nests arrays deeper than the limit of ${MAX_ARRAY_DEPTH}`);
  }
  const elementType = reader.uint32();
  const length = reader.count(`the length of array "${key}"`, MAX_ARRAY_LENGTH);
  reader.assertRemaining(
    `array "${key}" of ${length}`,
    length * (scalars[elementType]?.bytes ?? LEAST_ARRAY_BYTES),
  );
  arrays.elements -= length;
  if (arrays.elements < 0) {
    throw reader.malformed(
      `with "${key}" the arrays have more than the limit of ${MAX_ARRAY_ELEMENTS} elements together`,
    );
  }
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(readValue(reader, key, elementType, depth + 1, arrays));
  return values;
}
