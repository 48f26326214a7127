/** How far a job is. */
export interface QuantizationProgress {
  /**
   * What has just been done: a part of what comes first, the measuring of gradients and the allocation of formats (`preparing`), finished work of an earlier run was found (`resuming`), a sequence was
   * computed through a stage of the block (`measuring`), or a matrix was quantized (`quantizing`).
   */
  readonly stage: 'preparing' | 'resuming' | 'measuring' | 'quantizing';
  /** Share of the preparation that is done, 0 to 1. */
  readonly prepared: number | undefined;
  /** The decoder block at work, from 0; undefined outside of the blocks and where none is calibrated. */
  readonly block: number | undefined;
  /** Number of blocks that are calibrated. */
  readonly blocks: number;
  /** The tensor that has been quantized. */
  readonly tensor: string | undefined;
  /** Its squared error over its squared weights. */
  readonly relativeError: number | undefined;
  /** Weights done so far and in all, of those to be quantized. */
  readonly weightsDone: number;
  readonly weightsTotal: number;
  /** Of this run. */
  readonly elapsedSeconds: number;
  /** Estimated from what this run took so far; undefined before the first block, or the first matrix where none is calibrated, is done. */
  readonly secondsLeft: number | undefined;
}

/** What a report says of the work itself. */
type Step = Pick<QuantizationProgress, 'stage'> &
  Partial<Pick<QuantizationProgress, 'prepared' | 'block' | 'tensor' | 'relativeError'>>;

/**
 * Measures a job and tells what is left. Quantizing a matrix takes time by its weights; all else that a calibrated block needs (reading, computing
 * the sequences, measuring, storing) takes as long for each block.
 */
export class ProgressTracker {
  readonly #start: number;
  #weightsDone = 0;
  #blocksDone = 0;
  /** Of this run alone: what an earlier one did says nothing about this machine. */
  #solvedWeights = 0;
  #solvingSeconds = 0;
  #measuredBlocks = 0;
  #otherSeconds = 0;
  #blockStart: number | undefined;
  #solvingInBlock = 0;

  constructor(
    private readonly weightsTotal: number,
    private readonly blocks: number,
    private readonly report: ((progress: QuantizationProgress) => void) | undefined,
    /** Milliseconds of a clock. */
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#start = now();
  }

  /** Counts work that an earlier run finished. */
  resumed({ weights, blocks }: { readonly weights: number; readonly blocks: number }): void {
    this.#weightsDone += weights;
    this.#blocksDone += blocks;
  }

  beginBlock(): void {
    this.#blockStart = this.now();
    this.#solvingInBlock = 0;
  }

  endBlock(): void {
    this.#otherSeconds += this.#otherInBlock();
    this.#blockStart = undefined;
    this.#blocksDone++;
    this.#measuredBlocks++;
  }

  /** Runs the quantization of a matrix of so many weights, and counts it. */
  solve<Result>(weights: number, work: () => Result): Result {
    const start = this.now();
    const result = work();
    const seconds = (this.now() - start) / 1000;
    this.#solvedWeights += weights;
    this.#solvingSeconds += seconds;
    this.#solvingInBlock += seconds;
    this.#weightsDone += weights;
    return result;
  }

  tell({ stage, prepared, block, tensor, relativeError }: Step): void {
    this.report?.({
      stage,
      prepared,
      block,
      blocks: this.blocks,
      tensor,
      relativeError,
      weightsDone: this.#weightsDone,
      weightsTotal: this.weightsTotal,
      elapsedSeconds: (this.now() - this.#start) / 1000,
      secondsLeft: this.#secondsLeft(),
    });
  }

  /** What the present block took beside the quantization of its matrices. */
  #otherInBlock(): number {
    if (this.#blockStart === undefined) return 0;
    return (this.now() - this.#blockStart) / 1000 - this.#solvingInBlock;
  }

  #secondsLeft(): number | undefined {
    const weightsLeft = this.weightsTotal - this.#weightsDone;
    const blocksLeft = this.blocks - this.#blocksDone;
    if (blocksLeft > 0 && this.#measuredBlocks === 0) return undefined;
    if (weightsLeft > 0 && this.#solvedWeights === 0) return undefined;
    const solving = weightsLeft > 0 ? (weightsLeft * this.#solvingSeconds) / this.#solvedWeights : 0;
    const other = blocksLeft > 0 ? (blocksLeft * this.#otherSeconds) / this.#measuredBlocks : 0;
    return solving + Math.max(other - this.#otherInBlock(), 0);
  }
}
