import type { BatchPart } from './block-computation.js';

/** Tokens that go through the blocks together. */
export interface BranchBatch {
  readonly tokens: readonly number[];
  readonly parts: readonly BatchPart[];
  /** The first token whose logits are needed; those of all behind it are too. */
  readonly firstRow: number;
}

/**
 * Fills batches with what is missing of a context from position `from` on, and then with its continuations, each but for its last token, whose
 * logits nobody asks for. What does not fit goes on in the next batch: nothing comes between the two parts of a continuation, so that the cache has the first
 * when the second is computed.
 */
export function planBranches(
  context: readonly number[],
  from: number,
  continuations: readonly (readonly number[])[],
  batchTokens: number,
): readonly BranchBatch[] {
  const batches: { tokens: number[]; parts: { tokens: number; position: number }[]; firstRow: number }[] = [];
  const put = (tokens: readonly number[], position: number) => {
    for (let done = 0; done < tokens.length; ) {
      let batch = batches.at(-1);
      if (!batch || batch.tokens.length === batchTokens) {
        batch = { tokens: [], parts: [], firstRow: 0 };
        batches.push(batch);
      }
      const some = tokens.slice(done, done + batchTokens - batch.tokens.length);
      batch.parts.push({ tokens: some.length, position: position + done });
      batch.tokens.push(...some);
      done += some.length;
    }
  };
  put(context.slice(from), from);
  // Of the context, only the logits of its last token are needed.
  for (const [i, batch] of batches.entries())
    batch.firstRow = batch.tokens.length - (i === batches.length - 1 ? 1 : 0);
  for (const continuation of continuations) put(continuation.slice(0, -1), context.length);
  return batches;
}
