import { InvalidArgumentError, MalformedFileError, UnsupportedError } from './errors.js';
import { assertReadableVersion, formatVersion } from './format-version.js';
import { compileModulePattern, matchesAny } from './module-pattern.js';
import { defineNumberFormat, type NumberFormat } from './number-format.js';
import { describeJson } from './safetensors-json.js';
import type { ScaleEncodingName } from './scale-encoding.js';

/** Modules that share a number format. `targets` are module names or `re:` patterns. */
export interface QuantizationGroup {
  readonly targets: readonly string[];
  readonly format: NumberFormat;
}

/** The `quantization_config` of a model's `config.json`. */
export interface QuantizationConfig {
  /** The first group with a target that matches a module gives its format. */
  readonly groups: readonly QuantizationGroup[];
  /** Modules, named as targets are, that stay as they were although a target matches. Default none. */
  readonly ignore?: readonly string[];
  /** How the file came about: a `Provenance` where this toolkit wrote it. Not needed for reading. */
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
        zero_point: format.zeroPoint,
        scale_encoding: format.scaleEncoding,
        level_table: format.levelTable,
      },
    },
  ]);
  const widths = new Set(config.groups.map(({ format }) => format.privateBits));
  return {
    quant_method: 'lbs',
    format_version: formatVersion,
    // Not for readers of the weights: from it, hubs know how many of them a packed byte holds.
    ...(widths.size === 1 && { bits: [...widths][0] }),
    config_groups: Object.fromEntries(groups),
    ignore: config.ignore ?? [],
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
  assertReadableVersion(config['format_version'], file);
  const groups = Object.entries(asRecord(config['config_groups'], 'config_groups', file))
    .map(([name, group]) => ({ place: placeOf(name, file), group, at: `config_groups.${name}` }))
    .sort((a, b) => a.place - b.place)
    .map(({ group, at }) => parseGroup(group, at, file));
  return {
    groups,
    ignore: parsePatterns(config['ignore'] ?? [], 'ignore', file),
    provenance: asRecord(config['provenance'] ?? {}, 'provenance', file),
  };
}

/** The number in a group's name. The order of the members of a JSON object would not survive every tool. */
function placeOf(name: string, file?: string): number {
  const digits = /^group_(0|[1-9]\d{0,5})$/.exec(name)?.[1];
  if (digits !== undefined) return Number(digits);
  throw new MalformedFileError(`config_groups.${name.slice(0, 80)} is not named "group_<number>"`, { file });
}

function parsePatterns(value: unknown, at: string, file?: string): readonly string[] {
  if (!Array.isArray(value) || !value.every((pattern) => typeof pattern === 'string')) {
    throw new MalformedFileError(`${at} is not a list of strings`, { file });
  }
  refuseAsMalformed(at, file, () => value.forEach(compileModulePattern));
  return value;
}

/** The format of a module: that of the first group with a target that matches; none where it is ignored. */
export function formatOfModule(config: QuantizationConfig): (module: string) => NumberFormat | undefined {
  const groups = config.groups.map(({ targets, format }) => ({ format, matches: matchesAny(targets) }));
  const isIgnored = matchesAny(config.ignore ?? []);
  return (module) => (isIgnored(module) ? undefined : groups.find(({ matches }) => matches(module))?.format);
}

function parseGroup(value: unknown, at: string, file?: string): QuantizationGroup {
  const group = asRecord(value, at, file);
  const targets = parsePatterns(group['targets'], `${at}.targets`, file);
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
  const number = (field: string) => {
    const value = weights[field];
    if (typeof value === 'number') return value;
    throw new MalformedFileError(`${at}.weights.${field} is not a number`, { file });
  };
  const zeroPoint = weights['zero_point'] ?? false;
  if (typeof zeroPoint !== 'boolean') {
    throw new MalformedFileError(`${at}.weights.zero_point is not a boolean`, { file });
  }
  const format = refuseAsMalformed(at, file, () =>
    defineNumberFormat({
      name: String(weights['name']),
      privateBits: number('private_bits'),
      sharedBits: number('shared_bits'),
      sharingBlock: number('sharing_block'),
      groupSize: number('group_size'),
      scaleEncoding: String(weights['scale_encoding']) as ScaleEncodingName,
      zeroPoint,
      levelTable: { name: String(table['name']), levels, centre: table['centre'] as number },
    }),
  );
  return { targets, format };
}

/** What is the caller's mistake in code is the file's here. */
function refuseAsMalformed<T>(at: string, file: string | undefined, define: () => T): T {
  try {
    return define();
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
