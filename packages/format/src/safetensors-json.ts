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

/** Walks through text that JSON.parse has accepted, so that its structure needs no second check. */
function rejectAmbiguities(text: string, file: string): void {
  const mend = 'Write the file again with a conforming writer.';
  const keysOfOpenObjects: Set<string>[] = [];
  let lastString = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '"') {
      const end = endOfString(text, i);
      lastString = text.slice(i, end);
      i = end - 1;
    } else if (character === '{') {
      keysOfOpenObjects.push(new Set());
    } else if (character === '}') {
      keysOfOpenObjects.pop();
    } else if (character === ':') {
      const key = JSON.parse(lastString) as string;
      const keys = keysOfOpenObjects.at(-1)!;
      if (keys.has(key)) {
        throw new MalformedFileError(`the header has the key ${JSON.stringify(key.slice(0, 80))} twice`, {
          file,
          mend,
        });
      }
      keys.add(key);
    } else if (character === '-' || character === '.' || character === 'e' || character === 'E') {
      // Outside of strings these stand in numbers only, but for the e of true and false.
      if (character.toLowerCase() === 'e' && !/\d/.test(text[i - 1]!)) continue;
      const number =
        /[-+.\w]*$/.exec(text.slice(Math.max(0, i - 20), i))![0] +
        /^[-+.\w]*/.exec(text.slice(i, i + 20))![0];
      throw new MalformedFileError(`the header has the number ${number}, not a non-negative integer`, {
        file,
        mend,
      });
    }
  }
}

/** Index behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i + 1;
}
