import { setImmediate } from 'node:timers/promises';
import { LbsError } from '../../packages/format/dist/index.js';
import { watchAllocations } from './allocation-watch.mjs';

/** Longest time of an execution. One that takes longer is run again: the machine may have been busy. */
export const MAX_MILLISECONDS = 100;
const REPEATS = 4;

/**
 * Largest buffer for an input of `size` bytes. A one-bit code becomes a float32, 32 times its size; the constant is
 * for the table of all binary16 values, which is made once.
 */
export const maxBufferBytes = (size) => 32 * size + 2 ** 19;

/** A message is read by people: names and values from the file are shortened, and cannot steer a terminal. */
const MAX_MESSAGE_LENGTH = 2500;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/;

/** Judges executions. Changes the global constructors of its thread. */
export function createOracle() {
  const allocations = watchAllocations();
  const rejections = [];
  process.on('unhandledRejection', (reason) => rejections.push(reason));

  async function once(target, input) {
    allocations.limit = maxBufferBytes(input.length);
    allocations.refused = undefined;
    const started = performance.now();
    let thrown;
    try {
      const pending = target.execute(input);
      if (pending instanceof Promise) await pending;
    } catch (error) {
      thrown = error ?? new Error(`${error} was thrown`);
    }
    const milliseconds = performance.now() - started;
    allocations.limit = Number.POSITIVE_INFINITY;
    return { thrown, milliseconds, refused: allocations.refused };
  }

  /**
   * Runs one input. `failure` says what is wrong, as a text; `signature` is the same for outcomes that differ in
   * numbers and names only.
   */
  async function judge(target, input) {
    // Stacks take most of the time of a small input that is refused; a failure gets its own below.
    Error.stackTraceLimit = 0;
    let { thrown, milliseconds, refused } = await once(target, input);
    for (let i = 0; milliseconds > MAX_MILLISECONDS && i < REPEATS; i++) {
      milliseconds = Math.min(milliseconds, (await once(target, input)).milliseconds);
    }
    const failure = failureOf(thrown, milliseconds, refused);
    const signature = thrown
      ? `${thrown.code ?? thrown.name} ${thrown.message
          .slice(0, 400)
          .replace(/"[^"]*"|[-\d.]+/g, '#')
          .slice(0, 120)}`
      : 'accepted';
    return { failure, signature, stack: failure && (await stackOf(target, input)) };
  }

  async function stackOf(target, input) {
    Error.stackTraceLimit = 20;
    return (await once(target, input)).thrown?.stack;
  }

  /** Rejections that nobody handled since the last call. They are known only when the event loop turns. */
  async function takeRejections() {
    await setImmediate();
    return rejections.splice(0).map((reason) => `unhandled rejection: ${reason}`);
  }

  return { judge, takeRejections };
}

function failureOf(thrown, milliseconds, refused) {
  if (refused) return `allocation: ${refused.message}`;
  if (thrown && !LbsError.isInstance(thrown)) return `untyped error: ${thrown.name}: ${thrown.message}`;
  if (thrown && !/^LBS_[A-Z_]+$/.test(thrown.code)) return `error without a stable code: ${thrown.code}`;
  if (thrown && thrown.message.length > MAX_MESSAGE_LENGTH) {
    return `message of ${thrown.message.length} characters: ${thrown.message.slice(0, 100)}`;
  }
  if (thrown && controlCharacter.test(thrown.message)) {
    return `control characters in the message ${JSON.stringify(thrown.message.slice(0, 200))}`;
  }
  if (milliseconds > MAX_MILLISECONDS) return `slow: ${milliseconds.toFixed(0)} ms`;
  return undefined;
}
