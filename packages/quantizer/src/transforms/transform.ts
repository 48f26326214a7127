import type { NumberFormat } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import type { CalibrationBlock, CalibrationSequence } from '../calibration/calibration-model.js';

/** A linear layer whose inputs are to be scaled. */
export interface ScalableLayer {
  readonly module: string;
  readonly format: NumberFormat;
  /** [rows, columns], as they were before the transform. */
  readWeights(): Promise<Float32Array>;
}

/** A stage of a block whose inputs may be scaled, because what gives them can take the scales back. */
export interface ScalableStage {
  /** Among the stages of the block. */
  readonly index: number;
  readonly layers: readonly ScalableLayer[];
  /** [columns] where each input feature comes from. Features that come from one row have one scale. */
  readonly rows: Uint32Array;
  /** The scales that the producer's storage can take, nearest to these; [rows of the producer]. */
  realize(scales: Float32Array): Float32Array;
}

/** What a transform is chosen for: a decoder block before any of its layers is quantized. */
export interface TransformInput {
  readonly kernels: Kernels;
  /** A transform may put other weights in place while it chooses, and puts the block's own back. */
  readonly block: CalibrationBlock;
  /** Their hidden states are those before the block, and stay so. */
  readonly sequences: readonly CalibrationSequence[];
  /** [tokens] how much each token of a sequence counts; the block has begun with it. */
  tokenWeights(sequence: CalibrationSequence, block: CalibrationBlock): Float32Array;
  /** In the order of computation. */
  readonly stages: readonly ScalableStage[];
  /** Lets others run between long computations; throws the reason where the job was aborted. */
  pause(): Promise<void>;
}

/**
 * Scales the input channels of a block's linear layers, W diag(s) diag(1/s) x, so that the weights lose less when they are quantized. What the block
 * computes stays the same: diag(1/s) goes into the norm or the layer before.
 */
export interface Transform {
  readonly name: string;
  /** Chooses s [rows of the producer], of the scales that can be realized, for the stages by their index; those without an entry stay as they are. */
  chooseScales(input: TransformInput): Promise<ReadonlyMap<number, Float32Array>>;
}
