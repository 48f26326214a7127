import { InvalidArgumentError, type SafetensorsTensorSpec, type StoredTensor } from '@lbs/format';
import type { JobStorage, SequenceState } from './job-storage.js';

/** A storage in memory: for models that fit there, where there is no disk, and for a job that is cancelled and goes on. */
export class MemoryJobStorage implements JobStorage {
  readonly #units = new Map<string, readonly StoredTensor[]>();
  readonly #states = new Map<number, readonly SequenceState[]>();

  async find(unit: string): Promise<readonly SafetensorsTensorSpec[] | undefined> {
    return this.#units.get(unit);
  }

  async commit(unit: string, tensors: readonly StoredTensor[]): Promise<void> {
    this.#units.set(unit, [...tensors]);
  }

  async *read(unit: string, tensor: string): AsyncGenerator<Uint8Array, void> {
    const found = this.#units.get(unit)?.find(({ name }) => name === tensor);
    if (!found) throw new InvalidArgumentError(`unit "${unit}" has no such tensor`, { tensor });
    yield found.bytes;
  }

  async saveStates(block: number, states: readonly SequenceState[]): Promise<void> {
    this.#states.set(block, copyOf(states));
  }

  async loadStates(block: number): Promise<readonly SequenceState[] | undefined> {
    const states = this.#states.get(block);
    return states && copyOf(states);
  }

  async removeStates(block: number): Promise<void> {
    this.#states.delete(block);
  }
}

function copyOf(states: readonly SequenceState[]): SequenceState[] {
  return states.map((state) =>
    Object.fromEntries(Object.entries(state).map(([stream, values]) => [stream, values.slice()])),
  );
}
