import type { ActivationPrecision } from '@lbs/kernels';
import { InvalidArgumentError as CommanderError, Option } from 'commander';

/** Parsers of option values; commander prints their message with the option's name. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new CommanderError('It must be a whole number of at least 1.');
  return value;
}

export function positiveNumber(text: string): number {
  const value = nonNegativeNumber(text);
  if (value === 0) throw new CommanderError('It must be above 0.');
  return value;
}

export function nonNegativeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value < Number.POSITIVE_INFINITY)) {
    throw new CommanderError('It must be a number of at least 0.');
  }
  return value;
}

/** A size as the hub's tools write it: 5GB, 500MB, 1e9; a unit is a power of 1000. */
export function byteSize(text: string): number {
  const [, digits, unit] = /^([\d.]+(?:e\d+)?)\s*(B|kB|MB|GB|TB)?$/i.exec(text.trim()) ?? [];
  const units = ['b', 'kb', 'mb', 'gb', 'tb'];
  const bytes = Math.floor(Number(digits) * 1000 ** Math.max(units.indexOf((unit ?? 'b').toLowerCase()), 0));
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw new CommanderError('It must be a size such as 5GB.');
  return bytes;
}

/** How activations meet packed matrices. */
export function activationsOption(): Option {
  const choices: ActivationPrecision[] = ['int8', 'int16', 'float32'];
  return new Option('--activations <precision>', 'how activations meet packed weights')
    .choices(choices)
    .default('int16' satisfies ActivationPrecision);
}

/** Runs a command with a signal that Ctrl-C aborts; a second Ctrl-C ends the process at once. */
export async function withInterrupt<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  try {
    return await run(controller.signal);
  } finally {
    process.removeListener('SIGINT', abort);
    process.removeListener('SIGTERM', abort);
  }
}
