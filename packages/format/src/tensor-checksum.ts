import { crc32 } from './crc32.js';

/** The checksums of a file are members of `__metadata__` with this prefix before the tensor's name (SPEC 12). */
const keyPrefix = 'crc32.';

/** The checksum of a tensor's stored bytes as the file holds it: CRC-32, eight lower-case hexadecimal digits. */
export function tensorChecksum(bytes: Uint8Array): string {
  return formatChecksum(crc32(bytes));
}

/** A CRC-32 as eight hexadecimal digits. */
export function formatChecksum(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** The members of `__metadata__` that hold the given checksums. */
export function checksumMetadata(checksums: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(Array.from(checksums, ([tensor, checksum]) => [keyPrefix + tensor, checksum]));
}

/** Splits the `__metadata__` of a file into the checksums of its tensors and everything else. */
export function splitChecksums(metadata: ReadonlyMap<string, string>): {
  readonly checksums: ReadonlyMap<string, string>;
  readonly others: ReadonlyMap<string, string>;
} {
  const checksums = new Map<string, string>();
  const others = new Map<string, string>();
  for (const [key, value] of metadata) {
    if (key.startsWith(keyPrefix)) checksums.set(key.slice(keyPrefix.length), value);
    else others.set(key, value);
  }
  return { checksums, others };
}
