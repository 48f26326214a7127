import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InvalidArgumentError } from '@lbs/format';
import { writeAtomically } from './atomic-file.js';

/** Hashes of the parts of a job's identity. */
export const identityFile = 'job.json';
/** Is there from when the assembled model is whole. */
export const summaryFile = 'summary.json';
/** Where the model is put together, before it moves to its place. */
export const assembledDirectory = 'model';
/** What stood in that place before. */
export const replacedDirectory = 'replaced';
/** Ends the name of every unit's file. */
export const unitSuffix = '.unit.safetensors';

/** The directory in which a job for `output` works: hidden, beside it, and always the same. */
export function jobDirectoryOf(output: string): string {
  const target = resolve(output);
  return join(dirname(target), `.${basename(target)}.lbs-job`);
}

/** The error for an output that is there and may not be replaced. */
export function outputExists(file: string): InvalidArgumentError {
  return new InvalidArgumentError('the output directory exists', {
    file,
    mend: 'Name another one, or have it replaced.',
  });
}

/** In hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Whether there is a file or directory of that name. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
}

/** Undefined where there is no such file, or it is damaged. */
export async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file that is whole or not there. */
export function writeJson(path: string, value: unknown): Promise<void> {
  return writeAtomically(path, (handle) => handle.writeFile(JSON.stringify(value)));
}
