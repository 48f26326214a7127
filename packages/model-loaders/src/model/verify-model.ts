import {
  crc32,
  formatChecksum,
  parseSafetensorsHeader,
  type SafetensorsHeader,
  safetensorsDataStart,
  splitChecksums,
  UnsupportedError,
} from '@lbs/format';
import type { ModelDirectory } from '../sources/model-directory.js';
import {
  type CancelOptions,
  type RandomAccessSource,
  readExactly,
  readInPieces,
} from '../sources/random-access-source.js';
import { findWeightFiles } from './weight-files.js';

/** A tensor whose bytes are not those that were written. */
export interface DamagedTensor {
  readonly file: string;
  readonly tensor: string;
  /** The checksum in the file; null where the file has none for this tensor. */
  readonly expected: string | null;
  /** The checksum of the bytes; null where the file lacks the tensor. */
  readonly found: string | null;
}

/** What came of comparing all tensors with their checksums. */
export interface Verification {
  readonly files: readonly string[];
  /** Tensors that were read. */
  readonly tensors: number;
  readonly bytes: number;
  readonly ok: boolean;
  readonly failures: readonly DamagedTensor[];
}

/** Cancelling and progress of a verification. */
export interface VerifyOptions extends CancelOptions {
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** A tensor that has been compared. */
export interface VerifyProgress {
  readonly tensor: string;
  /** Of the present file, without its header. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/**
 * Compares every tensor of a safetensors file with its checksum. The source stays the caller's. Throws
 * UnsupportedError where the file has no checksums, and MalformedFileError and FileAccessError as `openSafetensors`.
 */
export async function verifySafetensors(
  source: RandomAccessSource,
  options: VerifyOptions = {},
): Promise<Verification> {
  return verifyFile(source, undefined, options);
}

/**
 * Compares every tensor of a model directory with its checksum, shard by shard, and the index with what the shards
 * hold. Throws as `verifySafetensors`, and FileAccessError where a shard is missing.
 */
export async function verifyModel(
  directory: ModelDirectory,
  options: VerifyOptions = {},
): Promise<Verification> {
  const weights = await findWeightFiles(directory, options);
  if ('whole' in weights) return verifyAndClose(weights.whole, undefined, options);
  const tensorsByShard = new Map<string, string[]>();
  for (const [tensor, shard] of weights.shardByTensor) {
    const tensors = tensorsByShard.get(shard);
    if (tensors) tensors.push(tensor);
    else tensorsByShard.set(shard, [tensor]);
  }
  const parts: Verification[] = [];
  for (const [shard, tensors] of [...tensorsByShard].sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(await verifyAndClose(await weights.openShard(shard), tensors, options));
  }
  const failures = parts.flatMap((part) => part.failures);
  return {
    files: parts.flatMap(({ files }) => files),
    tensors: parts.reduce((sum, part) => sum + part.tensors, 0),
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    ok: failures.length === 0,
    failures,
  };
}

async function verifyAndClose(
  source: RandomAccessSource,
  indexed: readonly string[] | undefined,
  options: VerifyOptions,
): Promise<Verification> {
  try {
    return await verifyFile(source, indexed, options);
  } finally {
    await source.close?.();
  }
}

/** `indexed` names the tensors that the index of the model expects in this file. */
async function verifyFile(
  source: RandomAccessSource,
  indexed: readonly string[] | undefined,
  { signal, onProgress }: VerifyOptions,
): Promise<Verification> {
  const header = await readHeader(source, { signal });
  const { checksums } = splitChecksums(header.metadata);
  if (checksums.size === 0) {
    throw new UnsupportedError('the file has no checksums', {
      file: source.name,
      mend: 'Only files that this toolkit wrote have them; compare others with the hash that their publisher gives.',
    });
  }
  const bytes = source.size - header.dataStart;
  const failures: DamagedTensor[] = [];
  const compare = (tensor: string, found: string | null) => {
    const expected = checksums.get(tensor) ?? null;
    if (expected !== found || found === null) failures.push({ file: source.name, tensor, expected, found });
  };
  for (const [tensor, { begin, end }] of header.tensors) {
    let crc = 0;
    const pieces = readInPieces(source, header.dataStart + begin, header.dataStart + end, { signal });
    for await (const piece of pieces) crc = crc32(piece, crc);
    signal?.throwIfAborted();
    compare(tensor, formatChecksum(crc));
    onProgress?.({ tensor, bytesDone: end, bytesTotal: bytes });
  }
  const lost = new Set([...checksums.keys(), ...(indexed ?? [])].filter((name) => !header.tensors.has(name)));
  for (const tensor of lost) compare(tensor, null);
  return { files: [source.name], tensors: header.tensors.size, bytes, ok: failures.length === 0, failures };
}

async function readHeader(source: RandomAccessSource, options: CancelOptions): Promise<SafetensorsHeader> {
  const file = { file: source.name, fileSize: source.size };
  const firstBytes = await readExactly(source, 0, Math.min(8, source.size), options);
  const dataStart = safetensorsDataStart(firstBytes, file);
  return parseSafetensorsHeader(await readExactly(source, 0, dataStart, options), file);
}
