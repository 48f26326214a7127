import { InvalidArgumentError } from '@lbs/format';
import type { Kernels, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import type { KeyValueCache } from '../decoder/attention-computation.js';
import { batchTokens } from '../decoder/batch.js';
import type { BlockBatch, BlockComputation, BlockStage } from '../decoder/block-computation.js';
import { checkFits } from '../decoder/context.js';
import type { LayerWeights } from '../decoder/decoder-weights.js';

/** Where one sequence is in a block. Its first token has position 0. */
export interface BlockSequence {
  /** [tokens, hiddenSize] hidden states on the residual path. */
  hidden: Float32Array;
  /** [tokens, columns] what the linear layers of the present stage read. */
  input: Float32Array;
}

/** Linear layers of a block that read the same input. */
export interface LinearLayers {
  /** Names of the modules, such as `model.layers.0.self_attn.q_proj`. */
  readonly modules: readonly string[];
  /** Input features of each. */
  readonly columns: number;
  /**
   * What gives the input: feature j is proportional to row `rows[j]` of the module's weight and to nothing else of it, to element `rows[j]` of a
   * norm's. Rows that several features come from, as values of grouped-query attention, are named once for each. Missing where no weights of one
   * module give the input so, as behind a bias.
   */
  readonly producer?: { readonly module: string; readonly rows: Uint32Array } | undefined;
  /** Whether the outputs of these layers are added to the hidden states. */
  readonly writesResidual: boolean;
}

/**
 * One decoder block in memory, computed stage by stage. Sequences keep the memory of their arrays: values are overwritten in
 * place. Methods throw InvalidArgumentError after `release`, for a sequence that does not fit the context, and for arrays of
 * the wrong size.
 */
export interface LoadedBlock {
  /** In the order of computation: for Llama q, k, v; o; gate, up; down. */
  readonly stages: readonly LinearLayers[];
  /** Puts the input of stage 0 into the sequence, whose hidden states are those before the block. */
  begin(sequence: BlockSequence): void;
  /**
   * Computes the linear layers of a stage on the sequence's input, and everything up to the next stage's input; after the
   * last stage the hidden states are those behind the block.
   */
  advance(stage: number, sequence: BlockSequence): void;
  /**
   * [tokens] how much attention each token of a sequence receives, as probabilities added up over heads and later tokens and itself. The sequence's
   * hidden states are those before the block; nothing of it changes.
   */
  attentionReceived(sequence: BlockSequence): Float32Array;
  /**
   * Lets a module compute with other weights [rows, columns] from now on. Throws InvalidArgumentError for a module of another
   * block, for another number of weights, and where the model's own are quantized.
   */
  replaceWeights(module: string, weights: Float32Array): void;
  /** Gives the memory back. Of no effect when called again. */
  release(): void;
}

/** What a block is made of. */
export interface BlockParts {
  readonly config: ModelConfig;
  readonly kernels: Kernels;
  readonly contextLength: number;
  readonly computation: BlockComputation;
  readonly cache: KeyValueCache;
  readonly index: number;
  readonly weights: LayerWeights;
  /** Called once. */
  readonly release: () => void;
}

/** A block whose weights are loaded. */
export function createLoadedBlock(parts: BlockParts): LoadedBlock {
  const { config, kernels, contextLength, computation, cache, index, weights } = parts;
  const { hiddenSize } = config;
  const { stages } = computation;
  const moduleOf = (module: string) => `${computation.layout.blocks}.${index}.${module}`;
  const linears = new Map(Array.from(weights.matrices, ([module, { matrix }]) => [moduleOf(module), matrix]));
  let released = false;

  const assertLoaded = () => {
    if (!released) return;
    throw new InvalidArgumentError(`block ${index} was released`, { mend: 'Load the block again.' });
  };

  const tokensOf = ({ hidden }: BlockSequence): number => {
    const tokens = hidden.length / hiddenSize;
    if (!(Number.isInteger(tokens) && tokens > 0)) {
      throw new InvalidArgumentError(
        `${hidden.length} values are not the hidden states of tokens with ${hiddenSize} each`,
      );
    }
    checkFits(tokens, config, contextLength);
    return tokens;
  };

  const widest = Math.max(...stages.map(({ columns }) => columns));
  let copied = new Float32Array();
  const copyOf = (values: Float32Array) => {
    if (copied.length < values.length) copied = new Float32Array(values.length);
    copied.set(values);
    return copied;
  };

  /** Computes in batches from the hidden states and the input of stage `from` to those of stage `to`. */
  const compute = (
    sequence: BlockSequence,
    step: (batch: BlockBatch) => void,
    from: BlockStage | undefined,
    to: BlockStage | undefined,
  ) => {
    const tokens = tokensOf(sequence);
    const { hidden, input } = sequence;
    if (from && input.length !== tokens * from.columns) {
      throw new InvalidArgumentError(
        `the input has ${input.length} values, not ${tokens} x ${from.columns}`,
        { mend: 'Call begin, then advance with every stage in turn.' },
      );
    }
    const output = to && inputArray(tokens * to.columns, tokens * widest, input);
    // Rows that are wider than those read would be written over later ones.
    const overlaps = from && to && to.columns > from.columns && output?.buffer === input.buffer;
    const read = overlaps ? copyOf(input) : input;
    for (let position = 0; position < tokens; position += batchTokens) {
      const count = Math.min(batchTokens, tokens - position);
      const parts = [{ tokens: count, position }];
      const batch = { layer: index, weights, cache, tokens: count, parts };
      const view = (pointer: Pointer, columns: number) => kernels.float32(pointer, batch.tokens * columns);
      const rows = (values: Float32Array, columns: number) =>
        values.subarray(position * columns, (position + batch.tokens) * columns);
      view(computation.hidden, hiddenSize).set(rows(hidden, hiddenSize));
      if (from) view(from.input, from.columns).set(rows(read, from.columns));
      step(batch);
      rows(hidden, hiddenSize).set(view(computation.hidden, hiddenSize));
      if (to && output) rows(output, to.columns).set(view(to.input, to.columns));
    }
    if (output) sequence.input = output;
  };

  return {
    stages: stages.map(({ modules, columns, producer, writesResidual }) => ({
      modules: modules.map(moduleOf),
      columns,
      producer: producer && { module: moduleOf(producer.module), rows: producer.rows },
      writesResidual,
    })),
    begin(sequence) {
      assertLoaded();
      compute(sequence, (batch) => computation.begin(batch), undefined, stages[0]);
    },
    advance(number, sequence) {
      assertLoaded();
      const stage = stages[number];
      if (!stage) {
        throw new InvalidArgumentError(`a block has the stages 0 to ${stages.length - 1}, not ${number}`);
      }
      compute(sequence, (batch) => stage.compute(batch), stage, stages[number + 1]);
    },
    attentionReceived({ hidden }) {
      assertLoaded();
      const { heads } = config;
      const tokens = hidden.length / hiddenSize;
      const mark = kernels.mark();
      const sums = { pointer: kernels.allocate(4 * heads * tokens), stride: tokens };
      const ofHeads = () => kernels.float32(sums.pointer, heads * tokens);
      ofHeads().fill(0);
      const copy = { hidden: hidden.slice(), input: new Float32Array() };
      compute(copy, (batch) => computation.begin(batch), undefined, stages[0]);
      compute(copy, (batch) => stages[0]!.compute({ ...batch, received: sums }), stages[0], stages[1]);
      const received = new Float32Array(tokens);
      for (const [i, share] of ofHeads().entries()) received[i % tokens]! += share;
      kernels.release(mark);
      return received;
    },
    replaceWeights(module, replacement) {
      assertLoaded();
      const matrix = linears.get(module);
      if (!matrix) {
        throw new InvalidArgumentError(`"${module}" is not a linear layer of block ${index}`, {
          mend: `Name one of ${[...linears.keys()].join(', ')}.`,
        });
      }
      kernels.overwriteDense(matrix, replacement);
    },
    release() {
      if (released) return;
      released = true;
      parts.release();
    },
  };
}

/** Memory of `inputArray`, which nobody else has views of. */
const inputBuffers = new WeakSet<ArrayBufferLike>();

/**
 * An array for the input of a stage, in the memory of the array at hand where that is large enough for all stages: arrays that come and go with
 * every stage would pile up between two collections of garbage.
 */
function inputArray(length: number, capacity: number, present: Float32Array): Float32Array {
  const { buffer } = present;
  if (inputBuffers.has(buffer) && buffer.byteLength >= 4 * capacity)
    return new Float32Array(buffer, 0, length);
  const values = new Float32Array(capacity);
  inputBuffers.add(values.buffer);
  return values.subarray(0, length);
}
