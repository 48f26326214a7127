import { LbsError, type SafetensorsTensorSpec, type StoredTensor } from '@lbs/format';
import { openSafetensors, type SafetensorsReader } from '../safetensors.js';
import { verifySafetensors } from '../verify-model.js';
import { openFileSource } from './file-source.js';
import { writeSafetensors } from './write-safetensors.js';

/** What a file of a job holds, and of which job it is. */
export interface UnitLabel {
  readonly job: string;
  readonly unit: string;
}

/** Writes tensors as a safetensors file with checksums, its label and their order; it is on the disk whole or not at all. */
export function writeUnitFile(
  path: string,
  { job, unit }: UnitLabel,
  tensors: readonly StoredTensor[],
): Promise<void> {
  const order = JSON.stringify(tensors.map(({ name }) => name));
  return writeSafetensors(path, tensors, { job, unit, order }, { checksums: true });
}

/**
 * Reads a file that `writeUnitFile` wrote. Undefined where there is none, where a byte of it has changed, and where it is
 * labelled otherwise. Throws FileAccessError where the disk fails.
 */
export async function withUnitFile<Result>(
  path: string,
  label: UnitLabel,
  use: (reader: SafetensorsReader, tensors: readonly SafetensorsTensorSpec[]) => Promise<Result>,
): Promise<Result | undefined> {
  const source = await openFileSource(path).catch(ignoreMissing);
  if (!source) return undefined;
  try {
    const { ok } = await verifySafetensors(source);
    if (!ok) return undefined;
    const reader = await openSafetensors(source);
    const { metadata } = reader;
    if (metadata.get('job') !== label.job || metadata.get('unit') !== label.unit) return undefined;
    const names: string[] = JSON.parse(metadata.get('order') ?? '[]');
    const tensors = names.map((name) => ({ name, ...reader.tensors.get(name)! }));
    return await use(reader, tensors);
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  } finally {
    await source.close();
  }
}

/** The bytes of one tensor in pieces, without another check of the whole file. */
export async function* readUnitTensor(
  path: string,
  tensor: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const source = await openFileSource(path);
  try {
    yield* (await openSafetensors(source)).readPieces(tensor);
  } finally {
    await source.close();
  }
}

const damageCodes = ['LBS_MALFORMED_FILE', 'LBS_UNSUPPORTED'];

function isDamage(error: unknown): boolean {
  return error instanceof SyntaxError || (LbsError.isInstance(error) && damageCodes.includes(error.code));
}

function ignoreMissing(error: unknown): undefined {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  if (cause?.code !== 'ENOENT') throw error;
}
