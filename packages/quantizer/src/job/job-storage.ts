import type { SafetensorsTensorSpec, StoredTensor } from '@lbs/format';

/** Values of one calibration sequence between two blocks, by the name of the stream, such as `hidden`. */
export type SequenceState = Readonly<Record<string, Float32Array>>;

/**
 * Where a job puts what is finished, so that it need not be in memory, and finds it when it goes on after it was cancelled or killed. A *unit* is
 * what is finished at once: the linear layers of a decoder block, or one tensor. A storage belongs to one job: what another recipe or
 * model left must not be found in it.
 */
export interface JobStorage {
  /**
   * The tensors of a finished unit, in the order in which they were committed. Undefined where the unit is not finished, and where what is
   * stored is not what was committed.
   */
  find(unit: string): Promise<readonly SafetensorsTensorSpec[] | undefined>;
  /** Stores a unit: it is finished when the promise is fulfilled, and at no moment is half of it found. */
  commit(unit: string, tensors: readonly StoredTensor[]): Promise<void>;
  /** The bytes of a tensor of a finished unit, in order. */
  read(unit: string, tensor: string): AsyncIterable<Uint8Array>;
  /** Stores what the calibration sequences are behind a block. The arrays stay the caller's. */
  saveStates(block: number, states: readonly SequenceState[]): Promise<void>;
  /** What was saved behind a block, in arrays of the caller's; undefined where there is nothing, or it is not whole. */
  loadStates(block: number): Promise<readonly SequenceState[] | undefined>;
  /** Forgets the states behind a block, if there are any. */
  removeStates(block: number): Promise<void>;
}
