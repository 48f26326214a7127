import { MalformedFileError, UnsupportedError } from './errors.js';
import { describeJson } from './safetensors-json.js';

/** Version of the storage that this package writes (SPEC 9). */
export const formatVersion = '0.2';

/** The oldest minor version that can be read: 0.2 stores salient weights in another way than 0.1. */
const oldestMinor = 2;

/**
 * Accepts the versions that this package can read: the same major version, and a minor one from the oldest that is
 * known to its own. Throws MalformedFileError where the value is no version, and UnsupportedError for all other versions.
 */
export function assertReadableVersion(version: unknown, file?: string): void {
  const parts = typeof version === 'string' && /^(\d{1,9})\.(\d{1,9})$/.exec(version);
  if (!parts) {
    throw new MalformedFileError(`format_version ${describeJson(version)} is not "major.minor"`, { file });
  }
  const [ownMajor, ownMinor] = formatVersion.split('.').map(Number) as [number, number];
  const [major, minor] = [Number(parts[1]), Number(parts[2])];
  if (major === ownMajor && minor >= oldestMinor && minor <= ownMinor) return;
  const isNewer = major > ownMajor || (major === ownMajor && minor > ownMinor);
  throw new UnsupportedError(
    `format version ${parts[0]} is ${isNewer ? 'newer' : 'older'} than ${formatVersion}, the one that this release reads`,
    {
      file,
      mend: isNewer
        ? 'Install a newer release of the toolkit, or quantize the model again with this one.'
        : 'Quantize the original model again with this release.',
    },
  );
}
