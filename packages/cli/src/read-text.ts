import { readFile } from 'node:fs/promises';
import { FileAccessError, MalformedFileError } from '@lbs/format';

/** Reads a UTF-8 text file. Throws FileAccessError, and MalformedFileError where it is not text or has none. */
export async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause) => {
    throw new FileAccessError(`the text cannot be read (${cause.code})`, {
      file,
      mend: 'Check the path.',
      cause,
    });
  });
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new MalformedFileError('the file is not UTF-8 text', { file, mend: 'Convert it to UTF-8.', cause });
  }
  if (text.trim() === '')
    throw new MalformedFileError('the text is empty', { file, mend: 'Name a file with text.' });
  return text;
}
