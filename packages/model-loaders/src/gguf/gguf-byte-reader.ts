import { MalformedFileError } from '@lbs/format';

/** Thrown, and caught by openGguf, when the header goes on behind the bytes that have been read so far. */
export class MoreBytesNeeded extends Error {}

/** Reads the primitives of a GGUF header from the first bytes of a file. */
export class GgufByteReader {
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  readonly #fileSize: number;

  constructor(bytes: Uint8Array, file: string, fileSize: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
    this.#fileSize = fileSize;
  }

  uint8 = (): number => this.#view.getUint8(this.#take(1));
  int8 = (): number => this.#view.getInt8(this.#take(1));
  uint16 = (): number => this.#view.getUint16(this.#take(2), true);
  int16 = (): number => this.#view.getInt16(this.#take(2), true);
  uint32 = (): number => this.#view.getUint32(this.#take(4), true);
  int32 = (): number => this.#view.getInt32(this.#take(4), true);
  float32 = (): number => this.#view.getFloat32(this.#take(4), true);
  float64 = (): number => this.#view.getFloat64(this.#take(8), true);
  uint64 = (): number | bigint => narrow(this.#view.getBigUint64(this.#take(8), true));
  int64 = (): number | bigint => narrow(this.#view.getBigInt64(this.#take(8), true));

  boolean = (): boolean => {
    const byte = this.uint8();
    if (byte > 1) throw this.malformed(`a boolean at ${this.position - 1} is ${byte}, not 0 or 1`);
    return byte === 1;
  };

  /** An unsigned 64-bit count or length of at most `limit`. */
  count(what: string, limit: number): number {
    const value = this.uint64();
    if (value > limit) throw this.malformed(`${what} is ${value}, above the limit of ${limit}`);
    return Number(value);
  }

  /** A string of at most `limit` bytes. */
  string(what: string, limit: number): string {
    const length = this.count(`the length of ${what}`, limit);
    const start = this.#take(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(start, start + length),
      );
    } catch (cause) {
      throw this.malformed(`${what} at ${start} is not UTF-8`, cause);
    }
  }

  /** Throws unless the file has so many more bytes; called before anything of that size is allocated. */
  assertRemaining(what: string, length: number): void {
    if (length <= this.#fileSize - this.position) return;
    throw this.malformed(
      `${what} at ${this.position} goes on behind the end of the file at ${this.#fileSize}`,
    );
  }

  malformed(problem: string, cause?: unknown): MalformedFileError {
    return new MalformedFileError(problem, { file: this.#file, mend: 'Download the file again.', cause });
  }

  #take(length: number): number {
    const start = this.position;
    if (start + length > this.#bytes.length) {
      this.assertRemaining('the header', length);
      throw new MoreBytesNeeded();
    }
    this.position = start + length;
    return start;
  }
}

/** A number where it is exact. */
function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
