import { InvalidArgumentError, MalformedFileError, UnsupportedError } from './errors.js';
import { compileModulePattern } from './module-pattern.js';
import { defineNumberFormat, type NumberFormat } from './number-format.js';
import { describeJson } from './safetensors-json.js';
import type { ScaleEncoding } from './scale-encoding.js';

/** Version of the storage that this package writes; a reader accepts the same major version (SPEC 9). */
export const formatVersion = '0.1';

/** Modules that share a number format. `targets` are module names or `re:` patterns. */
export interface QuantizationGroup {
  readonly targets: readonly string[];
  readonly format: NumberFormat;
}

/** The `quantization_config` of a model's `config.json`. */
export interface QuantizationConfig {
  readonly groups: readonly QuantizationGroup[];
  /** How the file came about: tool, recipe, seed, source. Not needed for reading. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

/** The JSON value of a `QuantizationConfig`; level tables are written out, so that a file explains itself. */
export function serializeQuantizationConfig(config: QuantizationConfig): Record<string, unknown> {
  const groups = config.groups.map(({ targets, format }, i) => [
    `group_${i}`,
    {
      targets,
      weights: {
        name: format.name,
        private_bits: format.privateBits,
        shared_bits: format.sharedBits,
        sharing_block: format.sharingBlock,
        group_size: format.groupSize,
        scale_encoding: format.scaleEncoding,
        level_table: format.levelTable,
      },
    },
  ]);
  return {
    quant_method: 'lbs',
    format_version: formatVersion,
    config_groups: Object.fromEntries(groups),
    provenance: config.provenance,
  };
}

/** Parses and checks a `quantization_config` with `quant_method: "lbs"`. `file` is named in errors. */
export function parseQuantizationConfig(value: unknown, file?: string): QuantizationConfig {
  const config = asRecord(value, 'quantization_config', file);
  if (config['quant_method'] !== 'lbs') {
    throw new UnsupportedError(
      `the quantization method is ${describeJson(config['quant_method'])}, not "lbs"`,
      { file },
    );
  }
  const version = config['format_version'];
  if (typeof version !== 'string' || !/^\d+\.\d+$/.test(version)) {
    throw new MalformedFileError(`format_version ${describeJson(version)} is not "major.minor"`, { file });
  }
  if (version !== formatVersion) {
    throw new UnsupportedError(
      `format version ${version} is not ${formatVersion}, the one that this release reads`,
      {
        file,
        mend: 'Install a release of the toolkit that reads it, or quantize the model again.',
      },
    );
  }
  const groups = Object.entries(asRecord(config['config_groups'], 'config_groups', file)).map(
    ([name, group]) => parseGroup(group, `config_groups.${name}`, file),
  );
  return { groups, provenance: asRecord(config['provenance'] ?? {}, 'provenance', file) };
}

/** The format of a module: that of the first group with a target that matches. */
export function formatOfModule(config: QuantizationConfig): (module: string) => NumberFormat | undefined {
  const groups = config.groups.map(({ targets, format }) => ({
    format,
    matches: targets.map(compileModulePattern),
  }));
  return (module) => groups.find(({ matches }) => matches.some((isMatch) => isMatch(module)))?.format;
}

function parseGroup(value: unknown, at: string, file?: string): QuantizationGroup {
  const group = asRecord(value, at, file);
  const targets = group['targets'];
  if (!Array.isArray(targets) || !targets.every((target) => typeof target === 'string')) {
    throw new MalformedFileError(`${at}.targets is not a list of strings`, { file });
  }
  const weights = asRecord(group['weights'], `${at}.weights`, file);
  const table = asRecord(weights['level_table'], `${at}.weights.level_table`, file);
  const levels = table['levels'];
  if (!Array.isArray(levels) || levels.length > 256 || !levels.every((level) => typeof level === 'number')) {
    throw new MalformedFileError(`${at}.weights.level_table.levels is not a list of at most 256 numbers`, {
      file,
    });
  }
  assertScalars(weights, 'level_table', `${at}.weights`, file);
  assertScalars(table, 'levels', `${at}.weights.level_table`, file);
  try {
    targets.forEach(compileModulePattern);
    const format = defineNumberFormat({
      name: String(weights['name']),
      privateBits: Number(weights['private_bits']),
      sharedBits: Number(weights['shared_bits']),
      sharingBlock: Number(weights['sharing_block']),
      groupSize: Number(weights['group_size']),
      scaleEncoding: weights['scale_encoding'] as ScaleEncoding,
      levelTable: { name: String(table['name']), levels, centre: Number(table['centre']) },
    });
    return { targets, format };
  } catch (cause) {
    if (!(cause instanceof InvalidArgumentError)) throw cause;
    throw new MalformedFileError(`${at}: ${cause.message.replace(/\.$/, '')}`, { file, cause });
  }
}

/** Refuses lists and objects in all members but one: an object with a member `toString` is not even a text. */
function assertScalars(members: Record<string, unknown>, but: string, at: string, file?: string): void {
  for (const [name, value] of Object.entries(members)) {
    if (name === but || typeof value !== 'object' || value === null) continue;
    throw new MalformedFileError(`${at}.${name} is ${describeJson(value)}, not a single value`, { file });
  }
}

function asRecord(value: unknown, at: string, file?: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MalformedFileError(`${at} is not an object`, { file });
  }
  return value as Record<string, unknown>;
}
