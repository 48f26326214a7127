import { type Kernels, LinearAlgebra, type Pointer } from '@lbs/kernels';
import {
  type BlockMatrix,
  blockMatrices,
  type DecoderLayout,
  type LinearLayer,
  linearSize,
  type ModelConfig,
} from '@lbs/model-loaders';
import type { LayerWeights } from '../decoder/decoder-weights.js';

/** Takes the gradient [tokens, rows] of a module's outputs, by its name within the block; the array is valid during the call only. */
export type GradientConsumer = (module: string, gradient: Float32Array) => void;

/** Takes gradients back through linear layers of a block that read the same input. */
export class LinearStageGradients {
  private readonly algebra: LinearAlgebra;
  /** From the last to the first. */
  private readonly matrices: readonly BlockMatrix[];
  /** In the order in which what comes back is added up. */
  private readonly summed: readonly BlockMatrix[];
  /** [tokens, rows] the gradient of each fused matrix. */
  private readonly fused = new Map<string, Pointer>();

  /**
   * `gradients` [tokens, rows] with respect to the outputs of the layers, by their names, in the order in which what they give is added up: sums of
   * float32 depend on it.
   */
  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly layout: DecoderLayout,
    private readonly gradients: Readonly<Partial<Record<LinearLayer, Pointer>>>,
    tokens: number,
  ) {
    this.algebra = new LinearAlgebra(kernels);
    this.matrices = blockMatrices(config, layout)
      .filter(({ linears }) => gradients[linears[0]!] !== undefined)
      .reverse();
    const place = ({ linears }: BlockMatrix) =>
      Math.min(...linears.map((linear) => Object.keys(gradients).indexOf(linear)));
    this.summed = this.matrices.toSorted((a, b) => place(a) - place(b));
    for (const { module, linears, rows } of this.matrices) {
      if (linears.length > 1) this.fused.set(module, kernels.allocate(4 * tokens * rows));
    }
  }

  /** Puts the gradient with respect to the input [tokens, columns] into `output`, and shows those of the modules. */
  run(weights: LayerWeights, output: Pointer, tokens: number, onGradient: GradientConsumer): void {
    for (const matrix of this.matrices) {
      const input = this.gradientOf(matrix);
      if (matrix.linears.length > 1) this.joinInto(input, matrix, tokens);
      onGradient(matrix.module, this.kernels.float32(input, tokens * matrix.rows));
    }
    for (const [i, matrix] of this.summed.entries()) {
      const weight = weights.matrices.get(matrix.module)!.matrix;
      const input = this.gradientOf(matrix);
      this.algebra.multiplyTransposed(weight, { input, output, tokens, update: i === 0 ? 'set' : 'add' });
    }
  }

  private gradientOf({ module, linears }: BlockMatrix): Pointer {
    return this.fused.get(module) ?? this.gradients[linears[0]!]!;
  }

  private joinInto(fused: Pointer, { linears, rows: targetColumns }: BlockMatrix, tokens: number): void {
    for (const linear of linears) {
      const { first, length, count, step } = this.layout.linears[linear]!.rows!;
      const sourceColumns = linearSize(this.config, linear).rows;
      for (let run = 0; run < count; run++) {
        this.kernels.copyColumns(this.gradients[linear]!, fused, {
          ...{ rows: tokens, width: length, sourceColumns, targetColumns },
          firstSource: run * length,
          firstTarget: first + run * step,
        });
      }
    }
  }
}
