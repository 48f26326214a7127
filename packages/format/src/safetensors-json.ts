import { MalformedFileError } from './errors.js';

/**
 * Parses JSON more strictly than JSON.parse: the bytes must be UTF-8, no object may have a key twice (JSON.parse
 * keeps the last, so two readers could see two files), and every number must be written as a plain integer.
 * Throws MalformedFileError.
 */
export function parseStrictJson(bytes: Uint8Array, file: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new MalformedFileError('the header is not UTF-8', {
      file,
      mend: 'Download the file again.',
      cause,
    });
  }
  if (!text.startsWith('{')) {
    throw new MalformedFileError(`the header begins with ${JSON.stringify(text.slice(0, 8))}, not with "{"`, {
      file,
      mend: 'Check that this is a safetensors file.',
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MalformedFileError(`the header is not JSON (${(cause as Error).message})`, {
      file,
      mend: 'Download the file again.',
      cause,
    });
  }
  rejectAmbiguities(text, file);
  return value;
}

/** A value as part of a message: short, whatever it is. */
export function describeJson(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value).slice(0, 80);
  // Nested values are not shown: JSON.stringify runs out of stack on depths that JSON.parse accepts.
  const flat = Array.isArray(value) && value.every((element) => typeof element !== 'object');
  return flat ? JSON.stringify(value.slice(0, 8)) : Array.isArray(value) ? 'a list' : 'an object';
}

/** Character codes. Headers have up to 100 MB; comparing numbers is much faster than comparing strings. */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const MINUS = 0x2d;
const POINT = 0x2e;
const SMALL_E = 0x65;
const LARGE_E = 0x45;

/** Walks through text that JSON.parse has accepted, so that its structure needs no second check. */
function rejectAmbiguities(text: string, file: string): void {
  const keysOfOpenObjects: Set<string>[] = [];
  let lastString: readonly [start: number, end: number] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        lastString = [i, endOfString(text, i)];
        i = lastString[1] - 1;
        break;
      case OPEN_BRACE:
        keysOfOpenObjects.push(new Set());
        break;
      case CLOSE_BRACE:
        keysOfOpenObjects.pop();
        break;
      case COLON: {
        const key = JSON.parse(text.slice(...lastString)) as string;
        const keys = keysOfOpenObjects.at(-1)!;
        if (keys.has(key)) throw ambiguous(`the key ${describeJson(key)} twice`, file);
        keys.add(key);
        break;
      }
      case SMALL_E:
      case LARGE_E:
        // Not the e of true and false.
        if (/\d/.test(text[i - 1]!)) throw ambiguous(numberAround(text, i), file);
        break;
      case MINUS:
      case POINT:
        throw ambiguous(numberAround(text, i), file);
    }
  }
}

function ambiguous(what: string, file: string): MalformedFileError {
  return new MalformedFileError(`the header has ${what}`, {
    file,
    mend: 'Write the file again with a conforming writer.',
  });
}

function numberAround(text: string, i: number): string {
  const before = /[-+.\w]*$/.exec(text.slice(Math.max(0, i - 20), i))![0];
  const after = /^[-+.\w]*/.exec(text.slice(i, i + 20))![0];
  return `the number ${before}${after}, not a non-negative integer`;
}

/** Index behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  for (let code = text.charCodeAt(i); code !== QUOTE; code = text.charCodeAt(i))
    i += code === BACKSLASH ? 2 : 1;
  return i + 1;
}
