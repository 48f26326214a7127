import type { Kernels, Pointer } from '@lbs/kernels';
import {
  type BlockMatrix,
  blockMatrices,
  type DecoderLayout,
  type LinearLayer,
  linearSize,
  type ModelConfig,
} from '@lbs/model-loaders';
import { batchTokens } from './batch.js';
import type { LayerWeights, LinearWeights } from './decoder-weights.js';

/** output [tokens, rows] = input [tokens, columns] times the matrix transposed, plus the bias. */
export function applyLinear(
  kernels: Kernels,
  { matrix, bias }: LinearWeights,
  input: Pointer,
  output: Pointer,
  tokens: number,
): void {
  kernels.multiply(matrix, input, output, tokens);
  if (bias === undefined) return;
  for (let token = 0; token < tokens; token++)
    kernels.add(output + 4 * token * matrix.rows, bias, matrix.rows);
}

/** Linear layers of a block that read the same input. A fused matrix is multiplied whole, then its outputs are told apart. */
export class LinearStage {
  readonly matrices: readonly BlockMatrix[];
  /** [mostTokens, rows] the outputs of each fused matrix. */
  private readonly fused = new Map<string, Pointer>();

  /** `outputs` [mostTokens, rows] of the layers by their names. */
  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly layout: DecoderLayout,
    private readonly outputs: Readonly<Partial<Record<LinearLayer, Pointer>>>,
    mostTokens: number = batchTokens,
  ) {
    this.matrices = blockMatrices(config, layout).filter(({ linears }) => outputs[linears[0]!] !== undefined);
    for (const { module, linears, rows } of this.matrices) {
      if (linears.length > 1) this.fused.set(module, kernels.allocate(4 * mostTokens * rows));
    }
  }

  run(weights: LayerWeights, input: Pointer, tokens: number): void {
    for (const matrix of this.matrices) {
      const { module, linears } = matrix;
      const fused = this.fused.get(module);
      applyLinear(
        this.kernels,
        weights.matrices.get(module)!,
        input,
        fused ?? this.outputs[linears[0]!]!,
        tokens,
      );
      if (fused !== undefined) this.tellApart(matrix, fused, tokens);
    }
  }

  private tellApart({ linears, rows: sourceColumns }: BlockMatrix, fused: Pointer, tokens: number): void {
    for (const linear of linears) {
      const { first, length, count, step } = this.layout.linears[linear]!.rows!;
      const targetColumns = linearSize(this.config, linear).rows;
      for (let run = 0; run < count; run++) {
        this.kernels.copyColumns(fused, this.outputs[linear]!, {
          ...{ rows: tokens, width: length, sourceColumns, targetColumns },
          firstSource: first + run * step,
          firstTarget: run * length,
        });
      }
    }
  }
}
