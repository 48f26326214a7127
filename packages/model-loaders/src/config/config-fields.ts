import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue } from './json-file.js';

/** Loops run over layers before any tensor is seen; the deepest published models have less than 200. */
const MAX_LAYERS = 4096;

/** Reads checked values out of a config, whatever its format. */
export class ConfigFields {
  readonly #get: (key: string) => unknown;
  readonly #isAbsent: (key: string) => boolean;
  readonly #nameOf: (key: string) => string;

  /** `nameOf` gives the name that a key has in this config. */
  constructor(
    get: (key: string) => unknown,
    readonly file: string,
    nameOf: (key: string) => string = (key) => key,
  ) {
    this.#get = (key) => get(nameOf(key)) ?? undefined;
    this.#isAbsent = (key) => get(nameOf(key)) === undefined;
    this.#nameOf = nameOf;
  }

  /** The unchecked value; undefined where it is missing or null. */
  value(key: string): unknown {
    return this.#get(key);
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

  /** A whole number that is not negative. */
  count(key: string, fallback: number): number {
    return this.#number(
      key,
      fallback,
      'a whole number',
      (value) => Number.isSafeInteger(value) && value >= 0,
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

  /** A positive integer, or undefined where it is null; `fallback` where it is missing. */
  optionalSize(key: string, fallback?: number): number | undefined {
    if (this.#isAbsent(key)) return fallback;
    return this.#get(key) === undefined ? undefined : this.size(key);
  }

  /** A positive finite number, or undefined where it is null; `fallback` where it is missing. */
  optionalPositive(key: string, fallback?: number): number | undefined {
    if (this.#isAbsent(key)) return fallback;
    return this.#get(key) === undefined ? undefined : this.positive(key);
  }

  /** A fraction of a whole: above 0, at most 1. */
  fraction(key: string, fallback: number): number {
    return this.#number(key, fallback, 'a number above 0 and up to 1', (value) => value > 0 && value <= 1);
  }

  /** So many positive finite numbers. */
  positives(key: string, length: number): readonly number[] {
    const values = this.#get(key);
    const isPositive = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value > 0;
    if (Array.isArray(values) && values.length === length && values.every(isPositive)) return values;
    throw this.malformed(key, values, `${length} positive numbers`);
  }

  /** A list with an entry for each layer at least, or undefined where there is none. */
  listOfLayers(key: string, layers: number): readonly unknown[] | undefined {
    const values = this.#get(key);
    if (values === undefined) return undefined;
    if (Array.isArray(values) && values.length >= layers) return values.slice(0, layers);
    throw this.malformed(key, values, `a list for ${layers} layers`);
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

  /** One of some names. Throws UnsupportedError for another value. */
  oneOf<Name extends string>(key: string, known: readonly Name[], fallback: Name): Name {
    const value = this.#get(key) ?? fallback;
    this.#assertKnown(key, value, known);
    return value as Name;
  }

  /** Throws UnsupportedError where the field is there and has another value. */
  only(key: string, known: string | number | boolean): void {
    this.#assertKnown(key, this.#get(key) ?? known, [known]);
  }

  malformed(key: string, value: unknown, expected: string): MalformedFileError {
    return new MalformedFileError(`${this.#nameOf(key)} is ${describeValue(value)}, not ${expected}`, {
      file: this.file,
      mend: 'Check the model; its publisher may have a newer version.',
    });
  }

  unsupported(key: string, value: unknown, mend: string): UnsupportedError {
    return new UnsupportedError(`${this.#nameOf(key)} is ${describeValue(value)}`, { file: this.file, mend });
  }

  #assertKnown(key: string, value: unknown, known: readonly unknown[]): void {
    if (!known.includes(value)) throw this.unsupported(key, value, `Known: ${known.join(', ')}.`);
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
