import {
  compileModulePattern,
  InvalidArgumentError,
  MalformedFileError,
  UnsupportedError,
} from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';

/** How the weights of some modules are quantized: a member of `config_groups`. */
export interface QuantizationGroup {
  readonly bits: number;
  readonly isInteger: boolean;
  readonly symmetric: boolean;
  readonly strategy: 'tensor' | 'channel' | 'group' | 'block';
  /** Of strategy `group`, in columns. */
  readonly groupSize: number;
  /** Of strategy `block`, in rows and columns. */
  readonly block: readonly [number, number];
  /** Where it is another than that of the whole model. */
  readonly format: unknown;
}

const STRATEGIES = ['tensor', 'channel', 'group', 'block'] as const;

/** More groups than any model has layers; every module may be compared with all of them. */
const MAX_GROUPS = 4096;

/**
 * Reads `config_groups`, and gives what chooses the group of a module: one that names it or matches it with `re:`, else one
 * that names a class of modules, such as `Linear`. Throws MalformedFileError and UnsupportedError.
 */
export function readGroups(config: JsonObject, file: string): (module: string) => QuantizationGroup {
  const groups = config['config_groups'];
  const values = isJsonObject(groups) ? Object.values(groups) : [];
  if (values.length === 0 || values.length > MAX_GROUPS) {
    throw malformed(`config_groups are ${describeValue(groups)}`, file);
  }
  const parsed = values.map((group) => ({ group: parseGroup(group, file), targets: targetsOf(group, file) }));
  if (parsed.length === 1) return () => parsed[0]!.group;
  const matchers = parsed.map(({ group, targets }) => {
    const matches = targets.map((target) => matcherOf(target, file));
    return {
      group,
      matches: (module: string) => matches.some((match) => match(module)),
      hasClass: targets.some(isClass),
    };
  });
  return (module) => {
    const found =
      matchers.find(({ matches }) => matches(module)) ?? matchers.find(({ hasClass }) => hasClass);
    if (found) return found.group;
    throw new UnsupportedError('no group of config_groups is for this quantized module', {
      file,
      tensor: module,
    });
  };
}

function parseGroup(group: unknown, file: string): QuantizationGroup {
  const weights = isJsonObject(group) ? group['weights'] : undefined;
  if (!isJsonObject(weights)) throw malformed(`the weights of a group are ${describeValue(weights)}`, file);
  const {
    num_bits: bits = 8,
    type = 'int',
    symmetric = true,
    group_size: groupSize,
    block_structure: block,
  } = weights;
  const strategy =
    weights['strategy'] ?? (groupSize === undefined || groupSize === null ? 'tensor' : 'group');
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
  if (!isSize(bits) || bits > 8) throw unsupported(`num_bits is ${describeValue(bits)}`, '1 to 8', file);
  if (type !== 'int' && type !== 'float') throw malformed(`type is ${describeValue(type)}`, file);
  if (type === 'float' && bits !== 8) throw unsupported(`floats of ${bits} bits`, '8', file);
  if (!STRATEGIES.includes(strategy as 'group')) {
    throw unsupported(`strategy is ${describeValue(strategy)}`, STRATEGIES.join(', '), file);
  }
  if (strategy === 'group' && !isSize(groupSize))
    throw malformed(`group_size is ${describeValue(groupSize)}`, file);
  const isBlock = Array.isArray(block) && block.length === 2 && block.every(isSize);
  if (strategy === 'block' && !isBlock) throw malformed(`block_structure is ${describeValue(block)}`, file);
  return {
    bits,
    isInteger: type === 'int',
    symmetric: symmetric !== false,
    strategy: strategy as QuantizationGroup['strategy'],
    groupSize: isSize(groupSize) ? groupSize : 1,
    block: isBlock ? (block as [number, number]) : [1, 1],
    format: isJsonObject(group) ? group['format'] : undefined,
  };
}

function targetsOf(group: unknown, file: string): readonly string[] {
  const targets = isJsonObject(group) ? group['targets'] : undefined;
  if (Array.isArray(targets) && targets.every((target) => typeof target === 'string')) return targets;
  throw malformed(`the targets of a group are ${describeValue(targets)}`, file);
}

/** `Linear` and the like: a name that no module has. */
function isClass(target: string): boolean {
  return /^[A-Z]\w*$/.test(target);
}

/** Patterns are matched from the beginning of a name on and may end before it does, as Python's `re.match` has it. */
function matcherOf(target: string, file: string): (module: string) => boolean {
  if (!target.startsWith('re:')) return (module) => module === target;
  const pattern = target.slice('re:'.length).replace(/^\^/, '');
  try {
    return compileModulePattern(/\$$/.test(pattern) ? `re:${pattern.slice(0, -1)}` : `re:(?:${pattern}).*`);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UnsupportedError(`compressed-tensors: the target ${describeValue(target)} cannot be read`, {
      file,
      cause: error,
    });
  }
}

function malformed(problem: string, file: string): MalformedFileError {
  return new MalformedFileError(`compressed-tensors: ${problem}`, {
    file,
    mend: 'Check what wrote the config.',
  });
}

function unsupported(problem: string, known: string, file: string): UnsupportedError {
  return new UnsupportedError(`compressed-tensors: ${problem}`, { file, mend: `Known: ${known}.` });
}
