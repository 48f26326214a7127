import { createHash } from 'node:crypto';
import { LbsError, type SafetensorsTensorSpec, type StoredTensor } from '@lbs/format';
import { verifySafetensors } from '../model/verify-model.js';
import { openSafetensors, type SafetensorsReader } from '../safetensors/safetensors.js';
import { openFileSource } from './file-source.js';
import { writeSafetensors } from './write-safetensors.js';

/** What a file of a job holds, and of which job it is. */
export interface UnitLabel {
  readonly job: string;
  readonly unit: string;
}

/** Writes tensors as a safetensors file with checksums, a seal and their order; it is on the disk whole or not at all. */
export function writeUnitFile(
  path: string,
  label: UnitLabel,
  tensors: readonly StoredTensor[],
): Promise<void> {
  const metadata = {
    order: JSON.stringify(tensors.map(({ name }) => name)),
    seal: sealOf(label, tensors),
  };
  return writeSafetensors(path, tensors, metadata, { checksums: true });
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
    const reader = await openSafetensors(source);
    const names: unknown = JSON.parse(reader.metadata.get('order') ?? 'null');
    if (!Array.isArray(names)) return undefined;
    const tensors = names.flatMap((name) => {
      const info = reader.tensors.get(name);
      return info ? [{ name, dtype: info.dtype, shape: info.shape }] : [];
    });
    if (reader.metadata.get('seal') !== sealOf(label, tensors)) return undefined;
    // A file without tensors has no checksums.
    if (tensors.length > 0 && !(await verifySafetensors(source)).ok) return undefined;
    return await use(reader, tensors);
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  } finally {
    await source.close();
  }
}

/** What the checksums of the tensors leave open: of which job and unit they are, their names, types, shapes and order. */
function sealOf({ job, unit }: UnitLabel, tensors: readonly SafetensorsTensorSpec[]): string {
  const specs = tensors.map(({ name, dtype, shape }) => [name, dtype, shape]);
  return createHash('sha256')
    .update(JSON.stringify([job, unit, specs]))
    .digest('hex');
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
