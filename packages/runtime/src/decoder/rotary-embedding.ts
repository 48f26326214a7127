import type { Kernels, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import { type RotaryParameters, rotaryFrequencies } from './rotary-frequencies.js';

/** Pointers to the cosines and sines [positions, size / 2] of a rotary embedding that turns `size` dimensions of each head. */
export interface RotaryTables {
  readonly cosines: Pointer;
  readonly sines: Pointer;
  readonly size: number;
}

/** The rotary embeddings of a model's layers. */
export class RotaryEmbedding {
  /** Of the layers that see the whole context; undefined for a model that turns nothing. */
  private readonly tables: RotaryTables | undefined;
  /** Of the layers with a sliding window. */
  private readonly local: RotaryTables | undefined;

  constructor(
    private readonly config: ModelConfig,
    kernels: Kernels,
    contextLength: number,
  ) {
    const { headSize, rotarySize: size = headSize, ropeTheta, ropeScaling, localRopeTheta } = config;
    if (size === 0) return;
    this.tables = createTables(kernels, { size, theta: ropeTheta, scaling: ropeScaling, contextLength });
    this.local =
      localRopeTheta === undefined
        ? this.tables
        : createTables(kernels, { size, theta: localRopeTheta, scaling: undefined, contextLength });
  }

  get all(): readonly RotaryTables[] {
    return [...new Set([this.tables, this.local])].filter((tables) => tables !== undefined);
  }

  /** The tables of a layer; undefined where it turns nothing. */
  of(layer: number): RotaryTables | undefined {
    const { rotaryLayers } = this.config;
    if (rotaryLayers && !rotaryLayers[layer]) return undefined;
    return windowOf(this.config, layer) === undefined ? this.tables : this.local;
  }
}

/** Positions that a token of the layer sees; undefined for all. */
export function windowOf({ slidingWindow, slidingLayers }: ModelConfig, layer: number): number | undefined {
  return slidingLayers && !slidingLayers[layer] ? undefined : slidingWindow;
}

function createTables(kernels: Kernels, parameters: RotaryParameters): RotaryTables {
  const { size, contextLength } = parameters;
  const half = size / 2;
  const { frequencies, amplitude } = rotaryFrequencies(parameters);
  const tables = {
    cosines: kernels.allocate(4 * contextLength * half),
    sines: kernels.allocate(4 * contextLength * half),
    size,
  };
  const cosines = kernels.float32(tables.cosines, contextLength * half);
  const sines = kernels.float32(tables.sines, contextLength * half);
  for (let i = 0; i < cosines.length; i++) {
    const angle = Math.fround(Math.floor(i / half) * frequencies[i % half]!);
    cosines[i] = amplitude * Math.cos(angle);
    sines[i] = amplitude * Math.sin(angle);
  }
  return tables;
}
