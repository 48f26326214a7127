import { MalformedFileError } from '@lbs/format';
import { describeValue } from './json-file.js';

/** Loops run over layers before any tensor is seen; the deepest published models have less than 200. */
const MAX_LAYERS = 4096;

/** Reads checked values out of a config, whatever its format. */
export class ConfigFields {
  readonly #get: (key: string) => unknown;
  readonly #file: string;

  constructor(get: (key: string) => unknown, file: string) {
    this.#get = get;
    this.#file = file;
  }

  /** A positive integer. */
  size(key: string, fallback?: number): number {
    return this.#number(
      key,
      fallback,
      'a positive integer',
      (value) => Number.isSafeInteger(value) && value > 0,
    );
  }

  layers(key: string): number {
    return this.#number(
      key,
      undefined,
      `a number of layers from 1 to ${MAX_LAYERS}`,
      (value) => Number.isInteger(value) && value >= 1 && value <= MAX_LAYERS,
    );
  }

  /** A positive finite number. */
  positive(key: string, fallback?: number): number {
    return this.#number(key, fallback, 'a positive number', (value) => Number.isFinite(value) && value > 0);
  }

  /** A token id, or undefined where there is none. Of a list the first. */
  token(key: string): number | undefined {
    const value = this.#get(key);
    const first = Array.isArray(value) ? value[0] : value;
    if (first === undefined || first === null) return undefined;
    if (!Number.isSafeInteger(first) || (first as number) < 0) throw this.malformed(key, first, 'a token id');
    return first as number;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#get(key) ?? fallback;
    if (typeof value !== 'boolean') throw this.malformed(key, value, 'a boolean');
    return value;
  }

  malformed(key: string, value: unknown, expected: string): MalformedFileError {
    return new MalformedFileError(`${key} is ${describeValue(value)}, not ${expected}`, {
      file: this.#file,
      mend: 'Check the model; its publisher may have a newer version.',
    });
  }

  #number(
    key: string,
    fallback: number | undefined,
    expected: string,
    valid: (value: number) => boolean,
  ): number {
    const value = this.#get(key) ?? fallback;
    if (typeof value !== 'number' || !valid(value)) throw this.malformed(key, value, expected);
    return value;
  }
}
