const marker = Symbol.for('lbs.error');

/** Where an error was found; every field that is known is part of the message. */
export interface ErrorPlace {
  /** File, URL or other name of the source. */
  readonly file?: string | undefined;
  /** Name of the tensor inside the file. */
  readonly tensor?: string | undefined;
  /** What the reader can do about it, as a full sentence. */
  readonly mend?: string | undefined;
  readonly cause?: unknown;
}

/** Characters of a message's parts. A file can hold names and values of any length. */
const longestTensorName = 200;
const longestFileName = 400;
const longestProblem = 800;

/** Control characters of C0 and C1, which could steer the terminal that shows a message. */
const controlCharacters = /\p{Cc}/gu;

/** A text that may come from a file, as part of a message: of bounded length, without control characters. */
function printable(text: string, longest: number): string {
  const shown = text
    .slice(0, longest + 1)
    .replace(controlCharacters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return shown.length > longest ? `${shown.slice(0, longest)}...` : shown;
}

/**
 * Base of all errors that the packages throw on purpose. `code` is stable; the message names the file, the
 * tensor, the value and the mend.
 */
export abstract class LbsError extends Error {
  abstract readonly code: string;
  readonly file: string | undefined;
  readonly tensor: string | undefined;
  readonly mend: string | undefined;
  readonly [marker] = true;

  constructor(problem: string, place: ErrorPlace = {}) {
    const tensor = place.tensor && `tensor "${printable(place.tensor, longestTensorName)}"`;
    const where = [place.file && printable(place.file, longestFileName), tensor].filter(Boolean).join(', ');
    const what = `${printable(problem, longestProblem)}.`;
    super(
      [where ? `${where}: ${what}` : what, place.mend && printable(place.mend, longestProblem)]
        .filter(Boolean)
        .join(' '),
      place.cause === undefined ? undefined : { cause: place.cause },
    );
    this.name = new.target.name;
    this.file = place.file;
    this.tensor = place.tensor;
    this.mend = place.mend;
  }

  /** True for errors of this family, also when two copies of the package are loaded. */
  static isInstance(value: unknown): value is LbsError {
    return typeof value === 'object' && value !== null && marker in value;
  }
}

/** The bytes break the rules of their own format. Permanent: reading again does not help. */
export class MalformedFileError extends LbsError {
  readonly code = 'LBS_MALFORMED_FILE';
}

/** The bytes may be well formed, but this version does not know what they ask for. */
export class UnsupportedError extends LbsError {
  readonly code = 'LBS_UNSUPPORTED';
}

/** A tensor's shape or dtype is not what its place in the model needs. */
export class TensorMismatchError extends LbsError {
  readonly code = 'LBS_TENSOR_MISMATCH';
}

/** The file is missing, unreadable, or the disk is full. May pass when tried again. */
export class FileAccessError extends LbsError {
  readonly code = 'LBS_FILE_ACCESS';
}

/** A server refuses: it wants another token, or a licence to be accepted. Permanent until the reader mends it. */
export class AccessDeniedError extends LbsError {
  readonly code = 'LBS_ACCESS_DENIED';
}

/** A server cannot be reached, stalls, breaks off or is overloaded, after all retries. Passes when tried again later. */
export class NetworkError extends LbsError {
  readonly code = 'LBS_NETWORK';
}

/** A file is another than it was when it was opened. What was read of it before must not be mixed with the rest. */
export class SourceChangedError extends LbsError {
  readonly code = 'LBS_SOURCE_CHANGED';
}

/** The caller passed a value outside of what the function accepts. */
export class InvalidArgumentError extends LbsError {
  readonly code = 'LBS_INVALID_ARGUMENT';
}

/** A weight is NaN or infinite, so that no scale exists. */
export class NonFiniteWeightError extends LbsError {
  readonly code = 'LBS_NON_FINITE_WEIGHT';
}
