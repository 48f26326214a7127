import { MalformedFileError } from '@lbs/format';
import { type CancelOptions, type RandomAccessSource, readExactly } from '../sources/random-access-source.js';

/** A parsed JSON object whose members are still unchecked. */
export type JsonObject = Record<string, unknown>;

/** True for an object that is not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An unchecked value as part of a message: short, whatever it is. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'missing';
  // Lists and objects are not shown: JSON.stringify runs out of stack on depths that JSON.parse accepts.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value).slice(0, 80);
}

/** Parses a file whose JSON is an object. Throws MalformedFileError. */
export function parseJsonObject(bytes: Uint8Array, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new MalformedFileError(`this is not JSON in UTF-8 (${(cause as Error).message})`, {
      file,
      mend: 'Download the file again.',
      cause,
    });
  }
  if (!isJsonObject(value)) {
    throw new MalformedFileError('the JSON is not an object', { file, mend: 'Check what wrote the file.' });
  }
  return value;
}

/** Reads a whole source of at most `limit` bytes. Throws MalformedFileError above the limit. */
export async function readWhole(
  source: RandomAccessSource,
  limit: number,
  options: CancelOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  if (source.size > limit) {
    throw new MalformedFileError(`${source.size} bytes are above the limit of ${limit} for such a file`, {
      file: source.name,
      mend: 'Check what wrote the file.',
    });
  }
  return readExactly(source, 0, source.size, options);
}
